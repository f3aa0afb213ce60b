//! RemoveBGVideo, as its client sees it.

mod accounts;

use std::time::Duration;

use http::Method;
use reelhook_signature::hmac_sha256_hex;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Received, Receiver, Reply, system_ambient};
use serde_json::{Value, json};
use url::Url;

use crate::world::{Answer, PATIENCE, Serve, World, eventually};

const JOBS: &str = "/removebgvideo/v1/jobs";

/// A request with the key as the service's clients send it.
async fn ask(world: &World, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let key = world.key();
    let headers = [("authorization", ""), ("x-api-key", key.as_str())];
    let body = body.map(Value::to_string).unwrap_or_default();
    world.exchange(method, world.url(path), &headers, body.into()).await.expect("the server answers")
}

async fn post(world: &World, path: &str, body: &Value) -> Answer {
    ask(world, Method::POST, path, Some(body)).await
}

async fn get(world: &World, path: &str) -> Answer {
    ask(world, Method::GET, path, None).await
}

async fn upload_as(world: &World, name: &str, kind: &str, bytes: &[u8]) -> Answer {
    let head = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n{kind}\r\n");
    let body = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
    let key = world.key();
    let headers = [("x-api-key", key.as_str()), ("content-type", "multipart/form-data; boundary=edge")];
    world.post_with("/removebgvideo/v1/uploads", &headers, body).await
}

/// Uploads a clip and gives its URL.
async fn upload(world: &World, clip: Clip) -> String {
    let bytes = clips::bytes(clip);
    let answer = upload_as(world, "clip.mp4", "content-type: video/mp4\r\n", &bytes).await.expect(200);
    assert_eq!(
        (&answer["success"], &answer["filename"], &answer["size"]),
        (&json!(true), &json!("clip.mp4"), &json!(bytes.len()))
    );
    answer["video_url"].as_str().expect("an upload has a URL").to_owned()
}

async fn create(world: &World, job: &Value) -> String {
    let made = post(world, JOBS, job).await.expect(200);
    assert_eq!((&made["success"], &made["status"]), (&json!(true), &json!("processing")), "{made:#}");
    made["id"].as_str().expect("a job has an id").to_owned()
}

async fn show(world: &World, id: &str) -> Value {
    get(world, &format!("{JOBS}/{id}")).await.expect(200)
}

