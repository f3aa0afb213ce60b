//! What one account may have at most.

use futures::future::join_all;
use reelhook_domain::endpoint::EndpointRole;
use reelhook_domain::id::AccountId;
use reelhook_domain::job::{Dialect, Job, JobState, OutputState, Signal};
use reelhook_domain::quota::{Quota, QuotaExceeded, Quotas};
use reelhook_store::{JobEndpoint, JobFilter, NewApiKey, Result, Retry, SealedFor, StoreError, Submission, Upload};

use crate::conformance;
use crate::origins::new_origin;
use crate::uploads::upload;
use crate::world::{LEASE, World, end};

/// What a quota that refuses says.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> QuotaExceeded {
    match result {
        Err(StoreError::Quota(exceeded)) => exceeded,
        other => panic!("{other:?}"),
    }
}

/// Adds one of what a quota counts, or of bytes one upload of a million.
async fn add(world: &World, quota: Quota, account: AccountId) -> Result<()> {
    match quota {
        Quota::Endpoints => {
            let endpoint = reelhook_domain::endpoint::Endpoint { account, ..world.endpoint() };
            let secret = world.secret(SealedFor::Endpoint(endpoint.id), "whsec_first");
            world.store.create_endpoint(endpoint, secret).await
        }
        Quota::Keys => {
            let (_, key) = NewApiKey::generate(account, "more", &world.ambient);
            world.store.create_key(key).await.map(drop)
        }
        Quota::Origins => {
            let (origin, credentials) = new_origin(world, account);
            world.store.create_origin(origin, credentials).await
        }
        Quota::Secrets => {
            let until = world.now() + LEASE;
            world.store.add_secret(world.secret(SealedFor::Account(account), "whsec_more"), until).await
        }
        Quota::UploadBytes => {
            world.store.create_upload(Upload { account, size_bytes: 1_000_000, ..upload(world) }).await
        }
        Quota::QueuedJobs => world.store.submit(Job { account, ..world.job(1) }.into()).await.map(drop),
        Quota::EventDeliveries => world.store.check_quota(quota, 2, 1),
    }
}

/// Two of each, of bytes two uploads of a million; of deliveries, which are counted elsewhere, those that were made.
const TWO: Quotas = Quotas {
    endpoints: Some(2),
    keys: Some(2),
    origins: Some(2),
    secrets: Some(2),
    upload_bytes: Some(2_000_000),
    queued_jobs: Some(2),
    event_deliveries_per_minute: Some(2),
};

fn of_jobs(most: u64) -> Quotas {
    Quotas { queued_jobs: Some(most), ..Quotas::default() }
}

fn kept() -> impl Iterator<Item = Quota> {
    Quota::ALL.iter().copied().filter(|quota| *quota != Quota::EventDeliveries)
}

async fn used(world: &World, quota: Quota) -> u64 {
    let all = world.store.quota_use(world.account, Quota::ALL).await.unwrap();
    all.into_iter().find(|(known, _)| *known == quota).unwrap().1
}

/// How often a quota refused something, as operators read it.
fn refused(world: &World, quota: Quota) -> u64 {
    let families = world.store.families();
    let family = families.iter().find(|family| family.name == "quota_refusals").unwrap();
    let reelhook_domain::measure::Series::Counters(counters) = &family.series else { panic!("{family:?}") };
    counters.iter().find(|(label, _)| label.is_some_and(|(_, value)| value == quota.as_str())).unwrap().1
}

