//! Which jobs this worker holds, for the heartbeat.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reelhook_domain::failure::JobFailure;
use reelhook_domain::id::JobId;
use reelhook_store::Lease;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::progress::Gauge;

/// All jobs that this worker holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    jobs: Mutex<HashMap<JobId, Entry>>,
    taken: Notify,
}

#[derive(Debug)]
struct Entry {
    token: i64,
    /// When the lease has run out unless it was prolonged.
    until: Instant,
    cancel: CancellationToken,
    gauge: Arc<Gauge>,
    /// Where its half-made things lie, once it has such a place.
    scratch: Option<PathBuf>,
    /// Why the job shall end, where the worker says so.
    verdict: Option<JobFailure>,
}

/// What the watch over the disk sees of a job.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub(crate) job: JobId,
    /// Where its half-made things lie.
    pub(crate) scratch: Option<PathBuf>,
    /// Whether it was told to end.
    pub(crate) is_ending: bool,
}

/// The place of one journey among those held; given up when dropped, however the journey ends.
#[derive(Debug)]
pub(crate) struct Seat {
    job: JobId,
    held: Arc<Held>,
    /// Canceled when the lease is lost or the worker stops.
    pub(crate) cancel: CancellationToken,
    pub(crate) gauge: Arc<Gauge>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        // Entries are inserted and removed whole.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat for the job of `lease`, claimed for `span` just now.
    pub(crate) fn seat(
        self: &Arc<Self>,
        lease: &Lease,
        span: Duration,
        gauge: Gauge,
        stop: &CancellationToken,
    ) -> Seat {
        let (cancel, gauge) = (stop.child_token(), Arc::new(gauge));
        let until = Instant::now() + span;
        let entry = Entry {
            token: lease.token,
            until,
            cancel: cancel.clone(),
            gauge: Arc::clone(&gauge),
            scratch: None,
            verdict: None,
        };
        self.lock().insert(lease.job, entry);
        self.taken.notify_waiters();
        Seat { job: lease.job, held: Arc::clone(self), cancel, gauge }
    }

    /// Whether no job is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Waits until a job is held.
    pub(crate) async fn wait(&self) {
        loop {
            // Armed before the look, so that none slips between the look and the wait.
            let taken = self.taken.notified();
            if !self.is_empty() {
                return;
            }
            taken.await;
        }
    }

    /// What proves the leases.
    pub(crate) fn leases(&self) -> Vec<(JobId, i64)> {
        self.lock().iter().map(|(&job, entry)| (job, entry.token)).collect()
    }

    /// The gauges with the tokens that they are written under.
    pub(crate) fn gauges(&self) -> Vec<(JobId, i64, Arc<Gauge>)> {
        self.lock().iter().map(|(&job, entry)| (job, entry.token, Arc::clone(&entry.gauge))).collect()
    }

    /// What the watch over the disk looks at.
    pub(crate) fn holdings(&self) -> Vec<Holding> {
        let jobs = self.lock();
        let holding = |(&job, entry): (&JobId, &Entry)| Holding {
            job,
            scratch: entry.scratch.clone(),
            is_ending: entry.cancel.is_cancelled(),
        };
        jobs.iter().map(holding).collect()
    }

    /// Ends the journey of a job, which fails with that.
    pub(crate) fn end(&self, job: JobId, verdict: JobFailure) {
        if let Some(entry) = self.lock().get_mut(&job).filter(|entry| !entry.cancel.is_cancelled()) {
            entry.verdict = Some(verdict);
            entry.cancel.cancel();
        }
    }

    /// The leases in `asked` were prolonged to `until`, but for those that are `lost`: their journeys end.
    pub(crate) fn renewed(&self, asked: &[(JobId, i64)], lost: &[JobId], until: Instant) {
        let mut jobs = self.lock();
        for (job, token) in asked {
            let Some(entry) = jobs.get_mut(job).filter(|entry| entry.token == *token) else { continue };
            if lost.contains(job) {
                tracing::info!(job.id = %job, "the job was canceled or is another worker's now; work on it ends");
                entry.cancel.cancel();
            } else {
                entry.until = until;
            }
        }
    }

    /// Ends journeys whose leases could not be prolonged in time.
    pub(crate) fn expire(&self, now: Instant) {
        for (job, entry) in self.lock().iter().filter(|(_, entry)| entry.until <= now && !entry.cancel.is_cancelled()) {
            tracing::warn!(job.id = %job, "the lease expired because it could not be renewed; work on the job ends");
            entry.cancel.cancel();
        }
    }
}

impl Seat {
    /// Its half-made things lie there.
    pub(crate) fn has_scratch(&self, folder: &std::path::Path) {
        if let Some(entry) = self.held.lock().get_mut(&self.job) {
            entry.scratch = Some(folder.to_owned());
        }
    }

    /// Why the worker ended the journey, if it did.
    pub(crate) fn verdict(&self) -> Option<JobFailure> {
        self.held.lock().get(&self.job)?.verdict.clone()
    }

    /// The seat of a walk over a job that nobody holds.
    pub(crate) fn without_lease(cancel: CancellationToken) -> Self {
        Self { job: JobId::from_bits(0), held: Arc::default(), cancel, gauge: Arc::default() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.held.lock().remove(&self.job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(30);

    fn two_seats() -> (Arc<Held>, Seat, Seat) {
        let (held, stop) = (Arc::new(Held::default()), CancellationToken::new());
        let seat = |bits| held.seat(&Lease { job: JobId::from_bits(bits), token: 7 }, SPAN, Gauge::default(), &stop);
        let (first, second) = (seat(1), seat(2));
        (held, first, second)
    }

    #[test]
    fn only_the_journey_whose_lease_is_lost_is_canceled() {
        let (held, first, second) = two_seats();
        held.renewed(&held.leases(), &[first.job], Instant::now() + SPAN);
        assert!(first.cancel.is_cancelled() && !second.cancel.is_cancelled());
        drop(first);
        assert_eq!(held.leases(), [(second.job, 7)]);
    }

    #[test]
    fn a_lease_that_was_not_prolonged_ends_its_journey_in_time() {
        let (held, first, second) = two_seats();
        let now = Instant::now();
        held.renewed(&[(first.job, 7)], &[], now + 2 * SPAN);
        held.expire(now);
        assert!(!first.cancel.is_cancelled() && !second.cancel.is_cancelled());
        held.expire(now + SPAN + SPAN / 2);
        assert!(!first.cancel.is_cancelled() && second.cancel.is_cancelled());
    }
}
