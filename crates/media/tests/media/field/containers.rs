//! Containers, times and damage: what is whole is taken, what is late stays late, what is missing is noticed.

use std::path::{Path, PathBuf};

use reelhook_media::{Damage, MediaError};
use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::{ffmpeg, numbered, numbers, tool, usual};
use crate::rig::{Made, Rig};

/// Where a stream of a file begins and how long it is, in seconds, by its packets; relative to the file's first one.
fn stretch(path: &Path, stream: &str) -> (f64, f64) {
    let packets = |stream: Option<&str>| {
        let mut arguments = vec!["-v", "error"];
        arguments.extend(stream.iter().flat_map(|stream| ["-select_streams", stream]));
        arguments.extend(["-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0", "{}"]);
        let said = tool("ffprobe", &arguments, &[path]).stdout;
        let packets = String::from_utf8_lossy(&said)
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(',').map(str::parse::<f64>);
                let begins = fields.next()?.ok()?;
                Some((begins, begins + fields.next().and_then(Result::ok).unwrap_or(0.0)))
            })
            .collect::<Vec<_>>();
        let first = packets.iter().map(|packet| packet.0).fold(f64::MAX, f64::min);
        (first, packets.iter().map(|packet| packet.1).fold(f64::MIN, f64::max))
    };
    let (file, (begins, ends)) = (packets(None).0, packets(Some(stream)));
    (begins - file, ends - begins)
}

/// The whole length of a file, in seconds, as ffprobe tells it.
fn length(path: &Path) -> f64 {
    let arguments = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", "{}"];
    String::from_utf8_lossy(&tool("ffprobe", &arguments, &[path]).stdout).trim().parse().expect("a length")
}

/// How many samples of sound come out of a file.
fn samples(path: &Path) -> usize {
    ffmpeg("-i {} -map 0:a:0 -ac 1 -f s16le -", &[path]).stdout.len() / 2
}

/// The reason on the line of the picture.
fn told(made: &Made) -> &str {
    made.product.streams.iter().find(|plan| plan.stream == "video").map_or("", |plan| &plan.reason)
}

fn close(measured: f64, expected: f64, tolerance: f64) -> bool {
    (measured - expected).abs() <= tolerance
}

/// Two seconds of numbered frames with a sound that begins `sound` seconds late, or a picture that does.
fn late(path: &Path, picture: f64, sound: f64, more: &str) {
    let folder = path.parent().expect("a folder");
    let whole = folder.join("whole.mkv");
    numbered(&whole, "libx264 -preset ultrafast -g 25", "-c:a aac");
    let [picture, sound] = [picture, sound].map(|late| late.to_string());
    let command = format!("-itsoffset {picture} -i {{}} -itsoffset {sound} -i {{}} -map 0:v -map 1:a {more} {{}}");
    ffmpeg(&command, &[&whole, &whole, path]);
}

const LATE: &str = "M7 a picture or a sound that begins late";

