//! `sprite`: the frame on each tile is known by its number, read from the sheet that the cue names.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::{ffmpeg, numbered, numbers, picture_begins};
use crate::rig::{Made, Rig};

const KIND: &str = "Storyboard";

/// A cue: its times in seconds, its sheet, and its part of that.
type Cue = (f64, f64, String, [u32; 4]);

fn cues(made: &Made) -> Vec<Cue> {
    let text = std::fs::read_to_string(&made.path).expect("a text");
    let time = |text: &str| text.split(':').fold(0.0, |all, part| all * 60.0 + part.parse::<f64>().expect("a number"));
    let cue = |block: &str| {
        let (times, target) = block.trim().split_once('\n').expect("two lines");
        let (from, to) = times.split_once(" --> ").expect("two times");
        let (sheet, part) = target.split_once("#xywh=").expect("a part");
        let part: Vec<u32> = part.split(',').map(|number| number.parse().expect("a number")).collect();
        (time(from), time(to), sheet.to_owned(), [part[0], part[1], part[2], part[3]])
    };
    text.strip_prefix("WEBVTT\n").expect("its first line").trim().split("\n\n").map(cue).collect()
}

/// The number of the frame on the part of a sheet.
fn number(made: &Made, (_, _, sheet, [x, y, width, height]): &Cue) -> u32 {
    let file = made.path.with_file_name(sheet);
    let arguments =
        format!("-i {{}} -vf crop={width}:{height}:{x}:{y},scale=16:1:flags=area,format=gray -f rawvideo -");
    let bits = ffmpeg(&arguments, &[&file]).stdout;
    bits.iter().fold(0, |number, &bit| number << 1 | u32::from(bit > 127))
}

fn all_numbers(made: &Made) -> Vec<u32> {
    cues(made).iter().map(|cue| number(made, cue)).collect()
}

