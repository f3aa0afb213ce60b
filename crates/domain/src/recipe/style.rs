//! The recipe `style`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `style`: gives a video the look and sound of another one.
///
/// With `template`, the colour, loudness, frame rate and aspect ratio of that input are measured, and the first input is
/// rendered like it. Without, the first input is measured, and rendered unchanged. The receipt holds the measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Style {
    /// Name of the input whose style is used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<String>,
    /// Quality tier.
    pub quality: Quality,
    /// Container: mp4, mov, mkv or webm.
    pub format: Format,
    /// Video codec.
    pub codec: VideoCodec,
}

impl Style {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let template = form.text("template", 64);
        let quality = form.choice_or("quality", Quality::Standard);
        let (format, codec) = read_container(form, Format::is_video)?;
        Some(Self { template, quality, format, codec: codec? })
    }
}
