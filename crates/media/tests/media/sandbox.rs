//! What a tool in the sandbox can reach. Each test runs a shell in the place of ffmpeg and asks it to do what it
//! should not be able to do.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::rig::Rig;

/// Runs a shell through the launcher, with `input` to read and `scratch` to write.
fn shell(mode: &str, input: &Path, scratch: &Path, script: &str) -> Output {
    #[expect(clippy::disallowed_methods, reason = "the launcher itself is under test")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelhook-sandbox"));
    command
        .args(["--mode", mode, "--read"])
        .arg(input)
        .arg("--write")
        .arg(scratch)
        .args(["--", "/bin/sh", "-c", script]);
    command.current_dir(scratch).stdin(Stdio::null()).output().expect("the launcher starts")
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("it works");
        std::fs::create_dir(folder.path().join("scratch")).expect("it works");
        std::fs::write(folder.path().join("input"), "the input").expect("it works");
        std::fs::write(folder.path().join("secret"), "the secret").expect("it works");
        Self { folder }
    }

    fn try_to(&self, script: &str) -> bool {
        self.run("require", script).status.success()
    }

    fn run(&self, mode: &str, script: &str) -> Output {
        shell(mode, &self.folder.path().join("input"), &self.folder.path().join("scratch"), script)
    }
}

#[test]
fn the_input_can_be_read_and_the_scratch_folder_written() {
    let place = Place::new();
    assert!(place.try_to("cat ../input > copy && cat copy && mkdir a && mv copy a/ && rm -r a"));
    assert!(place.try_to("echo x > /dev/null && head -c 1 /dev/urandom > /dev/null"));
}

#[test]
fn nothing_else_can_be_read_or_written() {
    let place = Place::new();
    for script in [
        "cat ../secret",
        "cat /etc/passwd",
        "cat /etc/hostname",
        "ls /",
        "ls /tmp",
        "ls ..",
        "cat /proc/1/status",
        "cat /proc/self/net/tcp",
        "cat /proc/self/net/unix",
        "cat /proc/self/mountinfo",
        "cat /proc/self/mounts",
        "cat /proc/self/environ",
        "cat /proc/self/cgroup",
        "ls /proc/self/task",
        "ls /proc/self/fd",
        "echo x > ../input",
        "echo x > ../new",
        "echo x > /tmp/reelhook-sandbox-test",
        "rm ../input",
        "mkfifo pipe",
        "ln -s x link",
        "echo x > file && ln file hard",
        "ln ../secret here && cat here",
        "ln -sf ../secret link && cat link",
    ] {
        assert!(!place.try_to(script), "{script}");
        // What fails in the sandbox has to work outside, or the test proves nothing.
        let outside = script.contains("tmp/reelhook") || script.contains("rm ") || script.contains("> ../input");
        assert!(outside || place.run("off", script).status.success(), "{script} fails even outside");
    }
}

#[test]
fn no_network_can_be_reached() {
    let place = Place::new();
    let (raw, datagram) = (libc::SOCK_RAW, libc::SOCK_DGRAM);
    for (family, kind) in
        [(libc::AF_INET, datagram), (libc::AF_INET6, datagram), (libc::AF_NETLINK, raw), (libc::AF_PACKET, raw)]
    {
        let script =
            format!("exec perl -MErrno -e 'exit(socket(my $s, {family}, {kind}, 0) ? 0 : $!{{EPERM}} ? 13 : 14)'");
        assert_eq!(place.run("require", &script).status.code(), Some(13), "family {family}");
    }
}

/// Runs Perl through the launcher: what the lines say, with `call(NUMBER, ...)` for a system call. Ends with 13 where that
/// is not permitted, 38 where it does not exist, 0 where it worked.
fn call(place: &Place, arguments: &str) -> Option<i32> {
    let script = format!(
        "exec perl -MErrno -e 'exit(syscall({arguments}) >= 0 ? 0 : $!{{EPERM}} || $!{{EACCES}} ? 13 : $!{{ENOSYS}} ? 38 : 14)'"
    );
    place.run("require", &script).status.code()
}

