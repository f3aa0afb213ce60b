//! Clocks that jump, as those of machines do that sleep, are set by hand, or move to another host.

use std::collections::BTreeMap;
use std::time::Duration;

use reelhook_delivery::Settings;
use reelhook_domain::delivery::{Delivery, DeliveryState};
use reelhook_domain::endpoint::Rate;
use reelhook_domain::retry::RetrySchedule;
use reelhook_testkit::{Received, Receiver, Reply};

use crate::world::{PATIENCE, World, number};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn all_delivered(count: usize) -> impl Fn(&[Delivery]) -> bool {
    move |found| found.len() == count && found.iter().all(|one| one.state == DeliveryState::Delivered)
}

#[tokio::test]
async fn what_comes_after_the_clock_was_put_back_is_delivered_at_once() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    world.wait_until(endpoint, all_delivered(1)).await;
    world.move_to(world.now() - HOUR);
    world.publish("order.made", 2).await;
    world.wait_until(endpoint, all_delivered(2)).await;
    world.advance(DAY);
    world.publish("order.made", 3).await;
    world.wait_until(endpoint, all_delivered(3)).await;
    world.move_to(world.now() - DAY);
    world.publish("order.made", 4).await;
    world.wait_until(endpoint, all_delivered(4)).await;
    assert_eq!(receiver.requests().iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn jumps_in_the_middle_of_many_deliveries_lose_none_and_repeat_at_most_what_was_in_flight() {
    const EACH: usize = 10;
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    let (mut published, mut in_flight) = (0, 0);
    for round in 0..6 {
        world.publish_many(EACH).await;
        published += EACH;
        receiver.wait_for(published - EACH + 3, PATIENCE).await;
        if round % 2 == 0 {
            world.move_to(world.now() - HOUR);
        } else {
            // Over all leases: what was not settled by now may be taken for lost.
            let settled =
                world.deliveries(endpoint).await.iter().filter(|one| one.state == DeliveryState::Delivered).count();
            in_flight += published - settled;
            world.advance(DAY);
        }
    }
    world.wait_until(endpoint, all_delivered(published)).await;
    let mut came: BTreeMap<String, Vec<Received>> = BTreeMap::new();
    let all = receiver.requests();
    for received in &all {
        came.entry(received.header("webhook-id").to_owned()).or_default().push(received.clone());
    }
    assert_eq!(came.len(), published);
    assert!(came.values().all(|copies| copies.iter().all(|copy| copy.body == copies[0].body)));
    assert!(all.len() <= published + in_flight, "{} for {published}, {in_flight} in flight", all.len());
}

#[tokio::test]
async fn what_was_out_when_the_clock_was_put_back_is_settled_and_not_sent_again() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(200).delay(Duration::from_millis(300))]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    world.move_to(world.now() - HOUR);
    world.wait_until(endpoint, all_delivered(1)).await;
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_jump_over_all_waits_spends_one_attempt_of_each_and_no_more() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.retry = Some(RetrySchedule::seconds(&[0, 5, 60, 600])))
        .await;
    world.publish("order.made", 1).await;
    world.wait_for_attempt(endpoint, 1).await;
    world.advance(DAY);
    // The third waits its own time from the second, however long ago the first was.
    let record = world.wait_for_attempt(endpoint, 2).await;
    let DeliveryState::Scheduled { due } = record.delivery.state else { panic!("{record:?}") };
    assert!((48_000..=72_000).contains(&due.since(world.now()).as_millis()), "60 s with jitter");
}

/// Lets the clock go on in small steps until that many requests came; how long that took by the clock.
async fn time_until(world: &World, receiver: &Receiver, count: usize) -> Duration {
    let begun = world.now();
    let stepping = async {
        while receiver.count() < count {
            world.advance(Duration::from_millis(250));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stepping).await.expect("the wait ends");
    world.now().since(begun)
}

#[tokio::test]
async fn no_wait_is_longer_than_its_own_though_the_clock_was_put_back() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(500), Reply::status(500)]).await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.retry = Some(RetrySchedule::seconds(&[0, 20, 20])))
        .await;
    world.publish("order.made", 1).await;
    for (attempt, back) in [(1, HOUR), (2, DAY)] {
        world.wait_for_attempt(endpoint, attempt).await;
        world.move_to(world.now() - back);
        let waited = time_until(&world, &receiver, usize::try_from(attempt).unwrap() + 1).await;
        // 20 s with jitter, and what the clock goes on by before the jump is seen.
        assert!((Duration::from_secs(15)..HOUR / 2).contains(&waited), "attempt {attempt}: {waited:?}");
    }
    assert_eq!(world.wait_for_attempt(endpoint, 3).await.delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_wait_is_no_longer_than_its_own_where_the_clock_was_put_back_while_no_server_ran() {
    let mut world = World::with(Settings::default()).await;
    let receiver = Receiver::scripted([Reply::status(500)]).await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.retry = Some(RetrySchedule::seconds(&[0, 20])))
        .await;
    world.publish("order.made", 1).await;
    world.wait_for_attempt(endpoint, 1).await;
    world.kill_engine().await;
    world.move_to(world.now() - HOUR);
    world.start_engine();
    let waited = time_until(&world, &receiver, 2).await;
    assert!((Duration::from_secs(15)..HOUR / 2).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn a_rate_limit_goes_on_after_the_clock_was_put_back() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.rate = Some(Rate { per_second: 1.0, burst: 1 }))
        .await;
    world.publish_many(3).await;
    receiver.wait_for(1, PATIENCE).await;
    world.move_to(world.now() - HOUR);
    let begun = world.now();
    let rest = async {
        while receiver.count() < 3 {
            // Far less than an hour in all that time.
            world.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, rest).await.expect("the bucket is filled again");
    assert!(world.now().since(begun) < HOUR);
    world.wait_until(endpoint, all_delivered(3)).await;
}

#[tokio::test]
async fn what_a_dead_process_held_is_taken_though_the_clock_was_put_back() {
    let mut world = World::with(Settings::default()).await;
    let receiver = Receiver::scripted([Reply::hang()]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("order.made", 1).await;
    receiver.wait_for(1, PATIENCE).await;
    world.kill_engine().await;
    world.move_to(world.now() - HOUR);
    world.start_engine();
    // Its lease, by a clock that ran on without being put back again.
    world.advance(HOUR + Duration::from_secs(61));
    world.wait_until(endpoint, all_delivered(1)).await;
    assert_eq!(receiver.requests().len(), 2);
}
