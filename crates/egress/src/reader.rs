//! The body of a response on its way in, checked against the length that was announced.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::connection::Connection;
use crate::failure::FailureKind;
use crate::fault;

pub(crate) struct Reader {
    /// Gone once it was put to rest.
    connection: Option<Box<Connection>>,
    address: SocketAddr,
    incoming: Incoming,
    announced: Option<u64>,
    received: u64,
    at_end: bool,
}

/// Why a body broke off: the kind, and the operator's words.
pub(crate) type BrokenOff = (FailureKind, String);

impl Reader {
    pub(crate) fn new(connection: Box<Connection>, incoming: Incoming) -> Self {
        let announced = incoming.size_hint().exact();
        let at_end = incoming.is_end_stream();
        Self { address: connection.address, connection: Some(connection), incoming, announced, received: 0, at_end }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long the body is, where the response says so.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.announced
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at_end
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let Some(connection) = self.connection.as_mut().filter(|_| !self.at_end) else {
            return Poll::Ready(None);
        };
        match connection.poll_body(&mut self.incoming, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => {
                self.received += piece.len() as u64;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.connection = None;
                Poll::Ready(Some(Err((fault::kind_of_body(&error), fault::chain(&error)))))
            }
            Poll::Ready(None) => {
                self.at_end = true;
                match self.announced {
                    // hyper's body ends without an error when its connection was dropped; this does not.
                    Some(announced) if announced != self.received => {
                        self.connection = None;
                        let detail = format!("the body ended after {} of {announced} bytes", self.received);
                        Poll::Ready(Some(Err((FailureKind::Protocol, detail))))
                    }
                    Some(_) | None => Poll::Ready(None),
                }
            }
        }
    }

    /// The connection, if the body was read whole and another request can follow.
    pub(crate) fn take_reusable(&mut self, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        let mut connection = self.connection.take().filter(|_| self.at_end)?;
        connection.is_reusable(cx).then_some(connection)
    }
}
