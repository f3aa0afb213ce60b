//! The recipe `resize`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `resize`: other dimensions, everything else as good as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Resize {
    /// The box; at least one of its sides or a named size is given.
    #[serde(flatten)]
    pub size: Size,
    /// How the result fits the box.
    pub fit: Fit,
    /// Container.
    pub format: Format,
    /// Video codec.
    pub codec: VideoCodec,
    /// Quality tier.
    pub quality: Quality,
}

impl Resize {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let asked = form.has("resolution") || form.has("width") || form.has("height");
        let size = Size::read(form);
        if !asked {
            form.refuse_whole("needs width, height or resolution");
        }
        let fit = form.choice_or("fit", Fit::Inside);
        if fit == Fit::Exact && asked && (size.width.is_none() || size.height.is_none()) {
            form.refuse_whole("needs both width and height when fit is exact");
        }
        let quality = form.choice_or("quality", Quality::Standard);
        let (format, codec) = read_container(form, Format::is_video)?;
        Some(Self { size, fit, format, codec: codec?, quality })
    }
}
