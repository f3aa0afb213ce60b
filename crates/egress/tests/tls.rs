//! Whom we believe: a certificate for the name that was asked, from a root that is trusted, and nothing less.

mod support;

use std::net::IpAddr;
use std::sync::Arc;

use reelhook_egress::{BuildError, CertificateDer, Client, FailureKind, Phase, Policy, Request, Settings};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use support::{Answers, Server, get, post, read_request, url};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;
use url::Url;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

struct TlsServer {
    server: Server,
    certificate: CertificateDer<'static>,
}

impl TlsServer {
    async fn start(names: &[&str]) -> Self {
        Self::answering(names, OK.to_owned()).await
    }

    async fn answering(names: &[&str], response: String) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("the names are valid");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("rcgen writes PKCS#8");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("the key is of the certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Server::start(move |_, socket| {
            let acceptor = acceptor.clone();
            let response = response.clone();
            async move {
                let Ok(mut socket) = acceptor.accept(socket).await else { return };
                while read_request(&mut socket).await.is_some() {
                    let _ = socket.write_all(response.as_bytes()).await;
                    let _ = socket.flush().await;
                }
            }
        })
        .await;
        Self { server, certificate }
    }

    fn url(&self, host: &str) -> Url {
        url(&format!("https://{host}:{}/", self.server.address.port()))
    }

    fn client(&self, extra_roots: Vec<CertificateDer<'static>>) -> Client {
        let settings = Settings { policy: self.server.policy(), extra_roots, ..Settings::default() };
        Client::new(settings, Answers::always("127.0.0.1")).expect("the settings are valid")
    }
}

#[tokio::test]
async fn a_trusted_certificate_for_the_name_is_accepted_and_the_connection_reused() {
    let server = TlsServer::start(&["hook.example", "127.0.0.1"]).await;
    let client = server.client(vec![server.certificate.clone()]);
    let first = client.send(post(server.url("hook.example"), "{}")).await.unwrap();
    assert_eq!((&first.body[..], first.reused), (&b"ok"[..], false));
    assert!(!first.timings.tls.is_zero());
    let second = client.send(post(server.url("hook.example"), "{}")).await.unwrap();
    assert!(second.reused && second.timings.tls.is_zero());
    // A trailing dot, and an address: both are in the certificate, and both are origins of their own.
    assert!(!client.send(get(server.url("hook.example."))).await.unwrap().reused);
    assert!(!client.send(get(server.url("127.0.0.1"))).await.unwrap().reused);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = TlsServer::start(&["other.example"]).await;
    let client = server.client(vec![server.certificate.clone()]);
    let failure = client.send(post(server.url("hook.example"), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (FailureKind::Tls, Phase::Tls), "{failure}");
    assert!(!failure.sent_bytes);
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let server = TlsServer::start(&["hook.example"]).await;
    let failure = server.client(Vec::new()).send(get(server.url("hook.example"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (FailureKind::Tls, Phase::Tls), "{failure}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_fails_the_handshake() {
    for (says, kind) in [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], FailureKind::Tls), (b"", FailureKind::Reset)] {
        let server = Server::start(move |_, mut socket| async move {
            let mut hello = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut hello).await;
            let _ = socket.write_all(says).await;
        })
        .await;
        let target = url(&format!("https://{}/", server.address));
        let failure = server.client().send(get(target)).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (kind, Phase::Tls), "{failure}");
    }
}

#[tokio::test]
async fn a_redirect_from_https_to_http_needs_a_policy_that_allows_http() {
    let plain = Server::start(|_, mut socket| async move {
        read_request(&mut socket).await;
        let _ = socket.write_all(OK.as_bytes()).await;
    })
    .await;
    let location = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", plain.address);
    let server = TlsServer::answering(&["127.0.0.1"], location).await;
    let secure = Policy::public().allow(IpAddr::from([127, 0, 0, 1]).into(), 1..=u16::MAX);
    for (policy, allowed) in [(secure.clone(), false), (secure.allow_http(), true)] {
        let extra_roots = vec![server.certificate.clone()];
        let settings = Settings { policy, extra_roots, ..Settings::default() };
        let client = Client::new(settings, Answers::always("127.0.0.1")).unwrap();
        let request = Request { redirects: 1, ..get(server.url("127.0.0.1")) };
        let kind = client.send(request).await.map_err(|failure| failure.kind);
        match allowed {
            true => assert_eq!(kind.unwrap().body, "ok"),
            false => assert_eq!(kind.unwrap_err(), FailureKind::RedirectNotAllowed),
        }
    }
}

#[test]
fn a_root_that_is_no_certificate_is_refused_at_once() {
    let extra_roots = vec![CertificateDer::from(vec![1, 2, 3])];
    let made = Client::new(Settings { extra_roots, ..Settings::default() }, Answers::always(""));
    assert!(matches!(made, Err(BuildError::Root(_))));
}
