//! Deliveries as callers see them.

use std::time::Duration;

use reelhook_domain::delivery::DeliveryState;
use reelhook_domain::retry::Verdict;
use reelhook_store::{DeliveryFilter, Page, StoreError};

use crate::conformance;
use crate::world::{ALL, LEASE, World, is_not_found};

async fn listed(world: &World, filter: &DeliveryFilter, page: Page) -> Vec<reelhook_domain::id::DeliveryId> {
    let listed = world.store.list_deliveries(world.account, filter, page).await.unwrap();
    listed.into_iter().map(|delivery| delivery.id).collect()
}

conformance! {
    async fn another_account_does_not_find_a_delivery(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0).delivery;
        let stranger = world.id();
        assert!(is_not_found(&world.store.delivery(stranger, sent.id).await));
        assert!(is_not_found(&world.store.resend(stranger, sent.id).await));
        assert!(is_not_found(&world.store.cancel_delivery(stranger, sent.id).await));
        assert!(world.store.list_deliveries(stranger, &DeliveryFilter::default(), ALL).await.unwrap().is_empty());
        assert!(is_not_found(&world.store.delivery(world.account, world.id()).await));
    }

    async fn an_ended_delivery_is_sent_again_with_its_schedule_begun_anew(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        assert!(matches!(
            world.store.resend(world.account, sent.delivery.id).await,
            Err(StoreError::IllegalDeliveryStep(_))
        ));
        world.settle(&sent, Verdict::Exhausted).await;
        world.pass(Duration::from_secs(9));
        let again = world.store.resend(world.account, sent.delivery.id).await.unwrap();
        assert_eq!(again.state, DeliveryState::Scheduled { due: world.now() });
        assert_eq!((again.attempts, again.schedule_offset, again.finished_at), (1, 1, None));
        assert_eq!(world.store.delivery(world.account, again.id).await.unwrap().delivery, again);
        let claimed = world.store.claim_due(1, 1, &[], LEASE).await.unwrap().remove(0);
        assert_eq!((claimed.delivery.id, &claimed.body), (sent.delivery.id, &sent.body), "the same id and the same body");
    }

    async fn a_delivery_sent_again_to_a_disabled_endpoint_is_held(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        world.settle(&sent, Verdict::Delivered).await;
        let state = Some((reelhook_domain::endpoint::EndpointState::Disabled, None));
        let change = reelhook_store::EndpointChange { state, ..Default::default() };
        world.store.change_endpoint(world.account, endpoint.id, change).await.unwrap();
        assert_eq!(world.store.resend(world.account, sent.delivery.id).await.unwrap().state, DeliveryState::Held);
    }

    async fn what_went_to_a_deleted_endpoint_is_not_sent_again(world: &World) {
        let endpoint = world.registered().await;
        let mut sent = world.sent(2, endpoint.id).await;
        let (delivered, under_way) = (sent.remove(0), sent.remove(0));
        world.settle(&delivered, Verdict::Delivered).await;
        world.store.delete_endpoint(world.account, endpoint.id).await.unwrap();
        for sent in [delivered, under_way] {
            let refused = world.store.resend(world.account, sent.delivery.id).await;
            assert!(matches!(refused, Err(StoreError::EndpointGone(id)) if id == endpoint.id), "{refused:?}");
        }
    }

    async fn only_what_waits_is_canceled(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(1, endpoint.id).await.remove(0);
        let refused = world.store.cancel_delivery(world.account, sent.delivery.id).await;
        assert!(matches!(refused, Err(StoreError::IllegalDeliveryStep(_))));
        world.settle(&sent, world.retry_in(5)).await;
        let canceled = world.store.cancel_delivery(world.account, sent.delivery.id).await.unwrap();
        assert_eq!((canceled.state, canceled.finished_at), (DeliveryState::Canceled, Some(world.now())));
        assert_eq!(world.store.next_due(&[]).await.unwrap(), None);
    }

    async fn deliveries_are_listed_newest_first_by_page(world: &World) {
        let (first, second) = (world.registered().await, world.registered().await);
        let mut made = Vec::new();
        for number in 0..6 {
            let endpoint = if number % 2 == 0 { &first } else { &second };
            made.push(world.sent(1, endpoint.id).await.remove(0).delivery.id);
            world.pass(Duration::from_secs(1));
        }
        made.reverse();
        let page = |before: Option<usize>| Page { before: before.map(|place: usize| made[place].bits()), limit: 2 };
        let all = DeliveryFilter::default();
        assert_eq!(listed(world, &all, page(None)).await, made[..2]);
        assert_eq!(listed(world, &all, page(Some(1))).await, made[2..4]);
        let one = DeliveryFilter { endpoint: Some(second.id), ..all };
        assert_eq!(listed(world, &one, page(None)).await, [made[0], made[2]]);
        assert_eq!(listed(world, &one, page(Some(2))).await, [made[4]]);
    }

    async fn deliveries_are_listed_by_what_is_asked(world: &World) {
        let endpoint = world.registered().await;
        let job = world.submit(world.job(1)).await;
        let mut batch = world.batch(1, &[endpoint.id]).await;
        batch.deliveries[0] = world.new_delivery(&world.store.outbox(1).await.unwrap().events[0].event, endpoint.id);
        let of_job = world.store.fan_out(batch, LEASE).await.unwrap().remove(0);
        world.pass(Duration::from_secs(60));
        let other = world.sent(1, endpoint.id).await.remove(0);
        world.settle(&other, Verdict::Exhausted).await;

        let filter = |filter| async move { listed(world, &filter, ALL).await };
        let none = DeliveryFilter::default;
        assert_eq!(filter(DeliveryFilter { job: Some(job.id), ..none() }).await, [of_job.delivery.id]);
        assert_eq!(filter(DeliveryFilter { job: Some(world.id()), ..none() }).await, []);
        assert_eq!(filter(DeliveryFilter { state: Some("exhausted".to_owned()), ..none() }).await, [other.delivery.id]);
        assert_eq!(filter(DeliveryFilter { state: Some("sending".to_owned()), ..none() }).await, [of_job.delivery.id]);
        assert_eq!(filter(DeliveryFilter { state: Some("' or 1".to_owned()), ..none() }).await, []);
        assert_eq!(filter(DeliveryFilter { event_type: Some("job.created".to_owned()), ..none() }).await, [of_job.delivery.id]);
        assert_eq!(filter(DeliveryFilter { since: Some(world.now()), ..none() }).await, [other.delivery.id]);
        assert_eq!(filter(none()).await.len(), 2);
    }

    async fn pulling_gives_everything_after_a_number_in_order(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(5, endpoint.id).await;
        world.settle(&sent[3], Verdict::Delivered).await;
        let pulled = world.store.pull(world.account, endpoint.id, 2, 2).await.unwrap();
        let seen: Vec<_> = pulled.iter().map(|(delivery, body)| (delivery.sequence, body)).collect();
        assert_eq!(seen, [(3, &sent[2].body), (4, &sent[3].body)]);
    }

    async fn deliveries_are_counted_by_state(world: &World) {
        let endpoint = world.registered().await;
        let sent = world.sent(6, endpoint.id).await;
        world.settle(&sent[0], Verdict::Delivered).await;
        world.settle(&sent[1], Verdict::Delivered).await;
        world.settle(&sent[2], Verdict::Exhausted).await;
        world.settle(&sent[3], world.retry_in(5)).await;
        world.settle(&sent[4], world.retry_in(5)).await;
        world.store.cancel_delivery(world.account, sent[4].delivery.id).await.unwrap();
        let mut counts = world.store.count_deliveries().await.unwrap();
        counts.sort();
        let expected = [("canceled", 1), ("delivered", 2), ("exhausted", 1), ("held", 0), ("scheduled", 1), ("sending", 1)];
        assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
    }
}
