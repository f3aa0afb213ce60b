//! The recipe `trim`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `trim`: a part of the source, cut to the frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trim {
    /// Start of the part, in seconds.
    pub start_seconds: f64,
    /// Length of the part, in seconds; by default to the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<f64>,
    /// Format of the result: a video or an audio format.
    pub format: Format,
    /// Video codec; absent for audio formats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Quality tier.
    pub quality: Quality,
}

impl Trim {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let start_seconds = form.number_or("start_seconds", 0.0..=LATEST_SECOND, 0.0);
        let mut duration_seconds = form.number("duration_seconds", 0.001..=LATEST_SECOND);
        if let Some(end) = form.number("end_seconds", 0.001..=LATEST_SECOND) {
            if duration_seconds.is_some() {
                form.refuse_whole("takes duration_seconds or end_seconds, not both");
            } else if end <= start_seconds {
                form.refuse("end_seconds", end.into(), format_args!("must be after start_seconds ({start_seconds})"));
            }
            duration_seconds = Some(end - start_seconds);
        }
        let quality = form.choice_or("quality", Quality::Standard);
        let (format, codec) = read_container(form, |format| format.is_video() || format.is_audio())?;
        Some(Self { start_seconds, duration_seconds, format, codec, quality })
    }
}
