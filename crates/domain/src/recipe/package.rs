//! The recipe `package`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::choice;
use crate::form::Form;

choice! {
    /// Which players a package is for.
    PackageType {
        /// `master.m3u8` with a playlist a rendition.
        Hls = "hls",
        /// `manifest.mpd`.
        Dash = "dash",
        /// Both, over the same segments.
        Adaptive = "adaptive",
    }
}

choice! {
    /// Format of the segments.
    SegmentFormat {
        /// Fragmented mp4 (CMAF).
        Fmp4 = "fmp4",
        /// MPEG transport stream: HLS with H.264 or H.265 only.
        Ts = "ts",
    }
}

/// One picture size of a package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rendition {
    /// Video codec.
    pub codec: VideoCodec,
    /// Size of the picture.
    #[serde(flatten)]
    pub size: Size,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame_rate: Option<f64>,
    /// Bits per second of the video, in thousands; the tier's rate factor when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// Quality tier.
    pub quality: Quality,
}

/// `package`: segments and manifests for adaptive streaming; key frames aligned, audio encoded once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Package {
    /// Which players it is for.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// The renditions: 1 to 20.
    pub video: Vec<Rendition>,
    /// Length of a segment, in seconds.
    pub segment_seconds: u32,
    /// Format of the segments.
    pub segment_format: SegmentFormat,
}

/// Most renditions of a package.
pub const MOST_RENDITIONS: usize = 20;
/// Length of a segment where the caller says nothing, in seconds.
pub const DEFAULT_SEGMENT_SECONDS: u32 = 6;

impl Rendition {
    fn read(form: &mut Form) -> Self {
        Self {
            codec: form.choice_or("codec", VideoCodec::H264),
            size: Size::read(form),
            frame_rate: form.number("frame_rate", 1.0..=240.0),
            bitrate_kbps: form.integer32("bitrate_kbps", 100..=240_000),
            quality: form.choice_or("quality", Quality::Standard),
        }
    }
}

impl Package {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let kind = form.choice("type");
        let kind = form.require("type", kind);
        let video = form.objects("video", 1..=MOST_RENDITIONS, |rendition, _| Some(Rendition::read(rendition)));
        let video = form.require("video", video);
        let segment_seconds = form.integer32_or("segment_seconds", 1..=30, DEFAULT_SEGMENT_SECONDS);
        let segment_format = form.choice_or("segment_format", SegmentFormat::Fmp4);
        let (kind, video) = (kind?, video?);
        let plain = |rendition: &Rendition| matches!(rendition.codec, VideoCodec::H264 | VideoCodec::H265);
        if segment_format == SegmentFormat::Ts && (kind != PackageType::Hls || !video.iter().all(plain)) {
            form.refuse("segment_format", "ts".into(), "must be fmp4 unless type is hls and every codec h264 or h265");
        }
        Some(Self { kind, video, segment_seconds, segment_format })
    }
}
