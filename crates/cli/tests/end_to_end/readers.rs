//! What reads strangers' pictures and archives is a child of the server, in the sandbox, and its end costs one step.

use std::fs;
use std::path::Path;

use reelhook_testkit::clips;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::{Serve, World, eventually};

/// A picture on which a reader works for seconds.
fn large(folder: &Path) -> Vec<u8> {
    picture(folder, "large.bmp", "4000x3000")
}

fn picture(folder: &Path, name: &str, size: &str) -> Vec<u8> {
    let path = folder.join(name);
    let source = format!("testsrc2=size={size}:rate=1");
    clips::ffmpeg(["-f", "lavfi", "-i", &source, "-frames:v", "1"], &path);
    fs::read(path).expect("it was made")
}

/// The readers of a server that work, or wait for a task.
fn readers(world: &World) -> Vec<u32> {
    let is_reader = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).any(|word| word == b"--reader")
    };
    world.children().into_iter().filter(is_reader).collect()
}

async fn one_reader(world: &World) -> u32 {
    eventually("a reader works", async || !readers(world).is_empty()).await;
    readers(world)[0]
}

async fn no_reader(world: &World) {
    eventually("no reader is left", async || readers(world).is_empty()).await;
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("it is a process");
    kill_process(pid, signal).expect("it runs");
}

fn avif(upload: &str) -> Value {
    json!({"input": {"upload": upload}, "outputs": [{"recipe": "image", "format": "avif"}]})
}

/// The server makes a small picture as ever.
async fn check_server(world: &mut World, folder: &Path) {
    assert!(world.is_alive());
    let upload = world.upload("small.png", picture(folder, "small.png", "64x48")).await;
    let job = world.job_ended(&world.submit(&avif(&upload)).await, "completed").await;
    world.check_outputs(&job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_dies_over_a_picture_fails_that_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(Serve::dev()).await;
    let upload = world.upload("large.bmp", large(folder.path())).await;
    for (death, code) in
        [(Signal::ILL, "input_damaged"), (Signal::ABORT, "input_damaged"), (Signal::KILL, "server_failed")]
    {
        let id = world.submit(&avif(&upload)).await;
        signal(one_reader(&world).await, death);
        let job = world.job_ended(&id, "failed").await;
        let error = if job["error"].is_null() { &job["outputs"][0]["error"] } else { &job["error"] };
        assert_eq!(error["code"], code, "{death:?}: {job:#}");
        no_reader(&world).await;
        check_server(&mut world, folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_in_the_sandbox_and_dies_before_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(Serve::dev().set("media.sandbox", "require")).await;
    let upload = world.upload("large.bmp", large(folder.path())).await;
    let id = world.submit(&avif(&upload)).await;
    let reader = one_reader(&world).await;
    eventually("it is in the sandbox", async || {
        let status = fs::read_to_string(format!("/proc/{reader}/status")).unwrap_or_default();
        let says = |line: &str| status.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()));
        says("NoNewPrivs: 1") && says("Seccomp: 2")
    })
    .await;
    let score = fs::read_to_string(format!("/proc/{reader}/oom_score_adj")).expect("it works");
    assert_eq!(score.trim(), "1000");
    let environment = fs::read(format!("/proc/{reader}/environ")).expect("it works");
    assert!(!environment.windows(8).any(|part| part == b"REELHOOK"), "it was told of the server's settings");
    world.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.expect(200);
    no_reader(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_takes_more_memory_than_a_tool_may_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(Serve::dev().set("media.max_memory_bytes", 60 << 20)).await;
    let upload = world.upload("large.bmp", large(folder.path())).await;
    let job = world.job_at_end(&world.submit(&avif(&upload)).await).await;
    let error = if job["error"].is_null() { &job["outputs"][0]["error"] } else { &job["error"] };
    assert_eq!(error["code"], "over_memory", "{job:#}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("media.max_memory_bytes")), "{job:#}");
    check_server(&mut world, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_do_not_fit_in_memory_together_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    // About what one of them claims.
    let serve = Serve::dev().set("image.memory_bytes", 300 << 20).set("worker.slots", 3);
    let world = World::start(serve).await;
    let upload = world.upload("large.bmp", large(folder.path())).await;
    let small = |upload: &str| json!({"input": {"upload": upload}, "outputs": [{"recipe": "image", "format": "jpg"}]});
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.submit(&small(&upload)).await);
    }
    for id in ids {
        world.job_ended(&id, "completed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_dies_over_a_member_leaves_the_others_of_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(Serve::dev()).await;
    let members = [
        ("before.png", picture(folder.path(), "before.png", "320x240")),
        ("large.png", picture(folder.path(), "large.png", "4000x3000")),
        ("after.png", picture(folder.path(), "after.png", "320x240")),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in &members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("memory is enough");
        std::io::Write::write_all(&mut zip, bytes).expect("memory is enough");
    }
    let bytes = zip.finish().expect("memory is enough").into_inner();
    let upload = world.upload("pictures.zip", bytes).await;
    let outputs = json!([{"recipe": "archive", "level": "ultra"}]);
    let id = world.submit(&json!({"input": {"upload": upload}, "outputs": outputs})).await;
    // One took the archive apart; the other one is over its members.
    eventually("the large one is in work", async || readers(&world).iter().any(|&pid| memory(pid) > 100 << 20)).await;
    let victim = readers(&world).into_iter().max_by_key(|&pid| memory(pid)).expect("they work");
    signal(victim, Signal::ILL);
    let job = world.job_at_end(&id).await;
    assert_eq!(job["state"], "completed", "{job:#}");
    let members = job["outputs"][0]["receipt"]["members"].as_array().expect("each is told of");
    let became: Vec<_> = members.iter().map(|member| (member["name"].as_str(), member["state"].as_str())).collect();
    let expected = [("before.png", "compressed"), ("large.png", "failed"), ("after.png", "compressed")]
        .map(|(a, b)| (Some(a), Some(b)));
    assert_eq!(became, expected, "{job:#}");
    assert_eq!(members[1]["error"]["code"], "input_damaged");
    world.check_outputs(&job).await;
    no_reader(&world).await;
}

/// Memory of a process that is in use, in bytes.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) << 10
}
