//! Small requests that ask for much: each is refused, or done, without the server's memory growing by much.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use url::Url;

use crate::world::{Serve, World};

/// Most that the server may hold at its peak above what it holds at rest.
const ALLOWED: u64 = 100 << 20;

/// The peak of a process's memory, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells the peak");
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("it is a number");
    kibibytes << 10
}

/// A server, and what it held at its peak before anything was asked of it.
struct Watched {
    world: World,
    idle: u64,
}

impl Watched {
    async fn start(serve: Serve) -> Self {
        let world = World::start(serve).await;
        let idle = peak(world.pid());
        Self { world, idle }
    }

    fn check(&self, what: &str) {
        let more = peak(self.world.pid()).saturating_sub(self.idle);
        assert!(more <= ALLOWED, "{what} took {} MiB", more >> 20);
    }
}

/// Sends a head and then `start` and pieces of `more` as a chunked body, up to `most` bytes, until the server answers; gives
/// the status and how much was sent.
fn sent_until_refused(url: &Url, head: &str, start: &str, more: &str, most: usize) -> (String, usize) {
    let address = (url.host_str().expect("the server has a host"), url.port().expect("the server has a port"));
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    let head = format!("{head}\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", address.0);
    let chunk = |piece: &str| format!("{:x}\r\n{piece}\r\n", piece.len());
    stream.write_all(format!("{head}{}", chunk(start)).as_bytes()).expect("the server reads");
    let piece = chunk(&more.repeat((1 << 16) / more.len()));
    let mut sent = 0;
    let (mut answer, mut space) = (Vec::new(), [0; 4096]);
    stream.set_nonblocking(true).expect("it can be set");
    // Reads without waiting, so that a refusal is seen as soon as it is there.
    while answer.is_empty() && sent < most {
        let mut rest = piece.as_bytes();
        while !rest.is_empty() && answer.is_empty() {
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("the server ended the connection before it answered: {error}"),
            }
            if let Ok(read) = stream.read(&mut space) {
                answer.extend_from_slice(&space[..read]);
            }
        }
        sent += piece.len();
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap_or("no answer").to_owned(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_body_is_refused_where_its_heads_or_its_preamble_have_no_end() {
    let watched = Watched::start(Serve::dev().set("open", "clipzy")).await;
    let key = format!("\r\nAuthorization: Bearer {}", watched.world.key());
    let parts = [
        ("413", "--B\r\nContent-Disposition: form-data; name=\"AAAA", "A"),
        ("413", "--B\r\n", "X-Header: value\r\n"),
        ("413", "a preamble", "A"),
        ("413", "a preamble of lines", "\r\n--A"),
        ("413", "--B", " "),
        ("400", "", "\r\n--B\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n"),
    ];
    for (path, key) in [
        ("/v1/uploads", key.as_str()),
        ("/v1/jobs", &key),
        ("/compressor/1.0/upload", &key),
        ("/removebgvideo/v1/uploads", &key),
        ("/clipzy/api/v1/videos/upload", ""),
    ] {
        for (status, start, more) in parts {
            // Some refuse a part that they do not read for its name, and RemoveBGVideo has one status for all bodies.
            let statuses =
                if status == "400" || path.contains("removebg") { &["400", "422"][..] } else { &[status][..] };
            let url = watched.world.url("/");
            let head = format!("POST {path} HTTP/1.1{key}\r\nContent-Type: multipart/form-data; boundary=B");
            let sending = tokio::task::spawn_blocking(move || sent_until_refused(&url, &head, start, more, 64 << 20));
            let (answer, sent) = sending.await.expect("sending does not panic");
            assert!(statuses.contains(&answer.as_str()), "{path}, {start:?}: {answer} after {sent} bytes");
        }
    }
    watched.check("multipart bodies");
}
