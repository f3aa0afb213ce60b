//! Streams: ladders that are made, followed from their playlist to every segment, and played.

use std::fs;
use std::path::Path;

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver};
use serde_json::{Value, json};
use url::Url;

use super::{ORIGINS, account_secret, call, h264, id, told};
use crate::player;
use crate::s3_server::{KEY, S3Server, SECRET};
use crate::world::{Serve, World};

fn rendition(codec: &str, width: u32, height: u32) -> Value {
    json!({"codec": codec, "width": width, "height": height, "quality": "economy"})
}

fn link(output: &Value) -> Url {
    output["output_url"].as_str().expect("an output has a URL").parse().expect("a link is a URL")
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_dash_and_adaptive_ladders_are_made_and_play_from_their_links() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let segments = json!({"duration": 1, "gop_alignment": "aligned"});
    let create = json!({
        "input_url": input, "webhook_url": receiver.url("/hook"),
        "outputs": [
            {"type": "hls", "video": [rendition("h264", 256, 144), rendition("h264", 160, 128)], "segments": segments,
                "hls": {"manifest": "master.m3u8", "segment_format": "ts", "playlist_type": "vod"}},
            {"type": "dash", "video": [h264("480p", "economy"), rendition("vp9", 160, 128)], "segments": segments,
                "dash": {"manifest": "manifest.mpd"}},
            {"type": "adaptive", "video": [rendition("h264", 256, 144), rendition("h265", 160, 128)], "segments": segments},
        ],
    });
    let job = call(&world, "Create", &create).await;
    assert_eq!(job["outputs"].as_array().map(Vec::len), Some(3), "a ladder is one output");
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.completed").await;
    let outputs = body["job"]["outputs"].as_array().expect("outputs");
    let native = world.job(id(&job)).await;

    for (place, (manifest, segment, pictures)) in [
        ("master.m3u8", ".ts", ["h264 160x90", "h264 256x144"]),
        ("manifest.mpd", ".m4s", ["h264 320x180", "vp9 160x90"]),
        ("master.m3u8", ".m4s", ["h264 256x144", "hevc 160x90"]),
    ]
    .into_iter()
    .enumerate()
    {
        let (output, file) = (&outputs[place], &native["outputs"][place]["file"]);
        assert_eq!((&output["status"], &output["duration_seconds"]), (&json!("completed"), &json!(2)), "{output:#}");
        let url = link(output);
        assert_eq!(url.path().rsplit('/').next(), Some(manifest));
        let parts = file["parts"].as_array().expect("a ladder has parts");
        let total = parts.iter().chain([file]).filter_map(|part| part["size_bytes"].as_u64()).sum::<u64>();
        assert_eq!(output["output_size_bytes"], total, "all of its files are counted");
        // One second each of two seconds, in two renditions at the least.
        let count =
            parts.iter().filter(|part| part["path"].as_str().is_some_and(|path| path.ends_with(segment))).count();
        assert!(count >= 4, "{parts:#?}");

        let folder = tempfile::tempdir().expect("a folder");
        if manifest.ends_with(".m3u8") {
            let seen = player::fetch(&world, &url, folder.path()).await;
            assert!(seen.iter().filter(|name| name.ends_with(segment)).count() >= 4, "{seen:?}");
        } else {
            for path in parts.iter().filter_map(|part| part["path"].as_str()).chain([manifest]) {
                let answer = world.get_as_stranger(url.join(path).expect("a path"), &[]).await;
                assert_eq!(answer.status, 200, "{path}");
                fs::write(folder.path().join(path), &answer.body).expect("a file");
            }
        }
        let (found, seconds) = player::probe(&folder.path().join(manifest)).await;
        assert_eq!(found, pictures);
        assert!((seconds - 2.0).abs() < 0.2, "{seconds}");
        player::play(&folder.path().join(manifest)).await;
        if place == 2 {
            let dash = world.get_as_stranger(url.join("manifest.mpd").expect("a path"), &[]).await;
            assert_eq!(dash.status, 200, "both manifests over the same segments");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_lands_in_a_bucket_with_every_file_that_its_playlists_name() {
    let (world, receiver, origin) = tokio::join!(World::start(Serve::dev()), Receiver::start(), Origin::start());
    let server = S3Server::start().await;
    let bucket = json!({
        "name": "out", "provider": "s3", "permissions": ["read", "write"], "base_path": "videos/",
        "path_template": "{date}/{job_id}/{codec}",
        "s3": {"bucket": "media", "region": "eu-central-1", "endpoint": server.endpoint,
            "credentials": {"access_key_id": KEY, "secret_access_key": SECRET}},
    });
    let bucket = world.post(&format!("{ORIGINS}/Create"), &bucket).await.expect(200)["origin"]["id"].clone();
    let input = origin.put("/in.mp4", clips::bytes(Clip::Video), Manners::Good);
    let create = json!({
        "input_url": input, "webhook_url": receiver.url("/hook"), "output_origin_id": bucket,
        "outputs": [{"type": "adaptive", "video": [rendition("h264", 256, 144), rendition("h264", 160, 128)],
            "segments": {"duration": 1}}],
    });
    let job = call(&world, "Create", &create).await;
    let (_, body) = told(&receiver, &account_secret(&world).await, "job.completed").await;
    let day = &job["created_at"].as_str().expect("a time")[..10];
    let folder = format!("videos/{day}/{}/h264", id(&job));
    let output = &body["job"]["outputs"][0];
    assert_eq!(output["output_url"], format!("s3://media/{folder}/master.m3u8"));

    let (mut names, mut bytes) = (Vec::new(), 0);
    for entry in fs::read_dir(server.object(&folder)).expect("a folder").map(|entry| entry.expect("an entry")) {
        names.push(entry.file_name().to_string_lossy().into_owned());
        bytes += entry.metadata().expect("a file").len();
    }
    assert_eq!(bytes, output["output_size_bytes"], "{names:?}");
    assert!(["master.m3u8", "manifest.mpd"].iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    for manifest in ["master.m3u8", "manifest.mpd"] {
        let path = server.object(&folder).join(manifest);
        let (found, seconds) = player::probe(Path::new(&path)).await;
        assert_eq!((found, (seconds - 2.0).abs() < 0.2), (vec!["h264 160x90".into(), "h264 256x144".into()], true));
        player::play(&path).await;
    }
}
