//! Looking at a few frames for the colour of the screen behind the subject.

use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};

use super::Job;
use crate::error::MediaError;
use crate::plain;
use crate::plan::{SCREEN_SIZE, screen_color};
use crate::spell::SCREEN;
use crate::step::Step;

impl Job<'_> {
    /// The colour of the screen, where there is one; and the CPU time that it took to look.
    pub(super) async fn screen(&self, step: &Step) -> Result<(Option<[u8; 3]>, Duration), MediaError> {
        let file = self.scratch.join(SCREEN);
        let arguments = step.screen_arguments(self.input, SCREEN_SIZE);
        let cpu = self.finished(step, arguments, (0.0, 0.0)).await?;
        let pixels = plain::read(&file, plain::SAMPLE)?;
        if pixels.is_empty() {
            let message = "the input has no frame that can be decoded";
            return Err(MediaError::Failed(JobFailure::input(Stage::Encoding, "input_damaged", message)));
        }
        super::remove(&file)?;
        let color = screen_color(&pixels);
        tracing::debug!(?color, "the screen was measured");
        Ok((color, cpu))
    }
}
