//! Bodies of `multipart/form-data`, read part by part within bounds.
//!
//! # Theory of operation
//! A body alternates between content and heads: the preamble, a delimiter, the head of a part, its content, a delimiter,
//! and so on to the delimiter that ends with `--`, after which the epilogue comes. Content is given out as it arrives, so
//! that no more of it is held than one piece of the body. Everything else is held until it is whole, and has a limit of
//! bytes and a deadline: a head, and what is passed over (the preamble, the epilogue, and parts that the route does not
//! read). The route bounds the parts that it reads. Each byte is searched once, or twice where a delimiter could begin.
//!
//! # Source
//! RFC 7578 (form data) and RFC 2046 section 5.1 (the delimiters, and the 70 characters of a boundary).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use bytes::{Buf as _, Bytes, BytesMut};
use futures::Stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use memchr::memmem::{self, Finder};

use crate::problem::Problem;

/// Most bytes of the head of a part.
const HEAD: usize = 16 * 1024;
/// Most bytes of the preamble and of the epilogue.
const AROUND: usize = 16 * 1024;
/// Most bytes of all parts together that the route does not read.
const PASSED_OVER: usize = 1 << 20;
/// Most parts.
const PARTS: usize = 16;
/// How long the next head, or a part that is read whole, may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
const LINE_END: &[u8] = b"\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A body that is read part by part.
pub(crate) struct Multipart {
    body: BodyDataStream,
    /// What has come and was not given out.
    buffer: BytesMut,
    /// The end of a line, two dashes and the boundary.
    delimiter: Finder<'static>,
    place: Place,
    parts: usize,
    passed_over: usize,
}

/// Where in a body its next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Preamble,
    Content,
    /// Right after a delimiter.
    Head,
    /// After the delimiter that is the last.
    Epilogue,
}

/// A part: what its head says, and its content as a stream.
pub(crate) struct Part<'a> {
    whole: &'a mut Multipart,
    head: Head,
}

/// What the head of a part says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    name: Option<String>,
    file_name: Option<String>,
    content_type: Option<String>,
}

