//! Compressor, as its client sees it.

mod accounts;
mod archives;
#[cfg(feature = "failpoints")]
mod crashes;
mod pictures;
mod refusals;
mod store;
mod trouble;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver, Reply};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use url::Url;

use crate::world::{Answer, PATIENCE, Serve, World};

const BOUNDARY: &str = "xxBOUNDARYxx";

/// A second of a tone, 16-bit PCM.
fn wav() -> Vec<u8> {
    const RATE: u32 = 8000;
    let samples: Vec<u8> =
        (0..RATE).flat_map(|n| (((f64::from(n) * 0.2).sin() * 9000.0) as i16).to_le_bytes()).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((2 * RATE).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples);
    bytes
}

/// A picture with detail and noise, as a camera makes one.
fn photo() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("photo.jpg");
    let arguments = "-f lavfi -i testsrc2=s=640x480,noise=alls=20 -frames:v 1 -q:v 2 -update 1";
    clips::ffmpeg(arguments.split(' '), &path);
    std::fs::read(&path).expect("ffmpeg made it")
}

/// Sends a file with options, as a form does.
async fn upload(world: &World, name: &str, bytes: &[u8], data: Option<&Value>) -> Answer {
    let mut body = Vec::new();
    if let Some(data) = data {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{data}\r\n");
        body.extend_from_slice(head.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    world.post_with("/compressor/1.0/upload", &[("content-type", &kind)], body).await
}

async fn fetch(world: &World, body: &Value) -> Answer {
    world.post("/compressor/1.0/fetch", body).await
}

/// Downloads a result by its link alone and checks it against what is said of it.
async fn check_result(world: &World, result: &Value) -> Vec<u8> {
    let url: Url = result["url"].as_str().expect("a result has a link").parse().expect("a link is a URL");
    let id = result["id"].as_str().expect("a result has an id");
    let segments: Vec<_> = url.path_segments().expect("it has a path").collect();
    assert_eq!((segments[0], segments[2], segments[3]), ("compressor", id, result["output"]["name"].as_str().unwrap()));
    assert!(segments[1].parse::<u64>().is_ok(), "{url}");
    let url = world.url(&format!("{}?{}", url.path(), url.query().expect("a link is signed")));
    let answer = world.get_as_stranger(url, &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.len() as u64, result["output"]["size"]);
    assert_eq!(hex::encode(Sha1::digest(&answer.body)), result["output"]["sha1"].as_str().unwrap());
    assert_eq!(answer.headers["content-type"], result["output"]["mime"].as_str().unwrap());
    let disposition = answer.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.contains(result["output"]["name"].as_str().unwrap()), "{disposition}");
    assert!(result["output"]["size"].as_u64() <= result["input"]["size"].as_u64(), "{result}");
    answer.body.to_vec()
}

/// Polls until the job is over.
async fn ended(world: &World, id: &str) -> Value {
    let native = reelhook_domain::id::JobId::from_hyphenated(id).expect("ids are UUIDs");
    world.job_at_end(&native.to_string()).await;
    world.get(&format!("/compressor/1.0/jobs/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_path_that_is_not_there_is_refused_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    let answer = world.get("/compressor/no-such-path").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["success"], false);
    assert_eq!(answer.json()["error"]["code"], "not_found");
}

#[tokio::test]
async fn an_uploaded_video_is_answered_with_its_result() {
    let world = World::start(Serve::dev()).await;
    let source = clips::bytes(Clip::Video);
    let options = json!({"video": {"resize": {"width": 64, "height": 64, "mode": "fit"}}});
    let result = upload(&world, "clip.mp4", &source, Some(&options)).await.expect(200);
    assert!(result.get("status").is_none(), "{result}");
    assert_eq!(result["input"]["sha1"], hex::encode(Sha1::digest(&source)));
    assert_eq!(result["input"]["name"], "clip.mp4");
    for (key, expected) in [("type", "video"), ("format", "mp4"), ("mime", "video/mp4"), ("name", "clip.mp4")] {
        assert_eq!(result["output"][key], expected);
    }
    check_result(&world, &result).await;
    let id = result["id"].as_str().unwrap();
    let polled = world.get(&format!("/compressor/1.0/jobs/{id}")).await.expect(200);
    assert_eq!(polled["status"], "completed");
    assert_eq!((&polled["input"], &polled["output"]), (&result["input"], &result["output"]));
    // The same job in the native API says what was decided.
    let native = reelhook_domain::id::JobId::from_hyphenated(id).unwrap();
    let job = world.job(&native.to_string()).await;
    assert!(job["outputs"][0]["plan"][0]["reason"].as_str().unwrap().starts_with("auto: a video"), "{job:#}");
}

#[tokio::test]
async fn sound_is_made_smaller_and_never_larger() {
    let world = World::start(Serve::dev()).await;
    let source = wav();
    let result = upload(&world, "voice.wav", &source, None).await.expect(200);
    assert_eq!((&result["input"]["type"], &result["input"]["format"]), (&json!("audio"), &json!("wav")));
    assert_eq!(result["output"]["type"], "audio");
    check_result(&world, &result).await;
}

#[tokio::test]
async fn a_webhook_makes_it_wait_for_nothing_and_gets_the_result_with_the_listed_headers_alone() {
    let world = World::start(Serve::dev()).await;
    let (origin, receiver) = (Origin::start().await, Receiver::start().await);
    let url = origin.put("/in/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    let body = json!({"url": url, "webhook": {"url": receiver.url("/c")}});
    let enqueued = fetch(&world, &body).await.expect(202);
    let id = enqueued["id"].as_str().unwrap().to_owned();
    assert_eq!(enqueued, json!({"id": id, "status": "enqueued"}));

    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(received.method, Method::POST);
    let mut headers: Vec<_> =
        received.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.retain(|(name, _)| !matches!(*name, "host" | "content-length"));
    headers.sort_unstable();
    assert_eq!(
        headers,
        [("content-type", "application/json"), ("user-agent", "Compressor/1.0 (+https://compressor.app)")]
    );
    let told: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(told["id"], id);
    assert!(told.get("status").is_none() && told.get("success").is_none(), "{told}");
    check_result(&world, &told).await;
    assert_eq!(ended(&world, &id).await["status"], "completed");
    assert_eq!(receiver.requests().len(), 1, "one webhook at the end, none on the way");
    let download = &origin.requests()[0];
    assert_eq!(download.header("user-agent"), "Compressor/1.0 (+https://compressor.app)");
}

#[tokio::test]
async fn a_failure_is_told_by_the_standard_error() {
    let world = World::start(Serve::dev()).await;
    let refused = upload(&world, "note.txt", b"plain words", None).await;
    let error = refused.expect(422);
    assert_eq!((&error["success"], &error["status"]), (&json!(false), &json!("failed")));
    assert_eq!(error["error"]["code"], "unsupported_media");

    let receiver = Receiver::start().await;
    receiver.then(Reply::status(500));
    let options = json!({"webhook": {"url": receiver.url("/c")}});
    let id = upload(&world, "note.txt", b"plain words", Some(&options)).await.expect(202)["id"].clone();
    let polled = ended(&world, id.as_str().unwrap()).await;
    let received = receiver.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), polled);
    assert_eq!((&polled["success"], &polled["id"], &polled["status"]), (&json!(false), &id, &json!("failed")));
}

#[tokio::test]
async fn credentials_in_a_url_reach_the_origin_and_nobody_else() {
    let world = World::start(Serve::dev()).await;
    let origin = Origin::start().await;
    let mut url = origin.put("/in/clip.mp4", clips::bytes(Clip::Video), Manners::Good);
    url.set_username("user").unwrap();
    url.set_password(Some("pa:ss")).unwrap();
    let result = fetch(&world, &json!({"url": url, "headers": {"X-Token": "t"}})).await.expect(200);
    let download = &origin.requests()[0];
    assert_eq!(download.header("authorization"), format!("Basic {}", BASE64_STANDARD.encode("user:pa:ss")));
    assert_eq!(download.header("x-token"), "t");
    let native = reelhook_domain::id::JobId::from_hyphenated(result["id"].as_str().unwrap()).unwrap();
    let job = world.job(&native.to_string()).await.to_string();
    assert!(!job.contains("pa:ss") && !job.contains("user@"), "{job}");
}

#[tokio::test]
async fn what_is_large_is_answered_before_it_is_done() {
    let world = World::start(Serve::dev()).await;
    let mut source = clips::bytes(Clip::Video);
    // A box that players skip.
    let padding: u32 = 33 << 20;
    source.extend_from_slice(&padding.to_be_bytes());
    source.extend_from_slice(b"free");
    source.resize(source.len() + padding as usize - 8, 0);
    let enqueued = upload(&world, "clip.mp4", &source, None).await.expect(202);
    assert_eq!(enqueued, json!({"id": enqueued["id"], "status": "enqueued"}));
    let origin = Origin::start().await;
    let url = origin.put("/in/clip.mp4", source, Manners::Good);
    let enqueued = fetch(&world, &json!({"url": url})).await.expect(202);
    assert_eq!(ended(&world, enqueued["id"].as_str().unwrap()).await["status"], "completed");
}
