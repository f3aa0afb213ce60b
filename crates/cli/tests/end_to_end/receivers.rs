//! What callers say of their receivers: secrets, headers, types of events; and what is shown of it.

use http::Method;
use reelhook_signature::{Headers, Secret, Trust, verify};
use reelhook_testkit::{Received, Receiver};
use serde_json::{Value, json};

use crate::world::{Answer, PATIENCE, Serve, World};

/// A secret of that many bytes.
fn secret(bytes: usize, byte: u8) -> String {
    use base64::Engine as _;
    format!("whsec_{}", base64::prelude::BASE64_STANDARD.encode(vec![byte; bytes]))
}

async fn send(world: &World, method: Method, path: &str, body: &Value) -> Answer {
    world.exchange(method, world.url(path), &[], body.to_string().into()).await.expect("the server answers")
}

/// Whether that secret signed a request.
fn is_signed(received: &Received, secret: &str) -> bool {
    let secret = Secret::parse(secret).expect("it is a secret");
    let headers = Headers::read(|name| received.headers.get(name)?.to_str().ok());
    let at = received.header("webhook-timestamp").parse().expect("it is a number");
    verify(headers, &received.body, at, Trust::secrets(&[secret])).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_keeps_the_secret_that_it_knows() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let (own, next, third) = (secret(24, 1), secret(64, 2), secret(32, 3));
    let made = world.post("/v1/endpoints", &json!({"url": receiver.url("/hook"), "secret": own})).await.expect(201);
    assert_eq!(made["secret"], own);
    let path = format!("/v1/endpoints/{}", made["id"].as_str().expect("an endpoint has an id"));
    let shown = world.get(&path).await;
    assert!(!String::from_utf8_lossy(&shown.body).contains(&own), "it is not shown again");

    let publish = async |number: usize| {
        world.post("/v1/events", &json!({"type": "a.b", "payload": number})).await.expect(202);
        receiver.wait_for(number, PATIENCE).await.remove(number - 1)
    };
    assert!(is_signed(&publish(1).await, &own));
    let rotated = world.post(&format!("{path}/rotate-secret"), &json!({"secret": next})).await.expect(200);
    assert_eq!(rotated["secret"], next);
    let came = publish(2).await;
    assert!(is_signed(&came, &own) && is_signed(&came, &next));
    let only = json!({"secret": third, "overlap_seconds": 0});
    world.post(&format!("{path}/rotate-secret"), &only).await.expect(200);
    let came = publish(3).await;
    assert!(is_signed(&came, &third) && !is_signed(&came, &own) && !is_signed(&came, &next));

    let account = "/v1/settings/webhook/secret";
    world.post(&format!("{account}/rotate"), &json!({"secret": next})).await.expect(200);
    assert_eq!(world.get(account).await.expect(200)["secret"], next);

    for wrong in [json!("secret"), json!(secret(23, 1)), json!(secret(65, 1)), json!("whsec_*"), json!(7), json!(["x"])]
    {
        for (path, body) in [
            ("/v1/endpoints".to_owned(), json!({"url": receiver.url("/hook"), "secret": wrong})),
            (format!("{path}/rotate-secret"), json!({"secret": wrong})),
            (format!("{account}/rotate"), json!({"secret": wrong})),
        ] {
            let refused = world.post(&path, &body).await;
            assert_eq!(refused.violations(), ["secret"], "{path}");
            let violation = &refused.json()["violations"][0];
            assert!(violation["message"].as_str().expect("it is text").contains("24 to 64"), "{violation}");
            assert_eq!(violation["value"], Value::Null, "a secret is not repeated");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_secrets_are_bounded_and_a_leak_can_always_be_stopped() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let made = world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    let path = format!("/v1/endpoints/{}/rotate-secret", made["id"].as_str().expect("an endpoint has an id"));
    let services = json!({"service": "transcodely"});
    world.post("/v1/secrets", &services).await.expect(201);
    for path in [path.as_str(), "/v1/settings/webhook/secret/rotate", "/v1/secrets/transcodely/rotate"] {
        for _ in 0..4 {
            world.post(path, &json!({})).await.expect(200);
        }
        let refused = world.post(path, &json!({})).await.expect(409);
        assert_eq!(refused["code"], "too_many_secrets", "{path}");
        assert!(refused["detail"].as_str().expect("it is text").contains("overlap_seconds"), "{refused}");
        world.post(path, &json!({"overlap_seconds": 0})).await.expect(200);
        world.post(path, &json!({})).await.expect(200);
    }
    world.post("/v1/events", &json!({"type": "a.b", "payload": 1})).await.expect(202);
    let came = receiver.wait_for(1, PATIENCE).await.remove(0);
    let hmac = came.header("webhook-signature").split(' ').filter(|signature| signature.starts_with("v1,")).count();
    assert_eq!(hmac, 2, "the present secret signs, and the one before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_jobs_and_the_default_one_carry_headers_that_are_shown_without_values() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let headers = json!({"Authorization": "Bearer clear", "X-Env": "clear"});
    let masked = json!({"authorization": "****", "x-env": "****"});
    let job = |webhook: &Value| json!({"input": {"url": "http://127.0.0.1:9/a.mp4"}, "outputs": [{"recipe": "thumbnail"}], "webhook": webhook});
    let (url, events) = (receiver.url("/job"), ["job.created"]);
    let mut shown = Vec::new();
    for (number, webhook, value) in [
        (1, json!({"url": url, "events": events, "headers": headers}), Some("Bearer clear")),
        (2, json!({"url": url, "events": events}), Some("Bearer clear")),
        (3, json!({"url": url, "events": events, "headers": {"authorization": "Bearer other"}}), Some("Bearer other")),
        (4, json!({"url": url, "events": events, "headers": {}}), None),
    ] {
        let made = world.post("/v1/jobs", &job(&webhook)).await;
        shown.push(String::from_utf8_lossy(&made.body).into_owned());
        let id = made.expect(202)["id"].as_str().expect("a job has an id").to_owned();
        let came = receiver.wait_for(number, PATIENCE).await.remove(number - 1);
        assert_eq!(came.headers.get("authorization").map(|value| value.to_str().expect("it is text")), value);
        shown.push(world.get(&format!("/v1/jobs/{id}")).await.json().to_string());
        shown.push(String::from_utf8_lossy(&came.body).into_owned());
    }

    let default = json!({"default_webhook": {"url": receiver.url("/default"), "events": events, "headers": headers}});
    let set = send(&world, Method::PUT, "/v1/settings", &default).await.expect(200);
    assert_eq!(set["default_webhook"]["headers"], masked);
    world.post("/v1/jobs", &job(&Value::Null)).await.expect(202);
    let came = receiver.wait_for(5, PATIENCE).await.remove(4);
    assert_eq!((came.path.as_str(), came.header("authorization")), ("/default", "Bearer clear"));
    let endpoint =
        format!("/v1/endpoints/{}", set["default_webhook"]["endpoint"].as_str().expect("it has an endpoint"));
    assert_eq!(world.get(&endpoint).await.expect(200)["headers"], masked);
    shown.push(world.get("/v1/settings").await.json().to_string());
    // It is set whole: without headers it has none.
    let bare = json!({"default_webhook": {"url": receiver.url("/default"), "events": events}});
    let set = send(&world, Method::PUT, "/v1/settings", &bare).await.expect(200);
    assert_eq!(set["default_webhook"]["headers"], json!({}));

    let made = world.post("/v1/endpoints", &json!({"url": receiver.url("/own"), "headers": headers})).await.expect(201);
    assert_eq!(made["headers"], masked);
    let path = format!("/v1/endpoints/{}", made["id"].as_str().expect("an endpoint has an id"));
    let changed = send(&world, Method::PATCH, &path, &json!({"description": "x"})).await.expect(200);
    assert_eq!(changed["headers"], masked);
    for path in [path.as_str(), "/v1/endpoints", "/v1/deliveries", "/v1/jobs"] {
        shown.push(world.get(path).await.json().to_string());
    }
    for text in shown {
        assert!(!text.contains("clear") && !text.contains("Bearer"), "{text}");
    }
    // What is shown is not what is sent: shown again, it is refused rather than sent.
    let back = send(&world, Method::PATCH, &path, &json!({"headers": masked})).await;
    assert_eq!(back.violations(), ["headers.authorization", "headers.x-env"]);

    let reserved = json!({"url": url, "headers": {"Host": "x", "webhook-id": "x", "X-Split": "a\r\nb"}});
    let refused = world.post("/v1/jobs", &job(&reserved)).await;
    let paths = ["webhook.headers.Host", "webhook.headers.X-Split", "webhook.headers.webhook-id"];
    assert_eq!(refused.violations(), paths);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_a_url_are_refused_with_the_way_to_send_them() {
    let world = World::start(Serve::dev()).await;
    let url = "https://user:clear@example.com/hook";
    let outputs = json!([{"recipe": "thumbnail"}]);
    let source = json!({"url": "https://example.com/a.mp4"});
    for (method, path, body, at, way) in [
        (Method::POST, "/v1/endpoints", json!({"url": url}), "url", "headers.Authorization"),
        (
            Method::POST,
            "/v1/jobs",
            json!({"input": source, "outputs": outputs, "webhook": {"url": url}}),
            "webhook.url",
            "headers.Authorization",
        ),
        (
            Method::PUT,
            "/v1/settings",
            json!({"default_webhook": {"url": url}}),
            "default_webhook.url",
            "headers.Authorization",
        ),
        (Method::POST, "/v1/jobs", json!({"input": {"url": url}, "outputs": outputs}), "input.url", "/v1/origins"),
        (Method::POST, "/v1/plan", json!({"input": {"url": url}, "outputs": outputs}), "input.url", "/v1/origins"),
        (
            Method::POST,
            "/v1/origins",
            json!({"name": "x", "http": {"base_url": url}}),
            "http.base_url",
            "credentials.headers",
        ),
    ] {
        let refused = send(&world, method, path, &body).await;
        assert_eq!(refused.violations(), [at], "{path}");
        let problem = refused.json();
        assert!(problem["violations"][0]["message"].as_str().expect("it is text").contains(way), "{problem}");
        assert!(!problem.to_string().contains("clear"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_the_server_are_its_own() {
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    for kind in ["job.completed", "job.mine", "job", "Job.completed", "endpoint.disabled", "webhook.test", "webhook"] {
        let event = json!({"type": kind, "payload": 1});
        let refused = world.post("/v1/events", &event).await;
        assert_eq!(refused.violations(), ["type"], "{kind}");
        let batch = json!({"events": [{"type": "a.b", "payload": 1}, event]});
        assert_eq!(world.post("/v1/events", &batch).await.violations(), ["events[1].type"], "{kind}");
        let sample = json!({"type": kind, "payload": 1, "sample": true});
        let is_real = ["job.completed", "endpoint.disabled", "webhook.test"].contains(&kind);
        assert_eq!(world.post("/v1/events", &sample).await.status, if is_real { 202 } else { 422 }, "{kind}");
    }
    for kind in ["jobs.done", "my.job.completed", "job_done", "endpoints.x"] {
        world.post("/v1/events", &json!({"type": kind, "payload": 1})).await.expect(202);
    }
    world.client_command(&["trigger", "job.completed"]).await;
    let came = receiver.wait_for(3 + 4 + 1, PATIENCE).await;
    let types = came.iter().map(|one| serde_json::from_slice::<Value>(&one.body).expect("it is JSON")["type"].clone());
    assert_eq!(types.filter(|kind| kind == "job.completed").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_round_names_all_that_needs_no_look_up() {
    let world = World::start(Serve::public()).await;
    let crf = json!([{"recipe": "compress", "crf": 99}]);
    let webhook = json!({"url": "http://example.com/hook", "events": ["job completed"]});
    for (method, path, body, wanted) in [
        // The example of docs/errors.md.
        (
            Method::POST,
            "/v1/jobs",
            json!({"input": {"url": "https://example.com/a.mp4"}, "outputs": crf, "webhook": {"url": "http://example.com/hook"}}),
            &["outputs[0].crf", "webhook.url"][..],
        ),
        (
            Method::POST,
            "/v1/jobs",
            json!({"input": {"url": "ftp://x"}, "outputs": crf, "webhook": webhook, "mode": 1}),
            &["input.url", "outputs[0].crf", "webhook.events[0]", "webhook.url", "mode"],
        ),
        (Method::POST, "/v1/jobs", json!({"outputs": crf}), &["input", "outputs[0].crf"]),
        (
            Method::POST,
            "/v1/plan",
            json!({"inputs": [{"url": "https://10.0.0.1/a"}, {"origin": "org_x", "path": "../a"}], "outputs": crf}),
            &["inputs[0].url", "inputs[1].origin", "inputs[1].path", "outputs[0].crf"],
        ),
        (
            Method::POST,
            "/v1/endpoints",
            json!({"url": "https://127.0.0.1/", "retry_seconds": [0, 9_999_999], "timeout_seconds": 0, "secret": "x"}),
            &["url", "retry_seconds[1]", "timeout_seconds", "secret"],
        ),
        (
            Method::PUT,
            "/v1/settings",
            json!({"default_webhook": webhook}),
            &["default_webhook.events[0]", "default_webhook.url"],
        ),
        (
            Method::POST,
            "/v1/origins",
            json!({"http": {"base_url": "http://example.com/"}, "permissions": ["rule"]}),
            &["name", "http.base_url", "permissions[0]"],
        ),
    ] {
        let refused = send(&world, method, path, &body).await;
        assert_eq!(refused.violations(), wanted, "{path} {body}");
    }
    let page = include_str!("../../../../docs/errors.md");
    let refused = send(
        &world,
        Method::POST,
        "/v1/jobs",
        &json!({"input": {"url": "https://example.com/a.mp4"}, "outputs": crf, "webhook": {"url": "http://example.com/hook"}}),
    )
    .await;
    let detail = refused.json()["detail"].to_string();
    assert!(page.contains(&detail), "docs/errors.md shows {detail}");
    for violation in refused.json()["violations"].as_array().expect("it lists violations") {
        let message = violation["message"].to_string();
        assert!(page.contains(&message), "docs/errors.md shows {message}");
    }
    let (whole, first) = ("retry_seconds", "retry_seconds[0]");
    for (waits, wrong) in [
        (json!([]), whole),
        (json!([-1]), first),
        (json!([0.5]), first),
        (json!([9_999_999]), first),
        (json!("x"), whole),
        (json!(vec![0; 21]), whole),
        (json!([null]), first),
    ] {
        let refused =
            world.post("/v1/endpoints", &json!({"url": "https://example.com/", "retry_seconds": waits})).await;
        assert_eq!(refused.violations(), [wrong], "{waits}");
    }
}
