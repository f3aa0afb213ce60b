//! Events: the outbox, and what a job went through.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::event::{Data, Event, EventType};
use reelhook_domain::id::{AccountId, EndpointId, EventId, JobId};
use reelhook_domain::job::{Dialect, JobWebhook};

use crate::{Idempotency, NewDelivery, Result, Then};

/// An event to be written that is not the change of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub account: AccountId,
    /// What happened.
    pub kind: EventType,
    /// The payload.
    pub data: Data,
    /// The only endpoint it goes to (for `webhook.test`); by filter when absent.
    pub only: Option<EndpointId>,
}

/// An event that is not yet fanned out.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// The event.
    pub event: Event,
    /// The webhook given with its job.
    pub webhook: Option<JobWebhook>,
    /// Whose shapes its job was made in; native for events without a job.
    pub dialect: Dialect,
    /// The only endpoint it goes to.
    pub only: Option<EndpointId>,
}

/// What is not yet fanned out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbox {
    /// All events up to this sequence number are fanned out: what proves, when a batch is written, that nobody else wrote
    /// it meanwhile.
    pub after: i64,
    /// Grows whenever an endpoint or a default webhook changes in what fan-out reads of it; endpoints that were read under
    /// this number are as they were when these events were read.
    pub endpoints_version: i64,
    /// The oldest events, in order.
    pub events: Vec<OutboxEvent>,
}

/// What became of events that were published under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// They were written.
    New(Vec<EventId>),
    /// The same were written before: these are their ids, in the order they were given then.
    Repeated(Vec<EventId>),
    /// The key was used before, for others.
    Conflict,
}

/// Deliveries of events that are being written.
pub struct Planned {
    /// They are written in the same transaction; the outbox moves on past the events.
    pub deliveries: Vec<NewDelivery>,
    /// For how long those that start claimed are claimed.
    pub lease: Duration,
    /// Called with these after the commit, before whoever published is answered; never, when there was no commit.
    pub then: Then,
}

impl std::fmt::Debug for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planned").field("deliveries", &self.deliveries.len()).finish_non_exhaustive()
    }
}

/// Whoever fans out, asked while events are written: what it plans costs no commit and no reading of its own.
pub trait HandOff: std::fmt::Debug + Send + Sync {
    /// What comes of these events, which nobody can have fanned out before; none to leave them to the outbox. Called
    /// while others wait to write: it must not block, and not ask the store.
    fn plan(&self, outbox: Outbox) -> Option<Planned>;
}

/// Events.
#[async_trait]
pub trait Events: Send + Sync {
    /// Writes events that are not the change of a job.
    async fn publish(&self, events: Vec<NewEvent>) -> Result<()>;
    /// The same, once for each key: a repetition within 24 hours writes nothing and answers with the ids of the first.
    async fn publish_once(
        &self,
        account: AccountId,
        events: Vec<NewEvent>,
        idempotency: Idempotency,
    ) -> Result<Published>;
    /// From now on `to` is asked first what comes of events that are published, as long as it lives.
    fn hand_off(&self, to: &Arc<dyn HandOff>);
    /// The oldest events that were not fanned out, at most `limit`.
    async fn outbox(&self, limit: u32) -> Result<Outbox>;
    /// One event of the account.
    async fn event(&self, account: AccountId, id: EventId) -> Result<Event>;
    /// The events of one job after that sequence number, in order. `NotFound` when the account has no such job.
    async fn job_events(&self, account: AccountId, job: JobId, after: i64) -> Result<Vec<Event>>;
    /// The newest event of any kind has this sequence number; 0 when there is none.
    async fn last_sequence(&self) -> Result<i64>;
}
