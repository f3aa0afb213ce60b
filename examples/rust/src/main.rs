//! A receiver of Reelhook's webhooks: `reelhook-signature` for the signature, the standard library for HTTP.
//!
//! ```sh
//! REELHOOK_SECRET=whsec_... PORT=3000 cargo run
//! ```
//!
//! A real receiver has a web framework. What to take from here is [`receive`]: the raw body, one call to `verify`,
//! the id remembered, a quick answer.

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reelhook_signature::{Headers, Secret, Trust, verify};

const LARGEST_HEAD: u64 = 64 * 1024;
const LARGEST_BODY: usize = 4 * 1024 * 1024;

struct Receiver {
    secrets: Vec<Secret>,
    /// In a real receiver: a table with a unique id, written in the same transaction as the event's effect.
    seen: Mutex<HashSet<String>>,
}

struct Request {
    method: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// What arrived, before any JSON parser.
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl Receiver {
    /// The status to answer with.
    fn receive(&self, request: &Request) -> u16 {
        if request.method != "POST" {
            return 405;
        }
        let headers = Headers::read(|name| request.header(name));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed());
        if verify(headers, &request.body, now, Trust::secrets(&self.secrets)).is_err() {
            return 400;
        }
        let id = headers.id.unwrap_or_default();
        if !self.seen.lock().is_ok_and(|mut seen| seen.insert(id.to_owned())) {
            println!("duplicate {id}");
            return 204;
        }
        // Note the event, answer, and let something else act on it: slow work belongs behind a queue.
        let event: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        println!("verified {} {id}", event["type"].as_str().unwrap_or("unknown"));
        204
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let status = match read(stream)? {
            Some(request) => self.receive(&request),
            None => 413,
        };
        let reason = if status == 204 { "No Content" } else { "Refused" };
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status} {reason}\r\nconnection: close\r\n\r\n")
    }
}

/// One request; nothing if it has no length or is too long.
fn read(stream: &TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut head = (&mut reader).take(LARGEST_HEAD);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let method = line.split(' ').next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        head.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request { method, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok());
    let Some(length @ 0..=LARGEST_BODY) = length else { return Ok(None) };
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn main() -> Result<(), Box<dyn Error>> {
    // Several secrets, separated by commas: while one is rotated, the old and the new one are both good.
    let secrets = std::env::var("REELHOOK_SECRET")?.split(',').map(Secret::parse).collect::<Result<_, _>>()?;
    let receiver = Receiver { secrets, seen: Mutex::default() };
    let port = std::env::var("PORT").map_or(Ok(3000), |text| text.parse())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let receiver = &receiver;
            // A connection that breaks is the sender's to repeat.
            scope.spawn(move || receiver.serve(&stream).ok());
        }
    });
    Ok(())
}
