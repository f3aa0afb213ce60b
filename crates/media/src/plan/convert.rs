//! `convert`: the same content in another container, codec or size.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Convert, Fit, Format, Size, Subtitles};

use super::color::{Alpha, Hdr};
use super::geometry::{Samples, Target};
use super::video::{Keys, Rate, Wish, missing, tier, tier_words};
use super::{Design, Desk, Place, Resemblance, audio, size, subtitles, timeline};
use crate::seen::Likeness;
use crate::spell::seconds;
use crate::step::{AudioTrack, Encoder, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::verify::VideoExpectation;

/// Most frames a second in a GIF: its times are hundredths, and viewers slow down what is shorter than two.
const FASTEST_GIF: f64 = 50.0;
/// Most bytes of pictures that wait in memory for their palette; beyond that the input is read twice.
pub(super) const WAITING: f64 = 256.0 * 1024.0 * 1024.0;

pub(super) fn design(desk: &Desk<'_>, convert: &Convert) -> Result<Design, JobFailure> {
    if convert.format == Format::Gif {
        return gif(desk, convert);
    }
    let sound =
        audio::Wish { format: convert.format, copy: audio::Copy::WhereItFits, kbps: None, quality: convert.quality };
    if convert.format.is_audio() {
        let copy = if convert.bitrate_kbps.is_some() { audio::Copy::Never("bitrate requested") } else { sound.copy };
        return desk.sound(audio::Wish { kbps: convert.bitrate_kbps, copy, ..sound });
    }
    let video = desk.video()?;
    let Some(codec) = convert.codec.or_else(|| convert.format.codecs().first().copied()) else {
        let message = format!("format {} is not one to convert to", convert.format);
        return Err(JobFailure::request(Stage::Planning, "invalid_request", message));
    };
    let (rate, reason) = match convert.bitrate_kbps {
        Some(kbps) => (Rate::Bits(kbps), format!("{kbps} kbit/s requested")),
        None => (Rate::Factor(tier(codec, convert.quality).1), tier_words(codec, convert.quality)),
    };
    let wish = Wish {
        codec,
        format: convert.format,
        quality: convert.quality,
        rate,
        size: size::target(video, &convert.size, Fit::Inside, size::Sides::Even),
        frame_rate: convert.frame_rate,
        keys: Keys::Free,
        reason,
    };
    let design = desk.both(&wish, sound)?;
    match convert.subtitles {
        Subtitles::Burn => subtitles::burn(desk, convert.subtitle_language.as_deref(), design),
        Subtitles::Keep | Subtitles::Drop => Ok(design),
    }
}

fn gif(desk: &Desk<'_>, convert: &Convert) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    if !desk.capabilities.encodes("gif") || !desk.capabilities.filters("paletteuse") {
        return Err(missing("gif"));
    }
    let (width, height) = size::target(video, &convert.size, Fit::Inside, size::Sides::Any);
    let own = video.frame_rate.unwrap_or(25.0);
    let asked = convert.frame_rate.map(|rate| rate.min(FASTEST_GIF));
    let frame_rate = asked.or_else(|| (own > FASTEST_GIF).then_some(FASTEST_GIF));
    let target = Target {
        frame_rate,
        size: (width, height),
        samples: Samples::Rgb("bgra"),
        hdr: Hdr::standard(desk, video),
        alpha: Alpha::of(video.has_alpha(), true, Alpha::Kept),
    };
    let (mut filters, mut notes) = target.filters(desk, video);
    let uneven = video.variable_frame_rate && frame_rate.is_none();
    if uneven {
        // Uneven frames stay uneven: a GIF has a time for each.
        filters.splice(..0, apart(FASTEST_GIF));
        notes.push("frames at least 20 ms apart, as viewers slow down what is shorter".to_owned());
    }
    notes.insert(0, "gif with a palette of its own".to_owned());
    let length = timeline::length(desk.source, true, false);
    let bytes = length.unwrap_or(f64::MAX) * frame_rate.unwrap_or(own) * f64::from(width) * f64::from(height) * 4.0;
    let place = if bytes <= WAITING { Place::Shared } else { Place::Own(Window::Whole, Passes::Palette) };
    let mut streams = vec![StreamPlan::new("video", "encode", notes.join("; "))];
    if desk.source.info.audio.is_some() {
        streams.push(StreamPlan::new("audio", "drop", "gif cannot hold audio"));
    }
    let encoder = Encoder { name: "gif".to_owned(), options: Vec::new() };
    let track = VideoTrack::Encode { filters, encoder, uneven, palette: true };
    Ok(Design {
        making: Some(Making { video: track, audio: AudioTrack::None }),
        streams,
        video: Some(VideoExpectation::new("gif", (width, height))),
        duration: timeline::span(desk.source, length, Format::Gif, Some(frame_rate), &AudioTrack::None),
        // Of uneven frames some are dropped.
        frames: timeline::frames(desk.source, video, frame_rate, desk.damage).filter(|_| !uneven),
        // A GIF cannot begin late.
        seen: Some(Resemblance { start: desk.source.video_start, ..Resemblance::whole(Likeness::Palette) }),
        ..Design::new(Format::Gif, place)
    })
}

/// Filters that put uneven frames on a grid of that many a second and drop those that would share a place on it.
pub(super) fn apart(rate: f64) -> [String; 2] {
    let apart = "select=isnan(prev_selected_pts)+gt(pts\\,prev_selected_pts)".to_owned();
    [format!("settb=1/{}", seconds(rate)), apart]
}

/// Nothing said of the size.
pub(super) const fn as_it_is() -> Size {
    Size { resolution: None, width: None, height: None, enlarge: false }
}
