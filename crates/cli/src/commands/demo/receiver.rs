//! A receiver as a user of Reelhook would write it: takes the raw body, checks the signature, answers quickly.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reelhook_domain::ambient::Ambient;
use reelhook_signature::{Headers, Secret, Trust, verify};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// More than any webhook of the demo.
const LARGEST: usize = 4 << 20;

/// A webhook as it came in.
#[derive(Debug)]
pub(super) struct Received {
    headers: HeaderMap,
    body: Bytes,
}

/// Listens, and keeps what comes in.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    inbox: mpsc::Receiver<Received>,
    /// Ends with the receiver.
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Listens on a free port of loopback.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the receiver finds no free port")?;
        let address = listener.local_addr()?;
        let (outbox, inbox) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, outbox));
        Ok(Self { address, inbox, _tasks: tasks })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next webhook.
    pub(super) async fn next(&mut self) -> anyhow::Result<Received> {
        self.inbox.recv().await.context("the receiver is gone")
    }
}

async fn accept(listener: TcpListener, outbox: mpsc::Sender<Received>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let outbox = outbox.clone();
        let service = service_fn(move |request| answer(request, outbox.clone()));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    outbox: mpsc::Sender<Received>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let status = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => match outbox.try_send(Received { headers: head.headers, body: body.to_bytes() }) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        },
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

impl Received {
    /// Checks the signature over the raw body, and only then reads it.
    pub(super) fn open(&self, secret: &Secret, ambient: &Ambient) -> anyhow::Result<Value> {
        let headers = Headers::read(|name| self.headers.get(name).and_then(|value| value.to_str().ok()));
        let secrets = std::slice::from_ref(secret);
        verify(headers, &self.body, ambient.now().as_seconds(), Trust::secrets(secrets))
            .context("a webhook is not genuine")?;
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// One of its headers.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
    }
}
