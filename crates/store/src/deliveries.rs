//! Deliveries: fanned out, claimed, settled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{Attempt, Delivery};
use reelhook_domain::endpoint::Failing;
use reelhook_domain::event::Event;
use reelhook_domain::id::{AccountId, DeliveryId, EndpointId, EventId, JobId};
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;

use crate::Result;
use crate::jobs::Page;

/// One event for one endpoint, with its body.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub account: AccountId,
    /// What it carries.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// The job it tells of.
    pub job: Option<JobId>,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// Whose shapes the body has; one body is kept per event and dialect.
    pub dialect: Dialect,
    /// The body, rendered once.
    pub body: Body,
    /// What it begins as.
    pub start: Start,
}

/// What is sent of an event in one dialect.
#[derive(Debug, Clone)]
pub enum Body {
    /// The event's [envelope](reelhook_domain::event::envelope): whoever has the event has it too.
    Envelope(Arc<str>),
    /// A text of its own, which is kept beside the event.
    Own(Arc<str>),
}

impl Body {
    /// What was rendered of that event.
    pub fn of(event: &Event, dialect: Dialect, text: impl Into<Arc<str>>) -> Self {
        match (event.job, dialect) {
            (None, Dialect::Native) => Self::Envelope(text.into()),
            _ => Self::Own(text.into()),
        }
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &Arc<str> {
        let (Self::Envelope(text) | Self::Own(text)) = self;
        text
    }
}

/// What a new delivery begins as, as far as whoever makes it knows: the row of its endpoint has the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Claimed by this process, which is about to send it.
    Claimed,
    /// Scheduled, for whoever claims it then.
    Due {
        /// When.
        at: Timestamp,
        /// Why it is not sent at once: a word of `waiting_reason`.
        reason: &'static str,
    },
    /// Held: its endpoint is disabled.
    Held,
}

/// A batch of events fanned out.
#[derive(Debug, Clone, Default)]
pub struct FanOut {
    /// The batch was made of the events after this sequence number.
    pub after: i64,
    /// All events up to this one are fanned out by this batch.
    pub up_to: i64,
    /// What came of them; none for events that nobody wants.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery that this process may send.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// The delivery, in state `sending`.
    pub delivery: Delivery,
    /// The fencing number that proves the claim.
    pub token: i64,
    /// What to send.
    pub body: Arc<str>,
}

/// The end of one attempt, to be written with many others.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Under which claim.
    pub token: i64,
    /// What was tried; absent when the delivery is given back without an attempt (then it is due at `Retry`'s time).
    pub attempt: Option<Attempt>,
    /// What follows.
    pub verdict: Verdict,
    /// The endpoint's circuit and row of failures afterwards.
    pub endpoint: EndpointId,
    /// See `endpoint`.
    pub circuit: Circuit,
    /// See `endpoint`.
    pub failing: Option<Failing>,
    /// Disable the endpoint, for that reason (`gone`, `failing`): as [`crate::EndpointChange::state`] does.
    pub disable: Option<&'static str>,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only to that endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only of that job.
    pub job: Option<JobId>,
    /// Only in that state (name).
    pub state: Option<String>,
    /// Only of that event type.
    pub event_type: Option<String>,
    /// Only made at or after.
    pub since: Option<Timestamp>,
}

/// A delivery with all that is known of it.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// What is sent; absent after its retention.
    pub body: Option<Arc<str>>,
}

/// Which deliveries to recover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Made at or after.
    pub since: Timestamp,
    /// Exhausted at or before, so that those which fail again meanwhile are not taken twice.
    pub until: Timestamp,
}

/// What is done with deliveries that were made and claimed.
pub type Then = Box<dyn FnOnce(Vec<ClaimedDelivery>) + Send>;

/// Deliveries.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Inserts deliveries, numbers them per endpoint without gaps, and moves the outbox on from `after` to `up_to`, all at
    /// once; nothing at all when somebody moved it before, so that no event is fanned out twice. Those that start claimed
    /// come back claimed for `lease`, in the order given, bodies not read back.
    async fn fan_out(&self, batch: FanOut, lease: Duration) -> Result<Vec<ClaimedDelivery>>;

    /// The same, and `then` is called with them after the commit, never when there was none: before `then` of any event that
    /// is written later ([`Planned::then`](crate::Planned)), so that whoever hands them on does so in order.
    async fn fan_out_then(&self, batch: FanOut, lease: Duration, then: Then) -> Result<()>;

    /// Takes deliveries that are due, or whose lease ran out: oldest due first, at most `per_endpoint` to each endpoint and
    /// `limit` in all, leaving out `except`.
    async fn claim_due(
        &self,
        limit: u32,
        per_endpoint: u32,
        except: &[EndpointId],
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>>;

    /// When the next scheduled delivery is due that is not to one of `except`, for the engine to sleep until.
    async fn next_due(&self, except: &[EndpointId]) -> Result<Option<Timestamp>>;

    /// Writes the ends of many attempts at once. Answers the deliveries whose claim was lost (their attempt is kept all
    /// the same: it was made).
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>>;

    /// Prolongs leases. Answers those that are lost.
    async fn renew_deliveries(&self, held: &[(DeliveryId, i64)], lease: Duration) -> Result<Vec<DeliveryId>>;

    /// Makes all deliveries that are `sending` due now, as a server that is alone on its database does when it starts.
    async fn void_delivery_leases(&self) -> Result<u64>;

    /// One delivery of the account, with its attempts and body.
    async fn delivery(&self, account: AccountId, id: DeliveryId) -> Result<DeliveryRecord>;

    /// Deliveries of the account, newest first.
    async fn list_deliveries(&self, account: AccountId, filter: &DeliveryFilter, page: Page) -> Result<Vec<Delivery>>;

    /// Makes an ended delivery due now, its schedule begun anew. `BodyGone` when there is nothing to send any more,
    /// `EndpointGone` when there is nowhere to send it.
    async fn resend(&self, account: AccountId, id: DeliveryId) -> Result<Delivery>;

    /// Makes exhausted deliveries to that endpoint due now, the oldest first, at most `limit`, their schedules begun anew;
    /// held where the endpoint is disabled. Answers how many: fewer than `limit` when there are no more.
    async fn recover(&self, account: AccountId, endpoint: EndpointId, exhausted: Span, limit: u32) -> Result<u32>;

    /// Sends an event to an endpoint, whether or not its filter wants it: the delivery that there is is resent (see
    /// [`Deliveries::resend`]), else `delivery` is made, due now, or held where the endpoint is disabled. Its body is the
    /// event's in that dialect from then on. Refused
    /// (`IllegalDeliveryStep`) while the event is not fanned out.
    async fn replay(&self, delivery: NewDelivery) -> Result<Delivery>;

    /// Cancels a delivery that waits.
    async fn cancel_delivery(&self, account: AccountId, id: DeliveryId) -> Result<Delivery>;

    /// Deliveries to one endpoint after that sequence number, with bodies, in order, whatever became of them.
    async fn pull(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(Delivery, Arc<str>)>>;

    /// How many deliveries are in each state, for metrics.
    async fn count_deliveries(&self) -> Result<Vec<(String, u64)>>;
}
