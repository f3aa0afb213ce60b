//! What accounts have of what they may have.
//!
//! Most quotas are kept by the store, in the transactions that add. Two are watched here: the deliveries that published
//! events make, in a bucket that fills evenly and holds a minute's worth, and the bytes of uploads that are still coming.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reelhook_domain::event::EventFilter;
use reelhook_domain::id::AccountId;
use reelhook_domain::quota::Quota;
use reelhook_domain::time::Timestamp;
use reelhook_store::{NewEvent, Topic};

use super::{Caller, Desk};
use crate::problem::{Problem, QuotaReply};
use crate::throttle::{Bucket, PRICE, full};

/// Most accounts whose endpoints are remembered.
const MOST: usize = 10_000;

/// What is watched here, by account.
#[derive(Debug, Default)]
pub(super) struct QuotaWatch {
    published: Mutex<HashMap<AccountId, Bucket>>,
    filters: Mutex<HashMap<AccountId, KnownFilters>>,
    coming: Mutex<HashMap<AccountId, Coming>>,
}

/// Which events the endpoints of an account want.
#[derive(Debug, Clone)]
struct KnownFilters {
    /// How often endpoints had changed when they were read.
    read_at: u64,
    filters: Arc<[EventFilter]>,
}

/// Uploads of an account that are on their way.
#[derive(Debug, Default)]
struct Coming {
    uploads: u32,
    /// What came of them so far.
    bytes: u64,
    /// What those that are kept had when this was looked at last.
    kept: u64,
}

/// An upload on its way; what it counted for is given back when dropped.
pub(super) struct Incoming {
    desk: Desk,
    account: AccountId,
    bytes: u64,
    /// Whether the whole of it is on the disk.
    is_whole: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here are numbers that are written whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// What the account may have and has.
    pub(crate) async fn quotas(&self, caller: Caller) -> Result<Vec<QuotaReply>, Problem> {
        let quotas = self.store().quotas();
        let mut used = self.store().quota_use(caller.account, Quota::ALL).await?;
        used.push((Quota::EventDeliveries, self.published(caller.account)));
        let reply = |(quota, used): (Quota, u64)| QuotaReply {
            name: quota.as_str(),
            limit: quotas.limit(quota),
            used: Some(used),
        };
        Ok(used.into_iter().map(reply).collect())
    }

    /// The deliveries that its published events made and that still count.
    fn published(&self, account: AccountId) -> u64 {
        let Some(rate) = self.rate() else { return 0 };
        let bucket = lock(&self.watch().published).get(&account).copied();
        bucket.map_or(0, |bucket| (full(rate) - bucket.filled(rate, self.ambient().now())).div_ceil(PRICE))
    }

    /// Deliveries that an account may cause by events in a minute, if there is a limit.
    fn rate(&self) -> Option<u32> {
        let limit = self.store().quotas().limit(Quota::EventDeliveries)?;
        Some(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// Takes what these events make out of the account's minute; answers how many deliveries that is, at least one an
    /// event.
    pub(crate) async fn admit_events(&self, account: AccountId, events: &[NewEvent]) -> Result<u64, Problem> {
        let Some(rate) = self.rate() else { return Ok(0) };
        let filters = self.filters(account).await?;
        let deliveries = deliveries(events, &filters);
        let (now, cost) = (self.ambient().now(), deliveries.saturating_mul(PRICE));
        let left = {
            let mut buckets = lock(&self.watch().published);
            forget_full(&mut buckets, rate, now);
            let bucket = buckets.entry(account).or_insert(Bucket { left: full(rate), at: now });
            let left = bucket.filled(rate, now);
            if let Some(rest) = left.checked_sub(cost) {
                *bucket = Bucket { left: rest, at: now };
                return Ok(deliveries);
            }
            left
        };
        let present = (full(rate) - left).div_ceil(PRICE);
        self.store().check_quota(Quota::EventDeliveries, present, deliveries)?;
        Ok(deliveries)
    }

    /// Gives back what was taken for events that were not written.
    pub(crate) fn give_back_events(&self, account: AccountId, deliveries: u64) {
        let Some(rate) = self.rate() else { return };
        if let Some(bucket) = lock(&self.watch().published).get_mut(&account) {
            bucket.left = bucket.left.saturating_add(deliveries.saturating_mul(PRICE)).min(full(rate));
        }
    }

    async fn filters(&self, account: AccountId) -> Result<Arc<[EventFilter]>, Problem> {
        // Before they are read, so that a change in between is seen the next time.
        let read_at = self.store().wakes().count(Topic::Endpoint);
        if let Some(known) = lock(&self.watch().filters).get(&account).filter(|known| known.read_at == read_at) {
            return Ok(Arc::clone(&known.filters));
        }
        let filters: Arc<[EventFilter]> = self.store().endpoint_filters(account).await?.into();
        let mut known = lock(&self.watch().filters);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(account, KnownFilters { read_at, filters: Arc::clone(&filters) });
        Ok(filters)
    }

    /// Begins to count an upload of the account. Refused where nothing more may be kept.
    pub(super) async fn incoming(&self, account: AccountId) -> Result<Incoming, Problem> {
        let kept = match self.store().quotas().limit(Quota::UploadBytes) {
            None => 0,
            Some(_) => {
                let used = self.store().quota_use(account, &[Quota::UploadBytes]).await?;
                used.first().map_or(0, |&(_, bytes)| bytes)
            }
        };
        let mut coming = lock(&self.watch().coming);
        let entry = coming.entry(account).or_default();
        (entry.uploads, entry.kept) = (entry.uploads + 1, kept);
        drop(coming);
        let mut incoming = Incoming { desk: self.clone(), account, bytes: 0, is_whole: false };
        incoming.take(1)?;
        Ok(incoming)
    }
}

impl Incoming {
    /// Counts bytes that came.
    ///
    /// # Errors
    /// 429 when the account would have more than it may.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), Problem> {
        let mut coming = lock(&self.desk.watch().coming);
        let Some(entry) = coming.get_mut(&self.account) else { return Ok(()) };
        let present = entry.kept.saturating_add(entry.bytes);
        self.desk.store().check_quota(Quota::UploadBytes, present, bytes)?;
        entry.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }

    /// All of it came.
    pub(super) fn finish(mut self) {
        self.is_whole = true;
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut coming = lock(&self.desk.watch().coming);
        let Some(entry) = coming.get_mut(&self.account) else { return };
        entry.uploads -= 1;
        entry.bytes -= self.bytes;
        // The others on their way must know of it, and it is not noted yet.
        if self.is_whole {
            entry.kept = entry.kept.saturating_add(self.bytes);
        }
        if entry.uploads == 0 {
            coming.remove(&self.account);
        }
    }
}

/// How many deliveries events make, each counted once at least.
fn deliveries(events: &[NewEvent], filters: &[EventFilter]) -> u64 {
    let mut wanted: HashMap<&str, u64> = HashMap::new();
    let of = |event: &NewEvent| filters.iter().filter(|filter| filter.wants(&event.kind)).count() as u64;
    events.iter().map(|event| *wanted.entry(event.kind.as_str()).or_insert_with(|| of(event).max(1))).sum()
}

/// A bucket that is full says nothing.
fn forget_full(buckets: &mut HashMap<AccountId, Bucket>, rate: u32, now: Timestamp) {
    if buckets.len() >= MOST {
        buckets.retain(|_, bucket| bucket.filled(rate, now) < full(rate));
    }
}
