//! Two engines, each over a store of its own, on one database file: what one process and another would be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use reelhook_delivery::Settings;
use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::id::EndpointId;
use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{Deliveries, DeliveryFilter, Events, NewEvent, Page};
use reelhook_testkit::{Receiver, Reply};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, World, open};

const ALL: Page = Page { before: None, limit: 10_000 };

/// What happens next to one of the processes.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// It accepts so many events.
    Publish(usize),
    /// It is killed, if it runs.
    Kill,
    /// It stops in order, if it runs.
    Stop,
    /// It starts, if it does not run.
    Start,
    /// Some webhooks come, as far as one is running.
    Work(u64),
    /// Receivers fail once.
    Fail,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..12usize).prop_map(Act::Publish),
        1 => Just(Act::Kill),
        1 => Just(Act::Stop),
        2 => Just(Act::Start),
        3 => (1..20u64).prop_map(Act::Work),
        2 => Just(Act::Fail),
    ]
}

struct Process {
    store: Arc<SqliteStore>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

struct Pair {
    world: World,
    processes: [Process; 2],
    receivers: Vec<Receiver>,
    endpoints: Vec<EndpointId>,
    published: BTreeSet<u64>,
    kills: usize,
}

impl Pair {
    async fn start() -> Self {
        let world = World::at_rest(Settings::default()).await;
        let second = open(&world.path(), &world.ambient).await;
        let process = |store| Process { store, running: None };
        let processes = [process(Arc::clone(&world.store)), process(second)];
        let (mut receivers, mut endpoints) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let receiver = Receiver::start().await;
            endpoints.push(world.endpoint(receiver.url("/")).await);
            receivers.push(receiver);
        }
        Self { world, processes, receivers, endpoints, published: BTreeSet::new(), kills: 0 }
    }

    async fn act(&mut self, who: usize, act: Act) {
        match act {
            Act::Publish(count) => self.publish(who, count).await,
            Act::Kill => {
                if let Some((_, engine)) = self.processes[who].running.take() {
                    engine.abort();
                    // It may have ended by itself just now; both are fine.
                    let _ = engine.await;
                    self.kills += 1;
                }
            }
            Act::Stop => {
                if let Some((stop, engine)) = self.processes[who].running.take() {
                    stop.cancel();
                    tokio::time::timeout(PATIENCE, engine).await.expect("the engine stops").unwrap();
                }
            }
            Act::Start => {
                if self.processes[who].running.is_none() {
                    let stop = CancellationToken::new();
                    let engine = self.world.engine_over(&self.processes[who].store);
                    self.processes[who].running = Some((stop.clone(), tokio::spawn(engine.run(stop))));
                }
            }
            // A moment, not a signal: where it cuts into the work is what is drawn.
            Act::Work(moment) => tokio::time::sleep(Duration::from_millis(moment)).await,
            Act::Fail => self.receivers.iter().for_each(|receiver| receiver.then(Reply::status(503))),
        }
    }

    async fn publish(&mut self, who: usize, count: usize) {
        let first = self.published.len() as u64;
        let numbers = first..first + count as u64;
        let event = |number| NewEvent {
            id: self.world.ambient.id(),
            account: self.world.account,
            kind: "thing.happened".parse().unwrap(),
            data: json!({"number": number}).into(),
            only: None,
        };
        self.processes[who].store.publish(numbers.clone().map(event).collect()).await.unwrap();
        self.published.extend(numbers);
    }

    /// Everything is well again and time passes: whatever there is comes to its end.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        // In order, so that time can pass without anything in flight.
        for who in 0..2 {
            self.act(who, Act::Stop).await;
        }
        // Leases of the killed end, and retries of what failed are due.
        self.world.advance(Duration::from_secs(25 * 3600));
        for who in 0..2 {
            self.act(who, Act::Start).await;
        }
        for &endpoint in &self.endpoints {
            // Of all events: what is not fanned out yet is in no list.
            let published = self.published.len();
            let is_done = |found: &[reelhook_domain::delivery::Delivery]| {
                found.len() == published && found.iter().all(|delivery| delivery.state == DeliveryState::Delivered)
            };
            // The clock stands, so what failed once more would wait; it is given its time. What is lost never comes, and
            // fails the checks below.
            for _ in 0..20 {
                let done = self.world.wait_until(endpoint, is_done);
                if tokio::time::timeout(Duration::from_secs(2), done).await.is_ok() {
                    break;
                }
                self.world.advance(Duration::from_secs(3600));
            }
        }
        for who in 0..2 {
            self.act(who, Act::Stop).await;
        }
        for (receiver, &endpoint) in self.receivers.iter().zip(&self.endpoints) {
            self.check(receiver, endpoint).await?;
        }
        Ok(())
    }

    async fn check(&self, receiver: &Receiver, endpoint: EndpointId) -> Result<(), TestCaseError> {
        let filter = DeliveryFilter { endpoint: Some(endpoint), ..DeliveryFilter::default() };
        let all = self.world.store.list_deliveries(self.world.account, &filter, ALL).await.unwrap();
        prop_assert!(all.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{:#?}", all);
        let sequences: BTreeSet<_> = all.iter().map(|delivery| delivery.sequence).collect();
        prop_assert_eq!(sequences, (1..=self.published.len() as i64).collect::<BTreeSet<_>>());

        let mut came: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for received in receiver.requests() {
            self.world.verify_as_of(&received, received.header("webhook-timestamp").parse().unwrap());
            came.entry(crate::world::number(&received)).or_default().push(received);
        }
        prop_assert_eq!(came.keys().copied().collect::<BTreeSet<_>>(), self.published.clone());
        let attempts: BTreeMap<_, _> =
            all.iter().map(|delivery| (delivery.id.to_string(), delivery.attempts)).collect();
        for copies in came.values() {
            let id = copies[0].header("reelhook-delivery");
            prop_assert!(
                copies.iter().all(|copy| copy.body == copies[0].body && copy.header("reelhook-delivery") == id)
            );
            let settled = attempts[id] as usize;
            prop_assert!(
                (settled..=settled + self.kills).contains(&copies.len()),
                "{} came {} times with {} attempts and {} kills",
                id,
                copies.len(),
                settled,
                self.kills
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn two_engines_on_one_database_lose_nothing_and_repeat_only_what_a_kill_cut(
        acts in prop::collection::vec((0..2usize, act()), 10..40)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::start().await;
            pair.act(0, Act::Start).await;
            pair.act(1, Act::Start).await;
            pair.act(0, Act::Publish(1)).await;
            for (who, act) in acts {
                pair.act(who, act).await;
            }
            pair.finish().await
        })?;
    }
}
