//! What some recipes promise of a product beside its format and its streams, and measuring it.

use std::io;
use std::path::Path;

use reelhook_domain::recipe::Format;
use serde::{Deserialize, Serialize};

use crate::error::MediaError;
use crate::loudness::Aim;
use crate::storyboard::{CUES, Storyboard};
use crate::tools::Toolbox;
use crate::verify::{Expectation, Receipt};
use crate::waveform::{self, Drawing, WaveformExpectation};

/// What a recipe promises of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Its sound has a loudness.
    Loudness(Aim),
    /// It shows a sound.
    Waveform(WaveformExpectation),
    /// It is a storyboard.
    Storyboard(Storyboard),
}

impl Promise {
    /// The name of the main file, where other files stand beside it.
    pub(crate) const fn main_file(&self, format: Format) -> Option<&'static str> {
        match self {
            Self::Loudness(_) => None,
            Self::Storyboard(_) => Some(CUES),
            Self::Waveform(_) => Some(Drawing::main_file(format)),
        }
    }

    /// Whether the product is measured as a whole, for it is no media to ffprobe.
    pub(crate) const fn is_measured_whole(&self) -> bool {
        match self {
            Self::Loudness(_) => false,
            Self::Storyboard(_) | Self::Waveform(_) => true,
        }
    }

    /// Measures the product at `file` as a whole. Blocks.
    pub(crate) fn measure(&self, expect: &Expectation, file: &Path) -> Result<Receipt, MediaError> {
        match self {
            Self::Loudness(_) => Err(io::Error::other("a loudness is not measured as a whole").into()),
            Self::Storyboard(board) => board.measure(file),
            Self::Waveform(wave) => waveform::measure(expect, wave, file),
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
            // Measured as a whole.
            Self::Waveform(_) | Self::Storyboard(_) => Ok(receipt),
        }
    }
}
