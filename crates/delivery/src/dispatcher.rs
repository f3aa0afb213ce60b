//! The one task that owns the lanes and the requests that are out.
//!
//! # Theory of operation
//! Everything that changes a lane happens here, one thing after another, so the lanes need no lock and their rules can be
//! read (and tested) without a runtime. The task lets go what may be sent, passes on what ended, and waits for whatever
//! comes first: work, the end of a request, a lane's time, the half of the lease.
//!
//! # The bad day
//! * The store does not write: endings pile up here, and while they do, nothing is sent and no work is taken.
//! * A request's task panics: its delivery is given back, and the panic is reported.
//! * A lease could not be renewed in time: its delivery is dropped if it waits, and settled under its old token if it was
//!   sent; the store decides.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::delivery::Wait;
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::id::{DeliveryId, EndpointId};
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_store::{ClaimedDelivery, Store};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::lane::{Held, Origin};
use crate::lanes::{Arrival, Lanes, Room};
use crate::parked::Parked;
use crate::send::{Sender, Tried};
use crate::settings::Settings;
use crate::settle::Ending;

/// Most leases renewed in one transaction.
const RENEWAL_BATCH: usize = 500;
/// How often the lanes are looked over for the meter.
const SURVEY: Duration = Duration::from_secs(1);
/// How long a delivery rests whose request brought our own code down.
const PANIC_REST: Duration = Duration::from_secs(60);

/// What the dispatcher is told and asked.
#[derive(Debug)]
pub(crate) enum Message {
    /// New deliveries, claimed by the fan-out.
    FannedOut {
        /// How many endings were written before.
        written: u64,
        /// What came.
        arrivals: Vec<Arrival>,
        /// Endpoints some of whose deliveries were left in the store.
        left: Vec<Arc<Endpoint>>,
    },
    /// Deliveries from the store, claimed for that room.
    Claimed {
        /// What was asked for.
        room: Room,
        /// What came.
        arrivals: Vec<Arrival>,
    },
    /// What may be claimed?
    Room(oneshot::Sender<Room>),
    /// What do these wait for?
    Waits {
        /// Which deliveries, and to where.
        asked: Vec<(EndpointId, DeliveryId)>,
        /// Whoever asks.
        answer: oneshot::Sender<HashMap<DeliveryId, Wait>>,
    },
}

/// What the dispatcher waited for.
enum Happened {
    Nothing,
    Message(Option<Message>),
    Sent(Result<(task::Id, Tried), JoinError>),
    Renewed(Result<Vec<Held>, JoinError>),
    Stop,
    PatienceEnded,
}

/// Owns the lanes and the requests that are out.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    store: Arc<dyn Store>,
    ambient: Ambient,
    settings: Settings,
    sender: Arc<Sender>,
    lanes: Lanes,
    /// Requests that are out; the work stays here, so that it is not lost with its task.
    sends: JoinSet<Tried>,
    out: HashMap<task::Id, Arc<ClaimedDelivery>>,
    endings: mpsc::Sender<Ending>,
    /// Endings for which the channel had no room.
    backlog: VecDeque<Ending>,
    renewals: JoinSet<Vec<Held>>,
    renew_at: Timestamp,
    surveyed_at: Timestamp,
    due: Arc<Notify>,
    written: Arc<AtomicU64>,
    is_stopping: bool,
}

