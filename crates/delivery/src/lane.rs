//! The queue of one endpoint in memory: what waits, what is out, and how the endpoint bears it. Pure.
//!
//! # Theory of operation
//! First tries and retries wait in two queues, and first tries go first: a receiver that comes back from an outage gets
//! what is new before what piled up. A first try also waits for the first tries of earlier events of its job, whether
//! they are queued or out; [`JobOrder`] knows them. Progress is told out of band: it blocks nobody, and an event of its
//! job that comes later takes its place.
//!
//! How much is out at once is for [`Adaptive`], how fast for [`Bucket`], whether at all for [`Circuit`].
//!
//! The bad day: when the circuit opens, or the endpoint is disabled, what waits is given back to the store at once, so
//! that memory is never held for a receiver that is not there. A claim that ran out and was taken again by this very
//! process (a suspended machine, a clock that jumped) is adopted: the work goes on under the new token, not twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{Attempt, Outcome, Wait};
use reelhook_domain::endpoint::{Endpoint, Failing};
use reelhook_domain::event::EventType;
use reelhook_domain::id::{AccountId, DeliveryId, EndpointId};
use reelhook_domain::retry::{Gone, RetrySchedule, Verdict, judge};
use reelhook_domain::time::Timestamp;
use reelhook_store::{ClaimedDelivery, Settlement};

use crate::adaptive::Adaptive;
use crate::bucket::Bucket;
use crate::job_order::{JobOrder, is_first};
use crate::outcome;
use crate::parked::Waits;
use crate::queue::Queue;
use crate::settle::{Ending, Endings};

/// What every lane may hold, however little memory is left.
pub(crate) const HANDFUL: usize = 8;
/// Bytes of bodies that one lane holds before it holds no more than a handful.
const LANE_BYTES: usize = 16 * 1024 * 1024;
/// How long a delivery rests whose place was taken, should the cancellation that follows be lost.
const SUPERSEDED_REST: Duration = Duration::from_secs(60);

/// Whether a lane can send something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Now.
    Ready,
    /// Not before then.
    Waits(Timestamp),
    /// Not before something else ends or comes.
    Blocked,
}

/// How much a lane holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Deliveries that wait.
    pub(crate) waiting: usize,
    /// The bytes of their bodies.
    pub(crate) bytes: usize,
    /// Requests that are out.
    pub(crate) in_flight: usize,
}

impl Load {
    /// Whether there is anything at all.
    pub(crate) const fn is_busy(self) -> bool {
        self.waiting + self.in_flight > 0
    }
}

/// A request that is out. The work itself travels with it; this is what the lane must know meanwhile.
#[derive(Debug)]
struct Ticket {
    token: i64,
    epoch: u32,
}

/// The lane of one endpoint.
#[derive(Debug)]
pub(crate) struct Lane {
    endpoint: Arc<Endpoint>,
    schedule: RetrySchedule,
    /// Whether failures disable the endpoint.
    gone: Gone,
    /// The endpoint is disabled, since the ending of that number: nothing is sent until the store claims for it again.
    shut: Option<u64>,
    first: Queue,
    again: Queue,
    order: JobOrder,
    in_flight: HashMap<DeliveryId, Ticket>,
    width: Adaptive,
    bucket: Option<Bucket>,
    circuit: Circuit,
    failing: Option<Failing>,
    /// First tries wait in the store since the ending of that number: what is fanned out now goes behind them.
    parked: Option<u64>,
    /// The last batch that was fanned out past this lane, into the store.
    pub(crate) left_in_store: u64,
    /// Whether the lane has its turn coming.
    pub(crate) in_turn: bool,
    /// When the lane's timer goes off, where it has one.
    pub(crate) timer: Option<Timestamp>,
    used_at: Timestamp,
}

