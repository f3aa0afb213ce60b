//! Deliveries as the engine sees them: fanned out, claimed, settled.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::endpoint::Failing;
use reelhook_domain::retry::Verdict;
use reelhook_store::{ClaimedDelivery, FanOut, Settlement};

use crate::conformance;
use crate::world::{ALL, LEASE, World};

fn ids(claimed: &[ClaimedDelivery]) -> Vec<reelhook_domain::id::DeliveryId> {
    claimed.iter().map(|claimed| claimed.delivery.id).collect()
}

conformance! {
    async fn deliveries_come_back_claimed_in_the_order_given(world: &World) {
        let (first, second) = (world.registered().await, world.registered().await);
        let batch = world.batch(3, &[first.id, second.id]).await;
        let claimed = world.store.fan_out(batch.clone(), LEASE).await.unwrap();
        let wanted: Vec<_> = batch.deliveries.iter().map(|new| new.id).collect();
        assert_eq!(ids(&claimed), wanted);
        let sequences: Vec<_> = claimed.iter().map(|claimed| claimed.delivery.sequence).collect();
        assert_eq!(sequences, [1, 1, 2, 2, 3, 3]);
        for (new, claimed) in batch.deliveries.iter().zip(&claimed) {
            assert_eq!(claimed.delivery.state, DeliveryState::Sending { until: world.now() + LEASE });
            let record = world.store.delivery(world.account, new.id).await.unwrap();
            assert_eq!((&record.delivery, record.body.as_deref()), (&claimed.delivery, Some(&**new.body.text())));
            assert_eq!((record.delivery.event_type.as_str(), record.delivery.job), ("invoice.paid", None));
        }
    }

    async fn a_delivery_names_the_job_of_its_event(world: &World) {
        let endpoint = world.registered().await;
        let job = world.submit(world.job(1)).await;
        let event = world.store.outbox(1).await.unwrap().events.remove(0).event;
        let mut batch = world.batch(1, &[endpoint.id]).await;
        let new = &mut batch.deliveries[0];
        (new.event, new.event_type, new.job) = (event.id, event.kind.as_str().to_owned(), event.job);
        let claimed = world.store.fan_out(batch, LEASE).await.unwrap();
        assert_eq!((claimed[0].delivery.job, claimed[0].delivery.event_type.as_str()), (Some(job.id), "job.created"));
    }

    async fn a_batch_that_somebody_wrote_before_changes_nothing(world: &World) {
        let endpoint = world.registered().await;
        let batch = world.batch(2, &[endpoint.id]).await;
        assert_eq!(world.store.fan_out(batch.clone(), LEASE).await.unwrap().len(), 2);
        let again = FanOut {
            deliveries: batch.deliveries.iter().map(|new| reelhook_store::NewDelivery { id: world.id(), ..new.clone() }).collect(),
            ..batch
        };
        assert_eq!(world.store.fan_out(again, LEASE).await.unwrap().len(), 0);
        assert_eq!(world.store.list_deliveries(world.account, &Default::default(), ALL).await.unwrap().len(), 2);
        let third = world.sent(1, endpoint.id).await;
        assert_eq!(third[0].delivery.sequence, 3, "what was not written takes no number");
    }

    async fn sequences_have_no_gaps_however_many_fan_out(world: &World) {
        let endpoint = world.registered().await;
        world.store.publish((0..100).map(|_| world.event()).collect()).await.unwrap();
        // Ten at once, each of which reads a batch and writes it, until there is none.
        let fanning = (0..10).map(|_| async {
            loop {
                let outbox = world.store.outbox(7).await.unwrap();
                let Some(last) = outbox.events.last() else { break };
                let deliveries = outbox.events.iter().map(|event| world.new_delivery(&event.event, endpoint.id)).collect();
                let batch = FanOut { after: outbox.after, up_to: last.event.sequence, deliveries };
                world.store.fan_out(batch, LEASE).await.unwrap();
            }
        });
        join_all(fanning).await;
        let pulled = world.store.pull(world.account, endpoint.id, 0, 1000).await.unwrap();
        let sequences: Vec<_> = pulled.iter().map(|(delivery, _)| delivery.sequence).collect();
        assert_eq!(sequences, (1..=100).collect::<Vec<_>>());
    }

    async fn a_batch_that_knows_an_old_state_of_its_endpoint_loses_nothing(world: &World) {
        let endpoint = world.registered().await;
        let mut batch = world.batch(1, &[endpoint.id]).await;
        batch.deliveries[0].start = reelhook_store::Start::Held;
        assert!(world.store.fan_out(batch, LEASE).await.unwrap().is_empty());
        assert_eq!(world.store.claim_due(1, 1, &[], LEASE).await.unwrap().len(), 1, "the endpoint was enabled meanwhile");
    }

    async fn what_is_due_is_claimed_oldest_first(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(3, endpoint.id).await;
        for (claimed, seconds) in sent.iter().zip([20, 10, 30]) {
            world.settle(claimed, world.retry_in(seconds)).await;
        }
        assert_eq!(world.store.next_due(&[]).await.unwrap(), Some(world.now() + Duration::from_secs(10)));
        assert!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().is_empty());
        world.pass(Duration::from_secs(20));
        let claimed = world.store.claim_due(10, 10, &[], LEASE).await.unwrap();
        assert_eq!(ids(&claimed), [sent[1].delivery.id, sent[0].delivery.id]);
        assert_eq!(claimed[0].delivery.attempts, 1);
        assert_eq!(claimed[0].delivery.state, DeliveryState::Sending { until: world.now() + LEASE });
        assert_eq!(claimed[0].body, sent[1].body);
        assert!(claimed[0].token > sent[1].token);
        assert!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().is_empty(), "claimed once");
        assert_eq!(world.store.next_due(&[]).await.unwrap(), Some(world.now() + Duration::from_secs(10)));
    }

    async fn no_endpoint_gets_more_than_its_share(world: &World) {
        let (busy, calm, full) = (world.registered().await, world.registered().await, world.registered().await);
        for (endpoint, events) in [(&busy, 20), (&calm, 2), (&full, 2)] {
            for claimed in world.sent(events, endpoint.id).await {
                world.settle(&claimed, world.retry_in(1)).await;
            }
        }
        world.pass(Duration::from_secs(1));
        assert_eq!(world.store.next_due(&[busy.id, calm.id]).await.unwrap(), Some(world.now()));
        assert_eq!(world.store.next_due(&[busy.id, calm.id, full.id]).await.unwrap(), None);
        let claimed = world.store.claim_due(100, 3, &[full.id], LEASE).await.unwrap();
        let to = |id| claimed.iter().filter(|claimed| claimed.delivery.endpoint == id).count();
        assert_eq!((to(busy.id), to(calm.id), to(full.id)), (3, 2, 0));
        assert_eq!(world.store.claim_due(5, 100, &[], LEASE).await.unwrap().len(), 5);
    }

    async fn two_claimers_never_get_the_same_delivery(world: &World) {
        let endpoint = world.registered().await;
        for claimed in world.sent(50, endpoint.id).await {
            world.settle(&claimed, world.retry_in(0)).await;
        }
        let claims = join_all((0..20).map(|_| world.store.claim_due(3, 100, &[], LEASE))).await;
        let mut claimed: Vec<_> = claims.into_iter().flat_map(|claimed| ids(&claimed.unwrap())).collect();
        assert_eq!(claimed.len(), 50);
        claimed.sort();
        claimed.dedup();
        assert_eq!(claimed.len(), 50);
    }

    async fn a_lease_that_ran_out_is_claimed_by_another(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(2, endpoint.id).await;
        world.pass(LEASE - Duration::from_secs(1));
        let held = [(sent[0].delivery.id, sent[0].token), (world.id(), 1)];
        assert_eq!(world.store.renew_deliveries(&held, LEASE).await.unwrap(), [held[1].0]);
        world.pass(Duration::from_secs(1));
        let claimed = world.store.claim_due(10, 10, &[], LEASE).await.unwrap();
        assert_eq!(ids(&claimed), [sent[1].delivery.id], "the renewed one is still held");
        let renewed = world.store.renew_deliveries(&[(sent[1].delivery.id, sent[1].token)], LEASE).await.unwrap();
        assert_eq!(renewed, [sent[1].delivery.id]);
    }

    async fn a_wait_is_no_longer_than_its_own_when_the_clock_is_put_back(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(3, endpoint.id).await;
        let due = async |index: usize| {
            let record = world.store.delivery(world.account, sent[index].delivery.id).await.unwrap();
            let DeliveryState::Scheduled { due } = record.delivery.state else { panic!("{record:?}") };
            due
        };
        let (seconds, hour) = (Duration::from_secs, Duration::from_secs(3600));
        world.settle(&sent[0], world.retry_in(20)).await;
        world.pass(seconds(5));
        world.settle(&sent[1], world.retry_in(60)).await;
        assert!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().is_empty());
        assert_eq!((due(0).await, due(1).await), (world.now() + seconds(15), world.now() + seconds(60)));

        // This one was judged by the clock of before.
        let judged = world.settlement(&sent[2], world.retry_in(30));
        world.put_back(hour);
        assert!(world.store.settle(vec![judged]).await.unwrap().is_empty());
        assert_eq!(due(2).await, world.now() + seconds(30));
        assert!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().is_empty());
        assert_eq!((due(0).await, due(1).await), (world.now() + seconds(20), world.now() + seconds(60)));

        // A little, within a wait: what is left of it is no more than all of it.
        world.pass(seconds(10));
        assert!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().is_empty());
        world.put_back(seconds(5));
        assert!(world.store.claim_due(10, 10, &[], LEASE).await.unwrap().is_empty());
        assert_eq!((due(0).await, due(1).await), (world.now() + seconds(15), world.now() + seconds(55)));

        world.pass(seconds(15));
        assert_eq!(ids(&world.store.claim_due(10, 10, &[], LEASE).await.unwrap()), [sent[0].delivery.id]);
    }

    async fn what_was_offered_again_is_due_though_the_clock_was_put_back(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        world.pass(Duration::from_secs(3600));
        world.settle(&sent, Verdict::Exhausted).await;
        world.store.resend(world.account, sent.delivery.id).await.unwrap();
        // Later than it was made, and earlier than it was offered again.
        world.put_back(Duration::from_secs(600));
        assert_eq!(ids(&world.store.claim_due(10, 10, &[], LEASE).await.unwrap()), [sent.delivery.id]);
    }

    async fn voided_leases_are_due_at_once(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(2, endpoint.id).await;
        world.settle(&sent[0], Verdict::Delivered).await;
        assert_eq!(world.store.void_delivery_leases().await.unwrap(), 1);
        assert_eq!(ids(&world.store.claim_due(10, 10, &[], LEASE).await.unwrap()), [sent[1].delivery.id]);
        assert_eq!(world.store.settle(vec![world.settlement(&sent[1], Verdict::Delivered)]).await.unwrap().len(), 1);
    }

    async fn settling_writes_what_came_of_an_attempt(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(3, endpoint.id).await;
        world.pass(Duration::from_secs(1));
        let verdicts = [Verdict::Delivered, world.retry_in(5), Verdict::Exhausted];
        let settlements: Vec<_> = sent.iter().zip(verdicts).map(|(claimed, verdict)| world.settlement(claimed, verdict)).collect();
        assert!(world.store.settle(settlements.clone()).await.unwrap().is_empty());
        let due = DeliveryState::Scheduled { due: world.now() + Duration::from_secs(5) };
        let expected = [
            (DeliveryState::Delivered, None, Some(world.now())),
            (due, Some("backoff"), None),
            (DeliveryState::Exhausted, None, Some(world.now())),
        ];
        for (settlement, (state, reason, finished_at)) in settlements.iter().zip(expected) {
            let record = world.store.delivery(world.account, settlement.delivery).await.unwrap();
            let delivery = record.delivery;
            assert_eq!((delivery.state, delivery.waiting_reason.as_deref(), delivery.finished_at), (state, reason, finished_at));
            assert_eq!((delivery.attempts, &record.attempts), (1, &vec![settlement.attempt.clone().unwrap()]));
        }
    }

    async fn a_lost_claim_settles_nothing_but_its_attempt_is_kept(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        world.pass(LEASE);
        let successor = world.store.claim_due(1, 1, &[], LEASE).await.unwrap().remove(0);
        let late = world.settlement(&sent, Verdict::Delivered);
        let unknown = Settlement { delivery: world.id(), ..late.clone() };
        let lost = world.store.settle(vec![late.clone(), unknown.clone()]).await.unwrap();
        assert_eq!(lost, [sent.delivery.id, unknown.delivery]);
        let record = world.store.delivery(world.account, sent.delivery.id).await.unwrap();
        assert_eq!(record.delivery, successor.delivery);
        assert_eq!(record.attempts, [late.attempt.unwrap()]);
        world.settle(&successor, Verdict::Delivered).await;
        let record = world.store.delivery(world.account, sent.delivery.id).await.unwrap();
        assert_eq!((record.delivery.attempts, record.attempts.len()), (1, 2));
    }

    async fn of_an_old_claim_and_the_newest_in_one_batch_the_newest_counts(world: &World) {
        let endpoint = world.registered().await;
        let old = world.sent(1, endpoint.id).await.remove(0);
        world.store.void_delivery_leases().await.unwrap();
        let newest = world.store.claim_due(10, 10, &[], LEASE).await.unwrap().remove(0);
        let both = [&old, &newest].map(|claimed| world.settlement(claimed, Verdict::Delivered)).to_vec();
        assert_eq!(world.store.settle(both).await.unwrap(), [old.delivery.id]);
        assert_eq!(world.state_of(&newest).await, "delivered");
    }

    async fn one_claim_is_settled_once(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        let twice = vec![world.settlement(&sent, world.retry_in(5)), world.settlement(&sent, Verdict::Delivered)];
        assert_eq!(world.store.settle(twice).await.unwrap(), [sent.delivery.id]);
        assert_eq!(world.state_of(&sent).await, "scheduled");
    }

    async fn a_delivery_given_back_has_no_attempt(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        let back = Settlement { attempt: None, ..world.settlement(&sent, world.retry_in(7)) };
        assert!(world.store.settle(vec![back]).await.unwrap().is_empty());
        let record = world.store.delivery(world.account, sent.delivery.id).await.unwrap();
        assert_eq!((record.delivery.attempts, record.attempts.len()), (0, 0));
        assert_eq!(record.delivery.state, DeliveryState::Scheduled { due: world.now() + Duration::from_secs(7) });
    }

    async fn settling_notes_the_circuit_of_the_endpoint(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(2, endpoint.id).await;
        let failing = Some(Failing { since: world.now(), attempts: 2 });
        let settlements = [1, 2].map(|failures| Settlement {
            circuit: Circuit::Closed { failures },
            failing,
            ..world.settlement(&sent[failures as usize - 1], world.retry_in(5))
        });
        world.store.settle(settlements.to_vec()).await.unwrap();
        let kept = world.store.endpoint(world.account, endpoint.id).await.unwrap();
        assert_eq!((kept.circuit, kept.failing), (Circuit::Closed { failures: 2 }, failing));
        let claimed = world.store.claim_due(1, 1, &[], LEASE).await.unwrap();
        assert!(claimed.is_empty());
        world.pass(Duration::from_secs(5));
        let claimed = world.store.claim_due(1, 1, &[], LEASE).await.unwrap().remove(0);
        world.settle(&claimed, Verdict::Delivered).await;
        let kept = world.store.endpoint(world.account, endpoint.id).await.unwrap();
        assert_eq!((kept.circuit, kept.failing), (Circuit::default(), None));
    }

    async fn one_body_serves_all_deliveries_of_an_event(world: &World) {
        let (first, second) = (world.registered().await, world.registered().await);
        let batch = world.batch(1, &[first.id, second.id]).await;
        let body = Arc::clone(batch.deliveries[0].body.text());
        world.store.fan_out(batch, LEASE).await.unwrap();
        for endpoint in [first, second] {
            assert_eq!(world.store.pull(world.account, endpoint.id, 0, 10).await.unwrap()[0].1, body);
        }
    }
}
