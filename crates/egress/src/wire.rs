//! A socket, plain or under TLS, that counts what passes: how far a request came is read off these counters.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What one connection moved for the request it carries now. Shared by the socket, the body and the observer; all
/// three run in one task, so the order of memory accesses needs no care.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    written: AtomicU64,
    read: AtomicU64,
    body_handed_over: AtomicBool,
    request_sent: AtomicBool,
}

impl Meter {
    pub(crate) fn begin_request(&self) {
        self.written.store(0, Relaxed);
        self.read.store(0, Relaxed);
        self.body_handed_over.store(false, Relaxed);
        self.request_sent.store(false, Relaxed);
    }

    pub(crate) fn body_handed_over(&self) {
        self.body_handed_over.store(true, Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Relaxed);
    }

    /// Whether any byte of the request was given to the socket, and so may have arrived.
    pub(crate) fn has_written(&self) -> bool {
        self.written.load(Relaxed) > 0
    }

    /// Whether any byte of a response arrived.
    pub(crate) fn has_read(&self) -> bool {
        self.read.load(Relaxed) > 0
    }

    /// Whether the whole request was given to the operating system.
    pub(crate) fn has_sent_request(&self) -> bool {
        self.request_sent.load(Relaxed)
    }

    fn flushed(&self) {
        if self.body_handed_over.load(Relaxed) && self.has_written() {
            self.request_sent.store(true, Relaxed);
        }
    }
}

/// The socket of one connection.
pub(crate) struct Wire {
    pub(crate) socket: Socket,
    pub(crate) meter: Arc<Meter>,
}

pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(match &mut this.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_read(cx, buffer),
        })?;
        this.meter.read.fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(match &mut this.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_write(cx, bytes),
        })?;
        this.meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(match &mut this.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_write_vectored(cx, slices),
        })?;
        this.meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(match &mut this.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_flush(cx),
        })?;
        this.meter.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_shutdown(cx),
        }
    }
}
