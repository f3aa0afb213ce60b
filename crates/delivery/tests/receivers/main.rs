//! The engine with its real client against receivers of every bad manner, in real time: each attempt ends within its
//! deadline, takes little memory, and is told by the phase and kind that docs/webhooks.md lists.

#![expect(clippy::unwrap_used, reason = "what a test sets up must work; the panic says where it did not")]

mod scripts;
mod secure;
#[allow(dead_code, reason = "the world of the other tests; a part of it is enough here")]
#[path = "../delivery/world.rs"]
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reelhook_delivery::{Engine, Settings};
use reelhook_dialects::Link;
use reelhook_domain::delivery::{Delivery, Outcome};
use reelhook_domain::id::EndpointId;
use reelhook_egress::{CertificateDer, Client, Policy, Resolver};
use reelhook_store::{Deliveries, DeliveryRecord, Events, NewEvent, Store};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::scripts::{Scripted, gzip_bomb, hold, reset};
use crate::secure::Certificate;
use crate::world::World;

/// For attempts that nothing else ends.
const SHORT: Duration = Duration::from_millis(1500);
/// For attempts that end by themselves: a crowded machine takes its time over them.
const LONG: Duration = Duration::from_secs(15);
/// What a receiver may make the process grow by, at most, while it floods it with a gigabyte.
const ROOM_KIB: u64 = 24 * 1024;

/// One test of a process at a time: one of them measures its memory.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A resolver whose answers are the test's own.
#[derive(Debug, Default)]
struct Names {
    moved: AtomicUsize,
}

#[async_trait::async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let answers = match host {
            "hook.test" => vec!["127.0.0.1"],
            "mixed.test" => vec!["127.0.0.1", "10.0.0.1"],
            "moves.test" if self.moved.fetch_add(1, Ordering::SeqCst) == 0 => vec!["127.0.0.1"],
            "moves.test" => vec!["169.254.169.254"],
            "silent.test" => std::future::pending().await,
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(answers.into_iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect())
    }
}

/// An engine with these roots and [`Names`], until the guard is dropped.
fn run_engine(world: &World, extra_roots: Vec<CertificateDer<'static>>) -> impl Drop + use<> {
    let settings = reelhook_egress::Settings {
        policy: Policy::development(),
        extra_roots,
        ..reelhook_egress::Settings::default()
    };
    let egress = Client::new(settings, Arc::new(Names::default())).unwrap();
    let link = Arc::new(|link: Link<'_>| format!("https://files.example/{link:?}"));
    let settings = Settings { poll: Duration::from_millis(20), ..Settings::default() };
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    let stop = CancellationToken::new();
    tokio::spawn(Engine::new(store, egress, link, world.ambient.clone(), settings).run(stop.clone()));
    stop.drop_guard()
}

/// What a receiver does, in the words of docs/webhooks.md, and what comes of it.
struct Row {
    does: &'static str,
    phase: &'static str,
    kind: &'static str,
    /// Why, where TLS failed.
    reason: Option<&'static str>,
    url: Url,
}

/// Rows, and what must live as long as they are tried.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    servers: Vec<Scripted>,
    closed: Option<TcpSocket>,
    roots: Vec<CertificateDer<'static>>,
}

impl Rows {
    fn at(&mut self, does: &'static str, phase: &'static str, kind: &'static str, url: &str) {
        self.rows.push(Row { does, phase, kind, reason: None, url: url.parse().unwrap() });
    }

    fn by(&mut self, does: &'static str, phase: &'static str, kind: &'static str, server: Scripted) {
        self.at(does, phase, kind, server.url().as_str());
        self.servers.push(server);
    }

    fn because(&mut self, reason: &'static str) {
        self.rows.last_mut().unwrap().reason = Some(reason);
    }

