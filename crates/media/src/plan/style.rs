//! `style`: a video rendered like another one, or measured and rendered as it is.
//!
//! What the template looks and sounds like is measured before the run, as is the source; the difference takes the place
//! of two stand-ins in the step. Frames come at the template's rate, dropped or repeated. Nothing is cut off: a template of
//! another shape gives the source bars.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, Style};

use super::color::Hdr;
use super::video::{Keys, Rate, Wish, tier, tier_words, words};
use super::{Damage, Design, Desk, Place, Resemblance, audio, size, step};
use crate::further::Further;
use crate::seen::Likeness;
use crate::spell::seconds;
use crate::step::{AudioTrack, Before, Making, Passes, Step, VideoTrack, Window};
use crate::style::{Grade, Seen, Weights};

/// Stands for the filter that brings the colours near.
const COLORS: &str = "{colors}";
/// Stands for the filter that brings the loudness near.
const LOUDNESS: &str = "{loudness}";
/// Shapes within this share of each other are the same.
const SAME_SHAPE: f64 = 0.01;
/// Longest side with its bars.
const LONGEST: f64 = 7680.0;
/// Fastest rate that frames are repeated for: more of them cost time and room, and nobody sees them.
const FASTEST: f64 = 60.0;
/// Most that sound is made louder or softer, in decibels.
const MOST_GAIN: f64 = 30.0;
/// Less of a difference than this, in decibels, is none.
const LEAST_GAIN: f64 = 0.1;

pub(super) fn design(desk: &Desk<'_>, style: &Style) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let template = style.template.as_deref().map(|name| Template::find(desk, name)).transpose()?;
    let (_, crf) = tier(style.codec, style.quality);
    let wished = template.as_ref().and_then(|template| template.video.frame_rate);
    let frame_rate = wished.and_then(|wished| rate(wished, video.frame_rate));
    let wish = Wish {
        codec: style.codec,
        format: style.format,
        quality: style.quality,
        rate: Rate::Factor(crf),
        size: size::target(video, &super::convert::as_it_is(), Fit::Inside, size::Sides::Even),
        frame_rate,
        keys: Keys::Free,
        reason: tier_words(style.codec, style.quality),
    };
    let loud = template.as_ref().is_some_and(|template| template.further.source.info.audio.is_some());
    let copy =
        if loud { audio::Copy::Never("brought to the loudness of the template") } else { audio::Copy::WhereItFits };
    let sound = audio::Wish { format: style.format, copy, kbps: None, quality: style.quality };
    let mut design = desk.both(&wish, sound)?;
    design.place = Place::Own(Window::Whole, Passes::One);
    design.seen = Some(Resemblance::whole(Likeness::Shapes));

    let hdr = Hdr::of(desk, video, style.codec);
    let frames = hdr.filters(video);
    let weights = if hdr == Hdr::Mapped { Weights::BT709 } else { Weights::of(video.color.matrix.as_deref()) };
    let mut notes = Vec::new();
    if let (Some(template), Some(Making { video: VideoTrack::Encode { filters, .. }, audio })) =
        (&template, &mut design.making)
    {
        let name = &template.further.name;
        // Light that is not mapped has another scale, which the template's does not fit.
        if matches!(hdr, Hdr::None | Hdr::Mapped) {
            filters.push(COLORS.to_owned());
            notes.push(format!("brightness, contrast and colour of {name}"));
        }
        if let Some((canvas, (x, y))) = bars(wish.size, (template.video.width, template.video.height)) {
            filters.push(format!("pad={}:{}:{x}:{y}:color=black", canvas.0, canvas.1));
            notes.push(format!("with bars to {}x{}, the shape of {name}", canvas.0, canvas.1));
            if let Some(expect) = &mut design.video {
                (expect.width, expect.height) = canvas;
            }
        }
        if let (true, AudioTrack::Encode { options }) = (loud, audio) {
            options.splice(..0, words(&["-filter:a", LOUDNESS]));
        }
    } else {
        notes.push("measured, not changed".to_owned());
    }
    if let Some(stream) = design.streams.first_mut() {
        stream.reason += &format!("; {}", notes.join("; "));
    }
    let template = template.map(|template| (template.place, Box::new(template.step(desk, weights))));
    design.before = Some(Before::Style { frames, weights, template });
    Ok(design)
}

/// The input whose style is taken.
struct Template<'a> {
    place: usize,
    further: &'a Further,
    video: &'a VideoInfo,
}

impl<'a> Template<'a> {
    fn find(desk: &Desk<'a>, name: &str) -> Result<Self, JobFailure> {
        let found = desk.further.iter().enumerate().find(|(_, further)| further.name == name);
        let (place, further) = found.ok_or_else(|| {
            let message = format!("template is {name}; the job has no further input of that name");
            JobFailure::request(Stage::Planning, "invalid_request", message)
        })?;
        if let (Damage::Strict, Some(damage)) = (desk.damage, &further.source.damage) {
            return Err(damage.clone());
        }
        let video = further.source.info.video.as_ref().filter(|_| !further.source.still).ok_or_else(|| {
            let message = format!("the template {name} is not a video");
            JobFailure::request(Stage::Planning, "unsupported_media", message)
        })?;
        Ok(Self { place, further, video })
    }

