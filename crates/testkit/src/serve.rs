//! The HTTP/1.1 server below the receiver and the origin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::receiver::Received;
use crate::reply::Reply;

/// Decides what to answer to a request that was read whole.
pub(crate) type Answer = dyn Fn(Received) -> Reply + Send + Sync;

/// A server that ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener is bound");
        Self { address, accepting: tokio::spawn(accept(listener, answer)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, answer: Arc<Answer>) {
    let mut connections = JoinSet::new();
    let accepted = AtomicUsize::new(0);
    while let Ok((stream, _)) = listener.accept().await {
        let connection = accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(talk(stream, connection, Arc::clone(&answer)));
        while connections.join_next().now_or_never().flatten().is_some() {}
    }
}

async fn talk(stream: TcpStream, connection: usize, answer: Arc<Answer>) {
    // Small answers shall not wait for the other side's acknowledgement.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (answer, reset) = (Arc::clone(&answer), Arc::clone(&reset));
        async move {
            match read(request, connection).await {
                Some(received) => answer(received).response(reset).await,
                None => Reply::reset().response(reset).await,
            }
        }
    });
    let mut talking = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut talking => {}
        () = reset.notified() => {
            let stream = talking.into_parts().io.into_inner();
            // Closing without lingering sends a reset instead of an end.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Reads a request whole; nothing when the sender gave up in its middle.
async fn read(request: Request<Incoming>, connection: usize) -> Option<Received> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    Some(Received { order: 0, connection, method: head.method, path, headers: head.headers, body })
}