#[test]
fn a_service_that_listens_on_a_path_cannot_be_reached() {
    let place = Place::new();
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        assert_eq!(call(&place, &format!("{}, {}, {kind}, 0", libc::SYS_socket, libc::AF_UNIX)), Some(13));
    }
    let pair = format!("{}, {}, {}, 0, my $pair = \"x\" x 8", libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM);
    assert_eq!(call(&place, &pair), Some(13));
    assert_eq!(call(&place, &format!("{}, 0, my $address = \"x\" x 16, 16", libc::SYS_connect)), Some(13));
}

#[test]
fn other_processes_are_left_alone() {
    let place = Place::new();
    let other = std::process::id();
    let limit = "my $limit = pack(\"QQ\", 77, 77)";
    for arguments in [
        format!("{}, {other}, 7, {limit}, 0", libc::SYS_prlimit64),
        format!("{}, {other}, 7, 0, my $old = \"x\" x 16", libc::SYS_prlimit64),
        format!("{}, 0, {other}, 19", libc::SYS_setpriority),
        format!("{}, 1, 0, 19", libc::SYS_setpriority),
        format!("{}, {other}, 8, my $cpus = \"\\1\\0\\0\\0\\0\\0\\0\\0\"", libc::SYS_sched_setaffinity),
        format!("{}, {other}, 0, my $none = \"\\0\" x 4", libc::SYS_sched_setscheduler),
        format!("{}, {other}, 0", libc::SYS_kill),
        format!("{}, -1, 0", libc::SYS_kill),
        format!("{}, 0, 0", libc::SYS_kill),
        format!("{}, {other}, {other}, 0", libc::SYS_tgkill),
        format!("{}, {other}, 0", libc::SYS_tkill),
        format!("{}, {other}, 0, my $info = \"\\0\" x 128", libc::SYS_rt_sigqueueinfo),
        format!("{}, {other}, {other}, 0, my $info = \"\\0\" x 128", libc::SYS_rt_tgsigqueueinfo),
        format!("{}, {other}, 0", libc::SYS_pidfd_open),
        format!("{}, 0, 0, 0, 0", libc::SYS_pidfd_send_signal),
        format!("{}, 16, {other}, 0, 0", libc::SYS_ptrace),
        format!("{}, {other}, 0, 0, 0, 0, 0", libc::SYS_process_vm_readv),
        format!("{}, 1, {other}, 0", libc::SYS_ioprio_set),
        format!("{}, 0, 8, {other}", libc::SYS_fcntl),
    ] {
        assert_eq!(call(&place, &arguments), Some(13), "{arguments}");
    }
    // Itself it may ask after and hold back.
    for arguments in [
        format!("{}, $$ + 0, 0", libc::SYS_kill),
        format!("{}, 0, 7, 0, my $old = \"x\" x 16", libc::SYS_prlimit64),
        format!("{}, 0, 0, 19", libc::SYS_setpriority),
    ] {
        assert_eq!(call(&place, &arguments), Some(0), "{arguments}");
    }
}

#[test]
fn owners_modes_times_and_attributes_stay_as_they_are() {
    let place = Place::new();
    let secret = place.folder.path().join("secret");
    let name = format!("my $path = \"{}\"", secret.display());
    let at = format!("-100, {name}");
    for arguments in [
        format!("{}, {at}, 0644", libc::SYS_fchmodat),
        format!("{}, {at}, 0644, 0", libc::SYS_fchmodat2),
        format!("{}, {at}, 0, 0, 0", libc::SYS_fchownat),
        format!("{}, {at}, 0, 0", libc::SYS_utimensat),
        format!("{}, {name}, my $k = \"user.x\", my $v = \"1\", 1, 0", libc::SYS_setxattr),
        format!("{}, {name}, my $k = \"user.x\"", libc::SYS_removexattr),
        format!("{}, 0, 0644", libc::SYS_fchmod),
        format!("{}, 0, 0, 0", libc::SYS_fchown),
        format!("{}, 0, my $k = \"user.x\", my $v = \"1\", 1, 0", libc::SYS_fsetxattr),
    ] {
        assert_eq!(call(&place, &arguments), Some(13), "{arguments}");
    }
    #[cfg(target_arch = "x86_64")]
    for arguments in [
        format!("{}, {name}, 0644", libc::SYS_chmod),
        format!("{}, {name}, 0, 0", libc::SYS_chown),
        format!("{}, {name}, 0", libc::SYS_utime),
        format!("{}, {name}, 0", libc::SYS_utimes),
    ] {
        assert_eq!(call(&place, &arguments), Some(13), "{arguments}");
    }
}

