//! Two processes on one SQLite file, in any order of their transactions: the state table is never broken, nothing is lost
//! or settled twice, and the numbers of an endpoint have no gaps.
//!
//! A trigger in the file itself notes each change of a state, so that one which should not be is seen even where nobody
//! looked. Transactions of two processes are serial in SQLite; their orders are drawn by proptest, which shrinks the one
//! that fails. What only shows when they run at the same time is in the last test.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use reelhook_domain::delivery::{Delivery, DeliveryState, Signal, step};
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::id::{DeliveryId, EndpointId, EventId};
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_store::{ClaimedDelivery, DeliveryFilter, EndpointChange, FanOut, NewDelivery, Page, Start};
use rusqlite::{Connection, Row};

use crate::world::{LEASE, World, sqlite_at};

const ENDPOINTS: usize = 2;
const EVERYTHING: Page = Page { before: None, limit: 100_000 };

/// What one of the processes does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    Publish(usize),
    /// Looks at the outbox; what it saw is fanned out later, perhaps after the other process did.
    Look,
    FanOut,
    Claim(u32),
    Settle(End),
    Renew,
    /// Forgets what it holds, as one does that was killed.
    Die,
    Switch(usize, EndpointState),
    Cancel(usize),
    Resend(usize),
    /// Time passes for both.
    Pass(u64),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Delivered,
    Retry,
    Exhausted,
    Gone,
    /// Given back without an attempt.
    Back,
}

fn act() -> impl Strategy<Value = Act> {
    let end = prop_oneof![
        4 => Just(End::Delivered),
        3 => Just(End::Retry),
        1 => Just(End::Exhausted),
        1 => Just(End::Gone),
        1 => Just(End::Back)
    ];
    let switch = prop_oneof![2 => Just(EndpointState::Enabled), 1 => Just(EndpointState::Disabled)];
    prop_oneof![
        3 => (1..4usize).prop_map(Act::Publish),
        3 => Just(Act::Look),
        4 => Just(Act::FanOut),
        4 => (1..5u32).prop_map(Act::Claim),
        8 => end.prop_map(Act::Settle),
        2 => Just(Act::Renew),
        1 => Just(Act::Die),
        2 => (0..ENDPOINTS, switch).prop_map(|(endpoint, state)| Act::Switch(endpoint, state)),
        1 => (0..20usize).prop_map(Act::Cancel),
        1 => (0..20usize).prop_map(Act::Resend),
        3 => (1..90u64).prop_map(Act::Pass),
    ]
}

/// One of the processes: what it saw and what it holds.
struct Process {
    world: World,
    seen: Option<FanOut>,
    held: VecDeque<ClaimedDelivery>,
}

/// Both, and what must stay true.
struct Pair {
    processes: [Process; 2],
    endpoints: Vec<EndpointId>,
    events: Vec<EventId>,
    /// Claims under which something was settled.
    settled: HashSet<(DeliveryId, i64)>,
    /// The newest token seen of each delivery.
    tokens: HashMap<DeliveryId, i64>,
}

const WATCH: &str = "
    create table changes (was text, became text, token integer, newer integer);
    create trigger watch after update of state, token on deliveries
        when old.state <> new.state or old.token <> new.token
        begin insert into changes values (old.state, new.state, old.token, new.token); end;";

impl Pair {
    async fn start(path: &Path) -> Self {
        let (one, _) = sqlite_at(path).await;
        let two = one.second(path).await;
        let mut endpoints = Vec::new();
        for _ in 0..ENDPOINTS {
            endpoints.push(one.registered().await.id);
        }
        Connection::open(path).unwrap().execute_batch(WATCH).unwrap();
        let process = |world| Process { world, seen: None, held: VecDeque::new() };
        Self {
            processes: [process(one), process(two)],
            endpoints,
            events: Vec::new(),
            settled: HashSet::new(),
            tokens: HashMap::new(),
        }
    }