    async fn by_tls(&mut self, does: &'static str, reason: &'static str, certificate: Certificate, is_trusted: bool) {
        let (server, root) = secure::start(certificate).await;
        self.at(does, "tls", "tls", server.url_of("https", "hook.test").as_str());
        self.because(reason);
        self.roots.extend(is_trusted.then_some(root));
        self.servers.push(server);
    }
}

/// Every way in which no answer comes.
async fn no_answers(taken: &Arc<AtomicU64>) -> Rows {
    let mut all = Rows::default();
    all.at("Its URL has an address that may not be reached", "url", "address_not_allowed", "http://10.0.0.1/");
    all.at(
        "Its name resolves to such an address, alone or among others",
        "dns",
        "address_not_allowed",
        "http://mixed.test/",
    );
    all.at("Its name is unknown", "dns", "dns", "http://nowhere.test/");
    all.at("Its name server does not answer", "dns", "timeout", "http://silent.test/");
    // Held, so that no other server gets it, and deaf.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    all.closed = Some(closed);
    all.at("Nothing listens at its port", "connect", "refused", &format!("http://{address}/"));
    all.by("It listens and accepts no connection", "connect", "timeout", Scripted::deaf_for(None).await);

    let good = Certificate { name: "hook.test", ..Certificate::default() };
    all.by_tls("Its certificate is for another name", "name", Certificate { name: "other.test", ..good }, true).await;
    all.by_tls("Its certificate has expired", "expired", Certificate { is_expired: true, ..good }, true).await;
    all.by_tls("Its certificate is self-signed, or signed by an unknown issuer", "issuer", good, false).await;
    all.by_tls(
        "It speaks HTTP/2 only, and TLS says so",
        "application_protocol",
        Certificate { protocols: &["h2"], ..good },
        true,
    )
    .await;
    for (does, version) in [
        ("It demands a client certificate, under TLS 1.3", &rustls::version::TLS13),
        ("It demands a client certificate, under TLS 1.2", &rustls::version::TLS12),
    ] {
        let demanding = Certificate { demands: Some(version), ..good };
        all.by_tls(does, "client_certificate", demanding, true).await;
    }
    let server = Scripted::start(|mut socket| async move {
        let mut hello = [0; 4096];
        let _ = socket.read(&mut hello).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    all.at("It speaks no TLS where the URL says https", "tls", "tls", server.url_of("https", "hook.test").as_str());
    all.because("not_tls");
    all.servers.push(server);
    let server = Scripted::start(hold).await;
    all.at("It is silent in the TLS handshake", "tls", "timeout", server.url_of("https", "hook.test").as_str());
    all.servers.push(server);
    let server = Scripted::start(|mut socket| async move {
        let _ = socket.read_u8().await;
        let _ = socket.set_zero_linger();
    });
    let server = server.await;
    all.at(
        "It resets the connection in the TLS handshake",
        "tls",
        "reset",
        server.url_of("https", "hook.test").as_str(),
    );
    all.servers.push(server);

    all.by("It reads the request and is silent", "first_byte", "timeout", Scripted::saying_then(b"", hold).await);
    all.by(
        "It sends `100 Continue` and no more",
        "first_byte",
        "timeout",
        Scripted::saying_then(b"HTTP/1.1 100 Continue\r\n\r\n", hold).await,
    );
    all.by(
        "Its head arrives byte by byte",
        "first_byte",
        "timeout",
        Scripted::dripping(b"HTTP/1.1 200 OK\r\nx-long: ").await,
    );
    all.by("It closes without an answer", "first_byte", "reset", Scripted::saying(&b""[..]).await);
    all.by("It resets without an answer", "first_byte", "reset", Scripted::saying_then(b"", reset).await);
    all.by(
        "It resets in the middle of the head",
        "first_byte",
        "reset",
        Scripted::saying_then(b"HTTP/1.1 200 OK\r\ncontent-le", reset).await,
    );
    all.by(
        "It speaks HTTP/2 only, without TLS",
        "first_byte",
        "protocol",
        Scripted::saying(&b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\x01"[..]).await,
    );
    all.by("It does not speak HTTP", "first_byte", "protocol", Scripted::saying(&b"SSH-2.0-OpenSSH_9.6\r\n"[..]).await);
    let line = b"x-header: 0123456789012345678901234567890123456789012345678901\r\n";
    all.by(
        "Its head is larger than the limit",
        "first_byte",
        "too_large",
        Scripted::flooding(b"HTTP/1.1 200 OK\r\n", &line.repeat(1024), taken).await,
    );

    all.by(
        "Its body arrives byte by byte",
        "body",
        "timeout",
        Scripted::dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n").await,
    );
    all.by(
        "It resets before the body",
        "body",
        "reset",
        Scripted::saying_then(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", reset).await,
    );
    all.by(
        "It resets in the middle of the body",
        "body",
        "reset",
        Scripted::saying_then(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", reset).await,
    );
    all.by(
        "It closes in the middle of the body",
        "body",
        "protocol",
        Scripted::saying(&b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"[..]).await,
    );
    all.by(
        "Its chunks are malformed",
        "body",
        "protocol",
        Scripted::saying(&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"[..]).await,
    );
    all
}

/// A way in which an answer comes.
struct Answer {
    does: &'static str,
    status: u16,
    state: &'static str,
    /// How many bytes of the body are kept.
    kept: usize,
    server: Scripted,
}

async fn answers(taken: &Arc<AtomicU64>) -> Vec<Answer> {
    let kept = 16 * 1024;
    let mut all = Vec::new();
    let mut add = |does, status, state, kept, server| all.push(Answer { does, status, state, kept, server });
    let flood = [b'x'; 64 * 1024];
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
    add("a body of 1 GB", 200, "delivered", kept, Scripted::flooding(head, &flood, taken).await);
    add(
        "a body without end",
        200,
        "delivered",
        kept,
        Scripted::flooding(b"HTTP/1.1 200 OK\r\n\r\n", &flood, taken).await,
    );
    let head = b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [&b"ffff\r\n"[..], &flood[1..], b"\r\n"].concat();
    add("chunks without end", 500, "scheduled", kept, Scripted::flooding(head, &chunk, taken).await);
    add("a gzip bomb", 200, "delivered", kept, Scripted::saying(gzip_bomb()).await);
    add("HTTP/1.0", 200, "delivered", 2, Scripted::saying(&b"HTTP/1.0 200 OK\r\n\r\nok"[..]).await);
    add("a slow accept", 200, "delivered", 0, Scripted::deaf_for(Some(Duration::from_millis(300))).await);
    for (head, status, state) in [
        ("100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created", 201, "delivered"),
        ("101 Switching Protocols", 101, "scheduled"),
        ("204 No Content", 204, "delivered"),
        ("299 Fine", 299, "delivered"),
        ("301 Moved\r\nlocation: http://10.0.0.1/", 301, "scheduled"),
        ("302 Found\r\nlocation: http://169.254.169.254/latest", 302, "scheduled"),
        ("304 Not Modified", 304, "scheduled"),
        ("307 Temporary\r\nlocation: http://[::1]:22/", 307, "scheduled"),
        ("308 Permanent\r\nlocation: file:///etc/passwd", 308, "scheduled"),
        ("400 Bad", 400, "scheduled"),
        ("404 Not Found", 404, "scheduled"),
        ("410 Gone", 410, "held"),
        ("429 Too Many", 429, "scheduled"),
        ("500 Oops", 500, "scheduled"),
        ("503 Busy", 503, "scheduled"),
        ("599 Odd", 599, "scheduled"),
        ("999 Odder", 999, "scheduled"),
    ] {
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        add("a status", status, state, 0, Scripted::saying(text.into_bytes()).await);
    }
    all
}

async fn endpoint(world: &World, url: Url, timeout: Duration) -> EndpointId {
    world.endpoint_with(url, |endpoint| endpoint.timeout_ms = u32::try_from(timeout.as_millis()).unwrap()).await
}

/// The first attempt, which came to its end in its time.
fn check_time(does: &str, record: &DeliveryRecord, deadline: Duration) {
    let took = Duration::from_secs_f64(record.attempts[0].timings_ms.total / 1000.0);
    // The machine may be busy; a receiver that keeps us is one that keeps us for ever.
    assert!(took < deadline + Duration::from_secs(3), "{does}: {took:?} with a deadline of {deadline:?}");
}

fn failed(phase: &str, kind: &str) -> Outcome {
    Outcome::Failed { phase: phase.to_owned(), kind: kind.to_owned(), reason: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_receiver_keeps_an_attempt_beyond_its_deadline_or_fills_the_memory() {
    let _alone = ALONE.lock().await;
    let world = World::at_rest(Settings::default()).await;
    let taken = Arc::new(AtomicU64::new(0));
    let failures = no_answers(&taken).await;
    let answers = answers(&taken).await;
    let (good, root) = secure::start(Certificate { name: "hook.test", ..Certificate::default() }).await;
    let roots = failures.roots.iter().cloned().chain([root]).collect();

    let mut failing = Vec::new();
    for row in &failures.rows {
        let deadline = if row.kind == "timeout" { SHORT } else { LONG };
        failing.push((row, deadline, endpoint(&world, row.url.clone(), deadline).await));
    }
    let mut answering = Vec::new();
    for answer in &answers {
        answering.push((answer, endpoint(&world, answer.server.url(), LONG).await));
    }
    let control = endpoint(&world, good.url_of("https", "hook.test"), LONG).await;

    let before = forget_peak_kib();
    let _engine = run_engine(&world, roots);
    world.publish("thing.happened", 1).await;
    for (row, deadline, endpoint) in failing {
        let record = world.wait_for_attempt(endpoint, 1).await;
        assert_eq!(
            record.attempts[0].outcome,
            Outcome::Failed {
                phase: row.phase.to_owned(),
                kind: row.kind.to_owned(),
                reason: row.reason.map(str::to_owned)
            },
            "{}",
            row.does
        );
        assert_eq!(record.delivery.state.name(), "scheduled", "{}", row.does);
        check_time(row.does, &record, deadline);
    }
    for (answer, endpoint) in answering {
        let (does, status) = (answer.does, answer.status);
        let record = world.wait_for_attempt(endpoint, 1).await;
        assert_eq!(record.attempts[0].outcome, Outcome::Status { status, retry_after_ms: None }, "{does}");
        assert_eq!(record.delivery.state.name(), answer.state, "{does} {status}");
        let body = &record.attempts[0].response_body;
        // Bytes that are no text are replaced, so a bomb's text may be cut a little shorter.
        assert!((answer.kept.saturating_sub(3)..=answer.kept).contains(&body.len()), "{does}: {} bytes", body.len());
        assert!(does != "a gzip bomb" || body.starts_with('\u{1f}'), "it was inflated");
        check_time(does, &record, LONG);
    }
    // The roots are believed: the certificates above were refused for what is wrong with each.
    assert_eq!(world.wait_for_attempt(control, 1).await.delivery.state.name(), "delivered");

    let grown = peak_kib() - before;
    assert!(grown < ROOM_KIB, "the process grew by {grown} KiB");
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken < 64 << 20, "{taken} bytes were taken: what sockets buffer, and not a gigabyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_read_ends_while_it_is_sent() {
    let _alone = ALONE.lock().await;
    let world = World::at_rest(Settings::default()).await;
    let _engine = run_engine(&world, Vec::new());
    let silent = Scripted::narrow(hold);
    let rude = Scripted::narrow(|mut socket| async move {
        let mut half = vec![0; 64 * 1024];
        let _ = socket.read_exact(&mut half).await;
        let _ = socket.set_zero_linger();
    });
    for (server, kind, deadline) in [(silent, "timeout", SHORT), (rude, "reset", LONG)] {
        let endpoint = endpoint(&world, server.url(), deadline).await;
        // More than the sockets of both sides buffer, and not much more: it is signed by code that is not optimised.
        let data = json!({"text": "x".repeat(4 << 20)});
        let kind_of_event = "thing.happened".parse().unwrap();
        let id = world.ambient.id();
        let event =
            NewEvent { id, account: world.account, kind: kind_of_event, data: data.into(), only: Some(endpoint) };
        world.store.publish(vec![event]).await.unwrap();
        let record = world.wait_for_attempt(endpoint, 1).await;
        assert_eq!(record.attempts[0].outcome, failed("send", kind));
        check_time(kind, &record, deadline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reset_as_soon_as_it_is_made_is_a_reset() {
    let _alone = ALONE.lock().await;
    let world = World::at_rest(Settings::default()).await;
    let _engine = run_engine(&world, Vec::new());
    let server = Scripted::start(|socket| async move {
        let _ = socket.set_zero_linger();
    })
    .await;
    let endpoint = endpoint(&world, server.url(), LONG).await;
    for number in 0..8 {
        world.publish("thing.happened", number).await;
    }
    let tried = |all: &[Delivery]| all.len() == 8 && all.iter().filter(|one| one.attempts == 1).count() >= 4;
    for delivery in world.wait_until(endpoint, tried).await.iter().filter(|one| one.attempts == 1) {
        let record = world.store.delivery(world.account, delivery.id).await.unwrap();
        let outcome = &record.attempts[0].outcome;
        // What had been done when the reset came is a race that nobody wins each time.
        assert!(
            ["connect", "send", "first_byte"].iter().any(|phase| *outcome == failed(phase, "reset")),
            "{outcome:?}"
        );
        check_time("a reset at once", &record, LONG);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_elsewhere_the_second_time_is_refused_then() {
    let _alone = ALONE.lock().await;
    let world = World::at_rest(Settings::default()).await;
    let _engine = run_engine(&world, Vec::new());
    let server = Scripted::saying(&b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"[..]).await;
    let endpoint = endpoint(&world, server.url_of("http", "moves.test"), LONG).await;
    world.publish("thing.happened", 1).await;
    assert_eq!(world.wait_for_attempt(endpoint, 1).await.delivery.state.name(), "delivered");
    world.publish("thing.happened", 2).await;
    let settled = world.wait_until(endpoint, |all| all.len() == 2 && all[1].attempts == 1).await;
    let record = world.store.delivery(world.account, settled[1].id).await.unwrap();
    assert_eq!(record.attempts[0].outcome, failed("dns", "address_not_allowed"));
    assert_eq!(record.attempts[0].address.as_deref().map(|address| address.starts_with("169.254.")), Some(true));
}

#[tokio::test]
async fn the_documentation_lists_every_way_in_which_no_answer_comes() {
    let page = include_str!("../../../../docs/webhooks.md");
    let (_, table) = page.split_once("| The receiver | `phase` | `kind` |\n| --- | --- | --- |\n").unwrap();
    let listed: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    let row = |does: &str, phase: &str, kind: &str| format!("| {does}. | `{phase}` | `{kind}` |");
    let rows = no_answers(&Arc::default()).await.rows;
    let mut expected: Vec<_> = rows.iter().map(|known| row(known.does, known.phase, known.kind)).collect();
    let sending = [("It accepts and reads nothing", "timeout"), ("It resets in the middle of the request", "reset")];
    let at = rows.iter().position(|row| row.phase == "first_byte").unwrap();
    expected.splice(at..at, sending.map(|(does, kind)| row(does, "send", kind)));
    assert_eq!(listed, expected, "docs/webhooks.md should read\n{}", expected.join("\n"));
}

/// Has the kernel count the most memory of this process anew, from what it has now, in KiB.
///
/// # Source
/// `proc_pid_clear_refs(5)`.
fn forget_peak_kib() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak_kib()
}

/// The most memory this process had since then, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
