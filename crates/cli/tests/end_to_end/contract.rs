//! What the API promises of every request, whatever its path: nothing is silently ignored.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reelhook_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::{Answer, PATIENCE, Serve, World, eventually};

/// Changes a path.
async fn patch(world: &World, path: &str, body: &Value) -> Answer {
    let body = Bytes::from(body.to_string());
    world.exchange(Method::PATCH, world.url(path), &[], body).await.expect("the server answers")
}

/// The methods of the documented paths and what each reads.
fn operations(document: &Value, method: &str) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().expect("the document has paths");
    let of_method = paths.iter().filter_map(|(path, methods)| Some((path.clone(), methods.get(method)?.clone())));
    of_method.collect()
}

/// The fields of the body that an operation reads.
fn fields(document: &Value, operation: &Value) -> Vec<String> {
    let reference = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let name = reference.as_str().expect("the body has a schema").rsplit('/').next().expect("it has a name");
    let schema = document["components"]["schemas"][name]["properties"].as_object().expect("the schema has fields");
    schema.keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn null_in_a_change_restores_the_default_or_is_refused() {
    let world = World::start(Serve::dev()).await;
    let document = world.get("/openapi.json").await.expect(200);
    let url = "https://127.0.0.1:9/hook";
    let root =
        rcgen::generate_simple_self_signed(["receiver.example".to_owned()]).expect("the name is valid").cert.pem();
    let plain = world.post("/v1/endpoints", &json!({"url": url})).await.expect(201);
    let full = json!({
        "url": url, "events": ["job.failed"], "description": "mine", "headers": {"X-Tenant": "7"},
        "retry_seconds": [0, 5], "rate": {"per_second": 2.0, "burst": 3}, "timeout_seconds": 3.5, "tls": {"roots": root},
    });
    let full = full.as_object().expect("it is an object");
    let patches = operations(&document, "patch");
    let paths: Vec<_> = patches.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/v1/endpoints/{id}"], "another path that takes PATCH needs its fields above");

    for field in fields(&document, &patches[0].1) {
        assert!(full.contains_key(&field), "{field} needs a value above");
        let made = world.post("/v1/endpoints", &json!(full)).await.expect(201);
        let path = format!("/v1/endpoints/{}", made["id"].as_str().expect("an endpoint has an id"));
        let before = world.get(&path).await.expect(200);
        let answer = patch(&world, &path, &json!({field.as_str(): null})).await;
        let after = world.get(&path).await.expect(200);
        if field == "url" {
            assert_eq!(answer.violations(), [field]);
            assert_eq!(after, before, "a refusal changes nothing");
            continue;
        }
        assert_eq!(answer.expect(200)[&field], plain[&field], "{field} has its default again");
        assert_ne!(before[&field], plain[&field], "{field} had another value");
        for (name, value) in before.as_object().expect("it is an object") {
            assert!(*name == field || after[name] == *value, "{field} is all that changed: {name}");
        }
    }
}

/// A path whose parameters name nothing.
fn filled(path: &str) -> String {
    path.replace("{id}", "x").replace("{name}", "x").replace("{service}", "transcodely")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_honoured_or_refused_by_name() {
    let world = World::start(Serve::dev()).await;
    let document = world.get("/openapi.json").await.expect(200);
    let posts = operations(&document, "post");
    assert!(posts.len() > 15, "{} paths take POST", posts.len());
    let mut honoured = Vec::new();
    for (path, operation) in posts {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let is_documented = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
        let answer = world.post_with(&filled(&path), &[("idempotency-key", "one")], "{}").await;
        let is_refused = answer.status == 422 && answer.violations() == ["Idempotency-Key"];
        assert_eq!(is_documented, !is_refused, "{path}: {}", String::from_utf8_lossy(&answer.body));
        if is_documented {
            honoured.push(path);
        } else {
            let detail = answer.json()["detail"].as_str().expect("a detail is text").to_owned();
            assert!(detail.contains("POST /v1/jobs and POST /v1/events"), "{detail}");
        }
    }
    assert_eq!(honoured, ["/v1/events", "/v1/jobs"]);
    // What changes nothing, or the same again, may bring one.
    let listed = world.get_with("/v1/endpoints", &[("idempotency-key", "one")]).await.expect(200);
    assert_eq!(listed["endpoints"], json!([]), "nothing was made under the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_in_another_spelling_is_the_same_request() {
    let world = World::start(Serve::dev()).await;
    let key = [("idempotency-key", "order-7")];
    let post = async |path: &str, body: &str| world.post_with(path, &key, body.to_owned()).await;
    let first = post("/v1/events", r#"{"type":"order.paid","payload":{"a":1,"b":"é"}}"#).await.expect(202);
    let again = "\u{feff}{ \"payload\": {\"b\": \"\\u00e9\", \"a\": 1},\n \"type\": \"order.paid\" }";
    assert_eq!(post("/v1/events", again).await.expect(202), first);
    for other in [
        r#"{"type":"order.paid","payload":{"a":1.0,"b":"é"}}"#,
        r#"{"type":"order.paid","payload":{"a":1,"b":"e"}}"#,
        r#"{"events":[{"type":"order.paid","payload":{"a":1,"b":"é"}}]}"#,
    ] {
        assert_eq!(post("/v1/events", other).await.expect(409)["code"], "idempotency_conflict", "{other}");
    }

    let job = r#"{"input":{"url":"http://127.0.0.1:9/a.mp4"},"outputs":[{"recipe":"thumbnail"}],"draft":true}"#;
    let first = post("/v1/jobs", job).await.expect(202);
    let again =
        r#"{ "draft": true, "outputs": [ {"recipe": "thumbnail"} ], "input": {"url": "http:\/\/127.0.0.1:9\/a.mp4"} }"#;
    assert_eq!(post("/v1/jobs", again).await.expect(200)["id"], first["id"]);
    let other = job.replace("true", "false");
    assert_eq!(post("/v1/jobs", &other).await.expect(409)["code"], "idempotency_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_compressed_is_refused_as_that_on_every_path() {
    let world = World::start(Serve::dev()).await;
    let document = world.get("/openapi.json").await.expect(200);
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0C\xbf\xa6\xa3\x02\0\0\0".as_slice();
    for (method, name) in [(Method::POST, "post"), (Method::PUT, "put"), (Method::PATCH, "patch")] {
        for (path, _) in operations(&document, name) {
            for coding in ["gzip", "br", "identity, GZIP"] {
                let (url, headers) = (world.url(&filled(&path)), [("content-encoding", coding)]);
                let answer = world.exchange(method.clone(), url, &headers, Bytes::from_static(gzip)).await;
                let answer = answer.expect("the server answers");
                let problem = answer.expect(415);
                assert_eq!(problem["code"], "unsupported_media_type", "{path}");
                assert_eq!(answer.headers["accept-encoding"], "identity", "{path}");
                let named = coding.rsplit(' ').next().expect("there is a word");
                assert!(problem["detail"].as_str().expect("it is text").contains(named), "{path}: {problem}");
            }
        }
    }
    let answer = world.post_with("/xora/v1/jobs", &[("content-encoding", "gzip")], gzip).await;
    assert_eq!(answer.status, 415, "{}", String::from_utf8_lossy(&answer.body));
    let plain = json!({"type": "a.b", "payload": 1}).to_string();
    world.post_with("/v1/events", &[("content-encoding", "identity")], plain).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_cannot_be_read_is_refused_as_what_it_is_and_where() {
    let world = World::start(Serve::dev()).await;
    let post = async |body: &str| world.post_with("/v1/events", &[], body.to_owned()).await;
    post("\u{feff}{\"type\":\"a.b\",\"payload\":\"\\ud83d\\ude00\"}").await.expect(202);

    let event = |payload: &str| format!(r#"{{"type":"a.b","payload":{payload}}}"#);
    let batch = [event("1"), event(r#"{"total":1e400}"#), event("2"), event(r#"["cut \ud83d"]"#)].join(",");
    let answer = post(&format!(r#"{{"events":[{batch}]}}"#)).await;
    assert_eq!(answer.violations(), ["events[1].payload.total", "events[3].payload[0]"]);
    let problem = answer.json();
    assert_eq!(problem["violations"][0]["value"], "1e400");
    assert!(problem["violations"][0]["message"].as_str().expect("it is text").contains("1.8e308"), "{problem}");
    assert!(problem["violations"][1]["message"].as_str().expect("it is text").contains("half of a character"));
    assert_eq!(post(&event("-1e999")).await.violations(), ["payload"]);
    // On every path that reads JSON.
    let answer = world.post_with("/v1/endpoints", &[], r#"{"url":"\ud83d","timeout_seconds":1e999}"#).await;
    assert_eq!(answer.violations(), ["url", "timeout_seconds"]);
    for broken in ["{", "{\"type\": \"a.b\", \"payload\": 01}", "nothing", "{} {}"] {
        assert_eq!(post(broken).await.expect(400)["code"], "malformed_request", "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_endpoint_was_deleted_is_refused_as_that() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let endpoint = world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    let endpoint = endpoint["id"].as_str().expect("an endpoint has an id").to_owned();
    world.post("/v1/events", &json!({"type": "order.paid", "payload": 1})).await.expect(202);
    receiver.wait_for(1, PATIENCE).await;
    let mut delivery = Value::Null;
    eventually("it is delivered", async || {
        let listed = world.get("/v1/deliveries").await.expect(200);
        delivery = listed["deliveries"][0].clone();
        delivery["state"] == "delivered"
    })
    .await;
    world.delete(&format!("/v1/endpoints/{endpoint}")).await;
    let path = |id: &str| format!("/v1/deliveries/{id}/resend");
    let id = delivery["id"].as_str().expect("a delivery has an id");
    let refused = world.post(&path(id), &json!({})).await.expect(409);
    assert_eq!(refused["code"], "endpoint_deleted");
    assert!(refused["detail"].as_str().expect("it is text").contains(&endpoint), "{refused}");
    let unknown = format!("dlv_{}", &endpoint[3..]);
    assert_eq!(world.post(&path(&unknown), &json!({})).await.expect(404)["code"], "not_found");
}

/// What the server says to bytes that no client of ours would send, until it closes the connection.
async fn said(world: &World, request: String) -> String {
    exchange(world, request, false).await
}

/// What the server says to a caller who closes their side once all is sent.
async fn said_to_half_closed(world: &World, request: String) -> String {
    exchange(world, request, true).await
}

async fn exchange(world: &World, request: String, closes: bool) -> String {
    let url = world.url("/");
    let address = (url.host_str().expect("an address").to_owned(), url.port().expect("a port"));
    let talk = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        stream.write_all(request.as_bytes()).expect("the server reads");
        if closes {
            stream.shutdown(Shutdown::Write).expect("it can be closed");
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers and closes");
        String::from_utf8_lossy(&answer).into_owned()
    });
    talk.await.expect("the exchange does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let world = World::start(Serve::dev().set("upload.max_bytes", 1000)).await;
    let request = |length: usize| {
        format!(
            "POST /v1/uploads?name=a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n",
            world.key()
        )
    };
    let answer = said(&world, request(1001)).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("at most 1000 bytes"), "{answer}");
    let answer = said(&world, format!("{}{}", request(1000), "x".repeat(1000))).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_once_which_host_it_is_for() {
    let world = World::start(Serve::dev()).await;
    for (version, hosts, status) in [
        ("1.1", &["example.com"][..], 200),
        ("1.1", &["[::1]:8080"], 200),
        ("1.0", &[], 200),
        ("1.1", &[], 400),
        ("1.1", &["a", "a"], 400),
        ("1.1", &["a", "b"], 400),
        ("1.0", &["a", "b"], 400),
        ("1.1", &["a b"], 400),
        ("1.1", &["user@a"], 400),
        ("1.1", &["http://a"], 400),
        ("1.1", &["a:port"], 400),
        ("1.1", &[""], 400),
    ] {
        for target in ["/healthz", "http://example.com/healthz"] {
            let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
            let request = format!("GET {target} HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
            let answer = said(&world, request.clone()).await;
            assert!(answer.starts_with(&format!("HTTP/{version} {status} ")), "{request}{answer}");
            assert_eq!(status == 400, answer.contains("malformed_request"), "{request}{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_closed_their_side_is_answered() {
    // Answers after a while: the receiver of the test call takes its time.
    let slow = Reply::status(200).delay(Duration::from_millis(300));
    let receiver = Receiver::scripted([slow]).await;
    let world = World::start(Serve::dev()).await;
    let endpoint = world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    let test = format!("POST /v1/endpoints/{}/test", endpoint["id"].as_str().expect("an endpoint has an id"));
    let key = world.key();
    for (request, status) in
        [("GET /healthz", 200), ("GET /v1/jobs", 200), (test.as_str(), 200), ("POST /v1/jobs", 422)]
    {
        let body = "{}";
        let head = format!(
            "{request} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        );
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let answer = said_to_half_closed(&world, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{answer}");
        assert!(answer.ends_with('}') || answer.ends_with("ok"), "all of it comes: {answer}");
    }
    // A request that broke off is not one.
    let cut =
        format!("POST /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 99\r\n\r\n{{");
    assert!(!said_to_half_closed(&world, cut).await.starts_with("HTTP/1.1 2"));
}
