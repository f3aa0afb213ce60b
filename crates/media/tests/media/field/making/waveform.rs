//! `waveform`: pictures are decoded by ffmpeg, and held against samples whose peaks are known.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::{Value, json};

use crate::clips::{ffmpeg, numbered};
use crate::rig::{Made, Rig};

const KIND: &str = "Waveform";

/// A picture as RGBA.
fn pixels(path: &Path, width: usize) -> Vec<Vec<[u8; 4]>> {
    let bytes = ffmpeg("-i {} -pix_fmt rgba -f rawvideo -", &[path]).stdout;
    let row = |row: &[u8]| row.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]]).collect();
    bytes.chunks_exact(width * 4).map(row).collect()
}

/// First and last row of each column that is painted, by its alpha.
fn columns(path: &Path, width: usize) -> Vec<(usize, usize)> {
    let rows = pixels(path, width);
    let painted = |x: usize| rows.iter().enumerate().filter(move |(_, row)| row[x][3] != 0).map(|(y, _)| y);
    (0..width).map(|x| (painted(x).min().expect("a line"), painted(x).max().expect("a line"))).collect()
}

fn peaks(made: &Made) -> Value {
    let path = made.receipt.parts.first().map_or(made.path.as_path(), |part| part.file.as_path());
    serde_json::from_slice(&std::fs::read(path).expect("peaks")).expect("JSON")
}

