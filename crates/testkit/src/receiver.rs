//! A webhook receiver that does what it is told and remembers what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::sync::watch;
use url::Url;

use crate::reply::Reply;
use crate::serve::Server;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its place in the order of arrival, from 0.
    pub order: usize,
    /// Which connection brought it, from 0.
    pub connection: usize,
    /// The method.
    pub method: Method,
    /// The path with its query string.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The raw body.
    pub body: Bytes,
}

impl Received {
    /// A header as text; panics when it is absent or not text.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers));
        value.to_str().unwrap_or_else(|_| panic!("header {name} is not text"))
    }
}

/// What came, in order, and a signal when more came.
#[derive(Debug)]
pub(crate) struct Log {
    requests: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { requests: Mutex::new(Vec::new()), count: watch::Sender::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        self.requests.lock().expect("nobody panics while holding the log")
    }

    /// Notes a request and gives it back numbered.
    pub(crate) fn note(&self, mut received: Received) -> Received {
        let mut requests = self.lock();
        received.order = requests.len();
        requests.push(received.clone());
        self.count.send_replace(requests.len());
        received
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.lock().clone()
    }

    pub(crate) async fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Received> {
        let mut seen = self.count.subscribe();
        let waited = tokio::time::timeout(timeout, seen.wait_for(|&seen| seen >= count)).await.is_ok();
        let requests = self.requests();
        assert!(waited, "waited {timeout:?} for {count} requests, got {}: {requests:#?}", requests.len());
        requests
    }
}

#[derive(Debug)]
struct Script {
    next: VecDeque<Reply>,
    otherwise: Reply,
}

/// An HTTP/1.1 server on 127.0.0.1 that records requests and answers from a script; 200 when the script is over. Stops
/// listening when dropped.
#[derive(Debug)]
pub struct Receiver {
    server: Server,
    log: Arc<Log>,
    script: Arc<Mutex<Script>>,
}

impl Receiver {
    /// A receiver that answers 200.
    pub async fn start() -> Self {
        Self::scripted([]).await
    }

    /// A receiver that gives these answers in order of arrival, then 200.
    pub async fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let log = Log::new();
        let script =
            Arc::new(Mutex::new(Script { next: replies.into_iter().collect(), otherwise: Reply::status(200) }));
        let (noted, told) = (Arc::clone(&log), Arc::clone(&script));
        let answer = move |received| {
            // The answer is taken before the request shows in the log, so whoever waited for it can change the script.
            let reply = {
                let mut script = told.lock().expect("nobody panics while holding the script");
                script.next.pop_front().unwrap_or_else(|| script.otherwise.clone())
            };
            noted.note(received);
            reply
        };
        Self { server: Server::start(Arc::new(answer)).await, log, script }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nobody panics while holding the script")
    }

    /// Adds an answer to the script.
    pub fn then(&self, reply: Reply) {
        self.script().next.push_back(reply);
    }

    /// What is answered from now on when the script is over.
    pub fn otherwise(&self, reply: Reply) {
        self.script().otherwise = reply;
    }

    /// The URL of a path here.
    pub fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.server.address).parse().expect("the path begins with a slash")
    }

    /// What came so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.log.requests()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.log.lock().len()
    }

    /// Waits until at least `count` requests came and gives all that came.
    ///
    /// # Panics
    /// When they did not come within `timeout`.
    pub async fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Received> {
        self.log.wait_for(count, timeout).await
    }
}
