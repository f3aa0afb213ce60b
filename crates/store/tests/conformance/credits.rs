//! Credits: granted, taken once, told of.

use std::time::Duration;

use reelhook_domain::credit::CreditRate;
use reelhook_domain::job::{Dialect, Job, OutputState, Signal};
use reelhook_domain::time::Timestamp;
use reelhook_store::{JobFilter, JobUse, Retry};
use serde_json::json;

use crate::conformance;
use crate::world::{World, end, facts, failure};

/// 2.5 seconds at 60 a minute.
const PRICE: i64 = 3;
const DIALECT: Dialect = Dialect::RemoveBgVideo;

async fn submitted(world: &World) -> Job {
    let mut job = world.job(1);
    job.spec.credit_rate = Some(CreditRate(60));
    job.spec.dialect = DIALECT;
    job.spec.said = json!({"model": "original"});
    world.submit(job).await
}

async fn finished(world: &World, signal: Signal, state: OutputState) -> Job {
    submitted(world).await;
    let claimed = world.claim().await;
    world.store.start_processing(&claimed.lease, vec![facts()], None).await.unwrap();
    world.store.finish_job(claimed.lease, end(&claimed.job, signal, &[state])).await.unwrap()
}

conformance! {
    async fn an_account_has_no_limit_until_credits_are_granted(world: &World) {
        assert_eq!(world.store.balance(world.account).await.unwrap(), None);
        assert_eq!(world.store.grant_credits(world.account, 100).await.unwrap(), 100);
        assert_eq!(world.store.grant_credits(world.account, -30).await.unwrap(), 70);
        assert_eq!(world.store.balance(world.account).await.unwrap(), Some(70));
        world.store.lift_credits(world.account).await.unwrap();
        assert_eq!(world.store.balance(world.account).await.unwrap(), None);
        let most = world.store.grant_credits(world.account, i64::MAX).await.unwrap();
        assert_eq!(world.store.grant_credits(world.account, i64::MAX).await.unwrap(), most, "sums have an end");
    }

    async fn the_end_of_a_job_takes_its_price_and_notes_it(world: &World) {
        world.store.grant_credits(world.account, 10).await.unwrap();
        let job = finished(world, Signal::Complete, OutputState::Completed).await;
        assert_eq!(world.store.balance(world.account).await.unwrap(), Some(10 - PRICE));
        let charges = world.store.charges(world.account, DIALECT, 10).await.unwrap();
        assert_eq!(charges.len(), 1);
        assert_eq!((charges[0].job, charges[0].credits, charges[0].duration_ms), (job.id, PRICE as u64, 2500));
        assert_eq!((charges[0].at, &charges[0].said), (world.now(), &json!({"model": "original"})));
        assert!(world.store.charges(world.account, Dialect::Native, 10).await.unwrap().is_empty());
        assert!(world.store.charges(world.id(), DIALECT, 10).await.unwrap().is_empty(), "another account's");
    }

    async fn without_a_limit_what_was_used_is_noted_all_the_same(world: &World) {
        finished(world, Signal::Complete, OutputState::Completed).await;
        assert_eq!(world.store.balance(world.account).await.unwrap(), None);
        assert_eq!(world.store.charges(world.account, DIALECT, 10).await.unwrap().len(), 1);
    }

    async fn a_job_that_made_nothing_takes_nothing(world: &World) {
        world.store.grant_credits(world.account, 10).await.unwrap();
        finished(world, Signal::Fail(failure()), OutputState::Failed).await;
        assert_eq!(world.store.balance(world.account).await.unwrap(), Some(10));
        assert!(world.store.charges(world.account, DIALECT, 10).await.unwrap().is_empty());
    }

    async fn a_job_that_is_done_again_is_charged_once(world: &World) {
        world.store.grant_credits(world.account, 10).await.unwrap();
        let job = finished(world, Signal::CompletePartly(failure()), OutputState::Completed).await;
        world.store.retry_job(world.account, job.id, Retry::Whole).await.unwrap();
        let claimed = world.claim().await;
        world.store.start_processing(&claimed.lease, vec![facts()], None).await.unwrap();
        let again = end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
        world.store.finish_job(claimed.lease, again).await.unwrap();
        assert_eq!(world.store.balance(world.account).await.unwrap(), Some(10 - PRICE));
        assert_eq!(world.store.charges(world.account, DIALECT, 10).await.unwrap().len(), 1);
    }

    async fn what_was_begun_is_paid_for_though_the_balance_falls_below_zero(world: &World) {
        world.store.grant_credits(world.account, 1).await.unwrap();
        finished(world, Signal::Complete, OutputState::Completed).await;
        assert_eq!(world.store.balance(world.account).await.unwrap(), Some(1 - PRICE));
    }

    async fn use_is_summed_since_a_time_and_by_dialect(world: &World) {
        finished(world, Signal::Complete, OutputState::Completed).await;
        world.pass(Duration::from_secs(60));
        let since = world.now();
        finished(world, Signal::Complete, OutputState::Completed).await;
        finished(world, Signal::Fail(failure()), OutputState::Failed).await;
        let used = |since| world.store.job_use(world.account, DIALECT, since);
        assert_eq!(used(since).await.unwrap(), JobUse { jobs: 2, completed: 1, credits: 3 });
        assert_eq!(used(Timestamp::default()).await.unwrap(), JobUse { jobs: 3, completed: 2, credits: 6 });
        let native = world.store.job_use(world.account, Dialect::Native, Timestamp::default()).await.unwrap();
        assert_eq!(native, JobUse::default());
    }

    async fn jobs_are_listed_by_place_with_how_many_there_are(world: &World) {
        world.submit(world.job(1)).await;
        let mut mine = Vec::new();
        for _ in 0..3 {
            world.pass(Duration::from_secs(1));
            mine.insert(0, submitted(world).await.id);
        }
        let filter = JobFilter { dialect: Some(DIALECT), ..JobFilter::default() };
        let (jobs, total) = world.store.list_jobs_from(world.account, &filter, 1, 1).await.unwrap();
        assert_eq!((jobs.iter().map(|job| job.id).collect::<Vec<_>>(), total), (vec![mine[1]], 3));
        let (jobs, total) = world.store.list_jobs_from(world.account, &filter, 9, 10).await.unwrap();
        assert_eq!((jobs.len(), total), (0, 3));
        let (_, total) = world.store.list_jobs_from(world.account, &JobFilter::default(), 0, 10).await.unwrap();
        assert_eq!(total, 4);
    }
}
