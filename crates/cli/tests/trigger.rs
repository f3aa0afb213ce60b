//! `reelhook trigger`, straight to a receiver.

use reelhook_signature::{Headers, Secret, Trust, verify};
use reelhook_testkit::Receiver;

mod program;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_reaches_a_receiver_with_a_genuine_signature() {
    let receiver = Receiver::start().await;
    let url = receiver.url("/hook").to_string();
    let run = tokio::task::spawn_blocking(move || {
        program::shown(&program::run(&["trigger", "job.completed", "--to", &url, "--secret", SECRET], ""))
    });
    let (code, out, err) = run.await.unwrap();
    assert_eq!(code, Some(0), "{out}{err}");

    let requests = receiver.requests();
    let received = &requests[0];
    let headers = Headers::read(|name| received.headers.get(name).and_then(|value| value.to_str().ok()));
    let sent_at = received.header("webhook-timestamp").parse().unwrap();
    verify(headers, &received.body, sent_at, Trust::secrets(&[Secret::parse(SECRET).unwrap()])).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["state"]), (&"job.completed".into(), &"completed".into()));
}
