//! Which system calls a tool may make: what a file-to-file program needs, and no other.
//!
//! A list of what is allowed. A call that is not on it fails with `EPERM`; a call newer than the list, and `clone3`, fail
//! with `ENOSYS`, so that the C library takes the older one. What the list leaves out on purpose:
//!
//! - sockets of any kind: a service of the machine that listens on a path would run what it is told;
//! - signals, limits, priorities and CPUs of other processes; `prctl` beyond names, so that the signal that comes with
//!   the parent's death stays;
//! - `setsid` and `setpgid`: all processes of a tool stay in one group, which is killed as one when the step ends;
//! - owners, modes, times and attributes of files, which Landlock has no right for;
//! - links, pipes with a name, shared memory and queues of System V and POSIX, which outlive processes;
//! - new namespaces, mounts, keys, `io_uring`, `bpf`, `ptrace`, and all that only an administrator needs.
//!
//! A tool that is a compiled program, as the real ones are, may start threads and no processes, so that nothing of it can
//! outlive it. A script may start processes, for it does its work through them.
//!
//! `execve` is allowed: seccomp cannot tell the launcher's own call from a later one. What is started by a later one runs
//! under the same rules and has the same rights: both Landlock and seccomp hold across it, and `no_new_privs` lets no
//! program add to them.
//!
//! # Source
//! seccomp(2), clone(2); <https://docs.kernel.org/userspace-api/seccomp_filter.html>

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// Whether a tool may start processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// Threads of its own alone.
    Threads,
    /// Processes too.
    Processes,
}

/// Allowed whatever the arguments are, on every architecture.
const ALLOWED: &[i64] = &[
    // Files, by descriptor.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_readahead,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_getdents64,
    // Files, by name: Landlock says which.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_umask,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_truncate,
    // Waiting for descriptors.
    libc::SYS_pipe2,
    libc::SYS_pselect6,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    // Memory of its own.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_membarrier,
    libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy,
    libc::SYS_mbind,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getcpu,
    // The process itself.
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_getpriority,
    libc::SYS_getrusage,
    libc::SYS_capget,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    // Signals to itself.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Answered by the other filter.
    libc::SYS_clone3,
    libc::SYS_seccomp,
];

/// The older spellings that x86-64 also has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getpgrp,
    libc::SYS_time,
    libc::SYS_alarm,
    libc::SYS_pause,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

/// Calls of x86-64 that start a process and say nothing else.
#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[i64] = &[];

/// What a descriptor may be asked by `ioctl`: whether it is a terminal, how large, how much waits in it; and the two
/// that set what `fcntl` also sets.
const IOCTLS: &[u64] = &[libc::TCGETS, libc::TIOCGWINSZ, libc::TIOCGPGRP, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX];

/// What `fcntl` may do: copies, flags, locks, the size of a pipe. Not who gets a descriptor's signals.
const FCNTLS: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
];

/// What `prctl` may do: names of threads and of memory, and questions.
const PRCTLS: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_NO_NEW_PRIVS,
    // Cannot be taken back; the other filter is put on with it.
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_CAPBSET_READ,
    PR_SET_VMA,
];

/// Names a range of memory; `libc` has the number for other systems alone.
const PR_SET_VMA: i32 = 0x5356_4d41;

/// Flags of `clone` that put the child elsewhere: into a namespace, beside its parent, out of a tracer's sight.
const ELSEWHERE: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PARENT
    | libc::CLONE_PTRACE
    | libc::CLONE_UNTRACED;

/// Numbers from here on are those of x32, an interface of x86-64 with calls of its own.
const X32: u32 = 0x4000_0000;
/// The newest call that the list was made with: `mseal`. Later ones are unknown to it.
const NEWEST: u32 = 462;

/// Puts the filters on this process and its children.
pub(super) fn restrict(starts: Starts) -> Result<(), String> {
    let allowed = allowed(starts, std::process::id()).map_err(|error| error.to_string())?;
    // Both are asked, the later one first, and of two that refuse the one asked first names the error.
    seccompiler::apply_filter(&allowed).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&unknown()).map_err(|error| error.to_string())
}

/// The filter that lets nothing pass but what is listed.
fn allowed(starts: Starts, own_id: u32) -> Result<BpfProgram, BackendError> {
    let own_id = u64::from(own_id);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_ioctl, any_of(1, IOCTLS.iter().copied())?);
    rules.insert(libc::SYS_fcntl, any_of(1, FCNTLS.iter().map(|&command| command.unsigned_abs().into()))?);
    rules.insert(libc::SYS_prctl, any_of(0, PRCTLS.iter().map(|&option| option.unsigned_abs().into()))?);
    // The process is its own when it is named 0, or by its id: a thread has that id as its group.
    for call in [libc::SYS_prlimit64, libc::SYS_sched_setaffinity] {
        rules.insert(call, any_of(0, [0, own_id])?);
    }
    for call in [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill] {
        rules.insert(call, any_of(0, [own_id])?);
    }
    let own_priority = vec![equal(0, u64::from(libc::PRIO_PROCESS))?, equal(1, 0)?];
    rules.insert(libc::SYS_setpriority, vec![SeccompRule::new(own_priority)?]);
    let here = masked(0, ELSEWHERE, 0)?;
    rules.insert(
        libc::SYS_clone,
        vec![SeccompRule::new(match starts {
            Starts::Threads => vec![here, masked(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?],
            Starts::Processes => vec![here],
        })?],
    );
    if starts == Starts::Processes {
        rules.extend(FORKS.iter().map(|&call| (call, Vec::new())));
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, denied, SeccompAction::Allow, arch)?.try_into()
}

/// The filter that says of calls that they do not exist, and closes the door behind both. It is written out, for the
/// library has no comparison of numbers of calls; the other filter looks at the architecture and refuses x32.
fn unknown() -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    // Where the test holds, so many steps are passed over.
    let pass = |test: u32, k, steps| step(libc::BPF_JMP | test | libc::BPF_K, steps, 0, k);
    let answer = |action| step(libc::BPF_RET | libc::BPF_K, 0, 0, action);
    let error = |number: i32| answer(libc::SECCOMP_RET_ERRNO | number.unsigned_abs());
    vec![
        // The number is the first field of `struct seccomp_data`.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        pass(libc::BPF_JGE, X32, 3),
        pass(libc::BPF_JGT, NEWEST, 3),
        pass(libc::BPF_JEQ, libc::SYS_clone3 as u32, 2),
        pass(libc::BPF_JEQ, libc::SYS_seccomp as u32, 2),
        answer(libc::SECCOMP_RET_ALLOW),
        error(libc::ENOSYS),
        error(libc::EPERM),
    ]
}

fn equal(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    let [mask, value] = [mask, value].map(|bits| u64::from(bits.cast_unsigned()));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

/// A call with one of these values as that argument.
fn any_of(argument: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, BackendError> {
    values.into_iter().map(|value| SeccompRule::new(vec![equal(argument, value)?])).collect()
}
