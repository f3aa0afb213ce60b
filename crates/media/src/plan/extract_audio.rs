//! `extract_audio`: the sound alone, copied where the format takes it as it is.
//!
//! A part of it is copied by whole packets, so that it may begin and end a few hundredths of a second off; where it is
//! encoded it is cut to the sample.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{ExtractAudio, Format, LATEST_SECOND, Quality};

use super::{Design, Desk, Place, audio, timeline};
use crate::step::{AudioTrack, Passes, Window};

/// How far off a part that is copied may be, in seconds: a packet at either end.
const PACKETS: f64 = 0.25;
/// Containers in which a jump lands where it should, thanks to an index.
const INDEXED: &[&str] = &["mov", "matroska", "avi", "wav"];

pub(super) fn design(desk: &Desk<'_>, extract: &ExtractAudio) -> Result<Design, JobFailure> {
    let info = desk.audio()?;
    let usual = usual(&info.codec, extract.bare);
    let format = extract.format.or(usual).or(extract.fallback).unwrap_or(Format::Mp3);
    let part = part(desk, extract)?;
    let begins = part.map_or(0.0, |(start, _)| start);
    let indexed = INDEXED.contains(&desk.source.demuxer) && timeline::jumps_to(desk.source, begins);
    let copy = match extract.bitrate_kbps {
        Some(_) if extract.fallback.is_none() => audio::Copy::Never("bitrate requested"),
        _ if part.is_some() && !indexed => audio::Copy::Never("cut to the sample"),
        _ => audio::Copy::WhereItFits,
    };
    let wish = audio::Wish { format, copy, kbps: extract.bitrate_kbps, quality: Quality::Standard };
    let design = desk.sound(wish)?;
    let Some((start, length)) = part else { return Ok(design) };
    let track = design.making.as_ref().map_or(&AudioTrack::None, |making| &making.audio);
    // A copy begins with its first packet.
    let late = timeline::beginning(desk.source, false, true) - start;
    let expected = if *track == AudioTrack::Copy { length - late.clamp(0.0, length) } else { length };
    let mut duration = timeline::span(desk.source, Some(expected), format, None, track);
    let window = if indexed { Window::Jump { start, length } } else { Window::Walk { start, length } };
    if let (Some(span), AudioTrack::Copy) = (&mut duration, track) {
        span.tolerance += PACKETS;
    }
    Ok(Design { place: Place::Own(window, Passes::One), duration, ..design })
}

/// Where the part begins and how long it is; none for all of it.
fn part(desk: &Desk<'_>, extract: &ExtractAudio) -> Result<Option<(f64, f64)>, JobFailure> {
    if extract.start_seconds.is_none() && extract.duration_seconds.is_none() {
        return Ok(None);
    }
    let start = extract.start_seconds.unwrap_or(0.0);
    let end = timeline::end(desk.source, false, true).or(desk.source.info.duration_seconds);
    if let Some(end) = end.filter(|&end| start >= end) {
        let message = format!("start_seconds is {start}; the input is {end:.3} seconds long");
        return Err(JobFailure::request(Stage::Planning, "beyond_end", message));
    }
    let rest = end.map_or(LATEST_SECOND, |end| end - start);
    Ok(Some((start, extract.duration_seconds.map_or(rest, |length| length.min(rest)))))
}

/// The usual file of a codec, where it has one.
pub(super) fn usual(codec: &str, bare: bool) -> Option<Format> {
    let format = match codec {
        "mp3" => Format::Mp3,
        "aac" if bare => Format::Adts,
        "aac" => Format::Aac,
        "opus" => Format::Opus,
        "vorbis" => Format::Ogg,
        "flac" => Format::Flac,
        codec if codec.starts_with("pcm_") => Format::Wav,
        _ => return None,
    };
    Some(format)
}
