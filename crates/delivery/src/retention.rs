//! Retention: what was kept for its time is removed, a little at a time.
//!
//! # Theory of operation
//! Every [`Settings::look`] a sweep walks from the oldest delivery and the oldest event towards what is not over yet.
//! It goes in small steps, each a short transaction, and after each rests so long that the writer has nineteen
//! twentieths of its time for everybody else; never longer than [`LONGEST_REST`], because on a busy server a step
//! mostly waits for its turn, and a server that is busy all day must still remove as much as comes. When nothing is
//! over, a sweep reads a handful of rows and writes nothing.
//!
//! Accounts that want a shorter time of their own have walks of their own. Where their walk over the events came to is
//! remembered, for these cannot be found by account.
//!
//! A temporary endpoint, which a program such as `reelhook listen` made for itself, goes once nothing has read it for
//! [`UNREAD`]: a program that was killed cannot delete it.
//!
//! # The bad day
//! * The process dies: each step was whole, and the next sweep begins with the oldest again.
//! * The store fails: a warning, and the next sweep.
//! * The clock jumps ahead: what that makes old is gone. It is as old as the clock says; there is no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::id::AccountId;
use reelhook_domain::time::Timestamp;
use reelhook_store::{Over, Store, StoreError, Walked};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Longest rest after a step.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// How long a temporary endpoint stays that nothing reads.
pub const UNREAD: Duration = Duration::from_secs(600);

/// How long things are kept, and how gently they are removed.
#[derive(Debug, Clone, Copy)]
pub struct RetentionSettings {
    /// How long deliveries, with their attempts, and events, with their bodies, are kept: from 1 day.
    pub keep: Duration,
    /// How often it is looked whether something is over.
    pub look: Duration,
    /// Most rows that one step looks at and removes: 1 to 500.
    pub step: u32,
    /// How much longer than a step took is rested after it.
    pub rest: u32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { keep: Duration::from_secs(30 * 24 * 3600), look: Duration::from_secs(60), step: 100, rest: 19 }
    }
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Deliveries, each with its attempts.
    pub deliveries: u64,
    /// Events that were removed by themselves, after their deliveries or without any.
    pub events: u64,
    /// Idempotency keys.
    pub keys: u64,
    /// Temporary endpoints that nothing read.
    pub endpoints: u64,
}

/// Removes what was kept for its time.
#[derive(Debug)]
pub struct Retention {
    store: Arc<dyn Store>,
    ambient: Ambient,
    settings: RetentionSettings,
    /// When this process began to sweep.
    since: Timestamp,
    /// How far the events were walked for accounts with a time of their own, and for which time.
    walked: HashMap<AccountId, (Duration, i64)>,
}

/// Why a sweep ended early.
enum Ended {
    Stopped,
    Failed(StoreError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Retention {
    /// Over that store.
    pub fn new(store: Arc<dyn Store>, ambient: Ambient, settings: RetentionSettings) -> Self {
        let since = ambient.now();
        Self { store, ambient, settings, since, walked: HashMap::new() }
    }

    /// Sweeps at once and then every so often, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.sweep(&stop).await;
            tokio::select! {
                () = tokio::time::sleep(self.settings.look) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Removes everything that is over now.
    pub async fn sweep(&mut self, stop: &CancellationToken) -> Swept {
        let mut swept = Swept::default();
        match self.sweep_into(&mut swept, stop).await {
            Ok(()) | Err(Ended::Stopped) => {}
            Err(Ended::Failed(error)) => warn!(%error, "expired data was not fully removed; trying again"),
        }
        if swept != Swept::default() {
            let Swept { deliveries, events, keys, endpoints } = swept;
            info!(deliveries, events, idempotency_keys = keys, endpoints, "removed expired data");
        }
        swept
    }

    async fn sweep_into(&mut self, swept: &mut Swept, stop: &CancellationToken) -> Result<(), Ended> {
        let now = self.ambient.now();
        // While no server ran, nothing could read.
        if now.since(self.since) >= UNREAD {
            swept.endpoints += u64::from(self.store.delete_unread_endpoints(now - UNREAD, self.settings.step).await?);
        }
        let own = self.store.retentions().await?;
        self.walked.retain(|account, (keep, _)| own.contains(&(*account, *keep)));
        for (account, keep) in own.into_iter().filter(|(_, keep)| *keep < self.settings.keep) {
            let over = Over { account: Some(account), before: now - keep };
            swept.deliveries += self.deliveries(over, stop).await?;
            let from = self.walked.get(&account).map_or(0, |(_, from)| *from);
            let (removed, to) = self.events(over, from, stop).await?;
            swept.events += removed;
            self.walked.insert(account, (keep, to));
        }
        let over = Over { account: None, before: now - self.settings.keep };
        swept.deliveries += self.deliveries(over, stop).await?;
        swept.events += self.events(over, 0, stop).await?.0;
        loop {
            let began = Instant::now();
            let removed = self.store.forget_idempotency_keys(self.settings.step).await?;
            swept.keys += u64::from(removed);
            // There are two kinds of keys, so this many or more may be left of one.
            if removed < self.settings.step {
                return Ok(());
            }
            self.rest(began, stop).await?;
        }
    }

    async fn deliveries(&self, over: Over, stop: &CancellationToken) -> Result<u64, Ended> {
        let (mut removed, mut from) = (0, None);
        loop {
            let began = Instant::now();
            let step = self.store.forget_deliveries(over, from, self.settings.step).await?;
            removed += u64::from(step.removed);
            from = step.next;
            if from.is_none() {
                return Ok(removed);
            }
            self.rest_after(&step, began, stop).await?;
        }
    }

    /// Answers how many were removed, and up to which number all were looked at.
    async fn events(&self, over: Over, from: i64, stop: &CancellationToken) -> Result<(u64, i64), Ended> {
        let (mut removed, mut from) = (0, from);
        loop {
            let began = Instant::now();
            let step = self.store.forget_events(over, from, self.settings.step).await?;
            removed += u64::from(step.removed);
            let Some(next) = step.next else { return Ok((removed, from)) };
            from = next;
            self.rest_after(&step, began, stop).await?;
        }
    }

    async fn rest_after<P>(&self, step: &Walked<P>, began: Instant, stop: &CancellationToken) -> Result<(), Ended> {
        // A step that removed nothing only read, which hinders nobody.
        if step.removed == 0 && !stop.is_cancelled() {
            tokio::task::yield_now().await;
            return Ok(());
        }
        self.rest(began, stop).await
    }

    async fn rest(&self, began: Instant, stop: &CancellationToken) -> Result<(), Ended> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Ended::Stopped),
            () = tokio::time::sleep((began.elapsed() * self.settings.rest).min(LONGEST_REST)) => Ok(()),
        }
    }
}
