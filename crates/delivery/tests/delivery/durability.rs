//! The bad day: death, stops, lost leases.

use std::time::Duration;

use reelhook_delivery::Settings;
use reelhook_domain::delivery::DeliveryState;
use reelhook_store::Deliveries;
use reelhook_testkit::{Receiver, Reply};

use crate::world::{PATIENCE, World, number, open};

#[tokio::test]
async fn what_was_in_flight_when_the_process_died_is_sent_again_the_same() {
    let mut world = World::start().await;
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    world.kill_engine().await;

    world.store.close().await;
    world.store = open(&world.path(), &world.ambient).await;
    assert_eq!(world.store.void_delivery_leases().await.unwrap(), 1);
    world.start_engine();
    let received = receiver.wait_for(2, PATIENCE).await;
    assert_eq!(received[0].body, received[1].body);
    for same in ["webhook-id", "reelhook-delivery", "reelhook-attempt"] {
        assert_eq!(received[0].header(same), received[1].header(same), "{same}");
    }
    assert_eq!(world.wait_for_attempt(endpoint, 1).await.delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn what_a_dead_node_held_is_taken_when_its_lease_ran_out() {
    let mut world = World::start().await;
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    world.kill_engine().await;
    world.start_engine();
    world.advance(Duration::from_secs(61));
    receiver.wait_for(2, PATIENCE).await;
    assert_eq!(world.wait_for_attempt(endpoint, 1).await.delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_clock_that_jumps_over_a_lease_does_not_send_twice() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(200).delay(Duration::from_millis(300))]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    world.advance(Duration::from_secs(3600));
    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.state, DeliveryState::Delivered);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn stopping_gives_back_what_waits_and_settles_what_is_out() {
    let mut world = World::start().await;
    let receiver = Receiver::scripted([
        Reply::status(200).delay(Duration::from_millis(300)),
        Reply::status(200).delay(Duration::from_millis(300)),
        Reply::status(200).delay(Duration::from_millis(300)),
        Reply::status(200).delay(Duration::from_millis(300)),
    ])
    .await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish_many(10).await;
    receiver.wait_for(4, PATIENCE).await;
    world.stop_engine().await;
    let found = world.deliveries(endpoint).await;
    let count = |state: &str| found.iter().filter(|delivery| delivery.state.name() == state).count();
    assert_eq!((count("delivered"), count("scheduled")), (4, 6), "{found:#?}");

    world.start_engine();
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state == DeliveryState::Delivered)).await;
    let mut numbers: Vec<_> = receiver.requests().iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut world = World::with(Settings { stop_within: Duration::from_millis(50), ..Settings::default() }).await;
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    world.stop_engine().await;
    let found = world.deliveries(endpoint).await;
    assert_eq!(found[0].state, DeliveryState::Scheduled { due: world.now() });
    assert_eq!(found[0].attempts, 0);
}

#[tokio::test]
async fn the_lease_of_what_is_out_is_renewed() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    for _ in 0..4 {
        world.advance(Duration::from_secs(31));
        let until = world.now() + Duration::from_secs(60);
        world.wait_until(endpoint, |found| found[0].state == DeliveryState::Sending { until }).await;
    }
    assert_eq!(receiver.requests().len(), 1);
}
