//! The worker's loop: claim, start journeys, collect them, stop in order.

use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::{Span, Tracer};
use reelhook_egress::Client;
use reelhook_files::Files;
use reelhook_store::{ClaimedJob, JobTaker, Lease, Slot, Store, Topic, Wake};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::disk_watch::watch;
use crate::heartbeat::beat;
use crate::held::Held;
use crate::journey::{Means, Parting, journey};
use crate::meter::Meter;
use crate::progress::Gauge;
use crate::settings::{Tools, WorkerSettings};
use crate::stage_clock::StageClock;
use crate::sweep::sweep;

/// How soon to look again when leases of others may run out, or the store failed.
const SOON: Duration = Duration::from_secs(1);

/// Works on jobs until it is told to stop.
#[derive(Debug)]
pub struct Worker {
    means: Means,
    tracer: Tracer,
}

impl Worker {
    /// A worker over this store and these files. Without a toolbox (no ffmpeg on this machine) jobs are still claimed,
    /// and fail with `ffmpeg_missing`, so that their callers learn of it.
    pub fn new(
        store: Arc<dyn Store>,
        files: Files,
        egress: Client,
        tools: Tools,
        ambient: Ambient,
        settings: WorkerSettings,
    ) -> Self {
        let Tools { toolbox, readers } = tools;
        let means = Means { store, files, egress, toolbox, readers, ambient, settings, meter: Arc::default() };
        Self { means, tracer: Tracer::default() }
    }

    /// Counts there what it does.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { means: Means { meter, ..self.means }, ..self }
    }

    /// Tells there of what jobs go through.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Works until `stop`. Then claims nothing more, ends running journeys, puts their jobs back into the queue, and
    /// returns.
    ///
    /// # Cancel safety
    /// Dropping the future ends the journeys too, but their jobs wait until their leases run out.
    pub async fn run(self, stop: CancellationToken) {
        let (held, means) = (Arc::new(Held::default()), Arc::new(self.means));
        means.meter.begin(means.settings.slots.max(1));
        // Beats until the last journey has ended, also while stopping.
        let at_end = CancellationToken::new();
        let _ends_with_this = at_end.clone().drop_guard();
        let mut companions = JoinSet::new();
        companions.spawn(beat(Arc::clone(&means), Arc::clone(&held), at_end.clone()));
        companions.spawn(watch(Arc::clone(&means), Arc::clone(&held), at_end.clone()));
        companions.spawn(sweep(Arc::clone(&means), stop.clone()));

        let slots = Arc::new(Semaphore::new(means.settings.slots.max(1)));
        let (give, given) = mpsc::unbounded_channel();
        let door: Arc<dyn JobTaker> = Arc::new(Door {
            files: means.files.clone(),
            slots: Arc::clone(&slots),
            give,
            lease: means.settings.lease,
            stop: stop.clone(),
        });
        means.store.hand_jobs_to(&door);
        let mut shift =
            Shift { means, tracer: self.tracer, held, stop: stop.clone(), slots, given, journeys: JoinSet::new() };
        let mut queued = shift.means.store.wakes().listen(Topic::JobQueued);
        while !stop.is_cancelled() {
            let look_again = Instant::now() + shift.claim().await;
            shift.wait(&mut queued, look_again).await;
            shift.means.meter.running(shift.journeys.len());
        }
        drop(door);
        shift.end().await;
        at_end.cancel();
        while companions.join_next().await.is_some() {}
    }
}

/// A job with the slot that was kept for it.
type Given = (ClaimedJob, OwnedSemaphorePermit);

/// Where the store gives jobs in that come while a slot is free.
#[derive(Debug)]
struct Door {
    files: Files,
    slots: Arc<Semaphore>,
    give: mpsc::UnboundedSender<Given>,
    lease: Duration,
    stop: CancellationToken,
}

impl JobTaker for Door {
    fn slot(&self) -> Option<Slot> {
        if self.stop.is_cancelled() || is_low(&self.files) {
            return None;
        }
        let (slot, give) = (Arc::clone(&self.slots).try_acquire_owned().ok()?, self.give.clone());
        // An error means that the worker is gone; the lease runs out, or is void when the next one starts.
        let take = move |job| drop(give.send((job, slot)));
        Some(Slot { lease: self.lease, take: Box::new(take) })
    }
}

