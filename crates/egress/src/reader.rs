//! The body of a response on its way in, checked against the length that was announced.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::connection::Connection;
use crate::failure::FailureKind;
use crate::fault::{self, Fault};

pub(crate) struct Reader {
    /// Gone once it was put to rest.
    connection: Option<Box<Connection>>,
    address: SocketAddr,
    incoming: Incoming,
    announced: Option<u64>,
    received: u64,
    at_end: bool,
    /// Whether the announced length is where the body ends, which the HTTP layer does not know.
    is_cut: bool,
}

/// Why a body broke off: the fault, and the operator's words.
pub(crate) type BrokenOff = (Fault, String);

impl Reader {
    pub(crate) fn new(connection: Box<Connection>, headers: &HeaderMap, incoming: Incoming) -> Self {
        let exact = incoming.size_hint().exact();
        let announced = exact.or_else(|| length_of_identity(headers));
        let is_cut = exact.is_none() && announced.is_some();
        let at_end = incoming.is_end_stream() || (is_cut && announced == Some(0));
        let address = connection.address;
        let connection = Some(connection).filter(|_| !(is_cut && at_end));
        Self { connection, address, incoming, announced, received: 0, at_end, is_cut }
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
        let shown = connection.shown;
        match connection.poll_body(&mut self.incoming, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(mut piece))) => {
                if self.is_cut {
                    self.cut(&mut piece);
                }
                self.received += piece.len() as u64;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.connection = None;
                Poll::Ready(Some(Err((fault::of_body(&error, shown), fault::chain(&error)))))
            }
            Poll::Ready(None) => {
                self.at_end = true;
                match self.announced {
                    // hyper's body ends without an error when its connection was dropped; this does not.
                    Some(announced) if announced != self.received => {
                        self.connection = None;
                        let detail = format!("the body ended after {} of {announced} bytes", self.received);
                        Poll::Ready(Some(Err((FailureKind::Protocol.into(), detail))))
                    }
                    Some(_) | None => Poll::Ready(None),
                }
            }
        }
    }

    /// Ends the body at its announced length. The connection is not used again: the HTTP layer would wait for its end.
    fn cut(&mut self, piece: &mut Bytes) {
        let left = self.announced.unwrap_or(u64::MAX) - self.received;
        if piece.len() as u64 >= left {
            // `left` is no more than a length in memory, so it fits.
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.at_end = true;
            self.connection = None;
        }
    }

    /// The connection, if the body was read whole and another request can follow.
    pub(crate) fn take_reusable(&mut self, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        let mut connection = self.connection.take().filter(|_| self.at_end)?;
        connection.is_reusable(cx).then_some(connection)
    }
}

/// The length of a body that says it is not encoded for transfer, as servers of old do. The HTTP layer takes every
/// `Transfer-Encoding` but `chunked` for one that lasts until the connection is closed.
///
/// # Source
/// RFC 2616 section 4.4: a `Transfer-Encoding` other than `identity` overrides the length, and this one does not. RFC
/// 9112 no longer has the word. Lengths that contradict each other are none.
fn length_of_identity(headers: &HeaderMap) -> Option<u64> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter().peekable();
    encodings.peek()?;
    if !encodings.all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return None;
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for text in value.to_str().ok()?.split(',').map(str::trim) {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| is_number)?;
            if *length.get_or_insert(number) != number {
                return None;
            }
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identity_leaves_a_length_its_meaning() {
        for (encoding, lengths, expected) in [
            ("identity", &["5"][..], Some(5)),
            (" Identity ", &["5", "5"], Some(5)),
            ("identity", &["5, 5"], Some(5)),
            ("identity", &["5", "6"], None),
            ("identity", &["+5"], None),
            ("identity", &["five"], None),
            ("identity", &[""], None),
            ("identity", &[], None),
            ("identity, gzip", &["5"], None),
            ("gzip", &["5"], None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TRANSFER_ENCODING, encoding.parse().unwrap());
            for length in lengths {
                headers.append(CONTENT_LENGTH, length.parse().unwrap());
            }
            assert_eq!(length_of_identity(&headers), expected, "{encoding:?} {lengths:?}");
        }
        let mut plain = HeaderMap::new();
        plain.insert(CONTENT_LENGTH, "5".parse().unwrap());
        assert_eq!(length_of_identity(&plain), None, "the HTTP layer knows it already");
    }
}
