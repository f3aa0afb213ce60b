//! A receiver that costs little: it reads requests whole, notes when each came, and answers 200 from a thread of its own.
//!
//! It shares the machine's cores with what is measured, so it speaks just as much HTTP/1.1 as a sender with kept
//! connections and a `Content-Length` needs.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::Url;

use super::load::NUMBER;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// How often somebody who waits for arrivals looks. What is measured are their own times, not the looking.
const PACE: Duration = Duration::from_millis(2);
/// How long a slow receiver takes to answer.
const SLOWNESS: Duration = Duration::from_secs(1);

/// What a listener does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::bench) enum Manner {
    /// Answers 200.
    Answers,
    /// Answers 200 after a second.
    Slow,
    /// Accepts connections and never answers.
    Silent,
}

/// A request that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::bench) struct Arrival {
    /// The number in the event's payload.
    pub(in crate::commands::bench) number: u32,
    /// The number that is the path, 0 for any other path.
    pub(in crate::commands::bench) endpoint: u32,
    /// When its last byte was read.
    pub(in crate::commands::bench) at: Instant,
}

#[derive(Debug, Default)]
struct Seen {
    arrivals: Vec<Arrival>,
    /// Event and endpoint.
    distinct: HashSet<(u32, u32)>,
}

#[derive(Debug, Default)]
struct Log {
    seen: Mutex<Seen>,
    distinct: AtomicUsize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, arrival: Arrival) {
        let mut seen = self.lock();
        seen.arrivals.push(arrival);
        if seen.distinct.insert((arrival.number, arrival.endpoint)) {
            self.distinct.store(seen.distinct.len(), Ordering::Release);
        }
    }
}

/// Listens, answers and notes; ends when dropped.
#[derive(Debug)]
pub(in crate::commands::bench) struct Receiver {
    log: Arc<Log>,
    gate: watch::Sender<bool>,
    doors: mpsc::UnboundedSender<(Listener, Manner)>,
}

impl Receiver {
    /// A receiver without listeners.
    pub(in crate::commands::bench) fn start() -> anyhow::Result<Self> {
        let log = Arc::new(Log::default());
        let (gate, opened) = watch::channel(true);
        let (doors, mut new_doors) = mpsc::unbounded_channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let noted = log.clone();
        let work = async move {
            let mut listening = JoinSet::new();
            while let Some((listener, manner)) = new_doors.recv().await {
                let Ok(listener) = TcpListener::from_std(listener) else { continue };
                listening.spawn(accept(listener, manner, noted.clone(), opened.clone()));
            }
        };
        thread::Builder::new().name("receiver".to_owned()).spawn(move || runtime.block_on(work))?;
        Ok(Self { log, gate, doors })
    }

    /// Listens on one more port of loopback; gives the URL of its path `/`.
    pub(in crate::commands::bench) fn listen(&self, manner: Manner) -> anyhow::Result<Url> {
        let listener =
            Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("the receiver finds no free port")?;
        listener.set_nonblocking(true)?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        self.doors.send((listener, manner)).ok().context("the receiver has ended")?;
        Ok(url)
    }

    /// Whether requests are answered from now on; those that come meanwhile wait.
    pub(in crate::commands::bench) fn set_open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// Forgets what came.
    pub(in crate::commands::bench) fn clear(&self) {
        let mut seen = self.log.lock();
        *seen = Seen::default();
        self.log.distinct.store(0, Ordering::Release);
    }

    /// How many events came, each counted once for each endpoint.
    pub(in crate::commands::bench) fn distinct(&self) -> usize {
        self.log.distinct.load(Ordering::Acquire)
    }

    /// All that came, in order.
    pub(in crate::commands::bench) fn arrivals(&self) -> Vec<Arrival> {
        self.log.lock().arrivals.clone()
    }

    /// Waits until so many came, each counted once, and gives all that came.
    pub(in crate::commands::bench) async fn reach(
        &self,
        distinct: usize,
        patience: Duration,
    ) -> anyhow::Result<Vec<Arrival>> {
        let begun = Instant::now();
        while self.distinct() < distinct {
            let came = self.distinct();
            ensure!(begun.elapsed() < patience, "after {} s {came} of {distinct} webhooks came", patience.as_secs());
            sleep(PACE).await;
        }
        Ok(self.arrivals())
    }
}

