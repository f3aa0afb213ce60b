//! A child process, tamed: the only place that starts one.
//!
//! A tool is started through the launcher (see [`crate::sandbox`]) as the leader of its own process group, with an
//! empty environment, nothing on standard input unless it is to be asked, and pipes for the rest. It ends in one of several ways ([`Ending`]), and
//! however it ends all that it started is gone and reaped when [`Toolbox`](crate::Toolbox) is told; dropping the future
//! kills the same. See [`survivors`](super::survivors).
//!
//! **Death with the server.** The launcher asks the kernel to kill it when its parent dies, so that `kill -9` of the
//! server leaves no encoder behind. The kernel means the parent *thread*, and the runtime's threads come and go; hence
//! [`Spawner`], one thread that starts all children and lives as long as the toolbox.
//!
//! **The watchdog.** Once in a while the tool's signs of life are compared: what it says of its progress, and the CPU
//! time that the kernel counts. None changed for the stall time: it is hung (on a dead disk, a lock, a pipe). At the same
//! time it is looked at what the tool takes: memory, processes, and room on the disk.
//!
//! **CPU time.** When a child has ended but is not yet reaped, `/proc/PID/stat` still has its final CPU time. The end
//! is noticed through a pidfd, so that nobody else reaps it first.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::AsyncReadExt as _;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ring::Ring;
use super::survivors::{self, Running, Taken};

/// One run of a tool.
#[derive(Debug)]
pub(crate) struct Order {
    /// The launcher with its arguments, then the tool with its own.
    pub(crate) line: Vec<OsString>,
    /// The scratch folder; the tool runs in it.
    pub(crate) scratch: PathBuf,
    /// Longest it may take.
    pub(crate) wall: Duration,
    /// Longest it may show no sign of life.
    pub(crate) stall: Duration,
    pub(crate) most: Most,
    /// Whether it is asked things on its standard input, which is empty otherwise.
    pub(crate) is_asked: bool,
    /// The life of what it works with, where it does.
    pub(crate) pulse: Option<Pulse>,
}

/// Signs of life that tools share which are joined by pipes: one that waits for another is not hung while that gets on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse {
    beats: Arc<AtomicU64>,
    /// Whether CPU time of this one is a sign to the others: not of a tool that takes some while it waits.
    by_cpu: bool,
}

impl Pulse {
    /// The same for a tool that takes CPU time only when it gets on.
    pub(crate) fn by_cpu(&self) -> Self {
        Self { by_cpu: true, ..self.clone() }
    }
}

/// What a tool has in place of its usual pipes.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<OwnedFd>,
    /// Then nothing of what it says is heard.
    pub(crate) stdout: Option<OwnedFd>,
}

/// How much a tool may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) memory_bytes: u64,
    /// Processes and threads.
    pub(crate) processes: u64,
    /// What all files in the scratch folder together may grow by; they are not looked at where that is all there can be.
    pub(crate) files_bytes: u64,
    /// Whether it has no process but itself, so that its group need not be looked for.
    pub(crate) is_alone: bool,
}

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, not sent by us.
    Killed(i32),
    /// Ended by us: no sign of life.
    Stalled,
    /// Ended by us: over its wall-clock cap.
    TimedOut,
    /// Ended by us: no longer wanted.
    Canceled,
    /// Ended by us: it took more memory than it may.
    OverMemory,
    /// Ended by us: it had more processes and threads than it may.
    OverProcesses,
    /// Ended by us: its files were larger than they may be.
    OverSize,
}

/// What is known of a tool that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    pub(crate) stderr: Ring,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// Hears what a tool says on standard output.
pub(crate) trait Listener: Send {
    /// Takes the next bytes.
    fn hear(&mut self, said: &[u8]);
    /// Signs of life: anything that changes while the tool gets on.
    fn mark(&self) -> [u64; 3];
}

/// Keeps what a tool says, up to a cap.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cap: usize,
}