async fn stays_late(rig: &Rig, name: &str, input: &Path, stream: &str, offset: f64, whole: f64) {
    for value in [
        json!({"recipe": "compress"}),
        json!({"recipe": "web_ready"}),
        json!({"recipe": "convert", "format": "webm"}),
        json!({"recipe": "convert", "format": "mkv"}),
        json!({"recipe": "proxy"}),
    ] {
        // A proxy has one sound: where that is not the first, the offset is counted from the picture, whose times are
        // whole frames of 40 ms, and before which an encoder puts a packet of 23 ms.
        let close_by = if value["recipe"] == "proxy" { 0.07 } else { 0.05 };
        let words = format!("{name}, {value}");
        let made = rig.make(input, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let ((begins, _), length) = (stretch(&made.path, stream), length(&made.path));
        let holds = close(begins, offset, close_by) && close(length, whole, 0.1);
        let measured = format!("begins at {begins:.3}, {length:.3} s");
        verdict(LATE, words, format!("begins at {offset:.3}, {whole:.3} s"), measured, holds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_late_stays_late() {
    let rig = Rig::new().await;
    for (name, stream, offset) in [("alate.mp4", "a:0", 0.678), ("alate.mkv", "a:0", 0.679), ("vlate.mp4", "v:0", 0.7)]
    {
        stays_late(&rig, name, &field(name), stream, offset, 6.7).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_streams_of_other_containers_stay_late() {
    let rig = Rig::new().await;
    for (name, picture, sound, more) in [
        ("a-tenth.mp4", 0.0, 0.1, "-c copy"),
        ("picture.mkv", 0.5, 0.0, "-c copy"),
        ("sound.ts", 0.0, 0.5, "-c copy"),
        ("picture.ts", 0.4, 0.0, "-c copy"),
        ("picture.webm", 0.5, 0.0, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
        ("both.mov", 1.0, 1.5, "-c copy"),
        ("both.mkv", 2.5, 2.0, "-c copy"),
        ("early.mkv", -0.2, 0.3, "-c:v copy -c:a libopus"),
    ] {
        let input = rig.clip(name);
        late(&input, picture, sound, more);
        let stream = if sound > picture { "a:0" } else { "v:0" };
        // A container's grid and an encoder's priming move it a little.
        let offset = stretch(&input, stream).0;
        assert!(close(offset, (sound - picture).abs(), 0.05), "{name}: {offset}");
        stays_late(&rig, name, &input, stream, offset, 2.0 + offset).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sound_may_end_last() {
    let rig = Rig::new().await;
    let (whole, input) = (rig.clip("whole.mkv"), rig.clip("two.mp4"));
    numbered(&whole, "libx264 -preset ultrafast -g 25", "-c:a aac");
    let command = "-i {} -itsoffset 0.6 -i {} -map 0:v -map 0:a -map 1:a -c copy {}";
    ffmpeg(command, &[&whole, &whole, &input]);
    for value in [json!({"recipe": "convert", "format": "mkv"}), json!({"recipe": "convert", "format": "mp4"})] {
        let words = format!("a second sound 0.6 s late, {value}");
        let made = rig.make(&input, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let (begins, _) = stretch(&made.path, "a:1");
        verdict(LATE, words, "begins at 0.6", format!("begins at {begins:.3}"), close(begins, 0.6, 0.05));
    }
    // The first may be late as well, with a title and a second one beside it.
    let command = "-i {} -itsoffset 0.5 -i {} -map 0:v -map 1:a -map 0:a -c copy -metadata title=Late {}";
    ffmpeg(command, &[&whole, &whole, &input]);
    stays_late(&rig, "late, a title and a second sound", &input, "a:0", 0.5, 2.5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_sound_and_pictures_of_what_begins_late_are_right() {
    let rig = Rig::new().await;
    let (sound, picture) = (field("alate.mp4"), field("vlate.mp4"));
    for (name, input, value, expected) in [
        ("late sound", &sound, json!({"recipe": "trim", "start_seconds": 0.5, "end_seconds": 6.5}), 6.0),
        ("late sound", &sound, json!({"recipe": "trim", "start_seconds": 5.5}), 1.2),
        ("late picture", &picture, json!({"recipe": "trim", "end_seconds": 3}), 3.0),
        ("late sound", &sound, json!({"recipe": "extract_audio", "format": "wav"}), 6.7),
        ("late sound", &sound, json!({"recipe": "extract_audio", "format": "mp3", "duration_seconds": 2}), 2.0),
        ("late sound", &sound, json!({"recipe": "trim", "format": "wav", "end_seconds": 1}), 1.0),
        ("late picture", &picture, json!({"recipe": "extract_audio"}), 6.0),
        ("late picture", &picture, json!({"recipe": "convert", "format": "gif"}), 6.0),
    ] {
        let words = format!("{name}, {value}");
        let made = rig.make(input, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let length = length(&made.path);
        let holds = close(length, expected, 0.1);
        verdict(LATE, words, format!("{expected:.3} s"), format!("{length:.3} s"), holds);
    }
    let joined = rig.join(&[&sound, &picture], json!({"recipe": "concat"})).await.expect("joined");
    let length = length(&joined.path);
    verdict(LATE, "late sound and late picture, concat", "13.4 s", format!("{length:.3} s"), close(length, 13.4, 0.15));
}

const WAVE: &str = "M6 WAV written to a pipe";

/// Two seconds of a tone at 16 kHz, 16 bits, with those sizes in its header and that much added or left out at its end.
fn piped(path: &Path, riff: u32, data: u32, behind: &[u8]) {
    ffmpeg("-f lavfi -i sine=f=440:r=16000:d=2 -bitexact -f wav {}", &[path]);
    let mut bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[36..40], b"data");
    bytes[4..8].copy_from_slice(&riff.to_le_bytes());
    bytes[40..44].copy_from_slice(&data.to_le_bytes());
    bytes.extend(behind);
    std::fs::write(path, bytes).unwrap();
}

async fn all_samples(rig: &Rig, words: &str, input: &Path, expected: usize) {
    for value in [
        json!({"recipe": "convert", "format": "wav"}),
        json!({"recipe": "convert", "format": "flac"}),
        json!({"recipe": "trim", "format": "wav"}),
    ] {
        let words = format!("{words}, {value}");
        let made = rig.make(input, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let (samples, lost) = (samples(&made.path), made.receipt.lost_seconds);
        let holds = samples == expected && lost.is_none() && made.receipt.info.duration_seconds.is_some();
        verdict(WAVE, words, format!("{expected} samples"), format!("{samples} samples"), holds);
    }
    let mp3 = rig.make(input, json!({"recipe": "convert", "format": "mp3"})).await;
    assert!(mp3.is_ok_and(|made| made.receipt.checks.iter().any(|check| check.name == "duration")), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wav_that_was_written_to_a_pipe_is_read_to_its_end() {
    let rig = Rig::new().await;
    for (name, expected) in [
        ("wav_ffpipe.wav", 48_000),
        ("wav_sox.wav", 32_000),
        ("wav_arecord.wav", 32_000),
        ("wav_oboe.wav", 32_000),
        ("wav_zero.wav", 32_000),
    ] {
        all_samples(&rig, name, &field(name), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_nobody_went_back_to_write_are_not_believed() {
    let rig = Rig::new().await;
    let input = rig.clip("in.wav");
    for (words, riff, data, behind) in [
        ("Python's wave to a pipe", 36, 0, &b""[..]),
        ("the most of 32 bits less the header", u32::MAX, u32::MAX - 44, b""),
        ("signed and rounded to a sample", 0x8000_0022, 0x7FFF_FFFE, b""),
        ("7 % too large, the file's size right", 64_036, 68_480, b""),
        ("written a second before the power went", 32_036, 32_000, b""),
        ("half a sample at the end", u32::MAX, u32::MAX, b"\x01"),
        ("half a sample more than is there", 64_037, 64_001, b""),
    ] {
        piped(&input, riff, data, behind);
        all_samples(&rig, words, &input, 32_000).await;
    }
    // What is believable and not there is missing.
    piped(&input, 96_036, 96_000, b"");
    let failure = rig.fail(&input, json!({"recipe": "convert", "format": "mp3"})).await;
    verdict(
        WAVE,
        "a wav of which a third is missing",
        "input_truncated",
        &failure.code,
        failure.code == "input_truncated",
    );
    let made = rig.make_all(&input, &[json!({"recipe": "convert", "format": "wav"})], Damage::Salvage).await.unwrap();
    assert!(close(made[0].receipt.lost_seconds.expect("a part is missing"), 1.0, 0.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sound_without_a_length_is_read_to_its_end() {
    let rig = Rig::new().await;
    let tone = "-f lavfi -i sine=f=440:r=16000:d=2";
    for (name, more) in [("wide.wav", "-rf64 always -f wav"), ("in.au", "-f au"), ("in.flac", "-f flac")] {
        let input = rig.clip(name);
        let to_a_pipe = format!("{tone} {more} pipe:1");
        let bytes = ffmpeg(&to_a_pipe, &[]).stdout;
        std::fs::write(&input, bytes).unwrap();
        all_samples(&rig, &format!("{name} from a pipe"), &input, 32_000).await;
    }
    // W64 and AIFF cannot be written to a pipe.
    for name in ["in.w64", "in.aiff", "in.caf"] {
        let input = rig.clip(name);
        ffmpeg(&format!("{tone} -bitexact {{}}"), &[&input]);
        all_samples(&rig, name, &input, 32_000).await;
    }
}

const TAIL: &str = "M14 something behind the last box of an mp4";

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_a_whole_mp4_is_left_alone() {
    let rig = Rig::new().await;
    let mut cases: Vec<(String, PathBuf, usize)> =
        ["insta360.mp4", "samsung_seft.mp4"].map(|name| (name.to_owned(), field(name), 75)).into();
    let (first, last, fragments) = (rig.clip("first.mp4"), rig.clip("last.mov"), rig.clip("fragments.mp4"));
    usual(&first);
    numbered(&last, "libx264 -preset ultrafast", "-c:a aac -f mov");
    numbered(&fragments, "libx264 -preset ultrafast -g 25", "-c:a aac -movflags empty_moov+frag_keyframe -f mp4");
    for (whole, name) in [(&first, "index first"), (&last, "index last"), (&fragments, "fragments")] {
        for (number, tail) in
            [&b"recorded by a dashcam, serial 0042\n"[..], b"\xFF\xD8\xFF\xE0\0\x10JFIF\0", &[0xA5; 300]]
                .iter()
                .enumerate()
        {
            let path = rig.clip(&format!("{number}-{}", whole.file_name().unwrap().display()));
            std::fs::write(&path, [&std::fs::read(whole).unwrap(), *tail].concat()).unwrap();
            cases.push((format!("{name}, tail {number}"), path, 50));
        }
    }
    for (name, path, frames) in cases {
        for value in [
            json!({"recipe": "compress", "crf": 40}),
            json!({"recipe": "web_ready"}),
            json!({"recipe": "extract_audio"}),
        ] {
            let words = format!("{name}, {value}");
            let pictures = value["recipe"] != "extract_audio";
            let made = rig.make(&path, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
            let seconds = frames as f64 / 25.0;
            let measured = made.receipt.info.duration_seconds.unwrap_or(0.0);
            let whole = !pictures || made.path.metadata().unwrap().len() == 0 || numbers(&made.path).len() == frames;
            let holds = close(measured, seconds, 0.1) && whole;
            verdict(TAIL, words, format!("{seconds:.3} s, all frames"), format!("{measured:.3} s"), holds);
        }
    }
    // Cut within a fragment, it is not whole.
    let bytes = std::fs::read(&fragments).unwrap();
    let last = bytes.windows(4).rposition(|kind| kind == b"moof").unwrap() - 4;
    let media = bytes.windows(4).rposition(|kind| kind == b"mdat").unwrap() - 4;
    for end in [last + 20, media, media + 500] {
        let cut = rig.clip("cut.mp4");
        std::fs::write(&cut, &bytes[..end]).unwrap();
        assert_eq!(rig.fail(&cut, json!({"recipe": "compress"})).await.code, "input_truncated", "{end}");
    }
}

const CLOCK: &str = "M9 a transport stream whose clock jumps";

/// Some recordings of two seconds, one after another, each beginning at its second of the clock.
fn recordings(path: &Path, starts: &[f64], more: &str) {
    let folder = path.parent().expect("a folder");
    let whole = folder.join("recording.mkv");
    numbered(&whole, "libx264 -preset ultrafast -g 25 -bf 2", "-c:a mp2");
    let mut all = Vec::new();
    for start in starts {
        let part = folder.join("part.ts");
        let start = start.to_string();
        ffmpeg(&format!("-copyts -i {{}} -c copy -output_ts_offset {start} -muxdelay 0 {more} {{}}"), &[&whole, &part]);
        all.extend(std::fs::read(&part).expect("a part"));
    }
    std::fs::write(path, all).expect("a file");
}

async fn all_parts(rig: &Rig, words: &str, input: &Path, parts: &[std::ops::Range<u32>]) {
    let expected: Vec<u32> = parts.iter().cloned().flatten().collect();
    let seconds = expected.len() as f64 / 25.0;
    for value in [
        json!({"recipe": "compress", "crf": 40}),
        json!({"recipe": "web_ready"}),
        json!({"recipe": "convert", "format": "webm"}),
        json!({"recipe": "extract_audio", "format": "wav"}),
        json!({"recipe": "package", "type": "hls", "segment_seconds": 1, "video": [{"height": 90}]}),
    ] {
        let words = format!("{words}, {value}");
        let pictures = matches!(value["recipe"].as_str(), Some("compress" | "web_ready" | "convert"));
        let made = rig.make(input, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let measured = made.receipt.info.duration_seconds.unwrap_or(0.0);
        let shown = if pictures { numbers(&made.path) } else { expected.clone() };
        let lost = made.receipt.lost_seconds;
        let allowed = 0.15 + 0.25 * (parts.len() - 1) as f64;
        let holds = close(measured, seconds, allowed) && shown == expected && lost.is_none();
        let right = format!("{} frames, {seconds:.1} s", expected.len());
        verdict(CLOCK, words, right, format!("{} frames, {measured:.2} s", shown.len()), holds);
        if pictures && made.path.extension().is_some_and(|extension| extension == "mp4") {
            let ((picture, video), (sound, audio)) = (stretch(&made.path, "v:0"), stretch(&made.path, "a:0"));
            assert!(close(picture, sound, 0.1) && close(video, audio, 0.25), "{video} {audio} {picture} {sound}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_that_were_joined_are_all_there() {
    let rig = Rig::new().await;
    for name in ["disc_fwd.ts", "disc_same.ts", "disc_back.ts"] {
        let made = rig
            .make(&field(name), json!({"recipe": "compress"}))
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (frames, seconds) = (made.receipt.info.video.unwrap().frames, made.receipt.info.duration_seconds.unwrap());
        let holds = frames == Some(50) && close(seconds, 2.0, 0.1) && made.receipt.lost_seconds.is_none();
        verdict(CLOCK, name, "50 frames, 2.0 s", format!("{frames:?} frames, {seconds:.2} s"), holds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_and_wraps_are_neither_damage_nor_length() {
    let rig = Rig::new().await;
    let wrap = f64::from(u32::MAX) * 2.0 / 90_000.0;
    let input = rig.clip("in.ts");
    for (words, starts, more) in [
        ("three parts, forward and back", &[10.0, 5000.0, 20.0][..], "-f mpegts"),
        ("the same clock twice", &[1.0, 1.0], "-f mpegts"),
        ("the wrap of 33 bits in the middle", &[wrap - 1.0], "-f mpegts"),
        ("a jump over half of the clock", &[100.0, wrap / 2.0 + 500.0], "-f mpegts"),
        ("packets of 192 bytes", &[3.0, 900.0], "-mpegts_m2ts_mode 1 -f mpegts"),
    ] {
        recordings(&input, starts, more);
        all_parts(&rig, words, &input, &vec![0..50; starts.len()]).await;
    }
    // A program stream jumps, too.
    recordings(&input, &[1.0, 2000.0], "-c:v mpeg2video -q:v 2 -f vob");
    let made = rig.make(&input, json!({"recipe": "compress"})).await.unwrap_or_else(|error| panic!("vob: {error:?}"));
    let seconds = made.receipt.info.duration_seconds.unwrap();
    verdict(CLOCK, "a program stream of two parts", "4.0 s", format!("{seconds:.2} s"), close(seconds, 4.0, 0.4));
}

const KEY: &str = "M25 a stream that begins in the middle of a group of pictures";

/// From the second frame of a group on, with all of the sound.
fn cut_out(path: &Path, codec: &str, more: &str) {
    let whole = path.with_file_name("whole.mkv");
    numbered(&whole, codec, "-c:a aac");
    ffmpeg(&format!("-i {{}} -ss 0.42 -c copy -copyinkf {more} {{}}"), &[&whole, path]);
}

async fn begins_with_key(rig: &Rig, words: &str, input: &Path, frames: usize, late: f64) {
    for value in [
        json!({"recipe": "compress", "crf": 30}),
        json!({"recipe": "web_ready"}),
        json!({"recipe": "convert", "format": "webm"}),
        json!({"recipe": "convert", "format": "gif"}),
        json!({"recipe": "thumbnail", "at_seconds": 1.2}),
        json!({"recipe": "thumbnail"}),
    ] {
        let words = format!("{words}, {value}");
        let made = rig.make(input, value.clone()).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let note = told(&made);
        let telling = note.contains("first key frame");
        let shown = numbers(&made.path).len();
        let (expected, begins) = match value["recipe"].as_str() {
            Some("thumbnail") => (1, late),
            Some("convert") if value["format"] == "gif" => (frames, late),
            _ => (frames, stretch(&made.path, "v:0").0),
        };
        let holds = shown == expected && telling && close(begins, late, 0.05);
        let right = format!("{expected} frames from {late:.2} s on, told");
        verdict(KEY, words, right, format!("{shown} frames from {begins:.2} s on: {note}"), holds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_between_key_frames_begins_at_the_first_one() {
    let rig = Rig::new().await;
    begins_with_key(&rig, "ts_midgop.ts", &field("ts_midgop.ts"), 25, 0.645).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_of_other_containers_and_codecs_begin_at_the_first_key_frame() {
    let rig = Rig::new().await;
    let x264 = "libx264 -preset ultrafast -bf 2 -g 25 -keyint_min 25 -sc_threshold 0";
    for (name, codec, more) in [
        ("cut.mkv", x264, "-f matroska"),
        ("cut.mp4", x264, "-f mp4"),
        ("cut.ts", "mpeg2video -q:v 2 -g 25 -sc_threshold 0x7fffffff -bf 2", "-f mpegts"),
        ("cut.flv", "libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -bf 0", "-f flv"),
        (
            "hevc.ts",
            "libx265 -preset ultrafast -x265-params keyint=25:min-keyint=25:scenecut=0:log-level=error",
            "-f mpegts",
        ),
    ] {
        let input = rig.clip(name);
        cut_out(&input, codec, more);
        let made = rig.make(&input, json!({"recipe": "compress", "crf": 30})).await;
        let made = made.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let shown = numbers(&made.path);
        // The group of MPEG-2 is open: what is shown before its key frame refers to what is not there.
        let first = if name == "cut.ts" { 27 } else { 25 };
        let holds = shown == (first..50).collect::<Vec<_>>() && told(&made).contains("first key frame");
        verdict(
            KEY,
            format!("{name}, compress"),
            format!("frames {first} to 49, told"),
            format!("{shown:?}: {}", told(&made)),
            holds,
        );
        // Picture and sound stay together: both end with the file.
        let ((picture, video), (sound, audio)) = (stretch(&made.path, "v:0"), stretch(&made.path, "a:0"));
        assert!(close(picture + video, sound + audio, 0.1), "{name}: {picture} + {video}, {sound} + {audio}");
    }
}

const DELAY: &str = "M31 AVI with B-frames";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_frame_of_an_avi_is_at_its_beginning() {
    let rig = Rig::new().await;
    let mut cases = vec![("c_mpeg4.avi".to_owned(), field("c_mpeg4.avi"), 100, false)];
    for (name, codec) in [
        ("two.avi", "mpeg4 -q:v 2 -bf 2"),
        ("three.avi", "mpeg4 -q:v 2 -bf 3"),
        ("xvid.avi", "mpeg4 -q:v 2 -bf 2 -vtag XVID -g 12"),
        ("h264.avi", "libx264 -preset ultrafast -bf 3"),
    ] {
        let path = rig.clip(name);
        numbered(&path, codec, "-c:a libmp3lame");
        cases.push((name.to_owned(), path, 50, true));
    }
    for (name, path, count, numbered) in cases {
        let whole = rig.make(&path, json!({"recipe": "compress", "crf": 30})).await;
        let whole = whole.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let begins = stretch(&whole.path, "v:0").0;
        let frames = numbers(&whole.path).len();
        let holds = begins < 0.03 && frames == count;
        verdict(
            DELAY,
            format!("{name}, compress"),
            format!("{count} frames from 0 s on"),
            format!("{frames} frames from {begins:.3} s on"),
            holds,
        );
        if !numbered {
            continue;
        }
        let all: Vec<u32> = (0..50).collect();
        for (value, expected) in [
            (json!({"recipe": "trim", "start_seconds": 1, "end_seconds": 1.4}), &all[25..35]),
            (json!({"recipe": "trim", "end_seconds": 0.2}), &all[..5]),
            (json!({"recipe": "convert", "format": "mp4", "frame_rate": 12.5}), &[][..]),
            (json!({"recipe": "thumbnail", "at_seconds": 1.5, "format": "png"}), &all[37..38]),
            (json!({"recipe": "thumbnail", "format": "png"}), &all[..1]),
        ] {
            let words = format!("{name}, {value}");
            let made = rig.make(&path, value.clone()).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
            let shown = numbers(&made.path);
            let even: Vec<u32> = all.iter().copied().filter(|number| number % 2 == 0).collect();
            let expected = if value["frame_rate"].is_null() { expected } else { &even };
            verdict(DELAY, words, format!("{expected:?}"), format!("{shown:?}"), shown == expected);
        }
    }
}

const TAKEN: &str = "MG6 bare streams and sound of other programs";

#[tokio::test(flavor = "multi_thread")]
async fn bare_streams_and_rarer_sound_are_taken() {
    let rig = Rig::new().await;
    let picture = "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -pix_fmt yuv420p";
    for (name, more) in [
        ("in.h264", "-c:v libx264 -preset ultrafast -f h264"),
        ("in.hevc", "-c:v libx265 -preset ultrafast -x265-params log-level=error -f hevc"),
        ("in.m4v", "-c:v mpeg4 -q:v 3 -f m4v"),
        ("in.m2v", "-c:v mpeg2video -f mpeg2video"),
        ("in.dv", "-c:v dvvideo -s 720x576 -f dv"),
        ("in.3gp", "-c:v h263 -s 352x288 -f 3gp"),
    ] {
        let input = rig.clip(name);
        ffmpeg(&format!("{picture} {more} {{}}"), &[&input]);
        for value in [json!({"recipe": "compress", "crf": 40}), json!({"recipe": "thumbnail"})] {
            let words = format!("{name}, {value}");
            let still = value["recipe"] == "thumbnail";
            let made = rig.make(&input, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
            let frames = made.receipt.info.video.as_ref().and_then(|video| video.frames).unwrap_or(0);
            let expected = if still { 1 } else { 50 };
            // A source that was smaller is kept.
            let kept = made.receipt.size_bytes == input.metadata().unwrap().len();
            let bounded = still || made.product.expect.frames.is_some() && made.product.expect.duration.is_some();
            let holds = (frames == expected || kept) && bounded;
            verdict(TAKEN, words, format!("{expected} frames"), format!("{frames} frames"), holds);
        }
    }
    let raw = rig.make(&field("raw.h264"), json!({"recipe": "compress"})).await.expect("made");
    let frames = numbers(&raw.path).len();
    let note = told(&raw);
    verdict(
        TAKEN,
        "raw.h264",
        "25 frames, rate told",
        format!("{frames} frames: {note}"),
        frames == 25 && note.contains("has no timestamps"),
    );
    for (name, more) in [
        ("in.w64", "-f w64"),
        ("in.au", "-f au"),
        ("in.dts", "-c:a dca -strict -2 -f dts"),
        ("in.ac3", "-f ac3"),
        ("in.eac3", "-f eac3"),
        ("in.tta", "-f tta"),
        ("in.wv", "-f wv"),
        ("in.caf", "-f caf"),
        ("in.aifc", "-c:a pcm_s16le -f aiff"),
        ("in.voc", "-c:a pcm_u8 -f voc"),
        ("in.mp2", "-f mp2"),
    ] {
        let input = rig.clip(name);
        ffmpeg(&format!("-f lavfi -i sine=f=440:r=48000:d=2 {more} {{}}"), &[&input]);
        let made = rig.make(&input, json!({"recipe": "convert", "format": "mp3"})).await;
        let made = made.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let seconds = made.receipt.info.duration_seconds.unwrap_or(0.0);
        let holds = close(seconds, 2.0, 0.15) && made.product.expect.duration.is_some();
        verdict(TAKEN, format!("{name}, convert to mp3"), "2.0 s", format!("{seconds:.2} s"), holds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_found_behind_junk() {
    let rig = Rig::new().await;
    let (clip, sound, adts) = (rig.clip("clip.ts"), rig.clip("sound.mp3"), rig.clip("sound.aac"));
    numbered(&clip, "libx264 -preset ultrafast", "-c:a mp2 -f mpegts");
    ffmpeg("-f lavfi -i sine=d=3 -write_xing 0 -id3v2_version 0 -f mp3 {}", &[&sound]);
    ffmpeg("-f lavfi -i sine=d=3 -f adts {}", &[&adts]);
    let behind = |whole: &Path, name: &str, lead: &[u8], from: usize| {
        let path = rig.clip(name);
        std::fs::write(&path, [lead, &std::fs::read(whole).unwrap()[from..]].concat()).unwrap();
        path
    };
    let tag = [&b"ID3\x04\0\0\0\0\0\x0A"[..], &[0; 10], &[0; 2000]].concat();
    for (kind, words, path, value, expected) in [
        ("MG1", "ts_lead.ts", field("ts_lead.ts"), json!({"recipe": "compress"}), 2.0),
        ("MG1", "a packet that was cut", behind(&clip, "a.ts", b"", 100), json!({"recipe": "compress"}), 2.0),
        ("MG1", "zeros before", behind(&clip, "b.ts", &[0; 1000], 0), json!({"recipe": "compress"}), 2.0),
        ("MG7", "mp3_zero_lead.mp3", field("mp3_zero_lead.mp3"), json!({"recipe": "convert", "format": "wav"}), 3.03),
        (
            "MG7",
            "an mp3 from within a frame",
            behind(&sound, "a.mp3", b"", 100),
            json!({"recipe": "convert", "format": "wav"}),
            3.0,
        ),
        (
            "MG7",
            "an mp3 behind a tag and zeros",
            behind(&sound, "b.mp3", &tag, 0),
            json!({"recipe": "convert", "format": "wav"}),
            3.0,
        ),
        (
            "MG7",
            "aac behind junk",
            behind(&adts, "c.aac", &[7; 500], 0),
            json!({"recipe": "convert", "format": "wav"}),
            3.0,
        ),
    ] {
        let made = rig.make(&path, value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let seconds = made.receipt.info.duration_seconds.unwrap_or(0.0);
        let kind = format!("{kind} a stream behind junk");
        verdict(kind, words, format!("{expected:.2} s"), format!("{seconds:.2} s"), close(seconds, expected, 0.12));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_in_bytes_needs_no_length_in_the_header() {
    let rig = Rig::new().await;
    let (live, fragments, bare) = (rig.clip("live.mkv"), rig.clip("fragments.mp4"), rig.clip("bare.h264"));
    let x264 = "libx264 -preset ultrafast -g 25";
    numbered(&live, x264, "-c:a aac -f matroska -live 1");
    numbered(&fragments, x264, "-c:a aac -movflags empty_moov+frag_keyframe -f mp4");
    ffmpeg("-f lavfi -i testsrc2=s=320x180:r=25:d=2 -c:v libx264 -preset ultrafast -f h264 {}", &[&bare]);
    for (name, input, most, seconds) in [
        ("mr.webm", field("mr.webm"), 20_000, 1.0),
        ("a live mkv", live, 30_000, 2.0),
        ("an mp4 in fragments", fragments, 30_000, 2.0),
        ("bare h264", bare, 30_000, 2.0),
    ] {
        let made = rig.make(&input, json!({"recipe": "compress", "max_bytes": most})).await;
        let made = made.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (bytes, measured) = (made.receipt.size_bytes, made.receipt.info.duration_seconds.unwrap_or(0.0));
        let holds = bytes <= most && close(measured, seconds, 0.15);
        let right = format!("at most {most} bytes, {seconds} s");
        verdict(
            "MG2 a size in bytes of a file without a length",
            name,
            right,
            format!("{bytes} bytes, {measured:.2} s"),
            holds,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_motion_is_taken() {
    let rig = Rig::new().await;
    for value in [
        json!({"recipe": "compress"}),
        json!({"recipe": "convert", "format": "mp4", "frame_rate": 30}),
        json!({"recipe": "trim", "end_seconds": 0.25}),
    ] {
        let words = format!("slo960.mp4, {value}");
        let made = rig.make(&field("slo960.mp4"), value).await.unwrap_or_else(|error| panic!("{words}: {error:?}"));
        let seconds = made.receipt.info.duration_seconds.unwrap_or(0.0);
        let expected = if words.contains("trim") { 0.25 } else { 0.5 };
        verdict(
            "MG5 slow motion",
            words,
            format!("{expected} s"),
            format!("{seconds:.3} s"),
            close(seconds, expected, 0.05),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_frames_are_not_enough() {
    let rig = Rig::new().await;
    let half = rig.clip("half.mp4");
    let (ts, mkv, avi, bare) = (rig.clip("in.ts"), rig.clip("in.mkv"), rig.clip("in.avi"), rig.clip("in.h264"));
    let x264 = "libx264 -preset ultrafast";
    numbered(&ts, x264, "-c:a mp2 -f mpegts");
    numbered(&mkv, x264, "-c:a aac -f matroska");
    numbered(&avi, "mpeg4 -bf 2", "-c:a libmp3lame");
    ffmpeg("-i {} -map 0:v -c copy -f h264 {}", &[&mkv, &bare]);
    for (name, input) in [("ts", ts), ("mkv", mkv), ("avi", avi), ("h264", bare), ("webm", field("mr.webm"))] {
        let source = rig.probe(&input).await.unwrap();
        let plan = rig.plan(&source, &[json!({"recipe": "compress"})], Damage::Strict);
        let product = &plan.steps[0].products[0];
        assert!(product.expect.frames.is_some(), "{name} has no bound");
        rig.run(&plan.steps[0], &input, &source).await.unwrap();
        let path = rig.scratch().join(&product.file_name);
        rig.toolbox
            .verify(&product.expect, &path, &rig.scratch())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        // The same length with every other frame.
        ffmpeg("-i {} -vf select=not(mod(n\\,2)) -fps_mode vfr -c:a copy -movflags +faststart {}", &[&path, &half]);
        let failed = rig.toolbox.verify(&product.expect, &half, &rig.scratch()).await;
        let Err(MediaError::Failed(failure)) = failed else { panic!("{name}: half of the frames pass") };
        let holds = failure.code == "output_invalid" && failure.message.contains("frames");
        verdict(
            "M9 frames are counted",
            format!("{name}, every other frame missing"),
            "output_invalid",
            failure.message,
            holds,
        );
    }
}
