//! Exchanges that go well, and connections that are used again.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, Method};
use reelhook_egress::{Client, FailureKind, Phase, Policy, Request, RequestBody, Settings, Usual};
use support::{Answers, Server, get, hold, post, read_request};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers every request on the connection alike.
async fn answer_all(mut socket: TcpStream, response: &[u8]) {
    while read_request(&mut socket).await.is_some() {
        if socket.write_all(response).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn connections_are_used_again_without_asking_dns() {
    let server = Server::start(|_, socket| answer_all(socket, OK)).await;
    let resolver = Answers::always("127.0.0.1");
    let client = support::client(server.policy(), Arc::clone(&resolver));
    for round in 0..5 {
        let exchange = client.send(post(server.named("/"), "{}")).await.unwrap();
        assert_eq!((exchange.status.as_u16(), &exchange.body[..]), (200, &b"ok"[..]));
        assert_eq!(exchange.reused, round > 0);
        assert_eq!(exchange.address, server.address);
        assert!(!exchange.truncated);
        assert_eq!(exchange.timings.connect.is_zero(), round > 0);
    }
    assert_eq!((server.accepted(), resolver.asked()), (1, 1));
}

#[tokio::test]
async fn chunked_and_empty_responses_leave_the_connection_usable() {
    for response in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n, y\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
    ] {
        let server = Server::start(|_, socket| answer_all(socket, response.as_bytes())).await;
        let client = server.client();
        client.send(post(server.url("/"), "{}")).await.unwrap();
        assert!(client.send(post(server.url("/"), "{}")).await.unwrap().reused, "{response}");
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_not_encoded_ends_at_its_length() {
    for (head, body) in [
        ("transfer-encoding: identity\r\ncontent-length: 5", "hello"),
        ("content-length: 5\r\ntransfer-encoding: Identity", "hello, and more"),
        ("transfer-encoding: identity\r\ncontent-length: 0", ""),
    ] {
        // The connection stays open: only the length says where the body ends.
        let response = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        let server = Server::start(move |_, socket| {
            let response = response.clone();
            async move { answer_all(socket, response.as_bytes()).await }
        })
        .await;
        let client = server.client();
        let whole = client.send(get(server.url("/"))).await.unwrap();
        assert_eq!(whole.body, &body[..body.len().min(5)], "{head}");
        let opened = client.open(get(server.url("/"))).await.unwrap();
        assert_eq!(opened.body.announced(), Some(body.len().min(5) as u64), "{head}");
        let pieces: Vec<_> = opened.body.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), body.as_bytes()[..body.len().min(5)], "{head}");
    }
}

#[tokio::test]
async fn connections_are_not_used_again_when_the_server_or_the_settings_say_so() {
    for response in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let server = Server::start(|_, socket| answer_all(socket, response.as_bytes())).await;
        let client = server.client();
        client.send(get(server.url("/"))).await.unwrap();
        assert!(!client.send(get(server.url("/"))).await.unwrap().reused, "{response}");
    }
    let server = Server::start(|_, socket| answer_all(socket, OK)).await;
    for settings in [
        Settings { max_idle_per_host: 0, policy: server.policy(), ..Settings::default() },
        Settings { idle_timeout: Duration::ZERO, policy: server.policy(), ..Settings::default() },
    ] {
        let client = Client::new(settings, Answers::always("127.0.0.1")).unwrap();
        client.send(get(server.url("/"))).await.unwrap();
        assert!(!client.send(get(server.url("/"))).await.unwrap().reused);
    }
}

#[tokio::test]
async fn an_aged_connection_is_not_used_again() {
    let server = Server::start(|_, socket| answer_all(socket, OK)).await;
    let client = server.client();
    for (rest, reused) in [(0, false), (29, true), (31, false)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(rest)).await;
        tokio::time::resume();
        assert_eq!(client.send(get(server.url("/"))).await.unwrap().reused, reused, "after {rest} s");
    }
}

