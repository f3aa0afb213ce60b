//! What this machine lets the process have.

use std::sync::LazyLock;

static MEMORY: LazyLock<u64> = LazyLock::new(|| {
    let machine = rustix::system::sysinfo();
    let machine = machine.totalram.saturating_mul(machine.mem_unit.into());
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|most| most.trim().parse().ok());
    group.map_or(machine, |group: u64| group.min(machine))
});

/// Bytes of memory of the machine, or of the control group of this process where that may take less. Read once.
pub(crate) fn memory_bytes() -> u64 {
    *MEMORY
}
