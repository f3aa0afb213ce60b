//! The program under test, as a shell starts it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs `reelhook` with those arguments and that text on stdin, with none of our variables in its environment.
pub(crate) fn run(arguments: &[&str], stdin: &str) -> Output {
    #[expect(clippy::disallowed_methods, reason = "the program under test is no child of a job")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelhook"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REELHOOK_")) {
        command.env_remove(name);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().expect("it is a pipe").write_all(stdin.as_bytes());
    child.wait_with_output().expect("the program ends")
}

/// What it printed, and how it ended.
pub(crate) fn shown(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
