//! Sound and its further tracks: depths, lengths, tags, covers, languages, subtitles.

use std::path::Path;

use reelhook_media::Damage;
use reelhook_testkit::{field, verdict};
use serde_json::{Value, json};

use crate::clips::{ffmpeg, numbered, tool};
use crate::rig::{Made, Rig};

/// Entries of one kind of stream as ffprobe tells them: one line a stream, fields separated by commas.
fn streams(path: &Path, kind: &str, entries: &str) -> Vec<String> {
    let arguments = ["-v", "error", "-select_streams", kind, "-show_entries", entries, "-of", "csv=p=0", "{}"];
    let said = tool("ffprobe", &arguments, &[path]).stdout;
    let lines = String::from_utf8_lossy(&said);
    lines.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Codec of the first sound.
fn codec(path: &Path) -> String {
    streams(path, "a:0", "stream=codec_name").concat()
}

/// All samples of the first sound as floats of 64 bits: holds every depth exactly.
fn samples(path: &Path) -> Vec<f64> {
    let bytes = ffmpeg("-i {} -map 0:a:0 -c:a pcm_f64le -f f64le -", &[path]).stdout;
    bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().expect("eight bytes"))).collect()
}

/// What the plan says of a product, in one text.
fn said(made: &Made) -> String {
    let lines = made.product.streams.iter().map(|line| format!("{} {}: {}", line.stream, line.action, line.reason));
    lines.collect::<Vec<_>>().join(" | ")
}

/// The loudest difference between two sounds, and between their lengths.
fn difference(one: &Path, other: &Path) -> (f64, usize) {
    let (one, other) = (samples(one), samples(other));
    let most = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    (most, one.len().abs_diff(other.len()))
}

/// Noise that fills every bit, faint enough that sixteen bits would not do.
const NOISE: &str = "-f lavfi -i anoisesrc=d=0.5:r=48000:a=0.2:seed=7";

#[tokio::test]
async fn the_depth_of_a_sound_survives_to_wav() {
    let rig = Rig::new().await;
    let cases = [
        ("deep.flac", "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24 -f flac", "pcm_s24le"),
        ("deep.m4a", "-c:a alac -sample_fmt s32p -bits_per_raw_sample 24 -f ipod", "pcm_s24le"),
        ("big.mov", "-c:a pcm_s24be -f mov", "pcm_s24le"),
        ("big.caf", "-c:a pcm_s32be -f caf", "pcm_s32le"),
        ("double.wav", "-c:a pcm_f64le -f wav", "pcm_f64le"),
        ("float.wv", "-c:a wavpack -sample_fmt fltp -f wv", "pcm_f32le"),
        ("old.aiff", "-c:a pcm_s8 -f aiff", "pcm_u8"),
        ("usual.flac", "-c:a flac -sample_fmt s16 -f flac", "pcm_s16le"),
        ("lossy.m4a", "-c:a aac -f ipod", "pcm_s16le"),
        ("lossy.mp3", "-c:a libmp3lame -f mp3", "pcm_s16le"),
    ];
    for (name, options, expected) in cases {
        let clip = rig.clip(name);
        ffmpeg(&format!("{NOISE} {options} {{}}"), &[&clip]);
        right_in_wav(&rig, &clip, name, expected).await;
    }
    right_in_wav(&rig, &field("a24.aiff"), "a24.aiff", "pcm_s24le").await;
    right_in_wav(&rig, &field("a32f.wav"), "a32f.wav", "pcm_f32le").await;
}

async fn right_in_wav(rig: &Rig, clip: &Path, name: &str, expected: &str) {
    for recipe in [
        json!({"recipe": "convert", "format": "wav"}),
        json!({"recipe": "extract_audio", "format": "wav"}),
        json!({"recipe": "trim", "format": "wav", "start_seconds": 0, "duration_seconds": 0.25}),
    ] {
        let words = recipe["recipe"].as_str().expect("a name").to_owned();
        let made = rig.make(clip, recipe).await.unwrap_or_else(|error| panic!("{name} {words}: {error:?}"));
        let written = codec(&made.path);
        let mut holds = written == expected;
        if words == "convert" && !name.starts_with("lossy") {
            holds &= difference(clip, &made.path) == (0.0, 0);
        }
        verdict(format!("M13 depth: {name}"), format!("{words} to wav"), expected, &written, holds);
    }
}

