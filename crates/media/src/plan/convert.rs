//! `convert`: the same content in another container, codec or size.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Convert, Fit, Format, Size};

use super::video::{Geometry, Hdr, Keys, Rate, Wish, frames_and_size, missing, tier, tier_words};
use super::{Design, Desk, Place, audio, size, timeline};
use crate::step::{AudioTrack, Encoder, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::verify::VideoExpectation;

/// Most frames a second in a GIF: its times are hundredths, and viewers slow down what is shorter than two.
const FASTEST_GIF: f64 = 50.0;
/// Most bytes of pictures that wait in memory for their palette; beyond that the input is read twice.
const WAITING: f64 = 256.0 * 1024.0 * 1024.0;

pub(super) fn design(desk: &Desk<'_>, convert: &Convert) -> Result<Design, JobFailure> {
    if convert.format == Format::Gif {
        return gif(desk, convert);
    }
    let sound =
        audio::Wish { format: convert.format, copy: audio::Copy::WhereItFits, kbps: None, quality: convert.quality };
    if convert.format.is_audio() {
        let copy = if convert.bitrate_kbps.is_some() { audio::Copy::Never("bitrate asked") } else { sound.copy };
        return desk.sound(audio::Wish { kbps: convert.bitrate_kbps, copy, ..sound });
    }
    let video = desk.video()?;
    let Some(codec) = convert.codec.or_else(|| convert.format.codecs().first().copied()) else {
        let message = format!("format {} is not one to convert to", convert.format);
        return Err(JobFailure::request(Stage::Planning, "invalid_request", message));
    };
    let (rate, reason) = match convert.bitrate_kbps {
        Some(kbps) => (Rate::Bits(kbps), format!("{kbps} kbit/s asked")),
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
    desk.both(&wish, sound)
}

fn gif(desk: &Desk<'_>, convert: &Convert) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    if !desk.capabilities.encodes("gif") || !desk.capabilities.filters("paletteuse") {
        return Err(missing("gif"));
    }
    let (width, height) = size::target(video, &convert.size, Fit::Inside, size::Sides::Any);
    let own = video.frame_rate.unwrap_or(25.0);
    // Uneven frames stay uneven: a GIF has a time for each.
    let asked = convert.frame_rate.map(|rate| rate.min(FASTEST_GIF));
    let frame_rate = asked.or_else(|| (own > FASTEST_GIF).then_some(FASTEST_GIF));
    let (mut filters, mut notes) = frames_and_size(video, frame_rate, (width, height), Geometry::Rgb);
    let hdr = Hdr::standard(desk, video);
    filters.extend(hdr.filters(video));
    notes.extend(hdr.note());
    notes.insert(0, "gif with a palette of its own".to_owned());
    let seconds = timeline::length(desk.source, true, false);
    let bytes = seconds.unwrap_or(f64::MAX) * frame_rate.unwrap_or(own) * f64::from(width) * f64::from(height) * 4.0;
    let place = if bytes <= WAITING { Place::Shared } else { Place::Own(Window::Whole, Passes::Palette) };
    let mut streams = vec![StreamPlan::new("video", "encode", notes.join("; "))];
    if desk.source.info.audio.is_some() {
        streams.push(StreamPlan::new("audio", "drop", "gif holds no sound"));
    }
    let encoder = Encoder { name: "gif".to_owned(), options: Vec::new() };
    let track = VideoTrack::Encode { filters, encoder, uneven: false, palette: true };
    Ok(Design {
        making: Some(Making { video: track, audio: AudioTrack::None }),
        streams,
        video: Some(VideoExpectation { codec: "gif".to_owned(), width, height }),
        duration: timeline::span(desk.source, seconds, Format::Gif, Some(frame_rate), &AudioTrack::None),
        frames: timeline::frames(desk.source, video, frame_rate, desk.damage),
        ..Design::new(Format::Gif, place)
    })
}

/// Nothing said of the size.
pub(super) const fn as_it_is() -> Size {
    Size { resolution: None, width: None, height: None, enlarge: false }
}
