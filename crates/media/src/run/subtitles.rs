//! Taking subtitles that are to be drawn out of the input.
//!
//! The filter that draws them opens a file by itself and guesses what it is. It is given a file that we made, under a
//! name of ours, so that it never guesses about the bytes of a stranger and no path has to be escaped.

use std::time::Duration;

use super::{Job, SUBTITLES_MAY_BE_WHY};
use crate::error::MediaError;
use crate::spell::FONTS;
use crate::step::Step;

impl Job<'_> {
    /// Writes the subtitles and their fonts into the scratch folder. Gives the CPU time.
    pub(super) async fn subtitles(&self, step: &Step, index: u32, fonts: &[u32]) -> Result<Duration, MediaError> {
        tokio::fs::create_dir_all(self.scratch.join(FONTS)).await?;
        let arguments = step.subtitle_arguments(self.input, index, fonts);
        match self.finished(step, arguments, (0.0, 0.0)).await {
            Err(MediaError::Failed(failure)) if SUBTITLES_MAY_BE_WHY.contains(&&*failure.code) => {
                let legacy = Step { legacy_text: true, ..step.clone() };
                let arguments = legacy.subtitle_arguments(self.input, index, fonts);
                self.finished(&legacy, arguments, (0.0, 0.0)).await
            }
            outcome => outcome,
        }
    }
}
