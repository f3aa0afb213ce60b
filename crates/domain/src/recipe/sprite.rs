//! The recipe `sprite`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `sprite`: a storyboard. Thumbnails at even intervals, tiled into sheets, with a WebVTT file that maps times to regions of
/// the sheets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sprite {
    /// Seconds between two thumbnails. By default about 100 thumbnails, at least one second apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval_seconds: Option<f64>,
    /// Thumbnails per row of a sheet.
    pub columns: u32,
    /// Rows of a sheet.
    pub rows: u32,
    /// Width of a thumbnail, in pixels. The aspect ratio is kept.
    pub width: u32,
    /// Format of the sheets: jpg, webp or png.
    pub format: Format,
}

impl Sprite {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format = form.choice_where("format", |format| matches!(format, Format::Jpg | Format::Png | Format::Webp));
        let format = form.or("format", format, Format::Jpg);
        Some(Self {
            interval_seconds: form.number("interval_seconds", 0.1..=3600.0),
            columns: form.integer32_or("columns", 1..=20, 10),
            rows: form.integer32_or("rows", 1..=20, 10),
            width: form.integer32_or("width", 16..=640, 160),
            format,
        })
    }
}