impl Collector {
    pub(crate) const fn new(cap: usize) -> Self {
        Self { bytes: Vec::new(), cap }
    }

    /// Whether more was said than is kept.
    pub(crate) const fn overflowed(&self) -> bool {
        self.bytes.len() > self.cap
    }
}

impl Listener for Collector {
    fn hear(&mut self, said: &[u8]) {
        // One byte more than the cap marks that there was more.
        let room = (self.cap + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&said[..said.len().min(room)]);
    }

    fn mark(&self) -> [u64; 3] {
        [self.bytes.len() as u64, 0, 0]
    }
}

/// The thread that starts children. It ends when the last clone of this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: std::process::Command,
    reply: oneshot::Sender<io::Result<Guard>>,
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        Running::adopt_orphans();
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            while let Ok(Request { mut command, reply }) = inbox.recv() {
                // A reply that nobody awaits any more drops the guard, which kills the child.
                let _ = reply.send(Guard::start(&mut command));
            }
        })?;
        Ok(Self { requests })
    }

    async fn spawn(&self, command: std::process::Command) -> io::Result<Guard> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.requests.send(Request { command, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// A child that does not outlive its owner.
#[derive(Debug)]
struct Guard {
    child: Option<Child>,
    id: Pid,
}

impl Guard {
    fn start(command: &mut std::process::Command) -> io::Result<Self> {
        let mut known = Running::here().lock();
        let child = command.spawn()?;
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("a process has no id"))?;
        known.insert(id.as_raw_nonzero().get());
        Ok(Self { child: Some(child), id })
    }

    /// Kills the whole group. Only while the leader is unreaped: its id is not given to anyone else until then.
    fn kill(&self) {
        if self.child.is_some() {
            // Fails only when the group is gone already.
            let _ = kill_process_group(self.id, Signal::KILL);
        }
    }

    /// Kills all that the child started, and itself.
    async fn end(&self) -> io::Result<()> {
        self.kill();
        let id = self.id;
        tokio::task::spawn_blocking(move || Running::here().end(id)).await.map_err(io::Error::other)
    }

    /// Reaps a child that has ended.
    fn reap(mut self) -> io::Result<ExitStatus> {
        self.kill();
        let status = self.child.take().map_or_else(|| Err(io::Error::other("reaped twice")), |mut child| child.wait());
        Running::here().lock().remove(&self.id.as_raw_nonzero().get());
        status
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut child) = self.child.take() {
            // A killed process may take a moment to die (in an uninterruptible read, say); nobody shall wait for that.
            let id = self.id;
            let _ = std::thread::Builder::new().name("reaper".to_owned()).spawn(move || {
                Running::here().end(id);
                let status = child.wait();
                Running::here().lock().remove(&id.as_raw_nonzero().get());
                status
            });
        }
    }
}

/// Starts the tool and stays with it to its end.
///
/// # Errors
/// When the launcher cannot be started or a pipe fails; how the tool itself fares is a value.
///
/// # Cancel safety
/// Dropping the future kills the tool and all its children.
pub(crate) async fn run(
    spawner: &Spawner,
    order: &Order,
    listener: &mut dyn Listener,
    cancel: &CancellationToken,
) -> io::Result<Ended> {
    stay(start(spawner, order, Ends::default()).await?, order, listener, cancel).await
}

/// A tool that was started. Dropping it kills the tool and all its children.
#[derive(Debug)]
pub(crate) struct Started {
    guard: Guard,
    began: Instant,
    size_before: u64,
}

impl Started {
    /// Its standard input, where the order says that it has one; once.
    pub(crate) fn stdin(&mut self) -> io::Result<Sender> {
        let end = self.guard.child.as_mut().and_then(|child| child.stdin.take());
        Sender::from_owned_fd(end.ok_or_else(missing)?.into())
    }
}