impl Lane {
    pub(crate) fn new(endpoint: Arc<Endpoint>, parked: Option<u64>, now: Timestamp) -> Self {
        let circuit = match endpoint.circuit {
            // The probe was another process's, or died with it: whoever comes next probes.
            Circuit::HalfOpen { times } => Circuit::Open { until: now, times },
            known @ (Circuit::Closed { .. } | Circuit::Open { .. }) => known,
        };
        Self {
            schedule: schedule_of(&endpoint),
            gone: gone(&endpoint),
            // The store claims nothing for an endpoint that is disabled.
            shut: None,
            first: Queue::default(),
            again: Queue::default(),
            order: JobOrder::default(),
            in_flight: HashMap::new(),
            width: Adaptive::default(),
            bucket: endpoint.rate.map(|rate| Bucket::new(rate, now)),
            circuit,
            failing: endpoint.failing,
            parked,
            left_in_store: 0,
            in_turn: false,
            timer: None,
            used_at: now,
            endpoint,
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.endpoint.account
    }

    pub(crate) fn load(&self) -> Load {
        Load {
            waiting: self.first.len() + self.again.len(),
            bytes: self.first.bytes() + self.again.bytes(),
            in_flight: self.in_flight.len(),
        }
    }

    pub(crate) const fn parked(&self) -> Option<u64> {
        self.parked
    }

    /// Until when, and why, what is fanned out to this lane waits in the store, where it does.
    pub(crate) fn waits(&self) -> Option<Waits> {
        self.parked?;
        Some(match self.circuit {
            Circuit::Open { until, .. } => Waits { until, reason: "circuit_open" },
            Circuit::Closed { .. } | Circuit::HalfOpen { .. } => {
                Waits { until: Timestamp::from_millis(0), reason: "lane_full" }
            }
        })
    }

    /// First tries of this lane may wait in the store.
    pub(crate) fn park(&mut self) {
        self.parked = self.parked.or(Some(0));
    }

    pub(crate) const fn unpark(&mut self) {
        self.parked = None;
    }

    /// Until when the endpoint is left alone, where it is.
    pub(crate) fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.circuit.admit(now).err().flatten()
    }

    pub(crate) const fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// Whether one request is out to see if the endpoint is back.
    pub(crate) const fn is_probing(&self) -> bool {
        matches!(self.circuit, Circuit::HalfOpen { .. })
    }

    /// Whether nothing is lost when the lane is forgotten.
    pub(crate) fn is_idle(&self, now: Timestamp, after: Duration) -> bool {
        !self.load().is_busy()
            && self.parked.is_none()
            && self.closed_until(now).is_none()
            && now.since(self.used_at) >= after
    }

    /// Takes over what is newly known of the endpoint.
    pub(crate) fn learn(&mut self, endpoint: &Arc<Endpoint>, now: Timestamp) {
        if Arc::ptr_eq(&self.endpoint, endpoint) {
            return;
        }
        self.schedule = schedule_of(endpoint);
        self.gone = gone(endpoint);
        if self.bucket.map(|bucket| bucket.rate()) != endpoint.rate {
            self.bucket = endpoint.rate.map(|rate| Bucket::new(rate, now));
        }
        self.endpoint = Arc::clone(endpoint);
    }

    /// Somebody enabled the endpoint, if the store claimed for it after it was disabled. `written` is how many endings
    /// were written before the claim.
    pub(crate) fn reopen(&mut self, written: u64) {
        if self.shut.is_some_and(|since| since <= written) {
            self.shut = None;
            // Whoever enabled it says that it is well: its past does not count.
            self.circuit = Circuit::default();
            self.failing = None;
        }
    }

    /// The endpoint turned out to be disabled.
    pub(crate) const fn shut(&mut self, endings: &Endings) {
        if self.shut.is_none() {
            self.shut = Some(endings.next());
        }
    }

