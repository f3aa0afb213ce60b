//! The arguments that make ffmpeg encode and cut a package.
//!
//! # Source
//! <https://ffmpeg.org/ffmpeg-formats.html#dash-2> and `#hls-2`.

use std::ffi::OsString;

use reelhook_domain::recipe::SegmentFormat;

use super::{MANIFEST, MASTER, PackageExpectation, Packaging, TrackExpectation};
use crate::spell::seconds;

/// Options of an encoder that hold for all streams, as options of the picture with that number: `-crf` and `-tag:v`
/// become `-crf:v:1` and `-tag:v:1`. They come in pairs.
pub(crate) fn numbered(options: &[OsString], number: usize) -> Vec<String> {
    let pair = |(place, word): (usize, &OsString)| {
        let word = word.to_string_lossy();
        if place % 2 == 0 { format!("{}:v:{number}", word.trim_end_matches(":v")) } else { word.into_owned() }
    };
    options.iter().enumerate().map(pair).collect()
}

/// The muxer with its options and the file that it begins with.
pub(crate) fn muxer(packaging: &Packaging, expect: &PackageExpectation) -> Vec<String> {
    match expect.segment_format {
        SegmentFormat::Fmp4 => dash(packaging, expect),
        SegmentFormat::Ts => hls(expect),
    }
}

fn dash(packaging: &Packaging, expect: &PackageExpectation) -> Vec<String> {
    let length = seconds(expect.segment_seconds - packaging.early);
    [
        // It would choose WebM for VP9 alone, which no playlist can name.
        "-f",
        "dash",
        "-dash_segment_type",
        "mp4",
        "-seg_duration",
        &length,
        "-use_template",
        "1",
        "-use_timeline",
        "1",
        "-hls_playlist",
        "1",
        "-hls_master_name",
        MASTER,
        "-init_seg_name",
        "init-$RepresentationID$.mp4",
        "-media_seg_name",
        "seg-$RepresentationID$-$Number%05d$.m4s",
        "-adaptation_sets",
        &sets(&expect.tracks),
        &format!("file:{MANIFEST}"),
    ]
    .map(str::to_owned)
    .into()
}

/// One set for each rendition: the muxer refuses two in one set whose shapes differ by as little as sides that were
/// rounded to whole pixels. [`super::manifest`] joins those that players may switch between.
fn sets(tracks: &[TrackExpectation]) -> String {
    (0..tracks.len()).map(|number| format!("id={number},streams={number}")).collect::<Vec<_>>().join(" ")
}

fn hls(expect: &PackageExpectation) -> Vec<String> {
    // Times of transport streams are whole ticks of 11 microseconds; the sound is cut at the same times.
    let length = format!("{:.6}", expect.segment_seconds - 0.000_02);
    let pictures = expect.tracks.iter().filter(|track| track.video.is_some()).count();
    let has_sound = pictures < expect.tracks.len();
    let group = if has_sound { ",agroup:audio" } else { "" };
    let mut variants: Vec<_> = (0..pictures).map(|number| format!("v:{number}{group}")).collect();
    if has_sound {
        variants.push(format!("a:0{group},default:yes"));
    }
    // Names without `file:`, which would be carried into the playlists.
    [
        "-f",
        "hls",
        "-hls_time",
        &length,
        "-hls_segment_type",
        "mpegts",
        "-hls_playlist_type",
        "vod",
        "-hls_list_size",
        "0",
        "-master_pl_name",
        MASTER,
        "-var_stream_map",
        &variants.join(" "),
        "-hls_segment_filename",
        "seg-%v-%05d.ts",
        "media_%v.m3u8",
    ]
    .map(str::to_owned)
    .into()
}
