//! Jobs that wait for their caller's word.

use std::collections::BTreeMap;
use std::time::Duration;

use reelhook_domain::job::{JobState, OutputState};
use reelhook_domain::price::{Cost, Estimate};
use reelhook_store::{Lease, StoreError, Submission};

use crate::conformance;
use crate::world::{World, facts};

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn estimate() -> Estimate {
    Estimate { cpu_seconds: 3.0, wall_seconds: 2.0, size_bytes: 7, cost: Cost::of(vec![0.12], "EUR") }
}

async fn asked(world: &World) -> reelhook_domain::job::Job {
    world.submit(world.job(1)).await;
    let claimed = world.store.claim_jobs(1, LEASE).await.unwrap().pop().expect("a job waits");
    world.store.ask_confirmation(claimed.lease, vec![facts()], estimate(), world.now() + DAY).await.unwrap()
}

conformance! {
    async fn a_job_that_asked_goes_on_once_it_is_confirmed_and_is_not_asked_about_twice(world: &World) {
        let job = asked(world).await;
        assert_eq!(job.state, JobState::AwaitingConfirmation { until: world.now() + DAY });
        assert_eq!((job.estimate.clone(), job.inputs.clone()), (Some(estimate()), vec![facts()]));
        assert!(world.store.claim_jobs(1, LEASE).await.unwrap().is_empty(), "it waits for its caller, not for a worker");
        let confirmed = world.store.confirm_job(world.account, job.id).await.unwrap();
        assert_eq!((confirmed.state, confirmed.confirmed_at), (JobState::Queued, Some(world.now())));
        let again = world.store.confirm_job(world.account, job.id).await;
        assert!(matches!(again, Err(StoreError::IllegalJobStep(_))));
        let claimed = world.store.claim_jobs(1, LEASE).await.unwrap().pop().expect("it is queued");
        assert!(claimed.job.confirmed_at.is_some());
        assert_eq!(world.kinds_of(&job).await, ["job.created", "job.awaiting_confirmation"]);
    }

    async fn a_question_that_nobody_answers_lapses(world: &World) {
        let job = asked(world).await;
        world.pass(DAY);
        assert_eq!(world.store.lapse_confirmations(10).await.unwrap(), 0, "it may be answered until the last moment");
        world.pass(Duration::from_millis(1));
        assert_eq!(world.store.lapse_confirmations(10).await.unwrap(), 1);
        let job = world.store.job(world.account, job.id).await.unwrap();
        assert_eq!((job.state, job.outputs[0].state), (JobState::Canceled, OutputState::Canceled));
        assert_eq!(world.store.lapse_confirmations(10).await.unwrap(), 0);
    }

    async fn a_lost_lease_cannot_ask(world: &World) {
        world.submit(world.job(1)).await;
        let claimed = world.store.claim_jobs(1, LEASE).await.unwrap().pop().unwrap();
        let stale = Lease { job: claimed.job.id, token: claimed.lease.token - 1 };
        let asked = world.store.ask_confirmation(stale, vec![facts()], estimate(), world.now() + DAY).await;
        assert!(matches!(asked, Err(StoreError::LeaseLost)));
    }

    async fn a_draft_waits_and_starts_with_what_it_was_changed_to(world: &World) {
        let mut draft = world.job(1);
        draft.state = JobState::Draft;
        let draft = world.submit(draft).await;
        assert!(world.store.claim_jobs(1, LEASE).await.unwrap().is_empty());
        assert!(world.kinds_of(&draft).await.is_empty());
        let other = world.job(2).spec;
        let started = world.store.start_job(world.account, draft.id, Some(other.clone())).await.unwrap();
        assert_eq!((started.state.clone(), started.spec.clone()), (JobState::Queued, other));
        assert_eq!(world.kinds_of(&draft).await, ["job.created"]);
        let claimed = world.store.claim_jobs(1, LEASE).await.unwrap().pop().unwrap();
        assert_eq!(claimed.job.outputs.len(), 2);
        let again = world.store.start_job(world.account, draft.id, None).await;
        assert!(matches!(again, Err(StoreError::IllegalJobStep(_))));
    }

    async fn headers_for_downloads_reach_the_worker_and_nobody_else(world: &World) {
        let job = world.job(1);
        let headers = BTreeMap::from([("authorization".to_owned(), "Basic c2VjcmV0".to_owned())]);
        let fetch_headers = BTreeMap::from([("input".to_owned(), headers)]);
        let kept = Submission { fetch_headers: fetch_headers.clone(), ..job.clone().into() };
        world.store.submit(kept).await.unwrap();
        let shown = world.store.job(world.account, job.id).await.unwrap();
        assert!(!serde_json::to_string(&shown).unwrap().contains("c2VjcmV0"));
        let claimed = world.store.claim_jobs(1, LEASE).await.unwrap().pop().unwrap();
        assert_eq!(claimed.fetch_headers, fetch_headers);
    }
}
