//! The first minutes: what the program prints works as printed, with any port and any folder.

use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::Value;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::world::{PATIENCE, Serve, World};

/// A shell with the program on its path and none of our variables.
#[expect(clippy::disallowed_methods, reason = "the shell of a person is no child of a job")]
fn shell(lines: &str) -> Command {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_reelhook"));
    let mut path = std::ffi::OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-euc", lines]).env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REELHOOK_")) {
        command.env_remove(name);
    }
    command
}

/// Starts a server as a person does and gives it with what it printed until it listened.
async fn serve(lines: &str, folder: &std::path::Path) -> (Child, String) {
    let mut command = shell(lines);
    let mut server = command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            printed += &format!("{line}\n");
            if line.starts_with("Reelhook listens on") {
                return;
            }
        }
        panic!("the server ended: {printed}");
    })
    .await
    .expect("the server starts");
    (server, printed)
}

/// The commands of the program that stand between backticks.
fn between_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).filter(|words| words.starts_with("reelhook ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_start_prints_works_as_printed() {
    let place = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("clip.mov"), clips::bytes(Clip::Video)).unwrap();
    let (mut server, printed) =
        serve("exec reelhook serve --dev --listen 127.0.0.1:0 --data 'my data'", place.path()).await;

    let key = between_backticks(&printed);
    assert_eq!(key.len(), 1, "{printed}");
    let made = shell(key[0]).current_dir(elsewhere.path()).output().await.unwrap();
    assert!(
        made.status.success() && made.stdout.starts_with(b"rh_"),
        "{printed}\n{}",
        String::from_utf8_lossy(&made.stderr)
    );

    let tried = printed.split_once("Try it:").unwrap().1.split("\n\n").next().unwrap();
    assert!(tried.contains("export") && tried.contains("reelhook submit clip.mov --wait"), "{printed}");
    let ran = shell(tried).current_dir(elsewhere.path()).output().await.unwrap();
    assert!(ran.status.success(), "{tried}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(elsewhere.path().join("auto.mp4").exists() || String::from_utf8_lossy(&ran.stdout).contains("auto"));
    server.kill().await.unwrap();

    // Without a terminal and without --dev the key is in a file, and the hint names the folder all the same.
    let (mut server, printed) = serve("exec reelhook serve --listen 127.0.0.1:0 --data other/", place.path()).await;
    let key = between_backticks(&printed);
    assert_eq!(key.len(), 1, "{printed}");
    let account = shell(&key[0].replace("keys create", "accounts create shop")).current_dir(elsewhere.path()).output();
    let account = account.await.unwrap();
    let hint = String::from_utf8(account.stderr).unwrap();
    let hint = hint.trim().strip_prefix("create a key for it: ").unwrap_or_else(|| panic!("{hint}"));
    for command in [key[0], hint] {
        let made = shell(command).current_dir(elsewhere.path()).output().await.unwrap();
        assert!(made.stdout.starts_with(b"rh_"), "{command}: {}", String::from_utf8_lossy(&made.stderr));
    }
    server.kill().await.unwrap();
    assert!(!elsewhere.path().join("reelhook-data").exists(), "nothing was made beside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_alone_is_submitted_to_be_made_smaller() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    std::fs::write(world.folder().join("clip.mp4"), clips::bytes(Clip::Video)).unwrap();
    let hook = receiver.url("/hook");
    let hook = format!("localhost:{}/hook", hook.port().unwrap());
    let (code, id, err) = world.try_client(&["submit", "clip.mp4", "--webhook", &hook]).await;
    assert_eq!(code, 0, "{err}");
    let job = world.job_ended(id.trim(), "completed").await;
    assert_eq!(job["outputs"][0]["recipe"], "auto");
    let received = receiver.wait_for(1, PATIENCE).await;
    let body: Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(body["data"]["id"], id.trim());

    // The server's own address is read like any other.
    let server = world.url("/");
    let server = format!("localhost:{}", server.port().unwrap());
    for url in [server.clone(), format!("{server}/v1"), format!("{server}/v1/")] {
        let (code, out, err) = world.try_client(&["jobs", "get", id.trim(), "--url", &url]).await;
        assert!(code == 0 && out.contains("completed"), "{url}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_a_page_and_a_program_a_problem() {
    let world = World::start(Serve::public()).await;
    let browser = [("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
    let page = world.get_as_stranger(world.url("/"), &browser).await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = std::str::from_utf8(&page.body).unwrap();
    let links: Vec<_> = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 3, "{text}");
    for link in links {
        assert_eq!(world.get_as_stranger(world.url("/").join(link).unwrap(), &[]).await.status, 200, "{link}");
    }
    for accept in ["*/*", "application/json"] {
        let problem = world.get_as_stranger(world.url("/"), &[("accept", accept)]).await.expect(404);
        assert_eq!(problem["code"], "not_found");
    }
}
