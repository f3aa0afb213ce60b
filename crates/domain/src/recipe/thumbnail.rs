//! The recipe `thumbnail`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `thumbnail`: one frame as a still image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Thumbnail {
    /// Time of the frame, in seconds.
    pub at_seconds: f64,
    /// Image format.
    pub format: Format,
    /// The box; never enlarged.
    #[serde(flatten)]
    pub size: Size,
}

impl Thumbnail {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let at_seconds = form.number_or("at_seconds", 0.0..=LATEST_SECOND, 0.0);
        let size = Size::read(form);
        let format = form.choice_where("format", |format| matches!(format, Format::Jpg | Format::Png | Format::Webp));
        let format = form.or("format", format, Format::Jpg);
        Some(Self { at_seconds, format, size })
    }
}