#[tokio::test]
async fn no_more_connections_rest_than_allowed() {
    let server = Server::start(|_, socket| answer_all(socket, OK)).await;
    let settings = Settings { max_idle_per_host: 2, policy: server.policy(), ..Settings::default() };
    let client = Client::new(settings, Answers::always("127.0.0.1")).unwrap();
    let round = || async {
        let exchanges = futures::future::join_all((0..4).map(|_| client.send(get(server.url("/"))))).await;
        exchanges.into_iter().filter(|exchange| exchange.as_ref().unwrap().reused).count()
    };
    assert_eq!(round().await, 0);
    assert_eq!(round().await, 2);
}

#[tokio::test]
async fn a_connection_closed_at_rest_is_replaced() {
    // Every connection serves one request and is closed without a word about it.
    let server = Server::start(|_, mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(OK).await;
    })
    .await;
    let client = server.client();
    for _ in 0..5 {
        assert_eq!(client.send(post(server.url("/"), "{}")).await.unwrap().body, "ok");
    }
    assert_eq!(server.accepted(), 5);
}

#[tokio::test]
async fn a_reused_connection_that_dies_under_a_request_is_retried_once_on_a_fresh_one() {
    // The first connection answers once, reads the second request whole, and closes.
    let server = Server::start(|index, mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(OK).await;
        read_request(&mut socket).await;
        if index > 0 {
            let _ = socket.write_all(OK).await;
            hold(socket).await;
        }
    })
    .await;
    let client = server.client();
    client.send(post(server.url("/"), "1")).await.unwrap();
    let second = client.send(post(server.url("/"), "2")).await.unwrap();
    assert!(!second.reused);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_retry_that_fails_too_remembers_that_the_first_try_sent_bytes() {
    let server = Server::start(|index, mut socket| async move {
        if index == 0 {
            read_request(&mut socket).await;
            let _ = socket.write_all(OK).await;
        }
        read_request(&mut socket).await;
    })
    .await;
    let client = server.client();
    client.send(post(server.url("/"), "1")).await.unwrap();
    let failure = client.send(post(server.url("/"), "2")).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (FailureKind::Reset, Phase::FirstByte));
    assert!(failure.sent_bytes);
    assert_eq!(server.accepted(), 2, "one retry, not more");
}

#[tokio::test]
async fn a_retry_that_cannot_even_connect_remembers_that_the_first_try_sent_bytes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        drop(listener);
        read_request(&mut socket).await;
        socket.write_all(OK).await.unwrap();
        read_request(&mut socket).await;
    };
    let client = support::client(Policy::development(), Answers::always("127.0.0.1"));
    let ask = async {
        let target = support::url(&format!("http://{address}/"));
        client.send(post(target.clone(), "1")).await.unwrap();
        client.send(post(target, "2")).await.unwrap_err()
    };
    let ((), failure) = futures::join!(serve, ask);
    assert_eq!((failure.kind, failure.phase), (FailureKind::Refused, Phase::Connect));
    assert!(failure.sent_bytes);
}

#[tokio::test]
async fn a_reused_connection_that_answers_half_is_not_retried() {
    let server = Server::start(|_, mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(OK).await;
        read_request(&mut socket).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncont").await;
    })
    .await;
    let client = server.client();
    client.send(post(server.url("/"), "1")).await.unwrap();
    client.send(post(server.url("/"), "2")).await.unwrap_err();
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn the_request_is_written_as_it_should_be() {
    let seen = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&seen);
    let server = Server::start(move |_, mut socket| {
        let log = Arc::clone(&log);
        async move {
            let request = read_request(&mut socket).await.unwrap_or_default();
            *log.lock().expect("no test panics here") = request;
            let _ = socket.write_all(OK).await;
        }
    })
    .await;
    let mut request = post(server.named("/a%20b?c=d#e"), "{\"x\":1}");
    for (name, value) in [
        ("x-custom", "1"),
        ("host", "evil.example"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("expect", "100-continue"),
        ("upgrade", "websocket"),
    ] {
        request.headers.insert(name, HeaderValue::from_static(value));
    }
    server.client().send(request).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(seen.starts_with("POST /a%20b?c=d HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"x\":1}"), "{seen}");
    let head = seen.to_ascii_lowercase();
    for line in [
        format!("host: hook.example:{}\r\n", server.address.port()),
        "content-length: 7\r\n".to_owned(),
        "x-custom: 1\r\n".to_owned(),
        "accept-encoding: identity\r\n".to_owned(),
        "user-agent: reelhook/".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} in {seen}");
    }
    for name in ["evil.example", "transfer-encoding", "connection:", "expect:", "upgrade:", "999"] {
        assert!(!head.contains(name), "{name} in {seen}");
    }
}