/// The code of a refusal, whose shape is the documented one.
fn code(answer: &Answer, status: u16) -> String {
    let body = answer.expect(status);
    let error = body["error"].as_object().expect("a refusal has an error");
    let keys: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(keys, ["code", "message", "request_id"], "{body:#}");
    assert!(error["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{body:#}");
    error["code"].as_str().expect("a code is text").to_owned()
}

/// A webhook as the service's receiver reads it: event, body.
fn read(received: &Received) -> (String, Value) {
    let body: Value = serde_json::from_slice(&received.body).expect("a webhook is JSON");
    assert_eq!(received.header("x-webhook-event"), body["event"]);
    assert!(received.header("x-webhook-timestamp").ends_with('Z'));
    (received.header("x-webhook-event").to_owned(), body)
}

/// Checks the signature as the service's guide does.
fn is_signed_by(received: &Received, secret: &str) -> bool {
    let timestamp = received.header("x-webhook-timestamp");
    let expected = hmac_sha256_hex(secret.as_bytes(), &[timestamp.as_bytes(), b".", &received.body]);
    received.headers.get("x-webhook-signature").is_some_and(|sent| sent == &format!("sha256={expected}"))
}

#[tokio::test]
async fn a_video_is_uploaded_processed_told_of_and_downloaded() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let video = upload(&world, Clip::Screen).await;
    let job = json!({"video_url": video, "model": "original", "bg_type": "white", "output_format": "mp4",
        "webhook_url": receiver.url("/hook?k=v"), "metadata": {"order": 7}});
    let id = create(&world, &job).await;
    let came = receiver.wait_for(2, PATIENCE).await;
    let (started, completed) = (read(&came[0]), read(&came[1]));
    assert_eq!((started.0.as_str(), completed.0.as_str()), ("job.started", "job.completed"));
    assert_eq!(started.1["data"]["status"], "processing");
    let data = &completed.1["data"];
    assert_eq!(
        (&data["id"], &data["status"], &data["metadata"]),
        (&json!(id), &json!("completed"), &json!({"order": 7}))
    );
    assert_eq!(came[0].path, "/hook?k=v");
    assert!(came.iter().all(|received| !received.headers.contains_key("x-webhook-signature")), "no secret is set");
    assert_ne!(came[0].header("x-webhook-delivery-id"), came[1].header("x-webhook-delivery-id"));
    let output: Url = data["output_url"].as_str().expect("it is done").parse().expect("it is a URL");
    let file = world.get_as_stranger(output, &[]).await;
    assert_eq!((file.status, &file.body[4..8]), (200, &b"ftyp"[..]));

    eventually("both webhooks are noted as sent", async || {
        let told = show(&world, &id).await;
        let told = told["webhook_events"].as_array().expect("a list").clone();
        told.len() == 2 && told.iter().all(|event| event["status"] == "sent")
    })
    .await;
    let shown = show(&world, &id).await;
    assert_eq!((&shown["status"], &shown["progress"]), (&json!("completed"), &json!(100)), "{shown:#}");
    assert_eq!((&shown["model"], &shown["bg_type"]), (&json!("original"), &json!("color")));
    assert_eq!(shown["webhook_url"], receiver.url("/hook?k=v").as_str());
    let native = world.job(&id).await;
    assert_eq!(native["state"], "completed", "one job is one job");

    let found = world.get_as_stranger(world.url(&format!("/removebgvideo/api/download/{id}")), &[]).await.expect(200);
    assert_eq!((&found["success"], &found["output_format"]), (&json!(true), &json!("mp4")));
    assert!(found["download_url"].as_str().is_some_and(|url| url.contains("/output.mp4")));
    // Every link names the job, so what is given for its id alone works for minutes; its owner gets one for days.
    let expires = |found: &Value| {
        let url: Url = found["download_url"].as_str().expect("it is text").parse().expect("it is a URL");
        let proof =
            url.path_segments().and_then(|mut parts| parts.nth(1)).expect("the proof follows `files`").to_owned();
        proof.split('.').next().and_then(|seconds| seconds.parse::<i64>().ok()).expect("a proof begins with a time")
    };
    let owners = get(&world, &format!("/removebgvideo/api/download/{id}")).await.expect(200);
    let now = system_ambient().now().as_seconds();
    assert!((now..=now + 600).contains(&expires(&found)), "{found:#}");
    assert!(expires(&owners) > now + 29 * 24 * 3600, "{owners:#}");
}

