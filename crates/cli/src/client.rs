//! The client of our own HTTP API: JSON, uploads, downloads, event streams.
//!
//! It talks to the operator's own server, so it may go anywhere; it goes through `egress` all the same, for its
//! deadlines and caps.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use reelhook_egress::{Client, Failure, FailureKind, Policy, Request, RequestBody, Response, SystemResolver};
use serde_json::Value;
use url::Url;

use crate::args::Connect;
use crate::exit::Exit;

/// The longest answer in JSON that is read.
const LARGEST_ANSWER: u64 = 64 << 20;
/// How long a short question may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an upload, a download or an event stream may take.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A client that may go anywhere.
pub(crate) fn unrestricted() -> anyhow::Result<Client> {
    let settings = reelhook_egress::Settings { policy: Policy::unrestricted(), ..reelhook_egress::Settings::default() };
    Ok(Client::new(settings, Arc::new(SystemResolver))?)
}

/// One server, and the key to it.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    base: Url,
    authorization: HeaderValue,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// A file on its way to the server.
pub(crate) struct Outbound {
    /// The name it shall have there.
    pub(crate) name: String,
    /// How many bytes, where that is known.
    pub(crate) length: Option<u64>,
    /// The bytes.
    pub(crate) stream: BoxStream<'static, io::Result<Bytes>>,
}

impl Api {
    /// The server that the command line names, once it has answered like a Reelhook server: the key goes to nothing else.
    pub(crate) async fn connect(connect: &Connect) -> anyhow::Result<Self> {
        let Some(key) = connect.key.as_deref().map(str::trim).filter(|key| !key.is_empty()) else {
            return Err(Exit::NotSignedIn.error(
                "no API key: give one with --key or REELHOOK_KEY. The server printed its first key at its first start; \
                 `reelhook keys create --data DIR` creates another",
            ));
        };
        let api = Self::new(connect.url.clone(), key)?;
        api.recognize().await?;
        Ok(api)
    }

    /// Asks without the key for what needs one: a Reelhook server refuses that in its own words.
    async fn recognize(&self) -> anyhow::Result<()> {
        let asked = self.url(&["jobs"], &[]);
        let mut request = Request::get(asked.clone());
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.deadline = PATIENCE;
        let exchange = self.http.send(request).await.map_err(|failure| self.unreachable(&failure))?;
        if let Some(redirect) = Redirect::read(exchange.status, &exchange.headers, &asked) {
            return Err(redirect.error(&self.base));
        }
        let problem: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        let is_ours = problem["type"].as_str().is_some_and(|kind| kind.starts_with("/docs/errors#"));
        // Those of a proxy in front of a server that is down, too.
        if is_ours || exchange.status.is_server_error() {
            return if exchange.status == StatusCode::UNAUTHORIZED {
                Ok(())
            } else {
                Err(Problem::read(exchange.status, &exchange.body).into())
            };
        }
        Err(Exit::Usage.error(format_args!(
            "{} is not a Reelhook server (it answered {} without a key), so the API key was not sent. Give the server's \
             address with --url or REELHOOK_URL",
            self.base, exchange.status
        )))
    }

