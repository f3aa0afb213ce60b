//! Xora's deliveries: three attempts to the millisecond, one body, no name and no signature.

use std::time::Duration;

use reelhook_dialects::xora::request::SettingsChange;
use reelhook_domain::id::EndpointId;
use reelhook_domain::job::Dialect;
use reelhook_testkit::{Receiver, Reply};

use crate::world::{World, exact};

/// The guide's table: the wait before each attempt, in milliseconds.
const WAITS: [u64; 3] = [0, 500, 1000];

async fn failed_job(world: &World, receiver: &Receiver) -> EndpointId {
    let events = SettingsChange::webhook_of(receiver.url("/hook")).events;
    world.failed_job_of(Dialect::Xora, events, receiver).await
}

#[tokio::test]
async fn xoras_three_attempts_are_kept_to_the_millisecond() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = failed_job(&world, &receiver).await;
    world.walk_retry_table(endpoint, exact(&WAITS)).await;
    world.advance(Duration::from_secs(24 * 3600));
    let received = receiver.requests();
    assert_eq!(received.len(), 3, "an abandoned delivery stays abandoned");
    for request in &received {
        assert_eq!(request.body, received[0].body);
        let named =
            |name: &str| name.starts_with("webhook-") || name.starts_with("x-") || name.starts_with("reelhook-");
        assert!(request.headers.keys().all(|name| !named(name.as_str())), "{:?}", request.headers);
    }
    let body: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!((&body["data"]["state"], &body["data"]["error"]["retryable"]), (&"failed".into(), &false.into()));
    assert!(body["timestamp"].is_i64(), "{body}");
}

#[tokio::test]
async fn xoras_waits_are_lengthened_by_a_receiver_that_asks_and_never_shortened() {
    let world = World::start().await;
    let receiver = Receiver::scripted([
        Reply::status(429).header("retry-after", "60"),
        Reply::status(503).header("retry-after", "0"),
    ])
    .await;
    receiver.otherwise(Reply::status(500));
    let endpoint = failed_job(&world, &receiver).await;
    // No attempt is added.
    world.walk_retry_table(endpoint, [0..=0, 60_000..=60_000, 1000..=1000]).await;
}

#[tokio::test]
async fn a_xora_receiver_that_says_gone_is_tried_again() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(410)]).await;
    let endpoint = failed_job(&world, &receiver).await;
    world.expect_second_attempt(endpoint).await;
}
