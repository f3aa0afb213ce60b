//! `normalize_audio`: what comes out is measured by ffmpeg's `loudnorm`, whose code is another than that of `ebur128`.

use std::path::Path;

use reelhook_testkit::{field, verdict};
use serde_json::json;

use crate::clips::{ffmpeg, numbered, picture_begins, times, tool};
use crate::rig::{Made, Rig};

const KIND: &str = "Loudness";

/// Integrated loudness in LUFS and true peak in dBTP.
fn measured(path: &Path) -> (f64, f64) {
    let filter = "loudnorm=print_format=json";
    let arguments = ["-nostdin", "-nostats", "-i", "{}", "-map", "0:a:0", "-af", filter, "-f", "null", "-"];
    let said = String::from_utf8(tool("ffmpeg", &arguments, &[path]).stderr).expect("ffmpeg prints text");
    let value = |key: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{key}\" : \"")));
        line.expect("a value").trim_end_matches(['"', ',']).parse().unwrap_or(f64::NEG_INFINITY)
    };
    (value("input_i"), value("input_tp"))
}

/// What ffprobe tells of the sound.
fn sound(path: &Path, entries: &str) -> String {
    let entries = format!("stream={entries}");
    let arguments = ["-v", "error", "-select_streams", "a:0", "-show_entries", &entries, "-of", "csv=p=0", "{}"];
    String::from_utf8_lossy(&tool("ffprobe", &arguments, &[path]).stdout).trim().to_owned()
}

/// A hash of the packets of the picture.
fn packets(path: &Path) -> Vec<u8> {
    ffmpeg("-i {} -map 0:v:0 -c copy -f streamhash -hash md5 -", &[path]).stdout
}