/// Numbered frames at 10 a second.
fn long(path: &Path, seconds: u32, encode: &str) {
    let barcode = "geq=lum=16+219*gt(bitand(N\\,pow(2\\,15-floor(X*16/W)))\\,0):cb=128:cr=128";
    ffmpeg(
        &format!("-f lavfi -i color=black:s=192x108:r=10:d={seconds},format=yuv420p,{barcode} {encode} {{}}"),
        &[path],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tile_shows_what_is_shown_at_the_middle_of_its_cue() {
    let rig = Rig::new().await;
    for (name, video, more) in [
        ("in.mp4", "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -f mp4"),
        ("in.mkv", "libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p", "-c:a flac -f matroska"),
        ("in.ts", "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -f mpegts"),
        ("in.avi", "mpeg4 -q:v 3", "-c:a libmp3lame -f avi"),
        ("in.webm", "libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M", "-c:a libopus -f webm"),
    ] {
        let input = rig.clip(name);
        numbered(&input, video, more);
        for format in ["jpg", "png", "webp"] {
            let recipe =
                json!({"recipe": "sprite", "interval_seconds": 0.26, "columns": 3, "rows": 2, "format": format});
            let made = rig.make(&input, recipe).await.expect("made");
            let shown = all_numbers(&made);
            // At 0.13 s, 0.39 s, ... of the file (never near the edge of a frame), in which the picture may begin a little later than the sound.
            let begins = picture_begins(&input);
            let right: Vec<u32> = (0..8).map(|cue| ((0.13 + 0.26 * f64::from(cue) - begins) / 0.04) as u32).collect();
            let holds = shown == right;
            verdict(KIND, format!("{name} to {format}"), format!("{right:?}"), format!("{shown:?}"), holds);
            let sheets: Vec<_> = made.receipt.parts.iter().map(|part| part.path.clone()).collect();
            assert_eq!(sheets, [format!("sheet-001.{format}"), format!("sheet-002.{format}")]);
            let cues = cues(&made);
            assert_eq!(cues[0].3, [0, 0, 160, 90]);
            assert_eq!((cues[7].2.as_str(), cues[7].3), (sheets[1].as_str(), [160, 0, 160, 90]));
            assert!((cues[7].1 - made.receipt.info.duration_seconds.expect("a length")).abs() < 0.01);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_about_a_hundred_of_a_long_video_and_few_of_a_short_one() {
    let rig = Rig::new().await;
    let input = rig.clip("long.mp4");
    long(&input, 250, "-c:v libx264 -preset ultrafast");
    let made = rig.make(&input, json!({"recipe": "sprite"})).await.expect("made");
    let (shown, cues) = (all_numbers(&made), cues(&made));
    let right: Vec<u32> = (0..100).map(|cue| cue * 25 + 12).collect();
    let holds = shown == right && made.receipt.parts.len() == 1 && (cues[99].1 - 250.0).abs() < 0.01;
    verdict(
        KIND,
        "250 s",
        "100 frames, each in the middle",
        format!("{} frames, {:?}", shown.len(), &shown[..3]),
        holds,
    );

    let short = rig.clip("short.mp4");
    long(&short, 1, "-frames:v 3 -c:v libx264 -preset ultrafast");
    let made = rig.make(&short, json!({"recipe": "sprite"})).await.expect("made");
    verdict(KIND, "0.3 s", "[1]", format!("{:?}", all_numbers(&made)), all_numbers(&made) == [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn portraits_are_upright_and_keep_their_shape() {
    let rig = Rig::new().await;
    let shape = |made: &Made| cues(made)[0].3;
    let made = rig.make(&field("rot90.mp4"), json!({"recipe": "sprite", "width": 90})).await.expect("made");
    let source = rig.probe(&field("rot90.mp4")).await.expect("probed").info.video.expect("a picture");
    let right = f64::from(source.height) / f64::from(source.width) * 90.0;
    let [_, _, width, height] = shape(&made);
    let holds = width == 90 && (f64::from(height) - right).abs() <= 1.0 && source.height > source.width;
    verdict(KIND, "rot90.mp4", format!("90x{right:.0}"), format!("{width}x{height}"), holds);

    let oblong = rig.clip("oblong.mp4");
    ffmpeg("-f lavfi -i testsrc=s=720x576:d=2,setsar=16/15 -c:v libx264 -preset ultrafast {}", &[&oblong]);
    let made = rig.make(&oblong, json!({"recipe": "sprite", "width": 160})).await.expect("made");
    verdict(KIND, "720x576 with pixels of 16:15", "160x120", format!("{:?}", shape(&made)), shape(&made)[3] == 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn uneven_and_late_pictures_have_their_times() {
    let rig = Rig::new().await;
    // Frames 0 to 19 in the first second, the rest one every quarter of a second.
    let uneven = rig.clip("uneven.mp4");
    let select = "select=lt(n\\,20)+not(mod(n-20\\,5))";
    let barcode = "geq=lum=16+219*gt(bitand(N\\,pow(2\\,15-floor(X*16/W)))\\,0):cb=128:cr=128";
    ffmpeg(
        &format!(
            "-f lavfi -i color=black:s=192x108:r=20:d=4,format=yuv420p,{barcode},{select} -fps_mode vfr \
             -c:v libx264 -preset ultrafast {{}}"
        )
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" "),
        &[&uneven],
    );
    let made = rig.make(&uneven, json!({"recipe": "sprite", "interval_seconds": 1.0})).await.expect("made");
    // At 1.5 s frame 30 begins.
    let shown = all_numbers(&made);
    verdict(KIND, "uneven frames", "[10, 30, 50, 70]", format!("{shown:?}"), shown == [10, 30, 50, 70]);

    // The picture begins half a second after the sound.
    let (usual, late) = (rig.clip("usual.mp4"), rig.clip("late.mkv"));
    numbered(&usual, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -f mp4");
    ffmpeg("-i {} -itsoffset 0.5 -i {} -map 0:a -map 1:v -c copy {}", &[&usual, &usual, &late]);
    assert_eq!(numbers(&late).len(), 50);
    let made = rig.make(&late, json!({"recipe": "sprite", "interval_seconds": 0.5})).await.expect("made");
    // 0.25 s is before the first frame; 0.75 s is a quarter of a second after it.
    let shown = all_numbers(&made);
    let holds = shown.len() == 5 && shown[0] == 0 && [5, 6].contains(&shown[1]) && [18, 19].contains(&shown[2]);
    verdict(KIND, "a picture that begins late", "[0, 6, 18, 31, 43]", format!("{shown:?}"), holds);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_by_name() {
    let rig = Rig::new().await;
    let input = rig.clip("tall.mp4");
    ffmpeg("-f lavfi -i color=s=360x1280:d=200:r=2 -c:v libx264 -preset ultrafast {}", &[&input]);
    let recipe = json!({"recipe": "sprite", "width": 360, "rows": 20, "interval_seconds": 0.5});
    let failure = rig.fail(&input, recipe).await;
    assert_eq!(failure.code, "invalid_request");
    assert!(failure.message.contains("10 x 20 thumbnails would be 3600x25600"), "{}", failure.message);
    let sound = rig.clip("sound.wav");
    ffmpeg("-f lavfi -i sine=d=1 {}", &[&sound]);
    assert_eq!(rig.fail(&sound, json!({"recipe": "sprite"})).await.code, "no_video_stream");
}