impl Multipart {
    /// Begins to read the body of a request.
    ///
    /// # Errors
    /// 400 where the request names no boundary.
    pub(crate) fn of(request: Request) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = parameters(kind).into_iter().find(|(name, _)| name == "boundary").map(|(_, value)| value);
        let Some(boundary) = boundary.filter(|boundary| (1..=70).contains(&boundary.len())) else {
            return Err(unreadable("the Content-Type must have a boundary of 1 to 70 characters"));
        };
        let delimiter = memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned();
        Ok(Self {
            body: request.into_body().into_data_stream(),
            // So that a delimiter at the very beginning is one like all others.
            buffer: BytesMut::from(LINE_END),
            delimiter,
            place: Place::Preamble,
            parts: 0,
            passed_over: 0,
        })
    }

    /// The next part; nothing after the last. What was not read of the part before is passed over.
    ///
    /// # Errors
    /// 400 for a body that is not multipart, or has too many parts; 408 where it does not come; 413 where a head, or what
    /// is passed over, is too large.
    pub(crate) async fn next(&mut self) -> Result<Option<Part<'_>>, Problem> {
        let head = in_time(self.next_head()).await?;
        Ok(head.map(|head| Part { whole: self, head }))
    }

    async fn next_head(&mut self) -> Result<Option<Head>, Problem> {
        match self.place {
            Place::Preamble => self.pass_over(AROUND, "the text before the first part").await?,
            Place::Content => self.pass_over(PASSED_OVER, "the ignored parts together").await?,
            Place::Head | Place::Epilogue => {}
        }
        if self.place == Place::Epilogue || self.is_last().await? {
            self.pass_epilogue().await?;
            return Ok(None);
        }
        self.parts += 1;
        if self.parts > PARTS {
            return Err(unreadable(&format!("it may have at most {PARTS} parts")));
        }
        let head = Head::read(&self.take_head().await?)?;
        self.place = Place::Content;
        Ok(Some(head))
    }

    /// Throws away content up to the next delimiter.
    async fn pass_over(&mut self, most: usize, what: &str) -> Result<(), Problem> {
        let mut thrown_away = if self.place == Place::Content { self.passed_over } else { 0 };
        while let Some(bytes) = poll_fn(|cx| self.poll_content(cx)).await.map_err(|error| broken(&error))? {
            thrown_away += bytes.len();
            if thrown_away > most {
                return Err(Problem::too_large(format!("{what} may have at most {most} bytes")));
            }
        }
        if self.parts > 0 {
            self.passed_over = thrown_away;
        }
        Ok(())
    }

    /// Whether the delimiter that was just read is the last.
    async fn is_last(&mut self) -> Result<bool, Problem> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        let is_last = self.buffer.starts_with(b"--");
        if is_last {
            self.place = Place::Epilogue;
        }
        Ok(is_last)
    }

    async fn pass_epilogue(&mut self) -> Result<(), Problem> {
        let mut came = self.buffer.len();
        self.buffer.clear();
        while let Some(bytes) = poll_fn(|cx| self.poll_body(cx)).await.map_err(|error| broken(&error))? {
            came += bytes.len();
            if came > AROUND {
                let detail = format!("the text after the last part may have at most {AROUND} bytes");
                return Err(Problem::too_large(detail));
            }
        }
        Ok(())
    }

    /// The head that begins here, with the rest of the delimiter's line before it.
    async fn take_head(&mut self) -> Result<BytesMut, Problem> {
        let mut searched = 0;
        loop {
            // The end may lie across two pieces.
            let from = usize::saturating_sub(searched, HEAD_END.len() - 1);
            if let Some(at) = memmem::find(&self.buffer[from..], HEAD_END).map(|at| from + at)
                && at <= HEAD
            {
                let head = self.buffer.split_to(at + LINE_END.len());
                self.buffer.advance(LINE_END.len());
                return Ok(head);
            }
            if self.buffer.len() > HEAD {
                return Err(Problem::too_large(format!("the head of a part may have at most {HEAD} bytes")));
            }
            searched = self.buffer.len();
            self.more().await?;
        }
    }

    /// Waits for more bytes, of which there must be some.
    async fn more(&mut self) -> Result<(), Problem> {
        let bytes = poll_fn(|cx| self.poll_body(cx)).await.and_then(|bytes| bytes.ok_or_else(ended));
        self.buffer.extend_from_slice(&bytes.map_err(|error| broken(&error))?);
        Ok(())
    }

    /// The next piece of content; nothing once the delimiter after it was read.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if matches!(self.place, Place::Head | Place::Epilogue) {
            return Poll::Ready(Ok(None));
        }
        let length = self.delimiter.needle().len();
        loop {
            match self.delimiter.find(&self.buffer) {
                Some(0) => {
                    self.buffer.advance(length);
                    self.place = Place::Head;
                    return Poll::Ready(Ok(None));
                }
                Some(at) => return Poll::Ready(Ok(Some(self.buffer.split_to(at).freeze()))),
                // The last bytes may be the beginning of a delimiter.
                None if self.buffer.len() >= length => {
                    let content = self.buffer.len() + 1 - length;
                    return Poll::Ready(Ok(Some(self.buffer.split_to(content).freeze())));
                }
                None => {}
            }
            match ready!(self.poll_body(cx))? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Poll::Ready(Err(ended())),
            }
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let next = ready!(Pin::new(&mut self.body).poll_next(cx));
        Poll::Ready(next.transpose().map_err(io::Error::other))
    }
}

