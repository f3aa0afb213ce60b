//! A package as a player sees it: from one link to all of its files.

use reelhook_testkit::clips::{self, Clip};
use serde_json::json;
use url::Url;

use crate::player;
use crate::world::{Serve, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_player_follows_a_package_from_its_link_to_every_segment_without_a_key() {
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let output = json!({"recipe": "package", "type": "adaptive", "segment_seconds": 1, "video": [
        {"width": 160, "quality": "economy"}, {"width": 64, "quality": "economy"},
    ]});
    let job = json!({"input": {"upload": upload}, "outputs": [output]});
    let job = world.job_ended(&world.submit(&job).await, "completed").await;
    let file = &job["outputs"][0]["file"];
    assert_eq!((&file["name"], &file["mime_type"]), (&json!("master.m3u8"), &json!("application/vnd.apple.mpegurl")));
    let link: Url = file["url"].as_str().expect("a link").parse().expect("a URL");
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = player::fetch(&world, &link, folder.path()).await;
    let parts = file["parts"].as_array().expect("a package has parts");
    let mut listed: Vec<_> = parts.iter().map(|part| part["path"].as_str().expect("a path").to_owned()).collect();
    assert!(listed.contains(&"manifest.mpd".to_owned()));
    listed.retain(|path| path != "manifest.mpd");
    listed.push("master.m3u8".to_owned());
    listed.sort();
    seen.sort();
    assert_eq!(seen, listed, "the playlists name all that there is");
    world.get_as_stranger(link.join("nothing.m4s").expect("a path"), &[]).await.expect(404);
    for part in parts {
        let url: Url = part["url"].as_str().expect("a link").parse().expect("a URL");
        let answer = world.get_as_stranger(url, &[("range", "bytes=0-0")]).await;
        assert_eq!(answer.headers["content-range"], format!("bytes 0-0/{}", part["size_bytes"]), "{part}");
    }
    player::play(&folder.path().join("master.m3u8")).await;
}
