//! `preview`: which frames are in it is known by their numbers, and how long each is shown is read from the file's bytes.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::ffmpeg;
use crate::rig::Rig;

const KIND: &str = "Preview";

/// Numbered frames at 10 a second.
fn long(path: &Path, seconds: u32, encode: &str) {
    let barcode = "geq=lum=16+219*gt(bitand(N\\,pow(2\\,15-floor(X*16/W)))\\,0):cb=128:cr=128";
    ffmpeg(
        &format!("-f lavfi -i color=black:s=320x180:r=10:d={seconds},format=yuv420p,{barcode} {encode} {{}}"),
        &[path],
    );
}

/// What a file of frames says of each: its milliseconds. And whether it repeats for ever.
fn delays(path: &Path) -> (Vec<u64>, bool) {
    let bytes = std::fs::read(path).expect("a file");
    if bytes.starts_with(b"GIF89a") {
        let control = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, four)| four == b"\x21\xf9\x04\x00" || (four[..3] == *b"\x21\xf9\x04"));
        let delays =
            control.map(|(at, _)| u64::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]])) * 10).collect();
        let repeats = bytes.windows(16).any(|part| part == b"NETSCAPE2.0\x03\x01\0\0\0");
        return (delays, repeats);
    }
    let (mut delays, mut repeats, mut at) = (Vec::new(), false, 12);
    while at + 8 <= bytes.len() {
        let size = u32::from_le_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]) as usize;
        let body = &bytes[at + 8..];
        match &bytes[at..at + 4] {
            b"ANMF" => delays.push(u64::from(u32::from_le_bytes([body[12], body[13], body[14], 0]))),
            b"ANIM" => repeats = body[4..6] == [0, 0],
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    (delays, repeats)
}

/// Numbers of the frames of a GIF.
fn numbers(path: &Path) -> Vec<u32> {
    let arguments = "-f gif -i {} -fps_mode passthrough -vf scale=16:1:flags=area,format=gray -f rawvideo -";
    let bits = ffmpeg(arguments, &[path]).stdout;
    bits.chunks_exact(16).map(|row| row.iter().fold(0, |number, &bit| number << 1 | u32::from(bit > 127))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_the_ones_that_are_asked_for() {
    let rig = Rig::new().await;
    for (name, encode) in [
        ("in.mp4", "-c:v libx264 -preset ultrafast -g 40"),
        ("in.mkv", "-c:v libx264 -preset veryfast -bf 3 -g 250"),
        ("in.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M"),
        ("in.ts", "-c:v libx264 -preset ultrafast -f mpegts"),
    ] {
        let input = rig.clip(name);
        long(&input, 60, encode);
        let made = rig.make(&input, json!({"recipe": "preview", "format": "gif"})).await.expect("made");
        // A second each in the middle of each 20 s.
        let right: Vec<u32> = [95, 295, 495].iter().flat_map(|&from| from..from + 10).collect();
        let shown = numbers(&made.path);
        let (delays, repeats) = delays(&made.path);
        let holds = shown == right && delays.iter().sum::<u64>() == 3000 && repeats;
        verdict(KIND, format!("{name} to gif"), "95.., 295.., 495.., 3 s", format!("{shown:?}, {delays:?}"), holds);

        let recipe = json!({"recipe": "preview", "format": "gif", "start_seconds": 6, "segments": 2, "duration_seconds": 1,
            "frame_rate": 5});
        let made = rig.make(&input, recipe).await.expect("made");
        let shown = numbers(&made.path);
        let near = |is: u32, right: u32| is == right || is == right + 1;
        let right = [60, 62, 330, 332];
        let holds = shown.len() >= 4 && near(shown[0], right[0]) && shown.iter().any(|&number| near(number, right[2]));
        verdict(KIND, format!("{name} from 6 s"), "from 6 s and 33 s", format!("{shown:?}"), holds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animated_webp_repeats_and_no_frame_is_too_short() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    ffmpeg("-f lavfi -i testsrc2=s=640x360:r=60:d=12 -c:v libx264 -preset ultrafast {}", &[&input]);
    for (format, rate) in [("webp", 10), ("webp", 30), ("gif", 30), ("gif", 12)] {
        let recipe = json!({"recipe": "preview", "format": format, "frame_rate": rate, "width": 240});
        let made = rig.make(&input, recipe).await.expect("made");
        let (delays, repeats) = delays(&made.path);
        let (all, least) = (delays.iter().sum::<u64>(), delays.iter().min().copied().unwrap_or(0));
        let holds = all.abs_diff(3000) <= 60 && least >= 20 && repeats && delays.len() == rate * 3;
        let source = format!("60 frames a second to {format} at {rate}");
        verdict(KIND, source, "3 s, repeating", format!("{all} ms in {}, least {least}", delays.len()), holds);
        let video = made.receipt.info.video.as_ref().expect("a picture");
        assert_eq!((video.width, video.height), (240, if format == "gif" { 135 } else { 136 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn short_turned_and_uneven_videos_have_previews_too() {
    let rig = Rig::new().await;
    let short = rig.clip("short.mp4");
    long(&short, 1, "-c:v libx264 -preset ultrafast");
    let made = rig.make(&short, json!({"recipe": "preview", "format": "gif"})).await.expect("made");
    verdict(
        KIND,
        "1 s, 3 s asked",
        "all ten frames",
        format!("{:?}", numbers(&made.path)),
        numbers(&made.path) == (0..10).collect::<Vec<_>>(),
    );
    for name in ["rot90.mp4", "vfr.mp4", "al_vp9.webm", "u709_720.mp4", "reschange_portrait.webm"] {
        let source = rig.probe(&field(name)).await.expect("probed").info.video.expect("a picture");
        let made = rig.make(&field(name), json!({"recipe": "preview", "width": 96})).await.expect("made");
        let video = made.receipt.info.video.as_ref().expect("a picture");
        let right = f64::from(source.height) / f64::from(source.width) * f64::from(video.width);
        let holds = (f64::from(video.height) - right).abs() <= 2.0 && video.width <= 96;
        verdict(KIND, name, format!("{}x{right:.0}", video.width), format!("{}x{}", video.width, video.height), holds);
    }
    let failure = rig.fail(&short, json!({"recipe": "preview", "start_seconds": 5})).await;
    assert_eq!((failure.code.as_str(), failure.message.starts_with("start_seconds is 5")), ("beyond_end", true));
}
