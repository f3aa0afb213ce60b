//! Models that cut subjects out are run in a child of the server, between a decoder and an encoder.

use std::fs;

use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

use crate::onnx;
use crate::world::{Serve, World, eventually, is_running};

/// A server with a model for which all is subject, one for which nothing is, and one that takes its time.
async fn world() -> World {
    let world = World::start(Serve::dev()).await;
    let models = world.data().join("models");
    fs::create_dir_all(&models).expect("a folder");
    onnx::write(&models.join("all.onnx"), [0.0; 3], 1.0, Some((16, 16)));
    onnx::write(&models.join("nothing.onnx"), [0.0; 3], 0.0, Some((16, 16)));
    onnx::write(&models.join("slow.onnx"), [0.0; 3], 1.0, Some((300, 300)));
    world
}

fn cut_out(upload: &str, model: &str, more: &Value) -> Value {
    let mut output = json!({"recipe": "remove_background", "model": model});
    for (name, field) in more.as_object().expect("an object") {
        output[name] = field.clone();
    }
    json!({"input": {"upload": upload}, "outputs": [output]})
}

/// Those of a server's children that run models.
fn cutters(world: &World) -> Vec<u32> {
    let is_cutter = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).any(|word| word == b"--cutter")
    };
    world.children().into_iter().filter(is_cutter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_takes_decoder_model_and_encoder_with_it_and_the_next_one_finishes() {
    let mut world = world().await;
    let upload = world.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = world.submit(&cut_out(&upload, "slow", &json!({"refine": "none"}))).await;
    eventually("all three run", async || cutters(&world).len() == 1 && world.encoders().len() == 2).await;
    let children = world.children();
    assert!(children.len() >= 3, "{children:?}");
    world.kill().await;
    eventually("they are gone", async || !children.iter().any(|pid| is_running(*pid))).await;

    assert!(world.serve(Serve::dev()).await);
    let job = world.job_ended(&id, "completed").await;
    world.check_outputs(&job).await;
    let matte = &job["outputs"][0]["receipt"]["matte"];
    assert_eq!((&matte["model"], &matte["without_subject"]), (&json!("slow"), &json!(0.0)), "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_canceled_leaves_no_child() {
    let world = world().await;
    let upload = world.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = world.submit(&cut_out(&upload, "slow", &json!({"refine": "none"}))).await;
    eventually("all three run", async || cutters(&world).len() == 1 && world.encoders().len() == 2).await;
    let children = world.children();
    world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    eventually("they are gone", async || !children.iter().any(|pid| is_running(*pid))).await;
    world.job_ended(&id, "canceled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_installed_is_refused_with_the_names_of_those_that_are() {
    let world = world().await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let answer = world.post("/v1/jobs", &cut_out(&upload, "slwo", &json!({}))).await;
    answer.expect(422);
    let violations = answer.violations().join("; ");
    for word in ["outputs[0].model", "slwo", "did you mean slow", "all, nothing, slow", "chroma"] {
        assert!(answer.json().to_string().contains(word), "{word}: {violations}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_without_a_subject_is_told_or_fails_as_was_asked() {
    let world = world().await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let job = world.job_ended(&world.submit(&cut_out(&upload, "nothing", &json!({}))).await, "completed").await;
    let receipt = &job["outputs"][0]["receipt"];
    assert_eq!(receipt["warnings"][0]["code"], "no_subject", "{job:#}");
    assert_eq!(receipt["matte"]["without_subject"], 1.0, "{job:#}");
    let required = json!({"require_subject": true});
    let job = world.job_ended(&world.submit(&cut_out(&upload, "nothing", &required)).await, "failed").await;
    assert!(job.to_string().contains("\"no_subject\""), "{job:#}");
    let job = world.job_ended(&world.submit(&cut_out(&upload, "all", &required)).await, "completed").await;
    assert_eq!(job["outputs"][0]["receipt"]["warnings"], Value::Null, "{job:#}");
    world.check_outputs(&job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photograph_is_cut_out_too() {
    let world = world().await;
    let photograph = world.folder().join("photograph.jpg");
    clips::ffmpeg(["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=1", "-frames:v", "1"], &photograph);
    let upload = world.upload("photograph.jpg", fs::read(&photograph).expect("it was made")).await;
    for format in ["png", "webp"] {
        let id = world.submit(&cut_out(&upload, "all", &json!({"format": format}))).await;
        let job = world.job_ended(&id, "completed").await;
        world.check_outputs(&job).await;
        assert_eq!(job["outputs"][0]["file"]["media"]["format"], format, "{job:#}");
    }
    let id = world.submit(&cut_out(&upload, "all", &json!({"format": "webm"}))).await;
    let job = world.job_at_end(&id).await;
    assert!(job.to_string().contains("still_picture"), "{job:#}");
}
