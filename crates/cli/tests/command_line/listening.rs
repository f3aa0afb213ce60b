//! `reelhook listen`: what it shows, and that nothing of it stays.

use std::process::Stdio;

use reelhook_testkit::{Receiver, Reply};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::world::{PATIENCE, Serve, World, eventually};

async fn endpoints(world: &World) -> usize {
    world.get("/v1/endpoints").await.expect(200)["endpoints"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_when_what_and_how_it_was_answered() {
    let world = World::start(Serve::dev()).await;
    let receiver = Receiver::start().await;
    receiver.then(Reply::status(422).body("\nno such order\nat line 7"));
    let to = receiver.url("/hook").to_string();
    let mut listening = world.client(&["listen", "--forward-to", &to]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(listening.stdout.take().unwrap()).lines();
    eventually("it made its endpoint", async || endpoints(&world).await == 1).await;
    world.post("/v1/events", &json!({"type": "order.paid", "payload": {}})).await.expect(202);
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let time: Vec<_> = words[0].split(':').map(|part| part.parse::<u8>().unwrap()).collect();
    assert!(time.len() == 3 && time[0] < 24 && time[1] < 60 && time[2] < 61, "{line}");
    assert_eq!(&words[1..4], ["422", "Unprocessable", "Entity"], "{line}");
    assert!(words[4].parse::<u64>().is_ok() && words[5] == "ms" && words[6] == "order.paid", "{line}");
    assert!(words[7].starts_with("evt_") && line.ends_with("no such order"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_takes_the_endpoint_with_it() {
    let world = World::start(Serve::dev()).await;
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        let mut listening = world.client(&["listen", "--forward-to", "localhost:1"]).spawn().unwrap();
        eventually("it made its endpoint", async || endpoints(&world).await == 1).await;
        kill_process(Pid::from_raw(listening.id().unwrap() as i32).unwrap(), signal).unwrap();
        let ended = timeout(PATIENCE, listening.wait()).await.expect("it ends").unwrap();
        assert!(ended.success(), "{signal:?}: {ended}");
        assert_eq!(endpoints(&world).await, 0, "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_leaves_an_endpoint_that_the_server_removes_when_it_is_not_read() {
    let world = World::start(Serve::dev()).await;
    let mut listening = world.client(&["listen", "--forward-to", "localhost:1"]).spawn().unwrap();
    eventually("it made its endpoint", async || endpoints(&world).await == 1).await;
    listening.kill().await.unwrap();
    world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
    assert_eq!(endpoints(&world).await, 2);
    // When it goes is a matter of the clock: `delivery` tests that with one it can move. Here: that this one is to go,
    // and the other is not.
    let database = rusqlite::Connection::open(world.data().join("reelhook.db")).unwrap();
    let marked: i64 = database.query_row("select count(*) from temporary_endpoints", [], |row| row.get(0)).unwrap();
    assert_eq!(marked, 1);
    let pushed = json!({"url": "http://localhost:1/hook"});
    let refused = world.post("/v1/endpoints?temporary=true", &pushed).await;
    assert_eq!(refused.violations(), ["?temporary"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_is_connected_again() {
    let mut world = World::start(Serve::dev()).await;
    let port = world.url("/").port().unwrap();
    let receiver = Receiver::start().await;
    let to = receiver.url("/hook").to_string();
    let mut listening = world.client(&["listen", "--forward-to", &to]).stderr(Stdio::piped()).spawn().unwrap();
    let mut remarks = BufReader::new(listening.stderr.take().unwrap()).lines();
    let mut until = async |wanted: &str| loop {
        let line = timeout(PATIENCE, remarks.next_line()).await.expect("it remarks").unwrap().expect("it runs");
        if line.contains(wanted) {
            break;
        }
    };
    until("Ctrl-C ends it").await;
    world.terminate().await;
    until("trying again").await;
    assert!(world.serve(Serve::dev().listening_on(port)).await, "the server starts again");
    until("connected again").await;
    world.post("/v1/events", &json!({"type": "order.paid", "payload": {}})).await.expect(202);
    receiver.wait_for(1, PATIENCE).await;
}
