//! Video: times, tracks, packages.

use anyhow::Context as _;

use crate::commands::selftest::case::{Case, Input, Right};
use crate::commands::selftest::seen::{RATE, Seen};
use crate::commands::selftest::workshop::Workshop;

pub(super) const CASES: &[Case] = &[
    Case {
        group: "video",
        name: "A ladder from 240p to 1080p packages as HLS",
        file: "film.mp4",
        input: Input::Ffmpeg(
            "-f lavfi -i testsrc2=size=1920x1080:rate=25:duration=1 -f lavfi -i sine=duration=1 \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
        ),
        recipe: r#"{"recipe": "package", "type": "hls", "video": [
            {"height": 240, "quality": "economy"}, {"height": 360, "quality": "economy"}, {"height": 480, "quality": "economy"},
            {"height": 720, "quality": "economy"}, {"height": 1080, "quality": "economy"}]}"#,
        right: Right::Made {
            expected: "240: 25, 360: 25, 480: 25, 720: 25, 1080: 25",
            by: "frames of each rendition, decoded",
            got: ladder,
        },
    },
    Case {
        group: "video",
        name: "Joined transport streams play to their end",
        file: "joined.ts",
        input: Input::Built(joined),
        recipe: r#"{"recipe": "convert", "format": "mp4", "quality": "economy"}"#,
        right: Right::Made { expected: "50 frames, sound of 2 s", by: "frames and samples, decoded", got: to_the_end },
    },
    Case {
        group: "video",
        name: "A GIF of uneven video has no frame under 20 ms",
        file: "burst.mp4",
        input: Input::Ffmpeg(
            "-f lavfi -i testsrc2=size=160x90:rate=100:duration=2 -vf select='lt(mod(n\\,20)\\,3)' -fps_mode vfr \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 0 -video_track_timescale 1000",
        ),
        recipe: r#"{"recipe": "convert", "format": "gif"}"#,
        right: Right::Made { expected: "no frame under 20 ms", by: "the blocks of the file", got: shortest_frame },
    },
    Case {
        group: "video",
        name: "mkv to mkv keeps its further tracks and their languages",
        file: "film.mkv",
        input: Input::Built(tracks),
        recipe: r#"{"recipe": "convert", "format": "mkv", "quality": "economy"}"#,
        right: Right::Made {
            expected: "video, audio eng, audio spa, subtitle jpn",
            by: "ffprobe",
            got: |seen| seen.streams(),
        },
    },
];

fn ladder(seen: &Seen) -> anyhow::Result<String> {
    let master = String::from_utf8(seen.bytes()?).context("the playlist is not text")?;
    let playlists = master.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found =
        playlists.map(|path| seen.rendition(&seen.file_beside(path))).collect::<anyhow::Result<Vec<_>>>()?;
    found.sort_unstable();
    Ok(found.iter().map(|(height, frames)| format!("{height}: {frames}")).collect::<Vec<_>>().join(", "))
}

/// Two recordings one after the other in one file, as `cat` joins them: the clock starts again.
fn joined(workshop: &Workshop) -> anyhow::Result<Vec<u8>> {
    let one = workshop.film(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -f lavfi -i sine=duration=1 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a mp2 -shortest",
        "one.ts",
    )?;
    Ok([&one[..], &one].concat())
}

fn to_the_end(seen: &Seen) -> anyhow::Result<String> {
    // The frames of sound do not end with those of the picture.
    let seconds = seen.sound()?.len() as f64 / RATE as f64;
    Ok(format!("{} frames, sound of {seconds:.0} s", seen.frames()?))
}

/// GIF89a: the delay of each frame stands in its graphic control extension, in hundredths of a second.
fn shortest_frame(seen: &Seen) -> anyhow::Result<String> {
    let bytes = seen.bytes()?;
    let delays = bytes.windows(8).filter(|block| block.starts_with(&[0x21, 0xF9, 4]) && block[7] == 0);
    let shortest = delays.map(|block| u16::from_le_bytes([block[4], block[5]])).min().context("no GIF with frames")?;
    Ok(if shortest >= 2 { "no frame under 20 ms".to_owned() } else { format!("a frame of {} ms", 10 * shortest) })
}

fn tracks(workshop: &Workshop) -> anyhow::Result<Vec<u8>> {
    let words = workshop.room()?.join("words.srt");
    std::fs::write(&words, "1\n00:00:00,100 --> 00:00:00,900\nKonnichiwa\n")?;
    let place = words.to_string_lossy();
    workshop.film(
        &format!(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -f lavfi -i sine=duration=1 \
             -f lavfi -i sine=frequency=880:duration=1 -i {place} -map 0 -map 1 -map 2 -map 3 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -c:a aac -c:s srt -metadata:s:a:0 language=eng -metadata:s:a:1 language=spa \
             -metadata:s:s:0 language=jpn"
        ),
        "film.mkv",
    )
}
