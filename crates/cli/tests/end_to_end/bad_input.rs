//! What a stranger may send: refused with the place and the reason, or failed with a code; the server stays.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin};
use serde_json::{Value, json};
use url::Url;

use crate::world::{Serve, World};

/// Ways to write addresses that are none of a stranger's business.
const INSIDE: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.01",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "0.0.0.0",
    "0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
];

const BAD_URLS: &[&str] = &[
    "http://example.com/a.mp4",
    "file:///etc/passwd",
    "ftp://example.com/a.mp4",
    "gopher://example.com/_x",
    "data:video/mp4;base64,AAAA",
    "concat:/etc/passwd",
    "https://user:secret@example.com/a.mp4",
    "https://user@example.com/a.mp4",
    "https://example.com:22/a.mp4",
    "//example.com/a.mp4",
    "/etc/passwd",
    "https://",
    "",
];

fn thumbnail() -> Value {
    json!([{"recipe": "thumbnail"}])
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_an_address_inside_is_accepted() {
    let world = World::start(Serve::public()).await;
    let inside = INSIDE.iter().map(|host| format!("https://{host}/x"));
    for url in inside.chain(BAD_URLS.iter().map(|url| (*url).to_owned())) {
        let job = json!({"input": {"url": url}, "outputs": thumbnail(), "webhook": {"url": url}});
        let answer = world.post("/v1/jobs", &job).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 422, "{url}: {text}");
        assert!(answer.violations().iter().any(|path| path == "input.url"), "{url}: {text}");
        assert!(!text.contains("secret"), "a password is not repeated: {text}");

        let mut job = job;
        job["input"]["url"] = json!("https://example.com/a.mp4");
        let answer = world.post("/v1/jobs", &job).await;
        assert_eq!(answer.violations(), ["webhook.url"], "{url}");
        let answer = world.post("/v1/endpoints", &json!({"url": url})).await;
        assert_eq!(answer.violations(), ["url"], "{url}");
    }
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_an_address_inside_is_not_followed() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let metadata: Url = "http://169.254.169.254/latest/meta-data".parse().unwrap();
    let url = origin.put("/clip.mp4", Bytes::new(), Manners::RedirectTo(metadata));
    let job = json!({"input": {"url": url}, "outputs": thumbnail()});
    let job = world.job_ended(&world.submit(&job).await, "failed").await;
    let code = job["error"]["code"].as_str().unwrap();
    assert!(matches!(code, "redirect_not_allowed" | "address_not_allowed"), "{job:#}");
    assert_eq!((&job["error"]["stage"], &job["error"]["fault"]), (&json!("fetching"), &json!("request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_a_request_is_named_at_once() {
    let world = World::start(Serve::public()).await;
    let input = json!({"url": "https://example.com/a.mp4"});
    for (job, expected) in [
        (
            json!({
                "input": {"url": "https://127.0.0.1/", "extra": 1},
                "outputs": [{"recipe": "compress", "crf": 99}, {"recipe": "thumbnail", "widht": 3, "at_seconds": -1}],
                "surprise": true,
                "priority": "urgent",
            }),
            &[
                "input.extra",
                "input.url",
                "outputs[0].crf",
                "outputs[1].at_seconds",
                "outputs[1].widht",
                "priority",
                "surprise",
            ][..],
        ),
        (json!({"input": input, "outputs": []}), &["outputs"]),
        (json!({"input": input}), &["outputs"]),
        (json!({"outputs": [{"recipe": "thumbnail"}]}), &["input"]),
        (json!({"input": input, "outputs": [{"recipe": "explode"}]}), &["outputs[0].recipe"]),
        (json!({"input": input, "outputs": "all"}), &["outputs"]),
        (json!({"input": input, "outputs": [{"recipe": "resize", "width": "wide"}]}), &["outputs[0].width"]),
        (json!({"input": input, "outputs": [{"recipe": "resize", "width": 1e300}]}), &["outputs[0].width"]),
        (json!({"input": input, "outputs": [{"recipe": "thumbnail", "name": "../x"}]}), &["outputs[0].name"]),
        (json!({"input": {"upload": "upl_nonsense"}, "outputs": [{"recipe": "thumbnail"}]}), &["input.upload"]),
        (
            json!({"input": {"upload": "upl_00000000000000000000000000"}, "outputs": [{"recipe": "thumbnail"}]}),
            &["input.upload"],
        ),
    ] {
        let mut paths = world.post("/v1/jobs", &job).await.violations();
        paths.sort();
        assert_eq!(paths, expected, "{job}");
    }
    assert_eq!(world.post("/v1/jobs", &json!([])).await.violations(), [""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_much_are_refused_before_they_are_understood() {
    let world = World::start(Serve::public()).await;
    let large = json!({"metadata": {"a": "x".repeat(10 << 20)}}).to_string();
    assert_eq!(world.post_with("/v1/jobs", &[], large).await.expect(413)["code"], "too_large");
    for text in ["[".repeat(100_000), "{\"a\":".repeat(50_000), "{".to_owned(), "\u{0}".to_owned(), String::new()] {
        assert_eq!(world.post_with("/v1/jobs", &[], text).await.expect(400)["code"], "malformed_request");
    }
    let kind = [("content-type", "text/plain")];
    world.post_with("/v1/jobs", &kind, "{}").await.expect(415);
    let kind = [("content-type", "multipart/form-data; boundary=cut")];
    world.post_with("/v1/jobs", &kind, "--cut\r\nContent-Dis").await.expect(400);
    assert_eq!(world.get("/readyz").await.status, 200);
}

/// Sends a whole request before it reads a byte of the answer, as many clients do, and gives the status.
fn sent_whole(url: &Url, head: &str, body: &[u8]) -> std::io::Result<String> {
    let address = (url.host_str().expect("the server has a host"), url.port().expect("the server has a port"));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(format!("{head}\r\nHost: {}\r\n", address.0).as_bytes())?;
    let mut answer = String::new();
    if head.contains("chunked") {
        stream.write_all(b"\r\n")?;
        for piece in body.chunks(100_000) {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")?;
    } else {
        stream.write_all(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes())?;
        stream.write_all(body)?;
    }
    stream.read_to_string(&mut answer)?;
    assert!(answer.contains("connection: close") && answer.contains("application/problem+json"), "{answer}");
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_caller_who_is_still_sending() {
    let world = World::start(Serve::public()).await;
    let key = world.key();
    let requests = [
        ("401", "POST /v1/uploads?name=a.mp4 HTTP/1.1\r\nAuthorization: Bearer rhk_wrong".to_owned(), 40 << 20),
        ("401", "POST /v1/uploads HTTP/1.1\r\nTransfer-Encoding: chunked".to_owned(), 40 << 20),
        ("401", "POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json".to_owned(), 3 << 20),
        (
            "413",
            format!("POST /v1/jobs HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"),
            30 << 20,
        ),
        (
            "413",
            format!(
                "POST /v1/jobs HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
                 Transfer-Encoding: chunked"
            ),
            30 << 20,
        ),
        ("415", format!("POST /v1/jobs HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: text/plain"), 20 << 20),
        ("404", format!("POST /v1/nothing HTTP/1.1\r\nAuthorization: Bearer {key}"), 20 << 20),
        ("405", format!("PUT /v1/jobs HTTP/1.1\r\nAuthorization: Bearer {key}"), 20 << 20),
    ];
    for (status, head, length) in requests {
        for _ in 0..5 {
            let (url, sent) = (world.url("/"), head.clone());
            let sent = tokio::task::spawn_blocking(move || sent_whole(&url, &sent, &vec![b' '; length]));
            let answer = sent.await.expect("sending does not panic");
            assert_eq!(answer.unwrap_or_else(|error| panic!("no answer to {head:?}: {error}")), status, "{head:?}");
        }
    }
}

/// What becomes of bytes under a name: the state and the error of its job.
async fn fate(world: &World, name: &str, bytes: impl Into<Bytes>, outputs: &Value) -> (String, Value) {
    let upload = world.upload(name, bytes).await;
    let job = world.job_at_end(&world.submit(&json!({"input": {"upload": upload}, "outputs": outputs})).await).await;
    let output_error = job["outputs"][0]["error"].clone();
    let error = if job["error"].is_null() { output_error } else { job["error"].clone() };
    (job["state"].as_str().expect("a state is text").to_owned(), error)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_media_is_rejected_whatever_its_name() {
    let world = World::start(Serve::dev()).await;
    let concat: &[u8] = b"ffconcat version 1.0\nfile '/etc/passwd'\n";
    let svg: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file:///etc/passwd\"/></svg>";
    let html: &[u8] = b"<!doctype html><html><body>video</body></html>";
    let inputs = [
        ("playlist", clips::bytes(Clip::Playlist), "unsupported_media"),
        ("ffconcat", concat.to_vec(), "unsupported_media"),
        ("svg", svg.to_vec(), "unsupported_media"),
        ("html", html.to_vec(), "unsupported_media"),
        ("garbage", clips::bytes(Clip::Garbage), "unsupported_media"),
        ("empty", Vec::new(), "empty_file"),
    ];
    for (what, bytes, code) in inputs {
        let (state, error) = fate(&world, "clip.mp4", bytes, &thumbnail()).await;
        assert_eq!((state.as_str(), error["code"].as_str()), ("rejected", Some(code)), "{what}: {error:#}");
        assert_eq!((&error["stage"], &error["fault"]), (&json!("probing"), &json!("input")), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_media_fails_with_a_code_that_blames_the_input() {
    let world = World::start(Serve::dev()).await;
    let compress = json!([{"recipe": "compress", "crf": 30}]);
    let mut flipped = clips::bytes(Clip::Video);
    // From the middle on, so that the index at the beginning is whole.
    let middle = flipped.len() / 2;
    for byte in flipped.iter_mut().skip(middle).step_by(3) {
        *byte ^= 0x55;
    }
    for (what, bytes, codes) in [
        ("its index is first and its end is missing", clips::truncated(Clip::Video, 60), &["input_truncated"][..]),
        ("its index was last", clips::truncated(Clip::SlowStart, 60), &["input_truncated"]),
        ("bits are flipped", flipped, &["input_damaged"]),
        ("it has no picture", clips::bytes(Clip::Audio), &["no_video_stream"]),
    ] {
        let (state, error) = fate(&world, "clip.mp4", bytes, &compress).await;
        assert!(matches!(state.as_str(), "failed" | "rejected"), "{what}: {state}");
        assert!(codes.iter().any(|code| error["code"] == *code), "{what}: {error:#}");
        assert_eq!(error["fault"], "input", "{what}");
        assert!(error["stage"].is_string(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_file_names_are_only_names() {
    let world = World::start(Serve::dev().set("worker.slots", 4)).await;
    let bytes = clips::bytes(Clip::Picture);
    let mut jobs = Vec::new();
    for (name, shown) in [
        ("a\nb\r.png", "ab.png".to_owned()),
        ("%d%s%03d.png", "%d%s%03d.png".to_owned()),
        ("-i.png", "-i.png".to_owned()),
        ("../../etc/passwd", "passwd".to_owned()),
        ("a'; rm -rf $HOME; \".png", "a'; rm -rf $HOME; \".png".to_owned()),
        ("naïve 影.png", "naïve 影.png".to_owned()),
        (&"x".repeat(255), "x".repeat(255)),
        (&"y".repeat(5000), "y".repeat(255)),
    ] {
        let upload = world.upload(name, bytes.clone()).await;
        jobs.push((shown, world.submit(&json!({"input": {"upload": upload}, "outputs": thumbnail()})).await));
    }
    for (shown, id) in jobs {
        let job = world.job_ended(&id, "completed").await;
        assert_eq!(job["input"]["name"], shown);
        world.check_outputs(&job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_without_manners_fails_the_job_with_a_code() {
    let serve = Serve::dev().set("fetch.stall_seconds", 1).set("fetch.max_bytes", 1_000_000);
    let serve = serve.set("fetch.deadline_seconds", 30).set("worker.slots", 6);
    let (world, origin) = tokio::join!(World::start(serve), Origin::start());
    let clip = clips::bytes(Clip::Video);
    let mut jobs = Vec::new();
    for (path, manners, code) in [
        ("/lies.mp4", Manners::LieAboutLength(1000), "fetch_truncated"),
        ("/cut.mp4", Manners::CutAfter(1000), "fetch_truncated"),
        ("/stalls.mp4", Manners::StallAfter(1000), "fetch_stalled"),
        ("/endless.mp4", Manners::Endless, "too_large"),
        ("/missing.mp4", Manners::Status(404), "origin_status"),
        ("/broken.mp4", Manners::Status(500), "origin_status"),
    ] {
        let url = origin.put(path, clip.clone(), manners);
        jobs.push((path, code, world.submit(&json!({"input": {"url": url}, "outputs": thumbnail()})).await));
    }
    for (path, code, id) in jobs {
        let job = world.job_ended(&id, "failed").await;
        let error = &job["error"];
        assert_eq!((&error["code"], &error["stage"]), (&json!(code), &json!("fetching")), "{path}: {error:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_once_is_resumed() {
    let (world, origin) = tokio::join!(World::start(Serve::dev()), Origin::start());
    let url = origin.put("/clip.mp4", clips::bytes(Clip::Video), Manners::ResetOnce(5000));
    let job = json!({"input": {"url": url}, "outputs": thumbnail()});
    let job = world.job_ended(&world.submit(&job).await, "completed").await;
    world.check_outputs(&job).await;
    assert_eq!(origin.requests().len(), 2);
}
