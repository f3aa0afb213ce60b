//! The recipe `web_ready`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `web_ready`: an mp4 that plays in any browser while it loads, re-encoded only if necessary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WebReady {
    /// Rate factor; forces an encoding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crf: Option<u32>,
    /// Bit rate of the video in thousands of bits per second; forces an encoding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate_kbps: Option<u32>,
    /// The box; a source that is larger is encoded.
    #[serde(flatten)]
    pub size: Size,
}

impl WebReady {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let crf = form.integer32("crf", 0..=51);
        let bitrate_kbps = form.integer32("bitrate_kbps", 50..=400_000);
        form.at_most_one(&["crf", "bitrate_kbps"]);
        Some(Self { crf, bitrate_kbps, size: Size::read(form) })
    }
}
