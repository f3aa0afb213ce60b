//! The recipe `preview`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `preview`: a few moments of a video as a short animation that repeats, without sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Preview {
    /// Format of the result: webp or gif.
    pub format: Format,
    /// Length of the animation, in seconds.
    pub duration_seconds: f64,
    /// Number of parts of the video to show.
    pub segments: u32,
    /// Width in pixels. The aspect ratio is kept, and nothing is enlarged.
    pub width: u32,
    /// Frames per second.
    pub frame_rate: f64,
    /// Start of the first part, in seconds. By default each part is in the middle of an equal share of the video.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_seconds: Option<f64>,
}

impl Preview {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format = form.choice_where("format", |format| matches!(format, Format::Webp | Format::Gif));
        let format = form.or("format", format, Format::Webp);
        let preview = Self {
            format,
            duration_seconds: form.number_or("duration_seconds", 0.2..=30.0, 3.0),
            segments: form.integer32_or("segments", 1..=10, 3),
            width: form.integer32_or("width", 16..=1920, 480),
            frame_rate: form.number_or("frame_rate", 1.0..=30.0, 10.0),
            start_seconds: form.number("start_seconds", 0.0..=LATEST_SECOND),
        };
        let least = f64::from(preview.segments) / preview.frame_rate;
        if preview.duration_seconds < least {
            let message = format!(
                "must be at least {least:.3}, one frame at {} a second for each of {} segments",
                preview.frame_rate, preview.segments
            );
            form.refuse("duration_seconds", preview.duration_seconds.into(), message);
        }
        Some(preview)
    }
}
