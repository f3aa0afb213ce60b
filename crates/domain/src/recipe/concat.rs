//! The recipe `concat`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// Fewest inputs of a job with `concat`; the most are those of any job.
pub const FEWEST_TO_JOIN: usize = 2;

/// `concat`: the inputs of the job joined in their order. The video is copied if all inputs are alike, and encoded
/// otherwise; the audio is encoded once as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Concat {
    /// Format of the result: a video or an audio format.
    pub format: Format,
    /// Video codec; absent for audio formats, and if the inputs may keep their codec.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Quality tier, if an encoding is needed.
    pub quality: Quality,
}

impl Concat {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let quality = form.choice_or("quality", Quality::Standard);
        let had_codec = form.has("codec");
        let (format, codec) = read_container(form, |format| format.is_video() || format.is_audio())?;
        Some(Self { format, codec: codec.filter(|_| had_codec), quality })
    }
}