/// Starts the tool.
///
/// # Errors
/// When the launcher cannot be started.
pub(crate) async fn start(spawner: &Spawner, order: &Order, ends: Ends) -> io::Result<Started> {
    let began = Instant::now();
    let size_before = order.size();
    let guard = spawner.spawn(command(order, ends)?).await?;
    Ok(Started { guard, began, size_before })
}

/// Stays with a tool to its end.
///
/// # Errors
/// When a pipe fails.
///
/// # Cancel safety
/// Dropping the future kills the tool and all its children.
pub(crate) async fn stay(
    started: Started,
    order: &Order,
    listener: &mut dyn Listener,
    cancel: &CancellationToken,
) -> io::Result<Ended> {
    let Started { mut guard, began, size_before } = started;
    let child = guard.child.as_mut().ok_or_else(|| io::Error::other("no child"))?;
    let group = guard.id;
    let mut stdout = child.stdout.take().map(|end| Receiver::from_owned_fd(end.into())).transpose()?;
    let mut stderr = pipe(child.stderr.take().map(OwnedFd::from))?;
    #[expect(deprecated, reason = "its successor is unsafe for types that may close early; an OwnedFd does not")]
    let exit = AsyncFd::new(pidfd_open(group, PidfdFlags::empty())?)?;

    let mut ring = Ring::default();
    let (mut said, mut complained) = ([0; 8192], [0; 4096]);
    let mut stderr_open = true;
    let mut watchdog = Watchdog { since: began, signs: None, beats: 0, pulse: order.pulse.clone() };
    let mut tick = tokio::time::interval(watchdog_period(order.stall));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);

    let ended_by_us = loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break Some(Ending::Canceled),
            read = heard(&mut stdout, &mut said) => match read? {
                0 => stdout = None,
                length => listener.hear(&said[..length]),
            },
            read = stderr.read(&mut complained), if stderr_open => match read? {
                0 => stderr_open = false,
                length => ring.push(&complained[..length]),
            },
            ready = exit.readable() => {
                ready?.retain_ready();
                break None;
            }
            _ = tick.tick() => {
                if began.elapsed() > order.wall {
                    break Some(Ending::TimedOut);
                }
                if watchdog.look(listener.mark(), cpu_time(group)) > order.stall {
                    break Some(Ending::Stalled);
                }
                if let Some(ending) = order.over(group, size_before) {
                    break Some(ending);
                }
            }
        }
    };

    guard.end().await?;
    // The end may have been noticed before the last words were read. Nobody is left who could keep the pipes open,
    // except a process stuck in the kernel: hence the deadline.
    let last_words = async {
        while stdout.is_some()
            && let Ok(length @ 1..) = heard(&mut stdout, &mut said).await
        {
            listener.hear(&said[..length]);
        }
        while let Ok(length @ 1..) = stderr.read(&mut complained).await {
            ring.push(&complained[..length]);
        }
        exit.readable().await.map(|mut ready| ready.retain_ready())
    };
    let dead = matches!(tokio::time::timeout(Duration::from_secs(2), last_words).await, Ok(Ok(())));
    let cpu = cpu_time(group);
    let ending = match (ended_by_us, dead) {
        (Some(ending), false) => ending,
        (Some(ending), true) => guard.reap().map(|_| ending)?,
        (None, _) => {
            let status = guard.reap()?;
            status.code().map_or_else(|| Ending::Killed(status.signal().unwrap_or_default()), Ending::Exited)
        }
    };
    Ok(Ended { ending, stderr: ring, wall: began.elapsed(), cpu })
}

/// Reads what a tool says; waits for ever where it says nothing any more.
async fn heard(stdout: &mut Option<Receiver>, said: &mut [u8]) -> io::Result<usize> {
    match stdout {
        Some(stdout) => stdout.read(said).await,
        None => std::future::pending().await,
    }
}

impl Order {
    /// What the files in its folder take, where that is watched.
    fn size(&self) -> u64 {
        if self.most.files_bytes == u64::MAX { 0 } else { size_of(&self.scratch) }
    }