conformance! {
    async fn an_account_gets_as_much_as_its_quota_and_no_more(world: &World) {
        for quota in kept() {
            // One quota at a time: an endpoint brings a secret.
            let limit = TWO.limit(quota).unwrap();
            let mut only = Quotas::default();
            match quota {
                Quota::Endpoints => only.endpoints = TWO.endpoints,
                Quota::Keys => only.keys = TWO.keys,
                Quota::Origins => only.origins = TWO.origins,
                Quota::Secrets => only.secrets = Some(4),
                Quota::UploadBytes => only.upload_bytes = TWO.upload_bytes,
                Quota::QueuedJobs => only.queued_jobs = TWO.queued_jobs,
                Quota::EventDeliveries => unreachable!(),
            }
            world.store.set_quotas(only);
            let limit = only.limit(quota).unwrap_or(limit);
            let before = refused(world, quota);
            for _ in 0..2 {
                add(world, quota, world.account).await.unwrap();
            }
            let refusal = refusal(add(world, quota, world.account).await);
            assert_eq!((refusal.quota, refusal.limit, refusal.present), (quota, limit, limit), "{quota}");
            assert_eq!(used(world, quota).await, limit, "{quota}: nothing was kept of what was refused");
            assert_eq!(refused(world, quota), before + 1);
        }
    }

    async fn what_one_account_has_takes_nothing_from_another(world: &World) {
        let other = world.store.create_account("other").await.unwrap().id;
        world.store.set_quotas(Quotas { secrets: Some(6), ..TWO });
        for quota in kept() {
            while add(world, quota, world.account).await.is_ok() {}
        }
        for quota in kept() {
            add(world, quota, other).await.unwrap_or_else(|error| panic!("{quota}: {error}"));
        }
    }

    async fn requests_that_come_together_do_not_pass_together(world: &World) {
        world.store.set_quotas(Quotas { secrets: None, ..TWO });
        for quota in kept().filter(|quota| *quota != Quota::Secrets) {
            let results = join_all((0..20).map(|_| add(world, quota, world.account))).await;
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2, "{quota}");
        }
    }

    async fn without_quotas_nothing_is_refused(world: &World) {
        for quota in kept() {
            for _ in 0..5 {
                add(world, quota, world.account).await.unwrap();
            }
        }
        assert!(world.store.check_quota(Quota::EventDeliveries, u64::MAX, 1).is_ok());
    }

    async fn what_ends_makes_room(world: &World) {
        world.store.set_quotas(Quotas { secrets: Some(6), ..TWO });
        for quota in kept() {
            while add(world, quota, world.account).await.is_ok() {}
        }
        let account = world.account;
        let endpoint = world.store.list_endpoints(account).await.unwrap()[0].id;
        world.store.delete_endpoint(account, endpoint).await.unwrap();
        let key = world.store.list_keys(account).await.unwrap()[0].id;
        world.store.revoke_key(account, key).await.unwrap();
        let origin = world.store.list_origins(account, crate::world::ALL).await.unwrap()[0].id;
        world.store.change_origin(account, origin, reelhook_store::OriginChange::Archived).await.unwrap();
        // The rotations are over and the uploads have expired.
        world.pass(std::time::Duration::from_secs(3600));
        world.store.take_expired_uploads(10).await.unwrap();
        world.store.claim_jobs(1, LEASE).await.unwrap();
        for quota in kept() {
            add(world, quota, account).await.unwrap_or_else(|error| panic!("{quota}: {error}"));
        }
    }

    async fn a_default_webhook_is_an_endpoint_and_the_webhook_of_a_job_is_not(world: &World) {
        world.store.set_quotas(Quotas { endpoints: Some(1), ..Quotas::default() });
        let wanted = |role, url: &str| JobEndpoint {
            account: world.account,
            role,
            url: url.parse().unwrap(),
            dialect: Dialect::Native,
            timeout_ms: 1000, headers: None, tls: None
        };
        let first = world.store.endpoint_for(wanted(EndpointRole::Default, "https://example.com/1")).await.unwrap();
        let again = world.store.endpoint_for(wanted(EndpointRole::Default, "https://example.com/1")).await.unwrap();
        assert_eq!(first.id, again.id, "the same URL is the same endpoint");
        refusal(world.store.endpoint_for(wanted(EndpointRole::Default, "https://example.com/2")).await);
        world.store.endpoint_for(wanted(EndpointRole::Job, "https://example.com/2")).await.unwrap();
    }

    async fn an_upload_that_comes_with_its_job_counts_too(world: &World) {
        world.store.set_quotas(Quotas { upload_bytes: Some(5000), ..Quotas::default() });
        let submission = |size_bytes| {
            let upload = Upload { size_bytes, ..upload(world) };
            Submission { upload: Some(upload), ..world.job(1).into() }
        };
        refusal(world.store.submit(submission(5001)).await);
        assert_eq!(world.store.count_jobs(world.account, &JobFilter::default()).await.unwrap(), 0);
        world.store.submit(submission(900)).await.unwrap();
        refusal(world.store.submit(submission(905)).await);
    }

    async fn an_empty_upload_counts_for_the_block_that_it_takes(world: &World) {
        world.store.set_quotas(Quotas { upload_bytes: Some(3 * 4096), ..Quotas::default() });
        let empty = || Upload { size_bytes: 0, ..upload(world) };
        for _ in 0..3 {
            world.store.create_upload(empty()).await.unwrap();
        }
        assert_eq!(refusal(world.store.create_upload(Upload { size_bytes: 1, ..upload(world) }).await).present, 3 * 4096);
        refusal(world.store.create_upload(empty()).await);
    }

    async fn every_way_a_job_can_go_keeps_the_number_of_those_that_wait(world: &World) {
        let waiting = async || {
            let states = ["draft", "queued", "awaiting_confirmation"].map(ToOwned::to_owned).to_vec();
            let filter = JobFilter { states, ..JobFilter::default() };
            let counted = world.store.count_jobs(world.account, &filter).await.unwrap();
            assert_eq!(used(world, Quota::QueuedJobs).await, counted);
            counted
        };
        let draft = world.submit(Job { state: JobState::Draft, ..world.job(1) }).await;
        world.submit(world.job(1)).await;
        assert_eq!(waiting().await, 2, "a draft waits too");
        let claimed = world.claim().await;
        assert_eq!(waiting().await, 1);
        world.store.release_jobs(vec![claimed.lease]).await.unwrap();
        assert_eq!(waiting().await, 2, "what comes back is never refused");
        let claimed = world.claim().await;
        world.store.start_processing(&claimed.lease, Vec::new(), None).await.unwrap();
        let ended = end(&claimed.job, Signal::Fail(crate::world::failure()), &[OutputState::Failed]);
        world.store.finish_job(claimed.lease, ended).await.unwrap();
        assert_eq!(waiting().await, 1);
        world.store.set_quotas(of_jobs(1));
        refusal(world.store.retry_job(world.account, claimed.job.id, Retry::Whole).await);
        world.store.start_job(world.account, draft.id, None).await.unwrap();
        assert_eq!(waiting().await, 1, "a draft that starts waited already");
        world.store.cancel_job(world.account, draft.id).await.unwrap();
        world.store.retry_job(world.account, claimed.job.id, Retry::Whole).await.unwrap();
        assert_eq!(waiting().await, 1);
        world.store.claim_jobs(1, LEASE).await.unwrap();
        assert_eq!(world.store.void_job_leases().await.unwrap(), 1);
        assert_eq!(waiting().await, 1);
    }
}
