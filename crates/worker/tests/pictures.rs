//! Journeys of pictures: made by a reader, with no tool on the machine, and beside what tools make.

mod bench;

use bench::{Bench, thumbnail};
use reelhook_domain::job::{JobState, OutputState};
use reelhook_testkit::clips::{self, Clip};
use serde_json::json;

#[tokio::test]
async fn a_picture_is_made_smaller_without_any_tool() {
    let mut bench = Bench::new().await;
    bench.tools = None;
    bench.start();
    let source = clips::bytes(Clip::Picture);
    let input = bench.upload("logo.png", source.clone()).await;
    let webp = json!({"recipe": "image", "level": "high", "format": "webp"});
    let small = json!({"recipe": "image", "level": "high", "format": "jpg", "width": 160});
    let id = bench.submit(input, &[webp, small]).await;
    let job = bench.ended(id).await;

    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    assert_eq!(job.inputs[0].media.as_ref().unwrap().format, "png");
    let seen = |number: usize| {
        let file = job.outputs[number].file.as_ref().unwrap();
        let video = file.media.video.as_ref().unwrap();
        (file.name.as_str(), file.mime_type.as_str(), video.width, video.height)
    };
    assert_eq!(seen(0), ("a.webp", "image/webp", 320, 180));
    assert_eq!(seen(1), ("b.jpg", "image/jpeg", 160, 90));
    for output in &job.outputs {
        let file = output.file.as_ref().unwrap();
        assert_eq!(bench.bytes(file).await.len() as u64, file.size_bytes);
        assert_eq!(output.receipt["source_bytes"], source.len());
        assert_eq!((&output.plan[0]["stream"], &output.plan[0]["action"]), (&json!("image"), &json!("encode")));
        let took = |name: &str| output.receipt[name].as_f64().unwrap_or_else(|| panic!("{name}: {:#}", output.receipt));
        assert!(took("encode_ms") > 0.0 && took("decode_ms") + took("encode_ms") <= took("wall_ms") + 1.1);
        assert!(output.receipt["checks"].as_array().unwrap().iter().all(|check| check["passed"] == true));
    }
    assert_eq!(bench.events(id).await, ["job.created", "job.started", "job.completed"]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn a_picture_and_a_thumbnail_are_made_of_one_input() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("logo.png", clips::bytes(Clip::Picture)).await;
    let thumbnail = json!({"recipe": "thumbnail", "at_seconds": 0.0, "format": "jpg"});
    let id = bench.submit(input, &[json!({"recipe": "image", "level": "high"}), thumbnail]).await;
    let job = bench.ended(id).await;
    assert_eq!(job.state, JobState::Completed, "{:#?}", job.outputs);
    let names: Vec<_> = job.outputs.iter().map(|output| output.file.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["a.png", "b.jpg"]);
    bench.stop_and_look().await;
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_what_cannot_be_made_fails() {
    let mut bench = Bench::new().await;
    bench.start();
    let input = bench.upload("clip.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[json!({"recipe": "image", "level": "high"})]).await;
    let JobState::Rejected { error } = bench.ended(id).await.state else { panic!("it was not rejected") };
    assert_eq!((error.code.as_str(), error.message.as_str()), ("unsupported_media", "the input is mp4, not a picture"));

    let input = bench.upload("logo.png", clips::bytes(Clip::Picture)).await;
    let impossible = json!({"recipe": "image", "level": "high", "format": "png", "max_bytes": 100});
    let id = bench.submit(input, &[impossible, json!({"recipe": "image", "level": "high"})]).await;
    let job = bench.ended(id).await;
    assert!(matches!(job.state, JobState::Partial { .. }), "{:?}", job.state);
    assert_eq!(job.outputs[0].error.as_ref().unwrap().code, "target_too_small");
    assert_eq!(job.outputs[1].state, OutputState::Completed);

    // A video has no picture of its own that `image` would take, but its thumbnail is made all the same.
    let input = bench.upload("clip.mp4", clips::bytes(Clip::Silent)).await;
    let id = bench.submit(input, &[json!({"recipe": "image", "level": "high"}), thumbnail()]).await;
    let job = bench.ended(id).await;
    assert_eq!((job.outputs[0].state, job.outputs[1].state), (OutputState::Failed, OutputState::Completed));
    bench.stop_and_look().await;
}