#[test]
fn what_outlives_a_process_cannot_be_made() {
    let place = Place::new();
    for arguments in [
        format!("{}, 0, 0, 0", libc::SYS_setsid),
        format!("{}, 0, 0", libc::SYS_setpgid),
        // PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER.
        format!("{}, 1, 0, 0, 0, 0", libc::SYS_prctl),
        format!("{}, 36, 1, 0, 0, 0", libc::SYS_prctl),
        format!("{}, 0, 4096, 01600", libc::SYS_shmget),
        format!("{}, 0, 01600", libc::SYS_msgget),
        format!("{}, 0, 1, 01600", libc::SYS_semget),
        format!("{}, my $n = \"q\", 0102, 0600, 0", libc::SYS_mq_open),
        format!("{}, my $n = \"m\", 0", libc::SYS_memfd_create),
        format!("{}, my $to = \"../secret\", -100, my $n = \"link\"", libc::SYS_symlinkat),
        format!("{}, -100, my $to = \"here\", -100, my $n = \"link\", 0", libc::SYS_linkat),
        format!("{}, -100, my $n = \"pipe\", 010600, 0", libc::SYS_mknodat),
    ] {
        assert_eq!(call(&place, &arguments), Some(13), "{arguments}");
    }
}

#[test]
fn no_namespace_is_entered_and_no_call_comes_by_another_door() {
    let place = Place::new();
    let child = libc::SIGCHLD;
    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_PARENT,
    ];
    for flag in namespaces {
        assert_eq!(call(&place, &format!("{}, {}, 0, 0, 0, 0", libc::SYS_clone, flag | child)), Some(13), "{flag:x}");
        assert_eq!(call(&place, &format!("{}, {flag}", libc::SYS_unshare)), Some(13), "{flag:x}");
    }
    assert_eq!(call(&place, &format!("{}, my $arguments = \"\\0\" x 88, 88", libc::SYS_clone3)), Some(38));
    // Calls that are newer than the list.
    assert_eq!(call(&place, "500, 0"), Some(38));
    for denied in [
        libc::SYS_seccomp,
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_mount,
        libc::SYS_fsopen,
        libc::SYS_fspick,
        libc::SYS_fsconfig,
        libc::SYS_open_tree,
        libc::SYS_name_to_handle_at,
        libc::SYS_fanotify_init,
        libc::SYS_inotify_init1,
        libc::SYS_personality,
        libc::SYS_setuid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_keyctl,
        libc::SYS_syslog,
        libc::SYS_landlock_create_ruleset,
    ] {
        assert_eq!(call(&place, &format!("{denied}, 0, 0, 0, 0, 0")), Some(13), "{denied}");
    }
    // x32: socket, and getpid, which is allowed by its own number.
    #[cfg(target_arch = "x86_64")]
    for number in [41, 39] {
        assert_eq!(call(&place, &format!("{}, 1, 1, 0", 0x4000_0000_i64 + number)), Some(13), "{number}");
    }
}

#[test]
fn a_compiled_tool_starts_threads_and_no_processes() {
    let run = |more: &[&str], script: &str| {
        #[expect(clippy::disallowed_methods, reason = "the launcher itself is under test")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_reelhook-sandbox"));
        command.args(["--mode", "require"]).args(more).args(["--", "/usr/bin/perl", "-e", script]).output().unwrap()
    };
    for script in
        ["exit(defined fork ? 0 : 14)", &format!("exit(syscall({}, 17, 0, 0, 0, 0) < 0 ? 14 : 0)", libc::SYS_clone)]
    {
        assert_eq!(run(&["--no-processes"], script).status.code(), Some(14));
        assert_eq!(run(&[], script).status.code(), Some(0));
    }
    let threads = "use threads; exit(threads->create(sub { 7 })->join() == 7 ? 0 : 14)";
    assert_eq!(run(&["--no-processes"], threads).status.code(), Some(0));
}

