//! Inputs that are damaged, hostile or oddly named.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use reelhook_media::{Damage, MediaError};
use serde_json::json;

use crate::clips::{ffmpeg, numbered, usual};
use crate::rig::{Rig, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_fast_start_mp4_is_never_done() {
    let rig = Rig::new().await;
    let (whole, cut) = (rig.clip("whole.mp4"), rig.clip("cut.mp4"));
    usual(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    for value in [
        json!({"recipe": "compress"}),
        json!({"recipe": "web_ready"}),
        json!({"recipe": "extract_audio"}),
        json!({"recipe": "trim", "end_seconds": 0.2}),
        json!({"recipe": "thumbnail"}),
    ] {
        assert_eq!(rig.fail(&cut, value).await.code, "input_truncated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_can_be_salvaged() {
    let rig = Rig::new().await;
    let (whole, cut) = (rig.clip("whole.mp4"), rig.clip("cut.mp4"));
    usual(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    let made = rig.make_all(&cut, &[json!({"recipe": "compress"})], Damage::Salvage).await.unwrap();
    let lost = made[0].receipt.lost_seconds.expect("something was lost");
    assert!((0.2..1.8).contains(&lost), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mp4_without_its_index_is_truncated() {
    let rig = Rig::new().await;
    let (whole, cut) = (rig.clip("whole.mp4"), rig.clip("cut.mp4"));
    numbered(&whole, "libx264 -preset ultrafast", "-c:a aac");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    assert_eq!(rig.fail(&cut, json!({"recipe": "compress"})).await.code, "input_truncated");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_containers_that_end_early_are_noticed() {
    let rig = Rig::new().await;
    for (name, video, more) in [
        ("clip.mkv", "libx264 -preset ultrafast", "-c:a aac"),
        ("clip.webm", "libvpx-vp9 -deadline realtime -cpu-used 8", "-c:a libopus"),
        ("clip.avi", "mpeg4", "-c:a libmp3lame"),
    ] {
        let (whole, cut) = (rig.clip(name), rig.clip(&format!("cut-{name}")));
        numbered(&whole, video, more);
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
        assert_eq!(rig.fail(&cut, json!({"recipe": "compress"})).await.code, "input_truncated", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_fail_the_job() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    let busy = "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -c:v libx264 -preset veryfast -movflags +faststart {}";
    ffmpeg(busy, &[&input]);
    let bytes = std::fs::read(&input).unwrap();
    let media = bytes.windows(4).position(|kind| kind == b"mdat").unwrap() + 2000;
    for seed in 1..4_usize {
        let mut flipped = bytes.clone();
        for n in 0..8 {
            let at = media + (seed * 7919 + n * 104_729) % (bytes.len() - media);
            flipped[at] ^= 0x55;
        }
        let path = rig.clip("flipped.mp4");
        std::fs::write(&path, flipped).unwrap();
        let failure = rig.fail(&path, json!({"recipe": "compress", "crf": 40})).await;
        assert_eq!(failure.code, "input_damaged", "{seed}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_media_is_rejected_whatever_its_name() {
    let rig = Rig::new().await;
    let secret = rig.clip("secret.txt");
    std::fs::write(&secret, "the secret").unwrap();
    let cases = [
        (String::new(), "empty_file"),
        (format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n", secret.display()), "unsupported_media"),
        (format!("ffconcat version 1.0\nfile '{}'\n", secret.display()), "unsupported_media"),
        ("<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>".to_owned(), "unsupported_media"),
        ("<!DOCTYPE html><html><body>404</body></html>".to_owned(), "unsupported_media"),
        ("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 1 RTP/AVP 96\n".to_owned(), "unsupported_media"),
    ];
    for (text, code) in cases {
        let input = rig.clip("clip.mp4");
        std::fs::write(&input, &text).unwrap();
        let Err(MediaError::Rejected(failure)) = rig.probe(&input).await else { panic!("{text} is taken") };
        assert_eq!(failure.code, code, "{text}");
        assert!(!failure.message.contains('/'), "{}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_behind_a_good_beginning_fails() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    let noise: Vec<u8> = (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for head in [
        &b"\x1A\x45\xDF\xA3\x9F\x42\x82\x84webm"[..],
        b"OggS\0\x02",
        b"\0\0\0\x18ftypisom\0\0\0\0isomiso2",
        b"RIFF\xF0\0\0\0AVI ",
    ] {
        std::fs::write(&input, [head, &noise].concat()).unwrap();
        let error = rig.probe(&input).await.err().unwrap_or_else(|| panic!("{head:?} is taken"));
        assert!(error.failure().is_some(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_without_a_picture_or_without_sound_are_refused_where_it_matters() {
    let rig = Rig::new().await;
    let (sound, silent) = (rig.clip("sound.m4a"), rig.clip("silent.mp4"));
    ffmpeg("-f lavfi -i sine=d=1 -c:a aac {}", &[&sound]);
    ffmpeg("-f lavfi -i testsrc=s=64x64:d=1 -c:v libx264 {}", &[&silent]);
    for name in ["compress", "web_ready", "thumbnail"] {
        assert_eq!(rig.fail(&sound, json!({"recipe": name})).await.code, "no_video_stream");
    }
    assert_eq!(rig.fail(&silent, json!({"recipe": "extract_audio"})).await.code, "no_audio_stream");
    assert_eq!(rig.fail(&silent, json!({"recipe": "thumbnail", "at_seconds": 3})).await.code, "beyond_end");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_is_reached_and_named() {
    let plain = Rig::new().await;
    let input = plain.clip("in.mp4");
    usual(&input);
    let limited = |change: fn(&mut reelhook_media::Limits)| {
        let mut settings = settings();
        change(&mut settings.limits);
        Rig::with(settings)
    };
    let cases: [(Rig, &str); 4] = [
        (limited(|limits| limits.pixels = 1000).await, "57600 pixels a frame; the limit is 1000"),
        (limited(|limits| limits.frame_rate = 20.0).await, "25.00 frames per second; the limit is 20"),
        (
            limited(|limits| limits.duration = std::time::Duration::from_secs(1)).await,
            "2.0 seconds long; the limit is 1",
        ),
        (limited(|limits| limits.streams = 1).await, "2 streams; the limit is 1"),
    ];
    for (rig, words) in cases {
        let Err(MediaError::Rejected(failure)) = rig.probe(&input).await else { panic!("{words}: taken") };
        assert_eq!(failure.code, "over_limit");
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_file_names_are_only_names() {
    let rig = Rig::new().await;
    let plain = rig.clip("plain.mp4");
    usual(&plain);
    let long = format!("{}.mp4", "x".repeat(251));
    for name in
        [&b"two\nlines.mp4"[..], b"%d.mp4", b"-i.mp4", b"a b'c\"d.mp4", b"http:x.mp4", b"\xFF\xFE.mp4", long.as_bytes()]
    {
        let input = rig.clip("plain.mp4").with_file_name(OsStr::from_bytes(name));
        std::fs::copy(&plain, &input).unwrap();
        let recipes = [json!({"recipe": "thumbnail", "width": 32}), json!({"recipe": "extract_audio"})];
        let made = rig.make_all(&input, &recipes, Damage::Strict).await;
        assert!(made.is_ok(), "{}: {:?}", String::from_utf8_lossy(name), made.err());
    }
}
