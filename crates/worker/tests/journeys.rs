//! Whole journeys from an upload: what is made, and what a job that cannot be done ends with.

mod bench;

use bench::{Bench, compress, extract_audio, thumbnail};
use reelhook_domain::failure::Fault;
use reelhook_domain::job::{JobState, OnDamage, OutputState};
use reelhook_store::{Jobs as _, Retry};
use reelhook_testkit::clips::{self, Clip};

#[tokio::test]
async fn an_upload_becomes_verified_outputs_and_the_end_is_told() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("holiday.mp4", clips::bytes(Clip::Video)).await;
    let id = bench.submit(input, &[compress(), thumbnail(), extract_audio()]).await;
    let job = bench.ended(id).await;

    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    assert_eq!((job.progress, job.stage), (100, None));
    let input = job.inputs[0].clone();
    assert_eq!((input.name.as_str(), input.size_bytes as usize), ("holiday.mp4", clips::bytes(Clip::Video).len()));
    assert_eq!(input.media.unwrap().format, "mp4");
    let names: Vec<_> = job.outputs.iter().map(|output| output.file.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["a.mp4", "b.jpg", "c.mp3"]);
    for output in &job.outputs {
        assert_eq!((output.state, output.progress), (OutputState::Completed, 100));
        let file = output.file.as_ref().unwrap();
        assert_eq!(bench.bytes(file).await.len() as u64, file.size_bytes);
        assert_eq!(output.receipt["input_sha256"], input.sha256);
        assert_eq!(output.receipt["output_bytes"], file.size_bytes);
        // All three came out of one run.
        assert_eq!(output.receipt["shared_by"], 3);
        let checks = output.receipt["checks"].as_array().unwrap();
        assert!(!checks.is_empty() && checks.iter().all(|check| check["passed"] == true), "{checks:?}");
        assert!(!output.plan.as_array().unwrap().is_empty());
    }
    assert_eq!(bench.events(id).await, ["job.created", "job.started", "job.completed"]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn an_output_that_cannot_be_made_does_not_cost_the_others() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("silent.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[extract_audio(), thumbnail()]).await;
    let job = bench.ended(id).await;

    let JobState::Partial { error } = &job.state else { panic!("{:?}", job.state) };
    assert_eq!(job.outputs[0].error.as_ref(), Some(error));
    assert_eq!((job.outputs[0].state, job.outputs[1].state), (OutputState::Failed, OutputState::Completed));
    assert_eq!(bench.events(id).await.last().unwrap(), "job.partial");

    // Again: what was made stays as it was.
    bench.store.retry_job(bench.account, id, Retry::FailedOutputs).await.unwrap();
    let again = bench.ended(id).await;
    assert!(matches!(again.state, JobState::Partial { .. }), "{:?}", again.state);
    assert_eq!(again.outputs[1].file, job.outputs[1].file);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn what_one_run_cannot_make_together_is_made_one_by_one() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("noisy.mp4", clips::bytes(Clip::Noisy)).await;
    // Both walk the whole input, so one run shall make both; the picture ends it.
    let id = bench.submit(input, &[compress(), extract_audio()]).await;
    let job = bench.ended(id).await;
    let JobState::Partial { error } = &job.state else { panic!("{job:#?}") };
    assert_eq!((error.code.as_str(), error.fault), ("input_damaged", Fault::Input));
    assert_eq!((job.outputs[0].state, job.outputs[1].state), (OutputState::Failed, OutputState::Completed));
    assert_eq!(job.outputs[1].receipt["shared_by"], 1);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_job_whose_outputs_all_fail_fails() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("silent.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[extract_audio()]).await;
    let job = bench.ended(id).await;
    let JobState::Failed { error } = &job.state else { panic!("{:?}", job.state) };
    assert_eq!(job.outputs[0].error.as_ref(), Some(error));
    bench.stop_and_look().await;
}

#[tokio::test]
async fn what_is_not_media_is_rejected() {
    let mut bench = Bench::new().await;
    bench.start();
    for kind in [Clip::Garbage, Clip::Playlist] {
        let input = bench.upload("clip.mp4", clips::bytes(kind)).await;
        let id = bench.submit(input, &[thumbnail()]).await;
        let job = bench.ended(id).await;
        let JobState::Rejected { error } = &job.state else { panic!("{kind:?}: {:?}", job.state) };
        assert_eq!((error.code.as_str(), error.fault), ("unsupported_media", Fault::Input));
        assert_eq!(bench.events(id).await, ["job.created", "job.rejected"]);
    }
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_truncated_input_fails_when_strict_and_is_partial_when_salvaged() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("cut.mp4", clips::truncated(Clip::Video, 60)).await;
    let strict = bench.submit(input.clone(), &[thumbnail()]).await;
    let job = bench.ended(strict).await;
    let JobState::Failed { error } = &job.state else { panic!("{:?}", job.state) };
    assert_eq!((error.code.as_str(), error.fault), ("input_truncated", Fault::Input));

    let salvaged = bench.submit_with(input, &[thumbnail()], OnDamage::Salvage).await;
    let job = bench.ended(salvaged).await;
    let JobState::Partial { error } = &job.state else { panic!("{:?}", job.state) };
    assert_eq!(error.code, "input_truncated");
    assert_eq!(job.outputs[0].state, OutputState::Completed);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_result_that_is_not_smaller_gives_way_to_the_source() {
    let mut bench = Bench::new().await;
    bench.start();
    let source = clips::bytes(Clip::Squeezed);
    let input = bench.upload("tiny.mp4", source.clone()).await;
    let recipe = serde_json::json!({"recipe": "compress", "crf": 1, "codec": "h264", "format": "mov"});
    let id = bench.submit(input, &[recipe]).await;
    let job = bench.ended(id).await;

    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    let output = &job.outputs[0];
    let file = output.file.as_ref().unwrap();
    assert_eq!(bench.bytes(file).await, source);
    assert_eq!((file.name.as_str(), file.mime_type.as_str()), ("a.mp4", "video/mp4"));
    assert_eq!(output.plan[0]["action"], "keep", "{}", output.plan);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_machine_without_ffmpeg_says_so() {
    let mut bench = Bench::new().await;
    bench.tools = None;
    bench.start();
    let input = bench.upload("clip.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[thumbnail()]).await;
    let job = bench.ended(id).await;
    let JobState::Failed { error } = &job.state else { panic!("{:?}", job.state) };
    assert_eq!((error.code.as_str(), error.fault, error.retryable), ("ffmpeg_missing", Fault::Server, true));
    bench.stop_and_look().await;
}
