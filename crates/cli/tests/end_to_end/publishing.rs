//! A crash around the answer of `POST /v1/events`: its caller, who knows nothing, asks again under the same
//! `Idempotency-Key`, and each event is there once.

use std::os::unix::process::ExitStatusExt as _;

use reelhook_testkit::Receiver;
use serde_json::{Value, json};

use crate::inbox;
use crate::world::{PATIENCE, Serve, World, eventually};

/// SIGKILL.
const KILLED: i32 = 9;

/// Publishes under a key; gives the ids, unless there was no answer.
async fn publish(world: &World, key: &str, kinds: &[&str]) -> Option<Vec<String>> {
    let events: Vec<_> = kinds.iter().map(|kind| json!({"type": kind, "payload": {"of": kind}})).collect();
    let body = json!({"events": events}).to_string().into();
    let (url, headers) = (world.url("/v1/events"), [("idempotency-key", key)]);
    let answer = world.exchange(http::Method::POST, url, &headers, body).await.ok()?.expect(202);
    let ids = answer["ids"].as_array().expect("each event has an id").iter();
    Some(ids.map(|id| id.as_str().expect("an id is text").to_owned()).collect())
}

/// What a publication came to whose server crashed at that point: the ids that the crashed one answered, that of an event
/// which the next one was given, and those that it answered when the first publication was repeated after that.
struct Repeated {
    first: Option<Vec<String>>,
    between: String,
    again: Vec<String>,
}

async fn a_publication_is_made_once_through_a_crash_at(point: &str) -> Repeated {
    let receivers = [Receiver::start().await, Receiver::start().await];
    let mut world = World::start(Serve::dev()).await;
    for receiver in &receivers {
        world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    }
    world.terminate().await;
    let kinds = ["a.one", "a.two", "a.three", "a.four", "a.five"];
    let mut first = None;
    if world.serve(Serve::dev().crash_at(point)).await {
        first = publish(&world, "once", &kinds).await;
        assert_eq!(world.death().await.signal(), Some(KILLED), "the server crashes at {point}");
    }

    assert!(world.serve(Serve::dev()).await, "the server starts after a crash");
    let between = publish(&world, "between", &["b.between"]).await.expect("the second server answers").remove(0);
    let again = publish(&world, "once", &kinds).await.expect("the second server answers");
    assert!(first.as_ref().is_none_or(|first| *first == again), "a repeated publication has the same events");
    publish(&world, "last", &["c.last"]).await.expect("the second server answers");

    let all: Vec<&str> = kinds.into_iter().chain(["b.between", "c.last"]).collect();
    for receiver in &receivers {
        let came = inbox::wait_for(receiver, &all).await;
        let mut ids: Vec<_> = came.iter().map(|one| one.header("webhook-id")).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len(), "each event came under one id");
        assert!(again.iter().all(|id| ids.contains(&id.as_str())), "what was answered is what came");
    }
    // Events are fanned out in order: once the last is there, no second set is on its way.
    let deliveries = world.get("/v1/deliveries?limit=100").await.expect(200);
    let of = |kind: &Value| all.iter().any(|known| kind == known);
    let listed = deliveries["deliveries"].as_array().expect("deliveries are listed");
    assert_eq!(listed.iter().filter(|one| of(&one["event"]["type"])).count(), 2 * all.len(), "{deliveries:#}");
    Repeated { first, between, again }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_was_kept_but_not_answered_is_found_again() {
    let Repeated { first, between, again } = a_publication_is_made_once_through_a_crash_at("api.after_publish").await;
    assert_eq!(first, None);
    // Ids rise with time: those of the second answer were made before the second server was.
    assert!(again.iter().all(|id| *id < between), "{again:?} are older than {between}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_was_not_kept_is_made_by_its_repetition() {
    let Repeated { first, between, again } = a_publication_is_made_once_through_a_crash_at("api.before_publish").await;
    assert_eq!(first, None);
    assert!(again.iter().all(|id| *id > between), "{again:?} are newer than {between}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_comes_as_it_was_written_however_often_it_is_sent() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    let payload =
        "{ \"price\": 1.50,\n\t\"number\": 123456789012345678901234567890, \"b\": \"\\u00e9 é\", \"a\": [ ] }";
    let body = format!("{{\"payload\": {payload}, \"type\": \"invoice.paid\"}}");
    let answer = world.exchange(http::Method::POST, world.url("/v1/events"), &[], body.into()).await.unwrap();
    let id = answer.expect(202)["ids"][0].as_str().unwrap().to_owned();
    let first = inbox::wait_for(&receiver, &["invoice.paid"]).await.remove(0);
    let text = String::from_utf8(first.body.to_vec()).unwrap();
    assert!(text.ends_with(&format!(r#","data":{payload}}}"#)), "{text}");

    let mut delivery = Value::Null;
    eventually("it is settled", async || {
        delivery = world.get("/v1/deliveries").await.expect(200)["deliveries"][0].clone();
        delivery["state"] == "delivered"
    })
    .await;
    let delivery = delivery["id"].as_str().unwrap();
    world.post(&format!("/v1/deliveries/{delivery}/resend"), &json!({})).await.expect(202);
    let again = receiver.wait_for(2, PATIENCE).await.pop().unwrap();
    assert_eq!((again.header("webhook-id"), &again.body), (id.as_str(), &first.body));
}

macro_rules! crashes {
    ($($name:ident: $point:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            a_publication_is_made_once_through_a_crash_at($point).await;
        }
    )*};
}

crashes! {
    a_publication_is_made_once_through_a_crash_before_the_first_commit: "store.before_commit:1",
    a_publication_is_made_once_through_a_crash_after_the_first_commit: "store.after_commit:1",
    a_publication_is_made_once_through_a_crash_before_the_second_commit: "store.before_commit:2",
    a_publication_is_made_once_through_a_crash_after_the_second_commit: "store.after_commit:2",
    a_publication_is_made_once_through_a_crash_before_the_third_commit: "store.before_commit:3",
    a_publication_is_made_once_through_a_crash_after_the_third_commit: "store.after_commit:3",
    a_publication_is_made_once_through_a_crash_after_fan_out: "delivery.after_fan_out",
    a_publication_is_made_once_through_a_crash_before_a_webhook_is_sent: "delivery.before_send",
    a_publication_is_made_once_through_a_crash_before_it_is_settled: "delivery.before_settle",
}
