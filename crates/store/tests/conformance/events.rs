//! The outbox.

use reelhook_domain::event::EventFilter;
use reelhook_domain::job::{Dialect, JobWebhook};
use reelhook_store::{FanOut, NewEvent};

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
}
