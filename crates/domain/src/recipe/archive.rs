//! The recipe `archive`.

use serde::{Deserialize, Serialize};

use super::format::*;
use super::image::Level;
use crate::form::Form;

/// `archive`: the same archive with each member compressed by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Archive {
    /// Format of the result: zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst; the source's format by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// How strongly the images are compressed.
    pub level: Level,
}

impl Archive {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format = form.choice_where("format", Format::is_archive);
        Some(Self { format, level: form.choice_or("level", Level::High) })
    }
}
