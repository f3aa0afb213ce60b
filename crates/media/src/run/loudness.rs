//! Bringing a sound to its loudness: heard, made, heard again, and made again where it is not there yet.

use std::time::Duration;

use super::Job;
use super::process::Ending;
use super::progress::Meter;
use crate::error::MediaError;
use crate::loudness::{self, Aim, BEFORE, Level, Listening, Loudness};
use crate::plain;
use crate::plan::{Damage, leveled};
use crate::step::Step;

/// Which share of a step's work it is to listen to the source.
const SHARE: f64 = 0.3;
/// How often a product that is not at its loudness is made again.
const CORRECTIONS: u32 = 4;

impl Job<'_> {
    /// The whole step, run after run. Gives the CPU time.
    pub(super) async fn level(&self, step: &Step, aim: Aim, mix: Option<&'static str>) -> Result<Duration, MediaError> {
        let (before, mut cpu) = self.heard(step, mix).await?;
        tracing::debug!(?before, "the loudness was measured");
        let document = serde_json::to_vec(&before).map_err(std::io::Error::from)?;
        plain::write(&self.scratch.join(BEFORE), document)?;
        let mut level = Level::between(&before, aim);
        for correction in 0..=CORRECTIONS {
            cpu += self.attempt(&leveled(step, level), SHARE).await?;
            let Some(product) = step.products.first().filter(|_| correction < CORRECTIONS) else { break };
            let Some(now) = level else { break };
            let file = self.scratch.join(&product.file_name);
            let mut meter = Meter::new(0.0, (1.0, 1.0), self.watch.progress);
            let after = loudness::of_product(self.toolbox, &file, self.scratch, &mut meter, self.watch.cancel).await?;
            let Some(better) = now.corrected(&after, aim) else { break };
            tracing::info!(?after, "the output is not at its loudness; it is made again");
            level = Some(better);
        }
        Ok(cpu)
    }

    /// How loud the source is.
    async fn heard(&self, step: &Step, mix: Option<&'static str>) -> Result<(Loudness, Duration), MediaError> {
        let index = step.reading.audio.ok_or_else(loudness::unheard)?;
        let listening = Listening {
            file: self.input,
            demuxer: step.reading.demuxer,
            demuxer_options: step.reading.demuxer_options,
            index,
            mix,
            strict: step.reading.damage == Damage::Strict && !step.reading.lenient,
            wall: self.wall(step),
        };
        let mut meter = Meter::new(step.timeline, (0.0, SHARE), self.watch.progress);
        let (ended, heard) = listening.measure(self.toolbox, self.scratch, &mut meter, self.watch.cancel).await?;
        match heard {
            Some(loudness) => Ok((loudness, ended.cpu)),
            None if ended.ending == Ending::Canceled => Err(MediaError::Canceled),
            None => Err(self.blame(step, &ended).await),
        }
    }
}
