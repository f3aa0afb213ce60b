//! Sending again by hand: what an endpoint missed, one event, and how often that may be asked for.

use reelhook_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::{Answer, PATIENCE, Serve, World, eventually};

async fn deliveries(world: &World, query: &str) -> Vec<Value> {
    let page = world.get(&format!("/v1/deliveries?limit=100&{query}")).await.expect(200);
    page["deliveries"].as_array().unwrap().clone()
}

async fn register(world: &World, endpoint: &Value) -> String {
    let answer = world.post("/v1/endpoints", endpoint).await.expect(201);
    answer["id"].as_str().unwrap().to_owned()
}

/// Publishes so many events, one after the other, and gives their ids.
async fn publish(world: &World, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let answer = world.post("/v1/events", &json!({"type": "a.b", "payload": {"n": number}})).await.expect(202);
        ids.push(answer["ids"][0].as_str().unwrap().to_owned());
    }
    ids
}

/// Asks until that is too often: more than once only where this machine is so slow that there is room again.
async fn until_too_many(world: &World, path: &str, body: &Value) -> Answer {
    for _ in 0..5 {
        let answer = world.post(path, body).await;
        if answer.status == 429 {
            assert_eq!(answer.json()["code"], "too_many_requests");
            return answer;
        }
    }
    panic!("{path} may be asked for too often");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_sent_again_what_it_missed_since_a_time() {
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let world = World::start(Serve::dev().set("api.recoveries_per_minute", 2)).await;
    let endpoint = register(&world, &json!({"url": receiver.url("/hook"), "retry_seconds": [0]})).await;
    let events = publish(&world, 3).await;
    let exhausted = format!("endpoint={endpoint}&state=exhausted");
    eventually("all are given up", async || deliveries(&world, &exhausted).await.len() == 3).await;
    let made = deliveries(&world, &exhausted).await;
    let of = |event: &str| made.iter().find(|delivery| delivery["event"]["id"] == event).unwrap().clone();
    let before = receiver.requests();

    receiver.otherwise(Reply::status(200));
    let path = format!("/v1/endpoints/{endpoint}/recover");
    assert_eq!(world.post(&path, &json!({})).await.violations(), ["since"]);
    let since = of(&events[1])["created_at"].as_str().unwrap().to_owned();
    let recovered = world.post(&path, &json!({"since": since})).await.expect(202);
    let expected: Vec<_> =
        events.iter().filter(|id| of(id)["created_at"].as_str().unwrap() >= since.as_str()).collect();
    assert!(expected.len() >= 2);
    assert_eq!(recovered, json!({"recovered": expected.len(), "more": false}));
    let all = receiver.wait_for(before.len() + expected.len(), PATIENCE).await;
    for again in &all[before.len()..] {
        let first = before.iter().find(|first| first.header("webhook-id") == again.header("webhook-id")).unwrap();
        assert_eq!(first.body, again.body, "what is sent again has the same bytes");
        assert_eq!(first.header("reelhook-delivery"), again.header("reelhook-delivery"));
        assert_eq!(again.header("reelhook-attempt"), "2");
    }
    eventually("they are delivered", async || {
        deliveries(&world, &format!("endpoint={endpoint}&state=delivered")).await.len() == expected.len()
    })
    .await;

    let refused = until_too_many(&world, &path, &json!({"since": since})).await;
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let nobody = world.post("/v1/endpoints/ep_00000000000000000000000000/recover", &json!({"since": since})).await;
    nobody.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_replayed_to_one_endpoint() {
    let (receiver, late) = (Receiver::start().await, Receiver::start().await);
    let world = World::start(Serve::dev().set("api.resends_per_minute", 4)).await;
    register(&world, &json!({"url": receiver.url("/hook")})).await;
    let event = publish(&world, 1).await.remove(0);
    let first = receiver.wait_for(1, PATIENCE).await.remove(0);

    // One that came later, and whose filter wants something else.
    let endpoint = register(&world, &json!({"url": late.url("/hook"), "events": ["x.y"]})).await;
    let path = format!("/v1/endpoints/{endpoint}/replay");
    let made = world.post(&path, &json!({"event": event})).await.expect(202);
    let came = late.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!((came.header("webhook-id"), &came.body), (event.as_str(), &first.body));
    assert_eq!(came.header("reelhook-sequence"), "1");
    let id = made["id"].as_str().unwrap().to_owned();
    eventually("it is delivered", async || {
        world.get(&format!("/v1/deliveries/{id}")).await.expect(200)["state"] == "delivered"
    })
    .await;

    assert_eq!(world.post(&path, &json!({"event": event})).await.expect(202)["id"], id);
    let again = late.wait_for(2, PATIENCE).await.remove(1);
    assert_eq!((again.header("reelhook-delivery"), again.header("reelhook-attempt")), (id.as_str(), "2"));

    assert_eq!(world.post(&path, &json!({"event": "evt_x"})).await.violations(), ["event"]);
    let unknown = json!({"event": "evt_00000000000000000000000000"});
    world.post(&path, &unknown).await.expect(404);

    // Resending, replaying and canceling are counted together.
    eventually("it is delivered again", async || {
        world.get(&format!("/v1/deliveries/{id}")).await.expect(200)["state"] == "delivered"
    })
    .await;
    world.post(&format!("/v1/deliveries/{id}/cancel"), &json!({})).await.expect(409);
    world.post(&format!("/v1/deliveries/{id}/resend"), &json!({})).await.expect(202);
    until_too_many(&world, &path, &json!({"event": event})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_of_endpoints_are_counted() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev().set("api.tests_per_minute", 1)).await;
    let endpoint = register(&world, &json!({"url": receiver.url("/hook")})).await;
    let path = format!("/v1/endpoints/{endpoint}/test");
    assert_eq!(world.post(&path, &json!({})).await.expect(200)["ok"], true);
    until_too_many(&world, &path, &json!({})).await;
}
