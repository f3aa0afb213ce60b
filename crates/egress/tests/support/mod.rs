//! Servers that do exactly what a test says, on loopback only, and a resolver with an answer for every call.
#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reelhook_egress::{Client, Policy, Request, Resolver, Settings};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// Short enough not to be waited for, long enough for a busy machine to get to the point.
pub(crate) const SOON: Duration = Duration::from_millis(300);

/// A listener on loopback that runs a script for every connection, and stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// The script gets the number of the connection, from 0, and the socket.
    pub(crate) async fn start<F, S>(script: S) -> Self
    where
        S: Fn(usize, TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(script(counter.fetch_add(1, Ordering::SeqCst), socket));
            }
        });
        Self { address, accepted, _tasks: tasks }
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        url(&format!("http://{}{path}", self.address))
    }

    /// The same server under a name, for a client whose resolver knows it.
    pub(crate) fn named(&self, path: &str) -> Url {
        url(&format!("http://hook.example:{}{path}", self.address.port()))
    }

    /// Public addresses, and this one server.
    pub(crate) fn policy(&self) -> Policy {
        let net = self.address.ip().into();
        Policy::public().allow_http().allow(net, self.address.port()..=self.address.port())
    }

    pub(crate) fn client(&self) -> Client {
        client(self.policy(), Answers::always("127.0.0.1"))
    }
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).expect("tests write valid URLs")
}

pub(crate) fn client(policy: Policy, resolver: Arc<Answers>) -> Client {
    Client::new(Settings { policy, ..Settings::default() }, resolver).expect("the settings are valid")
}

pub(crate) fn get(url: Url) -> Request {
    Request { deadline: Duration::from_secs(20), ..Request::get(url) }
}

pub(crate) fn post(url: Url, body: &'static str) -> Request {
    Request { deadline: Duration::from_secs(20), ..Request::post(url, body.into()) }
}

/// A resolver with a list of answers, one for each call; the last one stays.
#[derive(Debug)]
pub(crate) struct Answers {
    left: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Answers {
    pub(crate) fn always(addresses: &str) -> Arc<Self> {
        Self::in_turn(&[addresses])
    }

    /// Each answer is a list of addresses separated by spaces.
    pub(crate) fn in_turn(answers: &[&str]) -> Arc<Self> {
        let parse = |answer: &&str| {
            answer.split_whitespace().map(|text| text.parse().expect("tests write valid addresses")).collect()
        };
        Arc::new(Self { left: Mutex::new(answers.iter().map(parse).collect()), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Resolver for Answers {
    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut left = self.left.lock().expect("no test panics while it resolves");
        let answer = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
        let answer = answer.filter(|addresses| !addresses.is_empty()).ok_or(io::ErrorKind::NotFound)?;
        Ok(answer.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// Reads one request, head and body. Nothing when the client closed first.
pub(crate) async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0_usize);
    while bytes.len() < head_end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Keeps a socket open and silent.
pub(crate) async fn hold(socket: TcpStream) {
    std::future::pending::<()>().await;
    drop(socket);
}
