//! Deliveries that wait in a lane, in order. Pure.
//!
//! Knows how many bytes their bodies have, because memory is bounded by that too, and whose they are, because what is
//! claimed anew by this process is looked for among thousands.

use std::collections::{HashSet, VecDeque};

use reelhook_domain::id::DeliveryId;
use reelhook_store::ClaimedDelivery;

use crate::job_order::is_progress;

/// Deliveries in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<ClaimedDelivery>,
    ids: HashSet<DeliveryId>,
    bytes: usize,
    /// How many of them tell of progress.
    progress: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The bytes of all bodies.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Those of these that wait here, each with how many wait before it.
    pub(crate) fn places<'q>(
        &'q self,
        wanted: &'q HashSet<DeliveryId>,
    ) -> impl Iterator<Item = (usize, &'q ClaimedDelivery)> {
        // Most are elsewhere, and then nothing is walked.
        let count = wanted.iter().filter(|id| self.ids.contains(id)).count();
        let found = self.waiting.iter().enumerate().filter(|(_, work)| wanted.contains(&work.delivery.id));
        found.take(count)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ClaimedDelivery> {
        self.waiting.iter()
    }

    /// The place of the first one that is like that.
    pub(crate) fn position(&self, is_it: impl Fn(&ClaimedDelivery) -> bool) -> Option<usize> {
        self.waiting.iter().position(is_it)
    }

    /// The place of the first one that tells of progress and is like that.
    pub(crate) fn progress(&self, is_it: impl Fn(&ClaimedDelivery) -> bool) -> Option<usize> {
        // Most lanes have none, and need not be walked for each event of a job.
        if self.progress == 0 { None } else { self.position(|work| is_progress(work) && is_it(work)) }
    }

    pub(crate) fn push(&mut self, work: ClaimedDelivery) {
        self.bytes += work.body.len();
        self.progress += usize::from(is_progress(&work));
        self.ids.insert(work.delivery.id);
        self.waiting.push_back(work);
    }

    pub(crate) fn pop(&mut self) -> Option<ClaimedDelivery> {
        self.remove(0)
    }

    pub(crate) fn remove(&mut self, place: usize) -> Option<ClaimedDelivery> {
        let work = self.waiting.remove(place)?;
        self.bytes -= work.body.len();
        self.progress -= usize::from(is_progress(&work));
        self.ids.remove(&work.delivery.id);
        Some(work)
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = ClaimedDelivery> {
        self.bytes = 0;
        self.progress = 0;
        self.ids.clear();
        self.waiting.drain(..)
    }

    /// Puts a delivery that waits under a claim, where that is newer; whether it waits here.
    pub(crate) fn adopt(&mut self, delivery: DeliveryId, token: i64) -> bool {
        if !self.ids.contains(&delivery) {
            return false;
        }
        let known = self.waiting.iter_mut().find(|known| known.delivery.id == delivery);
        known.is_some_and(|known| {
            known.token = known.token.max(token);
            true
        })
    }
}