    async fn act(&mut self, who: usize, act: Act) -> Result<(), TestCaseError> {
        let process = &mut self.processes[who];
        let world = &process.world;
        match act {
            Act::Publish(count) => {
                let events: Vec<_> = (0..count).map(|_| world.event()).collect();
                self.events.extend(events.iter().map(|event| event.id));
                world.store.publish(events).await.unwrap();
            }
            Act::Look => process.seen = Some(look(world, &self.endpoints).await),
            Act::FanOut => {
                if let Some(batch) = process.seen.take() {
                    let claimed = world.store.fan_out(batch, LEASE).await.unwrap();
                    self.hold(who, claimed)?;
                }
            }
            Act::Claim(limit) => {
                let claimed = world.store.claim_due(limit, limit, &[], LEASE).await.unwrap();
                self.hold(who, claimed)?;
            }
            Act::Settle(end) => self.settle(who, end).await?,
            Act::Renew => {
                let held: Vec<_> = process.held.iter().map(|held| (held.delivery.id, held.token)).collect();
                let lost = world.store.renew_deliveries(&held, LEASE).await.unwrap();
                process.held.retain(|held| !lost.contains(&held.delivery.id));
            }
            Act::Die => process.held.clear(),
            Act::Switch(endpoint, state) => self.switch(who, endpoint, state).await,
            Act::Cancel(which) => {
                if let Some(delivery) = self.deliveries().await.get(which) {
                    let is_allowed = step(delivery.state, Signal::Cancel).is_ok();
                    let done = self.processes[who].world.store.cancel_delivery(delivery.account, delivery.id).await;
                    prop_assert_eq!(done.is_ok(), is_allowed, "{:?}", delivery);
                }
            }
            Act::Resend(which) => {
                if let Some(delivery) = self.deliveries().await.get(which) {
                    let is_allowed = step(delivery.state, Signal::Resend { due: self.now() }).is_ok();
                    let done = self.processes[who].world.store.resend(delivery.account, delivery.id).await;
                    prop_assert_eq!(done.is_ok(), is_allowed, "{:?}", delivery);
                }
            }
            Act::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.processes[0].world.now()
    }

    fn hold(&mut self, who: usize, claimed: Vec<ClaimedDelivery>) -> Result<(), TestCaseError> {
        for claimed in claimed {
            let newest = self.tokens.entry(claimed.delivery.id).or_default();
            prop_assert!(claimed.token > *newest, "a claim is newer than those before it");
            *newest = claimed.token;
            self.processes[who].held.push_back(claimed);
        }
        Ok(())
    }

    async fn settle(&mut self, who: usize, end: End) -> Result<(), TestCaseError> {
        let process = &mut self.processes[who];
        let Some(held) = process.held.pop_front() else { return Ok(()) };
        let world = &process.world;
        let verdict = match end {
            End::Delivered => Verdict::Delivered,
            End::Retry | End::Back => world.retry_in(20),
            End::Exhausted => Verdict::Exhausted,
            End::Gone => Verdict::Gone,
        };
        let mut settlement = world.settlement(&held, verdict);
        if matches!(end, End::Back) {
            settlement.attempt = None;
        }
        let is_lost = !world.store.settle(vec![settlement]).await.unwrap().is_empty();
        let is_newest = self.tokens.get(&held.delivery.id) == Some(&held.token);
        prop_assert!(is_lost || is_newest, "an old claim settles nothing");
        prop_assert!(is_lost || self.settled.insert((held.delivery.id, held.token)), "one claim settles once");
        // Read by the other process.
        let state = self.processes[1 - who].world.state_of(&held).await;
        match end {
            End::Delivered if !is_lost => prop_assert_eq!(state, "delivered"),
            End::Exhausted if !is_lost => prop_assert_eq!(state, "exhausted"),
            End::Gone if !is_lost => prop_assert_eq!(state, "held"),
            _ => {}
        }
        Ok(())
    }

    async fn switch(&self, who: usize, endpoint: usize, state: EndpointState) {
        let reason = (state == EndpointState::Disabled).then(|| "by_hand".to_owned());
        let change = EndpointChange { state: Some((state, reason)), ..EndpointChange::default() };
        let world = &self.processes[who].world;
        world.store.change_endpoint(world.account, self.endpoints[endpoint], change).await.unwrap();
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let world = &self.processes[0].world;
        world.store.list_deliveries(world.account, &DeliveryFilter::default(), EVERYTHING).await.unwrap()
    }

    /// Both processes are well again: whatever there is comes to its end, and all of it was there.
    async fn finish(&mut self, path: &Path) -> Result<(), TestCaseError> {
        for endpoint in 0..ENDPOINTS {
            self.switch(0, endpoint, EndpointState::Enabled).await;
        }
        self.act(0, Act::Look).await?;
        self.act(0, Act::FanOut).await?;
        self.act(0, Act::Pass(24 * 3600)).await?;
        for who in (0..2).cycle() {
            self.processes[who].held.clear();
            self.act(who, Act::Claim(50)).await?;
            if self.processes[who].held.is_empty() {
                break;
            }
            while !self.processes[who].held.is_empty() {
                self.act(who, Act::Settle(End::Delivered)).await?;
            }
        }
        let all = self.deliveries().await;
        let is_ended = |delivery: &&Delivery| {
            matches!(delivery.state, DeliveryState::Delivered | DeliveryState::Exhausted | DeliveryState::Canceled)
        };
        let open: Vec<_> = all.iter().filter(|delivery| !is_ended(delivery)).collect();
        prop_assert!(open.is_empty(), "{:?}", open);
        for endpoint in &self.endpoints {
            let mine: Vec<_> = all.iter().filter(|delivery| delivery.endpoint == *endpoint).collect();
            let numbers: BTreeSet<_> = mine.iter().map(|delivery| delivery.sequence).collect();
            prop_assert_eq!(numbers, (1..=mine.len() as i64).collect::<BTreeSet<_>>());
            // Those that tell of the endpoint itself are made by the store.
            let told: HashSet<_> = mine.iter().map(|delivery| delivery.event).collect();
            let lost: Vec<_> = self.events.iter().filter(|event| !told.contains(event)).collect();
            prop_assert!(lost.is_empty(), "{:?}", lost);
            prop_assert_eq!(told.len(), mine.len(), "an event came to an endpoint twice");
        }
        check_changes(path).await
    }
}

/// What the trigger saw: states followed each other as the table of states has it, and tokens only grew.
async fn check_changes(path: &Path) -> Result<(), TestCaseError> {
    let now = Timestamp::from_millis(0);
    let signals = [
        Signal::Claim { until: now },
        Signal::Settle(Verdict::Delivered),
        Signal::Settle(Verdict::Retry { at: now, reason: "backoff" }),
        Signal::Settle(Verdict::Exhausted),
        Signal::Settle(Verdict::Gone),
        Signal::Release { due: now },
        Signal::Hold,
        Signal::Offer { due: now },
        Signal::Resend { due: now },
        Signal::Cancel,
    ];
    let states = [
        DeliveryState::Scheduled { due: now },
        DeliveryState::Sending { until: now },
        DeliveryState::Delivered,
        DeliveryState::Exhausted,
        DeliveryState::Canceled,
        DeliveryState::Held,
    ];
    let mut legal = HashSet::new();
    for state in states {
        for became in signals.into_iter().filter_map(|signal| step(state, signal).ok()) {
            legal.insert((state.name(), became.name()));
            // What would wait for an endpoint that is disabled is held in the same transaction.
            legal.extend(step(became, Signal::Hold).ok().map(|held| (state.name(), held.name())));
        }
    }
    let connection = Connection::open(path).unwrap();
    let mut changes = connection.prepare("select was, became, token, newer from changes").unwrap();
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let rows: Vec<(String, String, i64, i64)> = changes.query_map([], read).unwrap().map(Result::unwrap).collect();
    prop_assert!(!rows.is_empty(), "the trigger watches");
    for (was, became, token, newer) in rows {
        prop_assert!(was == became || legal.contains(&(&*was, &*became)), "{} became {}", was, became);
        prop_assert!(newer >= token, "a token went back");
    }
    Ok(())
}

/// What the outbox has for these endpoints. Every other event is to be sent later.
async fn look(world: &World, endpoints: &[EndpointId]) -> FanOut {
    let outbox = world.store.outbox(100).await.unwrap();
    let up_to = outbox.events.last().map_or(outbox.after, |found| found.event.sequence);
    let mut deliveries = Vec::new();
    for found in &outbox.events {
        for &endpoint in endpoints {
            let later = Start::Due { at: world.now() + Duration::from_secs(10), reason: "first_wait" };
            let start = if found.event.sequence % 2 == 0 { later } else { Start::Claimed };
            deliveries.push(NewDelivery { start, ..world.new_delivery(&found.event, endpoint) });
        }
    }
    FanOut { after: outbox.after, up_to, deliveries }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_two_processes_breaks_the_state_table_or_loses_a_delivery(
        acts in prop::collection::vec((0..2usize, act()), 20..80)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("reelhook.db");
            let mut pair = Pair::start(&path).await;
            pair.act(0, Act::Publish(1)).await?;
            for (who, act) in acts {
                pair.act(who, act).await?;
            }
            pair.finish(&path).await
        })?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_no_gaps_when_two_processes_fan_out_at_once() {
    const ROUNDS: usize = 25;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reelhook.db");
    let (one, _) = sqlite_at(&path).await;
    let two = one.second(&path).await;
    let endpoint = one.registered().await.id;
    let worlds = [Arc::new(one), Arc::new(two)];
    let tasks = (0..4).map(|task| {
        let world = Arc::clone(&worlds[task % 2]);
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                world.store.publish(vec![world.event(), world.event()]).await.unwrap();
                let seen = look(&world, &[endpoint]).await;
                let claimed = world.store.fan_out(seen, LEASE).await.unwrap();
                let ends = claimed.iter().map(|claimed| world.settlement(claimed, Verdict::Delivered));
                assert!(world.store.settle(ends.collect()).await.unwrap().is_empty(), "each has one owner");
            }
        })
    });
    for ended in join_all(tasks).await {
        ended.unwrap();
    }
    // A batch that the other process was ahead of did nothing; what it was made of is there still.
    loop {
        let rest = look(&worlds[0], &[endpoint]).await;
        if rest.deliveries.is_empty() {
            break;
        }
        worlds[0].store.fan_out(rest, LEASE).await.unwrap();
    }
    let filter = DeliveryFilter { endpoint: Some(endpoint), ..DeliveryFilter::default() };
    let all = worlds[1].store.list_deliveries(worlds[1].account, &filter, EVERYTHING).await.unwrap();
    let numbers: Vec<_> = all.iter().rev().map(|delivery| delivery.sequence).collect();
    assert_eq!(numbers, (1..=4 * 2 * ROUNDS as i64).collect::<Vec<_>>());
}