    /// How the tool is to end, if it takes more than it may.
    fn over(&self, tool: Pid, size_before: u64) -> Option<Ending> {
        let look = if self.most.is_alone { survivors::taken_alone } else { survivors::taken };
        let Taken { memory_bytes, processes } = look(tool);
        if memory_bytes > self.most.memory_bytes {
            Some(Ending::OverMemory)
        } else if processes > self.most.processes {
            Some(Ending::OverProcesses)
        } else {
            let grown = self.size().saturating_sub(size_before);
            (grown > self.most.files_bytes).then_some(Ending::OverSize)
        }
    }
}

/// Bytes of all files below a folder. No link is followed.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).fold(0, u64::saturating_add)
}

fn command(order: &Order, ends: Ends) -> io::Result<std::process::Command> {
    let stdin = match ends.stdin {
        Some(end) => end.into(),
        None if order.is_asked => Stdio::piped(),
        None => Stdio::null(),
    };
    let (program, arguments) = order.line.split_first().ok_or_else(|| io::Error::other("nothing to start"))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .current_dir(&order.scratch)
        .env_clear()
        .envs([("LC_ALL", "C"), ("AV_LOG_FORCE_NOCOLOR", "1"), ("SVT_LOG", "1")])
        .env("TMPDIR", &order.scratch)
        .stdin(stdin)
        .stdout(ends.stdout.map_or_else(Stdio::piped, Into::into))
        .stderr(Stdio::piped())
        .process_group(0);
    Ok(command)
}

fn pipe(end: Option<OwnedFd>) -> io::Result<Receiver> {
    Receiver::from_owned_fd(end.ok_or_else(missing)?)
}

fn missing() -> io::Error {
    io::Error::other("a pipe is missing")
}

/// How often the watchdog looks: often enough for the wall-clock cap and for a tool that grows, and several times in a
/// stall.
fn watchdog_period(stall: Duration) -> Duration {
    (stall / 8).clamp(Duration::from_millis(20), Duration::from_millis(250))
}

struct Watchdog {
    since: Instant,
    signs: Option<([u64; 3], Duration)>,
    /// Those of the pulse that were noticed.
    beats: u64,
    pulse: Option<Pulse>,
}

impl Watchdog {
    /// Compares the signs of life with those of the last look; gives for how long they have been the same.
    fn look(&mut self, mark: [u64; 3], cpu: Duration) -> Duration {
        let before = self.signs.replace((mark, cpu));
        if before != Some((mark, cpu)) {
            self.since = Instant::now();
        }
        if let Some(Pulse { beats, by_cpu }) = &self.pulse {
            let told = before.is_none_or(|(before, _)| before != mark);
            let grew = *by_cpu && before.is_none_or(|(_, before)| before != cpu);
            let now = beats.fetch_add(u64::from(told || grew), Ordering::Relaxed) + u64::from(told || grew);
            if std::mem::replace(&mut self.beats, now) != now {
                self.since = Instant::now();
            }
        }
        self.since.elapsed()
    }
}

/// CPU time of the process and its ended children so far, user and system; zero once it is reaped.
///
/// # Source
/// proc_pid_stat(5): fields 14 to 17, in clock ticks; counted after the last `)`, as a name may hold anything.
fn cpu_time(pid: Pid) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Finds a program: a path is itself, a bare name is looked up in `PATH`.
pub(crate) fn find(program: &Path) -> Option<PathBuf> {
    let executable = |path: &PathBuf| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
    if program.components().count() > 1 {
        return Some(std::path::absolute(program).ok()?).filter(executable);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(executable)
}

/// An option and its value, for argument vectors.
pub(crate) fn option(line: &mut Vec<OsString>, name: &str, value: impl AsRef<OsStr>) {
    line.push(name.into());
    line.push(value.as_ref().to_owned());
}
