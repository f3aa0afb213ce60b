//! How long products will be and how many frames they will have: what verification holds them to.
//!
//! The promise is a duration within one frame plus 50 ms, and the number of frames where the source's is known. What
//! comes on top is not the media's but the format's: encoders that work in blocks of samples fill up the last block.

use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::Format;

use super::Damage;
use crate::packets::is_untimed;
use crate::probe::Source;
use crate::spell::{on_file_time, seconds};
use crate::step::{AudioTrack, StreamPlan};
use crate::verify::{Frames, Span};

/// What the contract allows beside one frame, in seconds.
const SLACK: f64 = 0.05;

/// What a jump of the clock may add or take, in seconds.
const JOINT: f64 = 0.3;

/// A frame at least this long is taken where nobody knows the rate.
const FALLBACK_RATE: f64 = 25.0;

/// Containers in which a jump lands where it should, thanks to an index.
const INDEXED: &[&str] = &["mov", "matroska", "avi"];

/// Whether a jump in the source lands at the picture that it is meant for.
pub(super) fn jumps(source: &Source) -> bool {
    INDEXED.contains(&source.demuxer) && !source.delayed_picture
}

/// The filters that every picture of the source passes first.
pub(crate) fn first_filters(source: &Source) -> Vec<String> {
    let mut filters = Vec::new();
    if source.unshown_frames > 0 {
        // From the first key frame on; a register remembers that there was one.
        filters.push("select=gt(st(0\\,ld(0)+key)\\,0)".to_owned());
    }
    if source.delayed_picture {
        filters.push(on_file_time("setpts", &seconds(source.video_start)));
    }
    filters
}

/// What becomes of the streams, with what is to be told about how the picture is read.
pub(super) fn told(source: &Source, mut streams: Vec<StreamPlan>) -> Vec<StreamPlan> {
    let mut notes = Vec::new();
    match source.unshown_frames {
        0 => {}
        1 => notes.push("begins at its first key frame: 1 frame before it cannot be shown".to_owned()),
        more => notes.push(format!("begins at its first key frame: {more} frames before it cannot be shown")),
    }
    match source.clock_jumps {
        0 => {}
        1 => notes.push("the clock jumps once; both parts are joined".to_owned()),
        more => notes.push(format!("the clock jumps {more} times; all parts are joined")),
    }
    if let (true, Some(rate)) =
        (is_untimed(source.demuxer), source.info.video.as_ref().and_then(|video| video.frame_rate))
    {
        notes.push(format!("the stream has no timestamps: {} frames per second", seconds(rate)));
    }
    let is_made = |plan: &&mut StreamPlan| plan.stream == "video" && matches!(&*plan.action, "encode" | "copy");
    for plan in streams.iter_mut().filter(|plan| is_made(plan)) {
        for note in &notes {
            plan.reason += &format!("; {note}");
        }
    }
    streams
}

/// Whether a jump to that second lands there for the sound too: before the first picture it would land at it.
pub(super) fn jumps_to(source: &Source, second: f64) -> bool {
    source.info.video.is_none() || second >= source.video_start
}

/// Where a stream begins and ends in the file, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    begins: f64,
    ends: f64,
}

/// The stretches of the picture and the sound, or of one of them; `None` where one does not tell.
fn stretches(source: &Source, with_video: bool, with_audio: bool) -> Option<Vec<Stretch>> {
    let video = source.info.video.as_ref().filter(|_| with_video);
    let audio = source.info.audio.as_ref().filter(|_| with_audio);
    let lengths = [
        video.map(|video| (source.video_start, video.duration_seconds)),
        audio.map(|audio| (source.audio_start, audio.duration_seconds)),
    ];
    let stretch = |(begins, length): (f64, Option<f64>)| length.map(|length| Stretch { begins, ends: begins + length });
    let known: Option<Vec<Stretch>> = lengths.into_iter().flatten().map(stretch).collect();
    known.filter(|known| !known.is_empty())
}

/// Where the last of the picture and the sound ends, or one of them, in seconds from the beginning of the file.
pub(super) fn end(source: &Source, with_video: bool, with_audio: bool) -> Option<f64> {
    let ends = |known: Vec<Stretch>| known.iter().map(|stretch| stretch.ends).reduce(f64::max);
    stretches(source, with_video, with_audio).and_then(ends).or_else(|| own_length(source, with_video, with_audio))
}

