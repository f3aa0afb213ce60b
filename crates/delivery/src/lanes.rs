//! All lanes, and whose turn it is. Pure: no clock, no dice, no I/O; the [dispatcher](crate::dispatcher) drives it.
//!
//! # Theory of operation
//! The pool of requests in flight is one for all. Lanes that have something to send stand in a row; the first that may
//! send sends one request and goes to the end of the row. A lane that may not send leaves the row until something of it
//! ends, something comes, or its time comes, so a thousand lanes that wait cost nothing.
//!
//! The pool is shared by the accounts that are busy, and the share of each by its busy lanes. Who holds his share goes
//! only when nobody below his wants to. The last eighth of the pool is kept for lanes that have nothing out: a pool full of black holes
//! still has room for a healthy endpoint, and so has the memory, where every lane may hold a handful even when the
//! queues together are full.
//!
//! What cannot be held is given back to the store, and comes again by claim. From then on what is fanned out to that lane
//! goes the same way (the lane is *parked*), lest a job's later event overtake an earlier one, until a claim shows that
//! nothing of the lane is left in the store. When an engine starts it knows of no lane what is left, so all begin
//! parked until the first claim that took everything. While much else goes out, parked lanes go at a [pace](crate::pace).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::delivery::Attempt;
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::id::{AccountId, EndpointId};
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_store::ClaimedDelivery;

use crate::lane::{HANDFUL, Held, Lane, Load, Origin, Readiness};
use crate::pace::Pace;
use crate::parked::Parked;
use crate::settings::Settings;
use crate::settle::{Ending, Endings};

/// The part of the pool that is kept for lanes with nothing out: one in so many.
const RESERVED_PART: usize = 8;
/// A lane is offered to the store for more when this part of its queue is free: one in so many.
const REFILL_PART: usize = 4;

/// Work for a lane, with the endpoint as it was last read.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) work: ClaimedDelivery,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// What can be claimed from the store.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Most deliveries in all.
    pub(crate) limit: usize,
    /// Most deliveries to each endpoint.
    pub(crate) per_endpoint: usize,
    /// Endpoints that can take none.
    pub(crate) except: Vec<EndpointId>,
    /// When the first of those that are left alone can take some.
    pub(crate) opens: Option<Timestamp>,
    /// How many endings were written when this was asked.
    pub(crate) written: u64,
    /// How many batches were fanned out when this was asked.
    pub(crate) fanned_out: u64,
}

/// What one account has in the lanes.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    busy_lanes: usize,
    in_flight: usize,
}

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    settings: Settings,
    lanes: HashMap<EndpointId, Lane>,
    /// Lanes that may have something to send, each once.
    turns: VecDeque<EndpointId>,
    /// When lanes that wait for their time are looked at again.
    timers: BinaryHeap<Reverse<(Timestamp, EndpointId)>>,
    /// The time of the last look at the timers.
    looked_at: Timestamp,
    load: Load,
    accounts: HashMap<AccountId, Share>,
    endings: Endings,
    /// Whether the store may hold earlier deliveries of lanes that are not known yet.
    begins_parked: bool,
    parked: Parked,
    pace: Pace,
    /// How many batches were fanned out so far.
    fanned_out: u64,
    /// Lanes that were left out of the last claim for want of room.
    left_out: HashSet<EndpointId>,
    /// Whether the last claim was cut short because the queues together were full.
    is_crowded: bool,
    /// Whether there is room now for what was left out.
    has_new_room: bool,
}

