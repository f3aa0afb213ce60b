//! `proxy`: a light H.264 mp4 for editing, always encoded, with its key frames where an editor wants to jump.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::recipe::{Fit, Format, Gop, Proxy, Quality, VideoCodec};

use super::trim::Cut;
use super::video::{Keys, Rate, Wish, words};
use super::{Design, Desk, audio, size};
use crate::step::AudioTrack;

/// What editing programs expect of the sound.
const CHANNELS: u32 = 2;
const SAMPLE_RATE: u32 = 44_100;

pub(super) fn design(desk: &Desk<'_>, proxy: &Proxy) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let (rate, how) = match proxy.bitrate_kbps {
        Some(kbps) => (Rate::Bits(kbps), format!("{kbps} kbit/s")),
        None => (Rate::Factor(proxy.crf), format!("crf {}", proxy.crf)),
    };
    let (keys, often) = match proxy.gop {
        Gop::PerSecond => (Keys::EverySecond, "a key frame every second"),
        Gop::AllIntra => (Keys::EveryFrame, "every frame a key frame"),
    };
    let wish = Wish {
        codec: VideoCodec::H264,
        format: Format::Mp4,
        quality: Quality::Economy,
        rate,
        size: size::target(video, &proxy.size, Fit::Inside, size::Sides::Even),
        frame_rate: None,
        keys,
        reason: format!("a proxy is always encoded: h264 at {how}, {often}"),
    };
    let sound = audio::Wish {
        format: Format::Mp4,
        copy: audio::Copy::Never("a proxy is always encoded"),
        kbps: None,
        quality: Quality::Standard,
    };
    let mut design = desk.both(&wish, sound)?;
    if let Some(AudioTrack::Encode { options }) = design.making.as_mut().map(|making| &mut making.audio) {
        options.extend(words(&["-ac", &CHANNELS.to_string(), "-ar", &SAMPLE_RATE.to_string()]));
    }
    if let Some(audio) = &mut design.audio {
        audio.channels = CHANNELS;
    }
    if proxy.start_seconds.is_none() && proxy.duration_seconds.is_none() {
        return Ok(design);
    }
    let cut = Cut::of(desk, false, proxy.start_seconds.unwrap_or(0.0), proxy.duration_seconds)?;
    cut.of_design(desk, design)
}
