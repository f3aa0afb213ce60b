//! A player: follows what it is given to every file, and plays it with the machine's ffmpeg.

use std::fs;
use std::path::Path;

use url::Url;

use crate::world::World;

/// Fetches a playlist and all that it names, without a key, into `folder` under the names by which the files name each
/// other; gives the names.
pub(crate) async fn fetch(world: &World, playlist: &Url, folder: &Path) -> Vec<String> {
    let (mut open, mut seen) = (vec![playlist.clone()], Vec::new());
    while let Some(url) = open.pop() {
        let answer = world.get_as_stranger(url.clone(), &[]).await;
        assert_eq!(answer.status, 200, "{url}");
        let name = url.path().rsplit('/').next().expect("a name").to_owned();
        fs::write(folder.join(&name), &answer.body).expect("a file");
        if name.ends_with(".m3u8") {
            let text = String::from_utf8(answer.body.to_vec()).expect("a playlist is text");
            open.extend(named(&text).map(|path| url.join(path).expect("a path")));
        }
        seen.push(name);
    }
    seen
}

/// What a playlist names. Source: RFC 8216 section 4.1, for lines; 4.3.2.5 and 4.3.4.1, for attributes.
fn named(playlist: &str) -> impl Iterator<Item = &str> {
    let plain = playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    plain.chain(playlist.lines().filter_map(|line| line.split("URI=\"").nth(1)?.split('"').next()))
}

/// Plays a file to its end, as strictly as the tool can.
pub(crate) async fn play(file: &Path) {
    #[expect(clippy::disallowed_methods, reason = "the player is no child of a job")]
    let mut player = tokio::process::Command::new("ffmpeg");
    player.args(["-nostdin", "-v", "error", "-xerror", "-i"]).arg(file).args(["-f", "null", "-"]);
    let played = player.output().await.expect("the player starts");
    assert!(played.status.success() && played.stderr.is_empty(), "{}", String::from_utf8_lossy(&played.stderr));
}

/// What the machine's ffprobe says of a file: codec, width and height of each picture stream, and the seconds it lasts.
pub(crate) async fn probe(file: &Path) -> (Vec<String>, f64) {
    #[expect(clippy::disallowed_methods, reason = "the prober is no child of a job")]
    let mut prober = tokio::process::Command::new("ffprobe");
    prober.args(["-v", "error", "-of", "json", "-show_streams", "-show_format"]).arg(file);
    let probed = prober.output().await.expect("the prober starts");
    assert!(probed.status.success() && probed.stderr.is_empty(), "{}", String::from_utf8_lossy(&probed.stderr));
    let report: serde_json::Value = serde_json::from_slice(&probed.stdout).expect("a report is JSON");
    let streams = report["streams"].as_array().expect("streams").iter();
    let picture = |stream: &serde_json::Value| {
        format!("{} {}x{}", stream["codec_name"].as_str().unwrap_or("?"), stream["width"], stream["height"])
    };
    let mut pictures: Vec<_> = streams.filter(|stream| stream["codec_type"] == "video").map(picture).collect();
    pictures.sort();
    let seconds = report["format"]["duration"].as_str().and_then(|text| text.parse().ok());
    (pictures, seconds.unwrap_or_default())
}
