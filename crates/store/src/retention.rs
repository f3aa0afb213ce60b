//! Forgetting: what was kept for its time, and what somebody wants erased.
//!
//! # Theory of operation
//! Nothing here looks for what is over by an index of its own, which every delivery would pay for. Ids and sequence
//! numbers rise with time, so what is old lies together at the beginning, and a walk along the primary key meets it
//! first. Each step looks at a bounded number of rows with a reader, and then removes those that are over in one short
//! transaction, which looks again: a delivery that was offered anew between the two stays.
//!
//! What is over: a delivery that ended before the time, or was held then and is still: nobody asked for it for as long as
//! it was to be kept. One that is scheduled or being sent never is. With the last delivery of an event goes its body, and
//! the event itself once it is as old.

use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, DeliveryId, JobId, UploadId};
use reelhook_domain::time::Timestamp;

use crate::Result;

/// What is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// Whose; everybody's when absent.
    pub account: Option<AccountId>,
    /// It ended, was held or happened at or before this time.
    pub before: Timestamp,
}

/// One step of a walk from the oldest to the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked<P> {
    /// How many rows were removed.
    pub removed: u32,
    /// Where the next step begins; none when the walk came to what is not over yet.
    pub next: Option<P>,
}

/// How far the erasure of a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    /// There is more of its deliveries and events; ask again.
    More,
    /// The last of its events are not fanned out yet; ask again in a moment.
    Waits,
    /// Nothing is left but the job itself: its files can be removed, and those of these uploads that nobody else reads.
    Told {
        /// They are no longer there for anybody.
        uploads: Vec<UploadId>,
    },
}

/// Forgetting.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Looks at `limit` deliveries after `from` and removes those that are over, with their attempts, and the bodies and
    /// events that nothing else needs.
    async fn forget_deliveries(&self, over: Over, from: Option<DeliveryId>, limit: u32) -> Result<Walked<DeliveryId>>;

    /// Looks at `limit` events after the sequence number `from` and removes those that are over and that no delivery
    /// needs. Those that were not fanned out stay.
    async fn forget_events(&self, over: Over, from: i64, limit: u32) -> Result<Walked<i64>>;

    /// Removes at most `limit` idempotency keys that no longer count. Answers how many.
    async fn forget_idempotency_keys(&self, limit: u32) -> Result<u32>;

    /// How long an account wants its deliveries and events kept.
    async fn retention(&self, account: AccountId) -> Result<Option<Duration>>;

    /// The accounts that want a time of their own.
    async fn retentions(&self) -> Result<Vec<(AccountId, Duration)>>;

    /// Sets or clears how long an account wants its deliveries and events kept.
    async fn set_retention(&self, account: AccountId, keep: Option<Duration>) -> Result<()>;

    /// Removes at most `limit` deliveries, whatever became of them, and as many events of a job that has ended or is a
    /// draft; one that is under way is refused (`IllegalJobStep`). The job itself stays until
    /// [`Retention::remove_job`], so that an erasure that was broken off can be asked for again.
    async fn erase_job(&self, account: AccountId, job: JobId, limit: u32) -> Result<Erased>;

    /// Removes an account and everything of it, in one transaction that everybody else waits for: only while no server
    /// runs. Files of jobs are removed before, those of the uploads that it answers afterwards.
    async fn erase_account(&self, account: AccountId) -> Result<Vec<UploadId>>;

    /// Removes a job of which nothing else is left: the last step of its erasure.
    async fn remove_job(&self, account: AccountId, job: JobId) -> Result<()>;
}
