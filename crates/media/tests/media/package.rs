//! `package` from end to end: what players get is joined, played and counted by means of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reelhook_media::Damage;
use serde_json::json;

use crate::clips::{numbered, numbers, told, usual};
use crate::rig::{Made, Rig};

/// The lines of a playlist that are names.
fn named(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The text of a file of a package.
fn text(made: &Made, name: &str) -> String {
    fs::read_to_string(made.path.with_file_name(name)).expect("a file of the package")
}

/// The name of the file that a playlist begins with.
fn header(playlist: &str) -> Option<&str> {
    playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"'))
}

/// Some files as one.
fn joined(rig: &Rig, made: &Made, names: &[&str]) -> PathBuf {
    let bytes: Vec<u8> =
        names.iter().flat_map(|name| fs::read(made.path.with_file_name(name)).expect("a file")).collect();
    let path = rig.clip("joined");
    fs::write(&path, bytes).expect("a file");
    path
}

/// The numbers of the frames of each segment, each opened by itself.
fn frames(rig: &Rig, made: &Made, name: &str) -> Vec<Vec<u32>> {
    let playlist = text(made, &format!("{name}.m3u8"));
    let alone = |segment: &str| {
        let names: Vec<_> = header(&playlist).into_iter().chain([segment]).collect();
        numbers(&joined(rig, made, &names))
    };
    named(&playlist).into_iter().map(alone).collect()
}

fn paths(made: &Made) -> Vec<&str> {
    made.receipt.parts.iter().map(|part| part.path.as_str()).collect()
}

fn attributes(master: &str, playlist: &str) -> BTreeMap<String, String> {
    let lines: Vec<_> = master.lines().collect();
    let place = lines.iter().position(|line| *line == playlist).expect("the master names it");
    let line = lines[place - 1].strip_prefix("#EXT-X-STREAM-INF:").expect("a variant");
    let pair =
        |text: &str| text.split_once('=').map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
    line.replace(",mp4a", "+mp4a").split(',').filter_map(pair).collect()
}

fn two_seconds() -> Vec<u32> {
    (0..50).collect()
}

fn is_clean(path: &Path) -> bool {
    !fs::read_to_string(path).expect("a text").contains("file:")
}

#[tokio::test(flavor = "multi_thread")]
async fn adaptive_renditions_share_segments_that_begin_with_key_frames_at_the_same_times() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let value = json!({"recipe": "package", "type": "adaptive", "segment_seconds": 1, "video": [
        {"codec": "h264", "resolution": "1080p", "quality": "economy"},
        {"codec": "h264", "width": 160, "quality": "economy"},
        {"codec": "h265", "width": 160, "quality": "economy"},
        {"codec": "h264", "resolution": "720p", "quality": "economy"},
    ]});
    let made = rig.make(&input, value).await.expect("a package");
    assert_eq!(made.path.file_name().unwrap(), "master.m3u8");
    let halves = vec![two_seconds()[..25].to_vec(), two_seconds()[25..].to_vec()];
    for (name, codecs, size) in
        [("h264_180p", "avc1.", "320x180"), ("h264_90p", "avc1.", "160x90"), ("h265_90p", "hvc1.1.6.L", "160x90")]
    {
        assert_eq!(frames(&rig, &made, name), halves, "{name}");
        let variant = attributes(&text(&made, "master.m3u8"), &format!("{name}.m3u8"));
        assert!(variant["CODECS"].starts_with(codecs) && variant["CODECS"].ends_with("+mp4a.40.2"), "{variant:?}");
        assert_eq!((&*variant["RESOLUTION"], &*variant["FRAME-RATE"], &*variant["AUDIO"]), (size, "25.000", "audio"));
        let (peak, mean): (u64, u64) =
            (variant["BANDWIDTH"].parse().unwrap(), variant["AVERAGE-BANDWIDTH"].parse().unwrap());
        assert!(peak >= mean && mean > 50_000, "{variant:?}");
        let playlist = text(&made, &format!("{name}.m3u8"));
        for line in ["#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXTINF:1.000000,", "#EXT-X-ENDLIST"] {
            assert!(playlist.contains(line), "{line} in {playlist}");
        }
        assert!(is_clean(&made.path.with_file_name(format!("{name}.m3u8"))));
    }
    let dropped: Vec<_> = made.product.streams.iter().filter(|stream| stream.action == "drop").collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].reason, "h264 720p is above the source; 320x180 is there already");
    assert!(paths(&made).contains(&"manifest.mpd") && paths(&made).contains(&"audio.m3u8"));
    assert_eq!(paths(&made).iter().filter(|path| path.starts_with("init-")).count(), 4, "the sound is there once");
    let info = &made.receipt.info;
    assert_eq!((info.format.as_str(), info.streams), ("hls", 4));
    assert_eq!(info.audio.as_ref().map(|audio| audio.codec.as_str()), Some("aac"));
    assert_eq!(numbers(&made.path), two_seconds());
    assert_eq!(numbers(&made.path.with_file_name("manifest.mpd")), two_seconds());
    assert!(!text(&made, "manifest.mpd").contains("bitstreamSwitching"));
}

