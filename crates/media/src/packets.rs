//! When the packets of an input are read, and what they correct about it.
//!
//! Reading a file through costs as much as copying it, so it is done only where the container leaves something open: its
//! length, its number of frames, or whether its clock can be believed. Whether the first frame is a key frame is told by
//! the first packets.

use reelhook_domain::media::VideoInfo;

use crate::probe::{Look, Source};
use crate::report::Report;
use crate::survey::{Survey, Walk};

/// Which packets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// All.
    Whole,
    /// The first ones of that stream.
    Beginning(u32),
}

/// How many packets of the picture are looked at for a key frame.
pub(crate) const BEGINNING: &str = "%+#600";

/// Containers that say of each packet whether it is a key frame, and are believed.
const TELL_KEYS: &[&str] = &["mpegts", "mpeg", "matroska", "mov", "flv"];
/// Containers whose clock jumps.
const JUMPING: &[&str] = &["mpegts", "mpeg"];
/// Streams of pictures that hold no times.
const UNTIMED: &[&str] = &["h264", "hevc", "m4v", "mpegvideo"];

/// Whether a bare stream of pictures leaves open when each is shown.
pub(crate) fn is_untimed(demuxer: &str) -> bool {
    UNTIMED.contains(&demuxer)
}

/// Which packets have to be read, if any.
pub(crate) fn needed(look: &Look, source: &Source, report: &Report) -> Option<Needed> {
    if source.still || matches!(source.demuxer, "gif" | "apng") {
        return None;
    }
    let (video, audio) = (source.info.video.as_ref(), source.info.audio.as_ref());
    let untold = |known: Option<f64>| known.is_none();
    let length_untold = video.is_some_and(|video| untold(video.duration_seconds))
        || audio.is_some_and(|audio| untold(audio.duration_seconds));
    let frames_untold = video.is_some_and(|video| match source.demuxer {
        // It counts what is not shown, too.
        "avi" => true,
        // An edit list leaves frames out.
        "mov" => !agrees(video),
        _ => video.frames.is_none() && video.variable_frame_rate,
    });
    let whole = JUMPING.contains(&source.demuxer) || is_untold(look) || length_untold || frames_untold;
    if whole {
        return Some(Needed::Whole);
    }
    let picture = source.video_index.filter(|_| TELL_KEYS.contains(&source.demuxer))?;
    (report.begins_with_key(picture) == Some(false)).then_some(Needed::Beginning(picture))
}

/// Whether what ffprobe says of the length is a guess.
fn is_untold(look: &Look) -> bool {
    look.is_fragmented() || look.open_wave || !look.kind.measured
}

/// Whether the number of frames, the length and the rate go together.
fn agrees(video: &VideoInfo) -> bool {
    let expected = video.duration_seconds.zip(video.frame_rate).map(|(seconds, rate)| seconds * rate);
    expected.zip(video.frames).is_some_and(|(expected, frames)| (expected - frames as f64).abs() < 0.6)
}

/// Corrects `source` by what its packets tell; without any, what cannot be believed is left out.
pub(crate) fn apply(
    source: &mut Source,
    look: &Look,
    report: &Report,
    needed: Option<Needed>,
    survey: Option<&Survey>,
) {
    let Some(needed) = needed else { return };
    let jumping = JUMPING.contains(&source.demuxer);
    let Some(survey) = survey else {
        source.measured &= !jumping && !is_untold(look);
        return;
    };
    let walk = |index: Option<u32>| index.and_then(|index| survey.of(index)).copied();
    let (picture, sound) = (walk(source.video_index), walk(source.audio_index));
    if needed == Needed::Whole {
        let all = Lengths { override_told: jumping || is_untold(look), guessed: !look.kind.measured };
        all.of_picture(source, picture.as_ref());
        all.of_sound(source, sound.as_ref());
        all.of_file(source);
        source.measured = true;
        source.clock_jumps = [picture, sound].iter().flatten().map(|walk| walk.jumps).max().unwrap_or(0);
    }
    if let Some(walk) = picture.filter(|_| TELL_KEYS.contains(&source.demuxer)) {
        begin_with_key(source, report, &walk);
    }
}

/// How lengths that were measured are taken over.
struct Lengths {
    /// Whether what the container tells is not believed.
    override_told: bool,
    /// Whether times are guessed from a bit rate.
    guessed: bool,
}

impl Lengths {
    fn of_picture(&self, source: &mut Source, walk: Option<&Walk>) {
        let Some(video) = &mut source.info.video else { return };
        let Some(walk) = walk else {
            // There is nothing in it.
            video.frames = Some(0);
            return;
        };
        let untimed = is_untimed(source.demuxer);
        let counted = video.frame_rate.filter(|_| untimed).map(|rate| walk.packets as f64 / rate);
        let seconds = counted.or_else(|| walk.seconds());
        if self.override_told || video.duration_seconds.is_none() {
            video.duration_seconds = seconds;
        }
        video.frames = Some(frames(video, walk));
    }

    fn of_sound(&self, source: &mut Source, walk: Option<&Walk>) {
        let (Some(audio), Some(walk)) = (&mut source.info.audio, walk) else { return };
        if self.override_told || audio.duration_seconds.is_none() {
            // The times of a bare stream are guessed from its bit rate; each of its packets is as long as it is.
            let bare = source.info.video.is_none() && self.guessed && walk.lengths > 0.0;
            audio.duration_seconds = if bare { Some(walk.lengths) } else { walk.seconds() };
        }
    }

    fn of_file(&self, source: &mut Source) {
        if !self.override_told && source.info.duration_seconds.is_some() {
            return;
        }
        let video = source.info.video.as_ref().and_then(|video| video.duration_seconds);
        let audio = source.info.audio.as_ref().and_then(|audio| audio.duration_seconds);
        let ends =
            [video.map(|seconds| source.video_start + seconds), audio.map(|seconds| source.audio_start + seconds)];
        source.info.duration_seconds = ends.into_iter().flatten().reduce(f64::max).or(source.info.duration_seconds);
    }
}

/// How many frames come out of so many packets: some streams have a packet for each field.
fn frames(video: &VideoInfo, walk: &Walk) -> u64 {
    let by_rate = video.frame_rate.zip(walk.seconds()).map(|(rate, seconds)| rate * seconds);
    match by_rate {
        Some(by_rate) if !video.variable_frame_rate && by_rate >= 1.0 && walk.packets as f64 > by_rate * 1.5 => {
            by_rate.round() as u64
        }
        _ => walk.packets,
    }
}

/// Leaves out what comes before the first key frame, as players do: it cannot be shown.
fn begin_with_key(source: &mut Source, report: &Report, walk: &Walk) {
    let Some(unshown) = walk.before_key.filter(|&unshown| unshown > 0) else { return };
    source.unshown_frames = unshown;
    source.lenient = true;
    let (Some(key), Some(begins)) = (walk.key, walk.begins) else { return };
    let late = (key - begins).max(0.0);
    source.video_start = (key - report.format.start_seconds()).max(0.0);
    if let Some(video) = &mut source.info.video {
        video.duration_seconds = video.duration_seconds.map(|seconds| (seconds - late).max(0.0));
        video.frames = video.frames.map(|frames| frames.saturating_sub(unshown));
    }
}
