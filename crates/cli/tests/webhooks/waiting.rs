//! Why a delivery waits, and until when, as its caller reads it: alone, in the list, and under its job.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use reelhook_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::{Serve, World, eventually};

/// Registers an endpoint for events of that type; gives its id.
async fn register(world: &World, mut endpoint: Value, kind: &str) -> String {
    endpoint["events"] = json!([kind]);
    world.post("/v1/endpoints", &endpoint).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn publish(world: &World, kind: &str, count: usize) {
    let events = vec![json!({"type": kind, "payload": {}}); count];
    world.post("/v1/events", &json!({"events": events})).await.expect(202);
}

/// Waits until a delivery to the endpoint waits for that reason, and gives it as the list shows it.
async fn waiting(world: &World, endpoint: &str, reason: &str) -> Value {
    let mut found = Value::Null;
    eventually(reason, async || {
        let page = world.get(&format!("/v1/deliveries?limit=100&endpoint={endpoint}")).await.expect(200);
        let all = page["deliveries"].as_array().unwrap();
        found = all.iter().find(|one| one["waiting"]["reason"] == reason).cloned().unwrap_or_default();
        found.is_object()
    })
    .await;
    found
}

/// How many seconds from now until then.
fn seconds_until(time: &Value) -> f64 {
    let until: Timestamp = time.as_str().expect("a time decides").parse().unwrap();
    until.duration_since(Timestamp::now()).as_secs_f64()
}

/// A wait that a time ends is read alike wherever the delivery is shown, and ends then.
async fn check_until(world: &World, shown: &Value, seconds: RangeInclusive<f64>) {
    let alone = world.get(&format!("/v1/deliveries/{}", shown["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(alone["waiting"], shown["waiting"]);
    assert_eq!(shown["waiting"]["until"], shown["next_attempt_at"], "{shown:#}");
    assert_eq!(shown["state"], "scheduled");
    let left = seconds_until(&shown["next_attempt_at"]);
    assert!(seconds.contains(&left), "{left} s: {shown:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wait_that_a_time_ends_says_why_and_until_when() {
    let world = World::start(Serve::dev()).await;
    let failing = Reply::status(500);
    let table = [
        (failing.clone(), json!({"retry_seconds": [0, 3600]}), "backoff", 2700.0..=4330.0),
        (failing.clone(), json!({"retry_seconds": [3600, 60]}), "first_wait", 3400.0..=3600.0),
        (Reply::status(429).header("retry-after", "7200"), json!({}), "retry_after", 7000.0..=7200.0),
        // A date is honoured for a day.
        (
            Reply::status(503).header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
            json!({}),
            "retry_after",
            86_200.0..=86_400.0,
        ),
        // The eighth failure opens it; what would be tried sooner waits for it, too.
        (failing, json!({"retry_seconds": [0, 15, 15, 15, 15]}), "circuit_open", 0.0..=120.0),
    ];
    for (number, (reply, mut endpoint, reason, seconds)) in table.into_iter().enumerate() {
        let receiver = Receiver::start().await;
        receiver.otherwise(reply);
        endpoint["url"] = json!(receiver.url("/hook"));
        let kind = format!("waits.case{number}");
        let endpoint = register(&world, endpoint, &kind).await;
        publish(&world, &kind, if reason == "circuit_open" { 8 } else { 1 }).await;
        let shown = waiting(&world, &endpoint, reason).await;
        check_until(&world, &shown, seconds).await;
        if reason == "circuit_open" {
            let circuit = world.get(&format!("/v1/endpoints/{endpoint}")).await.expect(200)["circuit"].clone();
            assert_eq!(circuit, json!({"state": "open", "until": shown["waiting"]["until"]}));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_at_once_whatever_the_schedule_begins_with() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let endpoint = json!({"url": receiver.url("/hook"), "retry_seconds": [86_400, 60]});
    let endpoint = register(&world, endpoint, "waits.test").await;
    let tested = world.post(&format!("/v1/endpoints/{endpoint}/test"), &json!({})).await.expect(200);
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)), "{tested:#}");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_wait_says_why() {
    let world = World::start(Serve::dev()).await;
    let (silent, quick) = (Receiver::start().await, Receiver::start().await);
    silent.otherwise(Reply::hang());
    let none = |reason: &str| json!({"reason": reason, "until": null});

    let out = register(&world, json!({"url": silent.url("/hook")}), "waits.out").await;
    let rate = json!({"per_second": 1.0, "burst": 1});
    let slow = register(&world, json!({"url": quick.url("/hook"), "rate": rate}), "waits.slow").await;
    publish(&world, "waits.out", 20).await;
    publish(&world, "waits.slow", 20).await;
    for reason in ["sending", "concurrency"] {
        let shown = waiting(&world, &out, reason).await;
        assert_eq!((&shown["state"], &shown["waiting"]), (&json!("sending"), &none(reason)));
        assert_eq!(shown["next_attempt_at"], Value::Null);
    }
    let shown = waiting(&world, &slow, "rate").await;
    assert_eq!((&shown["state"], &shown["waiting"]["until"]), (&json!("sending"), &shown["next_attempt_at"]));
    let left = seconds_until(&shown["next_attempt_at"]);
    assert!((0.0..=20.0).contains(&left), "the newest of 20 waits for those before it: {left} s");

    let disabled = register(&world, json!({"url": quick.url("/hook")}), "waits.held").await;
    world.post(&format!("/v1/endpoints/{disabled}/disable"), &json!({})).await.expect(200);
    let pull = register(&world, json!({"pull": true}), "waits.held").await;
    publish(&world, "waits.held", 1).await;
    for (endpoint, reason) in [(&disabled, "endpoint_disabled"), (&pull, "pull")] {
        let shown = waiting(&world, endpoint, reason).await;
        assert_eq!((&shown["state"], &shown["waiting"]), (&json!("held"), &none(reason)));
        assert_eq!(shown["next_attempt_at"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_says_why_its_webhooks_wait() {
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(503).header("retry-after", "7200"));
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", "no clip").await;
    let output = json!({"recipe": "thumbnail", "width": 64});
    let webhook = json!({"url": receiver.url("/hook")});
    let job = world.submit(&json!({"input": {"upload": upload}, "outputs": [output], "webhook": webhook})).await;
    let mut shown = Value::Null;
    eventually("a webhook of the job waits", async || {
        shown = world.job(&job).await["deliveries"][0].clone();
        shown["waiting"]["reason"] == "retry_after"
    })
    .await;
    check_until(&world, &shown, 7000.0..=7200.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_cannot_be_made_says_why_at_once_and_leaves_nothing() {
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(500));
    let world = World::start(Serve::dev()).await;
    let endpoint = register(&world, json!({"url": receiver.url("/hook")}), "waits.test").await;
    publish(&world, "waits.test", 8).await;
    waiting(&world, &endpoint, "circuit_open").await;
    let path = format!("/v1/endpoints/{endpoint}");
    let test = async || world.post(&format!("{path}/test"), &json!({})).await.expect(200);

    let answer = test().await;
    assert_eq!((&answer["ok"], &answer["attempt"]), (&json!(false), &Value::Null));
    assert_eq!((&answer["reason"], &answer["waiting"]["reason"]), (&json!("circuit_open"), &json!("circuit_open")));
    assert!(seconds_until(&answer["waiting"]["until"]) > 0.0, "{answer:#}");

    world.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    assert_eq!(test().await["waiting"], json!({"reason": "endpoint_disabled", "until": null}));
    let tests = world.get(&format!("/v1/deliveries?endpoint={endpoint}&event=webhook.test")).await.expect(200);
    let states = tests["deliveries"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["canceled", "canceled"]);
}