#[tokio::test]
async fn flac_is_as_deep_as_its_source_up_to_24_bits_and_says_what_it_cuts() {
    let rig = Rig::new().await;
    let deep = rig.clip("deep.wav");
    ffmpeg(&format!("{NOISE} -c:a pcm_s32le -f wav {{}}"), &[&deep]);
    for (clip, bits, loses) in [(field("a24.aiff"), "24", false), (deep, "24", true), (field("a32f.wav"), "24", true)] {
        let made = rig.make(&clip, json!({"recipe": "convert", "format": "flac"})).await.unwrap();
        let measured = streams(&made.path, "a:0", "stream=bits_per_raw_sample").concat();
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let holds = measured == bits && said(&made).contains("become 24 bit") == loses;
        verdict(format!("M13 depth: {name}"), "convert to flac", format!("{bits} bit"), said(&made), holds);
    }
}

#[tokio::test]
async fn a_joined_sound_is_as_deep_as_the_deepest_input() {
    let rig = Rig::new().await;
    let (usual, deep, deepest) = (rig.clip("usual.wav"), rig.clip("deep.wav"), rig.clip("deepest.wav"));
    ffmpeg(&format!("{NOISE} -c:a pcm_s16le -f wav {{}}"), &[&usual]);
    ffmpeg(&format!("{NOISE} -c:a pcm_s24le -f wav {{}}"), &[&deep]);
    ffmpeg(&format!("{NOISE} -c:a pcm_s32le -f wav {{}}"), &[&deepest]);
    for (inputs, expected) in
        [([&usual, &usual], "pcm_s16le"), ([&usual, &deep], "pcm_s24le"), ([&deepest, &usual], "pcm_s32le")]
    {
        let made = rig
            .join(&inputs.map(std::path::PathBuf::as_path), json!({"recipe": "concat", "format": "wav"}))
            .await
            .unwrap();
        let mut holds = codec(&made.path) == expected;
        let first = samples(inputs[0]);
        holds &= samples(&made.path).iter().zip(&first).all(|(a, b)| a == b);
        verdict("M13 depth: joined", format!("concat to wav, {expected}"), expected, codec(&made.path), holds);
    }
}

#[tokio::test]
async fn auto_keeps_what_flac_cannot_hold() {
    let rig = Rig::new().await;
    let mut clips = vec![(field("a32f.wav"), true), (field("a24.aiff"), false)];
    for (name, options, kept) in [
        ("whole32.wav", "-c:a pcm_s32le -f wav", true),
        ("double.wav", "-c:a pcm_f64le -f wav", true),
        ("float.wv", "-c:a wavpack -sample_fmt fltp -f wv", true),
        ("float.caf", "-c:a pcm_f32be -f caf", true),
        ("usual.wav", "-c:a pcm_s16le -f wav", false),
    ] {
        let clip = rig.clip(name);
        ffmpeg(&format!("{NOISE} {options} {{}}"), &[&clip]);
        clips.push((clip, kept));
    }
    for (clip, kept) in clips {
        let made = rig.make(&clip, json!({"recipe": "auto"})).await.unwrap();
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let is_same = std::fs::read(&made.path).unwrap() == std::fs::read(&clip).unwrap();
        let holds = is_same == kept && difference(&clip, &made.path) == (0.0, 0);
        verdict(format!("M12 auto keeps exact sound: {name}"), "auto", format!("kept: {kept}"), said(&made), holds);
    }
}

#[tokio::test]
async fn sound_at_a_low_rate_becomes_any_format() {
    let rig = Rig::new().await;
    let mut clips = vec![field("voice_8000.m4a")];
    for (name, options) in [
        ("voice_11025.m4a", "-ar 11025 -c:a aac -f ipod"),
        ("voice_8000.mp3", "-ar 8000 -c:a libmp3lame -f mp3"),
        ("voice_16000.mkv", "-ar 16000 -c:a aac -f matroska"),
        ("voice_8000.3gp", "-ar 8000 -c:a aac -f 3gp"),
        ("voice_8000.ogg", "-ar 8000 -c:a libvorbis -f ogg"),
    ] {
        let clip = rig.clip(name);
        ffmpeg(&format!("-f lavfi -i sine=frequency=300:duration=3 {options} {{}}"), &[&clip]);
        clips.push(clip);
    }
    for clip in clips {
        let name = clip.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        for format in ["wav", "flac", "mp3", "aac", "opus"] {
            let made = rig.make(&clip, json!({"recipe": "convert", "format": format})).await;
            let measured = match &made {
                Ok(made) => format!("{:.3} s", made.receipt.info.duration_seconds.unwrap_or(0.0)),
                Err(error) => format!("{error:?}"),
            };
            let row = format!("M19 low rates: {name}");
            verdict(row, format!("convert to {format}"), "about 3 s", measured, made.is_ok());
        }
    }
}
