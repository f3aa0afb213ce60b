//! What comes of events: decided without waiting for anything, so that it can be done wherever events are met.
//!
//! # Theory of operation
//! Events that are published get their deliveries in the transaction that writes them ([`HandOff`]): one commit stands
//! between the caller's request and the request to his receiver, and no event is read back. That is only done where
//! nothing must be looked up and nobody waited for: the endpoints are known, and the way to the lanes is free. In every
//! other case the events are left to the outbox.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fail::fail_point;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::endpoint::{Endpoint, EndpointState};
use reelhook_domain::event::Event;
use reelhook_domain::id::DeliveryId;
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::Tracer;
use reelhook_store::{Body, ClaimedDelivery, HandOff, NewDelivery, Outbox, OutboxEvent, Planned, Start, Then};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::directory::Directory;
use crate::dispatcher::Message;
use crate::engine::LinkTo;
use crate::lanes::Arrival;
use crate::meter::Meter;
use crate::parked::{Parked, Waits};
use crate::trace;

/// Most deliveries that are written together with their events; more would hold up everybody who writes.
const MOST_AT_ONCE: usize = 4096;

/// Makes deliveries of events.
pub(crate) struct Planner {
    pub(crate) ambient: Ambient,
    pub(crate) link: LinkTo,
    pub(crate) lease: Duration,
    pub(crate) lanes: mpsc::Sender<Message>,
    /// How many endings were written.
    pub(crate) written: Arc<AtomicU64>,
    /// Lanes that give back what is fanned out to them.
    pub(crate) parked: Parked,
    pub(crate) directory: Mutex<Arc<Directory>>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tracer: Tracer,
    pub(crate) stop: CancellationToken,
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl HandOff for Planner {
    fn plan(&self, outbox: Outbox) -> Option<Planned> {
        let directory = self.directory();
        if self.stop.is_cancelled() || !directory.knows(&outbox) {
            return None;
        }
        let way = self.lanes.clone().try_reserve_owned().ok()?;
        let written = self.written.load(Ordering::Acquire);
        let deliveries = self.deliveries(&directory, &outbox.events);
        if deliveries.len() > MOST_AT_ONCE {
            return None;
        }
        fail_point!("delivery.before_fan_out");
        let then = self.afterwards(way, directory, outbox.events, written, &deliveries);
        Some(Planned { deliveries, lease: self.lease, then })
    }
}

impl Planner {
    /// Who is there, as it was last learnt.
    pub(super) fn directory(&self) -> Arc<Directory> {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        Arc::clone(&self.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn remember(&self, directory: Arc<Directory>) {
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = directory;
    }

    /// What is done once deliveries of these events are written: they are counted, traced, and told to the lanes.
    /// `written` is how many endings were written before.
    pub(super) fn afterwards(
        &self,
        way: mpsc::OwnedPermit<Message>,
        directory: Arc<Directory>,
        events: Vec<OutboxEvent>,
        written: u64,
        deliveries: &[NewDelivery],
    ) -> Then {
        let (meter, tracer, ambient) = (Arc::clone(&self.meter), self.tracer.clone(), self.ambient.clone());
        let left = Self::left_in_store(&directory, deliveries);
        let count = deliveries.len();
        Box::new(move |claimed| {
            fail_point!("delivery.after_fan_out");
            meter.fanned_out(events.len(), count);
            trace::fanned_out(&tracer, &events, ambient.now());
            if let Some(message) = Self::message(&directory, written, claimed, left) {
                way.send(message);
            }
        })
    }

    /// What the lanes are told of a batch; nothing where it left nothing to do.
    fn message(
        directory: &Directory,
        written: u64,
        claimed: Vec<ClaimedDelivery>,
        left: Vec<Arc<Endpoint>>,
    ) -> Option<Message> {
        let arrival = |work: ClaimedDelivery| {
            let endpoint = Arc::clone(directory.by_id.get(&work.delivery.endpoint)?);
            Some(Arrival { work, endpoint })
        };
        let arrivals: Vec<_> = claimed.into_iter().filter_map(arrival).collect();
        (!arrivals.is_empty() || !left.is_empty()).then_some(Message::FannedOut { written, arrivals, left })
    }

    /// The endpoints of deliveries that wait in the store from the beginning.
    fn left_in_store(directory: &Directory, deliveries: &[NewDelivery]) -> Vec<Arc<Endpoint>> {
        let waits = |delivery: &&NewDelivery| matches!(delivery.start, Start::Due { .. });
        let ids: HashSet<_> = deliveries.iter().filter(waits).map(|delivery| delivery.endpoint).collect();
        ids.iter().filter_map(|id| directory.by_id.get(id).cloned()).collect()
    }

    /// Who gets what of these events, each body rendered once.
    pub(super) fn deliveries(&self, directory: &Directory, events: &[OutboxEvent]) -> Vec<NewDelivery> {
        let now = self.ambient.now();
        let mut ids = Ids::new(&self.ambient);
        let mut deliveries = Vec::with_capacity(events.len());
        for outgoing in events {
            let mut bodies = HashMap::new();
            for endpoint in directory.interested(outgoing) {
                let body =
                    bodies.entry(endpoint.dialect).or_insert_with(|| self.render(endpoint.dialect, &outgoing.event));
                let Some(body) = body else { continue };
                deliveries.push(NewDelivery {
                    id: ids.next(),
                    account: outgoing.event.account,
                    event: outgoing.event.id,
                    event_type: outgoing.event.kind.as_str().to_owned(),
                    job: outgoing.event.job,
                    endpoint: endpoint.id,
                    dialect: endpoint.dialect,
                    body: body.clone(),
                    start: self.start(endpoint, now),
                });
            }
        }
        deliveries
    }

    /// Straight to its lane, unless that would only give it back: that would be written twice.
    fn start(&self, endpoint: &Endpoint, now: Timestamp) -> Start {
        if endpoint.state == EndpointState::Disabled {
            return Start::Held;
        }
        let waits = self.parked.waits(endpoint.id);
        waits.map_or(Start::Claimed, |Waits { until, reason }| Start::Due { at: until.max(now), reason })
    }

    fn render(&self, dialect: Dialect, event: &Event) -> Option<Body> {
        match reelhook_dialects::payload(dialect, event, &*self.link) {
            Ok(body) => body.map(|text| Body::of(event, dialect, text)),
            Err(error) => {
                error!(event.id = %event.id, event.kind = %event.kind, %error, "an event cannot be rendered and is passed by");
                None
            }
        }
    }
}

/// Ids of one batch, each later than the one before: the store breaks ties of time by id, which keeps events in order.
pub(super) struct Ids {
    next: u128,
}

impl Ids {
    pub(super) fn new(ambient: &Ambient) -> Self {
        let mut random: [u8; 10] = ambient.random();
        // Clears the highest of the 62 bits that are counted in, so that counting never runs over.
        random[2] &= 0x1f;
        Self { next: DeliveryId::new(ambient.now(), random).bits() }
    }

    pub(super) const fn next(&mut self) -> DeliveryId {
        let id = DeliveryId::from_bits(self.next);
        self.next += 1;
        id
    }
}
