//! Receivers on loopback that do exactly one thing each, good or bad.

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// A listener that runs a script for every connection, and stops when it is dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Scripted {
    pub(crate) async fn start<F, S>(script: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::over(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// The same with a buffer that holds little of what it does not read.
    pub(crate) fn narrow<F, S>(script: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self::over(socket.listen(16).unwrap(), script)
    }

    fn over<F, S>(listener: TcpListener, script: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut scripted = Self { address: listener.local_addr().unwrap(), tasks: JoinSet::new() };
        scripted.tasks.spawn(accept(listener, script));
        scripted
    }

    /// Reads a request and says these bytes, then closes in order.
    pub(crate) async fn saying(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |mut socket| {
            let bytes = Arc::clone(&bytes);
            async move {
                read_request(&mut socket).await;
                let _ = socket.write_all(&bytes).await;
                let _ = socket.shutdown().await;
            }
        })
        .await
    }

    /// Reads a request, says these bytes, and does this with the connection.
    pub(crate) async fn saying_then<F>(bytes: &'static [u8], then: fn(TcpStream) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start(move |mut socket| async move {
            read_request(&mut socket).await;
            let _ = socket.write_all(bytes).await;
            then(socket).await;
        })
        .await
    }

    /// Reads a request, says the head, and repeats the piece as long as anybody takes it; counts what was taken.
    pub(crate) async fn flooding(head: &'static [u8], piece: &[u8], taken: &Arc<AtomicU64>) -> Self {
        let (piece, taken) = (Arc::<[u8]>::from(piece), Arc::clone(taken));
        Self::start(move |mut socket| {
            let (piece, taken) = (Arc::clone(&piece), Arc::clone(&taken));
            async move {
                read_request(&mut socket).await;
                let _ = socket.write_all(head).await;
                while socket.write_all(&piece).await.is_ok() {
                    taken.fetch_add(piece.len() as u64, Ordering::SeqCst);
                }
            }
        })
        .await
    }

    /// Reads a request, says the head, and then a byte each second.
    pub(crate) async fn dripping(head: &'static [u8]) -> Self {
        Self::start(move |mut socket| async move {
            read_request(&mut socket).await;
            let _ = socket.write_all(head).await;
            while socket.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
        .await
    }

    /// Listens, and accepts nobody for that long, or ever; its backlog is full from the start.
    pub(crate) async fn deaf_for(span: Option<Duration>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let filling = tokio::task::spawn_blocking(move || {
            let mut filling = Vec::new();
            while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
                filling.push(stream);
                assert!(filling.len() < 64, "the backlog never fills");
            }
            filling
        });
        let filling = filling.await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            match span {
                None => std::future::pending().await,
                Some(span) => tokio::time::sleep(span).await,
            }
            drop(filling);
            accept(listener, |mut socket| async move {
                if read_request(&mut socket).await {
                    let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            })
            .await;
        });
        Self { address, tasks }
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}/hook", self.address).parse().unwrap()
    }

    pub(crate) fn url_of(&self, scheme: &str, host: &str) -> url::Url {
        format!("{scheme}://{host}:{}/hook", self.address.port()).parse().unwrap()
    }
}

async fn accept<F, S>(listener: TcpListener, script: S)
where
    S: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(script(socket));
    }
}

/// Reads one request whole; whether there was one.
pub(crate) async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if bytes.len() >= at + 4 + length.unwrap_or(0_usize) {
                return true;
            }
        }
        if !matches!(socket.read_buf(&mut bytes).await, Ok(1..)) {
            return false;
        }
    }
}

/// Answers 200 over any stream.
pub(crate) async fn welcome(mut socket: impl AsyncRead + AsyncWrite + Unpin) {
    while read_request(&mut socket).await {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let _ = socket.flush().await;
    }
}

/// Keeps the connection open and silent.
pub(crate) async fn hold(socket: TcpStream) {
    std::future::pending::<()>().await;
    drop(socket);
}

/// Resets the connection. What was said before is given time to be read: a reset may overtake it.
pub(crate) async fn reset(socket: TcpStream) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let _ = socket.set_zero_linger();
}

/// An answer whose body would unpack into a gigabyte: a thousand members of gzip, which count as one file.
///
/// # Source
/// RFC 1952 section 2.2.
pub(crate) fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&[0; 1 << 20]).unwrap();
    let body = encoder.finish().unwrap().repeat(1024);
    assert!((16 << 10..16 << 20).contains(&body.len()), "more than is kept, and a bomb: {} bytes", body.len());
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}
