//! Transcodely's deliveries: its retry table to the millisecond, one delivery id, a signature of each attempt's own time.

use std::time::Duration;

use reelhook_dialects::transcodely::request::told;
use reelhook_domain::id::EndpointId;
use reelhook_domain::job::Dialect;
use reelhook_signature::hmac_sha256_hex;
use reelhook_store::SealedFor;
use reelhook_testkit::{Received, Receiver, Reply};

use crate::world::{PATIENCE, World, exact};

const MINUTE: u64 = 60_000;
/// The guide's table: the wait before each attempt.
const WAITS: [u64; 6] = [0, MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 720 * MINUTE];

async fn failed_job(world: &World, receiver: &Receiver) -> EndpointId {
    world.failed_job_of(Dialect::Transcodely, told(), receiver).await
}

/// What a receiver of the guide does.
fn check(received: &Received, secret: &str, now_seconds: i64) -> bool {
    let timestamp = received.header("x-transcodely-timestamp");
    assert!((now_seconds - timestamp.parse::<i64>().unwrap()).abs() <= 300, "{timestamp} is stale");
    let parts: [&[u8]; 3] = [timestamp.as_bytes(), b".", &received.body];
    received.header("x-transcodely-signature") == format!("sha256={}", hmac_sha256_hex(secret.as_bytes(), &parts))
}

#[tokio::test]
async fn transcodelys_retry_table_is_kept_to_the_millisecond() {
    let world = World::start().await;
    world
        .add_secret(SealedFor::Account(world.account), "transcodely", "whsec_of_the_app".to_owned(), Duration::ZERO)
        .await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let endpoint = failed_job(&world, &receiver).await;

    let (record, times) = world.walk_retry_table(endpoint, exact(&WAITS)).await;
    let received = receiver.requests();
    assert_eq!(received.len(), 6);
    for (request, at) in received.iter().zip(times) {
        assert_eq!(request.header("x-transcodely-delivery-id"), record.delivery.id.to_string());
        assert_eq!(request.header("x-transcodely-timestamp"), at.as_seconds().to_string(), "each attempt's own time");
        assert!(check(request, "whsec_of_the_app", at.as_seconds()), "the attempt at {at} is signed");
        assert_eq!(request.body, received[0].body);
        assert!(request.headers.get("webhook-signature").is_none());
    }
}

#[tokio::test]
async fn a_transcodely_receiver_that_says_gone_is_tried_again() {
    let world = World::start().await;
    let receiver = Receiver::scripted([Reply::status(410)]).await;
    let endpoint = failed_job(&world, &receiver).await;
    world.expect_second_attempt(endpoint).await;
}

#[tokio::test]
async fn while_two_transcodely_secrets_stand_each_receiver_accepts_one_of_two_attempts() {
    let world = World::start().await;
    let owner = SealedFor::Account(world.account);
    world.add_secret(owner, "transcodely", "whsec_old".to_owned(), Duration::ZERO).await;
    world.advance(Duration::from_secs(1));
    world.add_secret(owner, "transcodely", "whsec_new".to_owned(), Duration::from_secs(24 * 3600)).await;
    let receiver = Receiver::scripted([Reply::status(401)]).await;
    let endpoint = failed_job(&world, &receiver).await;
    world.wait_for_attempt(endpoint, 1).await;
    world.advance(Duration::from_secs(60));
    world.wait_for_attempt(endpoint, 2).await;
    let received = receiver.requests();
    let now = world.now().as_seconds();
    assert!(check(&received[0], "whsec_new", now) && !check(&received[0], "whsec_old", now));
    assert!(check(&received[1], "whsec_old", now));
}

#[tokio::test]
async fn without_a_secret_of_its_own_the_accounts_signs_so_that_nothing_goes_out_unsigned() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    failed_job(&world, &receiver).await;
    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert!(check(&received, &world.secret.reveal(), world.now().as_seconds()));
    let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((&body["event"], &body["job"]["status"]), (&"job.failed".into(), &"failed".into()));
    assert_eq!(body["job"]["error_code"], "unsupported");
}
