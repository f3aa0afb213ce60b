//! Settling: the ends of many attempts of many lanes, in one transaction.
//!
//! # Theory of operation
//! What an attempt means is decided in its [lane](crate::lane), where the circuit is; here it is only written. The loop
//! takes whatever ended since its last write, and in the moment after the first, up to a batch: a busy engine settles
//! hundreds of attempts with one fsync, and an event that goes to a hundred endpoints is not held up by the ends of the
//! first while the last are still being sent.
//!
//! # The bad day
//! * The store fails: the batch is tried again until it is written. Meanwhile the channel fills up, lanes stop sending,
//!   and nothing is sent whose outcome could not be noted. Leases may run out in that time; then the delivery is sent
//!   again, with the same id.
//! * The process dies before the write: the lease runs out or is void, and the delivery is sent again.
//! * One settlement cannot be written for reasons of its own: its batch is written one by one, and it alone is dropped
//!   and reported; its lease runs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fail::fail_point;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::id::AccountId;
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_store::{Deliveries, Settlement, Store, StoreError};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::meter::Meter;

/// What a lane wants written about one delivery.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// What is written.
    pub(crate) settlement: Settlement,
    /// A later event took the delivery's place: it is canceled, in the name of that account.
    pub(crate) superseded_for: Option<AccountId>,
}

/// Endings that wait to be passed on, and how many there were so far.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    waiting: Vec<Ending>,
    count: u64,
}

impl Endings {
    /// Adds one and answers its number, from 1.
    pub(crate) fn push(&mut self, ending: Ending) -> u64 {
        self.waiting.push(ending);
        self.count += 1;
        self.count
    }

    /// The number that the next one will have.
    pub(crate) const fn next(&self) -> u64 {
        self.count + 1
    }

    /// All that wait, in order.
    pub(crate) fn take(&mut self) -> Vec<Ending> {
        std::mem::take(&mut self.waiting)
    }
}

/// How long others are waited for that end with the first of a batch. Who is killed in that time sends again what ended.
const MOMENT: Duration = Duration::from_millis(2);
/// First pause after the store failed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a write is tried once the engine is told to stop; afterwards leases do the rest.
const LAST_TRIES: u32 = 3;

/// Writes endings in batches until no more come.
#[derive(Debug)]
pub(crate) struct Settler<S: ?Sized = dyn Store> {
    pub(crate) store: Arc<S>,
    pub(crate) ambient: Ambient,
    /// Most endings in one transaction.
    pub(crate) batch: usize,
    /// What comes due sooner than this is announced; what comes due later is found by looking.
    pub(crate) soon: Duration,
    /// Told when something is due soon.
    pub(crate) due: Arc<Notify>,
    /// How many endings were written, or given up.
    pub(crate) written: Arc<AtomicU64>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) stop: CancellationToken,
}

impl<S: Deliveries + ?Sized> Settler<S> {
    /// Runs until all senders are gone and all is written.
    pub(crate) async fn run(self, mut endings: mpsc::Receiver<Ending>) {
        let mut batch = Vec::with_capacity(self.batch);
        while endings.recv_many(&mut batch, self.batch).await > 0 {
            if batch.len() < self.batch && !endings.is_closed() {
                tokio::time::sleep(MOMENT).await;
                while batch.len() < self.batch
                    && let Ok(ending) = endings.try_recv()
                {
                    batch.push(ending);
                }
            }
            let count = batch.len() as u64;
            self.write(std::mem::take(&mut batch)).await;
            self.written.fetch_add(count, Ordering::AcqRel);
        }
    }

    async fn write(&self, batch: Vec<Ending>) {
        let superseded: Vec<_> =
            batch.iter().filter_map(|ending| Some((ending.superseded_for?, ending.settlement.delivery))).collect();
        let soon = self.ambient.now() + self.soon;
        let is_due_soon = batch.iter().any(|ending| is_due_before(&ending.settlement.verdict, soon));
        let settlements: Vec<_> = batch.into_iter().map(|ending| ending.settlement).collect();

        let exhausted =
            settlements.iter().filter(|settlement| matches!(settlement.verdict, Verdict::Exhausted)).count();

        fail_point!("delivery.before_settle");
        let began = Instant::now();
        if let Err(error) = self.settle(&settlements).await {
            warn!(%error, settlements = settlements.len(), "a batch of attempts was refused; settling one by one");
            for settlement in settlements.chunks(1) {
                if let Err(error) = self.settle(settlement).await {
                    let delivery = settlement.first().map(|settlement| settlement.delivery);
                    error!(%error, delivery.id = delivery.map(tracing::field::display), "an attempt cannot be settled and is dropped");
                }
            }
        }
        fail_point!("delivery.after_settle");
        self.meter.settled(settlements.len(), began.elapsed());
        self.meter.exhausted(exhausted);

        for (account, delivery) in superseded {
            // Whoever took or ended it meanwhile may keep it.
            if let Err(error) = self.store.cancel_delivery(account, delivery).await {
                debug!(%error, delivery.id = %delivery, "progress that is out of date was not canceled");
            }
        }
        if is_due_soon {
            self.due.notify_one();
        }
    }

    /// Writes these in one transaction, however long it takes; fails only where trying again is no use.
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let mut pause = FIRST_PAUSE;
        let mut last_tries = 0;
        loop {
            let error = match self.store.settle(settlements.to_vec()).await {
                Ok(lost) => {
                    for delivery in lost {
                        info!(delivery.id = %delivery, "the claim was lost before its end was written");
                    }
                    return Ok(());
                }
                Err(error @ (StoreError::Full | StoreError::OutOfResources(_) | StoreError::Database(_))) => error,
                Err(
                    error @ (StoreError::NotFound
                    | StoreError::LeaseLost
                    | StoreError::IllegalJobStep(_)
                    | StoreError::IllegalDeliveryStep(_)
                    | StoreError::AlreadyExists
                    | StoreError::Quota(_)
                    | StoreError::BodyGone
                    | StoreError::EndpointGone(_)
                    | StoreError::TooManySecrets { .. }
                    | StoreError::Corrupt { .. }),
                ) => return Err(error),
            };
            error!(%error, settlements = settlements.len(), "attempts could not be settled; trying again");
            if self.stop.is_cancelled() {
                last_tries += 1;
                if last_tries >= LAST_TRIES {
                    error!(settlements = settlements.len(), "stopping with attempts not settled; they are sent again");
                    return Ok(());
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

const fn is_due_before(verdict: &Verdict, soon: Timestamp) -> bool {
    match verdict {
        Verdict::Retry { at, .. } => at.as_millis() <= soon.as_millis(),
        Verdict::Delivered | Verdict::Exhausted | Verdict::Gone => false,
    }
}

#[cfg(test)]
mod tests;
