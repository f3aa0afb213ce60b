//! The body of a request as hyper pulls it, telling the meter when it was handed over whole.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};

use crate::request::RequestBody;
use crate::wire::Meter;

pub(crate) struct Outgoing {
    source: Source,
    meter: Arc<Meter>,
}

enum Source {
    Done,
    Full(Bytes),
    Stream { left: Option<u64>, stream: BoxStream<'static, io::Result<Bytes>> },
}

impl Outgoing {
    pub(crate) fn new(body: RequestBody, meter: &Arc<Meter>) -> Self {
        let source = match body {
            RequestBody::Empty => Source::Done,
            RequestBody::Full(bytes) if bytes.is_empty() => Source::Done,
            RequestBody::Full(bytes) => Source::Full(bytes),
            RequestBody::Stream { length, stream } => Source::Stream { left: length, stream },
        };
        meter.begin_request();
        if matches!(source, Source::Done) {
            meter.body_handed_over();
        }
        Self { source, meter: Arc::clone(meter) }
    }

    fn finish(&mut self) {
        self.source = Source::Done;
        self.meter.body_handed_over();
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match &mut this.source {
            Source::Done => Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.finish();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Stream { left, stream } => {
                let next = ready!(stream.as_mut().poll_next(cx)).transpose()?;
                match (next, left.as_mut()) {
                    (Some(bytes), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                        Some(rest) => {
                            *left = rest;
                            Poll::Ready(Some(Ok(Frame::data(bytes))))
                        }
                        None => Poll::Ready(Some(Err(wrong_length("longer")))),
                    },
                    (Some(bytes), None) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    (None, Some(1..)) => Poll::Ready(Some(Err(wrong_length("shorter")))),
                    (None, Some(0) | None) => {
                        this.finish();
                        Poll::Ready(None)
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Done => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stream { left: Some(left), .. } => SizeHint::with_exact(*left),
            Source::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}

fn wrong_length(than: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the body is {than} than its announced length"))
}
