//! Forgetting: what was kept for its time, and what somebody wants erased.

use std::time::Duration;

use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::job::{OutputState, Signal};
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_store::{
    ClaimedDelivery, DeliveryFilter, EndpointChange, Erased, FanOut, Idempotency, Over, Published, StoreError,
};

use crate::conformance;
use crate::world::{ALL, LEASE, World, end, is_not_found};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Walks all deliveries, then all events, in steps of that size; gives how many were removed.
async fn forget(world: &World, over: Over, limit: u32) -> (u32, u32) {
    let (mut deliveries, mut events) = (0, 0);
    let mut from = None;
    loop {
        let step = world.store.forget_deliveries(over, from, limit).await.unwrap();
        deliveries += step.removed;
        from = step.next;
        if from.is_none() {
            break;
        }
    }
    let mut from = 0;
    loop {
        let step = world.store.forget_events(over, from, limit).await.unwrap();
        events += step.removed;
        let Some(next) = step.next else { return (deliveries, events) };
        from = next;
    }
}

fn over(before: Timestamp) -> Over {
    Over { account: None, before }
}

async fn is_there(world: &World, claimed: &ClaimedDelivery) -> bool {
    world.store.delivery(world.account, claimed.delivery.id).await.is_ok()
}

async fn has_event(world: &World, claimed: &ClaimedDelivery) -> bool {
    world.store.event(world.account, claimed.delivery.event).await.is_ok()
}

