//! Jobs given to a worker in the transaction that writes them.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use reelhook_domain::id::JobId;
use reelhook_store::{ClaimedJob, Idempotency, JobTaker, Lease, Slot, Submission, Submitted, Topic};

use crate::conformance;
use crate::world::{LEASE, World, facts};

/// Room for so many jobs, and what was given in.
#[derive(Debug)]
struct Room {
    slots: Mutex<usize>,
    given: Arc<Mutex<Vec<ClaimedJob>>>,
}

impl Room {
    fn of(world: &World, slots: usize) -> Arc<Self> {
        let room = Arc::new(Self { slots: Mutex::new(slots), given: Arc::default() });
        let taker: Arc<dyn JobTaker> = room.clone();
        world.store.hand_jobs_to(&taker);
        room
    }

    fn given(&self) -> Vec<JobId> {
        self.given.lock().unwrap().iter().map(|claimed| claimed.job.id).collect()
    }
}

impl JobTaker for Room {
    fn slot(&self) -> Option<Slot> {
        let mut slots = self.slots.lock().unwrap();
        *slots = slots.checked_sub(1)?;
        let given = Arc::clone(&self.given);
        Some(Slot { lease: LEASE, take: Box::new(move |job| given.lock().unwrap().push(job)) })
    }
}

conformance! {
    async fn a_job_that_finds_room_is_claimed_with_its_submission(world: &World) {
        let room = Room::of(world, 1);
        let mut queued = world.store.wakes().listen(Topic::JobQueued);
        let first = world.submit(world.job(1)).await;
        assert_eq!(room.given(), [first.id]);
        assert!(queued.wait().now_or_never().is_none(), "nobody need look for it");
        let Lease { job, token } = room.given.lock().unwrap()[0].lease;
        world.store.start_processing(&Lease { job, token }, vec![facts()], None).await.unwrap();

        let second = world.submit(world.job(1)).await;
        assert_eq!(room.given(), [first.id], "there is no room left");
        assert!(queued.wait().now_or_never().is_some());
        assert_eq!(world.claim().await.job.id, second.id);
    }

    async fn room_goes_to_the_job_whose_turn_it_is(world: &World) {
        let first = world.submit(world.job(1)).await;
        world.pass(std::time::Duration::from_secs(1));
        let room = Room::of(world, 1);
        let mut queued = world.store.wakes().listen(Topic::JobQueued);
        let second = world.submit(world.job(1)).await;
        assert_eq!(room.given(), [first.id]);
        assert!(queued.wait().now_or_never().is_some(), "the new one waits");
        assert_eq!(world.claim().await.job.id, second.id);
    }

    async fn a_repetition_takes_no_room(world: &World) {
        let room = Room::of(world, 2);
        let job = world.job(1);
        let submit = async || {
            let idempotency = Some(Idempotency { key: "k".to_owned(), fingerprint: [1; 32] });
            world.store.submit(Submission { idempotency, ..job.clone().into() }).await.unwrap()
        };
        assert!(matches!(submit().await, Submitted::New(_)));
        assert!(matches!(submit().await, Submitted::Repeated(_)));
        assert_eq!((room.given(), *room.slots.lock().unwrap()), (vec![job.id], 1));
    }

    async fn who_is_gone_is_not_asked(world: &World) {
        drop(Room::of(world, 1));
        let job = world.submit(world.job(1)).await;
        assert_eq!(world.claim().await.job.id, job.id);
    }
}
