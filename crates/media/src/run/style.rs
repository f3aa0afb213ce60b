//! Looking at a video, and listening to it, for its style.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};

use super::{Job, Prepared, remove};
use crate::error::MediaError;
use crate::plain;
use crate::plan::styled;
use crate::spell::{CUTS, HEARD, LOOK};
use crate::step::Step;
use crate::style::{MeasuredStyle, Seen, Weights};

/// Which share of a step's work it is to measure.
const SHARE: f64 = 0.3;
/// Bytes at the end of what was heard that surely hold the last line of it.
const TAIL: u64 = 1024;
/// Softer than this, in LUFS, is silence.
const SILENCE: f64 = -69.0;

impl Job<'_> {
    /// The step with what was measured in it.
    pub(super) async fn style(
        &self,
        step: &Step,
        weights: Weights,
        template: Option<&(usize, Box<Step>)>,
    ) -> Result<Prepared, MediaError> {
        let share = if template.is_some() { SHARE / 2.0 } else { SHARE };
        let (own, cpu) = self.seen(step, (0.0, share)).await?;
        let Some((place, measuring)) = template else {
            let style = Some(MeasuredStyle::new(&own, self.source));
            return Ok(Prepared { step: Step { before: None, ..step.clone() }, done: SHARE, cpu, style });
        };
        let template = self.further.get(*place).ok_or_else(|| io::Error::other("the template is not at hand"))?;
        let there = Job { input: &template.path, source: &template.source, further: &[], ..*self };
        let (wished, more) = there.seen(measuring, (share, SHARE)).await?;
        let style = Some(MeasuredStyle::new(&wished, &template.source));
        Ok(Prepared { step: styled(step, &own, &wished, weights), done: SHARE, cpu: cpu + more, style })
    }

    async fn seen(&self, step: &Step, share: (f64, f64)) -> Result<(Seen, Duration), MediaError> {
        let files = [LOOK, CUTS, HEARD].map(|name| self.scratch.join(name));
        for file in &files {
            remove(file)?;
        }
        let cpu = self.finished(step, step.style_arguments(self.input), share).await?;
        let [look, cuts, heard] = &files;
        let pixels = plain::read(look, plain::SAMPLE)?;
        if pixels.is_empty() {
            let message = "the input has no frame that can be decoded";
            return Err(MediaError::Failed(JobFailure::input(Stage::Encoding, "input_damaged", message)));
        }
        let seen = Seen { pixels, loudness: loudness(heard).await?, cuts: count(cuts).await? };
        for file in &files {
            remove(file)?;
        }
        tracing::debug!(loudness = seen.loudness, cuts = seen.cuts, "the style was measured");
        Ok((seen, cpu))
    }
}

/// The last value of what was heard: the loudness of all of it.
async fn loudness(file: &Path) -> io::Result<Option<f64>> {
    let mut file = match plain::open_made(file).map(File::from_std) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).await?;
    let mut text = String::new();
    file.take(TAIL).read_to_string(&mut text).await?;
    let value = text.lines().rev().find_map(|line| line.strip_prefix("lavfi.r128.I=")?.trim().parse::<f64>().ok());
    Ok(value.filter(|value| value.is_finite() && *value > SILENCE))
}

/// How many frames are listed.
async fn count(file: &Path) -> io::Result<u32> {
    let mut lines = BufReader::new(File::from_std(plain::open_made(file)?).take(plain::LIST)).lines();
    let mut count: u32 = 0;
    while let Some(line) = lines.next_line().await? {
        count = count.saturating_add(u32::from(line.starts_with("frame:")));
    }
    Ok(count)
}
