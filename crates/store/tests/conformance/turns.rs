//! Accounts take turns for workers.

use reelhook_domain::id::{AccountId, JobId};
use reelhook_domain::job::{Job, OutputState, Priority, Signal};
use reelhook_store::{ClaimedJob, Queue};

use crate::conformance;
use crate::world::{LEASE, World, end};

async fn accounts<const N: usize>(world: &World) -> [AccountId; N] {
    let mut made = [world.account; N];
    for (number, account) in made.iter_mut().enumerate() {
        // Their ids are of this millisecond, and no two of them may be alike.
        world.pass(std::time::Duration::from_millis(1));
        *account = world.store.create_account(&format!("tenant{number}")).await.unwrap().id;
    }
    made
}

async fn submit(world: &World, account: AccountId, priority: Priority) -> JobId {
    let mut job = Job { account, ..world.job(1) };
    job.spec.priority = priority;
    world.submit(job).await.id
}

async fn fill(world: &World, account: AccountId, jobs: usize) {
    for _ in 0..jobs {
        submit(world, account, Priority::Standard).await;
    }
}

async fn claim(world: &World, limit: u32) -> Vec<ClaimedJob> {
    world.store.claim_jobs(limit, LEASE).await.unwrap()
}

async fn finish(world: &World, claimed: ClaimedJob) {
    world.store.start_processing(&claimed.lease, Vec::new(), None).await.unwrap();
    let ended = end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
    world.store.finish_job(claimed.lease, ended).await.unwrap();
}

async fn ahead(world: &World, job: JobId) -> Queue {
    world.store.queue(Some(job)).await.unwrap()
}

conformance! {
    async fn a_first_job_waits_for_none_of_those_that_another_account_queued(world: &World) {
        let [busy, quiet] = accounts(world).await;
        fill(world, busy, 50).await;
        let running = claim(world, 2).await;
        let first = submit(world, quiet, Priority::Economy).await;
        assert_eq!(ahead(world, first).await.ahead, 0);
        finish(world, running.into_iter().next().unwrap()).await;
        assert_eq!(claim(world, 1).await[0].job.id, first, "of the slots that become free, it gets the first");
    }

    async fn accounts_take_turns_however_much_each_queued_and_whoever_came_first(world: &World) {
        let [a, b, c] = accounts(world).await;
        fill(world, a, 20).await;
        fill(world, b, 4).await;
        fill(world, c, 2).await;
        let mut order = Vec::new();
        while let Some(claimed) = claim(world, 1).await.pop() {
            order.push(claimed.job.account);
            finish(world, claimed).await;
        }
        assert_eq!(order[..10], [a, b, c, a, b, c, a, b, a, b]);
        assert!(order[10..].iter().all(|account| *account == a) && order.len() == 26);
    }

    async fn the_account_that_has_the_fewest_running_is_next(world: &World) {
        let [a, b] = accounts(world).await;
        fill(world, a, 20).await;
        assert_eq!(claim(world, 4).await.len(), 4);
        fill(world, b, 20).await;
        let next: Vec<_> = claim(world, 6).await.into_iter().map(|claimed| claimed.job.account).collect();
        assert_eq!(next, [b, b, b, b, a, b], "b catches up, then they alternate");
    }

    async fn priority_orders_the_jobs_of_one_account_and_no_others(world: &World) {
        let [a, b] = accounts(world).await;
        let slow = submit(world, a, Priority::Economy).await;
        let fast = submit(world, a, Priority::Premium).await;
        let others = submit(world, b, Priority::Economy).await;
        for expected in [fast, others, slow] {
            let claimed = claim(world, 1).await.pop().unwrap();
            assert_eq!(claimed.job.id, expected);
            finish(world, claimed).await;
        }
    }

    async fn a_turn_is_taken_by_a_job_that_is_given_back_or_canceled(world: &World) {
        let [a, b] = accounts(world).await;
        fill(world, a, 5).await;
        fill(world, b, 5).await;
        for expected in [a, b, a, b] {
            let claimed = claim(world, 1).await.pop().unwrap();
            assert_eq!(claimed.job.account, expected);
            world.store.release_jobs(vec![claimed.lease]).await.unwrap();
        }
        for expected in [a, b] {
            let claimed = claim(world, 1).await.pop().unwrap();
            assert_eq!(claimed.job.account, expected);
            world.store.cancel_job(expected, claimed.job.id).await.unwrap();
        }
    }

    async fn what_a_job_waits_for_is_told_as_the_turns_go(world: &World) {
        let [a, b, c] = accounts(world).await;
        fill(world, a, 10).await;
        fill(world, b, 1).await;
        submit(world, c, Priority::Standard).await;
        world.pass(std::time::Duration::from_millis(1));
        let third = [submit(world, c, Priority::Standard).await, submit(world, c, Priority::Standard).await][1];
        let expected = ahead(world, third).await;
        assert_eq!((expected.queued, expected.running), (14, 0));
        let mut before = 0;
        loop {
            let claimed = claim(world, 1).await.pop().unwrap();
            if claimed.job.id == third {
                break;
            }
            before += 1;
            finish(world, claimed).await;
        }
        assert_eq!(expected.ahead, before);
    }
}
