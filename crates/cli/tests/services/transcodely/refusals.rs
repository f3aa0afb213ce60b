//! What is refused, in the service's words: every code of its errors page that can happen here.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{JOBS, ORIGINS, call, h264, id};
use crate::small_disk::SmallDisk;
use crate::world::{Answer, Serve, World};

/// Checks that an answer is a refusal as the service's clients read it, of that status and those codes.
pub(super) fn assert_refused(answer: &Answer, status: u16, code: &str, detail: &str) {
    let body = answer.expect(status);
    assert_eq!((&body["code"], &body["details"][0]["type"]), (&json!(code), &json!("transcodely.v1.ErrorDetails")));
    assert!(!body["message"].as_str().expect("a message is text").is_empty());
    for place in ["value", "debug"] {
        assert_eq!(body["details"][0][place]["code"], detail, "{body}");
    }
    assert!(body.get("type").is_none(), "not the native shape: {body}");
}

/// The paths of what is wrong, as both places name them.
pub(super) fn fields(answer: &Answer) -> Vec<String> {
    assert_refused(answer, 400, "invalid_argument", "validation_error");
    let body = answer.json();
    assert_eq!(body["message"], "Request validation failed");
    let [value, debug] = ["value", "debug"].map(|place| &body["details"][0][place]["field_violations"]);
    assert_eq!(value, debug);
    let violations = value.as_array().expect("violations are listed").iter();
    violations.map(|violation| violation["field"].as_str().expect("a field is text").to_owned()).collect()
}

pub(super) fn video() -> Value {
    json!([{"type": "mp4", "video": [h264("480p", "economy")]}])
}

async fn create(world: &World, body: &Value) -> Answer {
    world.post(&format!("{JOBS}/Create"), body).await
}

#[tokio::test]
async fn calls_that_are_not_done_and_paths_that_are_not_there_are_refused_in_the_services_words() {
    let world = World::start(Serve::dev()).await;
    assert_refused(&world.get("/transcodely/no-such-path").await, 404, "not_found", "not_found");
    let presets = world.post("/transcodely/transcodely.v1.PresetService/List", &json!({})).await;
    assert_refused(&presets, 501, "unimplemented", "unimplemented");
    let elsewhere = world.post("/transcodely/other.v1.JobService/List", &json!({})).await;
    assert_refused(&elsewhere, 404, "not_found", "not_found");
    let got = world.get(&format!("{JOBS}/List")).await;
    assert_refused(&got, 405, "unimplemented", "method_not_allowed");
}

#[tokio::test]
async fn everything_wrong_with_a_job_is_named_at_once() {
    let world = World::start(Serve::public()).await;
    let wrong = json!({
        "input_url": "http://127.0.0.1:9/a", "webhook_url": "https://user:pass@example.com/",
        "outputs": [{"type": "mp4", "video": [{"codec": "vp9"}]}],
    });
    assert_eq!(fields(&create(&world, &wrong).await), ["outputs[0].video[0].codec", "input_url", "webhook_url"]);
    let nowhere = json!({"input_url": "mailto:a@example.com", "webhook_url": "data:,x", "outputs": video()});
    assert_eq!(fields(&create(&world, &nowhere).await), ["input_url", "webhook_url"], "each once");
    let bucket = json!({"input_url": "gs://somebody/a.mp4", "outputs": [{"preset": "h264_1080p_standard"}]});
    assert_eq!(fields(&create(&world, &bucket).await), ["input_url"]);
    let nobodys = json!({
        "input_origin_id": "ori_06c8pmt4vz3fk7qyq4q9w7m2hc", "input_path": "a.mp4",
        "output_origin_id": "ori_06c8pmt4vz3fk7qyq4q9w7m2hd", "outputs": video(),
    });
    assert_eq!(fields(&create(&world, &nobodys).await), ["output_origin_id", "input_origin_id"]);
    assert_eq!(fields(&world.post(&format!("{JOBS}/Get"), &json!({})).await), ["id"]);
    let page = json!({"statuses": ["queued"], "pagination": {"limit": 101, "cursor": "x"}});
    let listed = world.post(&format!("{JOBS}/List"), &page).await;
    assert_eq!(fields(&listed), ["statuses[0]", "pagination.limit", "pagination.cursor"]);
    for (body, detail) in [("{", "malformed_request"), ("nothing", "malformed_request")] {
        let answer = world.post_with(&format!("{JOBS}/Create"), &[], body).await;
        assert_refused(&answer, 400, "invalid_argument", detail);
    }
    let plain = [("content-type", "text/plain")];
    let answer = world.post_with(&format!("{JOBS}/Create"), &plain, "{}").await;
    assert_refused(&answer, 400, "invalid_argument", "unsupported_media_type");
}

#[tokio::test]
async fn urls_that_lead_inside_are_refused_wherever_a_url_may_stand() {
    let world = World::start(Serve::public()).await;
    for inside in [
        "http://127.0.0.1/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://10.0.0.8/a",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:192.168.0.1]/a",
    ] {
        let input = create(&world, &json!({"input_url": inside, "outputs": video()})).await;
        assert_eq!(fields(&input), ["input_url"], "{inside}");
        let body = json!({"input_url": "https://media.example.com/a.mp4", "webhook_url": inside, "outputs": video()});
        let hook = create(&world, &body).await;
        assert_eq!(fields(&hook), ["webhook_url"], "{inside}");
        for (provider, field) in [("http", "base_url"), ("s3", "endpoint")] {
            let credentials = json!({"access_key_id": "a", "secret_access_key": "b"});
            let place = match provider {
                "http" => json!({"base_url": inside}),
                _ => json!({"bucket": "media", "region": "eu", "endpoint": inside, "credentials": credentials}),
            };
            let origin = json!({"name": "in", "provider": provider, "permissions": ["read"], provider: place});
            let answer = world.post(&format!("{ORIGINS}/Create"), &origin).await;
            assert_eq!(fields(&answer), [format!("{provider}.{field}")], "{inside}");
        }
    }
}

