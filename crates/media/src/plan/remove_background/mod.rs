//! `remove_background`: the subject alone, on nothing, a colour or a picture.
//!
//! The share that each pixel has in the subject, its alpha, is keyed from a screen by filters of ffmpeg ([`key`]); or a
//! model says it of frame after frame on their way from the tool that decodes to the tool that encodes ([`Cutting`]). Both
//! come after the picture was scaled, so that no colour of the background bleeds in. Then what is behind ([`stage`]): the
//! canvas is made of the source's own frames, painted over, so that its frames come exactly when the subject's do.

mod flat;
mod graph;
mod key;
mod look;
mod screen;
mod stage;

pub(crate) use self::key::GREEN;
pub(crate) use self::screen::{SCREEN_SIZE, screen_color};

use reelhook_domain::failure::{JobFailure, Stage as JobStage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Background, Format, MATTED_STILL, Quality, RemoveBackground, Rgb};

use self::graph::{Scene, Way};
use self::stage::Stage;
use super::{Design, Desk, Place, audio, timeline};
use crate::step::{AudioTrack, Before, Encoder, Making, Otherwise, Passes, Step, StreamPlan, VideoTrack, Window};
use crate::verify::VideoExpectation;

/// Most bytes of pictures that wait in memory for their palette; beyond that the input is read twice.
const WAITING: f64 = 256.0 * 1024.0 * 1024.0;
/// Stands in a graph for the filters that key out a screen whose colour is measured first.
const KEYING: &str = "{keying}";

/// Plans one output.
pub(super) fn design(desk: &Desk<'_>, wish: &RemoveBackground) -> Result<Design, JobFailure> {
    let video = picture(desk, wish)?;
    let carries_alpha = wish.background == Background::Transparent;
    if carries_alpha && wish.format == Format::Mp4 {
        let message = "background must be a colour or an image: mp4 carries no alpha";
        return Err(JobFailure::request(JobStage::Planning, "invalid_request", message));
    }
    let even = !matches!(wish.format, Format::Gif | Format::PngSequence) && !desk.source.still;
    let stage = Stage::new((video.width, video.height), wish.composition.as_ref(), even)?;
    let look = look::of(desk, wish, carries_alpha)?;
    let graph = Scene { desk, video, wish, stage: &stage }.graph()?;

    let mut notes = vec![look.note.clone()];
    notes.extend(graph.notes);
    let finished = |graph: String| {
        let samples = look.samples.iter().map(|filter| (*filter).to_owned());
        std::iter::once(graph).chain(samples).collect::<Vec<_>>()
    };
    let (before, cutting, is_measured) = match graph.way {
        Way::Keyed => (None, None, false),
        Way::Cut(cutting) => (None, Some(cutting), false),
        Way::Measured { frames, otherwise } => {
            let is_open = otherwise.is_some();
            let otherwise = otherwise
                .map(|(cutting, text, beside)| Box::new(Otherwise { cutting, filters: finished(text), beside }));
            (Some(Before::Screen { frames, otherwise }), None, is_open)
        }
    };
    let mut streams = vec![StreamPlan::new("video", "encode", notes.join("; "))];
    let sound =
        audio::Wish { format: wish.format, copy: audio::Copy::WhereItFits, kbps: None, quality: Quality::Standard };
    let (audio, audio_expect) = match &desk.source.info.audio {
        Some(info) => {
            let (track, expect, plan) = audio::carry(desk, info, sound)?;
            streams.push(plan);
            (track, expect)
        }
        None => (AudioTrack::None, None),
    };

    let seconds = timeline::length(desk.source, true, audio_expect.is_some());
    let (width, height) = stage.canvas;
    let palette = wish.format == Format::Gif;
    let rate = graph.frame_rate.or(video.frame_rate).unwrap_or(25.0);
    let waiting = seconds.unwrap_or(f64::MAX) * rate * f64::from(width) * f64::from(height) * 4.0;
    let passes = if palette && waiting > WAITING { Passes::Palette } else { Passes::One };
    let encoder = Encoder { name: look.encoder.to_owned(), options: look.options };
    let uneven = video.variable_frame_rate && graph.frame_rate.is_none();
    let span = timeline::span(desk.source, seconds, wish.format, Some(graph.frame_rate), &audio);
    // Of both ways that may be gone, one evens the frames out.
    let expected_rate = graph.frame_rate.or(video.frame_rate.filter(|_| is_measured));
    let filters = finished(graph.text);
    Ok(Design {
        making: Some(Making { video: VideoTrack::Encode { filters, encoder, uneven, palette }, audio }),
        streams,
        video: Some(VideoExpectation::new(look.codec, (width, height))),
        audio: audio_expect,
        // Pictures in an archive have no times.
        duration: span.filter(|_| wish.format != Format::PngSequence),
        // The encoder of WebP shows a picture longer where the next one is the same.
        frames: timeline::frames(desk.source, video, expected_rate, desk.damage)
            // Of uneven ones a GIF drops some.
            .filter(|_| wish.format != Format::Webp && !(uneven && (palette || is_measured))),
        beside: graph.beside,
        // GIF and WebP say so only of a file in which some pixel is clear.
        alpha: carries_alpha && !matches!(wish.format, Format::Gif | Format::Webp),
        before,
        cutting,
        ..Design::new(wish.format, Place::Own(Window::Whole, passes))
    })
}

