//! What is due: retries, what lanes had no room for, what a process left behind that died.
//!
//! # Theory of operation
//! Arm the wake-up, ask the lanes for room, claim, hand over, ask the store when something is due next, and sleep until
//! then. A lane that is full or whose circuit is open is left out of the claim, so what is due to it waits in the store;
//! the [dispatcher](crate::dispatcher) tells when such a lane has room again. The sleep is cut to the poll interval: the
//! clock may be moved, and another process may have written.
//!
//! The bad day: the store fails, and the loop pauses and looks again; nothing was claimed, or the claim ends by itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::delivery::Delivery;
use reelhook_domain::time::Timestamp;
use reelhook_store::{Store, StoreError, Topic};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::dispatcher::Message;
use crate::engine::LinkTo;
use crate::freshen::freshen;
use crate::keyring::Keyring;
use crate::lanes::{Arrival, Room};
use crate::settings::Settings;

/// Claims what is due.
pub(crate) struct Due {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ambient: Ambient,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) link: LinkTo,
    pub(crate) settings: Settings,
    pub(crate) lanes: mpsc::Sender<Message>,
    /// Told when there is room again, or something is due soon.
    pub(crate) due: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

/// What a look found.
enum Look {
    /// Perhaps more is due.
    Again,
    /// Nothing is due before then, as far as is known.
    Rest(Option<Timestamp>),
}

/// How much of what was asked for was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Some,
    All,
}

impl Due {
    /// Runs until told to stop. `looked` is told after the first look.
    pub(crate) async fn run(self, looked: oneshot::Sender<()>) {
        let mut looked = Some(looked);
        let mut wake = self.store.wakes().listen(Topic::Delivery);
        while !self.stop.is_cancelled() {
            let look = self.look().await;
            if let Some(looked) = looked.take() {
                // The fan-out may be gone already; then nobody waits.
                let _ = looked.send(());
            }
            let next = match look {
                Ok(Some(Look::Again)) => continue,
                Ok(Some(Look::Rest(next))) => next,
                Ok(None) => return,
                Err(error) => {
                    error!(%error, "cannot claim due deliveries; trying again");
                    None
                }
            };
            tokio::select! {
                () = wake.wait() => {}
                () = self.due.notified() => {}
                () = tokio::time::sleep(self.rest_until(next)) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// How long to sleep.
    fn rest_until(&self, next: Option<Timestamp>) -> Duration {
        let poll = self.settings.poll;
        let now = self.ambient.now();
        // A moment at least: what is due now and was not claimed belongs to a lane without room.
        next.map_or(poll, |at| at.since(now).clamp(Duration::from_millis(1).min(poll), poll))
    }

    /// Claims once; nothing when the lanes are gone.
    async fn look(&self) -> Result<Option<Look>, StoreError> {
        let (ask, answer) = oneshot::channel();
        if self.lanes.send(Message::Room(ask)).await.is_err() {
            return Ok(None);
        }
        let Ok(room) = answer.await else { return Ok(None) };
        if room.limit == 0 {
            return Ok(Some(Look::Rest(None)));
        }
        let (limit, per_endpoint) = (narrow(room.limit), narrow(room.per_endpoint));
        let mut claimed = self.store.claim_due(limit, per_endpoint, &room.except, self.settings.lease).await?;
        let found = match claimed.len() {
            0 => Found::Nothing,
            count if count >= room.limit => Found::All,
            _ => Found::Some,
        };
        let ids: HashSet<_> = claimed.iter().map(|work| work.delivery.endpoint).collect();
        let endpoints = self.keyring.endpoints(ids).await?;
        let dialect = |delivery: &Delivery| endpoints.get(&delivery.endpoint).map(|endpoint| endpoint.dialect);
        let moment = (self.ambient.now(), self.settings.links_keep);
        freshen(&*self.store, &self.link, moment, &mut claimed, dialect).await;
        let mut arrivals = Vec::with_capacity(claimed.len());
        for work in claimed {
            match endpoints.get(&work.delivery.endpoint) {
                Some(endpoint) => arrivals.push(Arrival { endpoint: Arc::clone(endpoint), work }),
                // Its deliveries were canceled with it; this one was claimed just before.
                None => warn!(delivery.id = %work.delivery.id, "the endpoint of a claimed delivery was deleted"),
            }
        }
        self.hand_over(room, arrivals, found).await
    }

    async fn hand_over(&self, room: Room, arrivals: Vec<Arrival>, found: Found) -> Result<Option<Look>, StoreError> {
        let (except, opens) = (room.except.clone(), room.opens);
        if self.lanes.send(Message::Claimed { room, arrivals }).await.is_err() {
            return Ok(None);
        }
        if found == Found::All {
            return Ok(Some(Look::Again));
        }
        let next = self.store.next_due(&except).await?;
        // What is due and cannot be claimed (its body is gone) must not keep us from sleeping.
        let next = next.filter(|&at| found == Found::Some || at > self.ambient.now());
        Ok(Some(Look::Rest([next, opens].into_iter().flatten().min())))
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
