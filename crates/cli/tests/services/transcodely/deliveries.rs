//! Its webhooks on bad days: a crash between sending and noting, and a secret that is changed.

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver, Reply};
use serde_json::{Value, json};

#[cfg(feature = "failpoints")]
use super::account_secret;
use super::{call, h264, is_signed, told};
use crate::world::{PATIENCE, Serve, World, eventually};

/// A job that fails as soon as its input is looked at, and is told of there.
async fn doomed_job(world: &World, origin: &Origin, receiver: &Receiver) -> Value {
    let input = origin.put("/in.bin", clips::bytes(Clip::Garbage), Manners::Good);
    let outputs = json!([{"type": "mp4", "video": [h264("480p", "economy")]}]);
    call(world, "Create", &json!({"input_url": input, "webhook_url": receiver.url("/hook"), "outputs": outputs})).await
}

#[cfg(feature = "failpoints")]
async fn a_webhook_comes_again_the_same_after_a_crash_at(point: &str) {
    let (receiver, origin) = tokio::join!(Receiver::start(), Origin::start());
    let mut world = World::start(Serve::dev().crash_at(point)).await;
    let secret = account_secret(&world).await;
    let job = doomed_job(&world, &origin, &receiver).await;
    world.death().await;
    assert!(world.serve(Serve::dev()).await, "the server starts after a crash");

    let received = receiver.wait_for(2, PATIENCE).await;
    let deliveries: Vec<_> = received.iter().map(|one| one.header("x-transcodely-delivery-id")).collect();
    assert_eq!(deliveries[0], deliveries[1], "by which a receiver knows it again");
    assert_eq!(received[0].body, received[1].body);
    assert!(received.iter().all(|one| is_signed(one, &secret)));
    let body: Value = serde_json::from_slice(&received[1].body).expect("a webhook is JSON");
    assert_eq!((&body["event"], &body["job"]["id"]), (&json!("job.failed"), &job["id"]));
    let kept = format!("/v1/deliveries/{}", deliveries[0]);
    eventually("the delivery is noted as done", async || world.get(&kept).await.expect(200)["state"] == "delivered")
        .await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_sent_before_a_crash_comes_again_the_same() {
    a_webhook_comes_again_the_same_after_a_crash_at("delivery.after_send").await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_not_noted_before_a_crash_comes_again_the_same() {
    a_webhook_comes_again_the_same_after_a_crash_at("delivery.before_settle").await;
}

/// Sends a delivery again, whose last attempt was noted.
async fn sent_again(world: &World, receiver: &Receiver, delivery: &str) -> Received {
    let count = receiver.requests().len() + 1;
    let path = format!("/v1/deliveries/{delivery}");
    eventually("the attempt is noted", async || world.get(&path).await.expect(200)["state"] == "scheduled").await;
    world.post(&format!("{path}/cancel"), &json!({})).await.expect(200);
    world.post(&format!("{path}/resend"), &json!({})).await.expect(202);
    receiver.wait_for(count, PATIENCE).await.remove(count - 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_changed_receivers_with_either_one_accept_by_the_second_attempt() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let made = world.post("/v1/secrets", &json!({"service": "transcodely"})).await.expect(201);
    let old = made["secret"].as_str().expect("it is shown once").to_owned();
    doomed_job(&world, &origin, &receiver).await;
    told(&receiver, &old, "job.failed").await;

    let rotated = world.post("/v1/secrets/transcodely/rotate", &json!({"overlap_seconds": 3600})).await.expect(200);
    let new = rotated["secret"].as_str().expect("it is shown once").to_owned();
    assert_ne!(old, new);
    receiver.otherwise(Reply::status(401));
    doomed_job(&world, &origin, &receiver).await;
    let first = receiver.wait_for(2, PATIENCE).await.remove(1);
    assert_eq!((is_signed(&first, &new), is_signed(&first, &old)), (true, false));
    let delivery = first.header("x-transcodely-delivery-id");
    let second = sent_again(&world, &receiver, delivery).await;
    assert_eq!((is_signed(&second, &new), is_signed(&second, &old)), (false, true));
    assert_eq!((second.header("x-transcodely-delivery-id"), &second.body), (delivery, &first.body));

    // Once the old one is taken away, every attempt is the new one's.
    let old_id = made["id"].as_str().expect("it has an id");
    assert_eq!(world.delete(&format!("/v1/secrets/{old_id}")).await.status, 204);
    for _ in 0..2 {
        let later = sent_again(&world, &receiver, delivery).await;
        assert_eq!((is_signed(&later, &new), is_signed(&later, &old)), (true, false));
    }
}
