//! Clipzy, as its client sees it.

mod accounts;
mod style;

use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Received, Receiver, Reply};
use serde_json::{Value, json};
use url::Url;

use crate::world::{Answer, PATIENCE, Serve, World};

const JOBS: &str = "/clipzy/api/v1/jobs";
const UPLOAD: &str = "/clipzy/api/v1/videos/upload";

/// The parts of an upload: texts first, then the file.
fn parts(texts: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, text) in texts {
        let part = format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some((name, bytes)) = file {
        let head = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

async fn send(world: &World, texts: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Answer {
    let headers = [("content-type", "multipart/form-data; boundary=edge")];
    world.post_with(UPLOAD, &headers, parts(texts, file)).await
}

/// The data of a success, whose envelope is the documented one.
fn data(answer: &Answer) -> Value {
    let mut body = answer.expect(200);
    assert_eq!((&body["success"], body["message"].is_string()), (&json!(true), true), "{body:#}");
    body["data"].take()
}

/// The code of a refusal, whose shape is the documented one.
fn code(answer: &Answer, status: u16) -> String {
    let body = answer.expect(status);
    assert_eq!((&body["success"], body["message"].is_string()), (&json!(false), true), "{body:#}");
    assert!(body["error"]["detail"].is_string(), "{body:#}");
    body["error"]["code"].as_str().expect("a code is text").to_owned()
}

async fn upload(world: &World, texts: &[(&str, &str)]) -> String {
    let sent = data(&send(world, texts, Some(("clip.mp4", &clips::bytes(Clip::Video)))).await);
    sent["video_id"].as_str().expect("a video has an id").to_owned()
}

async fn create(world: &World, job: &Value) -> String {
    let made = data(&world.post(JOBS, job).await);
    assert_eq!(
        (&made["status"], &made["progress_percent"], &made["current_stage"]),
        (&json!("queued"), &json!(0), &Value::Null),
        "{made:#}"
    );
    made["job_id"].as_str().expect("a job has an id").to_owned()
}

async fn result(world: &World, id: &str) -> Value {
    data(&world.get(&format!("{JOBS}/{id}/result")).await)
}

/// A webhook: the documented keys alone, and no header that is not documented or part of HTTP.
fn read(received: &Received) -> Value {
    let mut names: Vec<_> = received.headers.keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| !["host", "content-length", "accept-encoding"].contains(name));
    assert_eq!(names, ["content-type"], "{:?}", received.headers);
    let body: Value = serde_json::from_slice(&received.body).expect("a webhook is JSON");
    let mut keys: Vec<_> = body.as_object().expect("it is an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let completed = ["job_id", "output_video_url", "processing_time_seconds", "progress_percent", "status"];
    let expected: Vec<_> =
        completed.into_iter().filter(|key| body["status"] == "completed" || *key != "output_video_url").collect();
    assert_eq!(keys, expected, "{body:#}");
    assert!(body["processing_time_seconds"].is_f64(), "{body:#}");
    body
}

/// Half of a video: its index is whole, its media is not.
async fn corrupt(world: &World) -> String {
    let bytes = clips::bytes(Clip::Long);
    let sent = data(&send(world, &[], Some(("broken.mp4", &bytes[..bytes.len() / 2]))).await);
    sent["video_id"].as_str().expect("a video has an id").to_owned()
}

#[tokio::test]
async fn an_upload_is_answered_with_what_the_video_holds() {
    let world = World::start(Serve::dev()).await;
    let bytes = clips::bytes(Clip::Video);
    let sent = data(&send(&world, &[("unknown", "x")], Some(("clip.MP4", &bytes))).await);
    assert_eq!((&sent["filename"], &sent["file_size_bytes"]), (&json!("clip.MP4"), &json!(bytes.len())));
    let metadata = &sent["metadata"];
    assert_eq!(
        (&metadata["width"], &metadata["height"], &metadata["codec"], &metadata["format"]),
        (&json!(320), &json!(180), &json!("h264"), &json!("mp4")),
        "{metadata:#}"
    );
    assert_eq!((&metadata["frame_rate"], metadata["bitrate_kbps"].is_u64()), (&json!(25.0), true), "{metadata:#}");
    assert!(sent["uploaded_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let url: Url = sent["storage_url"].as_str().expect("it is text").parse().expect("it is a URL");
    assert_eq!(world.get_as_stranger(url, &[]).await.body, bytes, "what was sent can be fetched");
}

#[tokio::test]
async fn an_upload_that_is_no_video_or_too_large_is_refused() {
    let bytes = clips::bytes(Clip::Video);
    let world = World::start(Serve::dev().set("clipzy.max_upload_bytes", bytes.len())).await;
    data(&send(&world, &[], Some(("clip.mp4", &bytes))).await);
    for (name, bytes) in [
        ("clip.flv", &bytes),
        ("clip", &bytes),
        ("clip.mp4", &clips::bytes(Clip::Garbage)),
        ("clip.mov", &clips::bytes(Clip::Audio)),
    ] {
        assert_eq!(code(&send(&world, &[], Some((name, bytes))).await, 422), "UNSUPPORTED_FORMAT", "{name}");
    }
    let large = [bytes, vec![0]].concat();
    assert_eq!(code(&send(&world, &[], Some(("clip.mp4", &large))).await, 413), "FILE_TOO_LARGE");
    assert_eq!(code(&send(&world, &[("other", "x")], None).await, 422), "MISSING_FIELD");
    assert_eq!(code(&world.post(UPLOAD, &json!({})).await, 422), "MISSING_FIELD");
}

#[tokio::test]
async fn a_job_that_fails_is_told_flat_and_its_result_says_why() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let video = corrupt(&world).await;
    let job = json!({"video_id": video, "webhook_url": receiver.url("/hook"), "config": {"quality": "high"}});
    let id = create(&world, &job).await;
    let came = receiver.wait_for(1, PATIENCE).await;
    let body = read(&came[0]);
    assert_eq!((&body["job_id"], &body["status"]), (&json!(id), &json!("failed")));
    assert!(body["progress_percent"].as_u64().is_some_and(|progress| progress < 100), "{body:#}");
    let ended = result(&world, &id).await;
    assert_eq!(
        (&ended["status"], &ended["video_id"], &ended["output_video_url"], &ended["current_stage"]),
        (&json!("failed"), &json!(video), &Value::Null, &Value::Null)
    );
    assert!(ended["error"]["message"].is_string() && ended["error"]["stage"].is_string(), "{ended:#}");
    assert_eq!(ended["processing_time_seconds"], body["processing_time_seconds"]);
    assert_eq!(code(&world.post(&format!("{JOBS}/{id}/cancel"), &json!({})).await, 409), "CONFLICT");
}

#[tokio::test]
async fn a_retry_after_500_has_the_same_body() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::scripted([Reply::status(500)]).await;
    let video = corrupt(&world).await;
    create(&world, &json!({"video_id": video, "webhook_url": receiver.url("/hook")})).await;
    let came = receiver.wait_for(2, PATIENCE).await;
    assert_eq!((&came[0].body, read(&came[0])), (&came[1].body, read(&came[1])));
}

#[tokio::test]
async fn a_job_is_cancelled_and_told_of() {
    let world = World::start(Serve::dev().set("worker.slots", 1)).await;
    let receiver = Receiver::start().await;
    // Something else keeps the only worker busy, so that the job waits.
    let long = world.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let busy = json!({"input": {"upload": long}, "outputs": [{"recipe": "compress", "quality": "premium"}]});
    let busy = world.submit(&busy).await;
    world.job_when(&busy, |job| job["state"] == "processing").await;
    let video = upload(&world, &[]).await;
    let id = create(&world, &json!({"video_id": video, "webhook_url": receiver.url("/hook")})).await;
    let waiting = result(&world, &id).await;
    assert_eq!((&waiting["status"], &waiting["processing_time_seconds"]), (&json!("queued"), &Value::Null));
    let answer = data(&world.post(&format!("{JOBS}/{id}/cancel"), &json!({})).await);
    assert_eq!(answer["status"], "cancelled");
    let body = read(&receiver.wait_for(1, PATIENCE).await[0]);
    assert_eq!((&body["job_id"], &body["status"]), (&json!(id), &json!("cancelled")));
    assert_eq!((&body["progress_percent"], &body["processing_time_seconds"]), (&json!(0), &json!(0.0)));
}

#[tokio::test]
async fn the_jobs_own_webhook_wins_over_the_uploads() {
    let world = World::start(Serve::dev()).await;
    let (of_upload, of_job) = (Receiver::start().await, Receiver::start().await);
    let bytes = clips::bytes(Clip::Long);
    let hook = of_upload.url("/upload").to_string();
    let sent = send(&world, &[("webhook_url", &hook)], Some(("clip.mp4", &bytes[..bytes.len() / 2]))).await;
    let video = data(&sent)["video_id"].clone();
    let id = create(&world, &json!({"video_id": video})).await;
    assert_eq!(read(&of_upload.wait_for(1, PATIENCE).await[0])["job_id"], id.as_str());
    let id = create(&world, &json!({"video_id": video, "webhook_url": of_job.url("/job")})).await;
    assert_eq!(read(&of_job.wait_for(1, PATIENCE).await[0])["job_id"], id.as_str());
    assert_eq!(of_upload.requests().len(), 1, "the job said its own");
}

#[tokio::test]
async fn a_template_is_of_the_upload_or_the_job_and_must_be_there() {
    let world = World::start(Serve::dev()).await;
    let (first, second) = (upload(&world, &[]).await, upload(&world, &[]).await);
    let video = upload(&world, &[("template_video_id", &first)]).await;
    for (job, template) in
        [(json!({"video_id": video}), &first), (json!({"video_id": video, "template_video_id": second}), &second)]
    {
        let made = data(&world.post(JOBS, &job).await);
        assert_eq!((&made["video_id"], &made["template_video_id"]), (&json!(video), &json!(template)));
    }
    let nowhere = json!({"video_id": video, "template_video_id": "vid_00000000000000000000000001"});
    assert_eq!(code(&world.post(JOBS, &nowhere).await, 404), "NOT_FOUND");
    let bytes = clips::bytes(Clip::Video);
    let refused = send(&world, &[("template_video_id", "vid_abc123")], Some(("clip.mp4", &bytes))).await;
    assert_eq!(code(&refused, 404), "NOT_FOUND");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_the_services_codes() {
    let world = World::start(Serve::public()).await;
    let video = upload(&world, &[]).await;
    for url in
        ["http://10.0.0.1/", "http://169.254.169.254/latest", "gopher://a.example/", "http://u:pass@a.example/", "x"]
    {
        let refused = world.post(JOBS, &json!({"video_id": video, "webhook_url": url})).await;
        assert_eq!(code(&refused, 422), "VALIDATION_ERROR", "{url}");
        let detail = refused.json()["error"]["detail"].as_str().expect("it is text").to_owned();
        assert!(detail.starts_with("webhook_url ") && !detail.contains("pass@"), "{detail}");
        let bytes = clips::bytes(Clip::Video);
        let refused = send(&world, &[("webhook_url", url)], Some(("clip.mp4", &bytes))).await;
        assert_eq!(code(&refused, 422), "VALIDATION_ERROR", "{url}");
    }
    assert_eq!(code(&world.post(JOBS, &json!({})).await, 422), "MISSING_FIELD");
    let wrong = json!({"video_id": video, "config": {"quality": "best"}});
    assert_eq!(code(&world.post(JOBS, &wrong).await, 422), "VALIDATION_ERROR");
    assert_eq!(code(&world.post_with(JOBS, &[], "{").await, 400), "BAD_REQUEST");
    assert_eq!(code(&world.get(&format!("{JOBS}?page=0")).await, 422), "VALIDATION_ERROR");
    for id in [
        "job_q1w2e3r4t5y6",
        "job_00000000000000000000000001",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "01jz8n1k2m3n4p5q6r7s8t9v0w",
    ] {
        for path in [format!("{JOBS}/{id}"), format!("{JOBS}/{id}/result")] {
            assert_eq!(code(&world.get(&path).await, 404), "NOT_FOUND", "{path}");
        }
        assert_eq!(code(&world.post(&format!("{JOBS}/{id}/cancel"), &json!({})).await, 404), "NOT_FOUND");
    }
    let upload_id = video.replace("vid_", "upl_");
    for id in [upload_id.as_str(), "vid_abc123", "vid_00000000000000000000000001"] {
        assert_eq!(code(&world.post(JOBS, &json!({"video_id": id})).await, 404), "NOT_FOUND", "{id}");
    }
    assert_eq!(code(&world.get("/clipzy/api/v1/nowhere").await, 404), "NOT_FOUND");
    assert_eq!(code(&world.delete("/clipzy/api/v1/health").await, 405), "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn jobs_are_listed_page_by_page() {
    let world = World::start(Serve::dev()).await;
    let video = upload(&world, &[]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, json!(create(&world, &json!({"video_id": video})).await));
    }
    let list = async |query: &str| {
        let page = data(&world.get(&format!("{JOBS}{query}")).await);
        let jobs: Vec<_> = page["jobs"].as_array().expect("a list").iter().map(|job| job["job_id"].clone()).collect();
        (jobs, [page["total"].clone(), page["page"].clone(), page["page_size"].clone()])
    };
    assert_eq!(list("").await, (ids.clone(), [json!(3), json!(1), json!(10)]));
    assert_eq!(list("?page=2&page_size=2").await, (vec![ids[2].clone()], [json!(3), json!(2), json!(2)]));
    assert_eq!(list("?page=9").await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn a_key_is_asked_for_unless_the_service_is_opened() {
    let closed = World::start(Serve::dev()).await;
    let stranger = async |world: &World, path: &str| world.get_as_stranger(world.url(path), &[]).await;
    assert_eq!(code(&stranger(&closed, JOBS).await, 401), "UNAUTHORIZED");
    assert_eq!(data(&stranger(&closed, "/clipzy/api/v1/health").await)["status"], "healthy");

    let open = World::start(Serve::dev().set("open", "clipzy")).await;
    let video = upload(&open, &[]).await;
    let id = create(&open, &json!({"video_id": video})).await;
    let seen = data(&stranger(&open, &format!("{JOBS}/{id}")).await);
    assert_eq!(seen["job_id"], id.as_str(), "whoever has no key is the first account");
    for (name, value) in [("authorization", "Bearer rh_wrong"), ("authorization", "Odd"), ("x-api-key", "rh_wrong")] {
        let answer = open.get_as_stranger(open.url(JOBS), &[]).await;
        assert_eq!(answer.status, 200);
        let answer = open.exchange(Method::GET, open.url(JOBS), &[(name, value)], "".into()).await;
        assert_eq!(code(&answer.expect("the server answers"), 401), "UNAUTHORIZED", "{name}: {value}");
    }
    assert_eq!(stranger(&open, "/v1/jobs").await.status, 401, "only that service is open");
    assert_eq!(stranger(&open, "/xora/v1/jobs").await.status, 401, "only that service is open");
}

#[tokio::test]
async fn a_video_is_given_the_style_of_a_template_and_told_of() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let template = upload(&world, &[]).await;
    let video = upload(&world, &[("template_video_id", &template)]).await;
    let job = json!({"video_id": video, "webhook_url": receiver.url("/hook"), "config": {"quality": "low"}});
    let id = create(&world, &job).await;
    let body = read(&receiver.wait_for(1, PATIENCE).await[0]);
    assert_eq!((&body["status"], &body["progress_percent"]), (&json!("completed"), &json!(100)), "{body:#}");
    let url: Url = body["output_video_url"].as_str().expect("it is text").parse().expect("it is a URL");
    let file = world.get_as_stranger(url, &[]).await;
    assert_eq!((file.status, &file.body[4..8]), (200, &b"ftyp"[..]));
    let ended = result(&world, &id).await;
    assert!(ended["style_json"].is_object() && ended["error"].is_null(), "{ended:#}");
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn after_a_crash_the_same_webhook_comes_again() {
    use std::os::unix::process::ExitStatusExt as _;

    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let video = corrupt(&world).await;
    world.terminate().await;
    assert!(world.serve(Serve::dev().crash_at("delivery.after_send")).await);
    create(&world, &json!({"video_id": video, "webhook_url": receiver.url("/hook")})).await;
    assert_eq!(world.death().await.signal(), Some(9));
    assert!(world.serve(Serve::dev()).await);
    let came = receiver.wait_for(2, PATIENCE).await;
    assert_eq!((&came[0].body, read(&came[0])), (&came[1].body, read(&came[1])));
}

#[tokio::test]
async fn a_path_that_is_not_there_is_refused_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    let answer = world.get("/clipzy/no-such-path").await;
    assert_eq!(code(&answer, 404), "NOT_FOUND");
}