#[test]
fn an_input_that_is_a_link_is_not_opened_to_the_tool() {
    let place = Place::new();
    let link = place.folder.path().join("link");
    std::os::unix::fs::symlink(place.folder.path().join("secret"), &link).unwrap();
    for mode in ["require", "auto", "off"] {
        let output = shell(mode, &link, &place.folder.path().join("scratch"), "cat ../link");
        assert_eq!(output.status.code(), Some(125), "{mode}");
    }
}

#[test]
fn a_file_that_may_only_be_read_cannot_be_emptied() {
    let place = Place::new();
    for script in [": > ../input", "exec perl -e 'exit(truncate(\"../input\", 0) ? 0 : 1)'"] {
        assert!(!place.try_to(script), "{script}");
    }
    assert_eq!(std::fs::read_to_string(place.folder.path().join("input")).unwrap(), "the input");
}

#[test]
fn a_shell_and_python_do_their_usual_work() {
    let place = Place::new();
    let shell = "x=$(cat ../input | tr a-z A-Z); (sleep 0 & wait); mkdir d; echo $x > d/f; for f in d/*; do grep -q INPUT $f; done";
    assert!(place.try_to(shell));
    let python = "import os, subprocess, threading\n\
        assert subprocess.run(['cat', '../input'], capture_output=True, check=True).stdout == b'the input'\n\
        t = threading.Thread(target=lambda: open('t', 'w').write('x')); t.start(); t.join()\n\
        os.rename('t', 'u'); assert os.listdir('.') != []";
    std::fs::write(place.folder.path().join("scratch/work.py"), python).unwrap();
    assert!(place.try_to("exec python3 work.py"));
}

#[test]
fn limits_and_priority_are_put_on() {
    let place = Place::new();
    let output = place.run("require", "exec grep 1000 /proc/self/oom_score_adj");
    assert!(!output.status.success(), "the mark can be read, and perhaps written");
    let output = place.run("off", "cat /proc/self/oom_score_adj; echo 0 > /proc/self/oom_score_adj");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("1000\n"));
    let output = place.run("require", "ulimit -c; ulimit -n; nice");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n256\n19\n");
    assert!(place.try_to("exec grep -q 'NoNewPrivs:.*1' /proc/self/status"));
    assert!(place.try_to("exec grep -q 'Seccomp:.*2' /proc/self/status"));
}

#[test]
fn a_tool_does_not_start_when_its_parent_is_not_who_it_should_be() {
    #[expect(clippy::disallowed_methods, reason = "the launcher itself is under test")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelhook-sandbox"));
    let output = command.args(["--parent", "1", "--", "/bin/true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the parent is gone"));
}

#[test]
fn a_tool_dies_with_its_parent_even_by_kill_9() {
    let place = Place::new();
    let launcher = env!("CARGO_BIN_EXE_reelhook-sandbox");
    let script = format!("{launcher} --parent $$ --write . -- /bin/sh -c 'echo $$; exec sleep 1000' & wait");
    #[expect(clippy::disallowed_methods, reason = "the launcher itself is under test")]
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).current_dir(place.folder.path()).stdout(Stdio::piped());
    let mut parent = command.spawn().unwrap();
    let mut said = BufReader::new(parent.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The pipe ends when its last writer, the child, is gone.
    assert_eq!(said.read_line(&mut String::new()).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toolbox_knows_the_layers() {
    let rig = Rig::new().await;
    assert!(rig.toolbox.capabilities().layers.missing().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn toolboxes_of_one_process_leave_each_others_tools_alone() {
    // Each asks its tools several questions at once, and ends what they leave.
    for _ in 0..4 {
        let detect = || reelhook_media::Toolbox::detect(crate::rig::settings());
        let (first, second, third) = tokio::join!(detect(), detect(), detect());
        assert!(first.is_ok() && second.is_ok() && third.is_ok(), "{first:?} {second:?} {third:?}");
    }
}
