//! Resource limits, priority, and death: with the parent, and before all others when memory runs out.

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, nice, set_parent_process_death_signal, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

/// How much a tool may take. Absent means the machine's own limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Memory that it may write to and shares with no other process.
    pub(super) data_bytes: Option<u64>,
    /// All that it maps, whether it is used or not.
    pub(super) address_space_bytes: Option<u64>,
    pub(super) file_size_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<u64>,
    /// Processes and threads of this user, which the kernel does not hold root to.
    pub(super) processes: Option<u64>,
}

/// The tools open an input, a few outputs and their libraries.
const OPEN_FILES: u64 = 256;

impl Bounds {
    /// Takes them on, and the lowest priority.
    pub(super) fn apply(self) -> Result<(), String> {
        // A core file of an encoder is gigabytes of the caller's content.
        limit(Resource::Core, 0)?;
        limit(Resource::Nofile, OPEN_FILES)?;
        die_first();
        // The server does without huge pages, and children inherit that; pixels are worth them.
        let _ = disable_transparent_huge_pages(false);
        for (resource, value) in [
            (Resource::Data, self.data_bytes),
            (Resource::Nproc, self.processes),
            (Resource::As, self.address_space_bytes),
            (Resource::Fsize, self.file_size_bytes),
            (Resource::Cpu, self.cpu_seconds),
        ] {
            if let Some(value) = value {
                limit(resource, value)?;
            }
        }
        // A container may forbid it; running at normal priority is no reason to refuse.
        let _ = nice(19);
        Ok(())
    }
}

fn limit(resource: Resource, value: u64) -> Result<(), String> {
    // A hard limit that is lower already stays: it cannot be raised.
    let hardest = rustix::process::getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    let wanted = Rlimit { current: Some(hardest), maximum: Some(hardest) };
    setrlimit(resource, wanted).map_err(|error| format!("cannot limit {resource:?} to {hardest}: {error}"))
}

/// Makes this process the first that the kernel ends when memory runs out, before the server.
fn die_first() {
    // Where `/proc` is missing the kernel chooses by size, which is no reason to refuse.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Asks the kernel to kill this process when its parent's thread ends, and makes sure that it has not ended yet.
///
/// # Source
/// `PR_SET_PDEATHSIG` in prctl(2): the signal follows the *thread* that started the child, which is why processes are
/// started by a thread that lives as long as the toolbox; and a parent that died before the call sends none.
pub(super) fn die_with(parent: Option<i32>) -> Result<(), String> {
    let Some(parent) = parent else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot tie to the parent: {error}"))?;
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) == Some(parent) {
        Ok(())
    } else {
        Err("the parent is gone".to_owned())
    }
}
