//! The recipe `concat`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// Fewest inputs of a job with `concat`; the most are those of any job.
pub const FEWEST_TO_JOIN: usize = 2;

/// `concat`: the inputs of the job one after another, in their order; the picture is copied where all are alike and
/// encoded where not, the sound is encoded once over the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Concat {
    /// What to write: a video or an audio format.
    pub format: Format,
    /// Video codec; absent for audio formats, and where the inputs may keep theirs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Tier of effort, where an encoding is needed.
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
