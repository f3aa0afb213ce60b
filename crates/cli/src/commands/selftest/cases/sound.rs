//! Sound: all of it, at its time, in its depth.

use crate::commands::selftest::case::{Case, Input, Right};
use crate::commands::selftest::seen::Seen;
use crate::commands::selftest::workshop::Workshop;

pub(super) const CASES: &[Case] = &[
    Case {
        group: "sound",
        name: "A WAV that was written to a pipe is whole",
        file: "recording.wav",
        input: Input::Built(piped),
        recipe: r#"{"recipe": "convert", "format": "flac"}"#,
        right: Right::Made { expected: "1.0 s", by: "samples, decoded", got: |seen| seen.sound_seconds() },
    },
    Case {
        group: "sound",
        name: "24-bit AIFF as WAV stays 24 bit",
        file: "master.aiff",
        input: Input::Ffmpeg("-f lavfi -i sine=duration=1:sample_rate=48000 -c:a pcm_s24be"),
        recipe: r#"{"recipe": "convert", "format": "wav"}"#,
        right: Right::Made { expected: "pcm_s24le, 1.0 s", by: "ffprobe, samples", got: depth },
    },
    Case {
        group: "sound",
        name: "Sound that begins late and ends after the picture stays late",
        file: "late.mp4",
        input: Input::Ffmpeg(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -itsoffset 0.5 \
             -f lavfi -i aevalsrc=0.5*sin(2000*t):duration=2.5:sample_rate=48000 \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
        ),
        recipe: r#"{"recipe": "convert", "format": "mp4", "quality": "economy"}"#,
        right: Right::Made { expected: "heard from 0.5 s", by: "samples, decoded", got: late },
    },
];

/// What a program writes that cannot go back and say how long it became: a second of a tone, and sizes that mean unknown.
#[expect(clippy::unnecessary_wraps, reason = "all inputs are built alike")]
fn piped(_: &Workshop) -> anyhow::Result<Vec<u8>> {
    let mut wav = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend([48_000_u32.to_le_bytes(), 96_000_u32.to_le_bytes(), [2, 0, 16, 0]].concat());
    wav.extend(b"data\xFF\xFF\xFF\xFF");
    // A triangle of 240 Hz.
    wav.extend((0..48_000_i32).flat_map(|at| (((at % 200 - 100).abs() - 50) * 200).to_le_bytes()[..2].to_vec()));
    Ok(wav)
}

fn depth(seen: &Seen) -> anyhow::Result<String> {
    let told = seen.probe("-select_streams a:0 -show_streams")?;
    Ok(format!("{}, {}", told["streams"][0]["codec_name"].as_str().unwrap_or("unknown"), seen.sound_seconds()?))
}

fn late(seen: &Seen) -> anyhow::Result<String> {
    Ok(format!("heard from {}", seen.sound_begins()?))
}
