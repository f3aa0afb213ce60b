//! What workers do with jobs.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use reelhook_domain::event::EventFilter;
use reelhook_domain::failure::Stage;
use reelhook_domain::job::{JobState, JobWebhook, OutputState, Priority, Signal};
use reelhook_store::{ClaimedJob, Lease, ProgressUpdate, StoreError};

use crate::conformance;
use crate::world::{LEASE, World, end, facts, failure, is_lease_lost};

fn copy(lease: &Lease) -> Lease {
    Lease { job: lease.job, token: lease.token }
}

fn progress(claimed: &ClaimedJob, progress: u8) -> ProgressUpdate {
    let outputs = claimed.job.outputs.iter().map(|output| (output.spec.id, progress)).collect();
    ProgressUpdate {
        job: claimed.job.id,
        token: claimed.lease.token,
        stage: Stage::Encoding,
        progress,
        outputs,
        announce: true,
    }
}

async fn claim_one(world: &World) -> reelhook_domain::id::JobId {
    let claimed = world.store.claim_jobs(1, LEASE).await.unwrap();
    claimed[0].job.id
}

/// A processing job whose webhook wants those events.
async fn processing_with_webhook(world: &World, patterns: &[&str]) -> ClaimedJob {
    let mut job = world.job(1);
    let events = EventFilter::new(patterns.iter().map(|&pattern| pattern.to_owned()).collect());
    job.spec.webhook = Some(JobWebhook { endpoint: world.id(), events });
    world.submit(job).await;
    let claimed = world.claim().await;
    world.store.start_processing(&claimed.lease, vec![facts()], None).await.unwrap();
    claimed
}

