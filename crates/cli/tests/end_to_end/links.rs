//! Links to results, as browsers, players and caches in front of them use them.

use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver};
use serde_json::{Value, json};
use url::Url;

use crate::world::{PATIENCE, Serve, World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn links_are_open_to_pages_and_compare_tags_weakly() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/a.png", clips::bytes(Clip::Picture), Manners::Good);
    let id = world.submit(&json!({"input": {"url": input}, "outputs": [{"recipe": "image"}]})).await;
    let job = world.job_ended(&id, "completed").await;
    let link: Url = job["outputs"][0]["file"]["url"].as_str().expect("a file has a link").parse().expect("a URL");
    let whole = world.get_as_stranger(link.clone(), &[]).await;
    assert_eq!(whole.status, 200);
    let tag = whole.headers["etag"].to_str().expect("a tag is text").to_owned();
    for (tags, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"a,b\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("W/\"another\"".to_owned(), 200),
        (tag.replace('"', ""), 200),
    ] {
        let answer = world.get_as_stranger(link.clone(), &[("if-none-match", &tags)]).await;
        assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{tags}");
        assert_eq!(answer.headers["etag"], tag.as_str());
    }
    // A range needs the very bytes, so the comparison is a strong one.
    for (if_range, status) in [(tag.clone(), 206), (format!("W/{tag}"), 200)] {
        let headers = [("range", "bytes=0-3"), ("if-range", if_range.as_str())];
        assert_eq!(world.get_as_stranger(link.clone(), &headers).await.status, status, "{if_range}");
    }

    let forged: Url = link.as_str().replace("signature=", "signature=x").parse().expect("a URL");
    let missing = world.url("/files/x/y/z/nothing.png");
    let part = [("range", "bytes=0-3"), ("origin", "https://player.example")];
    for (method, url, headers, status) in [
        (Method::GET, link.clone(), &part[..], 206),
        (Method::HEAD, link.clone(), &[], 200),
        (Method::GET, link.clone(), &[("range", "bytes=99999999-")], 416),
        (Method::GET, forged, &[], 403),
        (Method::GET, missing.clone(), &[], 404),
        (Method::OPTIONS, link.clone(), &[("access-control-request-headers", "range")], 204),
        (Method::OPTIONS, missing, &[("access-control-request-method", "GET")], 204),
        (Method::DELETE, link.clone(), &[], 405),
    ] {
        let answer = world.exchange_as_stranger(method.clone(), url.clone(), headers).await;
        assert_eq!(answer.status, status, "{method} {url}");
        let says = |name: &str| answer.headers[name].to_str().expect("a header is text").to_ascii_lowercase();
        assert_eq!(says("access-control-allow-origin"), "*");
        assert!(says("access-control-allow-headers").contains("range"));
        assert!(!says("access-control-allow-headers").contains("authorization"));
        assert!(says("access-control-expose-headers").contains("content-range"));
        assert!(says("access-control-expose-headers").contains("etag"));
    }
    let keyed = world.get("/v1/jobs").await;
    assert!(!keyed.headers.contains_key("access-control-allow-origin"), "only links are open to pages");
}

/// Where the link leads that a webhook carries.
fn linked(received: &Received) -> String {
    let body: Value = serde_json::from_slice(&received.body).expect("a webhook is JSON");
    assert_eq!(body["type"], "job.completed");
    body["data"]["outputs"][0]["file"]["url"].as_str().expect("a file has a link").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_by_hand_carries_links_of_that_moment() {
    let (receiver, late, origin) = tokio::join!(Receiver::start(), Receiver::start(), Origin::start());
    let mut world = World::start(Serve::dev().set("public_url", "http://before.example/")).await;
    world.post("/v1/endpoints", &json!({"url": receiver.url("/a"), "events": ["job.completed"]})).await.expect(201);
    let input = origin.put("/a.png", clips::bytes(Clip::Picture), Manners::Good);
    let id = world.submit(&json!({"input": {"url": input}, "outputs": [{"recipe": "image"}]})).await;
    world.job_ended(&id, "completed").await;
    let first = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert!(linked(&first).starts_with("http://before.example/"), "{}", linked(&first));
    let mut delivery = Value::Null;
    eventually("it is delivered", async || {
        delivery = world.get("/v1/deliveries").await.expect(200)["deliveries"][0].clone();
        delivery["state"] == "delivered"
    })
    .await;

    world.terminate().await;
    assert!(world.serve(Serve::dev().set("public_url", "http://after.example/")).await, "the server starts again");
    let resend = format!("/v1/deliveries/{}/resend", delivery["id"].as_str().expect("a delivery has an id"));
    world.post(&resend, &json!({})).await.expect(202);
    let again = receiver.wait_for(2, PATIENCE).await.remove(1);
    assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
    assert!(linked(&again).starts_with("http://after.example/"), "{}", linked(&again));

    let filter = json!({"url": late.url("/b"), "events": ["x.y"]});
    let other = world.post("/v1/endpoints", &filter).await.expect(201);
    let replay = format!("/v1/endpoints/{}/replay", other["id"].as_str().expect("an endpoint has an id"));
    world.post(&replay, &json!({"event": first.header("webhook-id")})).await.expect(202);
    let replayed = late.wait_for(1, PATIENCE).await.remove(0);
    assert!(linked(&replayed).starts_with("http://after.example/"), "{}", linked(&replayed));

    let link: Url = linked(&replayed).parse().expect("a link is a URL");
    let here = world.url(&format!("{}?{}", link.path(), link.query().expect("it is signed")));
    assert_eq!(world.get_as_stranger(here, &[]).await.status, 200, "the link works");
}