impl Part<'_> {
    /// The name of its field.
    pub(crate) fn name(&self) -> Option<&str> {
        self.head.name.as_deref()
    }

    /// The name of the file that it holds.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.head.file_name.as_deref()
    }

    /// Its media type.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.head.content_type.as_deref()
    }

    /// Its content, which must be small; `what` names it where it is too large.
    ///
    /// # Errors
    /// 400 for a body that breaks off, 408 where it does not come, 413 where it has more than `cap` bytes.
    pub(crate) async fn bytes(self, what: &str, cap: usize) -> Result<Bytes, Problem> {
        in_time(async move {
            let mut bytes = BytesMut::new();
            while let Some(piece) = poll_fn(|cx| self.whole.poll_content(cx)).await.map_err(|error| broken(&error))? {
                if bytes.len() + piece.len() > cap {
                    return Err(Problem::too_large(format!("{what} may have at most {cap} bytes")));
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes.freeze())
        })
        .await
    }
}

/// The content of a part as it comes.
impl Stream for Part<'_> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.get_mut().whole.poll_content(cx).map(Result::transpose)
    }
}

impl Head {
    /// Reads the lines after the first, which is the rest of the delimiter's.
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        if !lines.next().unwrap_or_default().trim_matches([' ', '\t']).is_empty() {
            return Err(unreadable("a line has other text after the boundary"));
        }
        let mut head = Self::default();
        for line in lines.filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                return Err(unreadable("a line in the head of a part has no colon"));
            };
            match name.to_ascii_lowercase().as_str() {
                "content-type" => head.content_type = Some(value.trim().to_owned()),
                "content-disposition" => {
                    for (name, value) in parameters(value) {
                        match name.as_str() {
                            "name" => head.name = Some(value),
                            "filename" => head.file_name = Some(value),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(head)
    }
}

/// The parameters after the first `;` of a header's value, with names in lower case. In quotes, a backslash stands before
/// a quote or another backslash; before anything else it is one of a path.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, next) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), next)
            }
        };
        found.push((name.trim_start_matches([';', ' ', '\t']).trim_end().to_ascii_lowercase(), value));
        rest = next;
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (text, &quoted[at + 1..]),
            '\\' => match letters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => text.push(escaped),
                None => text.push(letter),
            },
            letter => text.push(letter),
        }
    }
    (text, "")
}

async fn in_time<T>(reading: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| {
        let detail = format!("the next part of the body did not arrive within {} seconds", PATIENCE.as_secs());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail))
    })
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before its last boundary")
}

fn broken(error: &io::Error) -> Problem {
    unreadable(&error.to_string())
}

fn unreadable(why: &str) -> Problem {
    Problem::malformed(format!("the multipart body cannot be read: {why}"))
}

/// A request whose body comes in those pieces, with the boundary `edge`.
#[cfg(any(test, fuzzing))]
fn form(pieces: Vec<Vec<u8>>) -> Request {
    let pieces = pieces.into_iter().map(|piece| io::Result::Ok(Bytes::from(piece)));
    Request::builder()
        .header(CONTENT_TYPE, "multipart/form-data; charset=utf-8; boundary=\"edge\"")
        .body(axum::body::Body::from_stream(futures::stream::iter(pieces)))
        .expect("the request is sound")
}

