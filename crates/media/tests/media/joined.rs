//! `concat` from end to end: order, frames, sound and lengths at every joint.

use std::path::{Path, PathBuf};

use reelhook_domain::recipe::Format;
use serde_json::json;

use crate::clips::{ffmpeg, numbers, times, told, usual};
use crate::rig::Rig;

#[allow(clippy::too_many_arguments, reason = "what differs between the clips stands in each call, in one line")]
/// A clip whose frames are numbered from `first`, with options for its picture and its sound.
fn clip(rig: &Rig, name: &str, first: u32, frames: u32, size: &str, rate: u32, video: &str, more: &str) -> PathBuf {
    let path = rig.clip(name);
    let bars = format!("geq=lum=16+219*gt(bitand(N+{first}\\,pow(2\\,15-floor(X*16/W)))\\,0):cb=128:cr=128");
    let seconds = f64::from(frames) / f64::from(rate);
    let picture = format!("color=black:s={size}:r={rate}:d={seconds},format=yuv420p,{bars}");
    let sound = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    ffmpeg(&format!("-f lavfi -i {picture} -f lavfi -i {sound} -c:v {video} {more} {{}}"), &[&path]);
    path
}

const H264: &str = "libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p";
const AAC: &str = "-c:a aac -f mp4";

/// Seconds of sound, counted in decoded samples.
fn heard(path: &Path) -> f64 {
    let samples = ffmpeg("-i {} -map 0:a -ac 1 -ar 48000 -f s16le -", &[path]).stdout.len() / 2;
    samples as f64 / 48_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_that_are_alike_are_copied_in_order_and_the_sound_does_not_drift() {
    let rig = Rig::new().await;
    let mut clips = Vec::new();
    for number in 0..6 {
        // Of odd lengths, so that no packet of sound ends with the picture.
        clips.push(clip(&rig, &format!("it's {number}.mp4"), number * 33, 33, "320x180", 25, H264, AAC));
    }
    let inputs: Vec<_> = clips.iter().map(PathBuf::as_path).collect();
    let made = rig.join(&inputs, json!({"recipe": "concat"})).await.expect("joined");
    assert_eq!((&*made.product.streams[0].action, &*made.product.streams[1].action), ("copy", "encode"));
    assert_eq!(numbers(&made.path), (0..198).collect::<Vec<_>>());
    let shown = times(&made.path, "packet=pts_time");
    assert!(shown.iter().enumerate().all(|(frame, at)| (at - frame as f64 * 0.04).abs() < 0.001), "{shown:?}");
    assert!((heard(&made.path) - 198.0 * 0.04).abs() < 0.03, "{}", heard(&made.path));
    // And in another order.
    let turned: Vec<_> = inputs.iter().rev().copied().collect();
    let made = rig.join(&turned, json!({"recipe": "concat", "format": "mkv"})).await.expect("joined");
    assert_eq!(numbers(&made.path)[..34], [(165..198).collect::<Vec<_>>(), vec![132]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_that_differ_are_brought_to_the_shape_of_the_first() {
    let rig = Rig::new().await;
    let first = clip(&rig, "a.mp4", 0, 30, "320x180", 25, H264, AAC);
    let small =
        clip(&rig, "b.webm", 30, 20, "160x90", 25, "libvpx-vp9 -deadline realtime -cpu-used 8", "-c:a libopus -f webm");
    let silent = clip(&rig, "c.mp4", 50, 60, "320x180", 50, H264, "-an -f mp4");
    let last = clip(&rig, "d.mp4", 200, 10, "320x180", 25, H264, AAC);
    let value = json!({"recipe": "concat", "quality": "economy"});
    let made = rig.join(&[&first, &small, &silent, &last], value).await.expect("joined");
    let numbers = numbers(&made.path);
    assert_eq!(numbers.len(), 30 + 20 + 30 + 10);
    assert_eq!(numbers[..50], (0..50).collect::<Vec<_>>());
    // Every second of the fifty a second, in order.
    assert!(numbers[50..80].windows(2).all(|pair| pair[1] - pair[0] == 2), "{numbers:?}");
    assert_eq!(numbers[80..], (200..210).collect::<Vec<_>>());
    assert_eq!((told(&made.path, "width"), told(&made.path, "height")), ("320".to_owned(), "180".to_owned()));
    assert!((heard(&made.path) - 3.6).abs() < 0.03, "{}", heard(&made.path));
    assert!(made.product.streams[1].reason.contains("silence for input 3"), "{:?}", made.product.streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_of_another_shape_gets_bars() {
    let rig = Rig::new().await;
    let first = clip(&rig, "a.mp4", 0, 5, "320x180", 25, H264, "-an -f mp4");
    let tall = clip(&rig, "b.mp4", 65520, 5, "90x160", 25, H264, "-an -f mp4");
    let made = rig.join(&[&first, &tall], json!({"recipe": "concat", "codec": "h264"})).await.expect("joined");
    let grey =
        ffmpeg("-i {} -vf select=eq(n\\,8),scale=32:1:flags=area,format=gray -frames:v 1 -f rawvideo -", &[&made.path]);
    let row = grey.stdout;
    assert!(row[0] < 40 && row[31] < 40 && row[14] > 200, "{row:?}");
    assert_eq!(made.receipt.info.video.as_ref().and_then(|video| video.frames), Some(10));
    assert!(made.receipt.info.audio.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sounds_are_joined_to_the_length_of_all() {
    let rig = Rig::new().await;
    let (video, wave) = (rig.clip("a.mp4"), rig.clip("b.wav"));
    usual(&video);
    ffmpeg("-f lavfi -i sine=300:r=44100:d=1.5 -c:a pcm_s16le -f wav {}", &[&wave]);
    for format in ["mp3", "aac", "wav", "flac", "opus"] {
        let made = rig.join(&[&video, &wave, &wave], json!({"recipe": "concat", "format": format})).await;
        let made = made.unwrap_or_else(|error| panic!("{format}: {error:?}"));
        assert_eq!(made.product.format, Format::from_word(format).expect("a format"));
        assert!((heard(&made.path) - 5.0).abs() < 0.1, "{format}: {}", heard(&made.path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_joined_is_refused_by_its_number() {
    let rig = Rig::new().await;
    let (video, wave) = (rig.clip("a.mp4"), rig.clip("b.wav"));
    usual(&video);
    ffmpeg("-f lavfi -i sine=300:d=1 -f wav {}", &[&wave]);
    let refused = async |inputs: &[&Path]| match rig.join(inputs, json!({"recipe": "concat"})).await {
        Err(error) => error.failure().expect("a failure of the job").clone(),
        Ok(made) => panic!("made {:?}", made.receipt),
    };
    let failure = refused(&[&video, &wave]).await;
    assert_eq!((&*failure.code, &*failure.message), ("no_video_stream", "input 2 has no video stream"));
    assert_eq!(refused(&[&video]).await.code, "too_few_inputs");
}