/// Lowest and highest of the peaks whose middles lie between two seconds, of the first channel.
fn reach(peaks: &Value, from: f64, to: f64) -> (i64, i64) {
    let number = |key: &str| peaks[key].as_f64().expect("a number");
    let each = number("samples_per_pixel") / number("sample_rate");
    let step = number("channels") as usize * 2;
    let data: Vec<i64> = peaks["data"].as_array().expect("data").iter().filter_map(Value::as_i64).collect();
    let within = data.chunks_exact(step).enumerate().filter(|(place, _)| {
        let middle = (*place as f64 + 0.5) * each;
        middle >= from && middle < to
    });
    within.fold((0, 0), |(low, high), (_, row)| (low.min(row[0]), high.max(row[1])))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_in_loudness_is_where_it_is_heard() {
    let rig = Rig::new().await;
    let sound = "aevalsrc=(0.25+0.5*gte(t\\,2))*sin(2*PI*500*t):s=48000:d=4";
    for (name, encode) in
        [("in.wav", "-c:a pcm_s16le"), ("in.mp3", "-b:a 256k"), ("in.m4a", "-b:a 256k"), ("in.opus", "-b:a 256k")]
    {
        let input = rig.clip(name);
        ffmpeg(&format!("-f lavfi -i {sound} {encode} {{}}"), &[&input]);
        let made = rig.make(&input, json!({"recipe": "waveform", "width": 400, "height": 200})).await.expect("made");
        let columns = columns(&made.path, 400);
        let heights = |from: usize, to: usize| {
            let all = columns[from..to].iter().map(|(top, bottom)| bottom - top + 1);
            (all.clone().min().expect("columns"), all.max().expect("columns"))
        };
        let (soft, loud) = (heights(4, 196), heights(204, 394));
        let near = |(least, most): (usize, usize), right: usize| least + 6 >= right && most <= right + 6;
        let holds = columns.len() == 400 && near(soft, 50) && near(loud, 150);
        verdict(KIND, name, "50 rows before 2 s, 150 after", format!("{soft:?}, {loud:?}"), holds);
        let peaks = peaks(&made);
        let ((_, soft), (low, loud)) = (reach(&peaks, 0.1, 1.9), reach(&peaks, 2.1, 3.9));
        assert!(
            (30..=36).contains(&soft) && (93..=101).contains(&loud) && (-101..=-93).contains(&low),
            "{soft} {loud}"
        );
        assert_eq!(made.path.file_name().and_then(|name| name.to_str()), Some("waveform.png"));
        assert_eq!(made.receipt.parts[0].path, "peaks.json");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sample_of_a_long_sound_is_seen() {
    let rig = Rig::new().await;
    let input = rig.clip("long.flac");
    ffmpeg("-f lavfi -i aevalsrc=0.9*eq(n\\,7000001)-0.9*eq(n\\,14000001):s=16000:d=1200 {}", &[&input]);
    let made = rig.make(&input, json!({"recipe": "waveform", "width": 300, "height": 100})).await.expect("made");
    let columns = columns(&made.path, 300);
    let up = columns.iter().position(|&(top, _)| top < 10);
    let down = columns.iter().position(|&(_, bottom)| bottom > 90);
    let lines = columns.iter().filter(|&&(top, bottom)| top == bottom).count();
    // 7000001 of 19200000 samples are 109.4 columns, 14000001 are 218.8.
    let holds = up == Some(109) && down == Some(218) && lines >= 296;
    verdict(KIND, "a click in 20 minutes", "columns 109 and 218", format!("{up:?} {down:?}"), holds);
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_bands_and_opposite_ones_are_not_silence() {
    let rig = Rig::new().await;
    let input = rig.clip("in.wav");
    ffmpeg("-f lavfi -i aevalsrc=0.8*sin(3000*t)|-0.8*sin(3000*t):s=44100:d=2 {}", &[&input]);
    let one = rig.make(&input, json!({"recipe": "waveform", "width": 100, "height": 100})).await.expect("made");
    let tall = columns(&one.path, 100).iter().all(|(top, bottom)| (76..=84).contains(&(bottom - top + 1)));
    verdict(KIND, "channels in opposite phase, mono", "80 rows", format!("{tall}"), tall);

    let left = rig.clip("left.wav");
    ffmpeg("-f lavfi -i aevalsrc=0.8*sin(3000*t)|0:s=44100:d=2 {}", &[&left]);
    let recipe = json!({"recipe": "waveform", "width": 100, "height": 100, "channels": "split",
        "color": "#ff0000", "background": "#0000ff"});
    let made = rig.make(&left, recipe).await.expect("made");
    let rows = pixels(&made.path, 100);
    let red = |from: usize, to: usize| rows[from..to].iter().filter(|row| row[50] == [255, 0, 0, 255]).count();
    let blue = rows.iter().filter(|row| row[50] == [0, 0, 255, 255]).count();
    let holds = (38..=42).contains(&red(0, 50)) && red(50, 100) == 1 && red(0, 100) + blue == 100;
    verdict(KIND, "left alone, split", "40 rows above, one below", format!("{} {}", red(0, 50), red(50, 100)), holds);
    assert_eq!(peaks(&made)["channels"], json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_has_the_corners_of_the_pixels() {
    let rig = Rig::new().await;
    let input = rig.clip("in.wav");
    ffmpeg("-f lavfi -i aevalsrc=0.9*t/3*sin(2000*t):s=32000:d=3 {}", &[&input]);
    let png = rig.make(&input, json!({"recipe": "waveform", "width": 64, "height": 50})).await.expect("made");
    let pixels = columns(&png.path, 64);
    let svg = rig.make(&input, json!({"recipe": "waveform", "format": "svg", "width": 64, "height": 50})).await;
    let svg = svg.expect("made");
    let text = std::fs::read_to_string(&svg.path).expect("a text");
    assert!(text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"50\""), "{text}");
    let path = text.split_once(" d=\"M").expect("a path").1.split_once("Z\"").expect("its end").0;
    let steps: Vec<&str> = path.split('L').collect();
    let row = |step: &str| -> usize { step.split([' ', 'H']).nth(1).expect("a row").parse().expect("a number") };
    let drawn: Vec<_> = (0..64).map(|x| (row(steps[x]), row(steps[127 - x]) - 1)).collect();
    let holds = drawn == pixels && steps.len() == 128;
    verdict(KIND, "png and svg of one sound", "the same corners", if holds { "the same" } else { "others" }, holds);
    assert_eq!(svg.product.format.mime_type(), "image/svg+xml");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_spans_the_file() {
    let rig = Rig::new().await;
    // Two seconds of picture, with half a second of sound that begins after one.
    let (input, made_of) = (rig.clip("in.mkv"), rig.clip("usual.mp4"));
    numbered(&made_of, "libx264 -preset ultrafast", "-c:a aac -f mp4");
    let arguments = "-i {} -itsoffset 1 -f lavfi -i sine=frequency=500:sample_rate=48000:duration=0.5 -map 0:v -map 1:a \
         -c:v copy -c:a flac {}";
    let arguments = arguments.split_whitespace().collect::<Vec<_>>().join(" ");
    ffmpeg(&arguments, &[&made_of, &input]);
    let made = rig.make(&input, json!({"recipe": "waveform", "format": "json", "width": 200})).await.expect("made");
    let peaks = peaks(&made);
    let each = peaks["samples_per_pixel"].as_f64().expect("a number") / 48_000.0;
    let length = peaks["length"].as_f64().expect("a number") * each;
    let parts = [(0.05, 0.95), (1.05, 1.45), (1.55, 1.95)].map(|(from, to)| reach(&peaks, from, to).1);
    let holds = (length - 2.0).abs() < 0.05 && parts[0] == 0 && parts[1] > 10 && parts[2] == 0;
    verdict(
        KIND,
        "sound from 1 s to 1.5 s of 2 s",
        "silence, sound, silence",
        format!("{length:.2} s {parts:?}"),
        holds,
    );
    assert_eq!(made.path.file_name().and_then(|name| name.to_str()), Some("peaks.json"));

    for name in ["voice_8000.m4a", "a24.aiff", "a32f.wav", "book.m4b"] {
        let made = rig.make(&field(name), json!({"recipe": "waveform", "width": 120})).await.expect("made");
        let checks = made.receipt.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>().join(" ");
        verdict(KIND, name, "size peaks duration video wave", &checks, checks.ends_with("video wave"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_line_and_no_sound_is_refused() {
    let rig = Rig::new().await;
    let input = rig.clip("silent.wav");
    ffmpeg("-f lavfi -i anullsrc=r=8000:cl=mono:d=0.01 {}", &[&input]);
    let made = rig.make(&input, json!({"recipe": "waveform", "width": 300, "height": 64})).await.expect("made");
    let lines = columns(&made.path, 300);
    let holds = lines.iter().all(|&(top, bottom)| top == bottom && (31..=32).contains(&top));
    verdict(KIND, "80 samples of silence", "a line in the middle", format!("{:?}", lines[0]), holds);
    let mute = rig.clip("mute.mp4");
    ffmpeg("-f lavfi -i color=s=64x64:d=1 -c:v libx264 {}", &[&mute]);
    assert_eq!(rig.fail(&mute, json!({"recipe": "waveform"})).await.code, "no_audio_stream");
}