    /// Takes a delivery in, or gives it back. `room` is how many the lane may hold.
    pub(crate) fn offer(
        &mut self,
        work: ClaimedDelivery,
        from: Origin,
        room: usize,
        now: Timestamp,
        endings: &mut Endings,
    ) {
        self.used_at = now;
        if self.adopt(&work) {
            return;
        }
        if self.shut.is_some() {
            return self.give_back(&work, now, "endpoint_disabled", endings);
        }
        if let Some(until) = self.closed_until(now) {
            return self.give_back(&work, until, "circuit_open", endings);
        }
        let made_at = work.delivery.created_at;
        let first_at = made_at + self.first_wait();
        // A test is waited for. What was made in the future was made before the clock was put back: nobody knows how long it
        // waited.
        let waits = is_first(&work) && work.delivery.event_type != EventType::WEBHOOK_TEST;
        if waits && first_at > now && made_at <= now {
            let later = Verdict::Retry { at: first_at, reason: "first_wait" };
            endings.push(self.given_back(&work, later));
            return;
        }
        let is_behind = from == Origin::FanOut && self.parked.is_some();
        if is_behind || !self.has_room(room) {
            return self.give_back(&work, now, "lane_full", endings);
        }
        self.supersede_progress(&work, now, endings);
        self.order.enter(&work);
        if is_first(&work) { self.first.push(work) } else { self.again.push(work) }
    }

