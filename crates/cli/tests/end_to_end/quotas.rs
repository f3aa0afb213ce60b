//! What one account may have, and that another feels nothing of it.

use std::path::Path;

use bytes::Bytes;
use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

use crate::inbox;
use crate::world::{Answer, Serve, World};

/// The answer to a request of which one is too many, which names the quota, its limit and the present number.
fn refused(answer: &Answer, name: &str, limit: u64, used: u64) {
    let problem = answer.expect(429);
    assert_eq!(problem["code"], "quota_exceeded", "{problem:#}");
    assert_eq!(problem["quota"], json!({"name": name, "limit": limit, "used": used}), "{problem:#}");
    let detail = problem["detail"].as_str().expect("a detail is text");
    for said in [format!("quota.{name}"), limit.to_string(), used.to_string()] {
        assert!(detail.contains(&said), "{detail}");
    }
}

/// Bytes of all files in a folder and below.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}

fn endpoint() -> Value {
    json!({"url": "https://example.com/hook"})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quota_is_refused_by_its_name_and_shown_in_the_settings() {
    let serve = Serve::dev()
        .set("roles", "api")
        .set("quota.endpoints", 2)
        .set("quota.keys", 2)
        .set("quota.origins", 1)
        .set("quota.secrets", 5)
        .set("quota.queued_jobs", 1)
        .set("quota.event_deliveries_per_minute", 5);
    let world = World::start(serve).await;
    for _ in 0..2 {
        world.post("/v1/endpoints", &endpoint()).await.expect(201);
    }
    refused(&world.post("/v1/endpoints", &endpoint()).await, "endpoints", 2, 2);
    let default = json!({"default_webhook": {"url": "https://example.com/default"}});
    let put = world.exchange(http::Method::PUT, world.url("/v1/settings"), &[], default.to_string().into()).await;
    refused(&put.expect("the server answers"), "endpoints", 2, 2);

    world.post("/v1/keys", &json!({"name": "second"})).await.expect(201);
    refused(&world.post("/v1/keys", &json!({"name": "third"})).await, "keys", 2, 2);

    let origin = json!({"name": "a", "http": {"base_url": "http://127.0.0.1:1/"}, "permissions": ["read"]});
    world.post("/v1/origins", &origin).await.expect(201);
    refused(&world.post("/v1/origins", &origin).await, "origins", 1, 1);

    // Two of the account, one of each endpoint.
    world.post("/v1/settings/webhook/secret/rotate", &json!({})).await.expect(200);
    refused(&world.post("/v1/settings/webhook/secret/rotate", &json!({})).await, "secrets", 5, 5);
    refused(&world.post("/v1/secrets", &json!({"service": "transcodely"})).await, "secrets", 5, 5);

    let job = json!({"input": {"url": "https://example.com/a.mp4"}, "outputs": [{"recipe": "compress"}]});
    let id = world.submit(&job).await;
    refused(&world.post("/v1/jobs", &job).await, "queued_jobs", 1, 1);
    world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    world.submit(&job).await;

    let events = json!({"events": [{"type": "a.b", "payload": {}}, {"type": "a.b", "payload": {}}]});
    world.post("/v1/events", &events).await.expect(202);
    let answer = world.post("/v1/events", &events).await;
    refused(&answer, "event_deliveries_per_minute", 5, 4);

    let settings = world.get("/v1/settings").await.expect(200);
    let shown = |name: &str| {
        let quotas = settings["quotas"].as_array().expect("quotas are a list");
        quotas.iter().find(|quota| quota["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(shown("endpoints"), json!({"name": "endpoints", "limit": 2, "used": 2}));
    assert_eq!(shown("queued_jobs"), json!({"name": "queued_jobs", "limit": 1, "used": 1}));
    let metrics = String::from_utf8_lossy(&world.get("/metrics").await.body).into_owned();
    for line in [
        "reelhook_quota_refusals_total{quota=\"endpoints\"} 2",
        "reelhook_quota_refusals_total{quota=\"secrets\"} 2",
        "reelhook_quota_refusals_total{quota=\"event_deliveries_per_minute\"} 1",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is missing:\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_endpoint_wants_and_one_that_is_repeated_count_as_they_should() {
    let serve = Serve::dev().set("roles", "api").set("quota.event_deliveries_per_minute", 3);
    let world = World::start(serve).await;
    for number in 0..3 {
        let endpoint =
            json!({"url": "https://example.com/hook", "events": ["wanted.*"], "description": number.to_string()});
        world.post("/v1/endpoints", &endpoint).await.expect(201);
    }
    let event = |kind: &str| json!({"type": kind, "payload": {}});
    let key = [("idempotency-key", "one")];
    for _ in 0..5 {
        // The first takes one, for it is a row; its repetitions take nothing.
        world.post_with("/v1/events", &key, event("other.a").to_string()).await.expect(202);
    }
    refused(&world.post("/v1/events", &event("wanted.a")).await, "event_deliveries_per_minute", 3, 1);
    world.post("/v1/events", &event("other.a")).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_over_the_quota_leave_no_bytes() {
    const MEBI: usize = 1 << 20;
    let world = World::start(Serve::dev().set("roles", "api").set("quota.upload_bytes", 3 * MEBI)).await;
    world.upload("a.bin", vec![7; 2 * MEBI]).await;
    let kept = bytes_below(&world.data().join("files"));
    let answer = world.send("b.bin", Bytes::from(vec![7; 16 * MEBI])).await;
    let problem = answer.expect(429);
    assert_eq!((&problem["code"], &problem["quota"]["name"]), (&json!("quota_exceeded"), &json!("upload_bytes")));
    // Nor do those that come together, each of which would fit alone.
    let sends = (0..6).map(|_| world.send("c.bin", Bytes::from(vec![7; MEBI * 3 / 4])));
    let answers = futures::future::join_all(sends).await;
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 429)) && taken <= 1, "{taken} were taken");
    assert_eq!(bytes_below(&world.data().join("files")), kept + (taken * MEBI * 3 / 4) as u64);
    // A job with its file, in our API and in a service's.
    let parts = |extra: &str| {
        let head = "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";
        [head.as_bytes(), &vec![7; 2 * MEBI], b"\r\n", extra.as_bytes(), b"--edge--\r\n"].concat()
    };
    let kept = bytes_below(&world.data().join("files"));
    let headers = [("content-type", "multipart/form-data; boundary=edge")];
    for path in ["/compressor/1.0/upload", "/v1/uploads"] {
        world.post_with(path, &headers, parts("")).await.expect(429);
    }
    assert_eq!(bytes_below(&world.data().join("files")), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_its_worst_delays_anothers_first_job_by_none_of_its_own() {
    let serve = Serve::dev().set("worker.slots", 1).set("quota.queued_jobs", 30).set("quota.endpoints", 5);
    let mut world = World::start(serve).await;
    let (receiver, dead) = (Receiver::start().await, Receiver::start().await);
    let worst = world.another_account().await;
    let as_worst = [("authorization", worst.as_str())];
    // All the endpoints it may have, of which each gets all the events it may publish; and all the jobs.
    loop {
        let endpoint = json!({"url": dead.url("/hook")}).to_string();
        let made = world.post_with("/v1/endpoints", &as_worst, endpoint).await;
        if made.status == 429 {
            break;
        }
        made.expect(201);
    }
    let events = json!({"events": vec![json!({"type": "a.b", "payload": {}}); 200]});
    world.post_with("/v1/events", &as_worst, events.to_string()).await.expect(202);
    let clip = clips::bytes(Clip::Video);
    let mut url = world.url("/v1/uploads");
    url.query_pairs_mut().append_pair("name", "a.mp4");
    let headers = [as_worst[0], ("content-type", "application/octet-stream")];
    let upload = world.exchange(http::Method::POST, url, &headers, clip.clone().into()).await.expect("it answers");
    let upload = upload.expect(201)["id"].clone();
    let theirs = json!({"input": {"upload": upload}, "outputs": [{"recipe": "compress", "quality": "premium"}],
        "priority": "premium"});
    let mut ids = Vec::new();
    loop {
        let made = world.post_with("/v1/jobs", &as_worst, theirs.to_string()).await;
        if made.status == 429 {
            break;
        }
        ids.push(made.expect(202)["id"].as_str().expect("a job has an id").to_owned());
    }

    let own = world.upload("b.mp4", clip).await;
    let job = json!({"input": {"upload": own}, "outputs": [{"recipe": "thumbnail", "width": 64}],
        "priority": "economy", "webhook": {"url": receiver.url("/hook")}});
    let id = world.submit(&job).await;
    let job = world.job_ended(&id, "completed").await;
    inbox::wait_for(&receiver, &["job.created", "job.started", "job.completed"]).await;
    // Of the jobs before it in time, those that ran before it were claimed before it came; all others wait still, but
    // for the one whose turn was next.
    let listed = world.get_with("/v1/jobs?state=queued&limit=100", &as_worst).await.expect(200);
    let waiting = listed["jobs"].as_array().expect("jobs are a list").len();
    assert!(waiting > 0, "the other account still has jobs that wait: {} in all, {job:#}", ids.len());
    let started = job["started_at"].as_str().expect("it started").to_owned();
    let created = job["created_at"].as_str().expect("it was created").to_owned();
    let mut between = 0;
    for theirs in &ids {
        let shown = world.get_with(&format!("/v1/jobs/{theirs}"), &as_worst).await.expect(200);
        let at = shown["started_at"].as_str().unwrap_or_default().to_owned();
        between += usize::from(at > created && at < started);
    }
    assert!(between <= 1, "{between} jobs of the other account were started between its creation and its start");
    assert!(world.is_alive());
}