#[tokio::test]
async fn every_background_and_format_is_made_with_alpha_where_there_is_any() {
    let world = World::start(Serve::dev()).await;
    let video = upload(&world, Clip::Screen).await;
    let origin = Origin::start().await;
    let picture = origin.put("/picture.png", clips::bytes(Clip::Picture), Manners::Good);
    for (asked, mime) in [
        (json!({}), "video/webm"),
        (json!({"output_format": "mov"}), "video/quicktime"),
        (json!({"output_format": "gif"}), "image/gif"),
        (json!({"output_format": "webp"}), "image/webp"),
        (json!({"output_format": "png_sequence"}), "application/zip"),
        (json!({"output_format": "mp4", "bg_type": "custom", "bg_color": [0, 0, 1]}), "video/mp4"),
        (json!({"output_format": "mp4", "bg_type": "image", "bg_image_url": picture}), "video/mp4"),
        (
            json!({"background": {"type": "color", "color": "#ff0000"}, "composition": {"canvas": {"width": 200, "height": 400},
            "foreground": {"anchor": "top-left", "scale": 0.5, "offset": {"x": 10, "y": 10}}}}),
            "video/webm",
        ),
    ] {
        let mut job = asked.clone();
        job["video_url"] = json!(video);
        let id = create(&world, &job).await;
        let ended = world.job_ended(&id, "completed").await;
        let file = &ended["outputs"][0]["file"];
        assert_eq!(file["mime_type"], mime, "{asked}");
        if asked.get("composition").is_some() {
            let shown = &file["media"]["video"];
            assert_eq!((&shown["width"], &shown["height"]), (&json!(200), &json!(400)), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_draft_waits_and_is_started_with_some_of_it_said_anew() {
    let world = World::start(Serve::dev()).await;
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let video = upload(&world, Clip::Screen).await;
    let draft =
        json!({"video_url": video, "auto_start": false, "output_format": "mov", "webhook_url": first.url("/first")});
    let made = post(&world, JOBS, &draft).await.expect(200);
    assert_eq!(made["status"], "created");
    let id = made["id"].as_str().expect("a job has an id");
    assert_eq!(show(&world, id).await["status"], "created");
    assert_eq!(code(&get(&world, &format!("/removebgvideo/api/download/{id}")).await, 400), "invalid_request");
    let start = format!("{JOBS}/{id}/start");
    assert_eq!(code(&post(&world, &start, &json!({"model": "pro"})).await, 400), "invalid_request");
    let anew = json!({"output_format": "mp4", "bg_type": "black", "webhook_url": second.url("/second")});
    let started = post(&world, &start, &anew).await.expect(200);
    assert_eq!(started["status"], "processing");
    let ended = world.job_ended(id, "completed").await;
    assert_eq!(ended["outputs"][0]["file"]["mime_type"], "video/mp4");
    second.wait_for(2, PATIENCE).await;
    assert!(first.requests().is_empty(), "the draft's webhook was said anew");
    assert_eq!(code(&post(&world, &start, &json!({})).await, 409), "invalid_request", "it is no draft any more");
}

#[tokio::test]
async fn a_draft_is_started_without_a_body_and_keeps_its_webhook() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let video = upload(&world, Clip::Screen).await;
    for body in [None, Some(json!({"bg_type": "green"}))] {
        let draft = json!({"video_url": video, "auto_start": false, "webhook_url": receiver.url("/hook")});
        let made = post(&world, JOBS, &draft).await.expect(200);
        let id = made["id"].as_str().expect("a job has an id");
        let before = receiver.requests().len();
        ask(&world, Method::POST, &format!("{JOBS}/{id}/start"), body.as_ref()).await.expect(200);
        let came = receiver.wait_for(before + 2, PATIENCE).await;
        assert_eq!(read(&came[before + 1]).0, "job.completed");
    }
}

#[tokio::test]
async fn what_fails_or_is_canceled_is_told_as_failed() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let origin = Origin::start().await;
    let garbage = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good);
    let job = json!({"video_url": garbage, "webhook_url": receiver.url("/hook")});
    let id = create(&world, &job).await;
    let came = receiver.wait_for(1, PATIENCE).await;
    let (event, body) = read(&came[0]);
    assert_eq!((event.as_str(), &body["data"]["status"]), ("job.failed", &json!("failed")));
    assert!(body["data"]["error"].is_string() && body["data"]["output_url"].is_null(), "{body:#}");
    let shown = show(&world, &id).await;
    assert_eq!((&shown["status"], &shown["error"]), (&json!("failed"), &body["data"]["error"]));
    assert_eq!(code(&get(&world, &format!("/removebgvideo/api/download/{id}")).await, 400), "invalid_request");

    let draft = json!({"video_url": garbage, "webhook_url": receiver.url("/hook"), "auto_start": false});
    let made = post(&world, JOBS, &draft).await.expect(200);
    let id = made["id"].as_str().expect("a job has an id");
    world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    let came = receiver.wait_for(2, PATIENCE).await;
    let (event, body) = read(&came[1]);
    assert_eq!((event.as_str(), &body["data"]["id"]), ("job.failed", &json!(id)));
}

#[tokio::test]
async fn a_retry_keeps_its_delivery_id_and_has_a_fresh_time() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::scripted([Reply::status(500)]).await;
    let origin = Origin::start().await;
    let garbage = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good);
    let job = json!({"video_url": garbage, "webhook_url": receiver.url("/hook")});
    create(&world, &job).await;
    let came = receiver.wait_for(2, PATIENCE).await;
    assert_eq!(came[0].body, came[1].body);
    assert_eq!(came[0].header("x-webhook-delivery-id"), came[1].header("x-webhook-delivery-id"));
    let time = |received: &Received| -> reelhook_domain::time::Timestamp {
        received.header("x-webhook-timestamp").parse().expect("the time is a time")
    };
    let waited = time(&came[1]).since(time(&came[0]));
    assert!(waited >= Duration::from_secs(10), "the second attempt comes after 10 s: {waited:?}");
}

