//! Pictures through the whole program: what goes in, what comes out, and what is refused.

use bytes::Bytes;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

use crate::world::{Serve, World};

/// The bytes of an output, by its signed link.
async fn download(world: &World, output: &Value) -> Bytes {
    let link = output["file"]["url"].as_str().expect("a file has a link").parse().expect("a link is a URL");
    let answer = world.get_as_stranger(link, &[]).await;
    assert_eq!(
        (answer.status, answer.headers["content-type"].to_str().ok()),
        (200, output["file"]["mime_type"].as_str())
    );
    answer.body
}

async fn made(world: &World, name: &str, bytes: impl Into<Bytes>, outputs: Value) -> Value {
    let upload = world.upload(name, bytes).await;
    let id = world.submit(&json!({"input": {"upload": upload}, "outputs": outputs})).await;
    let job = world.job_ended(&id, "completed").await;
    world.check_outputs(&job).await;
    job
}

/// A JPEG as a camera would send it: large for what it shows, and it tells where it was taken.
async fn photograph(world: &World) -> Bytes {
    let still = made(world, "clip.mp4", clips::bytes(Clip::Video), json!([{"recipe": "thumbnail"}])).await;
    let jpeg = download(world, &still["outputs"][0]).await;
    let told = b"Exif\0\0taken at 47.3769 N, 8.5417 E";
    let length = (told.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, told, &jpeg[2..]].concat().into()
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photograph_becomes_smaller_in_each_format_and_tells_nothing() {
    let world = World::start(Serve::dev()).await;
    let photograph = photograph(&world).await;
    assert!(has(&photograph, b"47.3769"));
    let outputs = json!([
        {"name": "same", "recipe": "image", "level": "ultra"},
        {"name": "web", "recipe": "image", "format": "webp", "level": "high"},
        {"name": "new", "recipe": "image", "format": "avif", "level": "high"},
        {"name": "exact", "recipe": "image", "format": "png", "level": "medium"},
        {"name": "small", "recipe": "image", "format": "jpg", "level": "high", "width": 80},
    ]);
    let job = made(&world, "holiday.jpg", photograph.clone(), outputs).await;
    assert_eq!(job["input"]["media"]["format"], "jpg");
    let width = job["input"]["media"]["video"]["width"].as_u64();
    let starts: [&[u8]; 5] = [b"\xFF\xD8\xFF", b"RIFF", b"\0\0\0", b"\x89PNG", b"\xFF\xD8\xFF"];
    let expected = [
        ("same.jpg", "image/jpeg"),
        ("web.webp", "image/webp"),
        ("new.avif", "image/avif"),
        ("exact.png", "image/png"),
        ("small.jpg", "image/jpeg"),
    ];
    for (number, (start, (name, kind))) in starts.into_iter().zip(expected).enumerate() {
        let output = &job["outputs"][number];
        let file = &output["file"];
        assert_eq!((&file["name"], &file["mime_type"]), (&json!(name), &json!(kind)));
        let bytes = download(&world, output).await;
        assert!(bytes.starts_with(start), "{name}");
        assert!(!has(&bytes, b"47.3769"), "{name} tells where it was taken");
        // What a JPEG lost cannot be packed exactly into fewer bytes; all others are smaller.
        assert!(name == "exact.png" || bytes.len() < photograph.len(), "{name}: {} bytes", bytes.len());
        assert_eq!(output["receipt"]["source_bytes"], photograph.len());
        let shown = file["media"]["video"]["width"].as_u64();
        assert_eq!(shown, if name == "small.jpg" { Some(80) } else { width }, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_cannot_become_smaller_is_kept_without_its_metadata() {
    let world = World::start(Serve::dev()).await;
    let mut bytes = photograph(&world).await;
    let smaller = json!([{"recipe": "image", "level": "ultra"}]);
    for _ in 0..12 {
        let job = made(&world, "again.jpg", bytes.clone(), smaller.clone()).await;
        let output = download(&world, &job["outputs"][0]).await;
        if job["outputs"][0]["plan"][0]["action"] == "keep" {
            assert_eq!(output, bytes);
            break;
        }
        bytes = output;
    }
    let told = [&bytes[..2], b"\xFF\xFE\x00\x09private", &bytes[2..]].concat();
    let job = made(&world, "told.jpg", told, smaller).await;
    assert_eq!(job["outputs"][0]["plan"][0]["action"], "keep", "{:#}", job["outputs"][0]["plan"]);
    assert_eq!(download(&world, &job["outputs"][0]).await, bytes);
}

/// The header of a PNG of that size; nobody gets to the pixels.
fn giant(side: u32) -> Vec<u8> {
    let mut bytes = clips::bytes(Clip::Picture);
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    let shifted = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    let sum = !bytes[12..29].iter().fold(!0_u32, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), shifted));
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_30000_x_30000_is_rejected_by_its_header() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("giant.png", giant(30_000)).await;
    let id = world.submit(&json!({"input": {"upload": upload}, "outputs": [{"recipe": "image"}]})).await;
    let job = world.job_ended(&id, "rejected").await;
    let error = &job["error"];
    assert_eq!((&error["code"], &error["fault"]), (&json!("too_many_pixels"), &json!("input")));
    let message = error["message"].as_str().expect("an error has a message");
    assert!(message.contains("30000 x 30000"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_makes_a_smaller_picture_and_a_thumbnail() {
    let world = World::start(Serve::dev()).await;
    let outputs = json!([{"recipe": "image"}, {"recipe": "thumbnail", "width": 64}]);
    let job = made(&world, "logo.png", clips::bytes(Clip::Picture), outputs).await;
    let shown = |number: usize| {
        let file = &job["outputs"][number]["file"];
        (file["name"].as_str(), file["media"]["video"]["width"].as_u64())
    };
    assert_eq!((shown(0), shown(1)), ((Some("image.png"), Some(320)), (Some("thumbnail.jpg"), Some(64))));
}
