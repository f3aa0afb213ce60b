//! Twenty kills at random moments while ten thousand webhooks are accepted and delivered.
//!
//! One data folder sees twenty-one servers. Each of the first twenty accepts events and delivers what it can, until it gets
//! SIGKILL at a moment that a seed decides; the last one comes to the end. What a killed server had settled is read from a
//! copy of its database: a webhook that comes again after a kill must not be among that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reelhook_domain::id::EventId;
use reelhook_signature::{Headers, Secret, Trust, verify};
use reelhook_testkit::{Received, Receiver, system_ambient};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::world::{Serve, World};

const EVENTS: usize = 10_000;
const KILLS: usize = 20;
/// Events that a server accepts before it is killed, at most.
const EACH: usize = EVENTS / KILLS;
/// Events in a request.
const BATCH: usize = 50;
/// The path of requests that tell the connections of one server from those of the next.
const MARK: &str = "/mark";
/// How long may pass without a webhook before something is wrong.
const SILENCE: Duration = Duration::from_secs(30);

/// Numbers from a seed, which is printed should the test fail.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// A number below `end`, by SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

impl Drop for Chance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the seed was {}; set KILLS_SEED to it to repeat the run", self.seed);
        }
    }
}

/// What was accepted, told by whoever published it.
#[derive(Default)]
struct Published {
    next: usize,
    /// Answered with 202.
    accepted: BTreeSet<u64>,
}

impl Published {
    /// Publishes until that many were accepted. May be given up at any time: what was not answered may have been accepted.
    async fn until(&mut self, world: &World, count: usize) {
        while self.accepted.len() < count {
            let size = BATCH.min(count - self.accepted.len());
            let numbers = self.next as u64..(self.next + size) as u64;
            self.next += size;
            let event = |number| json!({"type": "load.made", "payload": {"number": number, "filler": "x".repeat(900)}});
            let body = json!({"events": numbers.clone().map(event).collect::<Vec<_>>()});
            let answer = world.post("/v1/events", &body).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            self.accepted.extend(numbers);
        }
    }
}

/// A moment at which a server was killed.
struct Kill {
    /// A connection to the receiver that is later than all of that server and earlier than all of the next.
    connection: usize,
    /// The events whose delivery it had settled.
    settled: HashSet<EventId>,
}

impl Kill {
    /// Reads what the killed server left, in a copy: the next server shall find the original as it is.
    fn look(world: &World, connection: usize) -> Self {
        let copy = tempfile::tempdir().expect("there is a temporary folder");
        for name in ["reelhook.db", "reelhook.db-wal"] {
            let from = world.data().join(name);
            if from.exists() {
                fs::copy(from, copy.path().join(name)).expect("the database can be copied");
            }
        }
        let database = Connection::open(copy.path().join("reelhook.db")).expect("the database is sound");
        let mut delivered =
            database.prepare("select event from deliveries where state = 'delivered'").expect("the table is there");
        let events = delivered.query_map([], |row| row.get::<_, [u8; 16]>(0)).expect("it can be read");
        let settled = events.map(|event| EventId::from_bytes(event.expect("an id has 16 bytes"))).collect();
        Self { connection, settled }
    }
}

/// Waits until that many webhooks came.
async fn wait_for(receiver: &Receiver, count: usize) {
    let (mut came, mut last) = (receiver.count(), Instant::now());
    while came < count {
        assert!(last.elapsed() < SILENCE, "no webhook came for {SILENCE:?}; {came} of {count} came");
        tokio::time::sleep(Duration::from_millis(2)).await;
        if receiver.count() > came {
            (came, last) = (receiver.count(), Instant::now());
        }
    }
}

/// Makes a connection to the receiver and gives its place among all. What the dead server sent may be read after it.
fn mark(receiver: &Receiver) -> usize {
    let address = receiver.url("/").socket_addrs(|| None).expect("it is an address")[0];
    let mut stream = TcpStream::connect(address).expect("the receiver listens");
    let request = format!("POST {MARK} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the receiver reads");
    stream.read_to_end(&mut Vec::new()).expect("the receiver answers");
    let marks = receiver.requests().into_iter().filter(|received| received.path == MARK);
    marks.map(|received| received.connection).max().expect("it was noted before it was answered")
}

/// What came, without the marks.
fn webhooks(receiver: &Receiver) -> Vec<Received> {
    receiver.requests().into_iter().filter(|received| received.path != MARK).collect()
}

fn event_of(received: &Received) -> EventId {
    received.header("webhook-id").parse().expect("it is the id of an event")
}

