//! Streams: they reach a plain client through a proxy, and end with their key.

use bytes::Bytes;
use futures::StreamExt as _;
use http::Method;
use reelhook_egress::Response;
use serde_json::json;

use crate::world::{PATIENCE, Serve, World};

const WATCH: &str = "/transcodely/transcodely.v1.JobService/Watch";

/// The frames of a stream that have come so far are read until one holds these words.
async fn frames_until(stream: &mut Response, words: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(words) {
            let piece = stream.body.next().await.expect("the stream goes on").expect("it can be read");
            text.push_str(std::str::from_utf8(&piece).expect("frames are text"));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("it comes");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_reach_a_plain_event_source_through_a_proxy() {
    let world = World::start(Serve::dev()).await;
    let endpoint = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    let of_endpoint = format!("/v1/endpoints/{}/events", endpoint["id"].as_str().expect("an endpoint has an id"));
    let job =
        json!({"input": {"url": "http://127.0.0.1:9/a.mp4"}, "outputs": [{"recipe": "thumbnail"}], "draft": true});
    let of_job = format!("/v1/jobs/{}/events", world.submit(&job).await);
    for kind in ["order.paid", "error", "open", "last"] {
        world.post("/v1/events", &json!({"type": kind, "payload": kind})).await.expect(202);
    }
    let accept = [("accept", "text/event-stream")];
    let ours = [("content-type", "application/connect+json")];
    for (method, path, headers) in [
        (Method::GET, of_endpoint.as_str(), &accept),
        (Method::GET, of_job.as_str(), &accept),
        (Method::POST, WATCH, &ours),
    ] {
        let stream = world.open(method, path, headers).await;
        assert_eq!(stream.status.as_u16(), 200, "{path}");
        assert_eq!(stream.headers["x-accel-buffering"], "no", "{path}");
        let cached = stream.headers["cache-control"].to_str().expect("it is text");
        assert!(cached.contains("no-transform") && cached.contains("no-cache"), "{path}: {cached}");
    }

    let last = "\\\"last\\\"";
    let named = frames_until(&mut world.open(Method::GET, &of_endpoint, &accept).await, last).await;
    let names: Vec<_> = named.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["order.paid", "last"], "{named}");
    assert_eq!(named.lines().filter(|line| line.starts_with("data: ")).count(), 4, "{named}");
    let path = format!("{of_endpoint}?names=none");
    let plain = frames_until(&mut world.open(Method::GET, &path, &accept).await, last).await;
    assert!(
        !plain.contains("event:") && plain.lines().filter(|line| line.starts_with("data: ")).count() == 4,
        "{plain}"
    );

    let path = format!("{of_job}?names=none");
    let plain = frames_until(&mut world.open(Method::GET, &path, &accept).await, "job.progress").await;
    assert!(!plain.contains("event:") && plain.contains("\"type\":\"job.progress\""), "{plain}");
    let named = frames_until(&mut world.open(Method::GET, &of_job, &accept).await, "job.progress").await;
    assert!(named.contains("event: job.progress"), "{named}");
    assert_eq!(world.get_with(&format!("{of_job}?names=all"), &accept).await.violations(), ["?names"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_ends_with_its_key() {
    let world = World::start(Serve::dev()).await;
    let endpoint = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    let of_endpoint = format!("/v1/endpoints/{}/events", endpoint["id"].as_str().expect("an endpoint has an id"));
    let job =
        json!({"input": {"url": "http://127.0.0.1:9/a.mp4"}, "outputs": [{"recipe": "thumbnail"}], "draft": true});
    let job = world.submit(&job).await;
    let of_job = format!("/v1/jobs/{job}/events");
    let watched = json!({"id": job}).to_string();
    let (accept, ours) = (("accept", "text/event-stream"), ("content-type", "application/connect+json"));
    let streams = [
        (Method::GET, of_endpoint.as_str(), accept, ""),
        (Method::GET, of_job.as_str(), accept, ""),
        (Method::POST, WATCH, ours, watched.as_str()),
    ];
    // Revoked by this process, which knows at once, and by another, which is only seen by looking.
    for by_another in [false, true] {
        let made = world.post("/v1/keys", &json!({"name": "other"})).await.expect(201);
        let (key, id) = (made["key"].as_str().expect("it is shown"), made["id"].as_str().expect("it has an id"));
        let bearer = format!("Bearer {key}");
        let mut open = Vec::new();
        for (method, path, header, body) in &streams {
            let headers = [("authorization", bearer.as_str()), *header];
            let body = Bytes::from((*body).to_owned());
            let stream = world.open_with(method.clone(), path, &headers, body).await;
            assert_eq!(stream.status.as_u16(), 200, "{path}");
            open.push((*path, stream));
        }
        if by_another {
            world.command(&["keys", "revoke", id]).await;
        } else {
            assert_eq!(world.delete(&format!("/v1/keys/{id}")).await.status, 200);
        }
        world.post("/v1/events", &json!({"type": "a.b", "payload": "afterwards"})).await.expect(202);
        for (path, mut stream) in open {
            let reading = async { while stream.body.next().await.is_some_and(|piece| piece.is_ok()) {} };
            tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{path} ends with its key"));
        }
    }
}
