//! What some recipes promise of a product beside its format and its streams, and measuring it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::MediaError;
use crate::loudness::Aim;
use crate::tools::Toolbox;
use crate::verify::{Expectation, Receipt};

/// What a recipe promises of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Its sound has a loudness.
    Loudness(Aim),
}

impl Promise {
    /// The name of the main file, where other files stand beside it.
    pub(crate) const fn main_file(&self) -> Option<&'static str> {
        match self {
            Self::Loudness(_) => None,
        }
    }

    /// Measures the product at `file` as a whole, where it is no media to ffprobe.
    pub(crate) async fn measure(&self, _expect: &Expectation, _file: &Path) -> Result<Option<Receipt>, MediaError> {
        match self {
            Self::Loudness(_) => Ok(None),
        }
    }

    /// Measures what is promised of a product whose format and streams are as they have to be.
    pub(crate) async fn keep(
        &self,
        toolbox: &Toolbox,
        file: &Path,
        scratch: &Path,
        receipt: Receipt,
    ) -> Result<Receipt, MediaError> {
        match self {
            Self::Loudness(aim) => crate::loudness::verify(toolbox, *aim, file, scratch, receipt).await,
        }
    }
}