/// Where the first of them begins, in seconds from the beginning of the file.
pub(super) fn beginning(source: &Source, with_video: bool, with_audio: bool) -> f64 {
    let video = source.info.video.as_ref().filter(|_| with_video).map(|_| source.video_start);
    let audio = source.info.audio.as_ref().filter(|_| with_audio).map(|_| source.audio_start);
    [video, audio].into_iter().flatten().reduce(f64::min).unwrap_or(0.0)
}

/// Length of what is made of the picture and the sound, or of one of them, in seconds: from where the first begins to
/// where the last ends.
pub(super) fn length(source: &Source, with_video: bool, with_audio: bool) -> Option<f64> {
    let end = |known: Vec<Stretch>| known.iter().map(|stretch| stretch.ends).reduce(f64::max);
    let measured = stretches(source, with_video, with_audio).and_then(end);
    let measured = measured.map(|end| end - beginning(source, with_video, with_audio));
    measured.or_else(|| own_length(source, with_video, with_audio))
}

/// The file's own length, which is that of all its streams together: one of them may be left out.
fn own_length(source: &Source, with_video: bool, with_audio: bool) -> Option<f64> {
    let alone = source.info.video.is_some() == with_video && source.info.audio.is_some() == with_audio;
    source.info.duration_seconds.filter(|_| alone || source.info.streams == 1)
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
            match format {
                _ if !info.variable_frame_rate => frame,
                // A GIF has a time for each frame, and its last one is shown as long as the one before.
                Format::Gif => frame.max((seconds * 0.12).min(1.0)),
                _ => frame.max(1.0),
            }
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
    // Picture and sound stop at different places before each joint, and go on together after it.
    let joints = f64::from(source.clock_jumps) * JOINT;
    Some(Span { seconds, tolerance: frame + SLACK + blocks + last + joints })
}

/// The expected number of frames when all of the source's are kept, or come at `rate`. Exact where the container counts
/// what will be shown, else near enough to notice what is missing.
pub(super) fn frames(source: &Source, video: &VideoInfo, rate: Option<f64>, damage: Damage) -> Option<Frames> {
    if damage == Damage::Salvage || !source.measured || source.still {
        return None;
    }
    let seconds = length(source, true, false);
    let even = !video.variable_frame_rate && source.clock_jumps == 0;
    match rate {
        // The filter that evens frames out rounds at both ends.
        Some(rate) if even => seconds.map(|seconds| Frames {
            count: (seconds * rate).round().max(1.0) as u64,
            tolerance: 1 + (rate / video.frame_rate.unwrap_or(rate)).ceil() as u64,
        }),
        // The last of uneven frames may be shown for long.
        Some(rate) => seconds.map(|seconds| roughly((seconds * rate).round().max(1.0) as u64, rate, rate as u64)),
        None => {
            counted(source, video).map(|count| Frames { count, tolerance: 0 }).or_else(|| estimated(video, seconds))
        }
    }
}

/// About that many frames: pictures that refer to what comes before the beginning are dropped, some are not meant to be
/// shown, and some fall on the same time. `more` are allowed beside.
fn roughly(count: u64, rate: f64, more: u64) -> Frames {
    let share = count / 8;
    Frames { count, tolerance: 2 + share + share.min((rate / 4.0) as u64) + more.min(count / 4) }
}

/// The number of frames as they were counted, or else by length and rate.
fn estimated(video: &VideoInfo, seconds: Option<f64>) -> Option<Frames> {
    let rate = video.frame_rate.unwrap_or(FALLBACK_RATE);
    let by_length = seconds.zip(video.frame_rate).filter(|_| !video.variable_frame_rate);
    let count = video.frames.or_else(|| by_length.map(|(seconds, rate)| (seconds * rate).round() as u64))?;
    (count > 0).then(|| roughly(count, rate, 0))
}

/// The number of frames of a source, where its container counts what will be shown. An edit list that leaves out
/// frames makes count and length disagree; AVI and others count what is not shown too.
fn counted(source: &Source, video: &VideoInfo) -> Option<u64> {
    let known = matches!(video.codec.as_str(), "h264" | "h265" | "vp9" | "av1" | "vp8" | "mjpeg" | "prores");
    let exact = source.demuxer == "mov" && known && source.unshown_frames == 0;
    let frames = video.frames.filter(|_| exact)?;
    let expected = video.duration_seconds? * video.frame_rate?;
    ((expected - frames as f64).abs() < 0.6).then_some(frames)
}
