//! `auto`: a smaller file of the same kind. Here for what ffmpeg reads; pictures and archives go other ways.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Auto, Compress, Format, Quality, Size};

use super::{Design, Desk, audio, compress, depth};
use crate::step::StreamPlan;

/// Sound that takes at most this many thousand bits a second is left as it is.
const SMALL_KBPS: u64 = 128;

pub(super) fn design(desk: &Desk<'_>, auto: &Auto) -> Result<Design, JobFailure> {
    if desk.source.still {
        let message = "the input is a still image, which this server does not make smaller";
        return Err(JobFailure::input(Stage::Planning, "still_picture", message));
    }
    let (mut design, chosen) = match &desk.source.info.video {
        Some(_) => video(desk, auto)?,
        None => sound(desk)?,
    };
    if let Some(first) = design.streams.first_mut() {
        first.reason = format!("{chosen}; {}", first.reason);
    }
    Ok(design)
}

/// In the container that it came in, where we write that.
fn video(desk: &Desk<'_>, auto: &Auto) -> Result<(Design, String), JobFailure> {
    let format = Format::from_word(&desk.source.info.format).filter(|format| format.is_video()).unwrap_or(Format::Mp4);
    let Some(&codec) = format.codecs().first() else {
        let message = format!("the format {format} has no codec to encode with");
        return Err(JobFailure::request(Stage::Planning, "invalid_request", message));
    };
    let wish = Compress { crf: None, max_bytes: None, quality: None, codec, format };
    let size = Size { width: auto.video.width, height: auto.video.height, ..Size::default() };
    Ok((compress::sized(desk, &wish, &size)?, format!("auto: a video, so compress to {format}")))
}

/// In the format that it came in, where we write that; what was exact stays exact.
fn sound(desk: &Desk<'_>) -> Result<(Design, String), JobFailure> {
    let info = desk.audio()?;
    let format = match (desk.source.info.format.as_str(), info.codec.as_str()) {
        ("mp3", _) => Format::Mp3,
        ("ogg", "opus" | "vorbis") => Format::Opus,
        (_, "flac" | "alac" | "wavpack") => Format::Flac,
        (_, codec) if codec.starts_with("pcm_") => Format::Flac,
        _ => Format::Aac,
    };
    if let (Format::Flac, Some(exact)) = (format, info.depth.filter(|&depth| !depth::fits_flac(Some(depth)))) {
        let kept = Format::from_word(&desk.source.info.format).filter(|format| format.is_audio()).unwrap_or(format);
        let reason = format!("kept: {exact} samples, and flac holds 24 bit");
        return Ok((desk.kept(kept, vec![StreamPlan::new("audio", "keep", reason)]), "auto: audio".to_owned()));
    }
    let copy =
        if format == Format::Flac { audio::Copy::Never("packed again") } else { audio::Copy::WhereSmall(SMALL_KBPS) };
    let wish = audio::Wish { format, copy, kbps: None, quality: Quality::Economy };
    let design = Design { keep_source_if_larger: true, ..desk.sound(wish)? };
    Ok((design, format!("auto: audio, so encode to {format}")))
}