conformance! {
    async fn a_job_goes_from_claim_to_end_with_its_events(world: &World) {
        let job = world.submit(world.job(2)).await;
        world.pass(Duration::from_secs(1));
        let claimed = world.claim().await;
        assert_eq!((claimed.job.id, claimed.job.state.clone(), claimed.claims), (job.id, JobState::Probing, 1));
        assert_eq!(claimed.job.started_at, Some(world.now()));
        world.store.start_processing(&claimed.lease, vec![facts()], None).await.unwrap();
        let running = world.store.job(world.account, job.id).await.unwrap();
        assert_eq!((running.state.clone(), running.inputs.clone()), (JobState::Processing, vec![facts()]));
        assert!(running.outputs.iter().all(|output| output.state == OutputState::Processing));

        world.pass(Duration::from_secs(1));
        let ended = end(&claimed.job, Signal::Complete, &[OutputState::Completed; 2]);
        let done = world.store.finish_job(claimed.lease, ended).await.unwrap();
        assert_eq!((done.state.clone(), done.progress, done.finished_at), (JobState::Completed, 100, Some(world.now())));
        assert!(done.outputs.iter().all(|output| output.progress == 100 && output.file.is_some()));
        assert_eq!(world.store.job(world.account, job.id).await.unwrap(), done);
        let events = world.store.job_events(world.account, job.id, 0).await.unwrap();
        assert_eq!(world.kinds_of(&job).await, ["job.created", "job.started", "job.completed"]);
        assert_eq!(events[2].data, reelhook_domain::event::Data::of(&done), "the event tells of the job as it ended");
        assert_eq!(world.store.job_events(world.account, job.id, events[1].sequence).await.unwrap(), events[2..]);
    }

    async fn a_lost_lease_cannot_finish_a_job(world: &World) {
        world.submit(world.job(1)).await;
        let first = world.claim().await;
        world.pass(LEASE);
        let second = world.claim().await;
        assert_eq!((second.job.id, second.claims), (first.job.id, 2));
        let ended = || end(&first.job, Signal::Fail(failure()), &[OutputState::Failed]);
        assert!(is_lease_lost(&world.store.finish_job(copy(&first.lease), ended()).await));
        assert!(is_lease_lost(&world.store.start_processing(&first.lease, vec![facts()], None).await));
        assert_eq!(world.kinds_of(&first.job).await, ["job.created"], "whoever lost its lease left no event");
        world.store.finish_job(second.lease, ended()).await.unwrap();
    }

    async fn a_lease_ends_with_its_job(world: &World) {
        let claimed = world.processing(1).await;
        let ended = || end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
        world.store.finish_job(copy(&claimed.lease), ended()).await.unwrap();
        assert!(is_lease_lost(&world.store.finish_job(copy(&claimed.lease), ended()).await));
        assert_eq!(world.kinds_of(&claimed.job).await.len(), 3, "the end is told once");
    }

    async fn an_illegal_end_leaves_neither_state_nor_event(world: &World) {
        world.submit(world.job(1)).await;
        let claimed = world.claim().await;
        let ended = end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
        let refused = world.store.finish_job(copy(&claimed.lease), ended).await;
        assert!(matches!(refused, Err(StoreError::IllegalJobStep(_))), "probing cannot complete");
        assert_eq!(world.store.job(world.account, claimed.job.id).await.unwrap(), claimed.job);
        assert_eq!(world.kinds_of(&claimed.job).await, ["job.created"]);
    }

    async fn a_caller_that_goes_away_leaves_a_job_whole(world: &World) {
        let claimed = world.processing(1).await;
        let ended = end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
        {
            let finish = world.store.finish_job(claimed.lease, ended);
            futures::pin_mut!(finish);
            assert!(futures::poll!(finish).is_pending());
        }
        // Whatever is written after it is written by the same task, so its fate is settled by then.
        world.submit(world.job(1)).await;
        let job = world.store.job(world.account, claimed.job.id).await.unwrap();
        let told = world.kinds_of(&claimed.job).await.contains(&"job.completed".to_owned());
        assert_eq!(job.state == JobState::Completed, told);
    }

    async fn what_a_failed_job_did_not_come_to_fails_with_it(world: &World) {
        world.submit(world.job(2)).await;
        let claimed = world.claim().await;
        let ended = end(&claimed.job, Signal::Reject(failure()), &[]);
        let job = world.store.finish_job(claimed.lease, ended).await.unwrap();
        assert_eq!(job.state, JobState::Rejected { error: failure() });
        assert!(job.outputs.iter().all(|output| output.state == OutputState::Failed && output.error == Some(failure())));
        assert_eq!(world.store.job(world.account, job.id).await.unwrap(), job);
    }

    async fn two_claimers_never_get_the_same_job(world: &World) {
        join_all((0..40).map(|_| world.submit(world.job(1)))).await;
        let claims = join_all((0..30).map(|_| world.store.claim_jobs(3, LEASE))).await;
        let ids: Vec<_> = claims.into_iter().flat_map(Result::unwrap).map(|claimed| claimed.job.id).collect();
        assert_eq!(ids.len(), 40);
        assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), 40);
    }

    async fn premium_goes_first_then_the_oldest(world: &World) {
        let economy = world.submit_with(Priority::Economy).await;
        world.pass(Duration::from_secs(1));
        let standard = world.submit_with(Priority::Standard).await;
        world.pass(Duration::from_secs(1));
        let younger = world.submit_with(Priority::Standard).await;
        let premium = world.submit_with(Priority::Premium).await;
        let order = [claim_one(world).await, claim_one(world).await, claim_one(world).await, claim_one(world).await];
        assert_eq!(order, [premium.id, standard.id, younger.id, economy.id]);
        assert!(world.store.claim_jobs(1, LEASE).await.unwrap().is_empty());
    }

    async fn every_minute_waited_is_a_step_of_priority(world: &World) {
        let economy = world.submit_with(Priority::Economy).await;
        world.pass(Duration::from_secs(59));
        let first = world.submit_with(Priority::Standard).await;
        world.pass(Duration::from_secs(1));
        assert_eq!(claim_one(world).await, economy.id, "as good as standard by now, and older");
        assert_eq!(claim_one(world).await, first.id);
    }

    async fn two_minutes_waited_are_two_steps_of_priority(world: &World) {
        let economy = world.submit_with(Priority::Economy).await;
        world.pass(Duration::from_secs(119));
        let premium = world.submit_with(Priority::Premium).await;
        assert_eq!(claim_one(world).await, premium.id, "one second too early");
        let premium = world.submit_with(Priority::Premium).await;
        world.pass(Duration::from_secs(1));
        assert_eq!(claim_one(world).await, economy.id);
        assert_eq!(claim_one(world).await, premium.id);
    }

    async fn a_renewed_lease_is_not_taken_over(world: &World) {
        let claimed = world.processing(1).await;
        world.pass(LEASE - Duration::from_secs(1));
        let held = [(claimed.lease.job, claimed.lease.token), (world.id(), 1)];
        assert_eq!(world.store.renew_jobs(&held, LEASE).await.unwrap(), [held[1].0], "only the one that is not held is lost");
        world.pass(LEASE - Duration::from_secs(1));
        assert!(world.store.claim_jobs(1, LEASE).await.unwrap().is_empty());
        world.pass(Duration::from_secs(1));
        let again = world.claim().await;
        assert_eq!(world.store.renew_jobs(&held[..1], LEASE).await.unwrap(), [again.job.id]);
    }

    async fn a_released_job_waits_again_and_its_claim_does_not_count(world: &World) {
        let claimed = world.processing(2).await;
        world.store.record_progress(vec![progress(&claimed, 40)]).await.unwrap();
        world.store.release_jobs(vec![copy(&claimed.lease), Lease { job: world.id(), token: 1 }]).await.unwrap();
        let job = world.store.job(world.account, claimed.job.id).await.unwrap();
        assert_eq!((job.state.clone(), job.progress, job.stage), (JobState::Queued, 0, None));
        assert!(job.outputs.iter().all(|output| output.state == OutputState::Waiting && output.progress == 0));
        world.store.release_jobs(vec![claimed.lease]).await.unwrap();
        assert_eq!(world.claim().await.claims, 1);
    }

    async fn voided_leases_are_lost_and_their_jobs_wait_again(world: &World) {
        let claimed = world.processing(1).await;
        world.submit(world.job(1)).await;
        assert_eq!(world.store.void_job_leases().await.unwrap(), 1);
        let ended = end(&claimed.job, Signal::Complete, &[OutputState::Completed]);
        assert!(is_lease_lost(&world.store.finish_job(claimed.lease, ended).await));
        assert_eq!(world.store.void_job_leases().await.unwrap(), 0);
        let claims: Vec<_> = world.store.claim_jobs(5, LEASE).await.unwrap().iter().map(|claimed| claimed.claims).collect();
        assert_eq!(claims.iter().sum::<u32>(), 3, "one of the two is claimed a second time");
    }

    async fn progress_never_goes_back(world: &World) {
        let claimed = world.processing(2).await;
        for number in [30, 70, 50, 200] {
            world.store.record_progress(vec![progress(&claimed, number)]).await.unwrap();
            let job = world.store.job(world.account, claimed.job.id).await.unwrap();
            let expected = if number == 50 { 70 } else { number.min(99) };
            assert_eq!((job.progress, job.outputs[1].progress, job.stage), (expected, expected, Some(Stage::Encoding)));
        }
    }

    async fn progress_of_a_lost_claim_is_dropped(world: &World) {
        let claimed = world.processing(1).await;
        world.store.void_job_leases().await.unwrap();
        world.store.record_progress(vec![progress(&claimed, 50)]).await.unwrap();
        assert_eq!(world.store.job(world.account, claimed.job.id).await.unwrap().progress, 0);
    }

    async fn progress_is_told_only_to_those_who_name_it(world: &World) {
        world.registered().await;
        let claimed = processing_with_webhook(world, &["job.*"]).await;
        world.store.record_progress(vec![progress(&claimed, 50)]).await.unwrap();
        assert_eq!(world.kinds_of(&claimed.job).await, ["job.created", "job.started"]);

        let claimed = processing_with_webhook(world, &["job.progress"]).await;
        let quiet = ProgressUpdate { announce: false, ..progress(&claimed, 40) };
        world.store.record_progress(vec![quiet]).await.unwrap();
        assert_eq!(world.kinds_of(&claimed.job).await.len(), 2, "not when its worker says nothing");
        world.store.record_progress(vec![progress(&claimed, 50)]).await.unwrap();
        assert_eq!(world.kinds_of(&claimed.job).await, ["job.created", "job.started", "job.progress"]);
    }

    async fn a_registered_endpoint_can_ask_for_progress(world: &World) {
        let endpoint = world.registered().await;
        let events = Some(EventFilter::new(vec!["job.progress".to_owned()]));
        let change = reelhook_store::EndpointChange { events, ..Default::default() };
        world.store.change_endpoint(world.account, endpoint.id, change).await.unwrap();
        let claimed = world.processing(1).await;
        world.store.record_progress(vec![progress(&claimed, 50)]).await.unwrap();
        assert_eq!(world.kinds_of(&claimed.job).await.last().unwrap(), "job.progress");
    }

    async fn progress_that_was_not_fanned_out_is_written_over(world: &World) {
        let claimed = processing_with_webhook(world, &["job.progress"]).await;
        for number in [10, 20, 30] {
            world.store.record_progress(vec![progress(&claimed, number)]).await.unwrap();
        }
        let outbox = world.store.outbox(10).await.unwrap().events;
        assert_eq!(outbox.len(), 3);
        assert_eq!(outbox[2].event.data.read::<serde_json::Value>().unwrap()["progress"], 30, "the latest wins");
        let up_to = outbox[2].event.sequence;
        world.store.fan_out(reelhook_store::FanOut { after: 0, up_to, deliveries: Vec::new() }, LEASE).await.unwrap();
        world.store.record_progress(vec![progress(&claimed, 40)]).await.unwrap();
        let outbox = world.store.outbox(10).await.unwrap().events;
        assert_eq!(outbox.len(), 1, "what was fanned out stays as it is");
        assert_eq!(outbox[0].event.data.read::<serde_json::Value>().unwrap()["progress"], 40);
    }
}
