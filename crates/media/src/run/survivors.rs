//! What a tool started and did not wait for: found, killed and reaped when its step ends.
//!
//! A tool is the leader of a process group of its own, and the sandbox lets nothing leave it, so that killing the group
//! is enough. This is for where a layer of the sandbox is missing: a process that left the group has lost its parent or
//! still descends from the tool. The server adopts orphans (`PR_SET_CHILD_SUBREAPER`), so the first kind is among its own
//! children, and is told from what else the server may have started by a mark that the launcher makes and children
//! inherit: the highest `oom_score_adj`.
//!
//! A server that is killed takes its tools along, for the kernel kills them with their parent. What a *script* started
//! dies only with the next server, which knows it by the mark and by the scratch folder that it was given ([`end_left_by`]).
//!
//! An orphan with the mark that is in no living tool's group has left the group of its step, which no tool does that does
//! its work. It is killed at the end of whichever step comes first, so it need not be known whose it was.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitpid,
};

/// What the launcher writes into `oom_score_adj`.
const MARK: &str = "1000";
/// How often is looked again while something is left, and how long is waited in between: two seconds in all, within
/// which all dies but what is stuck in the kernel.
const ROUNDS: u32 = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// The tools that run, by the id of their process, which is that of their group.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashSet<i32>>);

/// Those of this process, whichever toolbox started them: children belong to the process, and one that another toolbox
/// waits for is no orphan.
static RUNNING: LazyLock<Running> = LazyLock::new(Running::default);

impl Running {
    /// The tools of this process.
    pub(super) fn here() -> &'static Self {
        &RUNNING
    }

    /// The server adopts what its tools leave behind.
    pub(super) fn adopt_orphans() {
        // Where the kernel has no such thing, groups are all there is.
        let _ = set_child_subreaper(Some(getpid()));
    }

    /// Held while a tool is started, so that it is known before it can be taken for an orphan.
    pub(super) fn lock(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills all that descends from that tool, itself too, and all orphans that left their group; reaps the adopted ones.
    /// The tool itself must not be reaped yet, so that its id is not given to another process. Blocks for as long as
    /// something is left, at most two seconds.
    pub(super) fn end(&self, tool: Pid) {
        for _ in 0..ROUNDS {
            // Fails only when the group is gone already.
            let _ = kill_process_group(tool, Signal::KILL);
            if self.sweep(tool) == 0 {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        tracing::warn!(tool = tool.as_raw_nonzero(), "a process of a tool did not end within two seconds");
    }

    /// One look. Gives how many processes there were; what they left behind is adopted now, so only a look that finds none
    /// is the last.
    fn sweep(&self, tool: Pid) -> usize {
        let running = self.lock();
        let (own, tool) = (raw(getpid()), raw(tool));
        let processes = all();
        // Until the tool itself is dead, its dead children are not ours to reap.
        let mut left = usize::from(processes.iter().any(|process| process.id == tool && !process.is_dead));
        for process in descendants(&processes, tool) {
            left += 1;
            process.kill();
        }
        let adopted = processes.iter().filter(|process| process.parent == own && !running.contains(&process.id));
        for orphan in adopted.filter(|orphan| orphan.group == tool || !running.contains(&orphan.group)) {
            if orphan.group != tool && !orphan.is_marked() {
                continue;
            }
            left += 1;
            orphan.kill();
            if let Some(id) = Pid::from_raw(orphan.id) {
                // It is ours, so its id stays its own until here.
                let _ = waitpid(Some(id), WaitOptions::NOHANG);
            }
        }
        left
    }
}

/// Kills the processes that tools of a dead server left running. `scratch` was the scratch folder of that server; its name
/// is a random one, so that a process that works there, or was told to put its temporary files there, is one of those.
pub fn end_left_by(scratch: &Path) {
    let Some(name) = scratch.file_name() else { return };
    for process in all().into_iter().filter(|process| process.is_marked() && process.works_in(name)) {
        tracing::warn!(process = process.id, "killed a process that a tool of a dead server left running");
        process.kill();
    }
}

/// A process, as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    id: i32,
    parent: i32,
    pub(super) group: i32,
    pub(super) threads: u64,
    started: u64,
    is_dead: bool,
}

impl Process {
    /// Reads `PID (NAME) STATE PARENT GROUP ...`, of which the name may hold anything.
    ///
    /// # Source
    /// `proc_pid_stat(5)`: fields 1, 3, 4, 5, 20 and 22.
    fn parse(stat: &str) -> Option<Self> {
        let (id, rest) = stat.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<i64>().ok());
        Some(Self {
            id: id.parse().ok()?,
            parent: number(4)?.try_into().ok()?,
            group: number(5)?.try_into().ok()?,
            threads: number(20)?.try_into().ok()?,
            started: number(22)?.try_into().ok()?,
            is_dead: matches!(fields.first(), Some(&"Z" | &"X")),
        })
    }

    fn read(id: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    fn is_marked(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/oom_score_adj", self.id)).is_ok_and(|mark| mark.trim() == MARK)
    }

    /// Whether its folder, or the one for its temporary files, lies in a folder of that name.
    fn works_in(&self, name: &OsStr) -> bool {
        let is_within = |path: &Path| path.iter().any(|part| part == name);
        let environment = std::fs::read(format!("/proc/{}/environ", self.id)).unwrap_or_default();
        let temporary = environment.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"TMPDIR="));
        std::fs::read_link(format!("/proc/{}/cwd", self.id)).is_ok_and(|folder| is_within(&folder))
            || temporary.is_some_and(|folder| is_within(Path::new(OsStr::from_bytes(folder))))
    }

    /// Kills it, unless its id belongs to another process by now.
    fn kill(&self) {
        let Some(id) = Pid::from_raw(self.id) else { return };
        let Ok(held) = pidfd_open(id, PidfdFlags::empty()) else { return };
        if Self::read(self.id).is_some_and(|now| now.started == self.started) {
            let _ = pidfd_send_signal(held, Signal::KILL);
        }
    }

    /// Memory that it alone takes, in bytes, be it in use or swapped out.
    ///
    /// # Source
    /// `proc_pid_status(5)`: files that are mapped are left out, for they take no memory of their own.
    pub(super) fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let kilobytes = |line: &str| {
            let (name, value) = line.split_once(':')?;
            let counts = matches!(name, "RssAnon" | "RssShmem" | "VmSwap");
            value.trim().strip_suffix(" kB").filter(|_| counts)?.parse::<u64>().ok()
        };
        status.lines().filter_map(kilobytes).sum::<u64>() * 1024
    }
}