/// The picture that is cut out of, in a format that fits it: stills become stills.
fn picture<'a>(desk: &Desk<'a>, wish: &RemoveBackground) -> Result<&'a VideoInfo, JobFailure> {
    let video = desk.picture()?;
    let fits = if desk.source.still {
        matches!(wish.format, MATTED_STILL | Format::Webp)
    } else {
        wish.format != MATTED_STILL
    };
    if fits {
        return Ok(video);
    }
    let message = if desk.source.still {
        format!("format is {}, and the input is a still picture: use png or webp", wish.format)
    } else {
        "format png is for still pictures; png_sequence has a picture for each frame of a video".to_owned()
    };
    let code = if desk.source.still { "still_picture" } else { "invalid_request" };
    Err(JobFailure::request(JobStage::Planning, code, message))
}

/// Frames per second, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    above: u32,
    below: u32,
}

impl Rate {
    /// The usual fraction, where it is close to one.
    fn of(per_second: f64) -> Self {
        let per_second = per_second.clamp(0.01, 1000.0);
        let television = (per_second * 1.001).round();
        if (television / 1.001 - per_second).abs() < 0.0005 {
            return Self { above: television as u32 * 1000, below: 1001 };
        }
        let thousandths = (per_second * 1000.0).round() as u32;
        let shared = [1000, 500, 100, 10].into_iter().find(|shared| thousandths.is_multiple_of(*shared)).unwrap_or(1);
        Self { above: thousandths / shared, below: 1000 / shared }
    }

    fn per_second(self) -> f64 {
        f64::from(self.above) / f64::from(self.below)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.above, self.below)
    }
}

/// The step with the screen's colour known: as measured, or the usual green where nothing was found and no model that
/// `is_installed` is there for that.
pub(crate) fn keyed(step: &Step, measured: Option<[u8; 3]>, is_installed: impl Fn(&str) -> bool) -> Step {
    let otherwise = match &step.before {
        Some(Before::Screen { otherwise, .. }) => otherwise.as_deref(),
        _ => None,
    };
    let model = otherwise.filter(|model| measured.is_none() && is_installed(&model.cutting.model));
    let color = measured.map_or(key::GREEN, Rgb);
    let mut step = Step { before: None, ..step.clone() };
    if let Some(Otherwise { cutting, beside, .. }) = model {
        (step.cutting, step.beside) = (Some(cutting.clone()), beside.clone());
    }
    for product in &mut step.products {
        if let Some(Making { video: VideoTrack::Encode { filters, .. }, .. }) = &mut product.making {
            match model {
                Some(model) => filters.clone_from(&model.filters),
                None => filters.iter_mut().for_each(|filter| *filter = filter.replace(KEYING, &key::filters(color))),
            }
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_the_fractions_that_are_meant() {
        for (per_second, fraction) in [
            (25.0, "25/1"),
            (29.970_03, "30000/1001"),
            (23.976, "24000/1001"),
            (12.5, "25/2"),
            (30.0, "30/1"),
            (7.013, "7013/1000"),
        ] {
            assert_eq!(Rate::of(per_second).to_string(), fraction);
        }
    }
}