/// A product is where it should be, and the receipt says so.
fn is_at(made: &Made, source: &str, (target, cap): (f64, f64)) {
    let (lufs, peak) = measured(&made.path);
    let receipt = made.receipt.loudness.expect("a loudness");
    let told = receipt.after.lufs.expect("sound");
    let holds = (lufs - target).abs() <= 0.7 && peak <= cap + 0.5 && (told - lufs).abs() < 0.3;
    let expected = format!("{target} LUFS +- 0.7, true peak at most {cap} dBTP + 0.5");
    verdict(KIND, source, expected, format!("{lufs} LUFS, true peak {peak} dBTP"), holds);
    assert!(made.receipt.checks.iter().any(|check| check.name == "loudness" && check.passed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_keeps_its_picture_and_its_sound_gets_the_loudness() {
    let rig = Rig::new().await;
    let input = rig.clip("in.mp4");
    numbered(&input, "libx264 -preset ultrafast -pix_fmt yuv420p", "-c:a aac -ar 44100 -af volume=-10dB -f mp4");
    let made = rig.make(&input, json!({"recipe": "normalize_audio"})).await.expect("made");
    is_at(&made, "an mp4 with a soft tone", (-16.0, -1.5));
    assert_eq!(packets(&made.path), packets(&input));
    assert_eq!(sound(&made.path, "codec_name,sample_rate"), "aac,44100");
    let before = made.receipt.loudness.expect("a loudness").before.lufs.expect("sound");
    assert!((before - measured(&input).0).abs() < 0.3, "{before}");
    assert_eq!(made.product.streams[0].action, "copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn peaks_in_the_way_are_held_below_the_cap() {
    let rig = Rig::new().await;
    // Soft noise with a click every half second, whose peaks are 26 dB over it.
    let clicks = "aevalsrc=0.02*(random(0)*2-1)+0.95*lt(mod(t\\,0.5)\\,0.002)*sin(1400*t):s=44100:d=8";
    for (name, encode) in [
        ("in.wav", "-c:a pcm_s24le"),
        ("in.mp3", "-c:a libmp3lame -b:a 192k"),
        ("in.opus", "-ar 48000 -c:a libopus"),
        ("in.flac", "-ac 2 -ar 96000"),
    ] {
        let input = rig.clip(name);
        ffmpeg(&format!("-f lavfi -i {clicks} {encode} {{}}"), &[&input]);
        let aim = json!({"recipe": "normalize_audio", "target_lufs": -14, "true_peak_dbtp": -2});
        let made = rig.make(&input, aim).await.expect("made");
        is_at(&made, &format!("clicks over noise in {name}"), (-14.0, -2.0));
        assert_eq!(sound(&made.path, "sample_rate"), sound(&input, "sample_rate"), "{name}");
        assert_eq!(made.path.extension().and_then(|end| end.to_str()), name.split_once('.').map(|(_, end)| end));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_of_silence_and_little_of_a_short_sound() {
    let rig = Rig::new().await;
    let input = rig.clip("silent.wav");
    ffmpeg("-f lavfi -i anullsrc=r=48000:cl=stereo:d=3 {}", &[&input]);
    let made = rig.make(&input, json!({"recipe": "normalize_audio"})).await.expect("made");
    let samples = ffmpeg("-i {} -f s16le -", &[&made.path]).stdout;
    let holds = samples.iter().all(|&byte| byte == 0) && samples.len() == 3 * 48_000 * 4;
    verdict(KIND, "three seconds of silence", "silence", format!("{} bytes of samples", samples.len()), holds);
    let loudness = made.receipt.loudness.expect("a loudness");
    assert_eq!((loudness.before.lufs, loudness.after.lufs), (None, None));

    let input = rig.clip("short.wav");
    ffmpeg("-f lavfi -i sine=frequency=700:sample_rate=48000:duration=0.15 {}", &[&input]);
    let made = rig.make(&input, json!({"recipe": "normalize_audio"})).await.expect("made");
    let samples = ffmpeg("-i {} -f s16le -", &[&made.path]).stdout;
    let peak = samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs()).max();
    let peak = 20.0 * (f64::from(peak.expect("samples")) / 32768.0).log10();
    let holds = (-20.0..=-1.0).contains(&peak) && samples.len() == 7200 * 2;
    verdict(KIND, "a beep of 0.15 s", "a peak between -20 and -1 dB, 7200 samples", format!("{peak:.1} dB"), holds);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aim_that_is_out_of_reach_is_as_loud_as_peaks_let_it_be() {
    let rig = Rig::new().await;
    let input = rig.clip("in.flac");
    ffmpeg("-f lavfi -i aevalsrc=0.9*lt(mod(t\\,1)\\,0.0005):s=48000:d=6 {}", &[&input]);
    let made = rig.make(&input, json!({"recipe": "normalize_audio", "target_lufs": -5})).await.expect("made");
    let (lufs, peak) = measured(&made.path);
    let holds = lufs < -6.0 && (-2.5..=-1.0).contains(&peak);
    verdict(
        KIND,
        "clicks alone, -5 LUFS asked",
        "softer, peaks at the cap",
        format!("{lufs} LUFS, {peak} dBTP"),
        holds,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_comes_to_the_loudness() {
    let rig = Rig::new().await;
    for (name, format) in
        [("voice_8000.m4a", None), ("a24.aiff", None), ("a32f.wav", Some("flac")), ("a32f.wav", Some("mp3"))]
    {
        let mut recipe = json!({"recipe": "normalize_audio", "target_lufs": -20});
        if let Some(format) = format {
            recipe["format"] = json!(format);
        }
        let made = rig.make(&field(name), recipe).await.expect("made");
        is_at(&made, name, (-20.0, -1.5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_as_they_were() {
    let rig = Rig::new().await;
    let input = rig.clip("six.mkv");
    let channels = "0.05*sin(2500*t)|0.05*sin(2600*t)|0.1*sin(2700*t)|0|0.03*sin(2800*t)|0.03*sin(2900*t)";
    ffmpeg(&format!("-f lavfi -i aevalsrc={channels}:c=5.1:d=5 -c:a flac {{}}"), &[&input]);
    let made = rig.make(&input, json!({"recipe": "normalize_audio", "format": "flac"})).await.expect("made");
    is_at(&made, "six channels to six", (-16.0, -1.5));
    assert_eq!(sound(&made.path, "channels"), "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_sound_stays_late_and_what_lies_beside_it_stays() {
    let rig = Rig::new().await;
    for name in ["alate.mkv", "alate.mp4", "vlate.mp4"] {
        let input = field(name);
        let made = rig.make(&input, json!({"recipe": "normalize_audio"})).await.expect("made");
        let begins = |path: &Path| {
            let first: f64 = sound(path, "start_time").split(',').next().unwrap_or("").parse().expect("a start");
            first - times(path, "packet=pts_time").first().expect("a picture") + picture_begins(path)
        };
        let (before, after) = (begins(&input), begins(&made.path));
        let holds = (before - after).abs() < 0.05 && packets(&made.path) == packets(&input);
        verdict(KIND, name, format!("sound begins at {before:.3} s, picture copied"), format!("{after:.3} s"), holds);
    }

    let made = rig.make(&field("book.m4b"), json!({"recipe": "normalize_audio"})).await.expect("made");
    is_at(&made, "book.m4b", (-16.0, -1.5));
    let chapters = |path: &Path| {
        let said = tool("ffprobe", &["-v", "error", "-show_chapters", "-of", "csv", "{}"], &[path]).stdout;
        String::from_utf8_lossy(&said).lines().count()
    };
    assert!(chapters(&field("book.m4b")) > 0);
    assert_eq!(chapters(&made.path), chapters(&field("book.m4b")));
    let made = rig.make(&field("multi_sub.mkv"), json!({"recipe": "normalize_audio"})).await.expect("made");
    // Which of them is the one that is heard, its flags say; the others are copied.
    let loudness = |index: usize| {
        let one = rig.clip("one.wav");
        ffmpeg(&format!("-i {{}} -map 0:a:{index} {{}}"), &[&made.path, &one]);
        measured(&one).0
    };
    let sounds = made.product.streams.iter().filter(|stream| stream.stream == "audio").count();
    let there: Vec<f64> = (0..sounds).map(loudness).collect();
    let leveled = there.iter().filter(|lufs| (*lufs + 16.0).abs() <= 0.7).count();
    verdict(KIND, "one of several sounds", "one at -16 LUFS", format!("{there:?}"), sounds > 1 && leveled == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_by_name() {
    let rig = Rig::new().await;
    let input = rig.clip("in.webm");
    numbered(&input, "libvpx-vp9 -deadline realtime -cpu-used 8", "-c:a libopus -f webm");
    let failure = rig.fail(&input, json!({"recipe": "normalize_audio", "format": "mov"})).await;
    assert_eq!(failure.code, "invalid_request");
    assert!(failure.message.contains("format is mov; the video is vp9"), "{}", failure.message);
    let made = rig.make(&input, json!({"recipe": "normalize_audio"})).await.expect("made");
    is_at(&made, "a webm", (-16.0, -1.5));
    let mute = rig.clip("mute.mp4");
    ffmpeg("-f lavfi -i color=s=64x64:d=1 -c:v libx264 {}", &[&mute]);
    assert_eq!(rig.fail(&mute, json!({"recipe": "normalize_audio"})).await.code, "no_audio_stream");
    // Packets of AVI have no times of their own.
    let old = rig.clip("in.avi");
    numbered(&old, "mpeg4 -q:v 4", "-c:a libmp3lame -f avi");
    let made = rig.make(&old, json!({"recipe": "normalize_audio"})).await.expect("made");
    is_at(&made, "an avi", (-16.0, -1.5));
}