#[tokio::test(flavor = "multi_thread")]
async fn transport_streams_are_cut_alike_and_named_plainly() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    usual(&input);
    let value = json!({"recipe": "package", "type": "hls", "segment_format": "ts", "segment_seconds": 1, "video": [
        {"codec": "h264", "width": 160, "quality": "economy"},
        {"codec": "h265", "quality": "economy", "frame_rate": 12.5},
    ]});
    let made = rig.make(&input, value).await.expect("a package");
    assert_eq!(frames(&rig, &made, "h264_90p").concat(), two_seconds());
    assert_eq!(named(&text(&made, "h264_90p.m3u8")).len(), 2);
    assert!(paths(&made).iter().all(|path| path.ends_with(".ts") || path.ends_with(".m3u8")), "{:?}", paths(&made));
    for path in paths(&made).iter().filter(|path| path.ends_with(".m3u8")).chain([&"master.m3u8"]) {
        assert!(is_clean(&made.path.with_file_name(path)), "{path}");
    }
    assert!(attributes(&text(&made, "master.m3u8"), "h265_180p.m3u8")["CODECS"].starts_with("hvc1.1.6.L"));
    assert_eq!(numbers(&made.path).len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn dash_alone_has_no_playlists_and_takes_every_codec_and_no_sound() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    numbered(&input, "libx264 -preset ultrafast -pix_fmt yuv420p", "-an -f mp4");
    let value = json!({"recipe": "package", "type": "dash", "segment_seconds": 1, "video": [
        {"codec": "vp9", "width": 160, "quality": "economy"},
        {"codec": "av1", "width": 160, "quality": "economy"},
    ]});
    let made = rig.make_all(&input, &[value], Damage::Strict).await.expect("a package").remove(0);
    assert_eq!(made.path.file_name().unwrap(), "manifest.mpd");
    assert!(paths(&made).iter().all(|path| path.ends_with(".mp4") || path.ends_with(".m4s")), "{:?}", paths(&made));
    for number in 0..2 {
        let start = format!("init-{number}.mp4");
        for (part, expected) in [(1, 0..25), (2, 25..50)] {
            let file = joined(&rig, &made, &[&start, &format!("seg-{number}-{part:05}.m4s")]);
            assert_eq!(numbers(&file), expected.collect::<Vec<u32>>(), "{number}");
            assert_eq!(told(&file, "width"), "160");
        }
    }
    let manifest = text(&made, "manifest.mpd");
    for words in ["codecs=\"vp09.", "codecs=\"av01.", "type=\"static\"", "maxSegmentDuration=\"PT1.0"] {
        assert!(manifest.contains(words), "{words} in {manifest}");
    }
}
