//! Round trips: our own results as inputs come out right.

use std::fs;

use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::{ffmpeg, near, numbered, numbers, picture};
use crate::rig::Rig;

const KIND: &str = "round trip of our own results";

#[tokio::test(flavor = "multi_thread")]
async fn a_transparent_webm_of_ours_stays_transparent() {
    let rig = Rig::new().await;
    let (first, second) = (rig.clip("first.webm"), rig.clip("second.mkv"));
    let made = rig.make(&field("al_pr4444.mov"), json!({"recipe": "convert", "format": "webm"})).await.expect("made");
    fs::copy(&made.path, &first).expect("a file");
    let made = rig.make(&first, json!({"recipe": "convert", "format": "mkv", "codec": "vp9"})).await.expect("made");
    fs::copy(&made.path, &second).expect("a file");
    let made = rig.make(&second, json!({"recipe": "thumbnail", "format": "png"})).await.expect("made");
    let [before, after] = [&field("al_pr4444.mov"), &made.path].map(|path| picture(path, 0.0));
    let places = [(0.1, 0.1), (0.3, 0.5), (0.5, 0.5), (0.7, 0.5), (0.9, 0.9)];
    let alphas = |shown: &crate::clips::Shown| places.map(|place| shown.at(place)[3]);
    let (was, is) = (alphas(&before), alphas(&after));
    let holds = was.iter().zip(is).all(|(&was, is)| was.abs_diff(is) < 24);
    verdict(KIND, "ProRes 4444 to webm to mkv to png", format!("alpha {was:?}"), format!("alpha {is:?}"), holds);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_that_was_removed_stays_away() {
    let rig = Rig::new().await;
    let (screen, cut) = (rig.clip("screen.mp4"), rig.clip("cut.webm"));
    ffmpeg(
        "-f lavfi -i color=0x00b140:s=320x180:r=25:d=1,drawbox=x=110:y=40:w=100:h=100:color=0xd0a080:t=fill -c:v libx264 -pix_fmt yuv420p {}",
        &[&screen],
    );
    let made = rig.make(&screen, json!({"recipe": "remove_background", "key_color": "#00b140"})).await.expect("made");
    fs::copy(&made.path, &cut).expect("a file");
    let made = rig.make(&cut, json!({"recipe": "convert", "format": "mp4"})).await.expect("made");
    let shown = picture(&made.path, 0.2);
    let (ground, subject) = (shown.at((0.1, 0.1)), shown.at((0.5, 0.5)));
    verdict(
        KIND,
        "a green screen to transparent webm to mp4",
        "the subject on black",
        format!("{subject:?} on {ground:?}"),
        near(ground, [0, 0, 0], 12) && near(subject, [0xd0, 0xa0, 0x80], 24),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_a_playlist_of_ours_are_a_video_again() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    numbered(&input, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac");
    for segments in ["fmp4", "ts"] {
        let recipe = json!({
            "recipe": "package", "type": "hls", "segment_format": segments, "segment_seconds": 1,
            "video": [{"height": 180, "quality": "economy"}],
        });
        let made = rig.make(&input, recipe).await.expect("made");
        let playlist = made.receipt.parts.iter().find(|part| part.path.starts_with("h264")).expect("a playlist");
        let text = fs::read_to_string(&playlist.file).expect("a playlist");
        let header = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"'));
        let names = header.into_iter().chain(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')));
        let bytes: Vec<u8> =
            names.flat_map(|name| fs::read(made.path.with_file_name(name)).expect("a segment")).collect();
        let joined = rig.clip(&format!("joined.{segments}"));
        fs::write(&joined, bytes).expect("a file");
        let again = rig.make(&joined, json!({"recipe": "convert", "format": "mp4"})).await;
        let again = again.unwrap_or_else(|error| panic!("{segments}: {error:?}"));
        let (was, is) = (numbers(&input), numbers(&again.path));
        verdict(
            KIND,
            format!("segments ({segments}) of an HLS playlist, joined, to mp4"),
            format!("frames 0 to {}", was.len() - 1),
            format!("{} frames", is.len()),
            was == is,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_ours_is_a_video_again() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    numbered(&input, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac");
    let recipe = json!({"recipe": "preview", "format": "gif", "duration_seconds": 1, "segments": 1});
    let made = rig.make(&input, recipe).await.expect("made");
    let gif = rig.clip("preview.gif");
    fs::copy(&made.path, &gif).expect("a file");
    let again = rig.make(&gif, json!({"recipe": "convert", "format": "mp4"})).await.expect("made");
    let (was, is) = (numbers(&gif), numbers(&again.path));
    verdict(KIND, "a preview as gif to mp4", format!("{was:?}"), format!("{is:?}"), was == is && was.len() >= 8);
}
