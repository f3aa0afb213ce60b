//! The load: requests that were written once, over connections that are kept, from a thread of its own.
//!
//! A request costs one write, one read and the search for the end of the answer's head; only the numbers of its events
//! are put in place for each. A number is how the receiver tells which event came.

use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::interval;
use url::Url;

use super::receiver::content_length;

/// What stands before the number of an event in its payload.
pub(in crate::commands::bench) const NUMBER: &str = r#""number":""#;
/// Bytes of a payload.
const PAYLOAD: usize = 1024;
/// Digits of a number.
const DIGITS: usize = 10;

/// A request, ready to be sent but for the numbers of its events.
#[derive(Debug, Clone)]
pub(in crate::commands::bench) struct Post {
    address: SocketAddr,
    bytes: Vec<u8>,
    /// Where the numbers are.
    numbers: Vec<usize>,
}

impl Post {
    /// Publishes one event of each of these types, in one request.
    pub(in crate::commands::bench) fn publish(base: &Url, key: &str, kinds: &[&str]) -> anyhow::Result<Self> {
        let event = |kind: &&str| format!(r#"{{"type":"{kind}","payload":{}}}"#, payload());
        let body = match kinds {
            [kind] => event(kind),
            kinds => format!(r#"{{"events":[{}]}}"#, kinds.iter().map(event).collect::<Vec<_>>().join(",")),
        };
        Self::new(base, "/v1/events", &format!("authorization: Bearer {key}\r\n"), &body)
    }

    /// One payload straight to a receiver, as that endpoint.
    pub(in crate::commands::bench) fn straight(base: &Url, endpoint: u32) -> anyhow::Result<Self> {
        Self::new(base, &format!("/{endpoint}"), "", &payload())
    }

    fn new(base: &Url, path: &str, headers: &str, body: &str) -> anyhow::Result<Self> {
        let address = *base.socket_addrs(|| None)?.first().context("the server has no address")?;
        let mut bytes = Vec::with_capacity(body.len() + 512);
        write!(
            bytes,
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}content-length: \
             {}\r\n\r\n{body}",
            body.len()
        )?;
        let numbers = memmem::find_iter(&bytes, NUMBER).map(|at| at + NUMBER.len()).collect();
        Ok(Self { address, bytes, numbers })
    }

    /// How many events it has.
    pub(in crate::commands::bench) fn events(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// The request whose events have the numbers from `first`.
    pub(in crate::commands::bench) fn numbered(&mut self, first: u32) -> &[u8] {
        for (at, number) in self.numbers.iter().zip(first..) {
            let text = format!("{number:0DIGITS$}");
            self.bytes[*at..at + DIGITS].copy_from_slice(text.as_bytes());
        }
        &self.bytes
    }
}

/// A payload of exactly [`PAYLOAD`] bytes, with a number to be put in place.
pub(in crate::commands::bench) fn payload() -> String {
    let begin = format!(r#"{{{NUMBER}{:0DIGITS$}","filler":""#, 0);
    let filler = "x".repeat(PAYLOAD - begin.len() - 2);
    format!(r#"{begin}{filler}"}}"#)
}

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::bench) struct Sent {
    /// The number of its first event.
    pub(in crate::commands::bench) number: u32,
    /// Just before its first byte was written.
    pub(in crate::commands::bench) at: Instant,
    /// When its answer was read.
    pub(in crate::commands::bench) answered: Instant,
}

/// When a load began and when its last answer came.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::bench) struct Span {
    pub(in crate::commands::bench) begun: Instant,
    pub(in crate::commands::bench) answered: Instant,
}

/// Sends events of all these numbers over so many connections, each sending its next request once it has its answer.
pub(in crate::commands::bench) async fn closed(
    post: Post,
    numbers: Range<u32>,
    connections: u32,
) -> anyhow::Result<Span> {
    on_a_thread(async move {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(post.address).await?);
        }
        let next = Arc::new(AtomicU32::new(numbers.start));
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for mut connection in opened {
            let (next, mut post) = (next.clone(), post.clone());
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(post.events(), Ordering::Relaxed);
                    if number >= numbers.end {
                        return anyhow::Ok(());
                    }
                    connection.exchange(post.numbered(number)).await?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(Span { begun, answered: Instant::now() })
    })
    .await
}

/// Sends one request each `pace`, whether those before it were answered or not: `posts` in turn, `count` in all.
pub(in crate::commands::bench) async fn open(
    posts: Vec<Post>,
    first: u32,
    count: u32,
    pace: Duration,
) -> anyhow::Result<Vec<Sent>> {
    on_a_thread(async move {
        let idle = Arc::new(Mutex::new(Vec::<Connection>::new()));
        let mut ticks = interval(pace);
        let mut tasks = JoinSet::new();
        let mut number = first;
        for post in posts.iter().cycle().take(count as usize) {
            ticks.tick().await;
            let (idle, mut post, this) = (idle.clone(), post.clone(), number);
            number += post.events();
            tasks.spawn(async move {
                let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut connection = match taken {
                    Some(connection) => connection,
                    None => Connection::open(post.address).await?,
                };
                let request = post.numbered(this);
                let at = Instant::now();
                connection.exchange(request).await?;
                let sent = Sent { number: this, at, answered: Instant::now() };
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                anyhow::Ok(sent)
            });
        }
        let mut sent = Vec::with_capacity(count as usize);
        while let Some(ended) = tasks.join_next().await {
            sent.push(ended??);
        }
        Ok(sent)
    })
    .await
}

/// Does the work on a thread of its own, which nothing else keeps from its next turn.
async fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (done, result) = oneshot::channel();
    let run = move || {
        // Whoever left does not want it any more.
        let _ = done.send(runtime.block_on(work));
    };
    thread::Builder::new().name("load".to_owned()).spawn(run)?;
    result.await.context("the load ended without a result")?
}

/// A kept connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "egress is measured, and the address is this benchmark's own")]
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer, which must be 2xx.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.answer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection instead of answering");
            }
            let Some(end) = memmem::find(&self.answer, b"\r\n\r\n") else { continue };
            let length = content_length(&self.answer[..end]).context("an answer has no Content-Length")?;
            if self.answer.len() >= end + 4 + length {
                let said = || String::from_utf8_lossy(&self.answer).into_owned();
                ensure!(self.answer.starts_with(b"HTTP/1.1 2"), "an event was refused: {}", said());
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_size_and_is_json() {
        let value: serde_json::Value = serde_json::from_str(&payload()).unwrap();
        assert_eq!((payload().len(), value["number"].as_str().unwrap().len()), (PAYLOAD, DIGITS));
    }

    #[test]
    fn the_events_of_a_batch_are_numbered() {
        let base = Url::parse("http://127.0.0.1:9/").unwrap();
        let mut post = Post::publish(&base, "rh_x", &["a.b"; 3]).unwrap();
        assert_eq!(post.events(), 3);
        let bytes = String::from_utf8(post.numbered(98).to_vec()).unwrap();
        let body: serde_json::Value = serde_json::from_str(bytes.split_once("\r\n\r\n").unwrap().1).unwrap();
        let numbers = body["events"].as_array().unwrap().iter().map(|event| event["payload"]["number"].clone());
        assert_eq!(numbers.collect::<Vec<_>>(), ["0000000098", "0000000099", "0000000100"]);
    }
}
