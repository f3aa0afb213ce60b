//! TLS with receivers: private roots and client certificates, of one endpoint and of the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http::Method;
use reelhook_egress::roots_from_pem;
use reelhook_testkit::clips::{self, Clip};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::world::{Answer, PATIENCE, Serve, World};

/// A certificate that signed itself, with its key.
struct Papers {
    certificate: String,
    key: String,
}

impl Papers {
    fn new(name: &str) -> Self {
        Self::changed(name, |_| ())
    }

    fn changed(name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    fn fingerprint(&self) -> String {
        fingerprint(&roots_from_pem(self.certificate.as_bytes()).unwrap()[0])
    }

    /// As the fields of an endpoint.
    fn shown(&self) -> Value {
        json!({"client_certificate": self.certificate, "client_key": self.key})
    }
}

fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Came {
    connection: usize,
    /// Of the client certificate that was shown for its connection.
    fingerprint: Option<String>,
    head: String,
}

/// A receiver with TLS and a private root. A GET is answered with a clip.
struct SecureReceiver {
    address: SocketAddr,
    papers: Papers,
    came: Arc<Mutex<Vec<Came>>>,
    count: watch::Sender<usize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for SecureReceiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl SecureReceiver {
    /// One that demands a client certificate, any of these; none where there are none.
    async fn demanding(trusted: &[&Papers]) -> Self {
        let papers = Papers::new("127.0.0.1");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = if trusted.is_empty() {
            config.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for one in trusted {
                roots.add_parsable_certificates(roots_from_pem(one.certificate.as_bytes()).unwrap());
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        };
        let chain = roots_from_pem(papers.certificate.as_bytes()).unwrap();
        let key = rustls::pki_types::pem::PemObject::from_pem_slice(papers.key.as_bytes());
        let key: PrivateKeyDer<'static> = key.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (came, count) = (Arc::new(Mutex::new(Vec::new())), watch::Sender::new(0));
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&came), count.clone()));
        Self { address, papers, came, count, accepting }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) -> Vec<Came> {
        let mut seen = self.count.subscribe();
        let waited = timeout(PATIENCE, seen.wait_for(|&seen| seen >= count)).await;
        assert!(waited.is_ok(), "{count} requests were awaited: {:#?}", self.came());
        self.came()
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    came: Arc<Mutex<Vec<Came>>>,
    count: watch::Sender<usize>,
) {
    let mut serving = tokio::task::JoinSet::new();
    for connection in 0.. {
        let (socket, _) = listener.accept().await.expect("it listens");
        let (acceptor, came, count) = (acceptor.clone(), Arc::clone(&came), count.clone());
        serving.spawn(async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            let shown = socket.get_ref().1.peer_certificates().map(|chain| fingerprint(&chain[0]));
            while let Some(head) = read_request(&mut socket).await {
                let body = if head.starts_with("GET ") { clips::bytes(Clip::Video) } else { b"ok".to_vec() };
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                {
                    let mut came = came.lock().unwrap();
                    came.push(Came { connection, fingerprint: shown.clone(), head });
                    count.send_replace(came.len());
                }
                if socket.write_all(&[answer.as_bytes(), &body].concat()).await.is_err()
                    || socket.flush().await.is_err()
                {
                    return;
                }
            }
        });
    }
}

/// The head of the next request, whose body is passed over.
async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(head.replacen("get ", "GET ", 1).replacen("post ", "POST ", 1))
}

/// An endpoint at that URL with these fields, and its path.
async fn endpoint(world: &World, mut fields: Value, url: &str) -> (Value, String) {
    fields["url"] = url.into();
    let made = world.post("/v1/endpoints", &fields).await.expect(201);
    let path = format!("/v1/endpoints/{}", made["id"].as_str().unwrap());
    (made, path)
}

async fn patch(world: &World, path: &str, tls: Value) -> Answer {
    let body = json!({ "tls": tls }).to_string();
    world.exchange(Method::PATCH, world.url(path), &[], body.into()).await.unwrap()
}