#[tokio::test]
async fn credits_are_asked_for_charged_once_and_told_of() {
    let world = World::start(Serve::dev()).await;
    let video = upload(&world, Clip::Screen).await;
    let job = json!({"video_url": video});
    let id = create(&world, &job).await;
    world.job_ended(&id, "completed").await;
    let summary = get(&world, "/removebgvideo/v1/usage/summary").await.expect(200);
    assert_eq!((&summary["total_jobs"], &summary["completed_jobs"]), (&json!(1), &json!(1)), "{summary:#}");
    assert_eq!((&summary["credits_used"], &summary["credits_remaining"]), (&json!(2), &Value::Null), "{summary:#}");

    assert_eq!(world.command(&["credits", "show"]).await, "no limit\n");
    assert_eq!(world.command(&["credits", "grant", "3"]).await, "3\n");
    let id = create(&world, &job).await;
    world.job_ended(&id, "completed").await;
    assert_eq!(world.command(&["credits", "show"]).await, "1\n");
    // Something is left, so it is taken; what the video takes is known once it was looked at.
    let id = create(&world, &job).await;
    world.job_ended(&id, "failed").await;
    let failed = show(&world, &id).await;
    assert_eq!((&failed["status"], &failed["error_code"]), (&json!("failed"), &json!("insufficient_credits")));
    assert_eq!(world.command(&["credits", "grant", "-1"]).await, "0\n");
    assert_eq!(code(&post(&world, JOBS, &job).await, 402), "insufficient_credits");
    assert_eq!(world.command(&["credits", "lift"]).await, "no limit\n");
    let events = get(&world, "/removebgvideo/v1/usage/events?limit=5").await.expect(200);
    let events = events["events"].as_array().expect("a list");
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!((&events[0]["credits"], &events[0]["model"]), (&json!(2), &json!("original")));
}

#[tokio::test]
async fn jobs_are_listed_by_place_and_status() {
    let world = World::start(Serve::dev()).await;
    let video = upload(&world, Clip::Screen).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let made = post(&world, JOBS, &json!({"video_url": video, "auto_start": false})).await.expect(200);
        ids.insert(0, made["id"].clone());
    }
    world.post(&format!("/v1/jobs/{}/cancel", ids[0].as_str().expect("an id")), &json!({})).await.expect(200);
    let list = async |query: &str| {
        let answer = get(&world, &format!("{JOBS}{query}")).await.expect(200);
        let jobs = answer["jobs"].as_array().expect("a list").iter().map(|job| job["id"].clone()).collect::<Vec<_>>();
        (jobs, answer["total"].clone())
    };
    assert_eq!(list("").await, (ids.clone(), json!(3)));
    assert_eq!(list("?limit=1&offset=1").await, (vec![ids[1].clone()], json!(3)));
    assert_eq!(list("?status=failed").await, (vec![ids[0].clone()], json!(1)));
    assert_eq!(list("?status=created").await.1, json!(2));
    assert_eq!(code(&get(&world, &format!("{JOBS}?status=done")).await, 400), "invalid_request");
    assert_eq!(code(&get(&world, &format!("{JOBS}?limit=0")).await, 400), "invalid_request");
}

