//! A crash between any two steps: what was acknowledged is told of, and what is told twice is told the same.

use std::os::unix::process::ExitStatusExt as _;

use reelhook_testkit::{Received, Receiver};
use serde_json::{Value, json};

use super::archives::zip_of;
use super::{check_result, ended, upload, wav};
use crate::world::{PATIENCE, Serve, World};

/// SIGKILL.
const KILLED: i32 = 9;

/// Starts a server that kills itself at that point, sends it a file with a webhook, and starts another one when it is
/// dead. Gives the job's id.
async fn crashed(point: &str, receiver: &Receiver, name: &str, bytes: &[u8]) -> (World, String) {
    let mut world = World::start(Serve::dev()).await;
    world.terminate().await;
    assert!(world.serve(Serve::dev().crash_at(point)).await);
    let options = json!({"webhook": {"url": receiver.url("/c")}});
    let enqueued = upload(&world, name, bytes, Some(&options)).await.expect(202);
    assert_eq!(world.death().await.signal(), Some(KILLED), "the server crashes at {point}");
    assert!(world.serve(Serve::dev()).await, "the server starts after a crash");
    (world, enqueued["id"].as_str().expect("an acknowledgement has an id").to_owned())
}

fn told(received: &Received) -> Value {
    serde_json::from_slice(&received.body).expect("a webhook is JSON")
}

async fn a_webhook_sent_twice_is_the_same_after_a_crash_at(point: &str) {
    let receiver = Receiver::start().await;
    let (world, id) = crashed(point, &receiver, "voice.wav", &wav()).await;
    let received = receiver.wait_for(2, PATIENCE).await;
    assert_eq!(received[0].body, received[1].body, "copies have the same bytes");
    assert_eq!(received[0].headers, received[1].headers);
    let told = told(&received[1]);
    assert_eq!(told["id"], id, "by which the receiver knows a copy");
    check_result(&world, &told).await;
    assert_eq!(ended(&world, &id).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_repeated_with_the_same_bytes_after_a_crash_when_it_was_sent() {
    a_webhook_sent_twice_is_the_same_after_a_crash_at("delivery.after_send").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_repeated_with_the_same_bytes_after_a_crash_before_it_is_settled() {
    a_webhook_sent_twice_is_the_same_after_a_crash_at("delivery.before_settle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_not_lost_by_a_crash_before_it_is_made() {
    let receiver = Receiver::start().await;
    let (world, id) = crashed("delivery.before_fan_out", &receiver, "voice.wav", &wav()).await;
    let told = told(&receiver.wait_for(1, PATIENCE).await[0]);
    assert_eq!(told["id"], id);
    check_result(&world, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_comes_to_its_end_after_a_crash_when_it_was_stored() {
    let receiver = Receiver::start().await;
    let archive = zip_of(&[("voice.wav", &wav()), ("note.txt", b"plain words")]);
    let (world, id) = crashed("worker.stored_one", &receiver, "all.zip", &archive).await;
    let told = told(&receiver.wait_for(1, PATIENCE).await[0]);
    assert_eq!((&told["id"], &told["output"]["format"]), (&json!(id), &json!("zip")));
    check_result(&world, &told).await;
}
