//! Whom we believe: a certificate for the name that was asked, from a root that is trusted, and nothing less.

mod support;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use reelhook_egress::{
    BuildError, CertificateDer, Client, FailureKind, Identity, Phase, Policy, Request, Settings, TlsFault, TlsProfile,
    roots_from_pem,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use support::{Answers, Server, get, post, read_request, url};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
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
        Self::doing(names, move |mut socket| {
            let response = response.clone();
            async move {
                while read_request(&mut socket).await.is_some() {
                    let _ = socket.write_all(response.as_bytes()).await;
                    let _ = socket.flush().await;
                }
            }
        })
        .await
    }

    /// The script gets the connection once the handshake is over.
    async fn doing<F, S>(names: &[&str], script: S) -> Self
    where
        S: Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
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
            let accepting = acceptor.accept(socket);
            let script = script.clone();
            async move {
                if let Ok(socket) = accepting.await {
                    script(socket).await;
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
    assert_eq!(failure.tls, Some(TlsFault::Name));
    assert!(!failure.sent_bytes);
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let server = TlsServer::start(&["hook.example"]).await;
    let failure = server.client(Vec::new()).send(get(server.url("hook.example"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (FailureKind::Tls, Phase::Tls), "{failure}");
    assert_eq!(failure.tls, Some(TlsFault::Issuer));
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

/// A client certificate, and the root that a server trusts it by: itself.
struct ClientCertificate {
    certificate: String,
    key: String,
}

impl ClientCertificate {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("the name is valid");
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).expect("it was just made")
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// A server that demands a client certificate, and answers with the number of certificates that it was shown.
async fn demanding(trusted: &ClientCertificate, version: &'static SupportedProtocolVersion) -> TlsServer {
    let made = rcgen::generate_simple_self_signed(["hook.example".to_owned()]).expect("the name is valid");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("rcgen writes PKCS#8");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(roots_from_pem(trusted.certificate.as_bytes()).expect("it was just made"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("ring speaks it")
        .with_client_cert_verifier(verifier.build().expect("there is a root"))
        .with_single_cert(vec![certificate.clone()], key)
        .expect("the key is of the certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |_, socket| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            while read_request(&mut socket).await.is_some() {
                let _ = socket.write_all(OK.as_bytes()).await;
                let _ = socket.flush().await;
            }
        }
    })
    .await;
    TlsServer { server, certificate }
}

fn with_identity(server: &TlsServer, identity: Option<Identity>) -> Client {
    let extra_roots = vec![server.certificate.clone()];
    let settings = Settings { policy: server.server.policy(), extra_roots, identity, ..Settings::default() };
    Client::new(settings, Answers::always("127.0.0.1")).expect("the settings are valid")
}

#[tokio::test]
async fn a_server_that_demands_a_client_certificate_is_a_failure_of_tls_in_every_version() {
    let known = ClientCertificate::new("client.example");
    let unknown = ClientCertificate::new("client.example");
    for version in VERSIONS {
        let server = demanding(&known, version).await;
        for (identity, expected) in
            [(None, TlsFault::ClientCertificate), (Some(unknown.identity()), TlsFault::ClientCertificateRefused)]
        {
            // Small enough to be sent before the alert comes, and large enough to be cut short by it.
            for body in ["{}".to_owned(), "x".repeat(8 << 20)] {
                let client = with_identity(&server, identity.clone());
                let size = body.len();
                let body = Request {
                    body: reelhook_egress::RequestBody::Full(body.into()),
                    ..post(server.url("hook.example"), "")
                };
                let failure = client.send(body).await.unwrap_err();
                assert_eq!(
                    (failure.kind, failure.phase),
                    (FailureKind::Tls, Phase::Tls),
                    "{version:?} {size}: {failure}"
                );
                assert_eq!(failure.tls, Some(expected), "{version:?} {size}: {failure}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_demands_one() {
    let known = ClientCertificate::new("client.example");
    for version in VERSIONS {
        let server = demanding(&known, version).await;
        let client = with_identity(&server, Some(known.identity()));
        assert_eq!(client.send(post(server.url("hook.example"), "{}")).await.unwrap().body, "ok");
        assert!(client.send(post(server.url("hook.example"), "{}")).await.unwrap().reused);
    }
}

#[tokio::test]
async fn a_connection_of_one_profile_is_not_used_with_another() {
    let known = ClientCertificate::new("client.example");
    let server = demanding(&known, &rustls::version::TLS13).await;
    let settings = Settings { policy: server.server.policy(), ..Settings::default() };
    let client = Client::new(settings, Answers::always("127.0.0.1")).unwrap();
    let profile = |identity| Some(Arc::new(TlsProfile::new(identity, vec![server.certificate.clone()])));
    let (ours, theirs) = (profile(Some(known.identity())), profile(None));
    let with = |tls: &Option<Arc<TlsProfile>>| Request { tls: tls.clone(), ..post(server.url("hook.example"), "{}") };
    assert!(!client.send(with(&ours)).await.unwrap().reused);
    assert!(client.send(with(&ours)).await.unwrap().reused);
    assert_eq!(client.send(with(&theirs)).await.unwrap_err().tls, Some(TlsFault::ClientCertificate));
    assert_eq!(client.send(with(&None)).await.unwrap_err().tls, Some(TlsFault::Issuer));
    assert!(client.send(with(&ours)).await.unwrap().reused);
}

#[tokio::test]
async fn tls_that_breaks_in_the_middle_of_an_answer_is_a_failure_of_tls() {
    for (says, phase) in [
        ("HTTP/1.1 200 OK\r\ncontent-", Phase::FirstByte),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", Phase::Body),
    ] {
        let server = TlsServer::doing(&["hook.example"], move |mut socket| async move {
            read_request(&mut socket).await;
            let _ = socket.write_all(says.as_bytes()).await;
            let _ = socket.flush().await;
            // A record that no key of this connection made: the client cannot read it.
            let (raw, _) = socket.get_mut();
            let _ = raw.write_all(&[23, 3, 3, 0, 40]).await;
            let _ = raw.write_all(&[0; 40]).await;
            std::future::pending::<()>().await;
        })
        .await;
        let client = server.client(vec![server.certificate.clone()]);
        let failure = client.send(get(server.url("hook.example"))).await.unwrap_err();
        assert_eq!((failure.kind, failure.phase), (FailureKind::Tls, phase), "{failure}");
        assert_eq!(failure.tls, Some(TlsFault::Peer), "{failure}");
    }
}
