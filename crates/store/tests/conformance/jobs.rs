//! What callers do with jobs.

use std::time::Duration;

use futures::future::join_all;
use reelhook_domain::job::{Job, JobState, OutputState, Priority, Signal};
use reelhook_store::{Idempotency, JobFilter, Page, Retry, StoreError, Submission, Submitted};

use crate::conformance;
use crate::world::{ALL, LEASE, World, end, facts, failure, is_not_found};

fn keyed(job: Job, key: &str, fingerprint: u8) -> Submission {
    let idempotency = Some(Idempotency { key: key.to_owned(), fingerprint: [fingerprint; 32] });
    Submission { idempotency, ..job.into() }
}

conformance! {
    async fn a_submitted_job_is_kept_as_it_came_with_its_event(world: &World) {
        let job = world.submit(world.job(3)).await;
        assert_eq!(world.store.job(world.account, job.id).await.unwrap(), job);
        assert_eq!(world.store.job_by_id(job.id).await.unwrap(), job);
        let events = world.store.job_events(world.account, job.id, 0).await.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].kind.as_str(), "job.created");
        assert_eq!(events[0].data, reelhook_domain::event::Data::of(&job));
        assert_eq!((events[0].at, events[0].job, events[0].sequence), (world.now(), Some(job.id), 1));
    }

    async fn another_account_does_not_find_a_job(world: &World) {
        let job = world.submit(world.job(1)).await;
        let stranger = world.id();
        assert!(is_not_found(&world.store.job(stranger, job.id).await));
        assert!(is_not_found(&world.store.job_events(stranger, job.id, 0).await));
        assert!(is_not_found(&world.store.cancel_job(stranger, job.id).await));
        assert!(is_not_found(&world.store.retry_job(stranger, job.id, Retry::Whole).await));
        assert!(world.store.list_jobs(stranger, &JobFilter::default(), ALL).await.unwrap().is_empty());
        assert!(is_not_found(&world.store.job(world.account, world.id()).await));
        assert!(is_not_found(&world.store.job_by_id(world.id()).await));
    }

    async fn a_repeated_submission_answers_the_job_as_it_is_now(world: &World) {
        let first = world.job(1);
        assert_eq!(world.store.submit(keyed(first.clone(), "a", 1)).await.unwrap(), Submitted::New(first.clone()));
        let canceled = world.store.cancel_job(world.account, first.id).await.unwrap();
        let again = world.store.submit(keyed(world.job(1), "a", 1)).await.unwrap();
        assert_eq!(again, Submitted::Repeated(canceled));
        assert_eq!(world.store.submit(keyed(world.job(1), "a", 2)).await.unwrap(), Submitted::Conflict);
        assert!(matches!(world.store.submit(keyed(world.job(1), "b", 1)).await.unwrap(), Submitted::New(_)));
        assert_eq!(world.store.list_jobs(world.account, &JobFilter::default(), ALL).await.unwrap().len(), 2);
    }

    async fn an_idempotency_key_is_forgotten_after_a_day(world: &World) {
        world.store.submit(keyed(world.job(1), "a", 1)).await.unwrap();
        world.pass(Duration::from_secs(24 * 3600));
        assert!(matches!(world.store.submit(keyed(world.job(1), "a", 2)).await.unwrap(), Submitted::New(_)));
        assert_eq!(world.store.submit(keyed(world.job(1), "a", 1)).await.unwrap(), Submitted::Conflict);
    }

    async fn of_many_equal_submissions_at_once_one_is_new(world: &World) {
        let all = join_all((0..30).map(|_| world.store.submit(keyed(world.job(1), "a", 1)))).await;
        let new = all.iter().filter(|submitted| matches!(submitted, Ok(Submitted::New(_)))).count();
        let repeated = all.iter().filter(|submitted| matches!(submitted, Ok(Submitted::Repeated(_)))).count();
        assert_eq!((new, repeated), (1, 29));
    }

    async fn one_that_fails_among_many_fails_alone(world: &World) {
        let taken = world.submit(world.job(1)).await;
        let jobs: Vec<_> = (0..60).map(|number| if number == 30 { taken.clone() } else { world.job(2) }).collect();
        let all = join_all(jobs.into_iter().map(|job| world.store.submit(job.into()))).await;
        let failed: Vec<_> = (0..60).filter(|&number| all[number].is_err()).collect();
        assert_eq!(failed, [30]);
        assert!(matches!(all[30], Err(StoreError::AlreadyExists)));
        assert_eq!(world.store.list_jobs(world.account, &JobFilter::default(), ALL).await.unwrap().len(), 60);
        assert_eq!(world.store.last_sequence().await.unwrap(), 60, "the one that failed left no event");
    }

    async fn jobs_are_listed_newest_first_by_page(world: &World) {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(world.submit(world.job(2)).await.id);
            world.pass(Duration::from_secs(1));
        }
        ids.reverse();
        let list = async |before, limit| {
            let listed = world.store.list_jobs(world.account, &JobFilter::default(), Page { before, limit }).await.unwrap();
            assert!(listed.iter().all(|job| job.outputs.len() == 2));
            listed.into_iter().map(|job| job.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 2).await, ids[..2]);
        assert_eq!(list(Some(ids[1].bits()), 2).await, ids[2..4]);
        assert_eq!(list(Some(ids[3].bits()), 2).await, ids[4..]);
    }

    async fn jobs_are_listed_by_state_and_time(world: &World) {
        let old = world.submit(world.job(1)).await;
        world.store.cancel_job(world.account, old.id).await.unwrap();
        world.pass(Duration::from_secs(60));
        let new = world.submit(world.job(1)).await;
        let list = async |filter: JobFilter| {
            let listed = world.store.list_jobs(world.account, &filter, ALL).await.unwrap();
            listed.into_iter().map(|job| job.id).collect::<Vec<_>>()
        };
        let states = |states: &[&str]| states.iter().map(|&state| state.to_owned()).collect();
        assert_eq!(list(JobFilter { states: states(&["canceled", "failed"]), ..JobFilter::default() }).await, [old.id]);
        assert_eq!(list(JobFilter { states: states(&["queued"]), ..JobFilter::default() }).await, [new.id]);
        assert_eq!(list(JobFilter { since: Some(new.created_at), ..JobFilter::default() }).await, [new.id]);
        assert_eq!(list(JobFilter { until: Some(new.created_at), ..JobFilter::default() }).await, [old.id]);
    }

    async fn jobs_are_listed_by_what_is_asked(world: &World) {
        let mut first = world.job(1);
        first.spec.metadata.insert("note".to_owned(), "a \"b\", c\n\u{e9}".to_owned());
        let first = world.submit(first).await;
        world.pass(Duration::from_secs(1));
        let mut second = world.job(2);
        second.spec.metadata = [("order".to_owned(), "8".to_owned())].into();
        let second = world.submit(second).await;
        world.pass(Duration::from_secs(1));
        let third = world.submit(world.job(1)).await;
        let list = async |filter: JobFilter| {
            let listed = world.store.list_jobs(world.account, &filter, ALL).await.unwrap();
            let ids: Vec<_> = listed.into_iter().map(|job| job.id).collect();
            assert_eq!(world.store.count_jobs(world.account, &filter).await.unwrap(), ids.len() as u64, "{filter:?}");
            let (placed, _) = world.store.list_jobs_from(world.account, &filter, 0, 100).await.unwrap();
            assert_eq!(placed.into_iter().map(|job| job.id).collect::<Vec<_>>(), ids, "{filter:?}");
            ids
        };
        let none = JobFilter::default;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let by = |pairs: &[(String, String)]| JobFilter { metadata: pairs.to_vec(), ..none() };
        assert_eq!(list(by(&[pair("order", "7")])).await, [third.id, first.id]);
        assert_eq!(list(by(&[pair("order", "8")])).await, [second.id]);
        assert_eq!(list(by(&[pair("order", "7"), pair("note", "a \"b\", c\n\u{e9}")])).await, [first.id]);
        assert_eq!(list(by(&[pair("order", "8"), pair("note", "a \"b\", c\n\u{e9}")])).await, []);
        assert_eq!(list(by(&[pair("7", "order")])).await, []);
        assert_eq!(list(JobFilter { recipe: Some("web_ready".to_owned()), ..none() }).await, [third.id, second.id, first.id]);
        assert_eq!(list(JobFilter { recipe: Some("compress".to_owned()), ..none() }).await, []);
        let only = |id: u128| JobFilter { ids: Some((id, id)), ..none() };
        assert_eq!(list(only(second.id.bits())).await, [second.id]);
        assert_eq!(list(only(second.id.bits() + 1)).await, []);
        let from = JobFilter { ids: Some((second.id.bits(), u128::MAX)), recipe: Some("web_ready".to_owned()), ..none() };
        assert_eq!(list(from).await, [third.id, second.id]);

        // Names and errors come as a job goes on, and errors go when it is tried again.
        assert_eq!(list(JobFilter { name: Some("clip".to_owned()), ..none() }).await, []);
        let claimed = world.store.claim_jobs(1, LEASE).await.unwrap().remove(0);
        assert_eq!(claimed.job.id, first.id);
        world.store.start_processing(&claimed.lease, vec![facts()], None).await.unwrap();
        let named = |begin: &str| JobFilter { name: Some(begin.to_owned()), ..none() };
        for begin in ["c", "clip", "clip.mp4"] {
            assert_eq!(list(named(begin)).await, [first.id], "{begin}");
        }
        for other in ["lip", "Clip", "clip.mp4x", "%", "c_ip"] {
            assert_eq!(list(named(other)).await, [], "{other}");
        }
        let named_and = JobFilter { recipe: Some("web_ready".to_owned()), since: Some(first.created_at), ..named("clip") };
        assert_eq!(list(named_and).await, [first.id]);
        assert_eq!(list(JobFilter { states: vec!["queued".to_owned()], ..named("clip") }).await, []);
        let ended = end(&claimed.job, Signal::Fail(failure()), &[OutputState::Failed]);
        world.store.finish_job(claimed.lease, ended).await.unwrap();
        let code = failure().code;
        let failed = JobFilter { error: Some(code.to_string()), ..none() };
        assert_eq!(list(failed.clone()).await, [first.id]);
        assert_eq!(list(JobFilter { error: Some("input".to_owned()), ..none() }).await, []);
        assert_eq!(list(JobFilter { states: vec!["failed".to_owned()], ..failed.clone() }).await, [first.id]);
        assert_eq!(list(JobFilter { states: vec!["completed".to_owned()], ..failed.clone() }).await, []);
        world.store.retry_job(world.account, first.id, Retry::Whole).await.unwrap();
        assert_eq!(list(failed).await, []);
        assert_eq!(list(by(&[pair("order", "7")])).await, [third.id, first.id]);
    }

    async fn the_queue_says_how_many_are_ahead(world: &World) {
        let economy = world.submit_with(Priority::Economy).await;
        world.pass(Duration::from_secs(1));
        let standard = world.submit_with(Priority::Standard).await;
        let premium = world.submit_with(Priority::Premium).await;
        let ahead = async |job| world.store.queue(Some(job)).await.unwrap().ahead;
        assert_eq!((ahead(premium.id).await, ahead(standard.id).await, ahead(economy.id).await), (0, 1, 2));
        let claimed = world.store.claim_jobs(1, crate::world::LEASE).await.unwrap();
        assert_eq!(claimed[0].job.id, premium.id);
        let queue = world.store.queue(Some(premium.id)).await.unwrap();
        assert_eq!((queue.queued, queue.running, queue.ahead), (2, 1, 0));
        assert_eq!(world.store.queue(None).await.unwrap().ahead, 0);
    }

    async fn a_job_can_be_canceled_while_it_is_processed(world: &World) {
        let claimed = world.processing(2).await;
        let canceled = world.store.cancel_job(world.account, claimed.job.id).await.unwrap();
        assert_eq!(canceled.state, JobState::Canceled);
        assert_eq!(canceled.finished_at, Some(world.now()));
        assert!(canceled.outputs.iter().all(|output| output.state == OutputState::Canceled));
        assert_eq!(world.store.job(world.account, canceled.id).await.unwrap(), canceled);
        assert_eq!(world.kinds_of(&canceled).await, ["job.created", "job.started", "job.canceled"]);

        let held = (claimed.lease.job, claimed.lease.token);
        assert_eq!(world.store.renew_jobs(&[held], crate::world::LEASE).await.unwrap(), [canceled.id], "its worker is told");
        let end = end(&claimed.job, Signal::Complete, &[OutputState::Completed; 2]);
        assert!(crate::world::is_lease_lost(&world.store.finish_job(claimed.lease, end).await));
        let again = world.store.cancel_job(world.account, canceled.id).await;
        assert!(matches!(again, Err(StoreError::IllegalJobStep(_))));
    }

    async fn a_retry_does_only_what_failed_again(world: &World) {
        let claimed = world.processing(3).await;
        let states = [OutputState::Completed, OutputState::Failed, OutputState::Canceled];
        let ended = end(&claimed.job, Signal::CompletePartly(failure()), &states);
        let partial = world.store.finish_job(claimed.lease, ended).await.unwrap();
        world.pass(Duration::from_secs(9));

        let queued = world.store.retry_job(world.account, partial.id, Retry::FailedOutputs).await.unwrap();
        assert_eq!(queued.state, JobState::Queued);
        assert_eq!(queued.finished_at, None);
        let after: Vec<_> = queued.outputs.iter().map(|output| (output.state, output.error.is_none(), output.progress)).collect();
        let waiting = (OutputState::Waiting, true, 0);
        assert_eq!(after, [(OutputState::Completed, true, 100), waiting, waiting]);
        assert_eq!(queued.outputs[0], partial.outputs[0], "what was made is kept");
        assert_eq!(world.store.job(world.account, queued.id).await.unwrap(), queued);

        let claimed = world.claim().await;
        assert_eq!(claimed.claims, 1, "a retry counts claims anew");
        world.store.start_processing(&claimed.lease, vec![crate::world::facts()], None).await.unwrap();
        let states = world.store.job(world.account, queued.id).await.unwrap().outputs.into_iter().map(|output| output.state);
        assert_eq!(states.collect::<Vec<_>>(), [OutputState::Completed, OutputState::Processing, OutputState::Processing]);
    }

    async fn a_whole_retry_does_everything_again(world: &World) {
        let claimed = world.processing(2).await;
        let ended = end(&claimed.job, Signal::CompletePartly(failure()), &[OutputState::Completed, OutputState::Failed]);
        let partial = world.store.finish_job(claimed.lease, ended).await.unwrap();
        let queued = world.store.retry_job(world.account, partial.id, Retry::Whole).await.unwrap();
        assert!(queued.outputs.iter().all(|output| output.state == OutputState::Waiting && output.file.is_none()));
    }

    async fn only_what_did_not_end_well_is_retried(world: &World) {
        let claimed = world.processing(1).await;
        assert!(matches!(
            world.store.retry_job(world.account, claimed.job.id, Retry::Whole).await,
            Err(StoreError::IllegalJobStep(_))
        ));
        let ended = end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
        let done = world.store.finish_job(claimed.lease, ended).await.unwrap();
        assert!(matches!(
            world.store.retry_job(world.account, done.id, Retry::Whole).await,
            Err(StoreError::IllegalJobStep(_))
        ));
    }
}
