//! Its webhooks on a bad day: a crash between sending and noting.

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver};
use serde_json::{Value, json};

use super::{account_secret, call, h264, is_signed};
use crate::world::{PATIENCE, Serve, World, eventually};

/// A job that fails as soon as its input is looked at, and is told of there.
async fn doomed_job(world: &World, origin: &Origin, receiver: &Receiver) -> Value {
    let input = origin.put("/in.bin", clips::bytes(Clip::Garbage), Manners::Good);
    let outputs = json!([{"type": "mp4", "video": [h264("480p", "economy")]}]);
    call(world, "Create", &json!({"input_url": input, "webhook_url": receiver.url("/hook"), "outputs": outputs})).await
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_sent_before_a_crash_comes_again_the_same() {
    a_webhook_comes_again_the_same_after_a_crash_at("delivery.after_send").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_not_noted_before_a_crash_comes_again_the_same() {
    a_webhook_comes_again_the_same_after_a_crash_at("delivery.before_settle").await;
}
