//! One HTTP/1.1 connection and the request on it.
//!
//! hyper splits a connection into a handle that takes requests and a future that does the work, usually a task of its
//! own. Here the work is driven by whoever waits for it: no task to own and to stop, no hand-over between
//! threads on the way out and back, and dropping the exchange is what closes the socket.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::outgoing::Outgoing;
use crate::tls_fault::Shown;
use crate::wire::{Meter, Wire};

/// The largest head of a response, and the most that is read ahead of whoever takes the body.
const BUFFER: usize = 64 * 1024;

pub(crate) struct Connection {
    sender: SendRequest<Outgoing>,
    /// Gone once the connection has ended.
    work: Option<http1::Connection<TokioIo<Wire>, Outgoing>>,
    /// Why it ended, where nobody else was told.
    fault: Option<hyper::Error>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) address: SocketAddr,
    /// What was answered to a demand for a client certificate.
    pub(crate) shown: Shown,
    /// The number of the TLS profile that it was made with.
    pub(crate) profile: Option<u64>,
}

impl Connection {
    pub(crate) async fn new(wire: Wire, address: SocketAddr, profile: Option<u64>) -> hyper::Result<Self> {
        let (meter, shown) = (Arc::clone(&wire.meter), wire.shown());
        let (sender, work) =
            http1::Builder::new().max_buf_size(BUFFER).max_header_size(BUFFER).handshake(TokioIo::new(wire)).await?;
        Ok(Self { sender, work: Some(work), fault: None, meter, address, shown, profile })
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn request(
        &mut self,
        request: http::Request<Outgoing>,
    ) -> hyper::Result<http::Response<Incoming>> {
        let mut response = pin!(self.sender.send_request(request));
        poll_fn(|cx| {
            // Work first: it usually has the response ready, and the wait for it is then over without a detour.
            self.drive(cx);
            response.as_mut().poll(cx)
        })
        .await
        .map_err(|error| if error.is_canceled() { self.fault.take().unwrap_or(error) } else { error })
    }

    /// The next piece of the response's body.
    pub(crate) fn poll_body(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Bytes>>> {
        loop {
            let mut polled = Pin::new(&mut *incoming).poll_frame(cx);
            if polled.is_pending() {
                // Asking told the work that a piece is wanted; now it can be brought.
                self.drive(cx);
                polled = Pin::new(&mut *incoming).poll_frame(cx);
            }
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(self.fault.take().unwrap_or(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                    // Trailers: nobody asked for them.
                }
            }
        }
    }

    /// Whether the connection can carry another request, after the last byte of a response was read.
    pub(crate) fn is_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.work.is_some() && self.sender.is_ready()
    }

    /// Whether a connection at rest still looks open: neither closed by the other side nor spoken on out of turn.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.is_reusable(&mut Context::from_waker(Waker::noop()))
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(work) = &mut self.work
            && let Poll::Ready(result) = Pin::new(work).poll(cx)
        {
            self.fault = result.err();
            // Dropping it answers every request and body that still waits on it.
            self.work = None;
        }
    }
}
