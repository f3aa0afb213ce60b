//! The recipe `image`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::choice;
use crate::form::Form;

choice! {
    /// How hard a still picture is squeezed.
    Level {
        /// Balanced.
        Medium = "medium",
        /// More, without a difference that one would look for.
        High = "high",
        /// As small as it gets.
        Ultra = "ultra",
    }
}

/// `image`: a smaller image, created without ffmpeg. It is never larger than the source if format and dimensions stay the
/// same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Image {
    /// How strongly the image is compressed.
    pub level: Level,
    /// Format of the result: jpg, png, webp, avif or gif; the source's format by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// Width of the box, in pixels; never enlarged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    /// Height of the box, in pixels; never enlarged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
    /// Largest size of the result, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_bytes: Option<u64>,
}

/// The formats that `image` writes.
pub const IMAGE_FORMATS: &[Format] = &[Format::Jpg, Format::Png, Format::Webp, Format::Avif, Format::Gif];

impl Image {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format = form.choice_where("format", |format| IMAGE_FORMATS.contains(&format));
        Some(Self {
            level: form.choice_or("level", Level::High),
            format,
            width: form.integer32("width", 1..=LARGEST_SIDE),
            height: form.integer32("height", 1..=LARGEST_SIDE),
            max_bytes: form.integer("max_bytes", 100..=1 << 40),
        })
    }
}
