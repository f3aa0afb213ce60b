//! What a job is expected to take, what it cost, and the question between.

mod bench;

use std::time::Duration;

use bench::{Bench, thumbnail};
use reelhook_domain::job::{JobState, OutputState};
use reelhook_store::Jobs as _;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

/// Two seconds of 320x180 at 25 frames a second, priced as 480p: 2/60 x 0.06 x 0.5 x 25/30 x the tier's factor.
fn convert(codec: &str, quality: &str) -> Value {
    json!({"recipe": "convert", "format": "mkv", "codec": codec, "quality": quality})
}

#[tokio::test]
async fn a_job_that_asks_waits_with_its_estimate_until_it_is_confirmed() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let recipes = [convert("h264", "standard"), convert("h265", "economy"), thumbnail()];
    let id = bench.submit_asking(input, &recipes).await;
    let asked = bench.until(id, |job| job.state.name() == "awaiting_confirmation").await;
    let JobState::AwaitingConfirmation { until } = asked.state else { panic!("{:?}", asked.state) };
    let left = until.since(bench.ambient.now());
    assert!(left > Duration::from_secs(24 * 3600 - 120) && left <= Duration::from_secs(24 * 3600), "{left:?}");
    assert!(asked.inputs[0].media.is_some(), "the caller sees what was found");
    let estimate = asked.estimate.clone().expect("there is something to accept");
    assert_eq!((estimate.cost.currency.as_str(), &estimate.cost.outputs[..]), ("EUR", &[0.0008, 0.0009, 0.0][..]));
    assert!((estimate.cost.amount - 0.0017).abs() < 1e-9, "{estimate:?}");
    assert!(estimate.cpu_seconds > 0.0 && estimate.wall_seconds > 0.0 && estimate.size_bytes > 0, "{estimate:?}");
    assert_eq!(bench.events(id).await, ["job.created", "job.awaiting_confirmation"]);

    bench.store.confirm_job(bench.account, id).await.unwrap();
    let job = bench.ended(id).await;
    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    assert!(job.confirmed_at.is_some());
    assert_eq!(bench.events(id).await[2..], ["job.started", "job.completed"]);
    let cost = job.cost.expect("what was made costs");
    assert_eq!((cost.currency.as_str(), &cost.outputs[..]), ("EUR", &[0.0008, 0.0009, 0.0][..]));
    bench.stop_and_look().await;
}

#[tokio::test]
async fn what_failed_costs_nothing_and_prices_are_those_of_the_settings() {
    let mut bench = Bench::new().await;
    bench.settings.prices.per_minute = 60.0;
    bench.settings.prices.currency = "USD".to_owned();
    bench.start();
    let input = bench.upload("silent.mp4", clips::bytes(Clip::Silent)).await;
    let failing = json!({"recipe": "extract_audio", "format": "mp3"});
    let id = bench.submit(input, &[failing, convert("h264", "premium")]).await;
    let job = bench.ended(id).await;
    let states: Vec<_> = job.outputs.iter().map(|output| output.state).collect();
    assert_eq!(states, [OutputState::Failed, OutputState::Completed]);
    let cost = job.cost.expect("a part was made");
    // 2/60 x 60 x 0.5 x 25/30 x 2
    assert_eq!((cost.currency.as_str(), &cost.outputs[..], cost.amount), ("USD", &[0.0, 1.6667][..], 1.6667));
    assert_eq!(job.estimate.expect("it was probed").cost.outputs, [0.0, 1.6667]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_job_of_which_nothing_can_be_made_fails_without_a_question() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("silent.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit_asking(input, &[json!({"recipe": "extract_audio", "format": "mp3"})]).await;
    let job = bench.ended(id).await;
    assert!(matches!(job.state, JobState::Failed { .. }), "{:?}", job.state);
    assert_eq!(job.cost.map(|cost| cost.amount), Some(0.0));
    bench.stop_and_look().await;
}
