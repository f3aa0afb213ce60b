//! `trim`: a part of the source, cut to the frame.
//!
//! Both streams are encoded: a copy could begin at key frames only. Where frames come evenly the cut is moved onto
//! their grid, a little before the first frame that belongs to the part: encoders count in whole frames, and a cut
//! between two of them would round one away.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Fit, Trim};

use super::convert::as_it_is;
use super::video::{Keys, Rate, Wish, tier, tier_words};
use super::{Damage, Design, Desk, Place, Resemblance, audio, size, timeline};
use crate::step::{AudioTrack, Passes, Window};
use crate::verify::Frames;

/// A part of the timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    start: f64,
    length: f64,
    frames: Option<u64>,
}

/// Where frames of a source that come evenly are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Grid {
    /// Frames per second.
    rate: f64,
    /// Where the first one is, in seconds.
    first: f64,
    /// How many there are.
    count: Option<f64>,
}

pub(super) fn design(desk: &Desk<'_>, trim: &Trim) -> Result<Design, JobFailure> {
    let alone = trim.format.is_audio();
    let cut = Cut::of(desk, alone, trim.start_seconds, trim.duration_seconds)?;
    let sound = audio::Wish {
        format: trim.format,
        copy: audio::Copy::Never("cut to the sample"),
        kbps: None,
        quality: trim.quality,
    };
    if alone {
        return cut.of_design(desk, desk.sound(sound)?);
    }
    let video = desk.video()?;
    let codec = trim.codec.or_else(|| trim.format.codecs().first().copied());
    let codec = codec.ok_or_else(|| super::video::missing(trim.format.as_str()))?;
    let wish = Wish {
        codec,
        format: trim.format,
        quality: trim.quality,
        rate: Rate::Factor(tier(codec, trim.quality).1),
        size: size::target(video, &as_it_is(), Fit::Inside, size::Sides::Even),
        frame_rate: None,
        keys: Keys::Free,
        reason: format!("cut to the frame; {}", tier_words(codec, trim.quality)),
    };
    cut.of_design(desk, desk.both(&wish, sound)?)
}

/// Which part a caller asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Whether the sound alone is cut.
    alone: bool,
    start: f64,
    duration: Option<f64>,
    /// Where the source ends, where that is known.
    end: Option<f64>,
}

impl Cut {
    /// # Errors
    /// `beyond_end` where the source is over by then.
    pub(super) fn of(desk: &Desk<'_>, alone: bool, start: f64, duration: Option<f64>) -> Result<Self, JobFailure> {
        let end = timeline::end(desk.source, !alone, true).or(desk.source.info.duration_seconds);
        if let Some(end) = end.filter(|&end| start >= end) {
            let message = format!("start_seconds is {start}; the input is {end:.3} seconds long");
            return Err(JobFailure::request(Stage::Planning, "beyond_end", message));
        }
        Ok(Self { alone, start, duration, end })
    }

    /// The part of what was designed for the whole.
    pub(super) fn of_design(self, desk: &Desk<'_>, design: Design) -> Result<Design, JobFailure> {
        let Self { alone, end, .. } = self;
        let picture = desk.source.info.video.as_ref().filter(|video| !alone && !video.variable_frame_rate);
        let grid = picture.and_then(|video| {
            let rate = video.frame_rate.filter(|&rate| rate > 0.0)?;
            let count = video.duration_seconds.filter(|_| desk.source.measured).map(|length| (length * rate).round());
            Some(Grid { rate, first: desk.source.video_start, count })
        });
        let Part { start, length, frames } = part(self.start, self.duration, end, grid);
        if frames == Some(0) {
            let message = format!("start_seconds is {}; the last frame comes before that", self.start);
            return Err(JobFailure::request(Stage::Planning, "beyond_end", message));
        }
        let jumps = !alone && timeline::jumps(desk.source) && timeline::jumps_to(desk.source, start);
        let window = if jumps { Window::Jump { start, length } } else { Window::Walk { start, length } };
        let expected =
            if end.is_some() || self.duration.is_none() { length.min(end.unwrap_or(length)) } else { length };
        // Sound alone begins with silence where it is late; picture and sound begin with the first of them.
        let late = if alone { 0.0 } else { timeline::beginning(desk.source, true, design.audio.is_some()) - start };
        let expected = expected - late.clamp(0.0, expected);
        let counted = design.frames.filter(|_| desk.damage == Damage::Strict && desk.source.measured && end.is_some());
        // Where the source's own frames were not counted to the last one, the part's are not either.
        let tolerance = |count: u64| counted.map(|all| if all.tolerance == 0 { 1 } else { 2 + count / 4 });
        let sound = design.making.as_ref().map_or(&AudioTrack::None, |making| &making.audio);
        let duration = timeline::span(desk.source, Some(expected), design.format, (!alone).then_some(None), sound);
        Ok(Design {
            place: Place::Own(window, Passes::One),
            duration,
            frames: frames.and_then(|count| Some(Frames { count, tolerance: tolerance(count)? })),
            seen: design.seen.map(|seen| Resemblance { start, ..seen }),
            ..design
        })
    }
}