#[tokio::test]
async fn refusals_are_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    let stranger = async |path: &str| world.get_as_stranger(world.url(path), &[]).await;
    assert_eq!(code(&stranger(JOBS).await, 401), "invalid_api_key");
    let wrong = world.get_with(JOBS, &[("x-api-key", "rh_wrong")]).await;
    assert_eq!(code(&wrong, 401), "invalid_api_key");
    let video = upload(&world, Clip::Screen).await;
    for (body, about) in [
        (json!({}), "video_url is required"),
        (json!({"video_url": video, "model": "pro"}), "model is not installed"),
        (json!({"video_url": video, "output_format": "mkv"}), "output_format must be one of"),
        (json!({"video_url": video, "output_format": "mp4", "bg_type": "transparent"}), "mp4 carries no alpha"),
        (json!({"video_url": "file:///etc/passwd"}), "video_url "),
        (json!({"video_url": "http://169.254.169.254/latest"}), "video_url "),
        (json!({"video_url": "http://user:pass@example.com/a.mp4"}), "video_url "),
        (json!({"video_url": video, "webhook_url": "http://10.0.0.1/"}), "webhook_url "),
        (json!({"video_url": video, "webhook_url": "gopher://example.com/"}), "webhook_url "),
        (json!({"video_url": video, "bg_type": "image", "bg_image_url": "http://[fd00::1]/"}), "bg_image_url "),
        (
            json!({"video_url": video, "background": {"type": "image", "image_url": "ftp://example.com"}}),
            "bg_image_url ",
        ),
    ] {
        let answer = post(&world, JOBS, &body).await;
        assert_eq!(code(&answer, 400), "invalid_request", "{body}");
        let message = answer.json()["error"]["message"].as_str().expect("a message is text").to_owned();
        assert!(message.contains(about), "{body}: {message}");
        assert!(!message.contains("pass@"), "{message}");
    }
    let malformed = world.post_with(JOBS, &[], "{").await;
    assert_eq!(code(&malformed, 400), "invalid_request");
    let large = format!("{{\"video_url\": \"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(code(&world.post_with(JOBS, &[], large).await, 400), "invalid_request");
    for id in [
        "job_00000000000000000000000001",
        "job_1",
        "vid_1",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "01jz8n1k2m3n4p5q6r7s8t9v0w",
    ] {
        let answer = get(&world, &format!("{JOBS}/{id}")).await;
        assert_eq!(code(&answer, 404), "not_found");
        assert_eq!(answer.json()["error"]["message"], "Job not found");
        assert_eq!(code(&stranger(&format!("/removebgvideo/api/download/{id}")).await, 404), "not_found");
    }
    for path in ["/removebgvideo/api/upload", "/removebgvideo/api/process", "/removebgvideo/api/a/b"] {
        assert_eq!(code(&post(&world, path, &json!({})).await, 410), "invalid_request");
    }
    assert_eq!(code(&stranger("/removebgvideo/nowhere").await, 404), "not_found");
    assert_eq!(code(&world.post("/removebgvideo/health", &json!({})).await, 405), "invalid_request");
}

#[tokio::test]
async fn an_upload_that_is_no_video_or_comes_without_its_part_is_refused() {
    let video = clips::bytes(Clip::Screen);
    let world = World::start(Serve::dev().set("upload.max_bytes", video.len())).await;
    // What the file holds decides, whichever of the formats its name says.
    upload_as(&world, "clip.MOV", "content-type: application/octet-stream\r\n", &video).await.expect(200);
    upload_as(&world, "clip.webm", "", &video).await.expect(200);
    for (name, kind, bytes) in [
        ("clip.mkv", "content-type: video/x-matroska\r\n", &video),
        ("clip", "", &video),
        ("clip.mp4", "content-type: video/mp4\r\n", &clips::bytes(Clip::Garbage)),
        ("clip.mp4", "content-type: video/mp4\r\n", &clips::bytes(Clip::Audio)),
        ("clip.mp4", "content-type: video/mp4\r\n", &clips::bytes(Clip::Picture)),
        ("clip.mp4", "content-type: video/mp4\r\n", &Vec::new()),
    ] {
        let refused = upload_as(&world, name, kind, bytes).await;
        assert_eq!(code(&refused, 400), "invalid_request", "{name}");
        let message = refused.json()["error"]["message"].as_str().expect("a message is text").to_owned();
        assert!(message.starts_with("Invalid file type: "), "{name}: {message}");
    }
    let folder = world.data().join("files/uploads");
    let kept = || std::fs::read_dir(&folder).expect("uploads are kept there").count();
    eventually("what was refused is not kept", async || kept() == 2).await;
    let large = upload_as(&world, "clip.mp4", "content-type: video/mp4\r\n", &[video, vec![0]].concat()).await;
    assert_eq!(code(&large, 400), "invalid_request");
    assert!(large.json()["error"]["message"].as_str().is_some_and(|text| text.starts_with("File too large")));
    let bare = world.post_with("/removebgvideo/v1/uploads", &[], "{}").await;
    assert_eq!(code(&bare, 400), "invalid_request");
    let headers = [("content-type", "multipart/form-data; boundary=edge")];
    let other = "--edge\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n--edge--\r\n";
    assert_eq!(code(&world.post_with("/removebgvideo/v1/uploads", &headers, other).await, 400), "invalid_request");
}