#[tokio::test]
async fn a_request_without_the_usual_headers_has_the_callers_alone() {
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    let server = Server::start(move |_, mut socket| {
        let keep = Arc::clone(&keep);
        async move {
            *keep.lock().unwrap() = read_request(&mut socket).await.unwrap_or_default();
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let mut request = Request { usual: Usual::LeftOut, ..post(server.url("/"), "{}") };
    request.headers.insert("content-type", HeaderValue::from_static("application/json"));
    server.client().send(request).await.unwrap();
    let seen = seen.lock().unwrap().to_ascii_lowercase();
    let head = seen.split("\r\n\r\n").next().unwrap();
    let mut names: Vec<_> = head.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "host"], "{seen}");
}

#[tokio::test]
async fn a_streamed_body_arrives_whole_and_a_wrong_length_fails() {
    let server = Server::start(|_, mut socket| async move {
        if let Some(request) = read_request(&mut socket).await {
            let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
            let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = socket.write_all(response.as_bytes()).await;
        }
        hold(socket).await;
    })
    .await;
    let client = server.client();
    let request = |length| Request {
        method: Method::PUT,
        body: RequestBody::Stream {
            length: Some(length),
            stream: futures::stream::iter(["ab", "cd"].map(|piece| Ok(Bytes::from(piece)))).boxed(),
        },
        ..get(server.url("/"))
    };
    assert_eq!(client.send(request(4)).await.unwrap().body, "abcd");
    for wrong in [3, 5] {
        let failure = client.send(request(wrong)).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (FailureKind::Protocol, Phase::Send), "{failure}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_counts() {
    let server = Server::start(|_, mut socket| async move {
        let _ = socket.readable().await;
        let _ = socket.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await;
        hold(socket).await;
    })
    .await;
    let request = Request { body: RequestBody::Full(vec![b'x'; 32 << 20].into()), ..post(server.url("/"), "") };
    let client = server.client();
    assert_eq!(client.send(request).await.unwrap().status, 413);
    assert!(!client.send(post(server.url("/"), "")).await.unwrap().reused, "half a request is still on the first");
}

#[tokio::test]
async fn a_body_is_read_as_a_stream_and_its_connection_used_again() {
    let server = Server::start(|_, mut socket| async move {
        while read_request(&mut socket).await.is_some() {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n").await;
            let _ = socket.write_all(&vec![b'x'; 300_000]).await;
        }
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        let request = Request { response_cap: 300_000, ..get(server.url("/file")) };
        let response = client.open(request).await.unwrap();
        assert_eq!((response.url.path(), response.body.announced()), ("/file", Some(300_000)));
        let pieces: Vec<Bytes> = response.body.try_collect().await.unwrap();
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), 300_000);
    }
    assert_eq!(server.accepted(), 1);
    // Given up half way, the connection is closed.
    let request = Request { response_cap: 300_000, ..get(server.url("/file")) };
    let mut body = client.open(request).await.unwrap().body;
    body.next().await.unwrap().unwrap();
    drop(body);
    client.send(get(server.url("/"))).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_gzip_bomb_stays_small() {
    let server = Server::start(|_, socket| {
        answer_all(socket, b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00")
    })
    .await;
    let exchange = server.client().send(get(server.url("/"))).await.unwrap();
    assert_eq!(exchange.body, &b"\x1f\x8b\x08\x00"[..]);
}
