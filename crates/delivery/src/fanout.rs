//! Fan-out: events become deliveries.
//!
//! # Theory of operation
//! Events get their deliveries when they are written, wherever that can be ([`planner`]). All others come this way: the
//! events table is the outbox. Arm the wake-up, read a batch, decide for each event
//! who is interested, render its body once for each dialect among them, and write all deliveries in one transaction
//! that also moves the outbox on. They come back claimed by this process and go to the lanes without being read again,
//! except for lanes that are [parked](crate::parked): theirs are left in the store, and come by claim.
//!
//! Who is interested: the only endpoint the event is for, where it has one; otherwise every registered endpoint of the
//! account whose filter wants it, and, for an event of a job, the job's own webhook or else the account's default one,
//! by their filters. Nobody twice. Deliveries to a disabled endpoint are held.
//!
//! # The bad day
//! * The process dies before the transaction: the batch is read again. After it: the claims run out, and the deliveries
//!   are claimed from the store.
//! * Two processes fan out the same batch: the outbox moves on from the place that the batch was read after, so the second
//!   writes nothing and reads again.
//! * A body cannot be rendered (written by a newer version, or damaged): an error is logged and the event passes by; it
//!   must not stop those behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fail::fail_point;
use reelhook_store::{FanOut, HandOff, Outbox, Store, StoreError, Topic};
use tokio::sync::oneshot;
use tracing::error;

use crate::settings::Settings;

mod directory;
mod planner;

use directory::Directory;
pub(crate) use planner::Planner;

/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Fans events out.
#[derive(Debug)]
pub(crate) struct Fanning {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) planner: Arc<Planner>,
}

impl Fanning {
    /// Runs until told to stop. Begins after `looked`: what waits in the store from before goes first.
    pub(crate) async fn run(self, looked: oneshot::Receiver<()>) {
        // An error means that the one who looks is gone, and that we are about to be told to stop.
        let _ = looked.await;
        let planner: Arc<dyn HandOff> = self.planner.clone();
        self.store.hand_off(&planner);
        let stop = &self.planner.stop;
        let mut wake = self.store.wakes().listen(Topic::Event);
        while !stop.is_cancelled() {
            let rest = match self.batch().await {
                Ok(true) => continue,
                Ok(false) => self.settings.poll,
                Err(error) => {
                    error!(%error, "cannot fan out; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = wake.wait() => {}
                () = tokio::time::sleep(rest) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Fans out a batch; whether it was a full one.
    async fn batch(&self) -> Result<bool, StoreError> {
        let outbox = self.store.outbox(self.settings.fan_out_batch).await?;
        let Some(last) = outbox.events.last() else { return Ok(false) };
        let (after, up_to) = (outbox.after, last.event.sequence);
        let is_full = narrow(outbox.events.len()) >= self.settings.fan_out_batch;
        let directory = self.learn(&outbox).await?;
        let deliveries = self.planner.deliveries(&directory, &outbox.events);

        // An error means that the lanes are gone because we stop.
        let Ok(way) = self.planner.lanes.clone().reserve_owned().await else { return Ok(false) };
        let written = self.planner.written.load(Ordering::Acquire);
        // By the store's own hand, lest what is handed off with a later event get to the lanes first.
        let then = self.planner.afterwards(way, directory, outbox.events, written, &deliveries);
        fail_point!("delivery.before_fan_out");
        self.store.fan_out_then(FanOut { after, up_to, deliveries }, self.settings.lease, then).await?;
        Ok(is_full)
    }

    /// Who is there for that batch, remembered for those that follow.
    async fn learn(&self, outbox: &Outbox) -> Result<Arc<Directory>, StoreError> {
        let mut known = self.planner.directory();
        if !known.knows(outbox) {
            Arc::make_mut(&mut known).learn(self.store.as_ref(), outbox).await?;
            self.planner.remember(Arc::clone(&known));
        }
        Ok(known)
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
