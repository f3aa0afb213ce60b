//! A receiver that answers 200 and counts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

/// Listens and counts.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) url: Url,
    count: watch::Receiver<u64>,
    /// Ends with the receiver.
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Listens on a free port of loopback.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the receiver finds no free port")?;
        let url = Url::parse(&format!("http://{}/hook", listener.local_addr()?))?;
        let (counter, count) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(counter)));
        Ok(Self { url, count, _tasks: tasks })
    }

    /// How many requests came whole until now.
    pub(super) fn count(&self) -> u64 {
        *self.count.borrow()
    }

    /// Waits until so many came.
    pub(super) async fn reach(&mut self, count: u64, patience: Duration) -> anyhow::Result<()> {
        let reached =
            timeout(patience, self.count.wait_for(|&seen| seen >= count)).await.is_ok_and(|seen| seen.is_ok());
        ensure!(reached, "after {} s {} of {count} requests came", patience.as_secs(), self.count());
        Ok(())
    }
}

async fn accept(listener: TcpListener, counter: Arc<watch::Sender<u64>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let counter = counter.clone();
        let service = service_fn(move |request| answer(request, counter.clone()));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    counter: Arc<watch::Sender<u64>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    counter.send_modify(|count| *count += 1);
    Ok(Response::new(Empty::new()))
}