/// What came of a test of an endpoint: `200`, or the outcome with its reason.
async fn test(world: &World, path: &str) -> String {
    let reply = world.post(&format!("{path}/test"), &json!({})).await.expect(200);
    match reply["ok"].as_bool() {
        Some(true) => reply["status"].to_string(),
        _ => {
            let word = |name: &str| reply["attempt"][name].as_str().unwrap_or("none").to_owned();
            format!("{}: {}", word("outcome"), word("reason"))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_has_roots_and_a_client_certificate_of_its_own() {
    let (first, second, stranger) = (Papers::new("first"), Papers::new("second"), Papers::new("stranger"));
    let receiver = SecureReceiver::demanding(&[&first, &second]).await;
    let mut world = World::start(Serve::dev()).await;
    let (made, path) = endpoint(&world, json!({}), &receiver.url("/hook")).await;
    assert_eq!(made["tls"], Value::Null);
    assert_eq!(test(&world, &path).await, "tls: issuer");

    let shown = patch(&world, &path, json!({"roots": receiver.papers.certificate})).await.expect(200);
    assert_eq!(shown["tls"]["roots"][0]["fingerprint_sha256"], receiver.papers.fingerprint());
    assert_eq!((&shown["tls"]["client_certificate"], &shown["tls"]["client_key"]), (&Value::Null, &Value::Null));
    assert_eq!(test(&world, &path).await, "tls: client_certificate");

    patch(&world, &path, first.shown()).await.expect(200);
    assert_eq!(test(&world, &path).await, "200");
    patch(&world, &path, second.shown()).await.expect(200);
    assert_eq!(test(&world, &path).await, "200");
    let shown: Vec<_> = receiver.came().into_iter().map(|came| came.fingerprint.unwrap()).collect();
    assert_eq!(shown, [first.fingerprint(), second.fingerprint()], "the new one at once");

    // Only its subject, its fingerprint and its end are shown, and of the key nothing.
    let answer = world.get(&path).await;
    let tls = &answer.expect(200)["tls"];
    let certificate = &tls["client_certificate"];
    assert_eq!(certificate["subject"], "CN=second");
    assert_eq!(certificate["fingerprint_sha256"], second.fingerprint());
    assert_eq!(certificate["expires_at"], "4096-01-01T00:00:00.000Z", "as rcgen makes them");
    assert_eq!((&tls["client_key"], &tls["roots"][0]["subject"]), (&json!("****"), &json!("CN=127.0.0.1")));
    let list = world.get("/v1/endpoints").await;
    for hidden in [&first.key, &second.key].map(|key| key.lines().nth(1).unwrap()) {
        for answer in [&answer, &list] {
            assert!(!String::from_utf8_lossy(&answer.body).contains(hidden));
        }
        assert!(!world.log().contains(hidden));
        let kept = std::fs::read(world.data().join("reelhook.db")).unwrap();
        let log = std::fs::read(world.data().join("reelhook.db-wal")).unwrap();
        assert!(![kept, log].iter().any(|bytes| String::from_utf8_lossy(bytes).contains(hidden)));
    }

    patch(&world, &path, stranger.shown()).await.expect(200);
    assert_eq!(test(&world, &path).await, "tls: client_certificate_refused");
    patch(&world, &path, json!({"roots": stranger.certificate, "client_certificate": null})).await.expect(200);
    assert_eq!(test(&world, &path).await, "tls: issuer", "another root of the same kind is not it");

    // It outlives a restart and a new master key.
    let mut fields = first.shown();
    fields["roots"] = receiver.papers.certificate.as_str().into();
    patch(&world, &path, fields).await.expect(200);
    world.terminate().await;
    world.command(&["keys", "rotate-master"]).await;
    assert!(world.serve(Serve::dev()).await);
    assert_eq!(test(&world, &path).await, "200");
    assert_eq!(receiver.came().last().unwrap().fingerprint, Some(first.fingerprint()));

    patch(&world, &path, Value::Null).await.expect(200);
    assert_eq!(world.get(&path).await.expect(200)["tls"], Value::Null);
    assert_eq!(test(&world, &path).await, "tls: issuer");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_one_host_never_use_each_others_connections() {
    let (first, second) = (Papers::new("first"), Papers::new("second"));
    let receiver = SecureReceiver::demanding(&[&first, &second]).await;
    let world = World::start(Serve::dev()).await;
    let mut paths = Vec::new();
    for (papers, name) in [(&first, "first"), (&second, "second")] {
        let mut tls = papers.shown();
        tls["roots"] = receiver.papers.certificate.as_str().into();
        paths.push((endpoint(&world, json!({ "tls": tls }), &receiver.url(&format!("/{name}"))).await.1, papers, name));
    }
    for _ in 0..3 {
        for (path, ..) in &paths {
            assert_eq!(test(&world, path).await, "200");
        }
    }
    let came = receiver.came();
    assert_eq!(came.len(), 6);
    for (_, papers, name) in &paths {
        let own: Vec<_> = came.iter().filter(|came| came.head.starts_with(&format!("POST /{name} "))).collect();
        assert_eq!(own.len(), 3);
        assert!(own.iter().all(|came| came.fingerprint == Some(papers.fingerprint())), "{came:#?}");
        assert!(own.iter().all(|came| came.connection == own[0].connection), "its own is used again: {came:#?}");
    }
    // An event reaches both.
    world.post("/v1/events", &json!({"type": "a.b", "payload": 1})).await.expect(202);
    let came = receiver.wait_for(8).await;
    let mut shown: Vec<_> = came[6..].iter().map(|came| came.fingerprint.clone().unwrap()).collect();
    shown.sort();
    let mut expected = [first.fingerprint(), second.fingerprint()];
    expected.sort();
    assert_eq!(shown, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tls_cannot_use_is_refused_by_the_name_of_its_field() {
    let (good, other) = (Papers::new("good"), Papers::new("other"));
    let expired = Papers::changed("expired", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 2, 3);
    });
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    let (certificate, key) = (good.certificate.as_str(), good.key.as_str());
    let both = |certificate: &str, key: &str| json!({"client_certificate": certificate, "client_key": key});
    let (ofcert, ofkey, ofroots) = ("tls.client_certificate", "tls.client_key", "tls.roots");
    let url = "https://receiver.example/hook";
    let cases = [
        (both(certificate, &other.key), vec![(ofkey, "is not the key of the first certificate")]),
        (both(&expired.certificate, &expired.key), vec![(ofcert, "certificate 1 in it expired at 2002-02-03")]),
        (both(&format!("{certificate}{}", expired.certificate), key), vec![(ofcert, "certificate 2 in it expired")]),
        (both("no PEM", "no PEM"), vec![(ofcert, "it has no certificate"), (ofkey, "it has no private key")]),
        (both(&format!("{certificate}{broken}"), key), vec![(ofcert, "certificate 2 in it cannot be read")]),
        (both(certificate, encrypted), vec![(ofkey, "without a passphrase")]),
        (both(&certificate.repeat(11), key), vec![(ofcert, "has 11 certificates; the limit is 10")]),
        (both(certificate, "****"), vec![(ofkey, "what the API shows in place of the key")]),
        (both(certificate, &"x".repeat(16 * 1024 + 1)), vec![(ofkey, "at most 16384 characters")]),
        (json!({"client_certificate": certificate}), vec![(ofkey, "is required")]),
        (json!({"client_key": key}), vec![(ofkey, "is allowed only with client_certificate")]),
        (json!({"roots": ""}), vec![(ofroots, "it has no certificate")]),
        (json!({"roots": broken}), vec![(ofroots, "certificate 1 in it cannot be read")]),
        (json!({"roots": key}), vec![(ofroots, "it has no certificate")]),
        (json!({"roots": certificate.repeat(21)}), vec![(ofroots, "has 21 certificates; the limit is 20")]),
        (json!({"roots": "x".repeat(64 * 1024 + 1)}), vec![(ofroots, "at most 65536 characters")]),
        (json!({"roots": [certificate]}), vec![(ofroots, "must be a string")]),
        (json!({"verify": false}), vec![("tls.verify", "is unknown")]),
        (json!("insecure"), vec![("tls", "must be an object")]),
    ];
    let world = World::start(Serve::dev()).await;
    let (_, path) = endpoint(&world, json!({}), url).await;
    for (tls, expected) in cases {
        let webhook = json!({"url": url, "tls": tls});
        let job =
            json!({"input": {"url": "https://a.example/a"}, "outputs": [{"recipe": "thumbnail"}], "webhook": webhook});
        let settings = json!({"default_webhook": webhook});
        let put = world.exchange(Method::PUT, world.url("/v1/settings"), &[], settings.to_string().into());
        for (answer, prefix) in [
            (world.post("/v1/endpoints", &webhook).await, ""),
            (patch(&world, &path, tls.clone()).await, ""),
            (world.post("/v1/jobs", &job).await, "webhook."),
            (put.await.unwrap(), "default_webhook."),
        ] {
            let problem = answer.expect(422);
            let wrong = problem["violations"].as_array().unwrap();
            assert_eq!(wrong.len(), expected.len(), "{tls}: {problem:#}");
            for (violation, (field, message)) in wrong.iter().zip(&expected) {
                assert_eq!(violation["path"], format!("{prefix}{field}"), "{tls}: {violation}");
                assert!(violation["message"].as_str().unwrap().contains(message), "{tls}: {violation}");
                assert_eq!(violation["value"], Value::Null, "nothing of it is repeated");
            }
        }
    }
    // TLS that would never be spoken.
    let plain = "http://receiver.example/hook";
    let refused = world.post("/v1/endpoints", &json!({"url": plain, "tls": {"roots": certificate}})).await;
    assert_eq!(refused.violations(), ["tls"]);
    let refused = world.post("/v1/endpoints", &json!({"pull": true, "tls": {"roots": certificate}})).await;
    assert_eq!(refused.violations(), ["tls"]);
    patch(&world, &path, json!({"roots": certificate})).await.expect(200);
    let to = async |body: Value| {
        world.exchange(Method::PATCH, world.url(&path), &[], body.to_string().into()).await.unwrap()
    };
    assert_eq!(to(json!({ "url": plain })).await.violations(), ["url"]);
    to(json!({"url": plain, "tls": null})).await.expect(200);
    assert_eq!(patch(&world, &path, json!({"roots": certificate})).await.violations(), ["tls"]);
    let (_, pull) = {
        let made = world.post("/v1/endpoints", &json!({"pull": true})).await.expect(201);
        let path = format!("/v1/endpoints/{}", made["id"].as_str().unwrap());
        (made, path)
    };
    assert_eq!(patch(&world, &pull, json!({"roots": certificate})).await.expect(409)["code"], "pull_endpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_of_a_job_and_the_default_one_take_tls_as_endpoints_do() {
    let papers = Papers::new("ours");
    let receiver = SecureReceiver::demanding(&[&papers]).await;
    let world = World::start(Serve::dev()).await;
    let upload = world.upload("clip.mp4", clips::bytes(Clip::Video)).await;
    let mut tls = papers.shown();
    tls["roots"] = receiver.papers.certificate.as_str().into();
    let job = |webhook: Option<Value>| {
        let mut job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 32}]});
        job["webhook"] = webhook.unwrap_or_default();
        job
    };
    let told = ["job.created", "job.started", "job.completed"].len();
    // Said once, it belongs to the URL.
    for (round, tls) in [Some(&tls), None].into_iter().enumerate() {
        let mut webhook = json!({"url": receiver.url("/job")});
        webhook["tls"] = tls.cloned().unwrap_or_default();
        let id = world.submit(&job(Some(webhook))).await;
        world.job_ended(&id, "completed").await;
        receiver.wait_for((round + 1) * told).await;
    }
    let settings = json!({"default_webhook": {"url": receiver.url("/default"), "tls": tls}});
    let put = world.exchange(Method::PUT, world.url("/v1/settings"), &[], settings.to_string().into()).await.unwrap();
    let shown = put.expect(200)["default_webhook"]["tls"].clone();
    assert_eq!(shown["client_certificate"]["fingerprint_sha256"], papers.fingerprint());
    assert_eq!(shown["client_key"], "****");
    let tested = world.post("/v1/settings/webhook/test", &json!({})).await.expect(200);
    assert_eq!(tested["ok"], true, "{tested:#}");
    let id = world.submit(&job(None)).await;
    world.job_ended(&id, "completed").await;
    let came = receiver.wait_for(3 * told + 1).await;
    assert!(came.iter().all(|came| came.fingerprint == Some(papers.fingerprint())));
}

/// A file of that text in a folder.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_root_and_client_certificate_serve_every_endpoint() {
    let (papers, own) = (Papers::new("server"), Papers::new("endpoint"));
    let receiver = SecureReceiver::demanding(&[&papers, &own]).await;
    let origin = SecureReceiver::demanding(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = format!("{}{}", receiver.papers.certificate, origin.papers.certificate);
    let roots = file(&folder, "roots.pem", &roots);
    let certificate = file(&folder, "client.pem", &papers.certificate);
    let key = file(&folder, "client.key", &papers.key);
    let trusting = |serve: Serve| serve.set("egress.extra_roots", roots.display());
    let mut world = World::start(trusting(Serve::dev())).await;
    let (_, path) = endpoint(&world, json!({}), &receiver.url("/hook")).await;
    assert_eq!(test(&world, &path).await, "tls: client_certificate");
    world.terminate().await;

    let with_identity = |serve: Serve| {
        serve.set("delivery.client_certificate", certificate.display()).set("delivery.client_key", key.display())
    };
    assert!(world.serve(with_identity(trusting(Serve::dev()))).await);
    assert_eq!(test(&world, &path).await, "200");
    patch(&world, &path, own.shown()).await.expect(200);
    assert_eq!(test(&world, &path).await, "200");
    patch(&world, &path, json!({"client_certificate": null})).await.expect(200);
    assert_eq!(test(&world, &path).await, "200");
    let shown: Vec<_> = receiver.came().into_iter().map(|came| came.fingerprint.unwrap()).collect();
    assert_eq!(shown, [papers.fingerprint(), own.fingerprint(), papers.fingerprint()]);
    // Roots of an endpoint's own stand in place of the server's.
    patch(&world, &path, json!({"roots": own.certificate})).await.expect(200);
    assert_eq!(test(&world, &path).await, "tls: issuer");

    // Downloads trust the roots too, and show no certificate.
    let outputs = json!([{"recipe": "thumbnail", "width": 32}]);
    let job = world.submit(&json!({"input": {"url": origin.url("/clip.mp4")}, "outputs": outputs})).await;
    world.job_ended(&job, "completed").await;
    assert!(origin.came().iter().all(|came| came.fingerprint.is_none()));
    let job = world.submit(&json!({"input": {"url": receiver.url("/clip.mp4")}, "outputs": outputs})).await;
    let failed = world.job_ended(&job, "failed").await;
    assert!(failed.to_string().contains("requires a client certificate"), "{failed:#}");

    let absent = folder.path().join("absent.pem");
    for (serve, expected) in [
        (Serve::dev().set("delivery.client_key", key.display()), "delivery.client_key needs its certificate"),
        (
            Serve::dev().set("delivery.client_certificate", absent.display()).set("delivery.client_key", key.display()),
            "absent.pem, which cannot be used",
        ),
        (
            Serve::dev()
                .set("delivery.client_certificate", certificate.display())
                .set("delivery.client_key", file(&folder, "other.key", &own.key).display()),
            "the private key is not the key of the first certificate",
        ),
        (
            Serve::dev().set("egress.extra_roots", key.display()),
            "client.key, which cannot be used: it has no certificate",
        ),
    ] {
        let said = World::refused(serve).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
