//! Downloading an input: capped, hashed on the way, and gone on with where it broke off.
//!
//! # Theory of operation
//! One deadline spans all attempts. A request after the first asks for the rest by range, and names the version that the
//! beginning was of (`If-Range`), so an origin whose file changed sends it whole and the download starts anew; so it does
//! when the origin cannot serve ranges or names no version. Whether an attempt may follow another depends on what went
//! wrong: what is refused stays refused.

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt as _;
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_egress::{Failure, FailureKind, Phase, Request, Response};
use reelhook_files::{Digests, Stored};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio::time::Instant;
use url::Url;

use super::Means;
use super::trouble::{machine_failed, out_of_disk, out_of_resources};
use crate::progress::{FETCHED, Gauge};

const CHUNK: usize = 256 * 1024;

/// One input on its way here.
pub(super) struct Download<'a> {
    means: &'a Means,
    url: &'a Url,
    /// The caller's own.
    headers: &'a HeaderMap,
    gauge: &'a Gauge,
    path: &'a Path,
}

/// Why an attempt came to nothing.
#[derive(Debug, PartialEq)]
enum Broken {
    /// Another attempt may do better.
    Again(JobFailure),
    /// Another attempt would end alike.
    Final(JobFailure),
}

/// What is on the disk so far.
pub(super) struct Part {
    file: BufWriter<File>,
    digests: Digests,
    have: u64,
    /// The size of the whole, where the origin says so.
    whole: Option<u64>,
    /// Which version this is the beginning of.
    version: Option<HeaderValue>,
}

impl<'a> Download<'a> {
    pub(super) const fn new(
        means: &'a Means,
        url: &'a Url,
        headers: &'a HeaderMap,
        gauge: &'a Gauge,
        path: &'a Path,
    ) -> Self {
        Self { means, url, headers, gauge, path }
    }

    /// Downloads to the path.
    pub(super) async fn run(self) -> Result<Stored, JobFailure> {
        let limits = &self.means.settings.fetch;
        let deadline = Instant::now() + limits.deadline;
        let mut pause = limits.pause;
        let mut part = Part::create(self.path).await.map_err(|error| machine_failed(Stage::Fetching, &error))?;
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(&mut part, deadline).await {
                Ok(()) => return part.finish().await.map_err(|error| machine_failed(Stage::Fetching, &error)),
                Err(Broken::Final(failure)) => return Err(failure),
                Err(Broken::Again(failure)) => failure,
            };
            if attempt >= limits.attempts.max(1) || Instant::now() + pause >= deadline {
                return Err(failure);
            }
            tracing::info!(attempt, code = failure.code, have_bytes = part.have, "an input broke off; asking again");
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn attempt(&self, part: &mut Part, deadline: Instant) -> Result<(), Broken> {
        if part.have > 0 && part.version.is_none() {
            part.restart().await.map_err(|error| broken_machine(&error))?;
        }
        let request = self.request(part, deadline);
        let response = self.means.egress.open(request).await.map_err(|failure| self.broken(part, &failure))?;
        let Response { status, headers, mut body, .. } = response;
        self.begin(part, status, &headers, body.announced()).await?;
        while let Some(piece) = body.try_next().await.map_err(|failure| self.broken(part, &failure))? {
            part.take(&piece).await.map_err(|error| broken_machine(&error))?;
            if part.have > self.means.settings.fetch.bytes {
                return Err(Broken::Final(self.too_large()));
            }
            if let Some(whole) = part.whole.filter(|&whole| whole > 0) {
                self.gauge.note(Stage::Fetching, FETCHED * part.have as f64 / whole as f64);
            }
        }
        match part.whole {
            // A range may end early without lying about its own length.
            Some(whole) if whole != part.have => Err(Broken::Again(self.truncated(part))),
            _ => Ok(()),
        }
    }

    fn request(&self, part: &Part, deadline: Instant) -> Request {
        let limits = &self.means.settings.fetch;
        let mut request = Request::get(self.url.clone());
        request.headers = self.headers.clone();
        request.deadline = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        request.stall = Some(limits.stall);
        request.response_cap = limits.bytes;
        request.redirects = limits.redirects;
        if let Some(version) = part.version.as_ref().filter(|_| part.have > 0) {
            request.headers.insert(IF_RANGE, version.clone());
            let range = HeaderValue::try_from(format!("bytes={}-", part.have)).expect("digits make a header");
            request.headers.insert(RANGE, range);
        }
        request
    }

    /// Reads the head of a response, and makes `part` ready for the body.
    async fn begin(
        &self,
        part: &mut Part,
        status: StatusCode,
        headers: &HeaderMap,
        announced: Option<u64>,
    ) -> Result<(), Broken> {
        match status {
            StatusCode::PARTIAL_CONTENT => {
                let follows = content_range(headers).filter(|(from, whole)| {
                    *from == part.have && (part.whole.is_none() || whole.is_none() || part.whole == *whole)
                });
                let Some((_, whole)) = follows else {
                    part.restart().await.map_err(|error| broken_machine(&error))?;
                    let message = format!("the origin {} returned another byte range than requested", self.host());
                    return Err(Broken::Again(origin("fetch_failed", message).retryable()));
                };
                part.whole = whole.or(part.whole);
            }
            StatusCode::OK => {
                part.restart().await.map_err(|error| broken_machine(&error))?;
                part.whole = announced;
                part.version = version(headers);
            }
            StatusCode::RANGE_NOT_SATISFIABLE if part.have > 0 => {
                part.restart().await.map_err(|error| broken_machine(&error))?;
                return Err(Broken::Again(self.status(status)));
            }
            status if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) => {
                return Err(Broken::Again(self.status(status)));
            }
            status => return Err(Broken::Final(self.status(status))),
        }
        if part.whole.is_some_and(|whole| whole > self.means.settings.fetch.bytes) {
            return Err(Broken::Final(self.too_large()));
        }
        match (announced, self.means.files.free_bytes()) {
            (Some(announced), Ok(free)) if announced > free => Err(Broken::Final(out_of_disk(Stage::Fetching))),
            _ => Ok(()),
        }
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or("of the input")
    }

