//! Accepting connections, and letting them end well.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::desk::Desk;
use crate::linger::{Lingering, Unread};
use crate::routes::{self, Face};

/// How long a caller may take to send the head of a request, and how long a connection may rest between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long requests that are under way when the server stops may go on.
const DRAIN: Duration = Duration::from_secs(15);

/// Serves that face of the API on `listener` until `stop`, then lets requests under way end (at most 15 s).
///
/// # Errors
/// Never for a single connection; only when the listener itself is broken.
pub async fn serve(listener: TcpListener, desk: Desk, face: Face, stop: CancellationToken) -> io::Result<()> {
    let router = routes::router(desk.clone(), face);
    let room = std::sync::Arc::new(Semaphore::new(desk.limits().connections));
    let connections = TaskTracker::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), stop.clone(), permit));
            }
            // Out of file descriptors, or the peer left already: neither is the listener's end.
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    desk.stop().cancel();
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were still under way and are cut off");
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: axum::Router, stop: CancellationToken, _room: OwnedSemaphorePermit) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "the connection was gone at once");
        return;
    }
    let unread = Unread::default();
    let stream = Lingering::new(stream, unread.clone());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (router, unread) = (router.clone(), unread.clone());
        async move {
            let request = request.map(|body| Body::new(unread.watch(body)));
            let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            if unread.is_set() && response.status().as_u16() >= 400 {
                // The rest of the body would have to be read before the next request: a new connection is quicker.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}
