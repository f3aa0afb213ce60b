//! One delivery and its attempts.

use std::time::Duration;

use reelhook_domain::delivery::{DeliveryState, Outcome};
use reelhook_domain::retry::RetrySchedule;
use reelhook_signature::Secret;
use reelhook_store::{Deliveries, SealedFor};
use reelhook_testkit::{Receiver, Reply};

use crate::world::{PATIENCE, World, number};

#[tokio::test]
async fn an_event_becomes_one_signed_request() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world
        .endpoint_with(receiver.url("/hook?tenant=1"), |endpoint| {
            endpoint.headers.insert("x-tenant".to_owned(), "acme".to_owned());
        })
        .await;
    let event = world.publish("invoice.paid", 5).await;

    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    world.verify(&received);
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/hook?tenant=1"));
    assert_eq!(received.header("webhook-id"), event.to_string());
    assert_eq!(received.header("reelhook-attempt"), "1");
    assert_eq!(received.header("reelhook-sequence"), "1");
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("accept-encoding"), "identity");
    assert_eq!(received.header("x-tenant"), "acme");
    assert!(received.header("user-agent").starts_with("Reelhook/"));
    assert_eq!(number(&received), 5);

    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.state, DeliveryState::Delivered);
    assert_eq!(received.header("reelhook-delivery"), record.delivery.id.to_string());
    let attempt = &record.attempts[0];
    assert_eq!(attempt.outcome, Outcome::Status { status: 200, retry_after_ms: None });
    assert_eq!(attempt.at, world.now());
    assert!(attempt.address.as_ref().is_some_and(|address| address.starts_with("127.0.0.1:")));
    assert!(attempt.timings_ms.total > 0.0);
    assert_eq!(record.body.as_deref().map(str::as_bytes), Some(&received.body[..]));
}

#[tokio::test]
async fn a_retry_has_the_same_ids_and_bytes_and_a_signature_of_its_own_time() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(500).body("try later")]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("invoice.paid", 1).await;

    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.waiting_reason.as_deref(), Some("backoff"));
    assert_eq!(record.attempts[0].response_body, "try later");
    let first = receiver.requests().remove(0);
    world.verify(&first);
    world.advance(Duration::from_secs(6));
    let second = receiver.wait_for(2, PATIENCE).await.remove(1);
    world.verify(&second);

    assert_eq!(first.body, second.body);
    for same in ["webhook-id", "reelhook-delivery", "reelhook-sequence"] {
        assert_eq!(first.header(same), second.header(same), "{same}");
    }
    assert_eq!(second.header("reelhook-attempt"), "2");
    assert_ne!(first.header("webhook-timestamp"), second.header("webhook-timestamp"));
    assert_ne!(first.header("webhook-signature"), second.header("webhook-signature"));
    assert_eq!(world.wait_for_attempt(endpoint, 2).await.delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn the_default_schedule_is_walked_to_its_end() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("invoice.paid", 1).await;

    let waits = RetrySchedule::default().waits_ms().to_vec();
    for (count, wait) in (1u32..).zip(&waits[1..]) {
        let record = world.wait_for_attempt(endpoint, count).await;
        let DeliveryState::Scheduled { due } = record.delivery.state else { panic!("{:?}", record.delivery) };
        let ratio = due.since(world.now()).as_millis() as f64 / *wait as f64;
        assert!((0.79..=1.21).contains(&ratio), "attempt {count} is followed by {ratio} of its wait");
        world.move_to(due);
    }
    let record = world.wait_for_attempt(endpoint, 10).await;
    assert_eq!(record.delivery.state, DeliveryState::Exhausted);
    assert_eq!(record.attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(receiver.requests().len(), 10);
}

#[tokio::test]
async fn a_resent_delivery_begins_its_schedule_anew() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(500), Reply::status(500)]).await;
    let endpoint = world
        .endpoint_with(receiver.url("/"), |endpoint| endpoint.retry = Some(RetrySchedule::exact_millis(&[0])))
        .await;
    world.publish("invoice.paid", 1).await;
    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.state, DeliveryState::Exhausted);
    world.store.resend(world.account, record.delivery.id).await.unwrap();
    assert_eq!(world.wait_for_attempt(endpoint, 2).await.delivery.state, DeliveryState::Exhausted);
    world.store.resend(world.account, record.delivery.id).await.unwrap();
    assert_eq!(world.wait_for_attempt(endpoint, 3).await.delivery.state, DeliveryState::Delivered);
    let requests = receiver.requests();
    assert_eq!(requests[2].header("reelhook-attempt"), "3");
    assert_eq!(requests[0].body, requests[2].body);
}

