//! `POST /v1/events`: batches, limits, and one request sent twice.

use reelhook_testkit::Receiver;
use serde_json::{Value, json};

use crate::inbox;
use crate::world::{Serve, World};

async fn endpoint(world: &World, receiver: &Receiver) -> String {
    let answer = world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_publication_gets_the_first_answer_and_is_sent_once() {
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    endpoint(&world, &receiver).await;
    let events = json!({"events": [{"type": "a.b", "payload": {"n": 1}}, {"type": "a.c", "payload": {"n": 2}}]});
    let key = [("idempotency-key", "once")];
    let first = world.post_with("/v1/events", &key, events.to_string()).await.expect(202);
    assert_eq!(world.post_with("/v1/events", &key, events.to_string()).await.expect(202), first);

    // The promise outlives the process.
    world.kill().await;
    assert!(world.serve(Serve::dev()).await);
    assert_eq!(world.post_with("/v1/events", &key, events.to_string()).await.expect(202), first);

    let other = json!({"type": "a.d", "payload": {"n": 3}}).to_string();
    let refused = world.post_with("/v1/events", &key, other.clone()).await.expect(409);
    assert_eq!(refused["code"], "idempotency_conflict");
    world.post_with("/v1/events", &[("idempotency-key", "another")], other).await.expect(202);

    // Events are fanned out in order: once the last is there, nothing is on its way any more.
    inbox::wait_for(&receiver, &["a.b", "a.c", "a.d"]).await;
    let deliveries = world.get("/v1/deliveries").await.expect(200);
    assert_eq!(deliveries["deliveries"].as_array().unwrap().len(), 3, "{deliveries:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_kept_whole_or_refused_with_the_place() {
    let world = World::start(Serve::dev()).await;
    let event = |payload: Value| json!({"type": "a.b", "payload": payload});
    let most: Vec<_> = (0..500).map(|number| event(json!(number))).collect();
    let answer = world.post("/v1/events", &json!({"events": most})).await.expect(202);
    assert_eq!(answer["ids"].as_array().unwrap().len(), 500);

    let too_many: Vec<_> = (0..501).map(|number| event(json!(number))).collect();
    assert_eq!(world.post("/v1/events", &json!({"events": too_many})).await.violations(), ["events"]);
    assert_eq!(world.post("/v1/events", &json!({"events": []})).await.violations(), ["events"]);

    // With its quotes, a text of two bytes less is as large as a payload may be.
    let large = |over: usize| json!("x".repeat(256 * 1024 - 2 + over));
    world.post("/v1/events", &event(large(0))).await.expect(202);
    assert_eq!(world.post("/v1/events", &event(large(1))).await.violations(), ["payload"]);
    let batch =
        json!({"events": [event(json!(0)), event(json!(1)), {"type": "not a type", "payload": 2}, event(large(1))]});
    let refused = world.post("/v1/events", &batch).await;
    assert_eq!(refused.violations(), ["events[2].type", "events[3].payload"]);
    assert!(refused.body.len() < 4096, "what is refused is not repeated whole");

    let long = "k".repeat(256);
    let refused = world.post_with("/v1/events", &[("idempotency-key", &long)], event(json!(1)).to_string()).await;
    assert_eq!(refused.violations(), ["Idempotency-Key"]);
    let body = format!("{{\"type\":\"a.b\",\"payload\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(world.post_with("/v1/events", &[], body).await.expect(413)["code"], "too_large");
}
