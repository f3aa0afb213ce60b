//! Lanes: nobody waits for somebody else's trouble.

use std::collections::HashSet;
use std::time::Duration;

use reelhook_delivery::Settings;
use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::endpoint::Rate;
use reelhook_domain::event::EventFilter;
use reelhook_testkit::{Received, Receiver, Reply};

use crate::world::{PATIENCE, World, kind, number};

fn numbers(received: &[Received]) -> Vec<u64> {
    received.iter().map(number).collect()
}

#[tokio::test]
async fn a_black_hole_does_not_delay_a_healthy_endpoint() {
    let world = World::with(Settings { in_flight: 8, ..Settings::default() }).await;
    let (hole, healthy) = (Receiver::start().await, Receiver::start().await);
    hole.otherwise(Reply::hang());
    let hole_endpoint = world.endpoint(hole.url("/")).await;
    let endpoint = world.endpoint(healthy.url("/")).await;
    world.publish_many(40).await;

    let found = world
        .wait_until(endpoint, |found| {
            found.len() == 40 && found.iter().all(|one| one.state == DeliveryState::Delivered)
        })
        .await;
    assert_eq!(found.len(), 40);
    // None of the hole's requests has ended: had anybody waited for it, it would have been in vain.
    assert!(world.deliveries(hole_endpoint).await.iter().all(|delivery| delivery.attempts == 0));
    assert_eq!(hole.requests().len(), 4, "a lane starts with four at once");
}

#[tokio::test]
async fn eight_failures_open_the_circuit_and_a_probe_closes_it() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish_many(30).await;

    let waits = |found: &[reelhook_domain::delivery::Delivery]| {
        found.len() == 30 && found.iter().all(|one| matches!(one.state, DeliveryState::Scheduled { .. }))
    };
    let found = world.wait_until(endpoint, waits).await;
    let tried = found.iter().filter(|delivery| delivery.attempts > 0).count();
    assert!((8..=11).contains(&tried), "{tried} tried; those that were out when it opened count too");
    assert_eq!(receiver.requests().len(), tried);
    let left_alone = found.iter().filter(|one| one.waiting_reason.as_deref() == Some("circuit_open")).count();
    assert_eq!(left_alone, 30 - tried);
    assert_eq!(world.read_endpoint(endpoint).await.circuit.name(), "open");

    receiver.otherwise(Reply::status(200));
    world.advance(Duration::from_secs(30));
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state == DeliveryState::Delivered)).await;
    assert_eq!(receiver.requests().len(), 30 + tried);
    assert_eq!(world.read_endpoint(endpoint).await.circuit.name(), "closed");
}

#[tokio::test]
async fn events_of_one_job_are_first_tried_in_order() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let endpoint = world.endpoint_with(receiver.url("/"), |endpoint| endpoint.timeout_ms = 1500).await;
    world.submit(None).await;
    world.fail_job().await;
    world.publish("order.made", 1).await;

    // While the first hangs, what is not of that job overtakes the second.
    let received = receiver.wait_for(3, PATIENCE).await;
    let kinds: Vec<_> = received.iter().map(kind).collect();
    assert_eq!(kinds, ["job.created", "order.made", "job.failed"]);
    world.wait_until(endpoint, |found| found[0].attempts == 1 && found[2].attempts == 1).await;
}

#[tokio::test]
async fn what_a_lane_cannot_hold_waits_in_the_store_and_keeps_its_order() {
    let world = World::with(Settings { lane_queue: 3, fan_out_batch: 7, ..Settings::default() }).await;
    let receiver = Receiver::start().await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.rate = Some(Rate { per_second: 10_000.0, burst: 1 }))
        .await;
    world.publish_many(40).await;
    let all = async {
        while receiver.requests().len() < 40 {
            world.clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("all are sent");
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state == DeliveryState::Delivered)).await;
    let received = receiver.requests();
    assert_eq!(received.len(), 40);
    assert_eq!(numbers(&received).iter().collect::<HashSet<_>>().len(), 40);
}

#[tokio::test]
async fn a_rate_limit_is_kept_by_the_clock() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.rate = Some(Rate { per_second: 1.0, burst: 2 }))
        .await;
    world.publish_many(3).await;
    world
        .wait_until(endpoint, |found| found.iter().filter(|one| one.state == DeliveryState::Delivered).count() == 2)
        .await;
    assert_eq!(receiver.requests().len(), 2);
    world.advance(Duration::from_secs(1));
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state == DeliveryState::Delivered)).await;
    assert_eq!(receiver.requests().len(), 3);
}

#[tokio::test]
async fn first_tries_go_before_retries() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(500)]).await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.rate = Some(Rate { per_second: 0.1, burst: 1 }))
        .await;
    world.publish("order.made", 1).await;
    world.wait_for_attempt(endpoint, 1).await;
    // The retry is due and waits in the lane for its token; then something new comes.
    world.advance(Duration::from_secs(7));
    world.wait_until(endpoint, |found| found[0].state.name() == "sending").await;
    world.publish("order.made", 2).await;
    world.wait_until(endpoint, |found| found.len() == 2).await;
    world.advance(Duration::from_secs(3));
    receiver.wait_for(2, PATIENCE).await;
    world.advance(Duration::from_secs(10));
    assert_eq!(numbers(&receiver.wait_for(3, PATIENCE).await), [1, 2, 1]);
}

#[tokio::test]
async fn progress_that_waits_is_canceled_by_later_progress() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::hang());
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| {
            endpoint.events = EventFilter::new(vec!["order.made".to_owned(), "job.progress".to_owned()]);
        })
        .await;
    for number in 0..4 {
        world.publish("order.made", number).await;
    }
    receiver.wait_for(4, PATIENCE).await;
    world.submit(None).await;
    let lease = world.start_job().await;
    for (progress, deliveries) in [(10, 5), (20, 6)] {
        world.report(&lease, progress).await;
        world.wait_until(endpoint, |found| found.len() == deliveries).await;
    }
    let found = world.wait_until(endpoint, |found| found[4].state == DeliveryState::Canceled).await;
    assert_eq!(found[5].state.name(), "sending", "the latest waits in the lane");
}
