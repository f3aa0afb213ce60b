//! `web_ready`: an mp4 that plays in any browser while it loads, by the cheapest way that gets there.
//!
//! The source as it is; else its streams in a new container with the index first; else encoded, with a key frame every
//! second so that jumping is quick.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::{Fit, Format, Quality, WebReady};

use super::video::{Keys, Rate, Wish, tier};
use super::{Design, Desk, Place, audio, size, timeline};
use crate::step::{AudioTrack, Making, StreamPlan, VideoTrack};
use crate::verify::VideoExpectation;

/// The highest level that every phone of the last ten years decodes, times ten.
const HIGHEST_LEVEL: i64 = 42;

/// Containers whose packets have all the times that mp4 needs.
pub(super) const TIMED: &[&str] = &["mov", "matroska", "mpegts", "flv"];

pub(super) fn design(desk: &Desk<'_>, web_ready: &WebReady) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let target = size::target(video, &web_ready.size, Fit::Inside, size::Sides::Even);
    let obstacle = obstacle(desk, video, web_ready, target);
    let sound =
        audio::Wish { format: Format::Mp4, copy: audio::Copy::WhereItFits, kbps: None, quality: Quality::Standard };
    if let Some(reason) = obstacle {
        let (_, crf) = tier(reelhook_domain::recipe::VideoCodec::H264, Quality::Standard);
        let (rate, how) = match (web_ready.crf, web_ready.bitrate_kbps) {
            (Some(crf), _) => (Rate::Factor(crf), format!("crf {crf}")),
            (_, Some(kbps)) => (Rate::Bits(kbps), format!("{kbps} kbit/s")),
            _ => (Rate::Factor(crf), format!("crf {crf}")),
        };
        let wish = Wish {
            codec: reelhook_domain::recipe::VideoCodec::H264,
            format: Format::Mp4,
            quality: Quality::Standard,
            rate,
            size: target,
            frame_rate: None,
            keys: Keys::EverySecond,
            reason: format!("{reason}; h264 at {how}, a key frame every second"),
        };
        return desk.both(&wish, sound);
    }
    let already = already(video);
    let sound_fits = desk.source.info.audio.as_ref().is_none_or(|audio| audio::holds(Format::Mp4, &audio.codec));
    let index_first = desk.source.info.fast_start == Some(true);
    if desk.source.info.format == "mp4" && index_first && sound_fits && desk.source.damage.is_none() {
        let mut streams = vec![StreamPlan::new("video", "keep", format!("kept: {already}, faststart present"))];
        if let Some(audio) = &desk.source.info.audio {
            streams.push(StreamPlan::new("audio", "keep", format!("kept: already {}", audio.codec)));
        }
        return Ok(desk.kept(Format::Mp4, streams));
    }
    let why = match desk.source.info.format.as_str() {
        "mp4" if index_first => "the sound is encoded".to_owned(),
        "mp4" => "the index moves to the front".to_owned(),
        format => format!("{format} becomes mp4"),
    };
    remux(desk, video, sound, format!("copied: {already}; {why}"))
}

/// What stands in the way of using the picture as it is.
fn obstacle(desk: &Desk<'_>, video: &VideoInfo, wish: &WebReady, target: (u32, u32)) -> Option<String> {
    let profile = video.profile.as_deref().unwrap_or("unknown");
    let level = video.level.unwrap_or(i64::MAX);
    if let Some(crf) = wish.crf {
        Some(format!("crf {crf} requested"))
    } else if let Some(kbps) = wish.bitrate_kbps {
        Some(format!("{kbps} kbit/s requested"))
    } else if video.codec != "h264" {
        Some(format!("{} does not play everywhere", video.codec))
    } else if target.0 < video.width & !1 || target.1 < video.height & !1 || target.0 > video.width {
        Some(format!("{}x{} requested", target.0, target.1))
    } else if !matches!(profile, "High" | "Main" | "Baseline" | "Constrained Baseline") {
        Some(format!("h264 profile {profile} does not play everywhere"))
    } else if level > HIGHEST_LEVEL {
        Some(format!("h264 level {} does not play everywhere", level_words(level)))
    } else if video.pixel_format.as_deref() != Some("yuv420p") {
        Some(format!("samples in {} do not play everywhere", video.pixel_format.as_deref().unwrap_or("unknown layout")))
    } else if video.interlaced {
        Some("interlaced video shows combs in browsers".to_owned())
    } else if !TIMED.contains(&desk.source.demuxer) {
        Some(format!("{} lacks the times that mp4 needs", desk.source.info.format))
    } else {
        None
    }
}

fn level_words(level: i64) -> String {
    if level > 99 { "unknown".to_owned() } else { format!("{}.{}", level / 10, level % 10) }
}

/// `already h264 high@4.0, 1080p`.
fn already(video: &VideoInfo) -> String {
    let profile = video.profile.as_deref().unwrap_or("unknown").to_lowercase();
    let level = level_words(video.level.unwrap_or(i64::MAX));
    format!("already h264 {profile}@{level}, {}p", video.width.min(video.height))
}

/// The picture copied into the container of the sound.
pub(super) fn remux(
    desk: &Desk<'_>,
    video: &VideoInfo,
    sound: audio::Wish,
    reason: String,
) -> Result<Design, JobFailure> {
    let mut streams = vec![StreamPlan::new("video", "copy", reason)];
    let (audio, audio_expect) = match &desk.source.info.audio {
        Some(info) => {
            let (track, expect, plan) = audio::carry(desk, info, sound)?;
            streams.push(plan);
            (track, expect)
        }
        None => (AudioTrack::None, None),
    };
    let seconds = timeline::length(desk.source, true, audio_expect.is_some());
    let duration = timeline::span(desk.source, seconds, sound.format, Some(None), &audio);
    Ok(Design {
        making: Some(Making { video: VideoTrack::Copy, audio }),
        streams,
        video: Some(VideoExpectation::new(&video.codec, (video.width, video.height))),
        audio: audio_expect,
        duration,
        frames: timeline::frames(desk.source, video, None, desk.damage),
        ..Design::new(sound.format, Place::Shared)
    })
}
