//! The recipe `sprite`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `sprite`: a storyboard. Thumbnails at even distances, tiled into sheets, with a WebVTT file that says which part of
/// which sheet is for which time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sprite {
    /// Seconds between two thumbnails; absent: so that there are about 100, at least one second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval_seconds: Option<f64>,
    /// Thumbnails beside each other on a sheet.
    pub columns: u32,
    /// Thumbnails below each other on a sheet.
    pub rows: u32,
    /// Width of a thumbnail, in pixels; the aspect is kept.
    pub width: u32,
    /// Format of the sheets: jpg, webp or png.
    pub format: Format,
}

impl Sprite {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format: Format = form.choice("format").unwrap_or(Format::Jpg);
        if !matches!(format, Format::Jpg | Format::Png | Format::Webp) {
            form.refuse("format", format.as_str().into(), "must be one of jpg, png, webp");
        }
        Some(Self {
            interval_seconds: form.number("interval_seconds", 0.1..=3600.0),
            columns: form.integer32("columns", 1..=20).unwrap_or(10),
            rows: form.integer32("rows", 1..=20).unwrap_or(10),
            width: form.integer32("width", 16..=640).unwrap_or(160),
            format,
        })
    }
}