    /// What measures it.
    fn step(&self, desk: &Desk<'_>, weights: Weights) -> Step {
        let desk = Desk { source: &self.further.source, ..*desk };
        let frames = Hdr::standard(&desk, self.video).filters(self.video);
        let measuring = step(&desk, Vec::new(), Window::Whole, Passes::One);
        Step { before: Some(Before::Style { frames, weights, template: None }), ..measuring }
    }
}

/// The rate that frames are brought to; none where it is the source's.
fn rate(wished: f64, own: Option<f64>) -> Option<f64> {
    let rate = wished.min(own.map_or(FASTEST, |own| own.max(FASTEST)));
    (rate > 0.0 && own.is_none_or(|own| (rate - own).abs() >= 0.01)).then_some(rate)
}

/// A canvas with the shape of `like` that holds all of a picture, and the place of the picture on it; none where the
/// shapes are the same or the canvas would be too large.
fn bars(picture: (u32, u32), like: (u32, u32)) -> Option<((u32, u32), (u32, u32))> {
    let (width, height) = (f64::from(picture.0), f64::from(picture.1));
    let wished = f64::from(like.0) / f64::from(like.1.max(1));
    if wished <= 0.0 || (width / height / wished - 1.0).abs() < SAME_SHAPE {
        return None;
    }
    let (wide, high) = if width / height > wished { (width, width / wished) } else { (height * wished, height) };
    if wide.max(high) > LONGEST {
        return None;
    }
    let even = |side: f64| (side / 2.0).round() as u32 * 2;
    let canvas = (even(wide).max(picture.0), even(high).max(picture.1));
    // Colour has half the lines, so the picture begins at an even one.
    let place = ((canvas.0 - picture.0) / 4 * 2, (canvas.1 - picture.1) / 4 * 2);
    Some((canvas, place))
}

/// The step with the measured difference between the source and the template in it.
pub(crate) fn styled(step: &Step, own: &Seen, wished: &Seen, weights: Weights) -> Step {
    let colors = Grade::between(own, wished, weights).filter();
    let loudness =
        own.loudness.zip(wished.loudness).map_or_else(|| "anull".to_owned(), |(own, wished)| gain(wished - own));
    let mut step = Step { before: None, ..step.clone() };
    for making in step.products.iter_mut().filter_map(|product| product.making.as_mut()) {
        if let VideoTrack::Encode { filters, .. } = &mut making.video {
            filters.iter_mut().filter(|filter| *filter == COLORS).for_each(|filter| filter.clone_from(&colors));
        }
        if let AudioTrack::Encode { options } = &mut making.audio {
            options.iter_mut().filter(|option| *option == LOUDNESS).for_each(|option| option.clone_from(&loudness));
        }
    }
    step
}

/// A filter that makes sound that much louder or softer; what would go over full scale is held below it.
fn gain(decibels: f64) -> String {
    let decibels = decibels.clamp(-MOST_GAIN, MOST_GAIN);
    if decibels.abs() < LEAST_GAIN {
        return "anull".to_owned();
    }
    let volume = format!("volume={}dB", seconds(decibels));
    if decibels < 0.0 { volume } else { format!("{volume},alimiter=limit=0.891:level=0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_take_nothing_away_and_begin_at_even_lines() {
        assert_eq!(bars((1920, 1080), (1280, 720)), None);
        assert_eq!(bars((854, 480), (1280, 720)), None);
        assert_eq!(bars((320, 180), (90, 160)), Some(((320, 568), (0, 194))));
        assert_eq!(bars((180, 320), (160, 90)), Some(((568, 320), (194, 0))));
        assert_eq!(bars((320, 180), (100, 100)), Some(((320, 320), (0, 70))));
        assert_eq!(bars((3840, 2160), (10, 100)), None);
    }

    #[test]
    fn frames_come_at_the_templates_rate_within_reason() {
        for (wished, own, expected) in [
            (25.0, Some(50.0), Some(25.0)),
            (50.0, Some(25.0), Some(50.0)),
            (25.0, Some(25.0), None),
            (120.0, Some(25.0), Some(60.0)),
            (120.0, Some(90.0), None),
            (90.0, Some(120.0), Some(90.0)),
            (30.0, None, Some(30.0)),
            (0.0, Some(25.0), None),
        ] {
            assert_eq!(rate(wished, own), expected, "{wished} of {own:?}");
        }
    }

    #[test]
    fn sound_is_held_below_full_scale_only_where_it_gets_louder() {
        assert_eq!(gain(0.05), "anull");
        assert_eq!(gain(-6.5), "volume=-6.5dB");
        assert_eq!(gain(50.0), "volume=30dB,alimiter=limit=0.891:level=0");
    }
}
