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
        "echo x > ../input",
        "echo x > ../new",
        "echo x > /tmp/reelhook-sandbox-test",
        "rm ../input",
        "mkfifo pipe",
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
    let unix = format!("exec perl -e 'exit(socket(my $s, {}, {}, 0) ? 0 : 14)'", libc::AF_UNIX, libc::SOCK_STREAM);
    assert!(place.try_to(&unix));
}

#[test]
fn limits_and_priority_are_put_on() {
    let place = Place::new();
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
