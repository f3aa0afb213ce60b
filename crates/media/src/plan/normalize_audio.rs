//! `normalize_audio`: the sound at a loudness, the picture copied.
//!
//! How loud the source is, is measured before the run ([`crate::loudness`]); the filters that follow from it take the
//! place of a stand-in in the step.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, Format, NormalizeAudio, Quality, VideoCodec};

use super::video::{Keys, Rate, Wish, tier, tier_words, words};
use super::{Design, Desk, Place, audio, convert, extract_audio, size, web_ready};
use crate::loudness::{self, Aim, Level};
use crate::promise::Promise;
use crate::step::{AudioTrack, Before, Making, Passes, Step, Window};

/// Stands for the filters that bring the sound to its level.
const LEVEL: &str = "{level}";

pub(super) fn design(desk: &Desk<'_>, wish: &NormalizeAudio) -> Result<Design, JobFailure> {
    let info = desk.audio()?;
    let format = format(desk, wish);
    // A second encoding shall cost as little as it can.
    let sound =
        audio::Wish { format, copy: audio::Copy::Never("its samples change"), kbps: None, quality: Quality::Premium };
    let mut design = if format.is_video() { with_picture(desk, wish, sound)? } else { desk.sound(sound)? };
    let aim = Aim { lufs: wish.target_lufs, true_peak_dbtp: wish.true_peak_dbtp };

    let channels = design.audio.as_ref().map_or(info.channels, |audio| audio.channels);
    // What is measured has to be what is heard in the end.
    let mix = match channels {
        1 if info.channels > 1 => Some("mono"),
        2 if info.channels > 2 => Some("stereo"),
        _ => None,
    };
    if let Some(Making { audio: AudioTrack::Encode { options }, .. }) = &mut design.making {
        options.splice(..0, words(&["-filter:a", LEVEL]));
    }
    if let Some(stream) = design.streams.iter_mut().find(|stream| stream.stream == "audio") {
        stream.reason = format!(
            "measured, then brought to {} LUFS by one gain, with true peaks held under {} dBTP where they are in the \
             way; {}",
            aim.lufs, aim.true_peak_dbtp, stream.reason
        );
    }
    design.place = Place::Own(Window::Whole, Passes::One);
    design.before = Some(Before::Loudness { aim, mix, sample_rate: info.sample_rate });
    design.promise = Some(Promise::Loudness(aim));
    Ok(design)
}

/// The format asked for, or the source's own where we write it.
fn format(desk: &Desk<'_>, wish: &NormalizeAudio) -> Format {
    let info = &desk.source.info;
    let own = Format::from_word(&info.format);
    match (wish.format, &info.video) {
        (Some(format), _) => format,
        (None, Some(video)) => match own.filter(|format| format.is_video()) {
            Some(format) if holds(format, &video.codec) => format,
            _ if holds(Format::Mp4, &video.codec) => Format::Mp4,
            _ => Format::Mkv,
        },
        (None, None) => match info.audio.as_ref().map_or("", |audio| audio.codec.as_str()) {
            "alac" | "ape" | "wavpack" | "tta" => Format::Flac,
            codec => extract_audio::usual(codec, own == Some(Format::Aac)).unwrap_or(Format::Aac),
        },
    }
}

/// Whether a container holds a picture in that codec, and players of it play it.
fn holds(format: Format, codec: &str) -> bool {
    match format {
        Format::Mp4 => matches!(codec, "h264" | "h265" | "av1" | "vp9" | "mpeg4"),
        Format::Mov => matches!(codec, "h264" | "h265" | "prores" | "mjpeg" | "mpeg4" | "qtrle" | "dnxhd"),
        Format::Webm => matches!(codec, "vp8" | "vp9" | "av1"),
        Format::Mkv => true,
        _ => false,
    }
}

fn with_picture(desk: &Desk<'_>, wish: &NormalizeAudio, sound: audio::Wish) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let format = sound.format;
    if !holds(format, &video.codec) {
        let message = format!(
            "format is {format}; the video is {}, which is copied and does not go into {format}; mkv takes it",
            video.codec
        );
        return Err(JobFailure::request(Stage::Planning, "invalid_request", message));
    }
    if web_ready::TIMED.contains(&desk.source.demuxer) {
        return web_ready::remux(desk, video, sound, "copied: only the audio changes".to_owned());
    }
    encoded(desk, video, wish, sound)
}

/// The picture encoded, from a container that lacks the times that a copy needs.
fn encoded(
    desk: &Desk<'_>,
    video: &VideoInfo,
    wish: &NormalizeAudio,
    sound: audio::Wish,
) -> Result<Design, JobFailure> {
    let format = wish.format.unwrap_or(Format::Mp4);
    let codec = format.codecs().first().copied().unwrap_or(VideoCodec::H264);
    let why = format!("{} lacks the times that a copy needs", desk.source.info.format);
    let picture = Wish {
        codec,
        format,
        quality: Quality::Premium,
        rate: Rate::Factor(tier(codec, Quality::Premium).1),
        size: size::target(video, &convert::as_it_is(), Fit::Inside, size::Sides::Even),
        frame_rate: None,
        keys: Keys::Free,
        reason: format!("{why}; {}", tier_words(codec, Quality::Premium)),
    };
    desk.both(&picture, audio::Wish { format, ..sound })
}

/// The step with the filters that bring its sound to that level; silence stays as it is.
pub(crate) fn leveled(step: &Step, level: Option<Level>) -> Step {
    let mut step = step.clone();
    let Some(Before::Loudness { mix, sample_rate, .. }) = step.before.take() else { return step };
    let filters = loudness::filters(mix, level, sample_rate);
    for product in &mut step.products {
        if let Some(Making { audio: AudioTrack::Encode { options }, .. }) = &mut product.making {
            options.iter_mut().filter(|option| *option == LEVEL).for_each(|option| option.clone_from(&filters));
        }
    }
    step
}