#[tokio::test]
async fn a_job_of_another_api_is_read_here_and_downloaded_only_with_its_key() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let id = world.submit(&json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail"}]})).await;
    world.job_ended(&id, "completed").await;
    let shown = show(&world, &id).await;
    assert_eq!((&shown["status"], &shown["model"]), (&json!("completed"), &Value::Null));
    let path = format!("/removebgvideo/api/download/{id}");
    assert_eq!(code(&world.get_as_stranger(world.url(&path), &[]).await, 404), "not_found");
    get(&world, &path).await.expect(200);
    assert_eq!(get(&world, JOBS).await.expect(200)["total"], 0, "the list has this service's jobs");
}

#[tokio::test]
async fn prices_and_health_need_no_key() {
    let world = World::start(Serve::dev()).await;
    let prices = world.get_as_stranger(world.url("/removebgvideo/api/pricing"), &[]).await.expect(200);
    assert_eq!(
        prices["model_pricing_credits_per_minute"],
        json!({"original": 60, "auto": 60, "chroma": 60}),
        "those that work"
    );
    assert_eq!(prices["packages"], json!([]));
    let health = world.get_as_stranger(world.url("/removebgvideo/health"), &[]).await.expect(200);
    assert_eq!(health, json!({"status": "ok"}));
}

#[tokio::test]
async fn what_was_uploaded_is_not_downloaded_again() {
    // Without --dev, no download reaches this machine: a link of ours would be refused if it were not known.
    let world = World::start(Serve::public()).await;
    let video = upload(&world, Clip::Screen).await;
    let id = create(&world, &json!({"video_url": video, "output_format": "mp4"})).await;
    world.job_ended(&id, "completed").await;
    let forged = video.replace("/uploads/", "/uploads/1");
    assert_eq!(code(&post(&world, JOBS, &json!({"video_url": forged})).await, 400), "invalid_request");
}

#[tokio::test]
async fn a_secret_signs_and_its_successor_takes_turns_with_it() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let garbage = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good);
    let failing = async |receiver: &Receiver| {
        create(&world, &json!({"video_url": garbage, "webhook_url": receiver.url("/hook")})).await;
    };
    let secret = json!({"service": "removebgvideo", "secret": "a-text-that-receivers-know"});
    world.post("/v1/secrets", &secret).await.expect(201);
    let receiver = Receiver::start().await;
    failing(&receiver).await;
    let came = receiver.wait_for(1, PATIENCE).await;
    assert!(is_signed_by(&came[0], "a-text-that-receivers-know"), "{:?}", came[0].headers);

    let rotated = world.post("/v1/secrets/removebgvideo/rotate", &json!({})).await;
    let new = rotated.json()["secret"].as_str().expect("it is shown once").to_owned();
    let receiver = Receiver::scripted([Reply::status(401)]).await;
    failing(&receiver).await;
    let came = receiver.wait_for(2, PATIENCE).await;
    assert!(is_signed_by(&came[0], &new), "the first attempt is signed by the newest");
    assert!(is_signed_by(&came[1], "a-text-that-receivers-know"), "the second by the one before");
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn after_a_crash_the_same_delivery_comes_again_with_its_id() {
    use std::os::unix::process::ExitStatusExt as _;

    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let garbage = origin.put("/clip.mp4", clips::bytes(Clip::Garbage), Manners::Good);
    world.terminate().await;
    assert!(world.serve(Serve::dev().crash_at("delivery.after_send")).await);
    create(&world, &json!({"video_url": garbage, "webhook_url": receiver.url("/hook")})).await;
    assert_eq!(world.death().await.signal(), Some(9));
    assert!(world.serve(Serve::dev()).await);
    let came = receiver.wait_for(2, PATIENCE).await;
    assert_eq!((&came[0].body, read(&came[0])), (&came[1].body, read(&came[1])));
    assert_eq!(came[0].header("x-webhook-delivery-id"), came[1].header("x-webhook-delivery-id"));
}
