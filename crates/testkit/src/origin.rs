//! A server that has files, with good manners or bad ones.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::receiver::{Log, Received};
use crate::reply::Reply;
use crate::serve::Server;

/// How a file is served.
#[derive(Debug, Clone)]
pub enum Manners {
    /// Whole, or by range.
    Good,
    /// Whole, whatever range is asked for.
    NoRanges,
    /// In pieces of so many bytes, with that gap before each.
    Drip(usize, Duration),
    /// The first request is reset after so many bytes; later ones are served well.
    ResetOnce(usize),
    /// Every request ends after so many bytes, whatever the length says.
    CutAfter(usize),
    /// The length says so many bytes more than there are.
    LieAboutLength(u64),
    /// Silence after so many bytes.
    StallAfter(usize),
    /// The bytes again and again, without a length.
    Endless,
    /// Sends the client elsewhere.
    RedirectTo(Url),
    /// That status, and no file.
    Status(u16),
}

#[derive(Debug)]
struct Item {
    bytes: Bytes,
    manners: Manners,
    served: usize,
    version: usize,
}

/// An HTTP/1.1 server on 127.0.0.1 that serves bytes by path. Stops listening when dropped.
#[derive(Debug)]
pub struct Origin {
    server: Server,
    log: Arc<Log>,
    items: Arc<Mutex<HashMap<String, Item>>>,
}

impl Origin {
    /// An origin that has nothing: every path is 404.
    pub async fn start() -> Self {
        let log = Log::new();
        let items = Arc::new(Mutex::new(HashMap::<String, Item>::new()));
        let (noted, kept) = (Arc::clone(&log), Arc::clone(&items));
        let answer = move |received| {
            let received = noted.note(received);
            let mut items = kept.lock().expect("nobody panics while holding the items");
            let path = received.path.split('?').next().unwrap_or_default();
            items.get_mut(path).map_or_else(|| Reply::status(404), |item| item.reply(&received))
        };
        Self { server: Server::start(Arc::new(answer)).await, log, items }
    }

    /// Puts bytes at a path (which begins with a slash), in place of what was there, and gives the URL.
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>, manners: Manners) -> Url {
        let mut items = self.items.lock().expect("nobody panics while holding the items");
        let version = items.get(path).map_or(0, |item| item.version + 1);
        items.insert(path.to_owned(), Item { bytes: bytes.into(), manners, served: 0, version });
        self.url(path)
    }

    /// The URL of a path here.
    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.server.address).parse().expect("the path begins with a slash")
    }

    /// What was asked for so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.log.requests()
    }

    /// Waits until at least `count` requests came and gives all that came.
    ///
    /// # Panics
    /// When they did not come within `timeout`.
    pub async fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Received> {
        self.log.wait_for(count, timeout).await
    }
}

impl Item {
    fn reply(&mut self, received: &Received) -> Reply {
        self.served += 1;
        let whole = self.bytes.len() as u64;
        match &self.manners {
            Manners::Good => self.good(received),
            Manners::NoRanges => Reply::status(200).body(self.bytes.clone()),
            Manners::Drip(piece, gap) => self.good(received).drip(*piece, *gap),
            Manners::ResetOnce(after) if self.served == 1 => {
                // A small pause lets the bytes out before the reset overtakes them.
                self.start(*after).drip((*after).max(1), Duration::from_millis(20)).then_reset()
            }
            Manners::ResetOnce(_) => self.good(received),
            Manners::CutAfter(after) => self.start(*after).then_close(),
            Manners::LieAboutLength(more) => {
                Reply::status(200).body(self.bytes.clone()).announce(whole + more).then_close()
            }
            Manners::StallAfter(after) => self.start(*after).then_hang(),
            Manners::Endless => Reply::status(200).body(self.bytes.clone()).endless(),
            Manners::RedirectTo(url) => Reply::status(302).header("location", url.as_str()),
            Manners::Status(status) => Reply::status(*status),
        }
    }

    /// The first `after` bytes of the whole that the length promises.
    fn start(&self, after: usize) -> Reply {
        let start = self.bytes.slice(..after.min(self.bytes.len()));
        Reply::status(200)
            .header("accept-ranges", "bytes")
            .header("etag", &self.tag())
            .body(start)
            .announce(self.bytes.len() as u64)
    }

    fn tag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    fn good(&self, received: &Received) -> Reply {
        let whole = self.bytes.len();
        let tag = self.tag();
        let is_current = received.headers.get("if-range").is_none_or(|wanted| wanted.as_bytes() == tag.as_bytes());
        let wanted = received.headers.get("range").and_then(|range| range.to_str().ok()).filter(|_| is_current);
        let reply = match wanted.map(|range| parse_range(range, whole)) {
            None => Reply::status(200).body(self.bytes.clone()),
            Some(None) => return Reply::status(416).header("content-range", &format!("bytes */{whole}")),
            Some(Some(range)) => Reply::status(206)
                .header("content-range", &format!("bytes {}-{}/{whole}", range.start, range.end - 1))
                .body(self.bytes.slice(range)),
        };
        reply.header("accept-ranges", "bytes").header("etag", &tag)
    }
}

/// Reads `bytes=FIRST-LAST` or `bytes=FIRST-`.
fn parse_range(text: &str, whole: usize) -> Option<Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = last.parse::<usize>().map_or(whole, |last| whole.min(last + 1));
    (first < end).then_some(first..end)
}
