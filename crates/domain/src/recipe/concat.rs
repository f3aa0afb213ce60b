//! The recipe `concat`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `concat`: the inputs of the job one after another, in their order; copied where they are alike, encoded where not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Concat {
    /// What to write: a video or an audio format.
    pub format: Format,
    /// Video codec; absent for audio formats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub codec: Option<VideoCodec>,
    /// Tier of effort, where an encoding is needed.
    pub quality: Quality,
}

impl Concat {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let quality = form.choice("quality").unwrap_or(Quality::Standard);
        let (format, codec) = read_container(
            form,
            |format| format.is_video() || format.is_audio(),
            "mp4, webm, mkv, mov, mp3, aac, wav, flac, opus",
        )?;
        Some(Self { format, codec, quality })
    }
}
