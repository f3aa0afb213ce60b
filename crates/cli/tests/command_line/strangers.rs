//! The API key goes to the server and to nothing else.

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Receiver, Reply};

use crate::world::{Serve, World};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Every command that sends the key, with something that is no server as its `--url`.
fn commands(stranger: &str) -> Vec<Vec<String>> {
    let job = "job_00000000000000000000000000";
    let commands: [&[&str]; 13] = [
        &["submit", "clip.mp4"],
        &["submit", "http://example.com/a.mp4", "--wait"],
        &["trigger", "job.completed"],
        &["trigger", "invoice.paid"],
        &["listen", "--forward-to", "localhost:1"],
        &["jobs", "list"],
        &["jobs", "get", job],
        &["jobs", "watch", job],
        &["jobs", "cancel", job],
        &["jobs", "retry", job],
        &["secrets", "create", "transcodely", "--secret", "a secret of the receivers"],
        &["secrets", "list"],
        &["secrets", "revoke", "sec_00000000000000000000000000"],
    ];
    commands
        .iter()
        .map(|command| [*command, &["--url", stranger]].concat().iter().map(|&word| word.to_owned()).collect())
        .collect()
}

/// That none of what came names the key or a secret.
fn check(stranger: &Receiver, key: &str) {
    for received in stranger.requests() {
        let said = format!("{:?} {}", received.headers, String::from_utf8_lossy(&received.body));
        assert!(!said.contains(key) && !said.contains("authorization"), "{said}");
        assert!(!said.contains("a secret of the receivers"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_no_server_never_sees_the_key() {
    let world = World::start(Serve::dev()).await;
    std::fs::write(world.folder().join("clip.mp4"), clips::bytes(Clip::Video)).unwrap();
    let replies = [
        Reply::status(200),
        Reply::status(200).header("content-type", "application/json").body(r#"{"status": "ok"}"#),
        Reply::status(401).body(r#"{"code": "unauthorized"}"#),
        Reply::status(404).body("<html>"),
    ];
    for reply in replies {
        let stranger = Receiver::start().await;
        stranger.otherwise(reply);
        for command in commands(stranger.url("/hook").as_str()) {
            let words: Vec<_> = command.iter().map(String::as_str).collect();
            let (code, out, err) = world.try_client(&words).await;
            assert_eq!((code, out.as_str()), (2, ""), "{command:?}: {err}");
            assert!(err.contains("is not a Reelhook server") && err.contains("was not sent"), "{err}");
        }
        assert!(stranger.count() > 0);
        check(&stranger, &world.key());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_is_not_followed_with_the_key() {
    let world = World::start(Serve::dev()).await;
    std::fs::write(world.folder().join("clip.mp4"), clips::bytes(Clip::Video)).unwrap();
    let (front, stranger) = (Receiver::start().await, Receiver::start().await);
    for status in [301, 302, 303, 307, 308] {
        front.otherwise(Reply::status(status).header("location", stranger.url("/v1/jobs").as_str()));
        for command in commands(front.url("/").as_str()) {
            let words: Vec<_> = command.iter().map(String::as_str).collect();
            let (code, _, err) = world.try_client(&words).await;
            assert_eq!(code, 3, "{command:?}: {err}");
            assert!(err.contains("redirects to") && err.contains("--url"), "{err}");
        }
    }
    assert_eq!(stranger.count(), 0);
    check(&front, &world.key());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_a_sample_and_no_key() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let to = receiver.url("/hook").to_string();
    let address = to.strip_prefix("http://").unwrap();
    for (arguments, signed) in [
        (&["trigger", "job.failed", "--to", address, "--secret", SECRET][..], true),
        (&["trigger", "job.failed", "--to", address], false),
        (&["trigger", "invoice.paid", "--to", &to, "--json"], false),
    ] {
        let before = receiver.count();
        let (code, _, err) = world.try_client(arguments).await;
        assert_eq!(code, 0, "{err}");
        let received = receiver.requests().pop().unwrap();
        assert_eq!(receiver.count(), before + 1);
        assert_eq!(received.headers.contains_key("webhook-signature"), signed);
        assert_eq!(err.contains("not signed"), !signed);
    }
    check(&receiver, &world.key());
    // The old spelling sends nothing anywhere.
    let before = receiver.count();
    let (code, _, err) = world.try_client(&["trigger", "job.failed", "--url", &to, "--secret", SECRET]).await;
    assert_eq!((code, receiver.count()), (2, before), "{err}");
    assert!(err.contains("--to"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typing_error_is_not_published() {
    let world = World::start(Serve::dev()).await;
    for kind in ["job.complete", "jobs.completed", "job_completed", "completed", "webhook.tests"] {
        let (code, out, err) = world.try_client(&["trigger", kind]).await;
        assert_eq!((code, out.as_str()), (2, ""), "{kind}: {err}");
        assert!(err.contains("Did you mean") && err.contains("invoice.paid"), "{kind}: {err}");
    }
    let (code, out, err) = world.try_client(&["trigger", "invoice.paid"]).await;
    assert!(code == 0 && out.starts_with("evt_"), "{out}{err}");
}