impl Dispatcher {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        ambient: Ambient,
        settings: Settings,
        sender: Arc<Sender>,
        endings: mpsc::Sender<Ending>,
        due: Arc<Notify>,
        written: Arc<AtomicU64>,
    ) -> Self {
        Self {
            renew_at: ambient.now() + settings.lease / 2,
            surveyed_at: Timestamp::from_millis(0),
            lanes: Lanes::new(settings.clone()),
            store,
            ambient,
            settings,
            sender,
            sends: JoinSet::new(),
            out: HashMap::new(),
            endings,
            backlog: VecDeque::new(),
            renewals: JoinSet::new(),
            due,
            written,
            is_stopping: false,
        }
    }

    /// The lanes that give back what is fanned out to them.
    pub(crate) fn parked(&self) -> Parked {
        self.lanes.parked()
    }

    /// Runs until it is told to stop, nobody sends work any more, and all that was out has ended.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut is_closed = false;
        let mut patience = None;
        loop {
            let now = self.ambient.now();
            self.renew(now);
            self.let_go(now);
            self.measure(now);
            self.pass_on();
            let is_abandoned = self.endings.is_closed();
            if is_abandoned || (is_closed && self.sends.is_empty() && self.backlog.is_empty()) {
                // Nobody settles any more only when the settler failed; the engine stops then.
                return;
            }
            let nap = self.nap(now);
            // Each of these is cancel-safe; nothing is taken out before it is handled below.
            let happened = tokio::select! {
                room = self.endings.reserve(), if !self.backlog.is_empty() => {
                    if let (Ok(room), Some(ending)) = (room, self.backlog.pop_front()) {
                        room.send(ending);
                    }
                    Happened::Nothing
                }
                message = messages.recv(), if !is_closed && self.backlog.is_empty() => Happened::Message(message),
                Some(joined) = self.sends.join_next_with_id(), if !self.sends.is_empty() => Happened::Sent(joined),
                Some(lost) = self.renewals.join_next(), if !self.renewals.is_empty() => Happened::Renewed(lost),
                () = tokio::time::sleep(nap) => Happened::Nothing,
                () = stop.cancelled(), if !self.is_stopping => Happened::Stop,
                () = sleep_until(patience), if patience.is_some() => Happened::PatienceEnded,
            };
            match happened {
                Happened::Nothing => {}
                Happened::Message(Some(message)) => self.take(message),
                Happened::Message(None) => is_closed = true,
                Happened::Sent(joined) => {
                    self.joined(joined);
                    while let Some(joined) = self.sends.try_join_next_with_id() {
                        self.joined(joined);
                    }
                }
                Happened::Renewed(Ok(lost)) => self.lanes.forget(&lost),
                Happened::Renewed(Err(error)) => error!(%error, "renewing leases failed"),
                Happened::Stop => {
                    self.is_stopping = true;
                    patience = Some(Instant::now() + self.settings.stop_within);
                    self.lanes.give_back_all(self.ambient.now());
                }
                Happened::PatienceEnded => {
                    patience = None;
                    warn!(requests = self.sends.len(), "stopping without waiting for requests that are still out");
                    self.sends.abort_all();
                }
            }
        }
    }

    fn measure(&mut self, now: Timestamp) {
        let (meter, load) = (&self.sender.meter, self.lanes.load());
        meter.load(load.waiting, load.in_flight);
        // Also after a clock was put back.
        if now.since(self.surveyed_at) >= SURVEY || self.surveyed_at > now {
            self.surveyed_at = now;
            meter.survey(self.lanes.survey());
        }
    }

    /// Lets go what may be sent now.
    fn let_go(&mut self, now: Timestamp) {
        // While endings pile up, what is sent could not be noted.
        if self.is_stopping || !self.backlog.is_empty() {
            return;
        }
        while let Some(work) = self.lanes.next(now) {
            let work = Arc::new(work);
            let (sender, sent) = (Arc::clone(&self.sender), Arc::clone(&work));
            let task = self.sends.spawn(async move { sender.send(&sent).await });
            self.out.insert(task.id(), work);
        }
    }

    /// Passes endings on to be written, as far as there is room.
    fn pass_on(&mut self) {
        self.backlog.extend(self.lanes.take_endings());
        while let Some(ending) = self.backlog.pop_front() {
            match self.endings.try_send(ending) {
                Ok(()) => {}
                Err(TrySendError::Full(ending) | TrySendError::Closed(ending)) => {
                    self.backlog.push_front(ending);
                    break;
                }
            }
        }
        if self.lanes.take_new_room() {
            self.due.notify_one();
        }
    }

    fn take(&mut self, message: Message) {
        let now = self.ambient.now();
        match message {
            Message::FannedOut { written, arrivals, left } => {
                self.lanes.left_in_store(&left, now);
                for arrival in arrivals {
                    self.lanes.offer(arrival, Origin::FanOut, written, now);
                }
            }
            Message::Claimed { room, arrivals } => self.lanes.claimed(&room, arrivals, now),
            Message::Room(answer) => {
                let mut room = self.lanes.room(now, self.written.load(Ordering::Acquire));
                if self.is_stopping {
                    room.limit = 0;
                }
                // Whoever asked and left claims nothing.
                let _ = answer.send(room);
            }
            Message::Waits { asked, answer } => {
                // Whoever asked may have left.
                let _ = answer.send(self.lanes.waits(asked, now));
            }
        }
        if self.is_stopping {
            self.lanes.give_back_all(now);
        }
    }

    fn joined(&mut self, joined: Result<(task::Id, Tried), JoinError>) {
        let now = self.ambient.now();
        let (id, tried) = match joined {
            Ok((id, tried)) => (id, tried),
            Err(error) if error.is_cancelled() => {
                (error.id(), Tried::Not(Verdict::Retry { at: now, reason: "stopped" }))
            }
            Err(error) => {
                error!(%error, "a request's task failed; its delivery rests");
                (error.id(), Tried::Not(Verdict::Retry { at: now + PANIC_REST, reason: "internal_error" }))
            }
        };
        let Some(work) = self.out.remove(&id) else { return };
        match tried {
            Tried::Attempt { attempt, endpoint } => {
                self.sender.meter.attempted(&work, &attempt, now);
                self.lanes.ended(&work, &endpoint, *attempt, now, self.ambient.fraction());
            }
            Tried::Disabled => self.lanes.refused(&work, now),
            Tried::Not(verdict) => self.lanes.untried(&work, verdict, now),
        }
    }

    /// How long nothing happens by itself.
    fn nap(&self, now: Timestamp) -> Duration {
        let poll = self.settings.poll;
        let is_full = self.lanes.load().in_flight >= self.settings.in_flight;
        if is_full || self.is_stopping || !self.backlog.is_empty() {
            return poll;
        }
        let moment = Duration::from_millis(1).min(poll);
        self.lanes.next_at().map_or(poll, |at| at.since(now).clamp(moment, poll))
    }

    /// Prolongs all leases at the half of their time.
    fn renew(&mut self, now: Timestamp) {
        let half = self.settings.lease / 2;
        // A clock that was put back must not put the renewal off.
        let is_time = now >= self.renew_at || self.renew_at.since(now) > half;
        if !is_time || !self.renewals.is_empty() {
            return;
        }
        self.renew_at = now + half;
        self.lanes.sweep(now, self.settings.lane_idle);
        for held in self.lanes.held().chunks(RENEWAL_BATCH) {
            self.renewals.spawn(renew(Arc::clone(&self.store), held.to_vec(), self.settings.lease));
        }
    }
}

/// Renews these leases and answers those that are lost. A store that fails loses none: the next time decides.
async fn renew(store: Arc<dyn Store>, held: Vec<Held>, lease: Duration) -> Vec<Held> {
    let claims: Vec<_> = held.iter().map(|held| (held.delivery, held.token)).collect();
    match store.renew_deliveries(&claims, lease).await {
        Ok(lost) if lost.is_empty() => Vec::new(),
        Ok(lost) => {
            let lost: HashSet<_> = lost.into_iter().collect();
            held.into_iter().filter(|held| lost.contains(&held.delivery)).collect()
        }
        Err(error) => {
            error!(%error, leases = held.len(), "leases could not be renewed");
            Vec::new()
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
