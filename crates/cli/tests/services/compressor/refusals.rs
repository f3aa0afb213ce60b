//! What is refused, and in which words.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use url::Url;

use super::{BOUNDARY, fetch, upload, wav};
use crate::world::{Answer, Serve, World};

/// Addresses that nobody outside may have us call, in all their spellings.
const INSIDE: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "%31%32%37.0.0.1",
    "0.0.0.0",
    "10.0.0.8",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[fe80::1]",
    "[fd00:ec2::254]",
];
/// What is no URL of a web server, or not of one that we call.
const NOT_CALLED: &[&str] = &[
    "http://example.com/a.mp4",
    "file:///etc/passwd",
    "ftp://example.com/a.mp4",
    "data:video/mp4;base64,AAAA",
    "concat:/etc/passwd",
    "https://example.com:22/a.mp4",
    "//example.com/a.mp4",
    "/etc/passwd",
    "https://",
    "",
];

/// The names of the fields that were wrong.
fn fields(answer: &Answer) -> Vec<String> {
    let error = answer.expect(422);
    assert_eq!((&error["success"], &error["error"]["code"]), (&json!(false), &json!("invalid_request")), "{error}");
    let fields = error["error"]["fields"].as_array().expect("fields are listed").clone();
    fields.iter().map(|field| field["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_work_both_ways_and_others_are_refused() {
    let world = World::start(Serve::dev()).await;
    let native = world.get("/compressor/1.0/account").await.expect(200);
    let basic = |name: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:")));
    let key = basic(&world.key());
    assert_eq!(world.get_with("/compressor/account", &[("authorization", &key)]).await.expect(200), native);
    for wrong in [basic("rh_nobody"), basic(""), "Bearer rh_nobody".to_owned(), "Digest x".to_owned()] {
        let answer = world.get_with("/compressor/1.0/account", &[("authorization", &wrong)]).await;
        let error = answer.expect(401);
        assert_eq!((&error["success"], &error["error"]["code"]), (&json!(false), &json!("unauthorized")), "{wrong}");
    }
    let stranger = world.get_as_stranger(world.url("/compressor/1.0/account"), &[]).await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test]
async fn ids_and_links_of_others_open_nothing() {
    let world = World::start(Serve::dev()).await;
    let result = upload(&world, "voice.wav", &wav(), None).await.expect(200);
    let id = result["id"].as_str().unwrap();
    let native = reelhook_domain::id::JobId::from_hyphenated(id).unwrap().to_string();
    let bare = native.trim_start_matches("job_");
    let simple = id.replace('-', "");
    let braced = format!("%7B{id}%7D");
    for other in [
        &id.to_ascii_uppercase(),
        &native,
        bare,
        &bare.to_ascii_uppercase(),
        &simple,
        &braced,
        &format!("urn:uuid:{id}"),
        "0f6c3a52-8d7e-4a0b-9a55-0c6f0f1c2d3e",
        "x",
        "..%2Faccount",
    ] {
        let error = world.get(&format!("/compressor/1.0/jobs/{other}")).await.expect(404);
        assert_eq!((&error["success"], &error["error"]["code"]), (&json!(false), &json!("not_found")), "{other}");
    }
    let url: Url = result["url"].as_str().unwrap().parse().unwrap();
    for (path, query) in [
        (url.path().to_owned(), "signature=00".to_owned()),
        (url.path().to_owned(), "x=1".to_owned()),
        (url.path().replacen("/compressor/1", "/compressor/2", 1), url.query().unwrap().to_owned()),
        (url.path().replace(id, "0f6c3a52-8d7e-4a0b-9a55-0c6f0f1c2d3e"), url.query().unwrap().to_owned()),
    ] {
        let answer = world.get_as_stranger(world.url(&format!("{path}?{query}")), &[]).await;
        assert_eq!(answer.status, 403, "{path}?{query}");
    }
}

#[tokio::test]
async fn no_url_leads_inside_whatever_field_it_stands_in() {
    let world = World::start(Serve::public()).await;
    let inside = INSIDE.iter().map(|host| format!("https://{host}/x"));
    for url in inside.chain(NOT_CALLED.iter().map(|url| (*url).to_owned())) {
        assert_eq!(fields(&fetch(&world, &json!({"url": url})).await), ["url"], "{url}");
        let body = json!({"url": "https://media.example.com/a.jpg", "webhook": {"url": url}});
        assert_eq!(fields(&fetch(&world, &body).await), ["webhook.url"], "{url}");
        let options = json!({"webhook": {"url": url}});
        assert_eq!(fields(&upload(&world, "voice.wav", &wav(), Some(&options)).await), ["webhook.url"], "{url}");
    }
    let with_password =
        json!({"url": "https://a.example/x", "webhook": {"url": "https://user:secret@hooks.example/c"}});
    let refused = fetch(&world, &with_password).await;
    assert_eq!(fields(&refused), ["webhook.url"]);
    assert!(!refused.json().to_string().contains("secret"), "a password is not repeated");
    assert_eq!(world.get("/v1/jobs").await.expect(200)["jobs"], json!([]), "nothing was kept");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let world = World::start(Serve::public()).await;
    let url = "https://media.example.com/a.jpg";
    for (body, expected) in [
        (json!({}), &["url"][..]),
        (json!({"url": 7}), &["url"]),
        (json!({"url": url, "imge": {}}), &["imge"]),
        (json!({"url": url, "image": {"compression": "extreme"}}), &["image.compression"]),
        (json!({"url": url, "image": {"resize": {"mode": "fit"}}}), &["image.resize"]),
        (json!({"url": url, "image": {"resize": {"width": 0}}}), &["image.resize.width"]),
        (json!({"url": url, "image": {"resize": {"width": 9, "mode": "fill"}}}), &["image.resize.mode"]),
        (json!({"url": url, "video": {"resize": {"height": 1e300}}}), &["video.resize.height"]),
        (json!({"url": url, "video": {"codec": "av1"}}), &["video.codec"]),
        (json!({"url": url, "webhook": {}}), &["webhook.url"]),
        (json!({"url": url, "webhook": {"url": "https://hooks.example.com/c", "secret": "x"}}), &["webhook.secret"]),
        (json!({"url": url, "headers": {"Host": "x"}}), &["headers.host"]),
        (json!({"url": url, "headers": {"X-A": "a\r\nb: c"}}), &["headers.x-a"]),
        (json!({"url": url, "file": "x", "surprise": 1}), &["file", "surprise"]),
    ] {
        let mut found = fields(&fetch(&world, &body).await);
        found.sort();
        assert_eq!(found, expected, "{body}");
    }
    assert_eq!(fields(&upload(&world, "a.wav", b"x", Some(&json!({"url": url}))).await), ["url"]);
    assert_eq!(fields(&upload(&world, "a.wav", b"x", Some(&json!({"headers": {}}))).await), ["headers"]);
}

/// Posts parts as they are written here.
async fn parts(world: &World, parts: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (disposition, content) in parts {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        body.push_str(&(head + content + "\r\n"));
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    world.post_with("/compressor/1.0/upload", &[("content-type", &kind)], body).await
}

#[tokio::test]
async fn parts_that_are_missing_twice_there_or_unknown_are_named() {
    let world = World::start(Serve::dev()).await;
    let file = ("name=\"file\"; filename=\"a.wav\"", "x");
    let data = ("name=\"data\"", "{}");
    assert_eq!(fields(&parts(&world, &[data]).await), ["file"]);
    assert_eq!(fields(&parts(&world, &[file, file]).await), ["file"]);
    assert_eq!(fields(&parts(&world, &[data, data, file]).await), ["data"]);
    assert_eq!(fields(&parts(&world, &[file, ("name=\"options\"", "{}")]).await), ["options"]);
    let refused = parts(&world, &[("name=\"data\"", "{nonsense"), file]).await;
    assert_eq!(refused.expect(400)["error"]["code"], "malformed_request");
}

#[tokio::test]
async fn every_error_of_a_request_has_its_status_its_code_and_one_shape() {
    let world = World::start(Serve::dev().set("api.max_body_bytes", 2048)).await;
    let long = format!("{{\"url\": \"{}\"}}", "x".repeat(4096));
    let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
    let post = async |path: &str, kind: &str, body: &str| {
        world.post_with(&format!("/compressor/1.0{path}"), &[("content-type", kind)], body.to_owned()).await
    };
    let long_data = json!({"image": {"compression": "x".repeat(4096)}});
    for (answer, status, code) in [
        (post("/fetch", "text/plain", "{}").await, 415, "unsupported_media_type"),
        (post("/upload", "application/json", "{}").await, 415, "unsupported_media_type"),
        (post("/fetch", "application/json", "{").await, 400, "malformed_request"),
        (post("/fetch", "application/json", &long).await, 413, "too_large"),
        (upload(&world, "a.wav", b"x", Some(&long_data)).await, 413, "too_large"),
        (post("/upload", &multipart, "nonsense").await, 400, "malformed_request"),
        (world.get("/compressor/1.0/upload").await, 405, "method_not_allowed"),
        (world.get("/compressor/2.0/account").await, 404, "not_found"),
        (world.get("/compressor/1765712100/0f6c3a52-8d7e-4a0b-9a55-0c6f0f1c2d3e/x").await, 403, "link_not_valid"),
        (world.get_with("/compressor/1.0/account", &[("authorization", "Bearer rh_x")]).await, 401, "unauthorized"),
    ] {
        let error = answer.expect(status);
        assert_eq!((&error["success"], &error["error"]["code"]), (&json!(false), &json!(code)), "{error}");
        assert!(error["error"]["message"].is_string() && error["error"]["request_id"].is_string(), "{error}");
        assert_eq!(answer.headers["content-type"], "application/json");
        let keys: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["error", "success"], "no id and no status where there is no job");
    }
}
