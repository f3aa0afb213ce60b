//! Fan-out: events become deliveries.
//!
//! # Theory of operation
//! The events table is the outbox. Arm the wake-up, read a batch, decide for each event who is interested, render its
//! body once for each dialect among them, and write all deliveries in one transaction that also moves the outbox on. They
//! come back claimed by this process and go to the lanes without being read again, except for lanes that are
//! [parked](crate::parked): theirs are left in the store, and come by claim.
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

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fail::fail_point;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::endpoint::{Endpoint, EndpointState};
use reelhook_domain::event::{Event, EventType};
use reelhook_domain::id::{AccountId, DeliveryId, EndpointId};
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::Tracer;
use reelhook_store::{DefaultWebhook, FanOut, NewDelivery, Outbox, OutboxEvent, Start, Store, StoreError, Topic};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::dispatcher::Message;
use crate::engine::LinkTo;
use crate::lanes::Arrival;
use crate::meter::Meter;
use crate::parked::{Parked, Waits};
use crate::settings::Settings;
use crate::trace;

/// Most endpoints that are remembered from one batch to the next.
const MOST_REMEMBERED: usize = 16 * 1024;
/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Fans events out.
pub(crate) struct Fanning {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ambient: Ambient,
    pub(crate) link: LinkTo,
    pub(crate) settings: Settings,
    pub(crate) lanes: mpsc::Sender<Message>,
    /// How many endings were written.
    pub(crate) written: Arc<AtomicU64>,
    /// Lanes that give back what is fanned out to them.
    pub(crate) parked: Parked,
    pub(crate) directory: Directory,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tracer: Tracer,
    pub(crate) stop: CancellationToken,
}

