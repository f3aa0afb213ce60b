//! Receivers that drip, stall, lie, flood and hang up: each ends as a failure of its own kind, in time and in little memory.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reelhook_egress::{Failure, FailureKind, Phase, Request, RequestBody};
use support::{SOON, Server, get, hold, post, read_request, url};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A server that reads the request, says this, and closes.
async fn says(bytes: &'static [u8]) -> Server {
    Server::start(move |_, mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(bytes).await;
    })
    .await
}

/// A server that reads the request, says this, and keeps the connection open in silence.
async fn says_and_waits(bytes: &'static [u8]) -> Server {
    Server::start(move |_, mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(bytes).await;
        hold(socket).await;
    })
    .await
}

/// Writes until the client has had enough; counts what went out.
async fn flood(mut socket: TcpStream, head: &[u8], piece: &[u8], sent: Arc<AtomicU64>) {
    read_request(&mut socket).await;
    let _ = socket.write_all(head).await;
    while socket.write_all(piece).await.is_ok() {
        sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
}

fn check(failure: &Failure, kind: FailureKind, phase: Phase) {
    assert_eq!((failure.kind, failure.phase), (kind, phase), "{failure}");
}

#[tokio::test]
async fn a_closed_port_refuses_and_nothing_was_sent() {
    let server = Server::start(|_, socket| hold(socket)).await;
    let (target, client) = (server.url("/"), server.client());
    drop(server);
    tokio::task::yield_now().await;
    let failure = client.send(post(target, "{}")).await.unwrap_err();
    check(&failure, FailureKind::Refused, Phase::Connect);
    assert!(!failure.sent_bytes);
}

#[tokio::test]
async fn a_full_backlog_ends_at_the_deadline() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: connections fill the backlog until the next one gets no answer.
    let mut filling = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        filling.push(stream);
        assert!(filling.len() < 64, "the backlog never fills");
    }
    let client = support::client(reelhook_egress::Policy::development(), support::Answers::always("127.0.0.1"));
    let request = Request { deadline: SOON, ..get(url(&format!("http://{address}/"))) };
    let failure = client.send(request).await.unwrap_err();
    check(&failure, FailureKind::Timeout, Phase::Connect);
    assert!(!failure.sent_bytes);
}

#[tokio::test]
async fn a_dead_address_leaves_time_for_the_next_one() {
    let server = says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let policy = server.policy().allow("127.0.0.2/32".parse().unwrap(), 1..=u16::MAX);
    // 127.0.0.2 refuses at once, since the server listens on 127.0.0.1 only.
    let client = support::client(policy, support::Answers::always("127.0.0.2 127.0.0.1"));
    let exchange = client.send(get(server.named("/"))).await.unwrap();
    assert_eq!(exchange.address, server.address);
}

#[tokio::test]
async fn silence_ends_at_the_deadline_and_bytes_were_sent() {
    let server = says_and_waits(b"").await;
    let begun = Instant::now();
    let failure = server.client().send(Request { deadline: SOON, ..post(server.url("/"), "{}") }).await.unwrap_err();
    check(&failure, FailureKind::Timeout, Phase::FirstByte);
    assert!(failure.sent_bytes);
    assert!(failure.timings.first_byte > SOON / 2 && failure.timings.total >= SOON, "{:?}", failure.timings);
    assert!(begun.elapsed() < SOON * 20);
}

#[tokio::test]
async fn a_receiver_that_reads_nothing_ends_at_the_deadline_while_sending() {
    let server = Server::start(|_, socket| hold(socket)).await;
    let body = RequestBody::Full(vec![0; 64 << 20].into());
    let request = Request { deadline: SOON, body, ..post(server.url("/"), "") };
    let failure = server.client().send(request).await.unwrap_err();
    check(&failure, FailureKind::Timeout, Phase::Send);
}

