//! Endpoints that are disabled, by hand or by what they answer.

use std::time::Duration;

use reelhook_domain::delivery::{Delivery, DeliveryState};
use reelhook_domain::endpoint::EndpointState;
use reelhook_signature::{Headers, Trust, verify};
use reelhook_store::{Accounts, Endpoints, SealedFor};
use reelhook_testkit::{Receiver, Reply};

use crate::world::{PATIENCE, World, kind, number};

#[tokio::test]
async fn gone_disables_the_endpoint_tells_the_others_and_holds_what_follows() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(410)]).await;
    let other = Receiver::start().await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.endpoint(other.url("/")).await;
    world.publish("invoice.paid", 1).await;

    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.state, DeliveryState::Held);
    let read = world.read_endpoint(endpoint).await;
    assert_eq!((read.state, read.disabled_reason.as_deref()), (EndpointState::Disabled, Some("gone")));
    let told = other.wait_for(2, PATIENCE).await;
    assert!(told.iter().any(|received| kind(received) == "endpoint.disabled"));

    world.publish("invoice.paid", 2).await;
    let held = |found: &[_]| found.len() == 2;
    other.wait_for(3, PATIENCE).await;
    let found = world.wait_until(endpoint, held).await;
    assert!(found.iter().all(|delivery| delivery.state == DeliveryState::Held), "{found:#?}");

    world.set_state(endpoint, EndpointState::Enabled).await;
    // Both that were held, and the news that it is enabled.
    let received = receiver.wait_for(4, PATIENCE).await;
    let mut numbers: Vec<_> =
        received[1..].iter().filter(|received| kind(received) == "invoice.paid").map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state == DeliveryState::Delivered)).await;
}

#[tokio::test]
async fn an_endpoint_disabled_by_hand_is_offered_what_it_missed() {
    let world = World::start().await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.endpoint(other.url("/")).await;
    world.set_state(endpoint, EndpointState::Disabled).await;
    world.publish("invoice.paid", 7).await;
    other.wait_for(2, PATIENCE).await;
    assert_eq!(receiver.requests().len(), 0);

    world.set_state(endpoint, EndpointState::Enabled).await;
    let received = receiver.wait_for(2, PATIENCE).await;
    assert!(received.iter().any(|received| kind(received) == "invoice.paid" && number(received) == 7));
}

#[tokio::test]
async fn a_retry_that_becomes_due_while_disabled_is_held() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(500)]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("invoice.paid", 1).await;
    world.wait_for_attempt(endpoint, 1).await;
    world.set_state(endpoint, EndpointState::Disabled).await;
    world.advance(Duration::from_secs(10));
    world.wait_until(endpoint, |found| found[0].state == DeliveryState::Held).await;
    world.set_state(endpoint, EndpointState::Enabled).await;
    // The endpoint is also told that it is enabled again, in whatever order.
    let received = receiver.wait_for(3, PATIENCE).await;
    let first = received[0].header("webhook-id");
    let again: Vec<_> = received[1..].iter().filter(|request| request.header("webhook-id") == first).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].header("reelhook-attempt"), "2");
}

#[tokio::test]
async fn failing_for_five_days_disables() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let day = 24 * 3_600_000;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| {
            let waits: Vec<u64> = (0..20).map(|attempt| if attempt == 0 { 0 } else { day }).collect();
            endpoint.retry = Some(reelhook_domain::retry::RetrySchedule::exact_millis(&waits));
        })
        .await;
    world.publish("invoice.paid", 1).await;
    for count in 1..20 {
        world.wait_for_attempt(endpoint, count).await;
        assert_eq!(world.read_endpoint(endpoint).await.state, EndpointState::Enabled);
        world.advance(Duration::from_millis(day));
    }
    let record = world.wait_for_attempt(endpoint, 20).await;
    assert_eq!(record.delivery.state, DeliveryState::Exhausted);
    let read = world.read_endpoint(endpoint).await;
    assert_eq!(read.disabled_reason.as_deref(), Some("failing"));
}

#[tokio::test]
async fn a_new_url_is_used_at_once() {
    let world = World::start().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let endpoint = world.endpoint(old.url("/")).await;
    world.publish("invoice.paid", 1).await;
    world.wait_for_attempt(endpoint, 1).await;
    let change = reelhook_store::EndpointChange { url: Some(new.url("/")), ..Default::default() };
    world.store.change_endpoint(world.account, endpoint, change).await.unwrap();
    // The engine hears of it on its way to the next look.
    world.wait_until(endpoint, |_| true).await;
    world.publish("invoice.paid", 2).await;
    world.wait_until(endpoint, |found| found.len() == 2 && found[1].state == DeliveryState::Delivered).await;
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
}

#[tokio::test]
async fn what_waits_in_a_lane_is_held_when_its_endpoint_is_disabled() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let rate = reelhook_domain::endpoint::Rate { per_second: 0.1, burst: 1 };
    let endpoint = world.endpoint_with(receiver.url("/"), |endpoint| endpoint.rate = Some(rate)).await;
    world.publish_many(4).await;
    let is_waiting = |found: &[Delivery]| found.len() == 4 && found[0].state == DeliveryState::Delivered;
    world.wait_until(endpoint, is_waiting).await;
    world.set_state(endpoint, EndpointState::Disabled).await;
    world.advance(Duration::from_secs(10));
    let are_held = |found: &[Delivery]| found[1..].iter().all(|delivery| delivery.state == DeliveryState::Held);
    world.wait_until(endpoint, are_held).await;
    assert_eq!(receiver.requests().len(), 1);

    world.set_state(endpoint, EndpointState::Enabled).await;
    let change = reelhook_store::EndpointChange { rate: Some(None), ..Default::default() };
    world.store.change_endpoint(world.account, endpoint, change).await.unwrap();
    world.advance(Duration::from_secs(10));
    world.wait_until(endpoint, |found| found.iter().all(|one| one.state == DeliveryState::Delivered)).await;
}

#[tokio::test]
async fn nothing_is_sent_unsigned_and_all_of_it_once_a_secret_signs() {
    let mut world = World::start().await;
    // An account without a key pair, and an endpoint whose only secret is none.
    world.account = world.store.create_account("bare").await.unwrap().id;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    let owner = SealedFor::Endpoint(endpoint);
    world.add_secret(owner, "hmac", "no secret".to_owned(), Duration::ZERO).await;
    world.publish("invoice.paid", 1).await;

    let rests = |found: &[Delivery]| found.first().is_some_and(|one| one.waiting_reason.is_some());
    let found = world.wait_until(endpoint, rests).await.remove(0);
    assert_eq!(found.waiting_reason.as_deref(), Some("no_signing_secret"));
    let due = world.now() + Duration::from_secs(60);
    assert_eq!((found.state, found.attempts), (DeliveryState::Scheduled { due }, 0));

    world.add_secret(owner, "hmac", world.secret.reveal(), Duration::ZERO).await;
    world.move_to(due);
    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(received.header("reelhook-attempt"), "1");
    let headers = Headers::read(|name| received.headers.get(name).and_then(|value| value.to_str().ok()));
    let secrets = [world.secret.clone()];
    verify(headers, &received.body, world.now().as_seconds(), Trust::secrets(&secrets)).expect("the secret signs");
    assert_eq!(world.wait_for_attempt(endpoint, 1).await.delivery.state, DeliveryState::Delivered);
}
