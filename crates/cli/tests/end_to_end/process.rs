//! The server as a process: what its log, its signals and its limits do to it.

use std::io::Read as _;

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Receiver, Reply};
use rustix::process::Signal;
use serde_json::json;

use crate::world::{PATIENCE, Serve, Stderr, World, eventually};

/// A job, a webhook that is taken and one that fails: something of everything that logs.
async fn works(world: &World) {
    let receiver = Receiver::start().await;
    receiver.then(Reply::status(500));
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["a.b"], "retry_seconds": [0, 1]});
    world.post("/v1/endpoints", &endpoint).await.expect(201);
    world.post("/v1/events", &json!({"type": "a.b", "payload": {}})).await.expect(202);
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 64}]});
    world.job_ended(&world.submit(&job).await, "completed").await;
    receiver.wait_for(2, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    for stderr in [Stderr::Full, Stderr::Closed] {
        for format in ["text", "json"] {
            let serve = Serve::dev().set("log", "debug").set("log_format", format).stderr(stderr);
            let mut world = World::start(serve).await;
            works(&world).await;
            let ended = world.terminate().await;
            assert_eq!(ended.code(), Some(0), "{stderr:?} as {format}: {ended}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_up_nothing_and_says_later_what_was_lost() {
    let mut world = World::start(Serve::dev().set("log", "trace").stderr(Stderr::Unread)).await;
    works(&world).await;
    // More lines than the pipe and the queue hold.
    for _ in 0..160 {
        futures::future::join_all((0..50).map(|_| world.get("/v1/jobs"))).await;
    }
    let mut log = world.unread();
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).expect("the log is text");
        text
    });
    let ended = world.terminate().await;
    assert_eq!(ended.code(), Some(0), "{ended}");
    let text = reading.await.expect("it does not panic");
    let lost = text.lines().find_map(|line| line.split_once("are lost lines=")).expect("what was lost is told");
    assert!(lost.1.parse::<u64>().expect("it is a number") > 0);
    assert!(text.trim_end().ends_with("stopped"), "the last lines come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_though_nobody_reads_its_log() {
    let mut world = World::start(Serve::dev().set("log", "trace").stderr(Stderr::Unread)).await;
    works(&world).await;
    let ended = world.terminate().await;
    assert_eq!(ended.code(), Some(0), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_stops_the_server_well_and_signals_for_others_change_nothing() {
    let mut world = World::start(Serve::dev()).await;
    for signal in [Signal::USR1, Signal::USR2, Signal::XFSZ, Signal::PIPE] {
        world.signal(signal);
        world.get("/v1/jobs").await.expect(200);
    }
    // A terminal that is closed may say so twice.
    world.signal(Signal::HUP);
    world.signal(Signal::HUP);
    let ended = world.death().await;
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(world.log().contains("stopped"), "{}", world.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_nohup_a_hang_up_changes_nothing() {
    let mut world = World::start(Serve::dev().after("trap '' HUP")).await;
    world.signal(Signal::HUP);
    world.get("/v1/jobs").await.expect(200);
    let ended = world.terminate().await;
    assert_eq!(ended.code(), Some(0), "{ended}");
}

/// A hard limit of open files that the settings do not fit into.
const FEW: &str = "ulimit -n 200";

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_leave_descriptors_for_callers_webhooks_and_jobs() {
    let world = World::start(Serve::dev().after(FEW).set("api.max_connections_per_address", 4096)).await;
    let address = (world.url("/").host_str().unwrap().to_owned(), world.url("/").port().unwrap());
    let idle: Vec<_> = (0..400).map(|_| std::net::TcpStream::connect(&address).expect("the server listens")).collect();
    let receiver = Receiver::start().await;
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["a.b"]});
    world.post("/v1/endpoints", &endpoint).await.expect(201);
    for _ in 0..50 {
        world.post("/v1/events", &json!({"type": "a.b", "payload": {}})).await.expect(202);
    }
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "compress", "crf": 30}]});
    world.job_ended(&world.submit(&job).await, "completed").await;
    let came = receiver.wait_for(50, PATIENCE).await;
    assert!(came.iter().all(|request| request.header("reelhook-attempt") == "1"));
    assert!(world.log().contains("fewer files may be open"), "{}", world.log());
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_is_raised_and_doctor_tells_of_a_hard_one_that_is_low() {
    let world = World::start(Serve::dev().after("ulimit -Sn 100")).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", world.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    let doctor = world.command_after(FEW, &["doctor"]).await;
    assert!(doctor.contains("200 files may be open and the settings take"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_process_lacks_is_no_attempt_and_no_failed_job() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["a.b"], "retry_seconds": [0, 60]});
    world.post("/v1/endpoints", &endpoint).await.expect(201);
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    // Callers whose connections are kept: asking needs no further descriptor.
    let calls = [
        ("/v1/events", json!({"type": "a.b", "payload": {}})),
        ("/v1/jobs", json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 64}]})),
    ];
    // A child would inherit the limit, and its loader needs more.
    eventually("the tools were looked for", async || world.log().contains("ffmpeg is ready")).await;
    // All of these are taken, so that nothing more can be opened.
    let limit = world.limit_descriptors(8);
    let [event, job] = [world.post(calls[0].0, &calls[0].1).await, world.post(calls[1].0, &calls[1].1).await];
    let (event, job) = (event.expect(202), job.expect(202));
    eventually("both wait for descriptors", async || {
        let log = world.log();
        log.contains("webhooks wait") && log.contains("goes back into the queue")
    })
    .await;
    assert_eq!(receiver.count(), 0);
    world.limit_descriptors(limit);
    let came = receiver.wait_for(1, PATIENCE).await;
    assert_eq!(came[0].header("reelhook-attempt"), "1", "{event:#}");
    world.job_ended(job["id"].as_str().unwrap(), "completed").await;
    assert!(world.log().matches("webhooks wait").count() < 3, "{}", world.log());
}