#[tokio::test]
async fn dripping_ends_at_the_deadline() {
    let drip = |mut socket: TcpStream, first: &'static [u8]| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(first).await;
        while socket.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SOON / 30).await;
        }
    };
    for (first, phase) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n"[..], Phase::Body),
        (&b"HTTP/1.1 200 OK\r\nx-endless: "[..], Phase::FirstByte),
    ] {
        let server = Server::start(move |_, socket| drip(socket, first)).await;
        let request = || Request { deadline: SOON, stall: Some(SOON * 100), ..get(server.url("/")) };
        let failure = server.client().send(request()).await.unwrap_err();
        check(&failure, FailureKind::Timeout, phase);
        let Ok(response) = server.client().open(request()).await else {
            assert_eq!(phase, Phase::FirstByte);
            continue;
        };
        let last = response.body.collect::<Vec<_>>().await.pop().unwrap();
        check(&last.unwrap_err(), FailureKind::Timeout, phase);
    }
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_stalled_long_before_the_deadline() {
    let server = says_and_waits(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let request = || Request { stall: Some(SOON / 3), ..get(server.url("/")) };
    let failure = server.client().send(request()).await.unwrap_err();
    check(&failure, FailureKind::Stalled, Phase::Body);
    let mut body = server.client().open(request()).await.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap(), "abc");
    check(&body.next().await.unwrap().unwrap_err(), FailureKind::Stalled, Phase::Body);
    assert!(body.next().await.is_none(), "after an error the stream is over");
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_cap() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"] {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let server = Server::start(move |_, socket| {
            let counter = Arc::clone(&counter);
            async move { flood(socket, head.as_bytes(), &[b'x'; 16 * 1024], counter).await }
        })
        .await;
        let request = || Request { response_cap: 1000, ..get(server.url("/")) };
        let exchange = server.client().send(request()).await.unwrap();
        assert_eq!((exchange.body.len(), exchange.truncated), (1000, true));
        let failure = match server.client().open(request()).await {
            Ok(response) => response.body.collect::<Vec<_>>().await.pop().unwrap().unwrap_err(),
            Err(failure) => failure,
        };
        check(&failure, FailureKind::TooLarge, Phase::Body);
        assert!(sent.load(Ordering::SeqCst) < 32 << 20, "what the sockets buffer, and not much more");
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_whole() {
    let server = says(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd").await;
    for (cap, kept, truncated) in [(3, "abc", true), (4, "abcd", false), (0, "", true)] {
        let request = Request { response_cap: cap, ..get(server.url("/")) };
        let exchange = server.client().send(request).await.unwrap();
        assert_eq!((&exchange.body[..], exchange.truncated), (kept.as_bytes(), truncated));
    }
    let request = Request { response_cap: 4, ..get(server.url("/")) };
    let pieces = server.client().open(request).await.unwrap().body.collect::<Vec<_>>().await;
    assert!(pieces.iter().all(Result::is_ok));
}

#[tokio::test]
async fn heads_without_end_fail_in_little_memory() {
    for piece in ["x-header: 0123456789\r\n", "0123456789abcdef"] {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let server = Server::start(move |_, socket| {
            let counter = Arc::clone(&counter);
            async move { flood(socket, b"HTTP/1.1 200 OK\r\nx-first: 1", piece.repeat(1000).as_bytes(), counter).await }
        })
        .await;
        let failure = server.client().send(get(server.url("/"))).await.unwrap_err();
        check(&failure, FailureKind::TooLarge, Phase::FirstByte);
        assert!(sent.load(Ordering::SeqCst) < 32 << 20, "what the sockets buffer, and not 100 MB");
    }
}

#[tokio::test]
async fn lies_about_the_length_fail() {
    for (response, kind) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"[..], FailureKind::Protocol),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 10\r\n\r\nabc", FailureKind::Protocol),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", FailureKind::Protocol),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", FailureKind::Protocol),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n", FailureKind::Protocol),
    ] {
        let server = says(response).await;
        let failure = server.client().send(get(server.url("/"))).await.unwrap_err();
        check(&failure, kind, Phase::Body);
        let last = server.client().open(get(server.url("/"))).await.unwrap().body.collect::<Vec<_>>().await.pop();
        check(&last.unwrap().unwrap_err(), kind, Phase::Body);
    }
}

#[tokio::test]
async fn more_bytes_than_announced_never_reach_the_next_exchange() {
    let server = Server::start(|index, mut socket| async move {
        while read_request(&mut socket).await.is_some() {
            let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
            let response = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{index}{forged}");
            let _ = socket.write_all(response.as_bytes()).await;
        }
    })
    .await;
    let client = server.client();
    assert_eq!(client.send(get(server.url("/"))).await.unwrap().body, "0");
    assert_eq!(client.send(get(server.url("/"))).await.unwrap().body, "1");
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for response in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        let server = says(response).await;
        let failure = server.client().send(get(server.url("/"))).await.unwrap_err();
        check(&failure, FailureKind::Protocol, Phase::FirstByte);
    }
}

#[tokio::test]
async fn a_close_before_the_response_is_a_reset() {
    let server = says(b"").await;
    let failure = server.client().send(post(server.url("/"), "{}")).await.unwrap_err();
    check(&failure, FailureKind::Reset, Phase::FirstByte);
    assert!(failure.sent_bytes);
    let half = says(b"HTTP/1.1 200 OK\r\ncontent-le").await;
    check(&half.client().send(get(half.url("/"))).await.unwrap_err(), FailureKind::Reset, Phase::FirstByte);
}

#[tokio::test]
async fn a_reset_while_sending_is_told_from_one_while_waiting() {
    // Closing a socket with unread bytes resets it.
    let server = Server::start(|_, socket| async move {
        let _ = socket.readable().await;
    })
    .await;
    let failure = server.client().send(post(server.url("/"), "{}")).await.unwrap_err();
    check(&failure, FailureKind::Reset, Phase::FirstByte);
    let request = Request { body: RequestBody::Full(vec![0; 64 << 20].into()), ..post(server.url("/"), "") };
    let failure = server.client().send(request).await.unwrap_err();
    check(&failure, FailureKind::Reset, Phase::Send);
    assert!(failure.sent_bytes);
}

#[tokio::test]
async fn a_reset_while_reading_the_body_is_a_reset() {
    let hang_up = Arc::new(Notify::new());
    let signal = Arc::clone(&hang_up);
    let server = Server::start(move |_, mut socket| {
        let signal = Arc::clone(&signal);
        async move {
            // The request is left unread on purpose: closing then resets.
            let _ = socket.readable().await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
            signal.notified().await;
        }
    })
    .await;
    let mut body = server.client().open(get(server.url("/"))).await.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap(), "abc");
    hang_up.notify_one();
    check(&body.next().await.unwrap().unwrap_err(), FailureKind::Reset, Phase::Body);
}

#[tokio::test]
async fn only_the_first_addresses_of_a_name_are_tried() {
    let server = says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let policy = server.policy().allow("127.0.0.0/8".parse().unwrap(), 1..=u16::MAX);
    // Nothing listens at the first ones; the server is the last.
    for (dead, reached) in [(7, true), (8, false)] {
        let mut answers: Vec<String> = (0..dead).map(|index| format!("127.0.0.{}", index + 2)).collect();
        answers.push("127.0.0.1".to_owned());
        let client = support::client(policy.clone(), support::Answers::always(&answers.join(" ")));
        assert_eq!(client.send(get(server.named("/"))).await.is_ok(), reached, "{dead} dead addresses");
    }
}
