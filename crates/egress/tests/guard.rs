//! Nothing reaches inside: not by a name, an answer that changes, or a redirect.

mod support;

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use reelhook_egress::{Client, FailureKind, Phase, Policy, Request, Resolver, Settings};
use reelhook_testkit::addresses::{SPECIAL_PURPOSE, ends};
use support::{Answers, Server, client, get, post, read_request, url};
use tokio::io::AsyncWriteExt as _;

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// A server that answers each path of a table with a response, and the rest with 200.
async fn scripted(routes: Vec<(&'static str, String)>) -> Server {
    Server::start(move |_, mut socket| {
        let routes = routes.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let path = request.split(' ').nth(1).unwrap_or_default();
                let response = routes.iter().find(|(known, _)| *known == path).map_or(OK, |(_, response)| response);
                // What arrived is told back in a header, so that a test can see it.
                let echo = request.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n", "|");
                let response = response.replacen("\r\n", &format!("\r\nx-seen: {echo}\r\n"), 1);
                let _ = socket.write_all(response.as_bytes()).await;
            }
        }
    })
    .await
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_name_with_one_forbidden_answer_is_refused_whole() {
    let server = scripted(vec![]).await;
    for answers in ["127.0.0.1 10.0.0.1", "10.0.0.1 127.0.0.1", "127.0.0.1 ::ffff:10.0.0.1", "127.0.0.1 fd00::1"] {
        let client = client(server.policy(), Answers::always(answers));
        let failure = client.send(get(server.named("/"))).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (FailureKind::AddressNotAllowed, Phase::Dns), "{answers}");
        assert!(!failure.sent_bytes);
        assert!(!failure.public_reason().contains("10.0.0.1"));
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn an_answer_is_judged_again_on_every_new_dial() {
    let server = scripted(vec![]).await;
    let resolver = Answers::in_turn(&["127.0.0.1", "169.254.169.254"]);
    let client = client(server.policy(), Arc::clone(&resolver));
    client.send(get(server.named("/"))).await.unwrap();
    let failure = client.send(get(server.named("/"))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::AddressNotAllowed);
    assert_eq!(failure.address.unwrap().ip().to_string(), "169.254.169.254");
    assert!(failure.detail.contains("metadata"), "the operator learns the rule: {}", failure.detail);
    assert_eq!(resolver.asked(), 2, "each dial asks once, and dials what was judged");
}

#[tokio::test]
async fn names_that_do_not_resolve_fail_in_the_dns_phase() {
    let client = client(Policy::public().allow_http(), Answers::always(""));
    let failure = client.send(get(url("http://nowhere.example/"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (FailureKind::Dns, Phase::Dns));
}

#[tokio::test]
async fn urls_are_judged_before_anything_else() {
    let resolver = Answers::always("127.0.0.1");
    let client = client(Policy::public(), Arc::clone(&resolver));
    for (text, kind) in [
        ("http://hook.example/", FailureKind::UrlNotAllowed),
        ("ftp://hook.example/", FailureKind::UrlNotAllowed),
        ("https://user:pass@hook.example/", FailureKind::UrlNotAllowed),
        ("https://hook.example:6379/", FailureKind::UrlNotAllowed),
        ("https://127.1/", FailureKind::AddressNotAllowed),
        ("https://[::ffff:127.0.0.1]/", FailureKind::AddressNotAllowed),
        ("https://localhost/", FailureKind::AddressNotAllowed),
    ] {
        let failure = client.send(get(url(text))).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (kind, Phase::Url), "{text}");
        assert!(!failure.detail.contains("pass@"));
    }
    assert_eq!(resolver.asked(), 0);
}

#[tokio::test]
async fn a_redirect_is_a_response_unless_asked_for() {
    let server = scripted(vec![("/", redirect(301, "http://127.0.0.1:1/"))]).await;
    let exchange = server.client().send(post(server.url("/"), "{}")).await.unwrap();
    assert_eq!(exchange.status, 301);
    assert_eq!(exchange.headers["location"], "http://127.0.0.1:1/");
}

#[tokio::test]
async fn a_redirect_inward_is_refused() {
    let touched = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&touched);
    let inside = Server::start(move |_, _| {
        flag.store(true, Ordering::SeqCst);
        async {}
    })
    .await;
    let port = inside.address.port();
    let names = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("//localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://hook.example/".to_owned(),
        "http://user@hook.example/".to_owned(),
    ];
    for target in names {
        let server = scripted(vec![("/", redirect(301, &target))]).await;
        let request = Request { redirects: 3, ..get(server.url("/")) };
        let failure = server.client().send(request).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (FailureKind::RedirectNotAllowed, Phase::Url), "{target}");
    }
    // A name passes the first look and is caught when it is resolved.
    let server = scripted(vec![("/", redirect(302, &format!("http://inside.example:{port}/")))]).await;
    let policy = server.policy();
    let client = client(policy, Answers::in_turn(&["127.0.0.1", "127.0.0.1"]));
    let request = Request { redirects: 3, ..get(server.named("/")) };
    let failure = client.send(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::AddressNotAllowed);
    assert!(!touched.load(Ordering::SeqCst));
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_number_asked_for() {
    let server =
        scripted(vec![("/1", redirect(302, "/2")), ("/2", redirect(307, "3")), ("/loop", redirect(302, "/loop"))])
            .await;
    let client = server.client();
    let ask = |path: &str, redirects| client.send(Request { redirects, ..get(server.url(path)) });
    assert_eq!(ask("/1", 2).await.unwrap().body, "ok");
    assert_eq!(ask("/1", 1).await.unwrap_err().kind, FailureKind::TooManyRedirects);
    assert_eq!(ask("/loop", 5).await.unwrap_err().kind, FailureKind::TooManyRedirects);
    let response = client.open(Request { redirects: 2, ..get(server.url("/1")) }).await.unwrap();
    assert_eq!(response.url, server.url("/3"));
}

#[tokio::test]
async fn credentials_do_not_cross_origins() {
    let other = scripted(vec![]).await;
    let away = format!("http://{}/", other.address);
    let server = scripted(vec![("/away", redirect(307, &away)), ("/home", redirect(307, "/here"))]).await;
    let policy = server.policy().allow(other.address.ip().into(), other.address.port()..=other.address.port());
    let client = client(policy, Answers::always("127.0.0.1"));
    for (path, kept) in [("/home", true), ("/away", false)] {
        let mut request = Request { redirects: 1, ..post(server.url(path), "{}") };
        for name in ["authorization", "x-api-key", "cookie"] {
            request.headers.insert(name, HeaderValue::from_static("secret"));
        }
        let exchange = client.send(request).await.unwrap();
        let seen = exchange.headers["x-seen"].to_str().unwrap();
        assert!(seen.starts_with("POST "), "{seen}");
        assert_eq!(seen.contains("secret"), kept, "{seen}");
    }
}

#[tokio::test]
async fn no_answer_of_dns_leads_to_a_special_purpose_range() {
    for address in SPECIAL_PURPOSE.iter().flat_map(|range| ends(range)) {
        let mut answers = vec![address.to_string()];
        if let IpAddr::V4(four) = address {
            answers.push(format!("::ffff:{four}"));
            answers.push(format!("64:ff9b::{four}"));
        }
        for answer in answers {
            for beside in [answer.clone(), format!("8.8.8.8 {answer}"), format!("{answer} 2606:4700:4700::1111")] {
                let client = client(Policy::public(), Answers::always(&beside));
                let failure = client.send(get(url("https://hook.example/"))).await.unwrap_err();
                assert_eq!((failure.kind, failure.phase), (FailureKind::AddressNotAllowed, Phase::Dns), "{beside}");
                assert!(!failure.sent_bytes);
            }
        }
    }
}

/// A resolver that answers with a link-local address and the zone it is of.
#[derive(Debug)]
struct Zoned;

#[async_trait::async_trait]
impl Resolver for Zoned {
    async fn resolve(&self, _host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddrV6::new("fe80::1".parse().expect("it is an address"), port, 0, 1).into()])
    }
}

#[tokio::test]
async fn a_zone_opens_no_link_local_address() {
    let client = Client::new(Settings::default(), Arc::new(Zoned)).expect("the settings are valid");
    let failure = client.send(get(url("https://hook.example/"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (FailureKind::AddressNotAllowed, Phase::Dns));
    for host in ["[fe80::1%1]", "[fe80::1%25eth0]", "[::1%25lo]", "[fe80::1%lo]"] {
        assert!(::url::Url::parse(&format!("https://{host}/")).is_err(), "{host} is no URL, so nobody dials it");
    }
}