/// What a tool takes of the machine at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) memory_bytes: u64,
    /// Processes and threads.
    pub(super) processes: u64,
}

/// What the group of that tool takes.
pub(super) fn taken(tool: Pid) -> Taken {
    let own = raw(tool);
    let group = all().into_iter().filter(|process| process.group == own);
    group.fold(Taken::default(), |taken, process| Taken {
        memory_bytes: taken.memory_bytes + process.memory_bytes(),
        processes: taken.processes + process.threads,
    })
}

/// What a tool that has no processes but itself takes.
pub(super) fn taken_alone(tool: Pid) -> Taken {
    Process::read(raw(tool)).map_or_else(Taken::default, |process| Taken {
        memory_bytes: process.memory_bytes(),
        processes: process.threads,
    })
}

/// All processes of the machine.
fn all() -> Vec<Process> {
    let Ok(folders) = std::fs::read_dir(Path::new("/proc")) else { return Vec::new() };
    let ids = folders.flatten().filter_map(|folder| folder.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(Process::read).collect()
}

/// The living processes that descend from that one, without it.
fn descendants(processes: &[Process], ancestor: i32) -> Vec<Process> {
    let mut family = vec![ancestor];
    let mut found = Vec::new();
    while let Some(parent) = family.pop() {
        for child in processes.iter().filter(|process| process.parent == parent) {
            family.push(child.id);
            found.extend((!child.is_dead).then_some(*child));
        }
    }
    found
}

fn raw(id: Pid) -> i32 {
    id.as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_fields() {
        let stat = "12 (a) S 1 1 (x) R 7 8 9 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 3 0 4711 1 2";
        let process = Process::parse(stat).unwrap();
        assert_eq!((process.id, process.parent, process.group), (12, 7, 8));
        assert_eq!((process.threads, process.started, process.is_dead), (3, 4711, false));
    }

    #[test]
    fn grandchildren_are_found_through_the_dead() {
        let process = |id, parent, is_dead| Process { id, parent, group: 1, threads: 1, started: 0, is_dead };
        let processes = [process(2, 1, true), process(3, 2, false), process(4, 3, false), process(5, 9, false)];
        let ids: Vec<i32> = descendants(&processes, 1).iter().map(|process| process.id).collect();
        assert_eq!(ids, [3, 4]);
    }
}
