//! Events fanned out in the transaction that writes them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::event::{Data, envelope};
use reelhook_domain::id::EndpointId;
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_store::{
    Body, ClaimedDelivery, DeliveryFilter, HandOff, Idempotency, NewDelivery, NewEvent, Outbox, Page, Planned,
    Published, Span, Start, Topic,
};

use crate::conformance;
use crate::world::{LEASE, World};

/// Plans a delivery of each event to each of these endpoints, or leaves them to the outbox.
#[derive(Debug)]
struct Plans {
    endpoints: Vec<EndpointId>,
    is_willing: bool,
    ambient: Ambient,
    asked: Mutex<Vec<Outbox>>,
    claimed: Arc<Mutex<Vec<ClaimedDelivery>>>,
}

impl Plans {
    fn hand_off(world: &World, endpoints: &[EndpointId], is_willing: bool) -> Arc<Self> {
        let (asked, claimed) = (Mutex::default(), Arc::default());
        let ambient = world.ambient.clone();
        let plans = Arc::new(Self { endpoints: endpoints.to_vec(), is_willing, ambient, asked, claimed });
        let hand_off: Arc<dyn HandOff> = plans.clone();
        world.store.hand_off(&hand_off);
        plans
    }

    /// After which number each call began, and how many events it was of.
    fn asked(&self) -> Vec<(i64, usize)> {
        self.asked.lock().unwrap().iter().map(|outbox| (outbox.after, outbox.events.len())).collect()
    }

    fn claimed(&self) -> Vec<ClaimedDelivery> {
        self.claimed.lock().unwrap().clone()
    }
}

impl HandOff for Plans {
    fn plan(&self, outbox: Outbox) -> Option<Planned> {
        self.asked.lock().unwrap().push(outbox.clone());
        if !self.is_willing {
            return None;
        }
        let pairs = outbox.events.iter().flat_map(|event| self.endpoints.iter().map(move |endpoint| (event, endpoint)));
        let delivery = |(outgoing, endpoint): (&reelhook_store::OutboxEvent, &EndpointId)| NewDelivery {
            id: self.ambient.id(),
            account: outgoing.event.account,
            event: outgoing.event.id,
            event_type: outgoing.event.kind.as_str().to_owned(),
            job: outgoing.event.job,
            endpoint: *endpoint,
            dialect: Dialect::Native,
            body: Body::of(&outgoing.event, Dialect::Native, outgoing.event.envelope()),
            start: Start::Claimed,
        };
        let claimed = Arc::clone(&self.claimed);
        let then = Box::new(move |came: Vec<ClaimedDelivery>| claimed.lock().unwrap().extend(came));
        Some(Planned { deliveries: pairs.map(delivery).collect(), lease: LEASE, then })
    }
}

async fn kept(world: &World) -> usize {
    let all = Page { before: None, limit: 100 };
    world.store.list_deliveries(world.account, &DeliveryFilter::default(), all).await.unwrap().len()
}

/// What is due, in the order it was made in.
async fn claimed_in_order(world: &World) -> Vec<ClaimedDelivery> {
    let mut claimed = world.store.claim_due(10, 10, &[], LEASE).await.unwrap();
    claimed.sort_by_key(|work| work.delivery.sequence);
    claimed
}

