//! The recipe `normalize_audio`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `normalize_audio`: the audio brought to a loudness, with its true peaks held below a cap. Video is copied.
///
/// # Source
/// Loudness and true peak as in ITU-R BS.1770-5 and EBU R 128.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NormalizeAudio {
    /// Integrated loudness of the result, in LUFS.
    pub target_lufs: f64,
    /// Highest true peak of the result, in dBTP.
    pub true_peak_dbtp: f64,
    /// Format of the result. By default the source's container, or its codec in its usual container.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Format>,
}

/// Loudness where the caller names none, in LUFS.
pub const DEFAULT_LOUDNESS: f64 = -16.0;
/// Highest true peak where the caller names none, in dBTP.
pub const DEFAULT_TRUE_PEAK: f64 = -1.5;

impl NormalizeAudio {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let target_lufs = form.number_or("target_lufs", -70.0..=-5.0, DEFAULT_LOUDNESS);
        let true_peak_dbtp = form.number_or("true_peak_dbtp", -9.0..=0.0, DEFAULT_TRUE_PEAK);
        let format = form.choice_where("format", |format: Format| format.is_video() || format.is_audio());
        Some(Self { target_lufs, true_peak_dbtp, format })
    }
}