    fn status(&self, status: StatusCode) -> JobFailure {
        let failure = origin("origin_status", format!("the origin {} answered {}", self.host(), status.as_u16()));
        let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        if is_passing { failure.retryable() } else { failure }
    }

    fn too_large(&self) -> JobFailure {
        let cap = self.means.settings.fetch.bytes;
        JobFailure::input(Stage::Fetching, "too_large", format!("the input is larger than the limit of {cap} bytes"))
    }

    fn truncated(&self, part: &Part) -> JobFailure {
        let of = part.whole.map_or_else(String::new, |whole| format!(" of {whole}"));
        let message = format!("the origin {} ended the input after {}{of} bytes", self.host(), part.have);
        origin("fetch_truncated", message).retryable()
    }

    /// What a failed exchange means for the job, in the caller's voice; the operator gets the rest.
    fn broken(&self, part: &Part, failure: &Failure) -> Broken {
        tracing::info!(
            kind = failure.kind.as_str(),
            phase = failure.phase.as_str(),
            detail = failure.detail,
            "an input was not fetched"
        );
        let said = |code: &str| {
            origin(code, format!("the input could not be fetched from {}: {}", self.host(), failure.public_reason()))
        };
        let refused = |code: &str| {
            let message = format!("the input could not be fetched from {}: {}", self.host(), failure.public_reason());
            Broken::Final(JobFailure::request(Stage::Fetching, code, message))
        };
        match failure.kind {
            FailureKind::UrlNotAllowed => refused("url_not_allowed"),
            FailureKind::AddressNotAllowed => refused("address_not_allowed"),
            FailureKind::RedirectNotAllowed => refused("redirect_not_allowed"),
            FailureKind::TooManyRedirects => Broken::Final(said("too_many_redirects")),
            FailureKind::TooLarge => Broken::Final(self.too_large()),
            // The deadline is that of all attempts: there is no time left for another.
            FailureKind::Timeout => Broken::Final(said("fetch_timeout").retryable()),
            FailureKind::Stalled => Broken::Again(said("fetch_stalled").retryable()),
            FailureKind::Protocol | FailureKind::Reset | FailureKind::Tls if failure.phase == Phase::Body => {
                Broken::Again(self.truncated(part))
            }
            FailureKind::OutOfResources => Broken::Final(out_of_resources(Stage::Fetching)),
            FailureKind::Tls if failure.phase == Phase::Tls => Broken::Final(said("fetch_failed")),
            // TLS that broke once it was there is as good as a connection that did.
            FailureKind::Tls
            | FailureKind::Dns
            | FailureKind::Refused
            | FailureKind::Unreachable
            | FailureKind::Reset
            | FailureKind::Protocol => Broken::Again(said("fetch_failed").retryable()),
        }
    }
}

impl Part {
    pub(super) async fn create(path: &Path) -> std::io::Result<Self> {
        let file = BufWriter::with_capacity(CHUNK, File::create_new(path).await?);
        Ok(Self { file, digests: Digests::default(), have: 0, whole: None, version: None })
    }

    /// How many bytes there are.
    pub(super) const fn have(&self) -> u64 {
        self.have
    }

    pub(super) async fn restart(&mut self) -> std::io::Result<()> {
        self.file.flush().await?;
        self.file.get_mut().set_len(0).await?;
        self.file.rewind().await?;
        (self.digests, self.have, self.whole, self.version) = (Digests::default(), 0, None, None);
        Ok(())
    }

    pub(super) async fn take(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.file.write_all(piece).await?;
        self.digests.update(piece);
        self.have += piece.len() as u64;
        Ok(())
    }

    pub(super) async fn finish(mut self) -> std::io::Result<Stored> {
        self.file.flush().await?;
        Ok(self.digests.stored())
    }
}

fn origin(code: &str, message: String) -> JobFailure {
    JobFailure::origin(Stage::Fetching, code, message)
}

fn broken_machine(error: &std::io::Error) -> Broken {
    Broken::Final(machine_failed(Stage::Fetching, error))
}

/// What names the version of a file well enough to join parts of it.
///
/// # Source
/// RFC 9110 section 13.1.5: `If-Range` takes a strong entity tag, or a date.
fn version(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    tag.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// Where a part begins, and how large the whole is where that is known: `bytes FIRST-LAST/WHOLE`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-')?.0.parse().ok()?;
    Some((first, whole.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_what_names_a_version_exactly_joins_parts() {
        assert_eq!(version(&headers(&[(ETAG, "\"a\""), (LAST_MODIFIED, "x")])).unwrap(), "\"a\"");
        assert_eq!(version(&headers(&[(ETAG, "W/\"a\""), (LAST_MODIFIED, "x")])).unwrap(), "x");
        assert_eq!(version(&headers(&[(ETAG, "W/\"a\"")])), None);
    }

    #[test]
    fn a_content_range_says_where_a_part_begins() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("bytes x-9/10", None),
        ] {
            assert_eq!(content_range(&headers(&[(CONTENT_RANGE, text)])), expected, "{text}");
        }
    }
}
