//! What to ask, how long to wait, and how much to take.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, Method};
use url::Url;

use crate::identity::TlsProfile;

/// One exchange to make: a request, and the limits of it.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to. Judged by the client's policy, and again on every redirect.
    pub url: Url,
    /// Headers of the caller. `host`, `content-length`, `connection` and the other headers of one connection are
    /// the client's own and are removed; what [`Usual`] says is added if absent.
    pub headers: HeaderMap,
    /// Whether the headers that a request of ours usually has are added.
    pub usual: Usual,
    /// The body.
    pub body: RequestBody,
    /// How TLS differs from TLS with others; a redirect to another origin goes without it.
    pub tls: Option<Arc<TlsProfile>>,
    /// From DNS to the last byte, redirects included.
    pub deadline: Duration,
    /// The longest gap between two bytes of the response's body. For downloads, whose deadline is long.
    pub stall: Option<Duration>,
    /// The most bytes of the response's body: `send` keeps so many and drops the rest, `open` fails beyond them.
    pub response_cap: u64,
    /// How many redirects to follow; 0 gives the redirect back as the response.
    pub redirects: u8,
}

impl Request {
    /// A GET without headers: 15 s, 16 KiB, no redirects, no stall limit.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url, RequestBody::Empty)
    }

    /// A POST of these bytes, with the same limits as [`Request::get`].
    #[must_use]
    pub fn post(url: Url, body: Bytes) -> Self {
        Self::new(Method::POST, url, RequestBody::Full(body))
    }

    fn new(method: Method, url: Url, body: RequestBody) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            usual: Usual::Added,
            body,
            tls: None,
            deadline: Duration::from_secs(15),
            stall: None,
            response_cap: 16 * 1024,
            redirects: 0,
        }
    }
}

/// What becomes of `user-agent`, `accept` and `accept-encoding: identity` where the caller sets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// They are added.
    Added,
    /// They are left out: the request has the caller's headers, `host` and `content-length`, and no others.
    LeftOut,
}

/// The body of a request.
pub enum RequestBody {
    /// No body.
    Empty,
    /// All of it, in memory. Can be sent again on a fresh connection or after a redirect.
    Full(Bytes),
    /// Read while it is sent, once. Always goes out on a fresh connection, because it could not be repeated.
    Stream {
        /// How many bytes it will be; the exchange fails if it is more or fewer. Unknown is sent in chunks.
        length: Option<u64>,
        /// The bytes. An error fails the exchange.
        stream: BoxStream<'static, io::Result<Bytes>>,
    },
}

impl RequestBody {
    /// The same body once more, if it can be had.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Full(bytes) => Some(Self::Full(bytes.clone())),
            Self::Stream { .. } => None,
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream { length, .. } => f.debug_struct("Stream").field("length", length).finish_non_exhaustive(),
        }
    }
}