    /// That server, with that key.
    pub(crate) fn new(base: Url, key: &str) -> anyhow::Result<Self> {
        let mut base = base;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(Exit::Usage.error(format_args!("--url is {base}; it must begin with http:// or https://")));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(
                Exit::Usage.error("--url contains a user name or a password; a Reelhook server takes an API key")
            );
        }
        // Every path begins with it already.
        if base.path_segments().and_then(|mut segments| segments.rfind(|part| !part.is_empty())) == Some("v1")
            && let Ok(mut segments) = base.path_segments_mut()
        {
            segments.pop_if_empty().pop();
        }
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}"))
            .map_err(|_| Exit::Usage.error("the API key contains a character that no key contains; copy it again"))?;
        authorization.set_sensitive(true);
        Ok(Self { http: unrestricted()?, base, authorization })
    }

    /// The URL of a path below `/v1`, given as its parts, so that no part can lead elsewhere.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Reads JSON.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.exchange(Request::get(self.url(path, query)), PATIENCE).await
    }

    /// Reads JSON that may let itself be waited for.
    pub(crate) async fn get_within(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        patience: Duration,
    ) -> anyhow::Result<Value> {
        self.exchange(Request::get(self.url(path, query)), patience).await
    }

    /// Posts JSON and reads JSON.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.post_with(path, &[], body).await
    }

    /// Posts JSON with query parameters and reads JSON.
    pub(crate) async fn post_with(&self, path: &[&str], query: &[(&str, &str)], body: &Value) -> anyhow::Result<Value> {
        let mut request = Request::post(self.url(path, query), Bytes::from(serde_json::to_vec(body)?));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.exchange(request, PATIENCE).await
    }

    /// Posts a form of several parts to a path of a service, from the root, and reads JSON.
    pub(crate) async fn post_form(&self, path: &[&str], boundary: &str, body: Bytes) -> anyhow::Result<Value> {
        let mut url = self.base.clone();
        url.set_path(&path.join("/"));
        let mut request = Request::post(url, body);
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))?;
        request.headers.insert(CONTENT_TYPE, kind);
        self.exchange(request, PATIENCE).await
    }

    /// Deletes.
    pub(crate) async fn delete(&self, path: &[&str]) -> anyhow::Result<()> {
        let mut request = Request::get(self.url(path, &[]));
        request.method = Method::DELETE;
        self.exchange(request, PATIENCE).await.map(drop)
    }

    /// Sends a file.
    pub(crate) async fn upload(&self, file: Outbound) -> anyhow::Result<Value> {
        let mut request = Request::post(self.url(&["uploads"], &[("name", &file.name)]), Bytes::new());
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        request.body = RequestBody::Stream { length: file.length, stream: file.stream };
        self.exchange(request, DAY).await
    }

    /// Opens the bytes of an output; a redirect to where they are kept is followed.
    pub(crate) async fn open_output(&self, job: &str, name: &str) -> anyhow::Result<Response> {
        let mut request = Request::get(self.url(&["jobs", job, "outputs", name], &[]));
        request.redirects = 3;
        request.stall = Some(Duration::from_secs(60));
        self.open(request).await
    }

    /// Opens the event stream of a job, after the event of that id.
    pub(crate) async fn open_events(&self, job: &str, after: &str) -> anyhow::Result<Response> {
        self.open_stream(&["jobs", job, "events"], after).await
    }

    /// Opens the event stream of a path, after the event of that id.
    pub(crate) async fn open_stream(&self, path: &[&str], after: &str) -> anyhow::Result<Response> {
        let mut request = Request::get(self.url(path, &[]));
        request.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(after) = HeaderValue::from_str(after).ok().filter(|after| !after.is_empty()) {
            request.headers.insert("last-event-id", after);
        }
        self.open(request).await
    }

    async fn open(&self, mut request: Request) -> anyhow::Result<Response> {
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        request.deadline = DAY;
        request.response_cap = u64::MAX;
        let mut response = self.http.open(request).await.map_err(|failure| self.unreachable(&failure))?;
        if response.status.is_success() {
            return Ok(response);
        }
        if let Some(redirect) = Redirect::read(response.status, &response.headers, &response.url) {
            return Err(redirect.error(&self.base));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.body.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > 1 << 20 {
                break;
            }
        }
        Err(Problem::read(response.status, &body).into())
    }

    async fn exchange(&self, mut request: Request, patience: Duration) -> anyhow::Result<Value> {
        request.headers.insert(AUTHORIZATION, self.authorization.clone());
        request.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        request.deadline = patience;
        request.response_cap = LARGEST_ANSWER;
        let asked = request.url.clone();
        let exchange = self.http.send(request).await.map_err(|failure| self.unreachable(&failure))?;
        if let Some(redirect) = Redirect::read(exchange.status, &exchange.headers, &asked) {
            return Err(redirect.error(&self.base));
        }
        if !exchange.status.is_success() {
            return Err(Problem::read(exchange.status, &exchange.body).into());
        }
        if exchange.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&exchange.body)
            .with_context(|| format!("{} did not answer with JSON; is it a Reelhook server?", self.base))
    }

    fn unreachable(&self, failure: &Failure) -> anyhow::Error {
        let advice = match failure.kind {
            FailureKind::Refused => {
                ". Is the server running? `reelhook serve` starts one; --url or REELHOOK_URL names another"
            }
            FailureKind::Dns | FailureKind::Unreachable => ". Check --url or REELHOOK_URL",
            _ => "",
        };
        Exit::Unreachable.error(format_args!("cannot reach {}: {}{advice}", self.base, reason(failure)))
    }
}

