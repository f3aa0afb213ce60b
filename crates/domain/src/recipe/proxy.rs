//! The recipe `proxy`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::choice;
use crate::form::Form;

choice! {
    /// How often a proxy has a key frame.
    Gop {
        /// One a second.
        PerSecond = "per_second",
        /// Every frame.
        AllIntra = "all_intra",
    }
}

/// `proxy`: an H.264 mp4 for editing, always encoded, easy to seek in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Proxy {
    /// Rate factor, 0 to 51; ignored if `bitrate_kbps` is given.
    pub crf: u32,
    /// Bit rate of the video in thousands of bits per second; takes precedence over `crf`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// Distance of key frames.
    pub gop: Gop,
    /// The box; a proxy is never enlarged.
    #[serde(flatten)]
    pub size: Size,
    /// Start of the part, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_seconds: Option<f64>,
    /// Length of the part, in seconds; by default to the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<f64>,
}

/// Rate factor of `proxy` where the caller says nothing.
pub const DEFAULT_PROXY_CRF: u32 = 32;

impl Proxy {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let size = Size::read(form);
        if size.enlarge {
            form.refuse("enlarge", true.into(), "must be omitted: a proxy is never larger than its source");
        }
        Some(Self {
            crf: form.integer32_or("crf", 0..=51, DEFAULT_PROXY_CRF),
            bitrate_kbps: form.integer32("bitrate_kbps", 50..=400_000),
            gop: form.choice_or("gop", Gop::PerSecond),
            size,
            start_seconds: form.number("start_seconds", 0.0..=LATEST_SECOND),
            duration_seconds: form.number("duration_seconds", 0.001..=LATEST_SECOND),
        })
    }
}
