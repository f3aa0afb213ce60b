//! The recipe `archive`.

use serde::{Deserialize, Serialize};

use super::format::*;
use super::image::Level;
use crate::form::Form;

/// `archive`: the same archive with each member made smaller by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Archive {
    /// What to write: zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst; the source's own format when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
    /// How hard its pictures are squeezed.
    pub level: Level,
}

impl Archive {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let format: Option<Format> = form.choice("format");
        if let Some(format) = format.filter(|format| !format.is_archive()) {
            form.refuse("format", format.as_str().into(), "must be one of zip, tar, tar.gz, tar.bz2, tar.xz, tar.zst");
        }
        Some(Self { format, level: form.choice("level").unwrap_or(Level::High) })
    }
}
