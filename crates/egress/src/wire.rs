//! A socket, plain or under TLS, that counts what passes: how far a request came is read off these counters.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls_fault::Shown;

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
    socket: Socket,
    pub(crate) meter: Arc<Meter>,
    /// Why a write failed, while it is looked for whether the other side said why it closed.
    broken: Option<io::Error>,
    /// Why there is nothing more to read, while what came before it is read.
    ended: Option<io::Error>,
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, meter: Arc::new(Meter::default()), broken: None, ended: None }
    }

    /// What was answered to a demand for a client certificate.
    pub(crate) fn shown(&self) -> Shown {
        match self.socket {
            Socket::Plain(_) => Shown::NotAsked,
            Socket::Tls { shown, .. } => shown,
        }
    }

    /// What came before an error of TLS in the same bytes: the error is for the read after it.
    fn read_rest(&mut self, error: io::Error, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let Socket::Tls { stream, .. } = &mut self.socket else {
            return Err(error);
        };
        let (_, session) = stream.get_mut();
        match io::Read::read(&mut session.reader(), buffer.initialize_unfilled()) {
            Ok(read @ 1..) => {
                buffer.advance(read);
                self.ended = Some(error);
                Ok(())
            }
            Ok(0) | Err(_) => Err(error),
        }
    }

    /// What a write comes to. One that failed because the other side closed is answered with the alert of TLS that
    /// arrived before, if there is one: it says why, and without this nobody would read it.
    fn poll_wrote<T>(&mut self, wrote: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let error = match wrote {
            Poll::Ready(Err(error)) if is_closed(&error) => error,
            wrote => return wrote,
        };
        let Socket::Tls { stream, .. } = &mut self.socket else {
            return Poll::Ready(Err(error));
        };
        let (socket, session) = stream.get_mut();
        loop {
            match session.read_tls(&mut Arrived(socket)) {
                Ok(1..) => {
                    if let Err(alert) = session.process_new_packets() {
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, alert)));
                    }
                }
                // A socket that is closed can always be read, at least to its end.
                Err(wait) if wait.kind() == io::ErrorKind::WouldBlock => {
                    if socket.poll_read_ready(cx).is_pending() {
                        self.broken = Some(error);
                        return Poll::Pending;
                    }
                }
                Ok(0) | Err(_) => return Poll::Ready(Err(error)),
            }
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// What has arrived at a socket, without waiting for more.
struct Arrived<'a>(&'a TcpStream);

impl io::Read for Arrived<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

pub(crate) enum Socket {
    Plain(TcpStream),
    Tls {
        stream: Box<TlsStream<TcpStream>>,
        /// What was answered to a demand for a client certificate.
        shown: Shown,
    },
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match (this.ended.take(), &mut this.socket) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, Socket::Plain(socket)) => Pin::new(socket).poll_read(cx, buffer),
            (None, Socket::Tls { stream, .. }) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        };
        if let Err(error) = ready!(read) {
            this.read_rest(error, buffer)?;
        }
        this.meter.read.fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = match (this.broken.take(), &mut this.socket) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, Socket::Plain(socket)) => Pin::new(socket).poll_write(cx, bytes),
            (None, Socket::Tls { stream, .. }) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        };
        let written = ready!(this.poll_wrote(wrote, cx))?;
        this.meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = match (this.broken.take(), &mut this.socket) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, Socket::Plain(socket)) => Pin::new(socket).poll_write_vectored(cx, slices),
            (None, Socket::Tls { stream, .. }) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        };
        let written = ready!(this.poll_wrote(wrote, cx))?;
        this.meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls { stream, .. } => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match (this.broken.take(), &mut this.socket) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, Socket::Plain(socket)) => Pin::new(socket).poll_flush(cx),
            (None, Socket::Tls { stream, .. }) => Pin::new(stream.as_mut()).poll_flush(cx),
        };
        ready!(this.poll_wrote(flushed, cx))?;
        this.meter.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls { stream, .. } => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
