//! Reading request bodies within their caps.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use crate::desk::Desk;
use crate::json;
use crate::problem::Problem;

/// How long a caller may take to send a JSON body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Refuses a body that was compressed: what is in it would be taken for what it is not.
///
/// # Source
/// RFC 9110, sections 8.4 and 12.5.3.
pub(crate) async fn uncompressed(request: Request, next: Next) -> Response {
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    let codings = request.headers().get_all(CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let coding = codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
    let Some(coding) = coding.filter(|_| has_body) else { return next.run(request).await };
    let shown: String = String::from_utf8_lossy(coding).chars().take(64).collect();
    let detail = format!(
        "the Content-Encoding {shown} is not supported; send the body uncompressed, without a Content-Encoding"
    );
    let refusal = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail);
    let mut response = refusal.into_response();
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// A JSON body: the value, and the bytes it was read from (for idempotency).
#[derive(Debug)]
pub(crate) struct Json {
    pub(crate) value: Value,
    pub(crate) bytes: Bytes,
}

impl FromRequest<Desk> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, desk).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// The bytes of a body that says that it is JSON.
#[derive(Debug)]
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl FromRequest<Desk> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let status = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported_media_type", "the Content-Type must be application/json"));
        }
        let bytes = read(request.into_body(), desk.limits().body_bytes).await?;
        let mark = bytes.len() - json::without_mark(&bytes).len();
        Ok(Self(bytes.slice(mark..)))
    }
}

/// A JSON body that may be left out: then an empty object.
#[derive(Debug)]
pub(crate) struct OptionalJson(pub(crate) Value);

impl FromRequest<Desk> for OptionalJson {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), desk.limits().body_bytes).await?;
        if bytes.is_empty() { Ok(Self(Value::Object(serde_json::Map::new()))) } else { parse(&bytes).map(Self) }
    }
}

/// Whether the body says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = content_type(headers);
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Whether the body says that it comes in parts.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("multipart/form-data")
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
}

pub(crate) async fn read(body: Body, cap: usize) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(PATIENCE, Limited::new(body, cap).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large(format!("the body may have at most {cap} bytes")))
        }
        Ok(Err(_)) => Err(Problem::malformed("the body ended too early")),
        Err(_) => Err(Problem::new(
            http::StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the body did not arrive within 30 seconds",
        )),
    }
}

/// Parses JSON, a byte order mark before it or not. Nesting is bounded by the parser (127 levels).
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let bytes = json::without_mark(bytes);
    serde_json::from_slice(bytes).map_err(|error| match json::flaws(bytes) {
        flaws if flaws.is_empty() => Problem::malformed(format!("the body is not JSON: {error}")),
        flaws => Problem::invalid(flaws),
    })
}
