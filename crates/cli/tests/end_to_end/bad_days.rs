//! What goes wrong on the server's own machine: told to the caller with a code, and outlived.

use std::path::Path;

use bytes::Bytes;
use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Manners, Origin, Receiver};
use serde_json::{Value, json};

use crate::inbox;
use crate::small_disk::SmallDisk;
use crate::world::{Serve, World, eventually, is_running, script};

fn compress(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "compress", "crf": 30}]})
}

/// A job that takes long enough to be interrupted when its input is [`Clip::Long`].
fn shrink(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "resize", "width": 320, "quality": "economy"}]})
}

/// Why a job of a good clip failed on this server, which must stay up.
async fn failure(serve: Serve) -> Value {
    let mut world = World::start(serve).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let job = world.job_ended(&world.submit(&compress(&upload)).await, "failed").await;
    assert!(world.is_alive());
    world.get("/v1/jobs").await.expect(200);
    let error = if job["error"].is_null() { &job["outputs"][0]["error"] } else { &job["error"] };
    assert_eq!(error["fault"], "server", "{job:#}");
    error.clone()
}

/// An ffmpeg that answers questions about itself, and does those lines of shell when it shall encode.
fn false_ffmpeg(folder: &Path, lines: &str) -> String {
    let ask = "case \"$*\" in *-version*|*-encoders*|*-decoders*|*-filters*|*-muxers*|*-demuxers*|*-protocols*|*-buildconf*) exec ffmpeg \"$@\";; esac";
    script(folder, "ffmpeg", &format!("{ask}\n{lines}")).to_str().expect("the folder has a plain name").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_jobs_fail_and_the_server_stays() {
    let error = failure(Serve::dev().set("media.ffmpeg", "/nonexistent")).await;
    assert_eq!((&error["code"], &error["retryable"]), (&json!("ffmpeg_missing"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_hangs_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let program = false_ffmpeg(folder.path(), "exec sleep 600");
    let serve = Serve::dev().set("media.ffmpeg", program).set("media.stall_seconds", 2).set("media.sandbox", "off");
    let error = failure(serve).await;
    assert_eq!((&error["code"], &error["stage"]), (&json!("stalled"), &json!("encoding")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_makes_nothing_and_says_all_is_well_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let program = false_ffmpeg(folder.path(), "for last; do :; done\n: > \"$last\"\nexit 0");
    let error = failure(Serve::dev().set("media.ffmpeg", program).set("media.sandbox", "off")).await;
    assert_eq!(error["code"], "output_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_stop_interrupts_is_finished_by_the_next_server() {
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let upload = world.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let mut job = shrink(&upload);
    job["webhook"] = json!({"url": receiver.url("/hook")});
    let id = world.submit(&job).await;
    world.job_when(&id, |job| job["stage"] == "encoding").await;
    eventually("an encoder runs", async || !world.encoders().is_empty()).await;
    let status = world.terminate().await;
    assert!(status.success(), "a stop is no failure: {status}");

    assert!(world.serve(Serve::dev()).await);
    let job = world.job_ended(&id, "completed").await;
    world.check_outputs(&job).await;
    let all = inbox::wait_for(&receiver, &["job.created", "job.started", "job.completed"]).await;
    inbox::check(&all, &inbox::secret(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_takes_its_encoders_with_it_and_the_next_one_finishes() {
    let mut world = World::start(Serve::dev()).await;
    let upload = world.upload("long.mp4", clips::bytes(Clip::Long)).await;
    let id = world.submit(&shrink(&upload)).await;
    world.job_when(&id, |job| job["stage"] == "encoding").await;
    eventually("an encoder runs", async || !world.encoders().is_empty()).await;
    let encoders = world.encoders();
    world.kill().await;
    eventually("its encoders are gone", async || !encoders.iter().any(|pid| is_running(*pid))).await;

    assert!(world.serve(Serve::dev()).await);
    let job = world.job_ended(&id, "completed").await;
    world.check_outputs(&job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_uploads_and_the_server_stays() {
    let disk = SmallDisk::mount("24m");
    let data = disk.path().join("data");
    let mut world = World::start_over(tempfile::tempdir().unwrap(), data, Serve::dev()).await;
    let clip = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let answer = world.send("large.bin", Bytes::from(vec![7; 40 << 20])).await;
    assert_eq!(answer.expect(503)["code"], "out_of_disk");

    // Nothing is kept of it, so that what fits still works.
    assert!(world.is_alive());
    let id = world.submit(&json!({"input": {"upload": clip}, "outputs": [{"recipe": "thumbnail", "width": 64}]})).await;
    let job = world.job_ended(&id, "completed").await;
    world.check_outputs(&job).await;
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_does_not_fit_on_the_disk_fails_its_job_alone() {
    let disk = SmallDisk::mount("24m");
    let data = disk.path().join("data");
    let origin = Origin::start().await;
    let mut world = World::start_over(tempfile::tempdir().unwrap(), data, Serve::dev()).await;
    let large = Bytes::from(vec![7; 40 << 20]);
    // One says how long it is, one does not, and the third fits.
    let urls = [
        origin.put("/large.mp4", large.clone(), Manners::Good),
        origin.put("/endless.mp4", large, Manners::Endless),
        origin.put("/small.mp4", clips::bytes(Clip::Video), Manners::Good),
    ];
    for (url, state) in urls.into_iter().zip(["failed", "failed", "completed"]) {
        let job = json!({"input": {"url": url}, "outputs": [{"recipe": "thumbnail", "width": 64}]});
        let job = world.job_ended(&world.submit(&job).await, state).await;
        if state == "failed" {
            let error = &job["error"];
            assert_eq!((&error["code"], &error["stage"]), (&json!("out_of_disk"), &json!("fetching")), "{error:#}");
        }
    }
    assert!(world.is_alive());
    drop(world);
}