/// Why an exchange failed, with the detail where the kind alone does not help.
pub(crate) fn reason(failure: &Failure) -> String {
    let reason = failure.public_reason();
    match failure.kind {
        FailureKind::Tls | FailureKind::Protocol => format!("{reason} ({})", failure.detail),
        _ => reason.to_owned(),
    }
}

/// An answer that points elsewhere, where the key is not sent.
struct Redirect {
    to: Option<Url>,
}

impl Redirect {
    fn read(status: StatusCode, headers: &http::HeaderMap, asked: &Url) -> Option<Self> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| asked.join(to).ok());
        Some(Self { to })
    }

    fn error(self, base: &Url) -> anyhow::Error {
        let to = self.to.as_ref().map_or("another address", |to| &to[..url::Position::BeforePath]);
        Exit::Refused.error(format_args!(
            "{base} redirects to {to}, where the API key is not sent. If that is the server, give its address with --url \
             or REELHOOK_URL"
        ))
    }
}

/// The server said no: `application/problem+json`.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    code: String,
    detail: String,
    violations: Vec<String>,
    request: Option<String>,
}

impl std::error::Error for Problem {}

impl Problem {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let violations = body["violations"].as_array().into_iter().flatten();
        let violations = violations.map(|violation| {
            let path = violation["path"].as_str().unwrap_or_default();
            let message = violation["message"].as_str().unwrap_or_default();
            match &violation["value"] {
                Value::Null => format!("{path} {message}"),
                value => format!("{path} is {value}: {message}"),
            }
        });
        Self {
            status,
            code: text("code").unwrap_or_else(|| status.as_str().to_owned()),
            detail: text("detail").or_else(|| text("title")).unwrap_or_else(|| status.to_string()),
            violations: violations.collect(),
            request: text("request_id"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.violations.as_slice() {
            [] => write!(f, "{}: {}", self.code, self.detail)?,
            // The detail repeats them in one line, for those who show nothing else.
            violations => write!(f, "{}: the request was refused:\n  {}", self.code, violations.join("\n  "))?,
        }
        if self.status == StatusCode::UNAUTHORIZED {
            f.write_str("\n  check --key or REELHOOK_KEY; `reelhook keys create --data DIR` creates a key")?;
        }
        if let Some(request) = self.request.as_ref().filter(|_| self.status.is_server_error()) {
            write!(f, "\n  the server's log has more under {request}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_cannot_lead_elsewhere() {
        let api = Api::new("https://example.com/media/".parse().unwrap(), "rh_x").unwrap();
        assert_eq!(api.url(&["jobs", "../keys?x"], &[]).as_str(), "https://example.com/media/v1/jobs/..%2Fkeys%3Fx");
        assert_eq!(api.url(&["jobs"], &[("state", "a b")]).as_str(), "https://example.com/media/v1/jobs?state=a+b");
        assert!(Api::new("file:///tmp".parse().unwrap(), "rh_x").is_err());
    }

    #[test]
    fn a_problem_is_told_with_all_its_violations() {
        let body = br#"{"code": "invalid_request", "title": "The request is not valid",
            "detail": "input is required; outputs[0].crf must be 0 to 51", "request_id": "req_1", "violations": [
            {"path": "outputs[0].crf", "value": 99, "message": "must be 0 to 51"}, {"path": "input", "value": null, "message": "is required"}]}"#;
        insta::assert_snapshot!(Problem::read(StatusCode::UNPROCESSABLE_ENTITY, body), @r"
        invalid_request: the request was refused:
          outputs[0].crf is 99: must be 0 to 51
          input is required
        ");
        assert_eq!(Problem::read(StatusCode::BAD_GATEWAY, b"<html>").to_string(), "502: 502 Bad Gateway");
    }
}
