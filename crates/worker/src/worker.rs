//! The worker's loop: claim, start journeys, collect them, stop in order.

use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::ambient::Ambient;
use reelhook_egress::Client;
use reelhook_files::Files;
use reelhook_media::Toolbox;
use reelhook_store::{ClaimedJob, Lease, Store, Topic, Wake};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::heartbeat::beat;
use crate::held::Held;
use crate::journey::{Means, Parting, journey};
use crate::settings::WorkerSettings;
use crate::sweep::sweep;

/// How soon to look again when leases of others may run out, or the store failed.
const SOON: Duration = Duration::from_secs(1);

/// Works on jobs until it is told to stop.
#[derive(Debug)]
pub struct Worker {
    means: Arc<Means>,
}

impl Worker {
    /// A worker over this store and these files. Without a toolbox (no ffmpeg on this machine) jobs are still claimed,
    /// and fail with `ffmpeg_missing`, so that their callers learn of it.
    pub fn new(
        store: Arc<dyn Store>,
        files: Files,
        egress: Client,
        toolbox: Option<Toolbox>,
        ambient: Ambient,
        settings: WorkerSettings,
    ) -> Self {
        Self { means: Arc::new(Means { store, files, egress, toolbox, ambient, settings }) }
    }

    /// Works until `stop`. Then claims nothing more, ends running journeys, puts their jobs back into the queue, and
    /// returns.
    ///
    /// # Cancel safety
    /// Dropping the future ends the journeys too, but their jobs wait until their leases run out.
    pub async fn run(self, stop: CancellationToken) {
        let held = Arc::new(Held::default());
        // Beats until the last journey has ended, also while stopping.
        let at_end = CancellationToken::new();
        let _ends_with_this = at_end.clone().drop_guard();
        let mut companions = JoinSet::new();
        companions.spawn(beat(Arc::clone(&self.means), Arc::clone(&held), at_end.clone()));
        companions.spawn(sweep(Arc::clone(&self.means), stop.clone()));

        let mut shift = Shift { means: self.means, held, stop: stop.clone(), journeys: JoinSet::new() };
        let mut queued = shift.means.store.wakes().listen(Topic::JobQueued);
        while !stop.is_cancelled() {
            let look_again = Instant::now() + shift.claim().await;
            shift.wait(&mut queued, look_again).await;
        }
        shift.end().await;
        at_end.cancel();
        while companions.join_next().await.is_some() {}
    }
}

/// The journeys of one run.
struct Shift {
    means: Arc<Means>,
    held: Arc<Held>,
    stop: CancellationToken,
    journeys: JoinSet<Parting>,
}

impl Shift {
    fn free(&self) -> usize {
        self.means.settings.slots.max(1).saturating_sub(self.journeys.len())
    }

    /// Claims jobs for the free slots and starts them. Answers when to look again if nothing happens until then.
    async fn claim(&mut self) -> Duration {
        let free = self.free();
        if free == 0 {
            return self.means.settings.look_again;
        }
        let limit = u32::try_from(free).unwrap_or(u32::MAX);
        let claimed = match self.means.store.claim_jobs(limit, self.means.settings.lease).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "no jobs could be claimed");
                return SOON;
            }
        };
        for job in claimed {
            self.start(job);
        }
        self.until_next_look().await
    }

    fn start(&mut self, claimed: ClaimedJob) {
        let seat = self.held.seat(&claimed.lease, self.means.settings.lease, &self.stop);
        let span = tracing::info_span!("job", job.id = %claimed.job.id, job.claims = claimed.claims);
        self.journeys.spawn(journey(Arc::clone(&self.means), claimed, seat).instrument(span));
    }

    /// Soon while others hold jobs, because the end of a lease wakes nobody.
    async fn until_next_look(&self) -> Duration {
        let rest = self.means.settings.look_again;
        if self.free() == 0 {
            return rest;
        }
        match self.means.store.queue(None).await {
            Ok(queue) if queue.running <= self.journeys.len() as u64 => rest,
            _ => SOON.min(rest),
        }
    }

    /// Waits for something to do: a free slot, a queued job, the next look, or the stop.
    async fn wait(&mut self, queued: &mut Wake, look_again: Instant) {
        let has_room = self.free() > 0;
        tokio::select! {
            () = self.stop.cancelled() => {}
            Some(ended) = self.journeys.join_next() => {
                // A lease that comes back while nobody stops was lost: somebody else has it, or the caller ended the job.
                let _lost = lease_of(ended);
            }
            () = queued.wait(), if has_room => {}
            () = tokio::time::sleep_until(look_again), if has_room => {}
        }
    }

    /// Waits for the journeys, which were told to end, and puts their jobs back.
    async fn end(mut self) {
        let mut leases = Vec::new();
        while let Some(ended) = self.journeys.join_next().await {
            leases.extend(lease_of(ended));
        }
        if leases.is_empty() {
            return;
        }
        let jobs = leases.len();
        match self.means.store.release_jobs(leases).await {
            Ok(()) => tracing::info!(jobs, "jobs in work were put back into the queue"),
            Err(error) => tracing::warn!(jobs, %error, "jobs in work were not put back; their leases will run out"),
        }
    }
}

fn lease_of(ended: Result<Parting, JoinError>) -> Option<Lease> {
    match ended {
        Ok(Parting::Interrupted(lease)) => Some(lease),
        Ok(Parting::Over) => None,
        Err(error) => {
            tracing::error!(%error, "a journey panicked; its job is tried again when its lease runs out");
            None
        }
    }
}
