//! Accepting connections, and letting them end well.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::Request;
use http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use reelhook_domain::seldom::Seldom;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::desk::Desk;
use crate::linger::{Lingering, Unread};
use crate::problem::Problem;
use crate::room::{Kind, Seat};
use crate::routes::{self, Face};
use crate::socket::{Listener, Stream};

/// How long a caller may take to send the head of a request, and how long a connection may rest between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// The same for one that is only accepted to be asked for the server's health.
const RESERVE_PATIENCE: Duration = Duration::from_secs(2);
/// How long all of such a connection may last.
const RESERVE_TIME: Duration = Duration::from_secs(10);
/// Paths that are answered when all connections are taken.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];
/// How long requests that are under way when the server stops may go on.
const DRAIN: Duration = Duration::from_secs(15);

/// Serves that face of the API on `listener` until `stop`, then lets requests under way end (at most 15 s).
///
/// # Errors
/// Never for a single connection; only when the listener itself is broken.
pub async fn serve(listener: Listener, desk: Desk, face: Face, stop: CancellationToken) -> io::Result<()> {
    let router = routes::router(desk.clone(), face);
    let refused = Seldom::default();
    let stall = desk.limits().write_stall;
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                // Without a seat the stream is dropped, which closes the connection.
                if let Some(seat) = desk.room().seat(address) {
                    connections.spawn(connection(stream, router.clone(), stop.clone(), seat, stall));
                }
            }
            // Out of file descriptors, or the peer left already: neither is the listener's end.
            Err(error) => {
                if let Some(times) = refused.tells(desk.ambient().now()) {
                    tracing::warn!(%error, times, "connections could not be accepted");
                }
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

async fn connection(stream: Stream, router: axum::Router, stop: CancellationToken, seat: Seat, stall: Duration) {
    if let Err(error) = stream.hurry() {
        tracing::debug!(error = %error, "the connection was gone at once");
        return;
    }
    let unread = Unread::default();
    let stream = Lingering::new(stream, unread.clone(), stall);
    let (leave, seat) = (seat.leave().clone(), Arc::new(seat));
    let is_reserve = seat.kind() == Kind::Reserve;
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (router, unread, busy) = (router.clone(), unread.clone(), seat.begin());
        async move {
            let request = request.map(|body| Body::new(unread.watch(body)));
            let mut response = if is_reserve && !HEALTH.contains(&request.uri().path()) {
                too_many_connections().into_response()
            } else {
                router.oneshot(request).await.unwrap_or_else(|never| match never {})
            };
            response = response.map(|body| busy.until_read(body));
            if is_reserve || unread.is_set() && response.status().as_u16() >= 400 {
                // The rest of the body would have to be read before the next request: a new connection is quicker.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if is_reserve { RESERVE_PATIENCE } else { HEAD_PATIENCE })
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        // Closed where it stands: nothing is under way on it.
        () = leave.cancelled() => return,
        () = tokio::time::sleep(RESERVE_TIME), if is_reserve => return,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

fn too_many_connections() -> Problem {
    let detail = "all connections that this server or your address may have are in use; close some, or try again later";
    Problem::unavailable("too_many_connections", detail)
}