impl Fanning {
    /// Runs until told to stop. Begins after `looked`: what waits in the store from before goes first.
    pub(crate) async fn run(mut self, looked: oneshot::Receiver<()>) {
        // An error means that the one who looks is gone, and that we are about to be told to stop.
        let _ = looked.await;
        let mut wake = self.store.wakes().listen(Topic::Event);
        while !self.stop.is_cancelled() {
            let rest = match self.batch().await {
                Ok(true) => continue,
                Ok(false) => self.settings.poll,
                Err(error) => {
                    error!(%error, "cannot fan out; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = self.stop.cancelled() => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = wake.wait() => {}
                () = tokio::time::sleep(rest) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Fans out a batch; whether it was a full one.
    async fn batch(&mut self) -> Result<bool, StoreError> {
        let outbox = self.store.outbox(self.settings.fan_out_batch).await?;
        let Some(last) = outbox.events.last() else { return Ok(false) };
        let (after, up_to) = (outbox.after, last.event.sequence);
        let is_full = narrow(outbox.events.len()) >= self.settings.fan_out_batch;
        self.directory.learn(self.store.as_ref(), &outbox).await?;
        let deliveries = self.deliveries(&outbox.events);
        let left = self.left_in_store(&deliveries);
        let count = deliveries.len();

        let written = self.written.load(Ordering::Acquire);
        fail_point!("delivery.before_fan_out");
        let claimed = self.store.fan_out(FanOut { after, up_to, deliveries }, self.settings.lease).await?;
        fail_point!("delivery.after_fan_out");
        self.meter.fanned_out(outbox.events.len(), count);
        trace::fanned_out(&self.tracer, &outbox.events, self.ambient.now());

        let arrivals: Vec<_> = claimed
            .into_iter()
            .filter_map(|work| {
                let endpoint = Arc::clone(self.directory.by_id.get(&work.delivery.endpoint)?);
                Some(Arrival { work, endpoint })
            })
            .collect();
        if arrivals.is_empty() && left.is_empty() {
            return Ok(is_full);
        }
        if self.lanes.send(Message::FannedOut { written, arrivals, left }).await.is_err() {
            // The lanes are gone because we stop; the claims run out.
            return Ok(false);
        }
        Ok(is_full)
    }

    /// The endpoints of deliveries that wait in the store from the beginning.
    fn left_in_store(&self, deliveries: &[NewDelivery]) -> Vec<Arc<Endpoint>> {
        let waits = |delivery: &&NewDelivery| matches!(delivery.start, Start::Due { .. });
        let ids: HashSet<_> = deliveries.iter().filter(waits).map(|delivery| delivery.endpoint).collect();
        ids.iter().filter_map(|id| self.directory.by_id.get(id).cloned()).collect()
    }

    fn deliveries(&self, events: &[OutboxEvent]) -> Vec<NewDelivery> {
        let now = self.ambient.now();
        let mut ids = Ids::new(&self.ambient);
        let mut deliveries = Vec::with_capacity(events.len());
        for outgoing in events {
            let mut bodies = HashMap::new();
            for endpoint in self.directory.interested(outgoing) {
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
                    body: Arc::clone(body),
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

    fn render(&self, dialect: Dialect, event: &Event) -> Option<Arc<str>> {
        match reelhook_dialects::payload(dialect, event, &*self.link) {
            Ok(body) => body.map(Into::into),
            Err(error) => {
                error!(event.id = %event.id, event.kind = %event.kind, %error, "an event cannot be rendered and is passed by");
                None
            }
        }
    }
}

/// Ids of one batch, each later than the one before: the store breaks ties of time by id, which keeps events in order.
struct Ids {
    next: u128,
}

impl Ids {
    fn new(ambient: &Ambient) -> Self {
        let mut random: [u8; 10] = ambient.random();
        // Clears the highest of the 62 bits that are counted in, so that counting never runs over.
        random[2] &= 0x1f;
        Self { next: DeliveryId::new(ambient.now(), random).bits() }
    }

    const fn next(&mut self) -> DeliveryId {
        let id = DeliveryId::from_bits(self.next);
        self.next += 1;
        id
    }
}

/// Who is there, as far as batches of events need to know: remembered for as long as nobody changed.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// Under which number of the store's it was read.
    version: i64,
    registered: HashMap<AccountId, Vec<Arc<Endpoint>>>,
    /// Of the accounts and dialects of jobs that bring no webhook; none where there is none.
    defaults: HashMap<(AccountId, Dialect), Option<DefaultWebhook>>,
    by_id: HashMap<EndpointId, Arc<Endpoint>>,
}

impl Directory {
    /// Reads what the batch needs and is not known: once per account, and all single endpoints together.
    async fn learn(&mut self, store: &dyn Store, outbox: &Outbox) -> Result<(), StoreError> {
        if self.version != outbox.endpoints_version || self.by_id.len() >= MOST_REMEMBERED {
            *self = Self { version: outbox.endpoints_version, ..Self::default() };
        }
        let mut single: HashSet<EndpointId> = HashSet::new();
        for outgoing in &outbox.events {
            let account = outgoing.event.account;
            if let Some(only) = outgoing.only {
                single.insert(only);
                continue;
            }
            if let Entry::Vacant(place) = self.registered.entry(account) {
                let all: Vec<_> = store.list_endpoints(account).await?.into_iter().map(Arc::new).collect();
                self.by_id.extend(all.iter().map(|endpoint| (endpoint.id, Arc::clone(endpoint))));
                place.insert(all);
            }
            match (&outgoing.webhook, outgoing.event.job) {
                (Some(webhook), _) => drop(single.insert(webhook.endpoint)),
                (None, Some(_)) => {
                    if let Entry::Vacant(place) = self.defaults.entry((account, outgoing.dialect)) {
                        place.insert(store.default_webhook(account, outgoing.dialect).await?);
                    }
                    let known = self.defaults.get(&(account, outgoing.dialect)).and_then(Option::as_ref);
                    single.extend(known.map(|webhook| webhook.endpoint));
                }
                (None, None) => {}
            }
        }
        single.retain(|id| !self.by_id.contains_key(id));
        if !single.is_empty() {
            let single: Vec<_> = single.into_iter().collect();
            let found = store.endpoints_by_id(&single).await?;
            self.by_id.extend(found.into_iter().map(|endpoint| (endpoint.id, Arc::new(endpoint))));
        }
        Ok(())
    }

    /// Who wants that event, nobody twice.
    fn interested(&self, outgoing: &OutboxEvent) -> Vec<&Arc<Endpoint>> {
        let event = &outgoing.event;
        if let Some(only) = outgoing.only {
            return self.endpoint_of(event.account, only).into_iter().collect();
        }
        let registered = self.registered.get(&event.account).map(Vec::as_slice).unwrap_or_default();
        let concerned = concerned(event);
        let mut interested: Vec<_> = registered
            .iter()
            .filter(|endpoint| endpoint.events.wants(&event.kind) && Some(endpoint.id) != concerned)
            .collect();
        let webhook = match (&outgoing.webhook, event.job) {
            (Some(webhook), _) => Some((webhook.endpoint, &webhook.events)),
            (None, Some(_)) => {
                let default = self.defaults.get(&(event.account, outgoing.dialect)).and_then(Option::as_ref);
                default.map(|webhook| (webhook.endpoint, &webhook.events))
            }
            (None, None) => None,
        };
        if let Some((id, events)) = webhook
            && events.wants(&event.kind)
            && !interested.iter().any(|endpoint| endpoint.id == id)
        {
            interested.extend(self.endpoint_of(event.account, id));
        }
        interested
    }

    fn endpoint_of(&self, account: AccountId, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.by_id.get(&id).filter(|endpoint| endpoint.account == account)
    }
}

/// The endpoint that was disabled, for the event that tells of it: that goes to the others.
fn concerned(event: &Event) -> Option<EndpointId> {
    if event.kind.as_str() != EventType::ENDPOINT_DISABLED {
        return None;
    }
    event.data.get("endpoint")?.as_str()?.parse().ok()
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
