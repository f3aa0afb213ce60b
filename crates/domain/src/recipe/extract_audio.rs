//! The recipe `extract_audio`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `extract_audio`: the audio alone, copied if the format supports its codec.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExtractAudio {
    /// Format of the result. By default the source's codec in its usual container, or `fallback` if it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// Format to use if `format` is absent and the source's codec has no usual container; mp3 by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback: Option<Format>,
    /// Whether copied AAC becomes a bare stream (ADTS) instead of an `.m4a`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub bare: bool,
    /// Bit rate in thousands of bits per second. Forces an encoding; with `fallback`, it is the bit rate of the fallback.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// Start of the part, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_seconds: Option<f64>,
    /// Length of the part, in seconds; by default to the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<f64>,
}

impl ExtractAudio {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let mut sound = |name| form.choice_where(name, Format::is_audio);
        let (format, fallback) = (sound("format"), sound("fallback"));
        Some(Self {
            format,
            fallback,
            bare: form.boolean_or("bare", false),
            bitrate_kbps: form.integer32("bitrate_kbps", 8..=512),
            start_seconds: form.number("start_seconds", 0.0..=LATEST_SECOND),
            duration_seconds: form.number("duration_seconds", 0.001..=LATEST_SECOND),
        })
    }
}
