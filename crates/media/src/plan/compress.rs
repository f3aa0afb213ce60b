//! `compress`: a smaller file, never larger than the source.

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::{Compress, DEFAULT_CRF, Fit, Format, Quality, Size, VideoCodec};

use super::video::{Keys, Rate, Wish, tier, tier_words};
use super::{Design, Desk, Place, audio, size};
use crate::step::{Passes, StreamPlan, VideoTrack, Window};

/// Share of a size in bytes that is planned for; the rest is the container's, and the encoder's error.
const PLANNED: f64 = 0.95;
/// Under this many thousand bits a second no encoder makes a picture.
const LEAST_VIDEO_KBPS: u32 = 10;
/// Sound that takes more than this many thousand bits a second is encoded again.
const MOST_AUDIO_KBPS: u64 = 192;

pub(super) fn design(desk: &Desk<'_>, compress: &Compress) -> Result<Design, JobFailure> {
    sized(desk, compress, &Size::default())
}

/// The same, fitted into a box.
pub(super) fn sized(desk: &Desk<'_>, compress: &Compress, within: &Size) -> Result<Design, JobFailure> {
    let video = desk.video()?;
    let Compress { crf, max_bytes, quality, codec, format } = *compress;
    let size = size::target(video, within, Fit::Inside, size::Sides::Even);
    let mut wish = Wish {
        codec,
        format,
        quality: quality.unwrap_or(Quality::Standard),
        rate: Rate::Factor(0),
        size,
        frame_rate: None,
        keys: Keys::Free,
        reason: String::new(),
    };
    let mut sound = audio::Wish {
        format,
        copy: audio::Copy::WhereSmall(MOST_AUDIO_KBPS),
        kbps: None,
        quality: quality.unwrap_or(Quality::Standard),
    };
    let mut place = Place::Shared;
    match (crf, max_bytes, quality) {
        (Some(crf), _, _) => (wish.rate, wish.reason) = (Rate::Factor(crf), format!("crf {crf} requested")),
        (_, Some(most), _) => {
            if desk.source.size_bytes <= most && fits_already(desk, codec, format) {
                return Ok(kept(desk, format, most));
            }
            let (video_kbps, audio_kbps) = share_out(desk, most)?;
            wish.rate = Rate::Budget(video_kbps);
            wish.reason = format!("{video_kbps} kbit/s, so that it is at most {most} bytes");
            sound.copy = audio::Copy::WhereSmall(u64::from(audio_kbps));
            sound.kbps = Some(audio_kbps);
            // SVT-AV1 does its own looking ahead.
            let passes = if codec == VideoCodec::Av1 { Passes::One } else { Passes::Bitrate };
            place = Place::Own(Window::Whole, passes);
        }
        (_, _, Some(quality)) => {
            (wish.rate, wish.reason) = (Rate::Factor(tier(codec, quality).1), tier_words(codec, quality));
        }
        (None, None, None) => {
            let crf = default_crf(codec);
            (wish.rate, wish.reason) = (Rate::Factor(crf), format!("crf {crf}, the default for {codec}"));
        }
    }
    Ok(Design { place, max_bytes, keep_source_if_larger: true, ..desk.both(&wish, sound)? })
}

/// The default, on the scale of the codec: H.264 and H.265 count to 51, VP9 and AV1 to 63.
const fn default_crf(codec: VideoCodec) -> u32 {
    match codec {
        VideoCodec::H264 | VideoCodec::H265 => DEFAULT_CRF,
        VideoCodec::Vp9 | VideoCodec::Av1 => DEFAULT_CRF * 63 / 51,
    }
}

/// Thousand bits a second for picture and sound, so that both fit into `most` bytes.
fn share_out(desk: &Desk<'_>, most: u64) -> Result<(u32, u32), JobFailure> {
    let refuse = |code, message: String| Err(JobFailure::request(Stage::Planning, code, message));
    let Some(seconds) = desk.source.info.duration_seconds.filter(|&seconds| seconds > 0.0) else {
        return refuse("duration_unknown", "max_bytes needs an input whose length is known; use crf".to_owned());
    };
    let total = most as f64 * 8.0 * PLANNED / seconds / 1000.0;
    let audio_kbps = match &desk.source.info.audio {
        None => 0,
        Some(_) if total >= 800.0 => 128,
        Some(_) if total >= 300.0 => 64,
        Some(_) if total >= 120.0 => 32,
        Some(_) => 16,
    };
    let video = (total - f64::from(audio_kbps)).clamp(0.0, 1e6) as u32;
    if video < LEAST_VIDEO_KBPS {
        let least = f64::from(LEAST_VIDEO_KBPS + audio_kbps) * seconds * 1000.0 / 8.0 / PLANNED;
        let message = format!(
            "max_bytes is {most}, which leaves {video} kbit/s for the video; {seconds:.1} seconds need at least {}",
            least.ceil()
        );
        return refuse("target_too_small", message);
    }
    // More bits than the source has would only make it larger.
    let source_kbps = (desk.source.size_bytes as f64 * 8.0 / seconds / 1000.0).clamp(1.0, 1e6) as u32;
    Ok((video.min(source_kbps.max(LEAST_VIDEO_KBPS)), audio_kbps))
}

fn fits_already(desk: &Desk<'_>, codec: VideoCodec, format: Format) -> bool {
    let info = &desk.source.info;
    info.format == format.as_str() && info.video.as_ref().is_some_and(|video| video.codec == codec.as_str())
}

fn kept(desk: &Desk<'_>, format: Format, most: u64) -> Design {
    let reason = format!(
        "kept: already {} in {} bytes, at most {most} requested",
        desk.source.info.format, desk.source.size_bytes
    );
    let mut streams = vec![StreamPlan::new("video", "keep", &*reason)];
    if desk.source.info.audio.is_some() {
        streams.push(StreamPlan::new("audio", "keep", reason));
    }
    Design { max_bytes: Some(most), ..desk.kept(format, streams) }
}

/// The step with the bit rate brought down, for when the product came out `size` bytes large, over its cap. `None`
/// where there is no cap, it holds, or nothing is left to take away.
pub(crate) fn tightened(step: &crate::step::Step, size: u64) -> Option<crate::step::Step> {
    let mut step = step.clone();
    let [product] = &mut step.products[..] else { return None };
    let most = product.expect.max_bytes.filter(|&most| size > most)?;
    let VideoTrack::Encode { encoder, .. } = &mut product.making.as_mut()?.video else { return None };
    let factor = most as f64 / size as f64 * 0.97;
    let mut least = u32::MAX;
    for name in ["-b:v", "-maxrate:v", "-bufsize:v"] {
        let Some(at) = encoder.options.iter().position(|option| option == name) else { continue };
        let value = encoder.options.get_mut(at + 1)?;
        let kbps: u32 = value.trim_end_matches('k').parse().ok()?;
        let lower = (f64::from(kbps) * factor) as u32;
        *value = format!("{lower}k");
        least = least.min(lower);
    }
    (LEAST_VIDEO_KBPS / 2..u32::MAX).contains(&least).then_some(step)
}
