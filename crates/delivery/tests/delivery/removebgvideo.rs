//! RemoveBGVideo's deliveries: when they are tried again, one id for all attempts, a signature of each attempt's own time.

use std::collections::BTreeSet;
use std::time::Duration;

use reelhook_dialects::removebgvideo::request::events;
use reelhook_domain::job::{Dialect, JobWebhook};
use reelhook_domain::time::Timestamp;
use reelhook_signature::hmac_sha256_hex;
use reelhook_store::SealedFor;
use reelhook_testkit::{Received, Receiver, Reply};

use crate::world::{World, exact};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// What our page says: the wait before each attempt.
const WAITS: [u64; 8] = [0, 10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 4 * HOUR, 8 * HOUR];
const SECRET: &str = "a-text-that-receivers-know";

async fn signing_world() -> World {
    let world = World::start().await;
    let owner = SealedFor::Account(world.account);
    world.add_secret(owner, "removebgvideo", SECRET.to_owned(), Duration::ZERO).await;
    world
}

/// Whether a receiver of the guide accepts it, and it was signed at that time.
fn is_signed_at(received: &Received, at: Timestamp) -> bool {
    let timestamp = received.header("x-webhook-timestamp");
    let parts: [&[u8]; 3] = [timestamp.as_bytes(), b".", &received.body];
    timestamp == at.to_string()
        && received.header("x-webhook-signature") == format!("sha256={}", hmac_sha256_hex(SECRET.as_bytes(), &parts))
}

#[tokio::test]
async fn removebgvideos_eight_attempts_are_kept_to_the_millisecond() {
    let world = signing_world().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = world.failed_job_of(Dialect::RemoveBgVideo, events(), &receiver).await;
    let (record, times) = world.walk_retry_table(endpoint, exact(&WAITS)).await;
    let received = receiver.requests();
    assert_eq!(received.len(), WAITS.len());
    for (request, at) in received.iter().zip(times) {
        assert!(is_signed_at(request, at), "at {at}: {:?}", request.headers);
        assert_eq!(request.header("x-webhook-event"), "job.failed");
        assert_eq!(request.header("x-webhook-delivery-id"), record.delivery.id.to_string());
        assert_eq!(request.body, received[0].body, "a repeated webhook has the same bytes");
        assert!(request.headers.get("webhook-signature").is_none());
    }
}

#[tokio::test]
async fn the_start_and_the_end_of_a_job_are_each_tried_again_under_an_id_of_their_own() {
    let world = signing_world().await;
    let receiver = Receiver::scripted([Reply::status(500), Reply::status(500)]).await;
    let endpoint = world.job_endpoint(Dialect::RemoveBgVideo, &receiver).await;
    world.submit(Some(JobWebhook { endpoint, events: events() })).await;
    let lease = world.start_job().await;
    world.wait_for_attempt(endpoint, 1).await;
    // The end is not held back by a start that nobody took.
    world.fail_begun_job(lease).await;
    let first = world
        .wait_until(endpoint, |found| {
            found.len() == 2 && found.iter().all(|one| one.attempts == 1 && one.state.name() == "scheduled")
        })
        .await;
    world.advance(Duration::from_millis(WAITS[1]));
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state.name() == "delivered")).await;

    let received = receiver.requests();
    let named = |request: &Received| {
        (request.header("x-webhook-event").to_owned(), request.header("x-webhook-delivery-id").to_owned())
    };
    let (tried, again): (Vec<_>, BTreeSet<_>) =
        (received[..2].iter().map(named).collect(), received[2..].iter().map(named).collect());
    let expected = ["job.started", "job.failed"].map(str::to_owned);
    let expected: Vec<_> = expected.into_iter().zip(first.iter().map(|delivery| delivery.id.to_string())).collect();
    assert_eq!(tried, expected, "in order of what happened");
    assert_eq!(again, expected.into_iter().collect());
    assert!(received[2..].iter().all(|request| is_signed_at(request, world.now())), "a fresh time");
}
