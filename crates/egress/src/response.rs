//! What came back: an exchange kept whole, or a head with the body still arriving.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};
use url::Url;

use crate::exchange::Core;
use crate::failure::{Failure, FailureKind, Timings};
use crate::fault::Fault;
use crate::progress::Progress;
use crate::reader::Reader;
use crate::redirect;

/// A whole exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The body as it was sent, never inflated, up to the cap of the request.
    pub body: Bytes,
    /// Whether there was more than the cap.
    pub truncated: bool,
    /// The address that answered.
    pub address: SocketAddr,
    /// How long it took.
    pub timings: Timings,
    /// Whether the (last) request went over a connection that had served before.
    pub reused: bool,
}

/// The head of a response, with the body to be read.
#[derive(Debug)]
pub struct Response {
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The URL that answered, after redirects.
    pub url: Url,
    /// The address that answered.
    pub address: SocketAddr,
    /// How long it took so far.
    pub timings: Timings,
    /// The body.
    pub body: Body,
}

/// The body of a response as a stream of pieces, as they were sent and never inflated.
///
/// The deadline of the request goes on; the limit on gaps counts only while the reader waits. After an error the
/// stream is over. Dropping it before its end closes the connection.
pub struct Body {
    core: Arc<Core>,
    /// Gone once the stream is over.
    reader: Option<Reader>,
    origin: Box<str>,
    deadline: Pin<Box<Sleep>>,
    stall: Option<Stall>,
    cap: u64,
    progress: Progress,
}

const TOO_LATE: &str = "the deadline passed while the body was read";

/// The limit on the gap between two pieces.
struct Stall {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    /// Whether the reader is waiting since the last piece; a slow reader is not the sender's fault.
    is_waiting: bool,
}

impl Body {
    pub(crate) fn new(
        core: Arc<Core>,
        reader: Reader,
        url: &Url,
        deadline: Instant,
        stall: Option<Duration>,
        cap: u64,
        progress: Progress,
    ) -> Self {
        let stall = stall.map(|limit| Stall { limit, sleep: Box::pin(sleep_until(Instant::now())), is_waiting: false });
        Self {
            core,
            reader: Some(reader),
            origin: redirect::origin(url).into(),
            deadline: Box::pin(sleep_until(deadline)),
            stall,
            cap,
            progress,
        }
    }

    /// How many bytes the response says its body has, if it says so.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.reader.as_ref().and_then(Reader::announced)
    }

    /// How long the exchange has taken until now.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.progress.timings()
    }

    fn fail(&mut self, fault: impl Into<Fault>, detail: &str) -> Poll<Option<Result<Bytes, Failure>>> {
        self.reader = None;
        Poll::Ready(Some(Err(self.progress.fail(fault, format!("{}: {detail}", self.origin)))))
    }

    /// Whether the sender has used up the reader's patience, or all the time there was.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Option<(FailureKind, String)> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Some((FailureKind::Timeout, TOO_LATE.to_owned()));
        }
        let stall = self.stall.as_mut()?;
        if !stall.is_waiting {
            stall.is_waiting = true;
            stall.sleep.as_mut().reset(Instant::now() + stall.limit);
        }
        stall
            .sleep
            .as_mut()
            .poll(cx)
            .is_ready()
            .then(|| (FailureKind::Stalled, format!("no byte of the body for {} ms", stall.limit.as_millis())))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(reader) = &mut this.reader else {
            return Poll::Ready(None);
        };
        match reader.poll_next(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                if reader.received() > this.cap {
                    let detail = format!("the body is larger than the cap of {} bytes", this.cap);
                    return this.fail(FailureKind::TooLarge, &detail);
                }
                // A sender that always has a piece ready must not escape the deadline either.
                if this.deadline.as_mut().poll(cx).is_ready() {
                    return this.fail(FailureKind::Timeout, TOO_LATE);
                }
                if let Some(stall) = &mut this.stall {
                    stall.is_waiting = false;
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err((fault, detail)))) => this.fail(fault, &detail),
            Poll::Ready(None) => {
                if let Some(connection) = reader.take_reusable(cx) {
                    this.core.pool.put(&this.origin, connection);
                }
                this.reader = None;
                Poll::Ready(None)
            }
            Poll::Pending => match this.poll_limits(cx) {
                Some((kind, detail)) => this.fail(kind, &detail),
                None => Poll::Pending,
            },
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("origin", &self.origin)
            .field("announced", &self.announced())
            .finish_non_exhaustive()
    }
}
