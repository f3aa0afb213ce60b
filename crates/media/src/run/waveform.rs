//! Gathering the peaks of a sound while it is decoded, and drawing them.

use std::io;
use std::time::Duration;

use super::Job;
use super::process::Ending;
use crate::error::MediaError;
use crate::loudness;
use crate::step::Step;
use crate::tools::{Errand, Writes};
use crate::waveform::{Drawing, Gatherer};

impl Job<'_> {
    /// The whole step. Gives the CPU time.
    pub(super) async fn draw(&self, step: &Step, drawing: Drawing) -> Result<Duration, MediaError> {
        let mut gatherer = Gatherer::new(drawing.sound, drawing.width, step.timeline, self.watch.progress);
        let errand = Errand {
            program: self.toolbox.ffmpeg(),
            arguments: step.arguments(self.input, self.further),
            inputs: self.reads(step),
            scratch: self.scratch,
            writes: Writes::Nothing,
            wall: self.wall(step),
            stall: self.toolbox.settings().stall,
        };
        let ended = self.toolbox.start(errand, &mut gatherer, self.watch.cancel).await?;
        if ended.ending != Ending::Exited(0) {
            return Err(self.blame(step, &ended).await);
        }
        let gathered = gatherer.finish().ok_or_else(loudness::unheard)?;
        let folder = self.scratch.to_owned();
        let work = move || drawing.write(&gathered, &folder);
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
        (self.watch.progress)(super::Progress { fraction: 1.0, rate: None, frames: 0 });
        Ok(ended.cpu)
    }
}