/// The part that begins at `start`: to the end of what there is at most, and on the grid where there is one.
fn part(start: f64, duration: Option<f64>, end: Option<f64>, grid: Option<Grid>) -> Part {
    // A caller who names no end of an input of unknown length gets all of it.
    let last = match (duration, end) {
        (Some(duration), Some(end)) => (start + duration).min(end),
        (Some(duration), None) => start + duration,
        (None, Some(end)) => end,
        (None, None) => start + reelhook_domain::recipe::LATEST_SECOND,
    };
    let Some(Grid { rate, first, count }) = grid else {
        return Part { start, length: (last - start).max(0.001), frames: None };
    };
    // A thousandth of a frame is rounding, not intent.
    let frame_at = |second: f64| ((second - first) * rate - 0.001).ceil().max(0.0);
    let first_frame = frame_at(start);
    let end_frame = frame_at(last).max(first_frame + 1.0);
    let before = (0.25 / rate).min(0.001);
    let on_grid = |frame: f64| (first + frame / rate - before).max(0.0);
    // What is heard before the first picture belongs to the part.
    let start = if start < first { start } else { on_grid(first_frame) };
    // The sound may go on after the last picture.
    let frames = (end_frame.min(count.unwrap_or(end_frame)) - first_frame).max(0.0);
    Part { start, length: on_grid(end_frame) - start, frames: Some(frames as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Option<Grid> = Some(Grid { rate: 25.0, first: 0.0, count: Some(250.0) });

    #[test]
    fn a_part_of_even_frames_lies_on_their_grid() {
        let part = part(3.3, Some(1.0), Some(10.0), GRID);
        assert_eq!(part.frames, Some(25));
        assert!((part.start - 3.319).abs() < 1e-9 && (part.length - 1.0).abs() < 1e-9, "{part:?}");
    }

    #[test]
    fn a_part_ends_with_the_source() {
        assert_eq!(part(9.0, Some(5.0), Some(10.0), GRID).frames, Some(25));
        assert_eq!(part(9.0, None, Some(10.0), None), Part { start: 9.0, length: 1.0, frames: None });
    }

    #[test]
    fn a_picture_that_begins_late_or_ends_early_has_its_own_grid() {
        let late = Some(Grid { rate: 25.0, first: 0.021, count: Some(25.0) });
        let part = part(0.5, Some(1.0), Some(3.0), late);
        assert_eq!(part.frames, Some(13));
        assert!((part.start - 0.5).abs() < 0.001, "{part:?}");
        let before = self::part(0.0, Some(3.0), Some(6.7), Some(Grid { rate: 25.0, first: 0.7, count: Some(150.0) }));
        assert_eq!((before.start, before.frames), (0.0, Some(58)));
        assert!((before.length - 3.0).abs() < 0.04, "{before:?}");
    }

    #[test]
    fn less_than_a_frame_is_one_frame() {
        assert_eq!(part(1.01, Some(0.001), Some(10.0), GRID).frames, Some(1));
        assert_eq!(part(0.0, Some(0.001), Some(10.0), GRID).frames, Some(1));
    }
}