/// Whether the disk has no room but its reserve.
fn is_low(files: &Files) -> bool {
    files.room().is_ok_and(|room| room.is_low())
}

/// The journeys of one run.
struct Shift {
    means: Arc<Means>,
    tracer: Tracer,
    held: Arc<Held>,
    stop: CancellationToken,
    /// One for each journey that may run; each holds its own.
    slots: Arc<Semaphore>,
    given: mpsc::UnboundedReceiver<Given>,
    journeys: JoinSet<Parting>,
}

impl Shift {
    fn free(&self) -> usize {
        self.slots.available_permits()
    }

    /// Claims jobs for the free slots and starts them. Answers when to look again if nothing happens until then.
    async fn claim(&mut self) -> Duration {
        let free = self.free();
        if free == 0 {
            return self.means.settings.look_again;
        }
        // What would be started now would be ended at once.
        if is_low(&self.means.files) {
            return SOON;
        }
        let limit = u32::try_from(free).unwrap_or(u32::MAX);
        // Kept while the store is asked, so that nobody gives a job in for the same slot.
        let Ok(mut slots) = Arc::clone(&self.slots).try_acquire_many_owned(limit) else { return Duration::ZERO };
        let claimed = match self.means.store.claim_jobs(limit, self.means.settings.lease).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "no jobs could be claimed");
                return SOON;
            }
        };
        for job in claimed {
            if let Some(slot) = slots.split(1) {
                self.start(job, slot);
            }
        }
        drop(slots);
        self.until_next_look().await
    }

    fn start(&mut self, claimed: ClaimedJob, slot: OwnedSemaphorePermit) {
        let ambient = self.means.ambient.clone();
        self.note_wait(&claimed, ambient.now());
        let clock = StageClock::new(claimed.job.id, ambient, Arc::clone(&self.means.meter), self.tracer.clone());
        let gauge = Gauge::with_clock(clock);
        let seat = self.held.seat(&claimed.lease, self.means.settings.lease, gauge, &self.stop);
        let span = tracing::info_span!(
            "job",
            job.id = %claimed.job.id,
            account.id = %claimed.job.account,
            job.claims = claimed.claims
        );
        let journey = journey(Arc::clone(&self.means), claimed, seat).instrument(span);
        self.journeys.spawn(async move {
            let parting = journey.await;
            drop(slot);
            parting
        });
        self.means.meter.running(self.journeys.len());
    }

    /// How long a job waited that is claimed for the first time.
    fn note_wait(&self, claimed: &ClaimedJob, now: Timestamp) {
        let job = &claimed.job;
        if claimed.claims > 1 || job.confirmed_at.is_some() {
            return;
        }
        let waited = now.since(job.created_at);
        self.means.meter.waited(waited);
        self.tracer.tell(|| {
            let id = u64::from_be_bytes(self.means.ambient.random());
            Span::of_job(job.id, id.max(1), "wait", job.created_at, waited)
        });
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

    /// Waits until there may be something to claim: a free slot, a queued job, the next look, or the stop. What is given in
    /// meanwhile is started.
    async fn wait(&mut self, queued: &mut Wake, look_again: Instant) {
        loop {
            let has_room = self.free() > 0;
            tokio::select! {
                () = self.stop.cancelled() => {}
                Some((job, slot)) = self.given.recv() => {
                    self.start(job, slot);
                    continue;
                }
                Some(ended) = self.journeys.join_next() => {
                    // A lease that comes back while nobody stops was lost: somebody else has it, or the caller ended the job.
                    let _lost = lease_of(ended);
                }
                () = queued.wait(), if has_room => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
            return;
        }
    }

    /// Waits for the journeys, which were told to end, and puts their jobs back.
    async fn end(mut self) {
        let mut leases = Vec::new();
        while let Some(ended) = self.journeys.join_next().await {
            leases.extend(lease_of(ended));
        }
        // A job may be on its way through the door. Once all slots are back, none is.
        let all = u32::try_from(self.means.settings.slots.max(1)).unwrap_or(u32::MAX);
        loop {
            tokio::select! {
                Some((job, _)) = self.given.recv() => leases.push(job.lease),
                _ = self.slots.acquire_many(all) => break,
            }
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
            tracing::error!(%error, "a journey panicked; its job is tried again when its lease expires");
            None
        }
    }
}
