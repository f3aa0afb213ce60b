//! `reelhook listen` over a connection that breaks at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reelhook_signature::Secret;
use reelhook_testkit::Receiver;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::inbox;
use crate::world::{PATIENCE, Serve, World, eventually};

/// Passes bytes on, and, while it is told to, breaks connections off after a random number of them.
struct Proxy {
    url: Url,
    is_flaky: Arc<AtomicBool>,
    broken: Arc<AtomicU64>,
}

impl Proxy {
    async fn to(upstream: Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (is_flaky, broken) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (flaky, count) = (Arc::clone(&is_flaky), Arc::clone(&broken));
        let upstream = upstream.socket_addrs(|| None).unwrap()[0];
        tokio::spawn(async move {
            // A fixed seed: the breaks are as random as they need be, and the same in each run.
            let mut random = 0x2545_f491_4f6c_dd1d_u64;
            while let Ok((client, _)) = listener.accept().await {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                #[expect(clippy::disallowed_methods, reason = "the test's own server on loopback")]
                let Ok(server) = TcpStream::connect(upstream).await else { continue };
                let (flaky, count) = (Arc::clone(&flaky), Arc::clone(&count));
                // Two of three break within a page of events, some of these before the first byte; the third a little later.
                let most = if random.is_multiple_of(3) { 60_000 } else { (random >> 8) % 9_000 };
                tokio::spawn(async move {
                    if pass(client, server, most, &flaky).await {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { url, is_flaky, broken }
    }
}

/// Passes bytes both ways; whether it broke the connection off.
async fn pass(mut client: TcpStream, mut server: TcpStream, most: u64, is_flaky: &AtomicBool) -> bool {
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    let mut passed = 0;
    loop {
        let done = tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(count) if count > 0 => server.write_all(&asked[..count]).await,
                _ => return false,
            },
            read = server.read(&mut answered) => match read {
                Ok(count) if count > 0 => {
                    passed += count as u64;
                    if passed > most && is_flaky.load(Ordering::Relaxed) {
                        // Half of what was read still arrives.
                        let _ = client.write_all(&answered[..count / 2]).await;
                        return true;
                    }
                    client.write_all(&answered[..count]).await
                }
                _ => return false,
            },
        };
        if done.is_err() {
            return false;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_loses_nothing_and_keeps_the_order() {
    const EVENTS: usize = 300;
    let receiver = Receiver::start().await;
    let world = World::start(Serve::dev()).await;
    let proxy = Proxy::to(world.url("/")).await;
    let secret = world.data().join("secret.txt");
    let forward_to = receiver.url("/hook").to_string();
    let arguments =
        ["listen", "--forward-to", &forward_to, "--events", "a.*", "--secret-out", secret.to_str().unwrap()];
    let mut listening = world.spawn_client(&proxy.url, &arguments);
    let endpoints = async || world.get("/v1/endpoints").await.expect(200)["endpoints"].as_array().unwrap().len();
    eventually("it made its endpoint", async || endpoints().await == 1 && secret.exists()).await;

    proxy.is_flaky.store(true, Ordering::Relaxed);
    for number in 0..EVENTS {
        let event = json!({"type": "a.b", "payload": {"n": number, "text": "x".repeat(200)}});
        world.post("/v1/events", &event).await.expect(202);
    }
    let mut came = receiver.wait_for(EVENTS, PATIENCE).await;
    let number =
        |received: &reelhook_testkit::Received| -> usize { received.header("reelhook-sequence").parse().unwrap() };
    while came.last().map(number) != Some(EVENTS) {
        came = receiver.wait_for(came.len() + 1, PATIENCE).await;
    }
    let secret = Secret::parse(std::fs::read_to_string(&secret).unwrap().trim()).unwrap();
    assert_eq!(inbox::check(&came, &secret).len(), EVENTS);
    let mut seen = 0;
    for received in &came {
        let number = number(received);
        // A repetition, or the next: never one before its predecessor.
        assert!(number <= seen + 1, "{number} came after {seen}");
        seen = seen.max(number);
    }
    assert_eq!(seen, EVENTS);
    assert!(proxy.broken.load(Ordering::Relaxed) >= 5, "the connection hardly broke: {:?}", proxy.broken);

    proxy.is_flaky.store(false, Ordering::Relaxed);
    let pid = Pid::from_raw(listening.id().unwrap() as i32).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = tokio::time::timeout(PATIENCE, listening.wait()).await.expect("it ends").unwrap();
    assert!(ended.success());
    assert_eq!(endpoints().await, 0, "it deletes the endpoint it made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_window_leaves_no_endpoint() {
    let (receiver, world) = tokio::join!(Receiver::start(), World::start(Serve::dev()));
    let endpoints = async || world.get("/v1/endpoints").await.expect(200)["endpoints"].as_array().unwrap().len();
    for signal in [Signal::HUP, Signal::TERM] {
        let forward_to = receiver.url("/hook").to_string();
        let mut listening = world.spawn_client(&world.url("/"), &["listen", "--forward-to", &forward_to]);
        eventually("it made its endpoint", async || endpoints().await == 1).await;
        let pid = Pid::from_raw(listening.id().unwrap() as i32).unwrap();
        kill_process(pid, signal).unwrap();
        let ended = tokio::time::timeout(PATIENCE, listening.wait()).await.expect("it ends").unwrap();
        assert!(ended.success(), "{signal:?}: {ended}");
        assert_eq!(endpoints().await, 0, "{signal:?}");
    }
}
