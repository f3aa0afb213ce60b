//! What a job is expected to take and what it took, and whether its caller is asked before it is worked on.
//!
//! The estimate prices what was planned; the cost prices what was made, by its measured length. What failed costs
//! nothing.

use fail::fail_point;
use reelhook_domain::job::{OutputFile, OutputState};
use reelhook_domain::price::{Cost, Encoding, Estimate};
use reelhook_media::archive::{Content, Contents, MemberKind};
use reelhook_media::{Plan, Source, Toolbox, forecast, plan};
use reelhook_store::{Lease, StoreError};

use super::Walk;
use super::fetch::Input;
use super::trouble::Trouble;

/// Seconds of one core for a picture of some megapixels.
const PICTURE_SECONDS: f64 = 0.5;
/// Bytes of such a picture.
const PICTURE_BYTES: f64 = 1e6;

impl Walk<'_> {
    /// What the job is expected to take, and the plan that says so. No estimate where nothing of it can be made, for then
    /// there is nothing to accept.
    pub(super) fn estimate(
        &mut self,
        toolbox: &Toolbox,
        inputs: &[Input],
        sources: &[Source],
    ) -> Result<(Option<Estimate>, Plan), Trouble> {
        let Some(source) = sources.first() else { return Ok((None, Plan::default())) };
        let further = self.further(&inputs[1..], &sources[1..])?;
        let recipes: Vec<_> = self.job.outputs.iter().map(|output| &output.spec.recipe).collect();
        let plan = plan(source, &further, &recipes, toolbox.capabilities(), self.damage());
        if plan.steps.is_empty() {
            return Ok((None, plan));
        }
        let cores = match toolbox.capabilities().threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads as usize,
        };
        let forecast = forecast(source, &plan, &recipes, cores);
        let prices = &self.means.settings.prices;
        let price = |output: &Vec<Encoding>| output.iter().map(|encoding| prices.price(encoding)).sum();
        let cost = Cost::of(forecast.encodings.iter().map(price).collect(), &prices.currency);
        self.encodings = forecast.encodings;
        let estimate = Estimate {
            cpu_seconds: round(forecast.cpu_seconds),
            wall_seconds: round(forecast.wall_seconds),
            size_bytes: forecast.size_bytes,
            cost,
        };
        Ok((Some(estimate), plan))
    }

    /// The same for pictures alone, which are free: each about as large as its input, and made in a moment.
    pub(super) fn estimate_pictures(&self) -> Estimate {
        self.estimate_free(PICTURE_SECONDS)
    }

    /// The same for archives, which are free too: each about as large as its input. What the members are is not known
    /// before each is worked on; they are taken for pictures.
    pub(super) fn estimate_archives(&self, contents: &Contents) -> Estimate {
        let size = |member: &Content| match &member.kind {
            MemberKind::File { size_bytes, .. } => *size_bytes,
            MemberKind::Folder => 0,
        };
        let bytes: u64 = contents.members.iter().map(size).sum();
        self.estimate_free(round(bytes as f64 / PICTURE_BYTES * PICTURE_SECONDS))
    }

    /// What outputs of that many seconds each take that nobody pays for.
    fn estimate_free(&self, seconds: f64) -> Estimate {
        let count = self.job.outputs.len();
        let bytes = self.inputs.first().map_or(0, |input| input.size_bytes);
        Estimate {
            cpu_seconds: seconds * count as f64,
            wall_seconds: seconds * count as f64,
            size_bytes: bytes * count as u64,
            cost: Cost::of(vec![0.0; count], &self.means.settings.prices.currency),
        }
    }

    /// Whether the caller wants to be asked, and was not yet.
    pub(super) const fn asks(&self) -> bool {
        self.job.spec.confirm && self.job.confirmed_at.is_none()
    }

    /// Asks the caller to accept the estimate; the lease is used up.
    pub(super) async fn ask(&mut self, lease: Lease, estimate: Estimate) {
        fail_point!("worker.before_ask");
        let until = self.means.ambient.now() + self.means.settings.question;
        let inputs = std::mem::take(&mut self.inputs);
        match self.means.store.ask_confirmation(lease, inputs, estimate, until).await {
            Ok(_) => tracing::info!(%until, "the job waits for confirmation"),
            Err(StoreError::LeaseLost) => tracing::info!("the job was ended by another process"),
            Err(error) => {
                tracing::error!(%error, "a request for confirmation was not written; the job is tried again when its lease runs out");
            }
        }
    }

    /// What was made costs, by its measured length.
    pub(super) fn cost(&self) -> Cost {
        let prices = &self.means.settings.prices;
        let cost = |(place, output): (usize, &reelhook_domain::job::Output)| {
            let made = match &self.ends[place] {
                Some(end) => end.file.as_ref().filter(|_| end.state == OutputState::Completed),
                None => output.file.as_ref().filter(|_| output.state == OutputState::Completed),
            };
            let (Some(file), Some(planned)) = (made, self.encodings.get(place)) else { return 0.0 };
            planned.iter().map(|encoding| prices.price(&measured(encoding, file))).sum()
        };
        Cost::of(self.job.outputs.iter().enumerate().map(cost).collect(), &prices.currency)
    }
}

/// Seconds to one place.
fn round(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

/// An encoding as long as what came of it; as long as planned where that cannot be measured.
fn measured(encoding: &Encoding, file: &OutputFile) -> Encoding {
    let seconds = file.media.duration_seconds.unwrap_or(encoding.seconds);
    Encoding { seconds, ..*encoding }
}