/// The names, file names and contents of all parts of a body that comes in those pieces and has the boundary `edge`, or
/// the status of the refusal: for tests and for the fuzz target.
#[cfg(any(test, fuzzing))]
pub(crate) async fn read(pieces: Vec<Vec<u8>>) -> Result<Vec<(String, String, Vec<u8>)>, u16> {
    use futures::StreamExt as _;

    let status = |problem: Problem| problem.refusal(reelhook_domain::id::RequestId::from_bits(0)).status;
    let mut parts = Multipart::of(form(pieces)).map_err(status)?;
    let mut found = Vec::new();
    while let Some(mut part) = parts.next().await.map_err(status)? {
        let names = (part.name().unwrap_or("-").to_owned(), part.file_name().unwrap_or("-").to_owned());
        let mut content = Vec::new();
        while let Some(piece) = part.next().await {
            content.extend_from_slice(&piece.map_err(|_| 400_u16)?);
        }
        found.push((names.0, names.1, content));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::{StreamExt as _, stream};

    use super::*;

    const BODY: &[u8] = b"preamble\r\n--edge \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--edg\r\n\r\n--edge\r\n\
        CONTENT-DISPOSITION: form-data; NAME=b; filename=\"c\\\"d;e=\\f.mp4\"\r\nContent-Type: video/mp4\r\n\r\n\r\n--edge\r\n\r\nbare\r\n--edge--\r\nend";

    #[tokio::test]
    async fn parts_are_found_however_the_body_is_cut() {
        let expected = [
            ("a".to_owned(), "-".to_owned(), b"one\r\n--edg\r\n".to_vec()),
            ("b".to_owned(), "c\"d;e=\\f.mp4".to_owned(), Vec::new()),
            ("-".to_owned(), "-".to_owned(), b"bare".to_vec()),
        ];
        assert_eq!(read(vec![BODY.to_vec()]).await.as_deref(), Ok(&expected[..]));
        for size in 1..40 {
            let pieces = BODY.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(read(pieces).await.as_deref(), Ok(&expected[..]), "{size}");
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_refused_wherever_it_ends() {
        let end = BODY.len() - "--\r\nend".len();
        for length in 0..end {
            assert_eq!(read(vec![BODY[..length].to_vec()]).await, Err(400), "{length}");
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_before_it_is_all_there() {
        let many = |what: &str, count: usize| what.repeat(count).into_bytes();
        for (what, start, more, status) in [
            ("head", "--edge\r\nA: ", "x", 413),
            ("lines of a head", "--edge\r\n", "A: b\r\n", 413),
            ("preamble", "", "x", 413),
            ("preamble of lines", "", "\r\n--edg", 413),
            ("epilogue", "--edge--", "x", 413),
            ("the rest of a delimiter's line", "--edge", " ", 413),
            ("parts", "", "--edge\r\n\r\n\r\n", 400),
        ] {
            let endless = stream::once(async { start.as_bytes().to_vec() })
                .chain(stream::repeat(many(more, 1000)))
                .map(|piece| io::Result::Ok(Bytes::from(piece)));
            let mut request = form(Vec::new());
            *request.body_mut() = Body::from_stream(endless);
            let mut parts = Multipart::of(request).expect("it has a boundary");
            let refused = loop {
                match parts.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{what} has no end"),
                    Err(problem) => break problem.refusal(reelhook_domain::id::RequestId::from_bits(0)).status,
                }
            };
            assert_eq!(refused, status, "{what}");
        }
    }

    #[tokio::test]
    async fn parts_that_are_passed_over_have_one_limit_together() {
        let part = format!("--edge\r\n\r\n{}\r\n", "x".repeat(PASSED_OVER / 2));
        let mut parts = Multipart::of(form(vec![part.repeat(3).into_bytes()])).expect("it has a boundary");
        let mut passed = 0;
        while let Ok(Some(_)) = parts.next().await {
            passed += 1;
        }
        assert_eq!(passed, 3, "the third is found after two, and cannot be passed over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_wherever_it_stops() {
        for start in ["", "pre", "--edge", "--edge\r\nA: b", "--edge--", "--edge\r\n\r\ncontent"] {
            let stuck = stream::once(async { io::Result::Ok(Bytes::from_static(start.as_bytes())) });
            let mut request = form(Vec::new());
            *request.body_mut() = Body::from_stream(stuck.chain(stream::pending()));
            let mut parts = Multipart::of(request).expect("it has a boundary");
            let refused = loop {
                if let Err(problem) = parts.next().await {
                    break problem.refusal(reelhook_domain::id::RequestId::from_bits(0)).status;
                }
            };
            assert_eq!(refused, 408, "{start:?}");
        }
    }
}
