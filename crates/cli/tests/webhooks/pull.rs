//! Events for receivers that ask: as a stream that is broken off and resumed.

use futures::StreamExt as _;
use http::Method;
use reelhook_signature::{Headers, Secret, Trust, verify};
use reelhook_testkit::system_ambient;
use serde_json::{Value, json};

use crate::world::{PATIENCE, Serve, World};

/// A stream of events as it is read.
struct Stream {
    body: reelhook_egress::Body,
    text: String,
}

impl Stream {
    async fn open(world: &World, path: &str, last: Option<i64>) -> Self {
        let last = last.map(|last| last.to_string());
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.as_deref().map(|last| ("last-event-id", last)));
        let exchange = world.open(Method::GET, path, &headers).await;
        assert_eq!(exchange.status, 200);
        assert_eq!(exchange.headers["content-type"], "text/event-stream");
        Self { body: exchange.body, text: String::new() }
    }

    /// The next event: its id, its type and what it holds; none when the stream ended.
    async fn next(&mut self) -> Option<(i64, String, Value)> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let event = (|| {
                    let data = serde_json::from_str(field("data:")?).unwrap();
                    Some((field("id:")?.parse().unwrap(), field("event:")?.to_owned(), data))
                })();
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let piece = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("something comes")?.ok()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

async fn publish(world: &World, kind: &str) {
    world.post("/v1/events", &json!({"type": kind, "payload": {"text": "a\nb"}})).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_gives_signed_events_in_order_and_resumes() {
    let mut world = World::start(Serve::dev()).await;
    let endpoint = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    let secret = Secret::parse(endpoint["secret"].as_str().unwrap()).unwrap();
    let path = format!("/v1/endpoints/{}/events", endpoint["id"].as_str().unwrap());

    let mut stream = Stream::open(&world, &path, None).await;
    for (number, kind) in ["a.a", "a.b", "a.c"].into_iter().enumerate() {
        publish(&world, kind).await;
        let (id, said, event) = stream.next().await.unwrap();
        assert_eq!((id, said.as_str()), (number as i64 + 1, kind));
        assert_eq!(event["sequence"], id);
        let headers = Headers::read(|name| event["headers"][name].as_str());
        let now = system_ambient().now().as_seconds();
        let body = event["body"].as_str().unwrap();
        verify(headers, body.as_bytes(), now, Trust::secrets(std::slice::from_ref(&secret))).expect("it is genuine");
    }
    drop(stream);

    // What happens while nobody listens is not lost, nor what happens while the server is away.
    publish(&world, "a.d").await;
    world.kill().await;
    assert!(world.serve(Serve::dev()).await);
    publish(&world, "a.e").await;
    let mut stream = Stream::open(&world, &path, Some(3)).await;
    for (number, kind) in [(4, "a.d"), (5, "a.e")] {
        let (id, said, event) = stream.next().await.unwrap();
        assert_eq!((id, said.as_str()), (number, kind));
        let polled = world.get(&format!("{path}?after={}&limit=1", number - 1)).await.expect(200);
        assert_eq!(polled["events"][0]["body"], event["body"], "a stream and a page show the same");
        assert_eq!(polled["events"][0]["headers"]["webhook-id"], event["headers"]["webhook-id"]);
    }

    let refused = world.get_with(&path, &[("accept", "text/event-stream"), ("last-event-id", "soon")]).await;
    assert_eq!(refused.violations(), ["Last-Event-ID"]);
    let stopping = tokio::spawn(async move { world.terminate().await });
    assert!(stream.next().await.is_none(), "a stream ends with its server");
    assert!(stopping.await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_called_endpoint_shows_what_it_is_sent_and_ends_when_it_is_deleted() {
    let receiver = reelhook_testkit::Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let endpoint = world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    let id = endpoint["id"].as_str().unwrap();
    let mut stream = Stream::open(&world, &format!("/v1/endpoints/{id}/events"), None).await;
    publish(&world, "a.b").await;
    let (number, _, event) = stream.next().await.unwrap();
    let sent = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!((number, event["body"].as_str().unwrap().as_bytes()), (1, &sent.body[..]));
    assert_eq!(event["headers"]["webhook-id"], sent.header("webhook-id"));
    world.delete(&format!("/v1/endpoints/{id}")).await;
    assert!(stream.next().await.is_none());
}