conformance! {
    async fn what_ended_is_forgotten_after_its_time_with_all_that_belongs_to_it(world: &World) {
        let endpoint = world.registered().await.id;
        let sent = world.sent(7, endpoint).await;
        world.settle(&sent[0], Verdict::Delivered).await;
        world.settle(&sent[1], Verdict::Exhausted).await;
        world.settle(&sent[2], world.retry_in(5)).await;
        world.store.cancel_delivery(world.account, sent[2].delivery.id).await.unwrap();
        world.settle(&sent[3], world.retry_in(5)).await;
        // 4 is being sent; 5 ends later; 6 is retried for long, then ends.
        world.pass(Duration::from_secs(1));
        let before = world.now();
        world.pass(Duration::from_secs(1));
        world.settle(&sent[5], Verdict::Delivered).await;

        assert_eq!(forget(world, over(before - Duration::from_secs(2)), 2).await, (0, 0));
        assert_eq!(forget(world, over(before), 2).await.0, 3);
        for (number, claimed) in sent.iter().enumerate() {
            let stays = number > 2;
            assert_eq!(is_there(world, claimed).await, stays, "{number}");
            assert_eq!(has_event(world, claimed).await, stays, "the event of {number}");
        }
        assert_eq!(forget(world, over(before), 2).await, (0, 0), "what is gone is not removed twice");
        // What stayed is whole, and the numbers go on.
        let pulled = world.store.pull(world.account, endpoint, 0, 10).await.unwrap();
        assert_eq!(pulled.iter().map(|(delivery, _)| delivery.sequence).collect::<Vec<_>>(), [4, 5, 6, 7]);
        assert_eq!(world.sent(1, endpoint).await[0].delivery.sequence, 8);
        assert!(is_not_found(&world.store.resend(world.account, sent[0].delivery.id).await));
        world.settle(&sent[4], Verdict::Delivered).await;
    }

    async fn an_event_stays_as_long_as_one_of_its_deliveries(world: &World) {
        let endpoints = [world.registered().await.id, world.registered().await.id];
        let batch = world.batch(1, &endpoints).await;
        let sent = world.store.fan_out(batch, LEASE).await.unwrap();
        world.settle(&sent[0], Verdict::Delivered).await;
        world.settle(&sent[1], world.retry_in(5)).await;
        world.pass(DAY);
        assert_eq!(forget(world, over(world.now()), 10).await, (1, 0));
        assert!(has_event(world, &sent[1]).await);
        let due = world.store.claim_due(10, 10, &[], LEASE).await.unwrap();
        assert_eq!(due[0].body, sent[1].body, "what is still to be sent can be");
        world.settle(&due[0], Verdict::Delivered).await;
        forget(world, over(world.now()), 10).await;
        assert!(!has_event(world, &sent[1]).await);
    }

    async fn what_is_held_is_forgotten_when_nobody_asked_for_it_so_long(world: &World) {
        let endpoint = world.registered().await.id;
        let off = EndpointChange { state: Some((EndpointState::Disabled, None)), ..EndpointChange::default() };
        world.store.change_endpoint(world.account, endpoint, off).await.unwrap();
        assert!(world.sent(2, endpoint).await.is_empty());
        let made = world.now();
        world.pass(DAY);
        assert!(world.sent(1, endpoint).await.is_empty());
        assert_eq!(forget(world, over(made - Duration::from_millis(1)), 10).await.0, 0);
        assert_eq!(forget(world, over(made), 10).await.0, 2);
        let pulled = world.store.pull(world.account, endpoint, 0, 10).await.unwrap();
        assert_eq!(pulled.iter().map(|(delivery, _)| delivery.sequence).collect::<Vec<_>>(), [3]);
    }

    async fn an_event_that_nobody_wants_is_forgotten_but_never_before_it_was_fanned_out(world: &World) {
        let (wanted, unwanted) = (world.event(), world.event());
        world.store.publish(vec![unwanted.clone()]).await.unwrap();
        world.store.fan_out(FanOut { after: 0, up_to: 1, deliveries: Vec::new() }, LEASE).await.unwrap();
        world.store.publish(vec![wanted.clone()]).await.unwrap();
        world.pass(DAY);
        assert_eq!(forget(world, over(world.now()), 1).await, (0, 1));
        assert!(is_not_found(&world.store.event(world.account, unwanted.id).await));
        assert_eq!(world.store.outbox(10).await.unwrap().events[0].event.id, wanted.id);
        assert_eq!(world.store.last_sequence().await.unwrap(), 2, "a number is never used twice");
    }

    async fn an_account_may_want_less(world: &World) {
        assert_eq!(world.store.retention(world.account).await.unwrap(), None);
        world.store.set_retention(world.account, Some(DAY)).await.unwrap();
        assert_eq!(world.store.retention(world.account).await.unwrap(), Some(DAY));
        assert_eq!(world.store.retentions().await.unwrap(), [(world.account, DAY)]);
        assert!(is_not_found(&world.store.set_retention(world.id(), Some(DAY)).await));
        let endpoint = world.registered().await.id;
        let sent = world.sent(3, endpoint).await;
        world.settle(&sent[0], Verdict::Delivered).await;
        world.pass(DAY);
        let theirs = Over { account: Some(world.id()), before: world.now() };
        assert_eq!(forget(world, theirs, 1).await, (0, 0));
        let ours = Over { account: Some(world.account), before: world.now() };
        assert_eq!(forget(world, ours, 1).await.0, 1);
        assert!(!has_event(world, &sent[0]).await);
        world.store.set_retention(world.account, None).await.unwrap();
        assert!(world.store.retentions().await.unwrap().is_empty());
    }

    async fn idempotency_keys_are_forgotten_after_a_day(world: &World) {
        for number in 0..3 {
            let idempotency = Idempotency { key: format!("k{number}"), fingerprint: [0; 32] };
            world.store.publish_once(world.account, vec![world.event()], idempotency).await.unwrap();
        }
        assert_eq!(world.store.forget_idempotency_keys(10).await.unwrap(), 0);
        world.pass(DAY);
        let fresh = Idempotency { key: "fresh".to_owned(), fingerprint: [0; 32] };
        world.store.publish_once(world.account, vec![world.event()], fresh.clone()).await.unwrap();
        assert_eq!(world.store.forget_idempotency_keys(2).await.unwrap(), 2);
        assert_eq!(world.store.forget_idempotency_keys(2).await.unwrap(), 1);
        let again = world.store.publish_once(world.account, vec![world.event()], fresh).await.unwrap();
        assert!(matches!(again, Published::Repeated(_)));
    }

    async fn an_erased_job_leaves_nothing_behind(world: &World) {
        let endpoint = world.registered().await.id;
        let claimed = world.processing(1).await;
        let other = world.submit(world.job(1)).await;
        assert!(matches!(
            world.store.erase_job(world.account, claimed.job.id, 10).await,
            Err(StoreError::IllegalJobStep(_))
        ));
        let job = world.store.finish_job(claimed.lease, end(&claimed.job, Signal::Complete, &[OutputState::Completed])).await.unwrap();
        // Whoever fans events out has read them by now, and would write what was erased meanwhile.
        assert_eq!(world.store.erase_job(world.account, job.id, 10).await.unwrap(), Erased::Waits);
        let outbox = world.store.outbox(100).await.unwrap();
        let of_job = outbox.events.iter().filter(|outgoing| outgoing.event.job == Some(job.id)).count();
        assert_eq!(of_job, 3);
        let deliveries = outbox.events.iter().map(|outgoing| world.new_delivery(&outgoing.event, endpoint)).collect();
        let up_to = world.store.last_sequence().await.unwrap();
        let sent = world.store.fan_out(FanOut { after: outbox.after, up_to, deliveries }, LEASE).await.unwrap();

        assert!(is_not_found(&world.store.erase_job(world.id(), job.id, 1).await));
        let mut steps = 0;
        let uploads = loop {
            match world.store.erase_job(world.account, job.id, 1).await.unwrap() {
                Erased::More => steps += 1,
                Erased::Waits => panic!("all is fanned out"),
                Erased::Told { uploads } => break uploads,
            }
        };
        assert_eq!((steps, uploads.len()), (3 + 3, 0));
        assert_eq!(world.store.job_events(world.account, job.id, 0).await.unwrap(), []);
        world.store.remove_job(world.account, job.id).await.unwrap();
        assert!(is_not_found(&world.store.job(world.account, job.id).await));
        assert!(is_not_found(&world.store.remove_job(world.account, job.id).await));
        // A settlement of what was on its way changes nothing.
        let gone: Vec<_> = sent.iter().filter(|claimed| claimed.delivery.job == Some(job.id)).collect();
        let settled = vec![world.settlement(gone[0], Verdict::Delivered)];
        assert_eq!(world.store.settle(settled).await.unwrap(), [gone[0].delivery.id]);
        assert!(world.store.outbox(10).await.unwrap().events.is_empty());
        // The other job's are all there.
        let filter = DeliveryFilter { job: Some(other.id), ..DeliveryFilter::default() };
        assert_eq!(world.store.list_deliveries(world.account, &filter, ALL).await.unwrap().len(), 1);
        assert_eq!(world.kinds_of(&other).await, ["job.created"]);
    }
}
