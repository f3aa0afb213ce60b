//! The recipe `compress`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `compress`: a smaller file, never larger than the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Compress {
    /// Rate factor, 0 (best) to 51 (smallest). Excludes `max_bytes` and `quality`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crf: Option<u32>,
    /// Largest size of the result, in bytes; two passes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_bytes: Option<u64>,
    /// Quality tier, instead of `crf`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quality: Option<Quality>,
    /// Video codec.
    pub codec: VideoCodec,
    /// Container.
    pub format: Format,
}

/// Rate factor of `compress` where the caller says nothing.
pub const DEFAULT_CRF: u32 = 28;

impl Compress {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let crf = form.integer32("crf", 0..=51);
        let max_bytes = form.integer("max_bytes", 10_000..=1 << 40);
        let quality = form.choice("quality");
        form.at_most_one(&["crf", "max_bytes", "quality"]);
        let (format, codec) = read_container(form, Format::is_video)?;
        Some(Self { crf, max_bytes, quality, codec: codec?, format })
    }
}