    /// Whether the lane can hold one more, where it may hold `most`: of large bodies a handful, whatever their size.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        let load = self.load();
        load.waiting < most && (load.bytes < LANE_BYTES || load.waiting < HANDFUL)
    }

    /// The same delivery under a new claim of this process: goes on under it.
    fn adopt(&mut self, work: &ClaimedDelivery) -> bool {
        if let Some(ticket) = self.in_flight.get_mut(&work.delivery.id) {
            // The newest claim counts, in whatever order word of them comes.
            ticket.token = ticket.token.max(work.token);
            return true;
        }
        let (id, token) = (work.delivery.id, work.token);
        self.first.adopt(id, token) || self.again.adopt(id, token)
    }

    /// Progress that waits is out of date when a later event of its job comes.
    fn supersede_progress(&mut self, newer: &ClaimedDelivery, now: Timestamp, endings: &mut Endings) {
        let Some(job) = newer.delivery.job else { return };
        let stale = |waiting: &ClaimedDelivery| {
            waiting.delivery.job == Some(job) && waiting.delivery.sequence < newer.delivery.sequence
        };
        let rest = Verdict::Retry { at: now + SUPERSEDED_REST, reason: "superseded" };
        while let Some(place) = self.first.progress(stale) {
            let Some(work) = self.first.remove(place) else { return };
            let mut ending = self.given_back(&work, rest);
            ending.superseded_for = Some(work.delivery.account);
            endings.push(ending);
        }
    }

    pub(crate) fn readiness(&mut self, now: Timestamp) -> Readiness {
        if self.in_flight.len() >= self.width.limit() || self.pick().is_none() {
            return Readiness::Blocked;
        }
        match self.circuit.admit(now) {
            Ok(_) => {}
            Err(Some(until)) => return Readiness::Waits(until),
            Err(None) => return Readiness::Blocked,
        }
        match self.bucket.as_mut().map_or(Ok(()), |bucket| bucket.ready(now)) {
            Ok(()) => Readiness::Ready,
            Err(at) => Readiness::Waits(at),
        }
    }

    /// What each of these waits for, as far as it is here.
    pub(crate) fn why(&mut self, wanted: &HashSet<DeliveryId>, now: Timestamp) -> Vec<(DeliveryId, Wait)> {
        let out = wanted.iter().filter(|id| self.in_flight.contains_key(id));
        let mut waits: Vec<_> = out.map(|&id| (id, Wait::of("sending"))).collect();
        let circuit = self.circuit.admit(now).err();
        let is_wide_enough = self.in_flight.len() < self.width.limit();
        let bucket = &mut self.bucket;
        let mut turn = |ahead| {
            if let Some(until) = circuit {
                return Wait { reason: "circuit_open", until };
            }
            match bucket.as_mut().map_or(Ok(()), |bucket| bucket.ready_after(ahead, now)) {
                Err(until) => Wait { reason: "rate", until: Some(until) },
                Ok(()) if is_wide_enough => Wait::of("turn"),
                Ok(()) => Wait::of("concurrency"),
            }
        };
        for (ahead, work) in self.first.places(wanted) {
            let wait = if self.order.allows(work) { turn(ahead) } else { Wait::of("job_order") };
            waits.push((work.delivery.id, wait));
        }
        for (ahead, work) in self.again.places(wanted) {
            waits.push((work.delivery.id, turn(self.first.len() + ahead)));
        }
        waits
    }

    /// Where the delivery stands that goes next: a place among the first tries, or `None` for the first of the retries.
    fn pick(&self) -> Option<Option<usize>> {
        match self.first.position(|work| self.order.allows(work)) {
            Some(place) => Some(Some(place)),
            None if self.again.is_empty() => None,
            None => Some(None),
        }
    }

    /// Lets the next delivery go; the lane must be ready.
    pub(crate) fn start(&mut self, now: Timestamp) -> Option<ClaimedDelivery> {
        let work = match self.pick()? {
            Some(place) => self.first.remove(place)?,
            None => self.again.pop()?,
        };
        self.circuit = self.circuit.admit(now).unwrap_or(self.circuit);
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
        self.used_at = now;
        let ticket = Ticket { token: work.token, epoch: self.width.epoch() };
        self.in_flight.insert(work.delivery.id, ticket);
        Some(work)
    }

    /// An attempt ended: what follows from it, for its delivery and for the lane. `fraction` is a dice roll in 0..1.
    pub(crate) fn ended(
        &mut self,
        work: &ClaimedDelivery,
        attempt: Attempt,
        now: Timestamp,
        fraction: f64,
        endings: &mut Endings,
    ) {
        let (token, epoch) = self.back(work, now);
        let number = attempt.number.saturating_sub(work.delivery.schedule_offset);
        let verdict = judge(&attempt.outcome, &self.schedule, number, self.gone, now, fraction);
        self.count(&attempt.outcome, epoch, now);

        let disable = match verdict {
            Verdict::Gone => Some("gone"),
            Verdict::Delivered | Verdict::Exhausted | Verdict::Retry { .. } => {
                let disables = |failing: &Failing| self.gone == Gone::Disables && failing.disables(now);
                self.failing.filter(disables).map(|_| "failing")
            }
        };
        // Once is enough; those that were out meanwhile have nothing to add.
        let disable = disable.filter(|_| self.shut.is_none());
        if disable.is_some() {
            self.shut(endings);
        }
        let settlement = Settlement { disable, ..self.settlement(work.delivery.id, token, Some(attempt), verdict) };
        endings.push(Ending { settlement, superseded_for: None });
        self.empty_if_shut(now, endings);
    }

    /// A delivery came back without an attempt, due again as the verdict says.
    pub(crate) fn untried(&mut self, work: &ClaimedDelivery, verdict: Verdict, now: Timestamp, endings: &mut Endings) {
        let (token, _) = self.back(work, now);
        if let Circuit::HalfOpen { times } = self.circuit {
            // It was the probe and saw nothing: the next one probes.
            self.circuit = Circuit::Open { until: now, times };
        }
        let settlement = self.settlement(work.delivery.id, token, None, verdict);
        let number = endings.push(Ending { settlement, superseded_for: None });
        if is_first(work) {
            self.parked = Some(number);
        }
        self.empty_if_shut(now, endings);
    }

    /// A request is no longer out; answers the token and epoch it went under.
    fn back(&mut self, work: &ClaimedDelivery, now: Timestamp) -> (i64, u32) {
        self.used_at = now;
        self.order.leave(work);
        match self.in_flight.remove(&work.delivery.id) {
            Some(ticket) => (ticket.token, ticket.epoch),
            // Its claim was lost meanwhile; the store decides.
            None => (work.token, self.width.epoch()),
        }
    }

    fn count(&mut self, outcome: &Outcome, epoch: u32, now: Timestamp) {
        if outcome.is_success() {
            self.circuit = self.circuit.succeeded();
            self.failing = None;
            self.width.succeeded();
            return;
        }
        let was_open = matches!(self.circuit, Circuit::Open { .. });
        self.circuit = self.circuit.failed(now);
        self.failing = Some(Failing::more(self.failing, now));
        match self.circuit {
            Circuit::Open { .. } if !was_open => self.width.restart(),
            Circuit::Open { .. } | Circuit::Closed { .. } | Circuit::HalfOpen { .. } => {
                if outcome::is_overload(outcome) {
                    self.width.slowed(epoch);
                }
            }
        }
    }

    /// Gives back all that waits when nothing may be sent for now.
    fn empty_if_shut(&mut self, now: Timestamp, endings: &mut Endings) {
        if self.shut.is_some() {
            // Due at once: the store, which has the last word, holds them.
            self.give_back_all(now, "endpoint_disabled", endings);
        } else if let Some(until) = self.closed_until(now) {
            self.give_back_all(until, "circuit_open", endings);
        }
    }

    /// Gives back all that waits, in order.
    pub(crate) fn give_back_all(&mut self, at: Timestamp, reason: &'static str, endings: &mut Endings) {
        for work in self.take_waiting() {
            self.give_back(&work, at, reason, endings);
        }
    }

    fn take_waiting(&mut self) -> Vec<ClaimedDelivery> {
        let waiting: Vec<_> = self.first.drain().chain(self.again.drain()).collect();
        for work in &waiting {
            self.order.leave(work);
        }
        waiting
    }

    /// Gives one back to the store. Later events must not overtake a first try that waits there.
    fn give_back(&mut self, work: &ClaimedDelivery, at: Timestamp, reason: &'static str, endings: &mut Endings) {
        let number = endings.push(self.given_back(work, Verdict::Retry { at, reason }));
        if is_first(work) {
            self.parked = Some(number);
        }
    }

    fn given_back(&self, work: &ClaimedDelivery, verdict: Verdict) -> Ending {
        Ending { settlement: self.settlement(work.delivery.id, work.token, None, verdict), superseded_for: None }
    }

    fn settlement(&self, delivery: DeliveryId, token: i64, attempt: Option<Attempt>, verdict: Verdict) -> Settlement {
        Settlement {
            delivery,
            token,
            attempt,
            verdict,
            endpoint: self.endpoint.id,
            circuit: self.circuit,
            failing: self.failing,
            disable: None,
        }
    }

    /// All claims that this lane holds.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held> {
        let endpoint = self.endpoint.id;
        let waiting = self.first.iter().chain(self.again.iter()).map(|work| (work.delivery.id, work.token));
        let out = self.in_flight.iter().map(|(&delivery, ticket)| (delivery, ticket.token));
        waiting.chain(out).map(move |(delivery, token)| Held { endpoint, delivery, token })
    }

    /// The claim is lost: what waits is dropped; what is out is settled all the same, since it was made.
    pub(crate) fn forget(&mut self, lost: &Held) {
        for queue in [&mut self.first, &mut self.again] {
            let is_lost = |work: &ClaimedDelivery| work.delivery.id == lost.delivery && work.token == lost.token;
            if let Some(work) = queue.position(is_lost).and_then(|place| queue.remove(place)) {
                self.order.leave(&work);
            }
        }
    }

    /// How long the schedule waits before the first try.
    fn first_wait(&self) -> Duration {
        Duration::from_millis(self.schedule.waits_ms().first().copied().unwrap_or(0))
    }
}

/// The endpoint's own schedule, or that of its dialect.
fn schedule_of(endpoint: &Endpoint) -> RetrySchedule {
    endpoint.retry.clone().unwrap_or_else(|| reelhook_dialects::schedule(endpoint.dialect))
}

fn gone(endpoint: &Endpoint) -> Gone {
    if reelhook_dialects::disables_endpoints(endpoint.dialect) { Gone::Disables } else { Gone::IsRetried }
}

/// Where a delivery comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Fresh from the fan-out.
    FanOut,
    /// Claimed from the store.
    Store,
}

/// A claim that a lane holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) endpoint: EndpointId,
    pub(crate) delivery: DeliveryId,
    pub(crate) token: i64,
}
