//! What the settler does with a store that refuses, or fails.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::Delivery;
use reelhook_domain::id::{DeliveryId, EndpointId};
use reelhook_store::{ClaimedDelivery, DeliveryFilter, DeliveryRecord, FanOut, NewDelivery, Page, Span, Then};

use super::*;

type Result<T> = std::result::Result<T, StoreError>;

/// A store that writes nothing of a batch with one delivery in it, and fails so often before it writes anything.
#[derive(Debug, Default)]
struct Moody {
    refused: Option<DeliveryId>,
    failures: Mutex<VecDeque<StoreError>>,
    written: Mutex<Vec<Vec<DeliveryId>>>,
}

#[async_trait]
impl Deliveries for Moody {
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>> {
        if let Some(error) = self.failures.lock().unwrap().pop_front() {
            return Err(error);
        }
        let ids: Vec<_> = settlements.iter().map(|settlement| settlement.delivery).collect();
        if self.refused.is_some_and(|refused| ids.contains(&refused)) {
            return Err(StoreError::LeaseLost);
        }
        self.written.lock().unwrap().push(ids);
        Ok(Vec::new())
    }

    async fn fan_out_then(&self, _: FanOut, _: Duration, _: Then) -> Result<()> {
        unreachable!("the settler only settles")
    }

    async fn fan_out(&self, _: FanOut, _: Duration) -> Result<Vec<ClaimedDelivery>> {
        unreachable!("the settler only settles")
    }

    async fn claim_due(&self, _: u32, _: u32, _: &[EndpointId], _: Duration) -> Result<Vec<ClaimedDelivery>> {
        unreachable!("the settler only settles")
    }

    async fn next_due(&self, _: &[EndpointId]) -> Result<Option<Timestamp>> {
        unreachable!("the settler only settles")
    }

    async fn renew_deliveries(&self, _: &[(DeliveryId, i64)], _: Duration) -> Result<Vec<DeliveryId>> {
        unreachable!("the settler only settles")
    }

    async fn void_delivery_leases(&self) -> Result<u64> {
        unreachable!("the settler only settles")
    }

    async fn delivery(&self, _: AccountId, _: DeliveryId) -> Result<DeliveryRecord> {
        unreachable!("the settler only settles")
    }

    async fn list_deliveries(&self, _: AccountId, _: &DeliveryFilter, _: Page) -> Result<Vec<Delivery>> {
        unreachable!("the settler only settles")
    }

    async fn resend(&self, _: AccountId, _: DeliveryId) -> Result<Delivery> {
        unreachable!("the settler only settles")
    }

    async fn recover(&self, _: AccountId, _: EndpointId, _: Span, _: u32) -> Result<u32> {
        unreachable!("the settler only settles")
    }

    async fn replay(&self, _: NewDelivery) -> Result<Delivery> {
        unreachable!("the settler only settles")
    }

    async fn cancel_delivery(&self, _: AccountId, _: DeliveryId) -> Result<Delivery> {
        unreachable!("nothing is superseded here")
    }

    async fn pull(&self, _: AccountId, _: EndpointId, _: i64, _: u32) -> Result<Vec<(Delivery, Arc<str>)>> {
        unreachable!("the settler only settles")
    }

    async fn count_deliveries(&self) -> Result<Vec<(String, u64)>> {
        unreachable!("the settler only settles")
    }
}

fn id(number: u128) -> DeliveryId {
    DeliveryId::from_bits(number)
}

/// Settles deliveries 1 to 5 in one batch; gives what was written, transaction by transaction.
async fn settle_five(store: Moody, stop: CancellationToken) -> Vec<Vec<DeliveryId>> {
    let store = Arc::new(store);
    let (ambient, _) = reelhook_testkit::ambient();
    let written = Arc::new(AtomicU64::new(0));
    let settler = Settler {
        store: Arc::clone(&store),
        ambient,
        batch: 5,
        soon: Duration::from_secs(1),
        due: Arc::default(),
        written: Arc::clone(&written),
        meter: Arc::default(),
        stop,
    };
    let (ended, endings) = mpsc::channel(5);
    for number in 1..=5 {
        let settlement = Settlement {
            delivery: id(number),
            token: 1,
            attempt: None,
            verdict: Verdict::Delivered,
            endpoint: EndpointId::from_bits(1),
            circuit: Circuit::default(),
            failing: None,
            disable: None,
        };
        ended.send(Ending { settlement, superseded_for: None }).await.unwrap();
    }
    drop(ended);
    settler.run(endings).await;
    assert_eq!(written.load(Ordering::Acquire), 5, "lanes wait for nothing that was given up");
    Arc::into_inner(store).unwrap().written.into_inner().unwrap()
}

#[tokio::test]
async fn one_settlement_that_is_refused_is_dropped_and_the_others_of_its_batch_are_written() {
    let store = Moody { refused: Some(id(3)), ..Moody::default() };
    let written = settle_five(store, CancellationToken::new()).await;
    assert_eq!(written, [1, 2, 4, 5].map(|number| vec![id(number)]));
}

#[tokio::test]
async fn a_store_that_fails_is_asked_until_it_writes() {
    let failures = (0..2).map(|_| StoreError::Full).collect();
    let written =
        settle_five(Moody { failures: Mutex::new(failures), ..Moody::default() }, CancellationToken::new()).await;
    assert_eq!(written, [[1, 2, 3, 4, 5].map(id).to_vec()]);
}

#[tokio::test]
async fn an_engine_that_stops_asks_a_failing_store_three_times_more() {
    let stop = CancellationToken::new();
    stop.cancel();
    for (failures, transactions) in [(2, 1), (3, 0)] {
        let failures = (0..failures).map(|_| StoreError::Full).collect();
        let store = Moody { failures: Mutex::new(failures), ..Moody::default() };
        assert_eq!(settle_five(store, stop.clone()).await.len(), transactions);
    }
}
