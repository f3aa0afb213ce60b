//! The server as a process: what its log, its signals and its limits do to it.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use reelhook_testkit::clips::{self, Clip};
use reelhook_testkit::{Receiver, Reply};
use rustix::process::Signal;
use serde_json::json;

use crate::small_disk::SmallDisk;
use crate::world::{Answer, PATIENCE, Serve, Stderr, World, eventually};

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
async fn a_log_on_a_full_disk_goes_on_when_the_disk_has_room_again() {
    for format in ["text", "json"] {
        let disk = SmallDisk::mount("4m");
        let (log, others) = (disk.path().join("log"), disk.path().join("others"));
        // The free space holds the first lines and a part of the next one.
        std::fs::write(&others, vec![0; (4 << 20) - 5 * 4096]).unwrap();
        let there = format!("exec 2>> '{}'", log.display());
        let serve = Serve::dev().set("log", "debug,hyper=info").set("log_format", format).after(&there);
        let mut world = World::start(serve).await;
        eventually("the disk of the log is full", async || {
            world.get("/v1/jobs").await.expect(200);
            rustix::fs::statvfs(disk.path()).unwrap().f_bavail == 0
        })
        .await;
        // All of it works as if there were no log.
        works(&world).await;
        for _ in 0..20 {
            futures::future::join_all((0..20).map(|_| world.get("/v1/jobs"))).await.iter().for_each(|answer| {
                assert_eq!(answer.status, 200);
            });
        }
        let full = std::fs::read(&log).unwrap();
        assert!(!String::from_utf8_lossy(&full).contains("are lost"), "there was no room to tell of it");

        std::fs::remove_file(&others).unwrap();
        works(&world).await;
        let ended = world.terminate().await;
        assert_eq!(ended.code(), Some(0), "{ended}");
        let text = String::from_utf8(std::fs::read(&log).unwrap()).unwrap();
        // The line that was cut off is ended, then what was lost is told, then each line is whole again.
        let after: Vec<&str> = text[full.len()..].trim_start_matches('\n').lines().collect();
        assert!(after[0].contains("log lines could not be written and are lost"), "{}", after[0]);
        for line in &after {
            match format {
                "json" => drop(serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"))),
                _ => assert!(line.starts_with("20") && line.as_bytes()[10] == b'T', "{line}"),
            }
        }
        assert!(after.iter().any(|line| line.contains("the job ended")), "{after:#?}");
        assert!(after.last().unwrap().contains("stopped"), "the last lines come");
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
    assert!(world.log().contains("the limit of open files is below"), "{}", world.log());
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
    assert!(doctor.contains("200 files may be open and the settings require"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_process_lacks_is_no_attempt_and_no_failed_job() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["a.b"], "retry_seconds": [0, 60]});
    world.post("/v1/endpoints", &endpoint).await.expect(201);
    let upload = world.upload("a.mp4", clips::bytes(Clip::Video)).await;
    // A child would inherit the limit, and its loader needs more.
    eventually("the tools were looked for", async || world.log().contains("ffmpeg is ready")).await;
    // All of these are taken, so that nothing more can be opened.
    let limit = world.limit_descriptors(8);
    // A request that finds no connection to the database at rest is refused meanwhile.
    let asked = async |path: &str, body: serde_json::Value| {
        let mut answer = world.post(path, &body).await;
        while answer.status == 503 {
            assert_short(&answer);
            answer = world.post(path, &body).await;
        }
        answer.expect(202)
    };
    asked("/v1/events", json!({"type": "a.b", "payload": {}})).await;
    let outputs = json!([{"recipe": "thumbnail", "width": 64}]);
    let job = asked("/v1/jobs", json!({"input": {"upload": upload}, "outputs": outputs})).await;
    eventually("both wait for descriptors", async || {
        let log = world.log();
        log.contains("webhooks wait") && log.contains("goes back into the queue")
    })
    .await;
    assert_eq!(receiver.count(), 0);
    world.limit_descriptors(limit);
    let came = receiver.wait_for(1, PATIENCE).await;
    assert_eq!(came[0].header("reelhook-attempt"), "1");
    world.job_ended(job["id"].as_str().unwrap(), "completed").await;
    assert!(world.log().matches("webhooks wait").count() < 3, "{}", world.log());
}

/// What a request is told for which the server has no descriptor.
fn assert_short(answer: &Answer) {
    assert_eq!(answer.expect(503)["code"], "out_of_resources");
    let wait = answer.headers.get("retry-after").expect("it says when to try again");
    let seconds = wait.to_str().ok().and_then(|wait| wait.parse::<u32>().ok()).expect("it is a number");
    assert!(seconds > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_server_has_no_descriptor_for_is_told_to_come_again() {
    let world = World::start(Serve::dev()).await;
    // As many connections as are used below, since none is accepted meanwhile. None of these asks the database.
    futures::future::join_all((0..16).map(|_| world.get("/healthz"))).await;
    eventually("the tools were looked for", async || world.log().contains("ffmpeg is ready")).await;
    let limit = world.limit_descriptors(8);
    // A file that cannot be created.
    let upload = world.send("a.mp4", b"x".to_vec()).await;
    assert_short(&upload);
    // Connections to the database: those that rest serve some of these, and the others find none.
    eventually("a request found no connection to the database", async || {
        let answers = futures::future::join_all((0..16).map(|_| world.get("/v1/jobs"))).await;
        let (short, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 503);
        short.iter().for_each(assert_short);
        others.iter().for_each(|answer| drop(answer.expect(200)));
        !short.is_empty()
    })
    .await;
    world.limit_descriptors(limit);
    world.get("/v1/jobs").await.expect(200);
    world.upload("a.mp4", b"x".to_vec()).await;
    assert!(!world.log().contains("failed a request"), "{}", world.log());
}

/// What a server answers on a socket in the file system.
fn ask(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    stream
        .write_all(format!("GET {request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_in_the_file_system_is_served_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let serve = || {
        let serve = Serve::dev().set("listen", format!("unix:{}", path.display())).set("socket_mode", "600");
        serve.set("api.max_connections_per_address", 1)
    };
    // A server that was killed leaves its socket, which the next one takes over.
    drop(UnixListener::bind(&path).unwrap());
    let mut world = World::start(serve()).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let held: Vec<_> = (0..5).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let answer = ask(&path, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for mut stream in held {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200", "those without an address have no share of one");
    }
    let second = World::refused(serve()).await;
    assert!(second.contains("another program listens there"), "{second}");
    assert!(ask(&path, "/healthz").starts_with("HTTP/1.1 200"), "it still listens");
    assert_eq!(world.terminate().await.code(), Some(0));
    assert!(!path.exists());
    std::fs::write(&path, "mine").unwrap();
    let refused = World::refused(serve()).await;
    assert!(refused.contains("a file that is not a socket is there"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_of_the_start_of_life_and_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = format!("export NOTIFY_SOCKET={} WATCHDOG_USEC=300000 WATCHDOG_PID=$$", path.display());
    let mut world = World::start(Serve::dev().after(&environment)).await;
    let next = || {
        let mut space = [0; 200];
        let length = told.recv(&mut space).expect("something is told");
        String::from_utf8_lossy(&space[..length]).trim().to_owned()
    };
    assert_eq!([next(), next(), next()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    world.signal(Signal::TERM);
    while next() != "STOPPING=1" {}
    assert_eq!(world.death().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_the_service_manager_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let main = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let path = folder.path().join("clipzy.sock");
    let clipzy = UnixListener::bind(&path).unwrap();
    let port = main.local_addr().unwrap().port();
    for descriptor in [main.as_raw_fd(), clipzy.as_raw_fd()] {
        assert!(descriptor > 4, "the places below are the server's");
    }
    rustix::io::fcntl_setfd(&main, rustix::io::FdFlags::empty()).unwrap();
    rustix::io::fcntl_setfd(&clipzy, rustix::io::FdFlags::empty()).unwrap();
    let passed = format!(
        "exec 3<&{} 4<&{}; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=http:clipzy",
        main.as_raw_fd(),
        clipzy.as_raw_fd()
    );
    let world = World::start(Serve::dev().after(&passed)).await;
    assert_eq!(world.url("/").port(), Some(port));
    world.get("/v1/jobs").await.expect(200);
    assert!(ask(&path, "/api/v1/health").starts_with("HTTP/1.1 200"));
    assert!(ask(&path, "/v1/jobs").starts_with("HTTP/1.1 404"), "the native API is not served there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubernetes_sets_stops_nothing() {
    let set = "export REELHOOK_PORT=tcp://10.0.0.1:80 REELHOOK_SERVICE_HOST=10.0.0.1 REELHOOK_WORKER_SLOT=2";
    let world = World::start(Serve::dev().after(set)).await;
    let log = world.log();
    assert!(log.contains("did you mean REELHOOK_WORKER_SLOTS?"), "{log}");
    assert!(!log.contains("REELHOOK_PORT") && !log.contains("REELHOOK_SERVICE_HOST"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_that_is_missing_is_asked_for_and_one_that_others_read_is_told() {
    let mut world = World::start(Serve::dev()).await;
    let key = world.data().join("master.key");
    world.terminate().await;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(world.serve(Serve::dev()).await);
    assert!(world.log().contains("users other than its owner may read"), "{}", world.log());
    world.terminate().await;

    let bytes = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(!world.serve(Serve::dev()).await);
    assert!(world.log().contains("master.key is missing; restore it"), "{}", world.log());
    assert!(!key.exists(), "none is made");
    std::fs::write(&key, bytes).unwrap();
    assert!(world.serve(Serve::dev()).await, "it is as it was");
}