#[tokio::test]
async fn keys_that_nobody_has_open_nothing() {
    let world = World::start(Serve::dev()).await;
    for method in ["Create", "Get", "List", "Cancel", "Confirm", "Watch"] {
        let path = format!("{JOBS}/{method}");
        let stranger = world.post_with(&path, &[("authorization", "Bearer ak_live_x")], "{}").await;
        assert_refused(&stranger, 401, "unauthenticated", "unauthorized");
    }
    for method in ["Create", "Get", "List", "Validate", "Archive"] {
        let path = format!("{ORIGINS}/{method}");
        let stranger = world.post_with(&path, &[("authorization", "Basic !")], "{}").await;
        assert_refused(&stranger, 401, "unauthenticated", "unauthorized");
    }
}

/// The database of a server, as its operator could open it.
fn database(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(world.data().join("reelhook.db")).expect("the database is there")
}

#[tokio::test]
async fn ids_that_nobody_made_and_other_spellings_of_ids_name_nothing() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let job = call(&world, "Create", &json!({"input_url": input, "delayed_start": true, "outputs": video()})).await;
    let own = id(&job).parse::<reelhook_domain::id::JobId>().expect("it is one of ours");
    let bare = own.bare();
    let others = [
        "job_06c8pmt4vz3fk7qyq4q9w7m2hc".to_owned(),
        "job_m3n4o5p6q7r8".to_owned(),
        bare.clone(),
        bare.to_ascii_uppercase(),
        own.hyphenated().to_string(),
        own.to_string().to_ascii_uppercase(),
        format!("out_{bare}"),
        format!("{own} "),
    ];
    for other in &others {
        for method in ["Get", "Cancel", "Confirm", "Watch"] {
            let answer = world.post(&format!("{JOBS}/{method}"), &json!({"id": other})).await;
            assert_refused(&answer, 404, "not_found", "not_found");
        }
        let answer = world.post(&format!("{ORIGINS}/Get"), &json!({"id": other})).await;
        assert_refused(&answer, 404, "not_found", "not_found");
    }
    assert_eq!(call(&world, "Get", &json!({"id": id(&job)})).await["id"], job["id"]);
}

#[tokio::test]
async fn a_key_that_another_apis_job_has_is_taken() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let native = json!({"input": {"url": input}, "outputs": [{"recipe": "thumbnail", "width": 64}]});
    let once = [("idempotency-key", "order-7")];
    world.post_with("/v1/jobs", &once, native.to_string()).await.expect(202);
    let body = json!({"input_url": input, "outputs": video()});
    let answer = world.post_with(&format!("{JOBS}/Create"), &once, body.to_string()).await;
    assert_refused(&answer, 409, "already_exists", "idempotency_conflict");
}

#[tokio::test]
async fn what_the_database_cannot_do_is_internal_and_says_nothing_more() {
    let world = World::start(Serve::dev()).await;
    let broken = "alter table jobs rename to jobs_of_nobody";
    database(&world).execute_batch(broken).expect("the table is there");
    let answer = world.post(&format!("{JOBS}/List"), &json!({})).await;
    assert_refused(&answer, 500, "internal", "internal");
    assert!(!answer.json().to_string().contains("jobs"), "{}", answer.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_unavailable_with_a_time_to_come_back() {
    let disk = SmallDisk::mount("24m");
    let world = World::start_over(tempfile::tempdir().unwrap(), disk.path().join("data"), Serve::dev()).await;
    let filling = std::fs::write(disk.path().join("filling"), vec![7; 24 << 20]);
    assert_eq!(filling.expect_err("it does not fit").kind(), std::io::ErrorKind::StorageFull);
    let mut refused = None;
    // What the database has set aside takes a few.
    for _ in 0..200 {
        let body = json!({"input_url": "https://media.example.com/a.mp4", "delayed_start": true, "outputs": video()});
        let answer = create(&world, &body).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the disk is full");
    assert_refused(&refused, 503, "unavailable", "out_of_disk");
    assert!(refused.headers.contains_key("retry-after"));
    drop(world);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_half_a_minute() {
    let world = World::start(Serve::dev()).await;
    let url = world.url(&format!("{JOBS}/List"));
    let address = (url.host_str().expect("it has a host"), url.port().expect("it has a port"));
    #[allow(clippy::disallowed_methods, reason = "the test is its own client, and stops in the middle of a request")]
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nconnection: close\r\n\r\n{{",
        url.path(),
        world.key()
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut answer)).await;
    read.expect("it is answered in time").expect("it is answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    let body: Value = serde_json::from_str(body).expect("a refusal is JSON");
    assert_eq!(
        (&body["code"], &body["details"][0]["value"]["code"]),
        (&json!("deadline_exceeded"), &json!("request_timeout"))
    );
}

#[tokio::test]
async fn a_stream_is_refused_within_the_stream() {
    let world = World::start(Serve::dev()).await;
    let stream = [("content-type", "application/connect+json"), ("authorization", "Bearer ak_live_x")];
    let url = world.url(&format!("{JOBS}/Watch"));
    let answer = world.exchange(Method::POST, url, &stream, Bytes::from_static(b"{}")).await.expect("it is answered");
    let frames = super::watch::frames(&answer.body);
    assert_eq!((answer.status, frames.len(), frames[0].0), (200, 1, 2));
    assert_eq!(frames[0].1["error"]["code"], "unauthenticated");
}
