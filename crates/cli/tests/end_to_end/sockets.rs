//! Connections that do nothing, or do not read: they keep nobody else out, and end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use futures::StreamExt as _;
use http::Method;
use serde_json::json;
use url::Url;

use crate::world::{PATIENCE, Serve, World};

/// A connection on which this was sent.
fn connected(url: &Url, sent: &str) -> TcpStream {
    let address = (url.host_str().expect("the server has a host"), url.port().expect("the server has a port"));
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    stream.write_all(sent.as_bytes()).expect("the server takes it");
    stream
}

/// What comes until the server closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(path: &str, key: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n")
}

/// A stream of events that is open: its connection is busy for as long as it is read.
async fn event_stream(world: &World) -> (String, TcpStream) {
    let endpoint = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    let path = format!("/v1/endpoints/{}/events", endpoint["id"].as_str().expect("an endpoint has an id"));
    let asked = get(&path, &world.key()).replace("\r\n\r\n", "\r\nAccept: text/event-stream\r\n\r\n");
    let mut stream = connected(&world.url("/"), &asked);
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("the stream begins");
    assert_eq!(&head, b"HTTP/1.1 200");
    (path, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_make_room_and_health_is_answered_when_all_are_busy() {
    let serve = Serve::dev().set("api.max_connections", 8).set("api.max_connections_per_address", 8);
    let world = World::start(serve).await;
    let url = world.url("/");
    // Silent, without a whole head, and idle after an answer.
    let idle: Vec<_> = (0..30)
        .map(|number| match number % 3 {
            0 => connected(&url, ""),
            1 => connected(&url, "GET /v1/jobs HTTP/1.1\r\nHost: "),
            _ => connected(&url, &get("/v1/jobs", &world.key())),
        })
        .collect();
    let answer =
        rest(connected(&url, &get("/v1/jobs", &world.key()).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(idle);

    let mut busy = Vec::new();
    for _ in 0..8 {
        busy.push(event_stream(&world).await);
    }
    for path in ["/healthz", "/readyz"] {
        let answer = rest(connected(&url, &get(path, "")));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{path}: {answer}");
    }
    let answer = rest(connected(&url, &get("/v1/jobs", &world.key())));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too_many_connections"), "{answer}");
    drop(busy);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_connections() {
    let serve = Serve::dev().set("api.max_connections", 100).set("api.max_connections_per_address", 2);
    let world = World::start(serve).await;
    let streams = [event_stream(&world).await, event_stream(&world).await];
    let answer = rest(connected(&world.url("/"), &get("/v1/jobs", &world.key())));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too_many_connections"), "{answer}");
    drop(streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_does_not_read_is_let_go() {
    let world = World::start(Serve::dev().set("api.write_stall_seconds", 1)).await;
    let url = world.url("/");
    // Answers of far more bytes than the system holds for a reader: many in one connection.
    let many = get("/openapi.json", "").repeat(2000);
    let pipelining = tokio::task::spawn_blocking(move || {
        let address = (url.host_str().expect("it has a host"), url.port().expect("it has a port"));
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_write_timeout(Some(PATIENCE)).expect("it can be set");
        let written = stream.write_all(many.as_bytes());
        // Ended by the server, either way: nothing more can be sent for long.
        written.and_then(|()| {
            loop {
                stream.write_all(b"GET / HTTP/1.1\r\n")?;
            }
        })
    });
    let ended: std::io::Result<()> = pipelining.await.expect("it does not panic");
    let error = ended.expect_err("it goes on until the server ends it");
    let kinds = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_an_account_have_a_limit_and_end_with_their_key() {
    let world = World::start(Serve::dev().set("api.max_streams_per_account", 2)).await;
    let made = world.post("/v1/keys", &json!({"name": "other"})).await.expect(201);
    let (key, id) = (made["key"].as_str().expect("it is shown"), made["id"].as_str().expect("it has an id"));
    let endpoint = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    let path = format!("/v1/endpoints/{}/events", endpoint["id"].as_str().expect("it has an id"));
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("accept", "text/event-stream")];
    let mut first = world.open(Method::GET, &path, &headers).await;
    let second = world.open(Method::GET, &path, &headers).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    let third = world.get_with(&path, &[("accept", "text/event-stream")]).await.expect(429);
    assert_eq!(third["code"], "too_many_streams");
    drop(second);

    assert_eq!(world.delete(&format!("/v1/keys/{id}")).await.status, 200);
    world.post("/v1/events", &json!({"type": "a.b", "payload": {"secret": true}})).await.expect(202);
    let mut seen = Vec::new();
    let read = async {
        while let Some(piece) = first.body.next().await {
            seen.extend_from_slice(&piece.unwrap_or_default());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the stream ends");
    assert!(!String::from_utf8_lossy(&seen).contains("secret"), "nothing comes after the key is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_secrets_are_not_cached_and_no_type_is_guessed() {
    let world = World::start(Serve::dev()).await;
    let key = world.post("/v1/keys", &json!({"name": "other"})).await;
    for answer in [key, world.get("/v1/jobs").await, world.get("/v1/nothing").await, world.get("/docs").await] {
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let is_json = answer.headers["content-type"].to_str().is_ok_and(|kind| kind.contains("json"));
        let is_kept = answer.headers.get("cache-control").is_none_or(|rule| rule != "no-store");
        assert!(!is_json || !is_kept, "{:?}", answer.headers);
    }
}

/// The files below a folder.
fn files(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_leave_no_upload() {
    let world = World::start(Serve::dev()).await;
    let kind = [("content-type", "multipart/form-data; boundary=B")];
    let part = |name: &str, content: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.mp4\"\r\n\r\n{content}\r\n")
    };
    let file = part("file", &"x".repeat(100_000));
    let folder = world.data().join("files");
    let before = files(&folder);
    for path in ["/v1/jobs", "/compressor/1.0/upload", "/clipzy/api/v1/videos/upload", "/removebgvideo/v1/uploads"] {
        for rest in [
            "--B--\r\n".to_owned(),
            part("job", "{\"outputs\": 7}") + "--B--\r\n",
            part("data", "{\"nothing\": 7}") + "--B--\r\n",
            part("webhook_url", "no url") + "--B--\r\n",
            part("file", "another") + &part("more", "x") + "--B--\r\n",
            "--B\r\nno head".to_owned(),
        ] {
            // This service takes a file without any options.
            if path.starts_with("/compressor") && rest.starts_with("--B--") {
                continue;
            }
            let answer = world.post_with(path, &kind, format!("{file}{rest}")).await;
            assert!((400..500).contains(&answer.status), "{path}, {rest:?}: {}", answer.status);
        }
        // They are removed beside the answer.
        for _ in 0..200 {
            if files(&folder) == before {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        assert_eq!(files(&folder), before, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_in_a_file_of_its_own_where_no_one_sits_at_a_terminal() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::start(Serve::public()).await;
    let path = world.data().join("first-api-key");
    let mode = std::fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(world.get("/v1/jobs").await.status, 200);
    assert!(!world.log().contains(&world.key()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_waits_no_longer_than_the_operator_lets_it() {
    let world = World::start(Serve::dev().set("api.longest_wait_seconds", 1)).await;
    let endpoint = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    let path = format!("/v1/endpoints/{}/events?wait=60s", endpoint["id"].as_str().expect("an endpoint has an id"));
    let pulled = tokio::time::timeout(Duration::from_secs(30), world.get(&path)).await;
    pulled.expect("it is answered long before the minute that was asked for").expect(200);
}
