//! Wake-ups come after the commit.

use futures::FutureExt;
use reelhook_domain::retry::Verdict;
use reelhook_store::{EndpointChange, Topic, Wake};

use crate::conformance;
use crate::world::World;

fn woke(wake: &mut Wake) -> bool {
    wake.wait().now_or_never().is_some()
}

conformance! {
    async fn a_submission_wakes_workers_watchers_and_the_outbox(world: &World) {
        let topics = [Topic::JobQueued, Topic::JobChanged, Topic::JobTaken, Topic::Event, Topic::Delivery, Topic::Settled];
        let mut wakes = topics.map(|topic| world.store.wakes().listen(topic));
        let job = world.submit(world.job(1)).await;
        assert_eq!(wakes.each_mut().map(woke), [true, true, false, true, false, false]);
        world.claim().await;
        assert_eq!(wakes.each_mut().map(woke), [false, true, false, false, false, false]);
        world.store.void_job_leases().await.unwrap();
        assert_eq!(wakes.each_mut().map(woke), [true, true, true, false, false, false]);
        world.store.cancel_job(world.account, job.id).await.unwrap();
        assert_eq!(wakes.each_mut().map(woke), [false, true, true, true, false, false]);
        assert!(world.store.cancel_job(world.account, job.id).await.is_err());
        assert_eq!(wakes.each_mut().map(woke), [false; 6], "what failed wakes nobody");
    }

    async fn deliveries_wake_the_engine(world: &World) {
        let endpoint = world.registered().await;
        let mut wakes = [Topic::Delivery, Topic::Settled].map(|topic| world.store.wakes().listen(topic));
        let claimed = world.sent(1, endpoint.id).await.remove(0);
        assert_eq!(wakes.each_mut().map(woke), [false, false], "the engine has them already");
        world.settle(&claimed, Verdict::Exhausted).await;
        assert_eq!(wakes.each_mut().map(woke), [false, true]);
        world.store.resend(world.account, claimed.delivery.id).await.unwrap();
        assert_eq!(wakes.each_mut().map(woke), [true, false]);
        world.store.change_endpoint(world.account, endpoint.id, EndpointChange::default()).await.unwrap();
        assert_eq!(wakes.each_mut().map(woke), [true, false]);
    }
}