fn number_of(received: &Received) -> u64 {
    let body: Value = serde_json::from_slice(&received.body).expect("a webhook is JSON");
    body["data"]["number"].as_u64().expect("it has the payload that was published")
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_in_ten_thousand_deliveries_lose_none_and_repeat_only_what_was_in_flight() {
    let seed = std::env::var("KILLS_SEED").map(|seed| seed.parse().expect("KILLS_SEED is a number"));
    let seed = seed.unwrap_or_else(|_| u64::from_le_bytes(system_ambient().random()));
    let mut chance = Chance::new(seed);
    let receiver = Receiver::start().await;
    let mut world = World::start(Serve::dev()).await;
    let endpoint = json!({"url": receiver.url("/hook"), "events": ["load.made"]});
    let endpoint = world.post("/v1/endpoints", &endpoint).await.expect(201);
    let secret = Secret::parse(endpoint["secret"].as_str().expect("a new endpoint shows its secret")).expect("ours");

    let mut published = Published::default();
    let mut kills = Vec::new();
    for kill in 1..=KILLS {
        // Fewer than are accepted, so that they come; and some time more, so that no step is preferred.
        let more = 1 + chance.below(EACH as u64 * 9 / 10) as usize;
        let moment = Duration::from_micros(chance.below(20_000));
        let wanted = receiver.count() + more;
        let moment = async {
            wait_for(&receiver, wanted).await;
            tokio::time::sleep(moment).await;
        };
        let publish = async {
            published.until(&world, kill * EACH).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = moment => {}
            () = publish => {}
        }
        world.kill().await;
        kills.push(Kill::look(&world, mark(&receiver)));
        assert!(world.serve(Serve::dev()).await, "the server starts after kill {kill}");
    }
    published.until(&world, EVENTS).await;
    loop {
        let all = receiver.requests();
        let distinct: BTreeSet<_> = all.iter().filter(|received| received.path != MARK).map(number_of).collect();
        let missing = published.accepted.difference(&distinct).count();
        if missing == 0 {
            break;
        }
        wait_for(&receiver, all.len() + missing).await;
    }
    // In order: nothing is in flight any more, and nothing comes after.
    world.terminate().await;
    check(&webhooks(&receiver), &published, &kills, &secret);
}

/// Checks all that came against what was accepted and when the servers died.
fn check(all: &[Received], published: &Published, kills: &[Kill], secret: &Secret) {
    let now = system_ambient().now().as_seconds();
    let mut copies: BTreeMap<EventId, Vec<&Received>> = BTreeMap::new();
    for received in all {
        let headers = Headers::read(|name| received.headers.get(name).and_then(|value| value.to_str().ok()));
        verify(headers, &received.body, now, Trust::secrets(std::slice::from_ref(secret))).expect("it is genuine");
        copies.entry(event_of(received)).or_default().push(received);
    }
    // Which server sent it, from 0; what was read late is put in its place.
    let life = |received: &Received| kills.iter().filter(|kill| kill.connection < received.connection).count();
    copies.values_mut().for_each(|copies| copies.sort_by_key(|received| life(received)));
    let mut lives: HashMap<EventId, usize> = HashMap::new();
    let (mut numbers, mut sequences) = (BTreeSet::new(), BTreeSet::new());
    for (event, copies) in &copies {
        let first = copies[0];
        assert!(numbers.insert(number_of(first)), "one event has one id: {}", number_of(first));
        assert!(sequences.insert(first.header("reelhook-sequence").parse::<usize>().expect("a number")));
        for copy in copies {
            assert_eq!(copy.body, first.body, "a repeated webhook has the same bytes");
            for same in ["reelhook-delivery", "reelhook-sequence"] {
                assert_eq!(copy.header(same), first.header(same), "{same}");
            }
        }
        lives.insert(*event, life(first));
        for pair in copies.windows(2) {
            let between = &kills[life(pair[0])..life(pair[1])];
            assert!(!between.is_empty(), "{event} came twice from one server");
            let settled = between.iter().any(|kill| kill.settled.contains(event));
            assert!(!settled, "{event} was settled before a kill and came again after it");
        }
    }
    let lost: Vec<_> = published.accepted.difference(&numbers).collect();
    assert!(lost.is_empty(), "accepted and never delivered: {lost:?}");
    assert_eq!(sequences, (1..=copies.len()).collect::<BTreeSet<_>>(), "the numbers of an endpoint have no gaps");
    for (number, kill) in kills.iter().enumerate() {
        let sent = |event| lives.get(event).is_some_and(|&life| life <= number);
        assert!(kill.settled.iter().all(sent), "a server settled what it did not send");
    }
}
