//! The room that is left for the database, and what one job may have on the disk.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use reelhook_testkit::Receiver;
use reelhook_testkit::clips::{self, Clip};
use serde_json::{Value, json};

use crate::inbox;
use crate::small_disk::SmallDisk;
use crate::world::{Serve, World, eventually, script};

const MEBI: u64 = 1 << 20;

/// An ffmpeg that answers questions about itself. When it shall encode a result for `resize`, it writes files beside the
/// result without end, about 20 MiB a second, none of them large.
fn filling_ffmpeg(folder: &Path) -> String {
    let ask = "case \"$*\" in *-version*|*-encoders*|*-decoders*|*-filters*|*-muxers*|*-demuxers*|*-protocols*|*-buildconf*) exec ffmpeg \"$@\";; esac";
    let honest = "case \"$*\" in *mp4*) ;; *) exec ffmpeg \"$@\";; esac";
    let fill = "for last; do :; done\nn=0\nwhile :; do head -c 1048576 /dev/zero > \"$last.$n\" || exit 1; n=$((n+1)); sleep 0.05; done";
    script(folder, "ffmpeg", &format!("{ask}\n{honest}\n{fill}"))
        .to_str()
        .expect("the folder has a plain name")
        .to_owned()
}

fn resize(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"name": "a", "recipe": "resize", "width": 32, "quality": "economy"}]})
}

fn thumbnail(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 64}]})
}

fn error(job: &Value) -> &Value {
    if job["error"].is_null() { &job["outputs"][0]["error"] } else { &job["error"] }
}

/// Bytes that are free on the file system of a folder.
fn free(folder: &Path) -> u64 {
    let room = rustix::fs::statvfs(folder).expect("the folder is there");
    room.f_bavail * room.f_frsize
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_writes_without_end_is_ended_before_the_reserve_is_gone() {
    let (disk, folder) = (SmallDisk::mount("128m"), tempfile::tempdir().unwrap());
    let serve = Serve::dev()
        .set("media.ffmpeg", filling_ffmpeg(folder.path()))
        .set("media.sandbox", "off")
        .set("disk.reserve_bytes", 64 * MEBI);
    let data = disk.path().join("data");
    let mut world = World::start_over(tempfile::tempdir().unwrap(), data, serve).await;
    let receiver = Receiver::start().await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let mut job = resize(&upload);
    job["webhook"] = json!({"url": receiver.url("/hook")});
    let before = free(disk.path());
    let id = world.submit(&job).await;
    let mut least = before;
    let watched = async {
        loop {
            least = least.min(free(disk.path()));
            tokio::task::yield_now().await;
        }
    };
    let job = tokio::select! {
        job = world.job_ended(&id, "failed") => job,
        () = watched => unreachable!("it has no end"),
    };
    let error = error(&job);
    assert_eq!((&error["code"], &error["fault"]), (&json!("out_of_disk"), &json!("server")), "{job:#}");
    assert_eq!(error["retryable"], true);
    assert!(least < 66 * MEBI, "it came near the reserve, to {least} bytes");
    assert!(least > 16 * MEBI, "the database kept room; {least} bytes were the least");
    // Its end was written and told of, nothing of it is left, and the server goes on.
    inbox::wait_for(&receiver, &["job.created", "job.started", "job.failed"]).await;
    eventually("the room is back", async || free(disk.path()) > before - 2 * MEBI).await;
    let id = world.submit(&thumbnail(&upload)).await;
    world.job_ended(&id, "completed").await;
    assert!(world.is_alive());
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_makes_too_many_files_is_ended_by_the_setting_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::dev()
        .set("media.ffmpeg", filling_ffmpeg(folder.path()))
        .set("media.sandbox", "off")
        .set("media.max_scratch_bytes", 8 * MEBI);
    let mut world = World::start(serve).await;
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let id = world.submit(&resize(&upload)).await;
    let job = world.job_ended(&id, "failed").await;
    let error = error(&job);
    assert_eq!((&error["code"], &error["fault"]), (&json!("scratch_limit"), &json!("request")), "{job:#}");
    let message = error["message"].as_str().expect("a message is text");
    assert!(message.contains("media.max_scratch_bytes") && message.contains(&(8 * MEBI).to_string()), "{message}");
    world.job_ended(&world.submit(&thumbnail(&upload)).await, "completed").await;
    assert!(world.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_the_reserve_is_refused_and_works_again_when_there_is_room() {
    let disk = SmallDisk::mount("64m");
    let serve = Serve::dev().set("disk.reserve_bytes", 24 * MEBI);
    let world = World::start_over(tempfile::tempdir().unwrap(), disk.path().join("data"), serve).await;
    let receiver = Receiver::start().await;
    world.post("/v1/endpoints", &json!({"url": receiver.url("/hook")})).await.expect(201);
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let large = world.send("large.bin", Bytes::from(vec![7; 48 << 20])).await;
    assert_eq!(large.expect(503)["code"], "out_of_disk");
    let is_gone = async || free(disk.path()) > 24 * MEBI;
    eventually("nothing is kept of what did not fit beside the reserve", is_gone).await;

    let other = disk.path().join("others");
    let taken = free(disk.path()) - 20 * MEBI;
    fs::write(&other, vec![7; usize::try_from(taken).unwrap()]).unwrap();
    assert_eq!(world.send("b.mp4", clips::bytes(Clip::Video)).await.expect(503)["code"], "out_of_disk");
    assert_eq!(world.post("/v1/jobs", &thumbnail(&upload)).await.expect(503)["code"], "out_of_disk");
    // The reserve is for this.
    world.post("/v1/events", &json!({"type": "order.paid", "payload": {}})).await.expect(202);
    receiver.wait_for(1, std::time::Duration::from_secs(30)).await;

    fs::remove_file(other).unwrap();
    let id = world.submit(&thumbnail(&upload)).await;
    world.job_ended(&id, "completed").await;
    drop(world);
}
