//! Deliveries sent again by hand: in bulk, or one event to one endpoint.

use std::collections::BTreeSet;
use std::time::Duration;

use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::retry::Verdict;
use reelhook_store::{Body, EndpointChange, NewDelivery, Span, StoreError};

use crate::conformance;
use crate::world::{LEASE, World, is_not_found};

conformance! {
    async fn what_was_exhausted_since_a_time_is_offered_again_oldest_first_in_steps(world: &World) {
        let (endpoint, other) = (world.registered().await.id, world.registered().await.id);
        let early = world.sent(1, endpoint).await;
        world.pass(Duration::from_secs(10));
        let since = world.now();
        let late = world.sent(3, endpoint).await;
        let delivered = world.sent(1, endpoint).await;
        let elsewhere = world.sent(1, other).await;
        for claimed in early.iter().chain(&late).chain(&elsewhere) {
            world.settle(claimed, Verdict::Exhausted).await;
        }
        world.settle(&delivered[0], Verdict::Delivered).await;
        let span = Span { since, until: world.now() };
        assert_eq!(world.store.recover(world.account, endpoint, span, 2).await.unwrap(), 2);
        let due = world.store.claim_due(10, 10, &[], LEASE).await.unwrap();
        let numbers: BTreeSet<_> = due.iter().map(|claimed| claimed.delivery.sequence).collect();
        assert_eq!(numbers, [2, 3].into());
        assert_eq!((due[0].delivery.attempts, due[0].delivery.schedule_offset), (1, 1));
        assert_eq!(due[0].delivery.finished_at, None);

        // One that fails again meanwhile is not taken twice.
        world.pass(Duration::from_secs(1));
        world.settle(&due[0], Verdict::Exhausted).await;
        assert_eq!(world.store.recover(world.account, endpoint, span, 2).await.unwrap(), 1);
        assert_eq!(world.store.recover(world.account, endpoint, span, 2).await.unwrap(), 0);
        assert_eq!(world.state_of(&late[2]).await, "scheduled");
        for untouched in [&early[0], &elsewhere[0], &due[0]] {
            assert_eq!(world.state_of(untouched).await, "exhausted");
        }
        assert_eq!(world.state_of(&delivered[0]).await, "delivered");
        assert!(is_not_found(&world.store.recover(world.id(), endpoint, span, 2).await));
    }

    async fn what_is_recovered_for_a_disabled_endpoint_is_held(world: &World) {
        let endpoint = world.registered().await.id;
        let sent = world.sent(1, endpoint).await;
        world.settle(&sent[0], Verdict::Exhausted).await;
        let off = EndpointChange { state: Some((EndpointState::Disabled, None)), ..EndpointChange::default() };
        world.store.change_endpoint(world.account, endpoint, off).await.unwrap();
        let span = Span { since: world.now(), until: world.now() };
        assert_eq!(world.store.recover(world.account, endpoint, span, 10).await.unwrap(), 1);
        assert_eq!(world.state_of(&sent[0]).await, "held");
    }

    async fn an_event_is_replayed_to_an_endpoint_that_never_had_it(world: &World) {
        let (first, late) = (world.registered().await.id, world.registered().await.id);
        let sent = world.sent(2, first).await;
        let event = sent[0].delivery.event;
        assert_eq!(world.store.event(world.account, event).await.unwrap().id, event);
        assert!(is_not_found(&world.store.event(world.id(), event).await));
        let known = world.store.event(world.account, event).await.unwrap();
        let wanted = NewDelivery { body: Body::Own("rendered anew".into()), ..world.new_delivery(&known, late) };
        let made = world.store.replay(wanted.clone()).await.unwrap();
        assert_eq!((made.id, made.sequence, made.event_type.as_str()), (wanted.id, 1, "invoice.paid"));
        assert!(matches!(made.state, DeliveryState::Scheduled { .. }));
        let due = world.store.claim_due(10, 10, &[first], LEASE).await.unwrap();
        assert_eq!(&*due[0].body, "rendered anew", "what was rendered last is what an event has in that dialect");
        assert!(matches!(world.store.replay(wanted.clone()).await, Err(StoreError::IllegalDeliveryStep(_))));
        world.settle(&due[0], Verdict::Delivered).await;
        let again = world.store.replay(NewDelivery { id: world.id(), ..wanted.clone() }).await.unwrap();
        assert_eq!((again.id, again.sequence, again.schedule_offset), (made.id, 1, 1));
        let nobody = NewDelivery { id: world.id(), endpoint: world.id(), ..wanted.clone() };
        assert!(is_not_found(&world.store.replay(nobody).await));
        // One that is still to be fanned out is not anticipated.
        world.store.publish(vec![world.event()]).await.unwrap();
        let early = world.store.outbox(1).await.unwrap().events.remove(0).event;
        let early = world.store.replay(world.new_delivery(&early, late)).await;
        assert!(matches!(early, Err(StoreError::IllegalDeliveryStep(_))));
        let nothing = NewDelivery { id: world.id(), event: world.id(), ..wanted };
        assert!(is_not_found(&world.store.replay(nothing).await));
    }
}
