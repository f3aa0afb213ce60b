//! The recipe `style`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `style`: the look and sound of one video measured and given to another.
///
/// With a second input, named by `template`, its colour, loudness, frame rate and aspect are measured and the first input
/// is rendered like it. Without, the first is measured and rendered as it is. What was measured stands in the receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Style {
    /// The name of the input whose style is taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<String>,
    /// Tier of effort.
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