impl Lanes {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            timers: BinaryHeap::new(),
            looked_at: Timestamp::default(),
            load: Load::default(),
            accounts: HashMap::new(),
            endings: Endings::default(),
            begins_parked: true,
            parked: Parked::default(),
            pace: Pace::default(),
            fanned_out: 0,
            left_out: HashSet::new(),
            is_crowded: false,
            has_new_room: false,
        }
    }

    /// Takes a delivery in, or gives it back. `written` is how many endings were written before it was claimed.
    pub(crate) fn offer(&mut self, arrival: Arrival, from: Origin, written: u64, now: Timestamp) {
        let Arrival { work, endpoint } = arrival;
        let room = self.capacity();
        let parked = self.begins_parked.then_some(0);
        self.lanes.entry(endpoint.id).or_insert_with(|| Lane::new(Arc::clone(&endpoint), parked, now));
        self.change(endpoint.id, |lane, endings| {
            lane.learn(&endpoint, now);
            lane.reopen(written);
            lane.offer(work, from, room, now, endings);
        });
    }

    /// A batch was fanned out that left deliveries to these endpoints in the store.
    pub(crate) fn left_in_store(&mut self, endpoints: &[Arc<Endpoint>], now: Timestamp) {
        self.fanned_out += 1;
        let (capacity, refill, fanned_out) = (self.capacity(), self.refill(), self.fanned_out);
        for endpoint in endpoints {
            self.lanes.entry(endpoint.id).or_insert_with(|| Lane::new(Arc::clone(endpoint), Some(0), now));
            let has_room = self.change(endpoint.id, |lane, _| {
                lane.park();
                lane.left_in_store = fanned_out;
                lane.closed_until(now).is_none() && has_room(lane, capacity, refill)
            });
            if has_room == Some(true) {
                self.has_new_room = true;
            } else {
                self.left_out.insert(endpoint.id);
            }
        }
    }

    /// The lanes that are parked, for whoever fans out.
    pub(crate) fn parked(&self) -> Parked {
        self.parked.clone()
    }

    /// The next delivery to send, if any may be sent now.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<ClaimedDelivery> {
        let free = self.settings.in_flight.checked_sub(self.load.in_flight).filter(|free| *free > 0)?;
        let is_reserve = free <= self.settings.in_flight / RESERVED_PART;
        // Timers of a clock that was put back since would go off too late by as much: all are set anew.
        let was_put_back = now < std::mem::replace(&mut self.looked_at, now);
        while let Some(&Reverse((at, endpoint))) = self.timers.peek()
            && (at <= now || was_put_back)
        {
            self.timers.pop();
            if let Some(lane) = self.lanes.get_mut(&endpoint) {
                lane.timer = lane.timer.filter(|&timer| timer != at);
            }
            self.line_up(endpoint);
        }
        let mut beyond = None;
        for _ in 0..self.turns.len() {
            let endpoint = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&endpoint) else { continue };
            let readiness = match (lane.readiness(now), lane.parked()) {
                (Readiness::Ready, Some(_)) => self.pace.waits(now).map_or(Readiness::Ready, Readiness::Waits),
                (readiness, _) => readiness,
            };
            match readiness {
                Readiness::Ready => self.turns.push_back(endpoint),
                Readiness::Waits(until) => {
                    lane.in_turn = false;
                    // One timer is enough: a lane that is asked often while it waits must not fill the heap.
                    if lane.timer.is_none_or(|timer| timer > until) {
                        lane.timer = Some(until);
                        self.timers.push(Reverse((until, endpoint)));
                    }
                    continue;
                }
                Readiness::Blocked => {
                    lane.in_turn = false;
                    continue;
                }
            }
            if self.is_within_share(endpoint, is_reserve) {
                return self.start(endpoint, now);
            }
            beyond.get_or_insert(endpoint);
        }
        if is_reserve { None } else { self.start(beyond?, now) }
    }

    fn is_within_share(&self, endpoint: EndpointId, is_reserve: bool) -> bool {
        let Some(lane) = self.lanes.get(&endpoint) else { return false };
        let account = self.accounts.get(&lane.account()).copied().unwrap_or_default();
        let share_of_account = (self.settings.in_flight / self.accounts.len().max(1)).max(1);
        let share = if is_reserve { 1 } else { (share_of_account / account.busy_lanes.max(1)).max(1) };
        account.in_flight < share_of_account && lane.load().in_flight < share
    }

    fn start(&mut self, endpoint: EndpointId, now: Timestamp) -> Option<ClaimedDelivery> {
        let started = self.change(endpoint, |lane, _| (lane.start(now), lane.parked().is_some()));
        let (work, is_backlog) = started?;
        self.pace.went(is_backlog);
        work
    }

    /// When [`Lanes::next`] may have something although nothing happened.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// An attempt ended. `endpoint` is the endpoint it was made with, `fraction` a dice roll in 0..1.
    pub(crate) fn ended(
        &mut self,
        work: &ClaimedDelivery,
        endpoint: &Arc<Endpoint>,
        attempt: Attempt,
        now: Timestamp,
        fraction: f64,
    ) {
        self.change(work.delivery.endpoint, |lane, endings| {
            lane.learn(endpoint, now);
            lane.ended(work, attempt, now, fraction, endings);
        });
    }

    /// A delivery came back without an attempt.
    pub(crate) fn untried(&mut self, work: &ClaimedDelivery, verdict: Verdict, now: Timestamp) {
        self.change(work.delivery.endpoint, |lane, endings| lane.untried(work, verdict, now, endings));
    }

    /// A delivery came back without an attempt because its endpoint is disabled.
    pub(crate) fn refused(&mut self, work: &ClaimedDelivery, now: Timestamp) {
        self.change(work.delivery.endpoint, |lane, endings| {
            lane.shut(endings);
            lane.untried(work, Verdict::Retry { at: now, reason: "endpoint_disabled" }, now, endings);
        });
    }

    /// Claims that turned out to be lost.
    pub(crate) fn forget(&mut self, lost: &[Held]) {
        for held in lost {
            self.change(held.endpoint, |lane, _| lane.forget(held));
        }
    }

    /// What the store may be asked for; `written` is how many endings were written so far.
    pub(crate) fn room(&mut self, now: Timestamp, written: u64) -> Room {
        let free = self.settings.queued.saturating_sub(self.load.waiting);
        self.is_crowded = self.is_full();
        let refill = self.refill();
        let claim_batch = usize::try_from(self.settings.claim_batch).unwrap_or(usize::MAX);
        // A crowd does not keep those out who have nothing here yet.
        let limit = if self.is_crowded { HANDFUL * HANDFUL } else { free }.min(claim_batch);
        let fanned_out = self.fanned_out;
        // One endpoint's backlog never fills a whole claim, so that a claim shows of all others what they have left.
        let per_endpoint = refill.min(claim_batch / 2).max(1);
        let mut room = Room { limit, per_endpoint, except: Vec::new(), opens: None, written, fanned_out };
        let capacity = self.capacity();
        self.left_out.clear();
        for (&endpoint, lane) in &self.lanes {
            if let Some(until) = lane.closed_until(now) {
                room.except.push(endpoint);
                room.opens = Some(room.opens.map_or(until, |opens| opens.min(until)));
            } else if !has_room(lane, capacity, refill) {
                room.except.push(endpoint);
                self.left_out.insert(endpoint);
            }
        }
        room
    }

    /// A claim was made with that room, and took these from the store.
    pub(crate) fn claimed(&mut self, room: &Room, taken: Vec<Arrival>, now: Timestamp) {
        let is_whole = taken.len() < room.limit;
        self.begins_parked = !is_whole;
        let mut counts: HashMap<EndpointId, usize> = HashMap::new();
        for arrival in &taken {
            *counts.entry(arrival.endpoint.id).or_default() += 1;
        }
        if is_whole {
            self.unpark(room, &counts);
        }
        for arrival in taken {
            self.offer(arrival, Origin::Store, room.written, now);
        }
        // Whoever got as many as were asked for may have more in the store.
        for (endpoint, _) in counts.into_iter().filter(|(_, count)| *count >= room.per_endpoint) {
            self.change(endpoint, |lane, _| lane.park());
        }
    }

    /// Lets lanes take what is fanned out again, once a claim shows that nothing of theirs is left in the store.
    fn unpark(&mut self, room: &Room, counts: &HashMap<EndpointId, usize>) {
        let except: HashSet<_> = room.except.iter().collect();
        let lanes = &mut self.lanes;
        self.parked.retain(|endpoint| {
            let Some(lane) = lanes.get_mut(&endpoint) else { return false };
            let is_all_taken = counts.get(&endpoint).is_none_or(|&count| count < room.per_endpoint)
                && !except.contains(&endpoint)
                && lane.parked().is_none_or(|since| since <= room.written)
                && lane.left_in_store <= room.fanned_out;
            if is_all_taken {
                lane.unpark();
            }
            !is_all_taken
        });
    }

    /// Whether there is room since the last call for what the last claim left out.
    pub(crate) fn take_new_room(&mut self) -> bool {
        std::mem::take(&mut self.has_new_room)
    }

    /// What shall be written, in order.
    pub(crate) fn take_endings(&mut self) -> Vec<Ending> {
        self.endings.take()
    }

    /// All claims that are held.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.lanes.values().flat_map(Lane::held).collect()
    }

    /// Gives back all that waits, due at once.
    pub(crate) fn give_back_all(&mut self, now: Timestamp) {
        let endpoints: Vec<_> = self.lanes.keys().copied().collect();
        for endpoint in endpoints {
            self.change(endpoint, |lane, endings| lane.give_back_all(now, "stopped", endings));
        }
    }

    /// Forgets lanes that had nothing to do for a while.
    pub(crate) fn sweep(&mut self, now: Timestamp, after: Duration) {
        self.lanes.retain(|_, lane| lane.in_turn || !lane.is_idle(now, after));
    }

    /// How much all lanes hold.
    pub(crate) const fn load(&self) -> Load {
        self.load
    }

    /// Whether the queues together hold what they may.
    const fn is_full(&self) -> bool {
        self.load.waiting >= self.settings.queued || self.load.bytes >= self.settings.queued_bytes
    }

    /// What one lane may hold at the moment.
    fn capacity(&self) -> usize {
        if self.is_full() { HANDFUL.min(self.settings.lane_queue) } else { self.settings.lane_queue }
    }

    /// How much room a lane must have to be given more from the store.
    fn refill(&self) -> usize {
        (self.capacity() / REFILL_PART).max(1)
    }

    fn line_up(&mut self, endpoint: EndpointId) {
        if let Some(lane) = self.lanes.get_mut(&endpoint)
            && !lane.in_turn
        {
            lane.in_turn = true;
            self.turns.push_back(endpoint);
        }
    }

    /// The only way a lane changes: keeps the sums right, and the lane in the row.
    fn change<R>(&mut self, endpoint: EndpointId, change: impl FnOnce(&mut Lane, &mut Endings) -> R) -> Option<R> {
        let lane = self.lanes.get_mut(&endpoint)?;
        let before = lane.load();
        let result = change(lane, &mut self.endings);
        let after = lane.load();
        let account = lane.account();
        if let Some(waits) = lane.waits() {
            self.parked.set(endpoint, waits);
        }

        let share = self.accounts.entry(account).or_default();
        share.in_flight = share.in_flight + after.in_flight - before.in_flight;
        share.busy_lanes = share.busy_lanes + usize::from(after.is_busy()) - usize::from(before.is_busy());
        if share.busy_lanes == 0 {
            self.accounts.remove(&account);
        }
        self.load.in_flight = self.load.in_flight + after.in_flight - before.in_flight;
        self.load.waiting = self.load.waiting + after.waiting - before.waiting;
        self.load.bytes = self.load.bytes + after.bytes - before.bytes;

        if after.waiting > 0 {
            self.line_up(endpoint);
        }
        self.note_room(endpoint);
        Some(result)
    }

    fn note_room(&mut self, endpoint: EndpointId) {
        let is_half_empty =
            self.load.waiting < self.settings.queued / 2 && self.load.bytes < self.settings.queued_bytes / 2;
        if self.is_crowded && is_half_empty {
            self.is_crowded = false;
            self.has_new_room = true;
        }
        if self.left_out.is_empty() || !self.left_out.contains(&endpoint) {
            return;
        }
        let (capacity, refill) = (self.capacity(), self.refill());
        if self.lanes.get(&endpoint).is_some_and(|lane| has_room(lane, capacity, refill)) {
            self.left_out.remove(&endpoint);
            self.has_new_room = true;
        }
    }
}

/// Whether a lane can be given more from the store. While a probe is out it is not: what the probe learns decides.
fn has_room(lane: &Lane, capacity: usize, refill: usize) -> bool {
    !lane.is_probing() && lane.load().waiting + refill <= capacity && lane.has_room(capacity)
}

mod survey;
#[cfg(test)]
mod tests;