conformance! {
    async fn what_is_planned_is_claimed_before_the_publisher_is_answered(world: &World) {
        let endpoints = [world.registered().await.id, world.registered().await.id];
        let plans = Plans::hand_off(world, &endpoints, true);
        let events = vec![world.event(), world.event(), world.event()];
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        world.store.publish(events).await.unwrap();
        world.store.publish(vec![world.event()]).await.unwrap();
        assert_eq!(plans.asked(), [(0, 3), (3, 1)]);

        let claimed = plans.claimed();
        assert_eq!(claimed.len(), 8);
        for (place, work) in claimed.iter().take(6).enumerate() {
            assert_eq!(work.delivery.event, ids[place / 2]);
            assert_eq!(work.delivery.sequence, place as i64 / 2 + 1);
            assert_eq!(work.delivery.state, DeliveryState::Sending { until: world.now() + LEASE });
            assert_eq!(*work.body, *envelope("invoice.paid", world.now(), place as i64 / 2 + 1, r#"{"invoice":7}"#));
        }
        assert!(world.store.outbox(10).await.unwrap().events.is_empty(), "nothing is left to be fanned out");
        assert_eq!(kept(world).await, 8);
        let held: Vec<_> = claimed.iter().map(|work| (work.delivery.id, work.token)).collect();
        assert!(world.store.renew_deliveries(&held, LEASE).await.unwrap().is_empty(), "the claims are real ones");
    }

    async fn an_envelope_is_the_same_whoever_puts_it_together(world: &World) {
        let endpoint = world.registered().await.id;
        let plans = Plans::hand_off(world, &[endpoint], true);
        let odd = Data::from_json("{ \"b\": [1.50, 1e2],\n\"a\": \"\\u00e9 ж \\\"\" }");
        world.store.publish(vec![world.event(), NewEvent { data: odd.clone(), ..world.event() }]).await.unwrap();
        let bodies: Vec<_> = plans.claimed().into_iter().map(|work| work.body).collect();
        assert!(bodies[1].contains(odd.as_str()));

        world.pass(LEASE + Duration::from_secs(1));
        let again = claimed_in_order(world).await;
        assert_eq!(again.iter().map(|work| work.body.clone()).collect::<Vec<_>>(), bodies);
        let pulled = world.store.pull(world.account, endpoint, 0, 10).await.unwrap();
        assert_eq!(pulled.into_iter().map(|(_, body)| body).collect::<Vec<_>>(), bodies);
        let id = again[1].delivery.id;
        assert_eq!(world.store.delivery(world.account, id).await.unwrap().body.as_ref(), Some(&bodies[1]));

        for work in &again {
            world.settle(work, Verdict::Exhausted).await;
        }
        world.store.resend(world.account, id).await.unwrap();
        let span = Span { since: Timestamp::from_millis(0), until: world.now() };
        assert_eq!(world.store.recover(world.account, endpoint, span, 10).await.unwrap(), 1);
        assert_eq!(claimed_in_order(world).await.into_iter().map(|work| work.body).collect::<Vec<_>>(), bodies);
    }

    async fn what_waits_in_the_outbox_goes_first(world: &World) {
        let endpoint = world.registered().await.id;
        world.store.publish(vec![world.event()]).await.unwrap();
        let plans = Plans::hand_off(world, &[endpoint], true);
        let mut wake = world.store.wakes().listen(Topic::Event);
        world.store.publish(vec![world.event()]).await.unwrap();
        assert!(plans.asked().is_empty());
        assert!(wake.wait().now_or_never().is_some(), "whoever reads the outbox is told");
        assert_eq!(world.store.outbox(10).await.unwrap().events.len(), 2);

        let batch = reelhook_store::FanOut { after: 0, up_to: 2, deliveries: Vec::new() };
        world.store.fan_out(batch, LEASE).await.unwrap();
        world.store.publish(vec![world.event()]).await.unwrap();
        assert_eq!(plans.asked(), [(2, 1)]);
        assert!(wake.wait().now_or_never().is_none(), "nobody is woken for nothing");
    }

    async fn what_nobody_plans_is_left_to_the_outbox(world: &World) {
        let endpoint = world.registered().await.id;
        let plans = Plans::hand_off(world, &[endpoint], false);
        world.store.publish(vec![world.event()]).await.unwrap();
        assert_eq!((plans.asked(), world.store.outbox(10).await.unwrap().events.len()), (vec![(0, 1)], 1));
        drop(plans);
        world.store.publish(vec![world.event()]).await.unwrap();
        assert_eq!(world.store.outbox(10).await.unwrap().events.len(), 2);
    }

    async fn a_publication_that_fails_leaves_nothing_of_its_plan(world: &World) {
        let endpoint = world.registered().await.id;
        let plans = Plans::hand_off(world, &[endpoint], true);
        let event = world.event();
        world.store.publish(vec![event.clone()]).await.unwrap();
        world.store.publish(vec![world.event(), event]).await.unwrap_err();
        assert_eq!((plans.claimed().len(), kept(world).await), (1, 1), "one id is not published twice");
        world.store.publish(vec![world.event()]).await.unwrap();
        assert_eq!((plans.asked(), plans.claimed().len(), kept(world).await), (vec![(0, 1), (1, 1)], 2, 2));
    }

    async fn a_repeated_publication_is_planned_once(world: &World) {
        let endpoint = world.registered().await.id;
        let plans = Plans::hand_off(world, &[endpoint], true);
        let once = || Idempotency { key: "k".to_owned(), fingerprint: [1; 32] };
        let publish = async || world.store.publish_once(world.account, vec![world.event()], once()).await.unwrap();
        assert!(matches!(publish().await, Published::New(_)));
        assert!(matches!(publish().await, Published::Repeated(_)));
        assert_eq!((plans.asked(), plans.claimed().len()), (vec![(0, 1)], 1));
    }

    async fn what_happens_to_a_job_is_planned_in_the_commit_that_changes_it(world: &World) {
        let endpoint = world.registered().await.id;
        let plans = Plans::hand_off(world, &[endpoint], true);
        let mut wake = world.store.wakes().listen(Topic::Event);
        let job = world.processing(1).await.job;
        let told: Vec<_> = plans.claimed().into_iter().map(|work| (work.delivery.job, work.delivery.event_type)).collect();
        let kinds = ["job.created", "job.started"].map(|kind| (Some(job.id), kind.to_owned()));
        assert_eq!(told, kinds);
        assert!(wake.wait().now_or_never().is_none(), "nothing is left to be fanned out");

        let asked = plans.asked.lock().unwrap().clone();
        let read = asked.iter().flat_map(|outbox| &outbox.events);
        for (planned, kept) in read.zip(world.store.job_events(world.account, job.id, 0).await.unwrap()) {
            assert_eq!((&planned.event, planned.dialect), (&kept, job.spec.dialect));
        }
    }
}
