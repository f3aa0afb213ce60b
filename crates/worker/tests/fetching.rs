//! Inputs from a URL: what a well-mannered origin gives, and what an ill-mannered one costs.

mod bench;

use std::time::Duration;

use bench::{Bench, thumbnail};
use reelhook_domain::failure::JobFailure;
use reelhook_domain::job::{InputSource, Job, JobState};
use reelhook_egress::Policy;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin};
use url::Url;

async fn job_of(bench: &Bench, url: Url) -> Job {
    let id = bench.submit(InputSource::Url(url), &[thumbnail()]).await;
    bench.ended(id).await
}

async fn failure_of(bench: &Bench, url: Url) -> JobFailure {
    match job_of(bench, url).await.state {
        JobState::Failed { error } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_input_is_downloaded_by_its_url() {
    let origin = Origin::start().await;
    let clip = clips::bytes(Clip::Silent);
    let url = origin.put("/clips/My%20clip.mp4", clip.clone(), Manners::Good);
    let from = origin.put("/from", "", Manners::RedirectTo(url));
    let mut bench = Bench::new().await;
    bench.start();
    let job = job_of(&bench, origin.url("/clips/My%20clip.mp4?token=secret")).await;
    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    let input = job.inputs[0].clone();
    assert_eq!((input.name.as_str(), input.size_bytes), ("My clip.mp4", clip.len() as u64));
    assert_eq!(job_of(&bench, from).await.state, JobState::Completed);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let origin = Origin::start().await;
    let clip = clips::bytes(Clip::Silent);
    let url = origin.put("/clip.mp4", clip.clone(), Manners::ResetOnce(1000));
    let mut bench = Bench::new().await;
    bench.start();
    let job = job_of(&bench, url).await;
    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[1].header("range"), requests[1].header("if-range")), ("bytes=1000-", "\"0\""));

    // What was joined from two parts hashes like the whole.
    let whole = bench.upload("clip.mp4", clip).await;
    let again = bench.submit(whole, &[thumbnail()]).await;
    assert_eq!(bench.ended(again).await.inputs[0].sha256, job.inputs[0].sha256);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn every_bad_manner_ends_with_its_own_code() {
    let origin = Origin::start().await;
    let clip = clips::bytes(Clip::Silent);
    let put = |path: &str, manners| origin.put(path, clip.clone(), manners);
    let inside = Url::parse("http://169.254.169.254/latest/meta-data").unwrap();
    let mut bench = Bench::new().await;
    bench.settings.fetch.bytes = 1 << 20;
    bench.settings.fetch.stall = Duration::from_millis(100);
    bench.start();
    for (url, code, retryable) in [
        (put("/lies", Manners::LieAboutLength(10)), "fetch_truncated", true),
        (put("/cut", Manners::CutAfter(1000)), "fetch_truncated", true),
        (put("/stall", Manners::StallAfter(1000)), "fetch_stalled", true),
        (put("/endless", Manners::Endless), "too_large", false),
        (put("/gone", Manners::Status(404)), "origin_status", false),
        (put("/busy", Manners::Status(503)), "origin_status", true),
        (put("/inside", Manners::RedirectTo(inside.clone())), "redirect_not_allowed", false),
        (put("/loop", Manners::RedirectTo(origin.url("/loop"))), "too_many_redirects", false),
        (inside, "address_not_allowed", false),
        ("http://name.invalid/clip.mp4".parse().unwrap(), "fetch_failed", true),
        ("ftp://127.0.0.1/clip.mp4".parse().unwrap(), "url_not_allowed", false),
    ] {
        let mut url = url;
        url.set_query(Some("token=secret"));
        let failure = failure_of(&bench, url.clone()).await;
        assert_eq!((failure.code.as_str(), failure.retryable), (code, retryable), "{url}: {}", failure.message);
        assert!(!failure.message.contains("secret") && !failure.message.contains("/latest"), "{}", failure.message);
    }
    let count = |path: &str| origin.requests().iter().filter(|request| request.path.starts_with(path)).count();
    assert_eq!((count("/gone"), count("/busy"), count("/stall"), count("/endless")), (1, 3, 3, 1));
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_drip_is_ended_by_the_deadline() {
    let origin = Origin::start().await;
    let url = origin.put("/drip", clips::bytes(Clip::Silent), Manners::Drip(1, Duration::from_millis(20)));
    let mut bench = Bench::new().await;
    bench.settings.fetch.deadline = Duration::from_millis(300);
    bench.start();
    assert_eq!(failure_of(&bench, url).await.code, "fetch_timeout");
    bench.stop_and_look().await;
}

#[tokio::test]
async fn this_machine_is_not_fetched_from_unless_that_is_allowed() {
    let origin = Origin::start().await;
    let url = origin.put("/clip.mp4", clips::bytes(Clip::Silent), Manners::Good);
    let mut bench = Bench::new().await;
    bench.policy = Policy::public().allow_http();
    bench.start();
    let failure = failure_of(&bench, url).await;
    assert_eq!(failure.code, "address_not_allowed");
    assert!(origin.requests().is_empty());
    bench.stop_and_look().await;
}
