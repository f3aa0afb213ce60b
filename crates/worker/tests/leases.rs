//! Claims: canceled, given back, given up; and what the sweep removes.

mod bench;

use std::time::Duration;

use bench::{Bench, thumbnail};
use reelhook_domain::failure::{Fault, Stage};
use reelhook_domain::job::{InputSource, JobState, OutputState};
use reelhook_files::{FilesError, Key};
use reelhook_store::Jobs as _;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

/// Takes far longer than any test waits.
fn endless() -> Value {
    json!({"recipe": "convert", "format": "mp4", "codec": "h264", "quality": "premium",
        "width": 3840, "height": 2160, "enlarge": true})
}

#[tokio::test]
async fn a_canceled_job_frees_its_slot_at_once_and_leaves_nothing() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = bench.submit(input, &[endless()]).await;
    bench.until(id, |job| job.stage == Some(Stage::Encoding)).await;
    let short = bench.upload("short.mp4", clips::bytes(Clip::Silent)).await;
    let next = bench.submit(short, &[thumbnail()]).await;

    bench.store.cancel_job(bench.account, id).await.unwrap();
    // There is one slot, so the next job can only end once the encoder of the first is gone.
    assert_eq!(bench.ended(next).await.state, JobState::Completed);
    let job = bench.job(id).await;
    assert_eq!((&job.state, job.outputs[0].state), (&JobState::Canceled, OutputState::Canceled));
    assert_eq!(bench.events(id).await, ["job.created", "job.started", "job.canceled"]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_stopping_worker_puts_its_jobs_back_uncounted() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = bench.submit(input, &[endless()]).await;
    bench.until(id, |job| job.stage == Some(Stage::Encoding)).await;
    bench.stop_and_look().await;
    let job = bench.job(id).await;
    assert_eq!((job.state, job.outputs[0].state), (JobState::Queued, OutputState::Waiting));
    let claimed = bench.store.claim_jobs(1, Duration::from_secs(30)).await.unwrap();
    assert_eq!((claimed[0].job.id, claimed[0].claims), (id, 1));
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up() {
    let mut bench = Bench::new().await;
    let input = bench.upload("short.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[thumbnail()]).await;
    for _ in 0..bench.settings.claims_before_giving_up {
        assert_eq!(bench.store.claim_jobs(1, Duration::from_secs(30)).await.unwrap().len(), 1);
        bench.store.void_job_leases().await.unwrap();
    }
    bench.start();
    let job = bench.ended(id).await;
    let JobState::Failed { error } = &job.state else { panic!("{:?}", job.state) };
    assert_eq!((error.code.as_str(), error.fault, error.retryable), ("gave_up", Fault::Server, true));
    assert!(error.message.contains("5 times"), "{}", error.message);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_job_whose_worker_died_is_claimed_when_its_lease_ran_out() {
    let mut bench = Bench::new().await;
    let input = bench.upload("short.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[thumbnail()]).await;
    assert_eq!(bench.store.claim_jobs(1, Duration::from_millis(10)).await.unwrap().len(), 1);
    bench.start();
    assert_eq!(bench.ended(id).await.state, JobState::Completed);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_renewed_lease_outlives_its_span() {
    let mut bench = Bench::new().await;
    bench.settings.lease = Duration::from_secs(1);
    bench.start();
    let input = bench.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = bench.submit(input, &[endless()]).await;
    let began = bench.until(id, |job| job.stage == Some(Stage::Encoding)).await;
    // By now more than one span has passed, or passes here; a lease that was not renewed could be claimed.
    let since = tokio::time::Instant::now();
    while since.elapsed() < 2 * bench.settings.lease {
        assert_eq!(bench.store.claim_jobs(1, Duration::from_secs(30)).await.unwrap().len(), 0);
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.job(id).await.started_at, began.started_at);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_lost_lease_ends_the_journey_and_the_job_begins_anew() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = bench.submit(input, &[endless()]).await;
    bench.until(id, |job| job.stage == Some(Stage::Encoding)).await;
    bench.store.void_job_leases().await.unwrap();
    // There is one slot, so it can only begin again once the first journey has ended.
    bench.until(id, |job| job.stage == Some(Stage::Encoding)).await;
    assert_eq!(bench.events(id).await, ["job.created", "job.started", "job.started"]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn an_upload_whose_time_is_over_is_removed_with_its_file() {
    let mut bench = Bench::new().await;
    let over = bench.upload_until("over.mp4", b"x".to_vec(), Duration::ZERO).await;
    let kept = bench.upload("kept.mp4", b"x".to_vec()).await;
    // A sweep that began is finished before the worker is gone.
    bench.start();
    bench.stop_and_look().await;
    let size = async |input: &InputSource| match input {
        InputSource::Upload(id) => bench.files.size(&Key::upload(*id)).await,
        InputSource::Url(_) | InputSource::Origin { .. } => panic!("not an upload"),
    };
    assert!(matches!(size(&over).await, Err(FilesError::NotFound)));
    assert_eq!(size(&kept).await.unwrap(), 1);

    let InputSource::Upload(id) = over else { panic!("not an upload") };
    let late = bench.submit(InputSource::Upload(id), &[thumbnail()]).await;
    bench.start();
    let job = bench.ended(late).await;
    assert_eq!(job.state.error().unwrap().code, "upload_not_found");
    bench.stop_and_look().await;
}