#[tokio::test]
async fn retry_after_is_honoured_as_seconds_and_as_a_date() {
    let world = World::start().await;
    // The clock stands at 2026-06-04T10:00:00Z.
    for asked in ["3600", "Thu, 04 Jun 2026 11:00:00 GMT"] {
        let receiver = Receiver::scripted([Reply::status(503).header("retry-after", asked)]).await;
        let endpoint = world.endpoint(receiver.url("/")).await;
        world.publish("invoice.paid", 1).await;
        let record = world.wait_for_attempt(endpoint, 1).await;
        let due = world.now() + Duration::from_secs(3600);
        assert_eq!(record.delivery.state, DeliveryState::Scheduled { due }, "{asked}");
        assert_eq!(record.delivery.waiting_reason.as_deref(), Some("retry_after"));
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let world = World::start().await;
    let elsewhere = Receiver::start().await;
    let target = elsewhere.url("/inside");
    let receiver = Receiver::scripted([Reply::status(302).header("location", target.as_str())]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("invoice.paid", 1).await;

    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.state.name(), "scheduled");
    let attempt = &record.attempts[0];
    assert_eq!(attempt.outcome, Outcome::Status { status: 302, retry_after_ms: None });
    assert!(attempt.response_headers.contains(&("location".to_owned(), target.to_string())));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn sixteen_kib_of_an_answer_are_kept() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(200).body("0123456789abcdef").endless()]).await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    world.publish("invoice.paid", 1).await;
    let record = world.wait_for_attempt(endpoint, 1).await;
    assert_eq!(record.delivery.state, DeliveryState::Delivered);
    assert_eq!(record.attempts[0].response_body.len(), 16 * 1024);
}

#[tokio::test]
async fn what_keeps_an_attempt_from_its_end_is_named() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::reset()]).await;
    let reset = world.endpoint(receiver.url("/")).await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
    };
    let refused = world.endpoint(nobody).await;
    let inside = world.endpoint("http://10.0.0.1/".parse().unwrap()).await;
    world.publish("invoice.paid", 1).await;
    for (endpoint, phase, kind) in
        [(reset, "first_byte", "reset"), (refused, "connect", "refused"), (inside, "url", "address_not_allowed")]
    {
        let record = world.wait_for_attempt(endpoint, 1).await;
        let expected = Outcome::Failed { phase: phase.to_owned(), kind: kind.to_owned(), reason: None };
        assert_eq!(record.attempts[0].outcome, expected);
        assert_eq!(record.delivery.state.name(), "scheduled");
    }
}

#[tokio::test]
async fn both_secrets_sign_while_they_overlap() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(receiver.url("/")).await;
    let newer = Secret::generate([8; 32]);
    world.add_secret(SealedFor::Endpoint(endpoint), "hmac", newer.reveal(), Duration::from_secs(60)).await;
    world.publish("invoice.paid", 1).await;
    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    world.verify(&received);
    assert_eq!(received.header("webhook-signature").matches("v1,").count(), 2);

    world.advance(Duration::from_secs(61));
    world.publish("invoice.paid", 2).await;
    let received = receiver.wait_for(2, PATIENCE).await.remove(1);
    assert_eq!(received.header("webhook-signature").matches("v1,").count(), 1);
}
