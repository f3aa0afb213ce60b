//! The recipe `extract_audio`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `extract_audio`: the audio alone, copied where the format takes it as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExtractAudio {
    /// What to write; absent keeps the source's codec in its usual container, or `fallback` where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// What to write where `format` is absent and the source's codec has no usual container; mp3 when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fallback: Option<Format>,
    /// Whether AAC that is kept becomes a bare stream (ADTS) rather than an `.m4a`.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub bare: bool,
    /// Bits per second, in thousands; forces an encoding, unless a `fallback` is given, whose rate it is then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// Where it begins, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_seconds: Option<f64>,
    /// How long it is, in seconds; to the end when absent.
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
