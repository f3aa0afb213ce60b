//! Retention: what was kept for its time goes, what is still to be sent stays.

use std::sync::Arc;
use std::time::Duration;

use reelhook_delivery::{Retention, RetentionSettings, Settings, Swept};
use reelhook_domain::retry::RetrySchedule;
use reelhook_store::{Endpoints as _, Events as _, Retention as _};
use reelhook_testkit::{Receiver, Reply};
use tokio_util::sync::CancellationToken;

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn retention(world: &World) -> Retention {
    let settings = RetentionSettings { step: 3, rest: 0, ..RetentionSettings::default() };
    Retention::new(Arc::clone(&world.store) as _, world.ambient.clone(), settings)
}

#[tokio::test]
async fn what_was_delivered_is_forgotten_after_thirty_days_and_nothing_that_waits() {
    let (receiver, dead) = (Receiver::start().await, Receiver::start().await);
    dead.otherwise(Reply::status(500));
    let mut world = World::start().await;
    let good = world.endpoint(receiver.url("/hook")).await;
    // Waits longer between two tries than anything is kept.
    let waiting = world
        .endpoint_with(dead.url("/hook"), |endpoint| {
            endpoint.retry = Some(RetrySchedule::seconds(&[DAY.as_secs(); 20]));
        })
        .await;
    for number in 0..8 {
        world.publish("a.b", number).await;
    }
    world.wait_until(good, |all| all.len() == 8 && all.iter().all(|one| one.state.name() == "delivered")).await;
    world.wait_until(waiting, |all| all.len() == 8).await;
    // Time passes without tries: what is late still waits.
    world.stop_engine().await;

    let (mut retention, stop) = (retention(&world), CancellationToken::new());
    world.advance(30 * DAY - Duration::from_secs(3600));
    assert_eq!(retention.sweep(&stop).await, Swept::default());
    world.advance(Duration::from_secs(7200));
    let swept = retention.sweep(&stop).await;
    assert_eq!((swept.deliveries, swept.events), (8, 0), "the events are still to be sent elsewhere");
    assert!(world.deliveries(good).await.is_empty());
    assert_eq!(world.deliveries(waiting).await.len(), 8);
    assert_eq!(retention.sweep(&stop).await, Swept::default());
}

#[tokio::test]
async fn an_account_that_wants_less_gets_less_and_a_shorter_time_later_too() {
    let receiver = Receiver::start().await;
    let world = World::start().await;
    let endpoint = world.endpoint(receiver.url("/hook")).await;
    let quiet = world.publish_only("a.b", 0, None).await;
    world.wait_until(endpoint, |all| all.len() == 1 && all[0].state.name() == "delivered").await;
    let (mut retention, stop) = (retention(&world), CancellationToken::new());
    world.advance(5 * DAY);
    world.store.set_retention(world.account, Some(7 * DAY)).await.unwrap();
    assert_eq!(retention.sweep(&stop).await, Swept::default());
    world.store.set_retention(world.account, Some(2 * DAY)).await.unwrap();
    assert_eq!(retention.sweep(&stop).await.deliveries, 1);
    assert!(world.store.event(world.account, quiet).await.is_err());
}

#[tokio::test]
async fn a_sweep_is_stopped_between_two_steps() {
    let receiver = Receiver::start().await;
    let world = World::with(Settings::default()).await;
    let endpoint = world.endpoint(receiver.url("/hook")).await;
    for number in 0..8 {
        world.publish("a.b", number).await;
    }
    world.wait_until(endpoint, |all| all.len() == 8 && all.iter().all(|one| one.state.name() == "delivered")).await;
    world.advance(31 * DAY);
    let stop = CancellationToken::new();
    stop.cancel();
    let swept = retention(&world).sweep(&stop).await;
    assert!(swept.deliveries <= 3, "{swept:?}");
    let rest = retention(&world).sweep(&CancellationToken::new()).await;
    assert!(rest.deliveries >= 5);
    assert!(world.deliveries(endpoint).await.is_empty());
}

#[tokio::test]
async fn a_temporary_endpoint_goes_ten_minutes_after_it_was_last_read() {
    let minute = Duration::from_secs(60);
    let world = World::start().await;
    let endpoint = world.temporary_endpoint().await;
    world.publish("a.b", 0).await;
    world.wait_until(endpoint, |all| all.len() == 1).await;
    // Nothing could be read while no server ran.
    world.advance(60 * minute);
    let (mut retention, stop) = (retention(&world), CancellationToken::new());
    assert_eq!(retention.sweep(&stop).await, Swept::default());
    world.advance(9 * minute);
    world.store.note_read(endpoint).await.unwrap();
    world.advance(9 * minute);
    assert_eq!(retention.sweep(&stop).await, Swept::default());
    world.advance(2 * minute);
    assert_eq!(retention.sweep(&stop).await, Swept { endpoints: 1, ..Swept::default() });
    assert!(world.store.endpoint(world.account, endpoint).await.is_err());
    assert!(world.deliveries(endpoint).await.iter().all(|one| one.state.name() == "canceled"));
}
