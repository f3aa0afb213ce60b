//! How long products will be and how many frames they will have: what verification holds them to.
//!
//! The promise is a duration within one frame plus 50 ms, and the number of frames where the source's is known. What
//! comes on top is not the media's but the format's: encoders that work in blocks of samples fill up the last block.

use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::Format;

use super::Damage;
use crate::probe::Source;
use crate::step::AudioTrack;
use crate::verify::{Frames, Span};

/// What the contract allows beside one frame, in seconds.
const SLACK: f64 = 0.05;

/// A frame at least this long is taken where nobody knows the rate.
const FALLBACK_RATE: f64 = 25.0;

/// Length of what is made of the picture and the sound, or of one of them, in seconds.
pub(super) fn length(source: &Source, with_video: bool, with_audio: bool) -> Option<f64> {
    let video = source.info.video.as_ref().filter(|_| with_video).map(|video| video.duration_seconds);
    let audio = source.info.audio.as_ref().filter(|_| with_audio).map(|audio| audio.duration_seconds);
    let known = match (video, audio) {
        (Some(video), Some(audio)) => video.zip(audio).map(|(video, audio)| video.max(audio)),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => None,
    };
    // The file's own length is that of its longest stream, which may be one that is left out.
    let alone = source.info.video.is_some() == with_video && source.info.audio.is_some() == with_audio;
    known.or(source.info.duration_seconds.filter(|_| alone || source.info.streams == 1))
}

/// The expected length with its tolerance, for a picture at that rate (its own where `Some(None)`) and that sound;
/// `None` where the source's own is a guess.
pub(super) fn span(
    source: &Source,
    seconds: Option<f64>,
    format: Format,
    video: Option<Option<f64>>,
    audio: &AudioTrack,
) -> Option<Span> {
    let seconds = seconds.filter(|_| source.measured && !source.still)?;
    let frame = match (&source.info.video, video) {
        (Some(info), Some(rate)) => {
            let own = info.frame_rate.unwrap_or(FALLBACK_RATE);
            let frame = 1.0 / own.min(rate.unwrap_or(own)).max(0.01);
            // The last frame of an uneven source may be shown for long; encoders do not carry how long. Where that
            // matters the number of frames is the sharper check.
            if info.variable_frame_rate { frame.max(1.0) } else { frame }
        }
        _ => 0.0,
    };
    let rate = f64::from(source.info.audio.as_ref().map_or(48_000, |audio| audio.sample_rate.max(8_000)));
    let blocks = match format {
        // Packets that are copied are as long as they were.
        Format::Mp4 | Format::Mov | Format::Mkv | Format::Webm if !matches!(audio, AudioTrack::Encode { .. }) => 0.0,
        // Two granules of 1152 samples, and the decoder's delay which some readers count.
        Format::Mp3 => 3.0 * 1152.0 / rate.min(48_000.0) + 0.05,
        Format::Mp4 | Format::Mov | Format::Mkv | Format::Aac | Format::Adts => 2.0 * 1024.0 / rate,
        // Packets of 20 ms, and 6.5 ms before the first sample.
        Format::Opus | Format::Ogg | Format::Webm => 0.0465,
        // Frames are counted in hundredths of a second.
        Format::Gif => 0.02,
        _ => 0.0,
    };
    // What is decoded ends with the last block that the source has of it.
    let decoded = matches!(audio, AudioTrack::Encode { .. } | AudioTrack::Joined { .. });
    let last = if decoded { f64::from(source.audio_block) / rate } else { 0.0 };
    Some(Span { seconds, tolerance: frame + SLACK + blocks + last })
}

/// The expected number of frames when all of the source's are kept, or come at `rate`.
pub(super) fn frames(source: &Source, video: &VideoInfo, rate: Option<f64>, damage: Damage) -> Option<Frames> {
    if damage == Damage::Salvage || !source.measured {
        return None;
    }
    let seconds = length(source, true, false);
    match rate {
        // The filter that evens frames out rounds at both ends.
        Some(rate) => seconds.filter(|_| !video.variable_frame_rate).map(|seconds| Frames {
            count: (seconds * rate).round().max(1.0) as u64,
            tolerance: 1 + (rate / video.frame_rate.unwrap_or(rate)).ceil() as u64,
        }),
        None => counted(source, video).map(|count| Frames { count, tolerance: 0 }),
    }
}

/// The number of frames of a source, where its container counts what will be shown. An edit list that leaves out
/// frames makes count and length disagree; AVI and others count what is not shown too.
fn counted(source: &Source, video: &VideoInfo) -> Option<u64> {
    let known = matches!(video.codec.as_str(), "h264" | "h265" | "vp9" | "av1" | "vp8" | "mjpeg" | "prores");
    let frames = video.frames.filter(|_| source.demuxer == "mov" && known)?;
    let expected = video.duration_seconds? * video.frame_rate?;
    ((expected - frames as f64).abs() < 0.6).then_some(frames)
}
