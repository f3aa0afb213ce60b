//! The outbox.

use std::time::Duration;

use reelhook_domain::event::EventFilter;
use reelhook_domain::job::{Dialect, JobWebhook};
use reelhook_store::{FanOut, Idempotency, NewEvent, Published, Submission, Submitted};

use crate::conformance;
use crate::world::{LEASE, World};

conformance! {
    async fn a_published_event_is_in_the_outbox_as_it_came(world: &World) {
        assert_eq!(world.store.last_sequence().await.unwrap(), 0);
        let only = Some(world.id());
        let events = [world.event(), NewEvent { only, ..world.event() }];
        world.store.publish(events.to_vec()).await.unwrap();
        assert_eq!(world.store.last_sequence().await.unwrap(), 2);
        let outbox = world.store.outbox(10).await.unwrap().events;
        for (number, (new, kept)) in events.iter().zip(&outbox).enumerate() {
            assert_eq!((new.id, &new.kind, &new.data, new.only), (kept.event.id, &kept.event.kind, &kept.event.data, kept.only));
            assert_eq!((kept.event.sequence, kept.event.at, kept.event.job), (number as i64 + 1, world.now(), None));
            assert_eq!((kept.webhook.clone(), kept.dialect), (None, Dialect::Native));
        }
    }

    async fn an_event_of_a_job_brings_the_webhook_of_its_job(world: &World) {
        let mut job = world.job(1);
        let webhook = JobWebhook { endpoint: world.id(), events: EventFilter::new(vec!["job.*".to_owned()]) };
        job.spec.webhook = Some(webhook.clone());
        world.submit(job).await;
        let outbox = world.store.outbox(10).await.unwrap().events;
        assert_eq!(outbox[0].webhook, Some(webhook));
    }

    async fn what_was_fanned_out_leaves_the_outbox(world: &World) {
        world.store.publish((0..5).map(|_| world.event()).collect()).await.unwrap();
        let first = world.store.outbox(2).await.unwrap().events;
        assert_eq!(first.iter().map(|event| event.event.sequence).collect::<Vec<_>>(), [1, 2]);
        world.store.fan_out(FanOut { after: 0, up_to: 2, deliveries: Vec::new() }, LEASE).await.unwrap();
        assert_eq!(world.store.outbox(10).await.unwrap().events[0].event.sequence, 3);
        world.store.fan_out(FanOut { after: 0, up_to: 1, deliveries: Vec::new() }, LEASE).await.unwrap();
        assert_eq!(world.store.outbox(10).await.unwrap().events[0].event.sequence, 3, "the outbox never goes back");
    }

    async fn events_published_under_a_key_are_written_once(world: &World) {
        let once = |fingerprint| Idempotency { key: "k".to_owned(), fingerprint: [fingerprint; 32] };
        let publish = async |fingerprint| {
            let events = vec![world.event(), world.event()];
            let ids: Vec<_> = events.iter().map(|event| event.id).collect();
            (world.store.publish_once(world.account, events, once(fingerprint)).await.unwrap(), ids)
        };
        let (first, ids) = publish(1).await;
        assert_eq!(first, Published::New(ids.clone()));
        assert_eq!(publish(1).await.0, Published::Repeated(ids));
        assert_eq!(publish(2).await.0, Published::Conflict);
        assert_eq!(world.store.last_sequence().await.unwrap(), 2);
        world.pass(Duration::from_secs(24 * 3600 - 1));
        assert!(matches!(publish(1).await.0, Published::Repeated(_)));
        world.pass(Duration::from_secs(1));
        let (late, ids) = publish(2).await;
        assert_eq!(late, Published::New(ids), "a key is forgotten after 24 hours");
        assert_eq!(world.store.last_sequence().await.unwrap(), 4);
    }

    async fn a_key_for_events_is_none_for_jobs(world: &World) {
        let idempotency = Idempotency { key: "k".to_owned(), fingerprint: [1; 32] };
        let published = world.store.publish_once(world.account, vec![world.event()], idempotency.clone()).await.unwrap();
        assert!(matches!(published, Published::New(_)));
        let submission = Submission { idempotency: Some(idempotency), ..world.job(1).into() };
        assert!(matches!(world.store.submit(submission).await.unwrap(), Submitted::New(_)));
    }
}
