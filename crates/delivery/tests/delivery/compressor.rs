//! Compressor's deliveries: when they are tried again, the two headers and no others, the same bytes each time.

use std::time::Duration;

use reelhook_dialects::compressor::event::told;
use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::id::EndpointId;
use reelhook_domain::job::Dialect;
use reelhook_testkit::{Received, Receiver, Reply};

use crate::world::{PATIENCE, World};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// What our page says: the wait before each attempt, of which each is spread by a fifth either way.
const WAITS: [u64; 8] = [0, 10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 24 * HOUR];

async fn failed_job(world: &World, receiver: &Receiver) -> EndpointId {
    world.failed_job_of(Dialect::Compressor, told(), receiver).await
}

/// All headers but those that HTTP itself needs.
fn headers(received: &Received) -> Vec<(&str, &str)> {
    let headers = received.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let mut headers: Vec<_> = headers.filter(|(name, _)| !matches!(*name, "host" | "content-length")).collect();
    headers.sort_unstable();
    headers
}

#[tokio::test]
async fn compressors_waits_are_kept_within_their_spread_to_the_millisecond() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = failed_job(&world, &receiver).await;

    world.walk_retry_table(endpoint, WAITS.map(|wait| wait * 8 / 10..=wait * 12 / 10)).await;
    let received = receiver.requests();
    assert_eq!(received.len(), 8);
    for request in &received {
        assert_eq!(request.body, received[0].body, "a repeated webhook has the same bytes");
        let expected =
            [("content-type", "application/json"), ("user-agent", "Compressor/1.0 (+https://compressor.app)")];
        assert_eq!(headers(request), expected, "at every attempt");
    }
}

#[tokio::test]
async fn a_compressor_receiver_that_says_gone_or_later_is_tried_again() {
    let world = World::start().await;
    let receiver =
        Receiver::scripted([Reply::status(410), Reply::status(503).header("retry-after", "3600"), Reply::status(299)])
            .await;
    let endpoint = failed_job(&world, &receiver).await;
    for count in 1..=2 {
        let record = world.wait_for_attempt(endpoint, count).await;
        let DeliveryState::Scheduled { due } = record.delivery.state else { panic!("{:?}", record.delivery) };
        if count == 2 {
            assert_eq!(due.since(world.now()), Duration::from_secs(3600), "as the receiver asked");
        }
        world.move_to(due);
    }
    assert_eq!(world.wait_for_attempt(endpoint, 3).await.delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_compressor_receiver_is_told_of_the_end_alone_by_the_standard_error() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    failed_job(&world, &receiver).await;
    let received = receiver.wait_for(1, PATIENCE).await;
    let body: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!((&body["success"], &body["status"]), (&false.into(), &"failed".into()));
    assert_eq!(body["error"], serde_json::json!({"code": "unsupported", "message": "no"}));
    assert_eq!(receiver.requests().len(), 1);
}
