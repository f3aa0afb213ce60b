//! Events of one job reach one endpoint in the order of their first attempt. Pure.
//!
//! Knows the first tries of a lane that are queued or out. One may start when none of an earlier event of its job is among
//! them. Retries and progress block nobody; progress is blocked like everybody.

use std::collections::{BTreeSet, HashMap};

use reelhook_domain::event::EventType;
use reelhook_domain::id::JobId;
use reelhook_store::ClaimedDelivery;

/// Which first tries of which job have not ended, by sequence.
#[derive(Debug, Default)]
pub(crate) struct JobOrder(HashMap<JobId, BTreeSet<i64>>);

impl JobOrder {
    pub(crate) fn enter(&mut self, work: &ClaimedDelivery) {
        if let Some(job) = blocks(work) {
            self.0.entry(job).or_default().insert(work.delivery.sequence);
        }
    }

    pub(crate) fn leave(&mut self, work: &ClaimedDelivery) {
        let Some(job) = blocks(work) else { return };
        if let Some(sequences) = self.0.get_mut(&job) {
            sequences.remove(&work.delivery.sequence);
            if sequences.is_empty() {
                self.0.remove(&job);
            }
        }
    }

    pub(crate) fn allows(&self, work: &ClaimedDelivery) -> bool {
        let earliest = work.delivery.job.and_then(|job| self.0.get(&job)?.first());
        earliest.is_none_or(|&earliest| earliest >= work.delivery.sequence)
    }
}

/// The job whose later events wait for the first try of this delivery.
fn blocks(work: &ClaimedDelivery) -> Option<JobId> {
    if is_first(work) && !is_progress(work) { work.delivery.job } else { None }
}

/// Whether its first attempt has not ended.
pub(crate) const fn is_first(work: &ClaimedDelivery) -> bool {
    work.delivery.attempts == 0
}

/// Whether it tells of progress, which is told out of band.
pub(crate) fn is_progress(work: &ClaimedDelivery) -> bool {
    work.delivery.event_type == EventType::JOB_PROGRESS
}
