//! The recipe `extract_audio`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `extract_audio`: the audio alone, copied where the format takes it as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExtractAudio {
    /// What to write; absent keeps the source's codec in its usual container, or mp3 where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// Bits per second, in thousands; forces an encoding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
}

impl ExtractAudio {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format: Option<Format> = form.choice("format");
        if let Some(format) = format.filter(|format| !format.is_audio()) {
            form.refuse("format", format.as_str().into(), "must be one of mp3, aac, wav, flac, opus");
        }
        Some(Self { format, bitrate_kbps: form.integer32("bitrate_kbps", 8..=512) })
    }
}
