//! The door: settings in, exchanges out.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connector::Connector;
use crate::exchange::{Ask, Core, Head};
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::policy::Policy;
use crate::pool::{MAX_IDLE, Pool};
use crate::progress::Progress;
use crate::reader::Reader;
use crate::redirect;
use crate::request::Request;
use crate::resolver::Resolver;
use crate::response::{Body, Exchange, Response};
use crate::tls::Tls;

/// How a client behaves, whatever it is asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it may go. By default [`Policy::public`].
    pub policy: Policy,
    /// The `user-agent` of requests that bring none. By default `Reelhook/VERSION`.
    pub user_agent: String,
    /// How long a connection may rest before it is not used again. By default 30 s; zero keeps none.
    pub idle_timeout: Duration,
    /// How many connections to one origin may rest. By default 64; 0 keeps none.
    pub max_idle_per_host: usize,
    /// How many connections may rest over all origins. By default 1024; 0 keeps none.
    pub max_idle: usize,
    /// Certificates to trust besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// What is shown to servers that demand a client certificate. By default nothing.
    pub identity: Option<Identity>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::public(),
            user_agent: concat!("Reelhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle_timeout: Duration::from_secs(30),
            max_idle_per_host: 64,
            max_idle: MAX_IDLE,
            extra_roots: Vec::new(),
            identity: None,
        }
    }
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The user agent cannot be the value of a header.
    #[error("the user agent contains characters that a header cannot hold")]
    UserAgent(#[source] http::header::InvalidHeaderValue),
    /// One of the extra roots is not a certificate that could be trusted.
    #[error("an extra root certificate is not valid")]
    Root(#[source] rustls::Error),
}

/// An HTTP client that judges the address of every connection. Cheap to clone; clones share their connections.
///
/// Must be used within one tokio runtime with time and I/O enabled.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
}

impl Client {
    /// A client with no connections yet. The trust store is read on the first TLS handshake.
    ///
    /// # Errors
    /// A user agent that is no header value, or an extra root that is no certificate.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolver>) -> Result<Self, BuildError> {
        let user_agent = HeaderValue::try_from(settings.user_agent).map_err(BuildError::UserAgent)?;
        let tls = Tls::new(settings.extra_roots, settings.identity).map_err(BuildError::Root)?;
        let core = Core {
            connector: Connector { policy: settings.policy, resolver, tls },
            pool: Arc::new(Pool::new(settings.idle_timeout, settings.max_idle_per_host, settings.max_idle)),
            user_agent,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Where this client may go.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.core.connector.policy
    }

    /// Makes a whole exchange. Of the response's body at most `response_cap` bytes are kept; if there is more, the
    /// connection is dropped and the exchange is marked as truncated.
    ///
    /// # Errors
    /// Whatever kept the exchange from its end. Any status, a redirect not followed included, is a success here.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the other side may have seen the request.
    pub async fn send(&self, request: Request) -> Result<Exchange, Failure> {
        let mut progress = Progress::start();
        let Request { method, url, headers, usual, body, tls, deadline, stall, response_cap, redirects } = request;
        let deadline = progress.deadline(deadline);
        let ask = Ask { method, url, headers, usual, body, tls };
        let limits = Limits { deadline, stall, cap: response_cap, redirects };
        match timeout_at(deadline, self.whole(ask, limits, &mut progress)).await {
            Ok(result) => result,
            Err(_) => Err(too_late(&mut progress)),
        }
    }

    /// Asks, and gives back the head of the response with its body to be read. The deadline covers the body too; a
    /// body larger than `response_cap` fails, at once if it says so itself.
    ///
    /// # Errors
    /// Whatever kept the head from arriving. Any status is a success here.
    ///
    /// # Cancel safety
    /// Dropping the future or the body closes the connection; the other side may have seen the request.
    pub async fn open(&self, request: Request) -> Result<Response, Failure> {
        let mut progress = Progress::start();
        let Request { method, url, headers, usual, body, tls, deadline, stall, response_cap, redirects } = request;
        let deadline = progress.deadline(deadline);
        let ask = Ask { method, url, headers, usual, body, tls };
        let Ok(head) = timeout_at(deadline, self.core.ask(ask, redirects, deadline, &mut progress)).await else {
            return Err(too_late(&mut progress));
        };
        let Head { parts, url, reader, address } = head?;
        if let Some(announced) = reader.announced().filter(|announced| *announced > response_cap) {
            let detail = format!("the body is {announced} bytes long; the cap is {response_cap}");
            return Err(progress.fail(FailureKind::TooLarge, detail));
        }
        let timings = progress.timings();
        let body = Body::new(Arc::clone(&self.core), reader, &url, deadline, stall, response_cap, progress);
        Ok(Response { status: parts.status, headers: parts.headers, url, address, timings, body })
    }

    async fn whole(&self, ask: Ask, limits: Limits, progress: &mut Progress) -> Result<Exchange, Failure> {
        let head = self.core.ask(ask, limits.redirects, limits.deadline, progress).await?;
        let Head { parts, url, mut reader, address } = head;
        let mut kept = Kept::default();
        let mut truncated = false;
        while let Some(piece) = next(&mut reader, limits.stall).await {
            let piece = match piece {
                Ok(piece) => piece,
                Err((fault, detail)) => {
                    return Err(progress.fail(fault, format!("{}: {detail}", redirect::origin(&url))));
                }
            };
            let room = limits.cap - kept.len();
            if piece.len() as u64 > room {
                // `room` is smaller than a length in memory, so it fits.
                kept.push(piece.slice(..usize::try_from(room).unwrap_or(usize::MAX)));
                truncated = true;
                break;
            }
            kept.push(piece);
        }
        if !truncated {
            self.core.settle(redirect::origin(&url), &mut reader).await;
        }
        Ok(Exchange {
            status: parts.status,
            headers: parts.headers,
            body: kept.finish(),
            truncated,
            address,
            timings: progress.timings(),
            reused: progress.reused,
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("policy", self.policy()).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Limits {
    deadline: Instant,
    stall: Option<Duration>,
    cap: u64,
    redirects: u8,
}

/// Up to this size a body is copied, because a piece holds on to the whole buffer it was read into.
const SMALL: usize = 1024;

/// The bytes that are kept: no copy where a larger body came in one piece.
#[derive(Default)]
struct Kept {
    first: Bytes,
    joined: BytesMut,
}

impl Kept {
    fn len(&self) -> u64 {
        (self.first.len() + self.joined.len()) as u64
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = if piece.len() <= SMALL { Bytes::copy_from_slice(&piece) } else { piece };
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&piece);
    }

    fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

async fn next(reader: &mut Reader, stall: Option<Duration>) -> Option<Result<Bytes, crate::reader::BrokenOff>> {
    let piece = poll_fn(|cx| reader.poll_next(cx));
    let Some(stall) = stall else {
        return piece.await;
    };
    timeout(stall, piece).await.unwrap_or_else(|_| {
        Some(Err((FailureKind::Stalled.into(), format!("no byte of the body for {} ms", stall.as_millis()))))
    })
}

fn too_late(progress: &mut Progress) -> Failure {
    progress.fail(FailureKind::Timeout, "the deadline passed".to_owned())
}