async fn accept(listener: TcpListener, manner: Manner, log: Arc<Log>, gate: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: those that end make room.
            sleep(PACE).await;
            continue;
        };
        let (log, gate) = (log.clone(), gate.clone());
        connections.spawn(async move {
            // A sender that went away, or was killed, is no concern of the receiver.
            let _ = match manner {
                Manner::Answers => talk(stream, &log, gate, Duration::ZERO).await,
                Manner::Slow => talk(stream, &log, gate, SLOWNESS).await,
                Manner::Silent => swallow(stream).await,
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn swallow(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut bytes = vec![0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

async fn talk(
    mut stream: TcpStream,
    log: &Log,
    mut gate: watch::Receiver<bool>,
    pause: Duration,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        while let Some(request) = Request::whole(&buffer)? {
            if let Some(number) = request.number {
                log.note(Arrival { number, endpoint: request.endpoint, at: Instant::now() });
            }
            buffer.drain(..request.length);
            if !*gate.borrow() {
                gate.wait_for(|open| *open).await?;
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
            stream.write_all(ANSWER).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// What is read of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    /// Bytes of head and body.
    length: usize,
    endpoint: u32,
    number: Option<u32>,
}

impl Request {
    /// The first request in the buffer, once all of it is there.
    fn whole(buffer: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = memmem::find(buffer, b"\r\n\r\n") else { return Ok(None) };
        let head = &buffer[..end];
        let length = end + 4 + content_length(head).context("a request has no Content-Length")?;
        if buffer.len() < length {
            return Ok(None);
        }
        let path = memchr::memchr(b'/', head).map_or(&[][..], |at| &head[at + 1..]);
        let body = &buffer[end + 4..length];
        let number = memmem::find(body, NUMBER.as_bytes()).and_then(|at| digits(&body[at + NUMBER.len()..]));
        Ok(Some(Self { length, endpoint: digits(path).unwrap_or(0), number }))
    }
}

/// The `Content-Length` of a head, however its name is spelled.
pub(in crate::commands::bench) fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\r\ncontent-length:";
    let value = match memmem::find(head, NAME) {
        Some(at) => &head[at + NAME.len()..],
        None => {
            let at = head.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME))?;
            &head[at + NAME.len()..]
        }
    };
    digits(value.trim_ascii_start()).map(|length| length as usize)
}

/// The number that a text begins with.
fn digits(text: &[u8]) -> Option<u32> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    #[test]
    fn a_request_is_read_once_all_of_it_is_there() {
        let body = r#"{"type":"a","data":{"number":"0000000042","filler":"xx"}}"#;
        for name in ["content-length: ", "Content-Length:"] {
            let text = format!("POST /17 HTTP/1.1\r\nhost: a\r\n{name}{}\r\n\r\n{body}", body.len());
            let whole = Request { length: text.len(), endpoint: 17, number: Some(42) };
            assert_eq!(Request::whole(text.as_bytes()).unwrap(), Some(whole));
            assert_eq!(Request::whole(&text.as_bytes()[..text.len() - 1]).unwrap(), None);
        }
        assert!(Request::whole(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn arrivals_are_counted_once_and_noted_each_time() {
        let receiver = Receiver::start().unwrap();
        let url = receiver.listen(Manner::Answers).unwrap();
        let post = load::Post::straight(&url, 5).unwrap();
        for (first, distinct) in [(1, 1), (1, 1), (2, 2)] {
            load::closed(post.clone(), first..first + 1, 1).await.unwrap();
            assert_eq!(receiver.distinct(), distinct);
        }
        assert_eq!(receiver.arrivals().len(), 3);
        assert!(receiver.arrivals().iter().all(|arrival| arrival.endpoint == 5));
        receiver.clear();
        assert!(receiver.reach(1, Duration::ZERO).await.is_err());
    }
}
