//! Accepting connections, and letting them end well.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Request, Version};
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
use crate::room::{Kind, Seat, until_read};
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
        // Noted here and not in what follows, which has its first turn after more was read.
        let under_way = unread.answering();
        let request = request.map(|body| Body::new(unread.watch(body)));
        async move {
            let names_host = names_host(request.version(), request.headers());
            let mut response = if !names_host {
                let detail = "an HTTP/1.1 request must have one Host header: a host and an optional port";
                Problem::malformed(detail).into_response()
            } else if is_reserve && !HEALTH.contains(&request.uri().path()) {
                too_many_connections().into_response()
            } else {
                router.oneshot(request).await.unwrap_or_else(|never| match never {})
            };
            response = response.map(|body| until_read(body, (busy, under_way)));
            if is_reserve || !names_host || unread.is_set() && response.status().as_u16() >= 400 {
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

/// Whether a request says which host it is for: once, in a way that can be read. HTTP/1.0 did not have to.
///
/// Where it is not clear, a proxy before the server may take the request for another host's than the server does.
///
/// # Source
/// RFC 9112, section 3.2; RFC 9110, sections 4.2.1 and 7.2.
fn names_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

fn is_host(text: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(text) else { return false };
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or("@");
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| {
            port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
        });
    is_port && !authority.host().is_empty() && !authority.host().contains('%')
}

fn too_many_connections() -> Problem {
    let detail = "all connections of this server or of your address are in use; close some, or try again later";
    Problem::unavailable("too_many_connections", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in
            ["example.com", "example.com:8080", "a_b", "127.0.0.1:1", "[::1]", "[::1]:443", "localhost:", "x.", "a-b"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            " ",
            "a b",
            "a, b",
            "a@b",
            "http://a",
            "a/b",
            "a:b",
            "a:80:80",
            "a:99999",
            ":80",
            "[::1",
            "::1",
            "a?b",
            "a#b",
            "a%00b",
            "a\\b",
            "\u{e9}.example",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
