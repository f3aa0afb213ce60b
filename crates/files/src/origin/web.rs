//! Web servers: read only.

use std::str::FromStr as _;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::origin::http_url;
use reelhook_egress::{Client, Request};
use url::Url;

use super::Reading;
use super::error::{OriginError, answer};

const READ_DEADLINE: Duration = Duration::from_secs(24 * 3600);
const CHECK_DEADLINE: Duration = Duration::from_secs(15);
const STALL: Duration = Duration::from_secs(60);
const REDIRECTS: u8 = 5;

/// Everything below one URL. Cannot be shown: the headers are credentials.
pub(super) struct Web {
    base: Url,
    headers: HeaderMap,
    egress: Client,
}

impl Web {
    pub(super) fn open<'a>(
        base: Url,
        headers: impl IntoIterator<Item = (&'a String, &'a String)>,
        egress: Client,
    ) -> Result<Self, OriginError> {
        let mut made = HeaderMap::new();
        for (name, value) in headers {
            let (Ok(name), Ok(mut value)) = (HeaderName::from_str(name), HeaderValue::from_str(value)) else {
                return Err(OriginError::Settings("a header has a name or a value that no header can have"));
            };
            value.set_sensitive(true);
            made.insert(name, value);
        }
        Ok(Self { base, headers: made, egress })
    }

    fn get(&self, path: &ObjectPath) -> Request {
        let mut request = Request::get(http_url(&self.base, path));
        request.headers = self.headers.clone();
        request.redirects = REDIRECTS;
        request
    }

    pub(super) async fn read(
        &self,
        path: &ObjectPath,
        from: u64,
        version: Option<&str>,
    ) -> Result<Reading, OriginError> {
        let mut request = self.get(path);
        request.deadline = READ_DEADLINE;
        request.stall = Some(STALL);
        request.response_cap = u64::MAX;
        // Without a version the parts could be of two files, so then it is read anew.
        if let Some(version) = version.filter(|_| from > 0).and_then(|version| HeaderValue::from_str(version).ok()) {
            request.headers.insert(IF_RANGE, version);
            let range = HeaderValue::try_from(format!("bytes={from}-")).expect("digits make a header");
            request.headers.insert(RANGE, range);
        }
        let response = self.egress.open(request).await?;
        let announced = response.body.announced();
        let (start, size_bytes) = match response.status {
            StatusCode::OK => (0, announced),
            StatusCode::PARTIAL_CONTENT => match content_range(&response.headers) {
                Some((first, whole)) if first == from && from > 0 => (first, whole),
                _ => return Err(OriginError::Changed),
            },
            status => return Err(answer(status, b"").into()),
        };
        Ok(Reading {
            size_bytes,
            start,
            version: version_of(&response.headers),
            stream: response.body.map_err(OriginError::from).boxed(),
        })
    }

    /// Whether the server answers, and does not turn us away. What is asked for need not be there.
    pub(super) async fn check_read(&self, probe: &ObjectPath) -> Result<(), OriginError> {
        let mut request = self.get(probe);
        request.deadline = CHECK_DEADLINE;
        let exchange = self.egress.send(request).await?;
        match exchange.status.as_u16() {
            200..=399 | 404 | 405 | 410 => Ok(()),
            _ => Err(answer(exchange.status, b"").into()),
        }
    }
}

/// What names the version of a file well enough to join parts of it.
///
/// # Source
/// RFC 9110 section 13.1.5: `If-Range` takes a strong entity tag, or a date.
fn version_of(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    tag.or_else(|| headers.get(LAST_MODIFIED))?.to_str().ok().map(ToOwned::to_owned)
}

/// Where a part begins, and how large the whole is where that is known: `bytes FIRST-LAST/WHOLE`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, whole) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()))
}
