//! Closing a connection whose caller is still sending.
//!
//! An early refusal (a wrong key, a body that is too large) is answered before the body has been read. Closing the socket
//! at once would make the kernel reset it, since bytes lie there unread, and a reset often destroys the answer before the
//! caller has read it: a wrong key then looks like a server that crashed, and a proxy says 502. So the answer is sent, our
//! side is closed, and what the caller still sends is read and thrown away for a while.
//!
//! A caller who has sent all of a request may close their side and wait for the answer. Told of that end at once, the
//! connection would be closed without one: so the end is held back while an answer is under way, for a while, for it may as
//! well be a caller who left.
//!
//! A caller who reads nothing of what is sent would hold the connection, and what answers on it, for as long as they like:
//! the system on their side answers for them. So a write that makes no progress for a while ends the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::socket::Stream;

/// How long what the caller still sends is thrown away.
const AT_MOST: Duration = Duration::from_secs(30);
/// How long nothing may come meanwhile.
const SILENCE: Duration = Duration::from_secs(5);
/// How many bytes are thrown away. A caller who sends more is reset, and may not see the answer.
const BYTES: usize = 256 << 20;

/// How long a caller who closed their side is waited on with an answer.
const HALF_CLOSED: Duration = Duration::from_secs(10);

/// How far a connection's latest request is.
#[derive(Debug, Default)]
struct Progress {
    /// Its body has not been read to its end.
    unread: AtomicBool,
    /// More of its body is waited for.
    wanting: AtomicBool,
    /// Its answer has not been written to its end.
    unanswered: AtomicBool,
    /// The connection, where it holds back the end of what its caller sends: it looks again once more of the body is waited
    /// for, which may be after it looked.
    held: AtomicWaker,
}

/// Whether the body of a connection's latest request has not been read to its end, or its answer is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread(Arc<Progress>);

/// An answer that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Unread);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.unanswered.store(false, Ordering::Relaxed);
    }
}

impl Unread {
    pub(crate) fn is_set(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    fn set(&self, unread: bool) {
        self.0.unread.store(unread, Ordering::Relaxed);
    }

    /// Notes that a request is being answered.
    pub(crate) fn answering(&self) -> UnderWay {
        self.0.unanswered.store(true, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// Whether an answer is under way.
    fn awaits_answer(&self) -> bool {
        self.0.unanswered.load(Ordering::Relaxed)
    }

    /// Notes whether what answers waits for more of the request.
    fn want(&self, more: bool) {
        self.0.wanting.store(more, Ordering::SeqCst);
        if more {
            self.0.held.wake();
        }
    }

    /// Whether what answers waited for more of the request when it was asked last.
    fn wants_more(&self) -> bool {
        self.0.wanting.load(Ordering::SeqCst)
    }

    /// The body of a new request, watched.
    pub(crate) fn watch(&self, body: Incoming) -> Watched {
        self.set(!body.is_end_stream());
        self.want(false);
        Watched { body, unread: self.clone() }
    }
}

/// A request's body that notes when its end has been read.
pub(crate) struct Watched {
    body: Incoming,
    unread: Unread,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.unread.want(frame.is_pending());
        // A body that broke off has nothing more to be read either.
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.unread.set(false);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that, told to close while its caller is still sending, reads on until the caller closes too, or one of the
/// bounds above is met.
pub(crate) struct Lingering {
    stream: Stream,
    unread: Unread,
    closing: Option<Closing>,
    /// How long a write may make no progress.
    patience: Duration,
    /// When the write that waits is given up.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Until when the end of what the caller sends is held back.
    half_closed: Option<Pin<Box<Sleep>>>,
    /// Whether what answers had a turn since that end was seen: before, it may not have taken yet what came last.
    had_turn: bool,
}

struct Closing {
    end: Pin<Box<Sleep>>,
    silence: Pin<Box<Sleep>>,
    thrown_away: usize,
}

impl Lingering {
    pub(crate) fn new(stream: Stream, unread: Unread, patience: Duration) -> Self {
        Self { stream, unread, closing: None, patience, stalled: None, half_closed: None, had_turn: false }
    }

    /// What came of a write, or the end of our patience with one that waits.
    fn or_stalled(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller reads nothing")))
    }

    /// Throws away what comes until there is a reason to stop.
    fn poll_rest(&mut self, closing: &mut Closing, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 16 * 1024];
        while closing.thrown_away < BYTES && closing.end.as_mut().poll(cx).is_pending() {
            let mut piece = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {
                    closing.thrown_away += piece.filled().len();
                    closing.silence.as_mut().reset(Instant::now() + SILENCE);
                }
                Poll::Ready(_) => break,
                // Nothing lies there: worth waiting for only where we know of more.
                Poll::Pending if self.unread.is_set() || closing.thrown_away > 0 => {
                    return closing.silence.as_mut().poll(cx);
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let is_end = into.filled().len() == before && into.remaining() > 0;
        if is_end && self.unread.awaits_answer() {
            if !self.had_turn {
                self.had_turn = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.unread.0.held.register(cx.waker());
            if self.unread.wants_more() {
                return Poll::Ready(Ok(()));
            }
            let wait = self.half_closed.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED)));
            return wait.as_mut().poll(cx).map(Ok);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_stalled(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.or_stalled(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut closing = match self.closing.take() {
            Some(closing) => closing,
            None => {
                ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                Closing { end: Box::pin(sleep(AT_MOST)), silence: Box::pin(sleep(SILENCE)), thrown_away: 0 }
            }
        };
        let rest = self.poll_rest(&mut closing, cx);
        self.closing = Some(closing);
        rest.map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// How long a read of the end takes, by a clock that moves while nothing happens, where more of the body is waited for
    /// after a second, or never.
    async fn held(wants: bool) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "a caller of the test's own")]
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        drop(caller);
        stream.readable().await.unwrap();
        let unread = Unread::default();
        let _under_way = unread.answering();
        let mut connection = Lingering::new(Stream::Tcp(stream), unread.clone(), Duration::MAX);
        tokio::time::pause();
        let began = Instant::now();
        let reading = tokio::spawn(async move { connection.read(&mut [0; 16]).await.unwrap() });
        sleep(Duration::from_secs(1)).await;
        unread.want(wants);
        assert_eq!(reading.await.unwrap(), 0);
        began.elapsed()
    }

    #[tokio::test]
    async fn the_end_is_held_back_only_until_more_of_the_body_is_waited_for() {
        assert!(held(false).await >= HALF_CLOSED);
        tokio::time::resume();
        assert!(held(true).await < HALF_CLOSED);
    }
}
