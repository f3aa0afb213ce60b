//! `waveform`: the sound as a picture, and its peaks.
//!
//! ffmpeg decodes, [`crate::waveform`] reads the samples. The picture spans the file, so that it fits below a player:
//! where the sound begins late, stops for a while or ends before the picture does, there is silence.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{Format, Waveform, WaveformChannels};

use super::{Design, Desk, Place, timeline};
use crate::promise::Promise;
use crate::step::{AudioTrack, Making, Passes, StreamPlan, VideoTrack, Window};
use crate::waveform::{Drawing, Sound, WaveformExpectation};

/// How far off the length may be, in seconds: a frame of the picture or of the sound at either end.
const SLACK: f64 = 0.2;

pub(super) fn design(desk: &Desk<'_>, wish: &Waveform) -> Result<Design, JobFailure> {
    let info = desk.audio()?;
    let source = desk.source;
    let end = timeline::length(source, false, true).map(|length| source.audio_start + length);
    // A guess is no reason to draw silence.
    let whole = source.info.duration_seconds.filter(|_| source.info.video.is_some() && source.measured);
    let sound = Sound {
        channels: info.channels,
        sample_rate: info.sample_rate.max(1),
        at_least: whole.filter(|&whole| end.is_none_or(|end| whole > end)).unwrap_or(0.0),
    };
    let seconds = end.filter(|_| source.measured).map(|end| (whole.map_or(end, |whole| whole.max(end)), SLACK));
    let channels = if wish.channels == WaveformChannels::Split { info.channels } else { 1 };
    let drawing = Drawing {
        format: wish.format,
        width: wish.width,
        height: wish.height,
        color: wish.color,
        background: wish.background,
        channels: wish.channels,
        sound,
    };
    let what = match wish.format {
        Format::Json => format!("at most {} peaks", wish.width),
        format => format!("{format} of {}x{}, with peaks.json beside it", wish.width, wish.height),
    };
    let how = match (wish.channels, info.channels) {
        (_, 1) => String::new(),
        (WaveformChannels::Mono, count) => {
            format!("; the {count} channels as one, from the lowest to the highest sample")
        }
        (WaveformChannels::Split, count) => format!("; the {count} channels below each other"),
    };
    let mut streams = vec![StreamPlan::new("audio", "draw", format!("{what}{how}"))];
    if source.info.video.is_some() {
        streams.insert(0, StreamPlan::new("video", "drop", "a waveform shows the audio only"));
    }
    let expect = WaveformExpectation { width: wish.width, height: wish.height, channels, color: wish.color, seconds };
    Ok(Design {
        making: Some(Making { video: VideoTrack::None, audio: AudioTrack::Drawn(drawing) }),
        streams,
        promise: Some(Promise::Waveform(expect)),
        ..Design::new(wish.format, Place::Own(Window::Whole, Passes::One))
    })
}
