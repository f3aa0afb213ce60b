//! What a test server answers, good or bad.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::Notify;

pub(crate) type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

/// An answer of a test server. Starts as a status alone; the methods make it better or worse.
#[derive(Debug, Clone)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    length: Option<u64>,
    delay: Duration,
    pace: Option<(usize, Duration)>,
    start: Start,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Answer,
    Reset,
    Hang,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Close,
    Reset,
    Hang,
    Never,
}

impl Reply {
    /// That status, without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("tests answer with real statuses"),
            headers: Vec::new(),
            body: Bytes::new(),
            length: None,
            delay: Duration::ZERO,
            pace: None,
            start: Start::Answer,
            end: End::Whole,
        }
    }

    /// No answer: the connection is reset once the request is read.
    pub fn reset() -> Self {
        Self { start: Start::Reset, ..Self::status(200) }
    }

    /// No answer: the connection stays open and silent.
    pub fn hang() -> Self {
        Self { start: Start::Hang, ..Self::status(200) }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("tests send real headers");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// With that body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The head comes only after that long.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The body comes in pieces of so many bytes, with that gap before each.
    #[must_use]
    pub fn drip(self, piece: usize, gap: Duration) -> Self {
        Self { pace: Some((piece.max(1), gap)), ..self }
    }

    /// `Content-Length` says so, whatever the body is.
    #[must_use]
    pub fn announce(self, length: u64) -> Self {
        Self { length: Some(length), ..self }
    }

    /// The connection is closed after the body, before what `announce` promised.
    #[must_use]
    pub fn then_close(self) -> Self {
        Self { end: End::Close, ..self }
    }

    /// The connection is reset after the body, before what `announce` promised.
    #[must_use]
    pub fn then_reset(self) -> Self {
        Self { end: End::Reset, ..self }
    }

    /// The connection stays open and silent after the body, before what `announce` promised.
    #[must_use]
    pub fn then_hang(self) -> Self {
        Self { end: End::Hang, ..self }
    }

    /// The body is repeated for ever, without a length.
    #[must_use]
    pub fn endless(self) -> Self {
        Self { end: End::Never, ..self }
    }

    /// Makes the response; `reset` is told when the connection shall be reset.
    pub(crate) async fn response(self, reset: Arc<Notify>) -> Result<Response<Body>, Infallible> {
        tokio::time::sleep(self.delay).await;
        match self.start {
            Start::Answer => {}
            Start::Reset => {
                reset.notify_one();
                std::future::pending().await
            }
            Start::Hang => std::future::pending().await,
        }
        let mut response = Response::new(StreamBody::new(frames(&self.body, self.pace, self.end, reset)));
        *response.status_mut() = self.status;
        if self.end != End::Never && self.status != StatusCode::NO_CONTENT {
            let length = self.length.unwrap_or(self.body.len() as u64);
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response.headers_mut().extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        Ok(response)
    }
}

fn frames(
    body: &Bytes,
    pace: Option<(usize, Duration)>,
    end: End,
    reset: Arc<Notify>,
) -> BoxStream<'static, io::Result<Frame<Bytes>>> {
    let (piece, gap) = pace.unwrap_or((64 * 1024, Duration::ZERO));
    let pieces: Vec<_> = (0..body.len()).step_by(piece).map(|at| body.slice(at..body.len().min(at + piece))).collect();
    let once = stream::iter(pieces.clone());
    let all = if end == End::Never { stream::iter(pieces.into_iter().cycle()).boxed() } else { once.boxed() };
    let paced = all.then(move |piece| async move {
        if !gap.is_zero() {
            tokio::time::sleep(gap).await;
        }
        Ok(Frame::data(piece))
    });
    let ending = stream::once(async move {
        match end {
            End::Whole | End::Never => Ok(None),
            End::Close => {
                // Lets what was written go out first: hyper drops its buffer when a body fails.
                tokio::task::yield_now().await;
                Err(io::Error::other("closed on purpose"))
            }
            End::Reset => {
                reset.notify_one();
                std::future::pending().await
            }
            End::Hang => std::future::pending().await,
        }
    });
    paced.chain(ending.try_filter_map(futures::future::ok)).boxed()
}
