//! `Idempotency-Key`: a caller's word that two requests are the same.

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use http::request::Parts;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::desk::Desk;
use crate::json;
use crate::problem::Problem;

const HEADER: &str = "idempotency-key";
/// The routes of the native API whose handlers take the key.
const ROUTES: [&str; 2] = ["/v1/jobs", "/v1/events"];

/// The key that a request brings, if it brings one.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl FromRequestParts<Desk> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _desk: &Desk) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        match key.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => {
                let message = "must be 1 to 255 visible ASCII characters without spaces";
                Err(Problem::violation("Idempotency-Key", Value::Null, message))
            }
        }
    }
}

/// Refuses a key where it would do nothing: its caller counts on it.
///
/// Requests of other methods than POST are repeated without harm, and may bring one.
pub(crate) async fn only_where_taken(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) || ROUTES.contains(&route) {
        return next.run(request).await;
    }
    let message = format!("is supported only by POST {}; send this request without it", ROUTES.join(" and POST "));
    Problem::violation("Idempotency-Key", Value::Null, message).into_response()
}

/// What two requests have in common that say the same, whatever the spelling of their JSON; `file` is a hash of what came
/// with it.
pub(crate) fn fingerprint(json: &[u8], file: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(json::canonical(json)).chain_update(file).finalize().into()
}

/// 409: the key stands for another request.
pub(crate) fn conflict() -> Problem {
    let detail = "this Idempotency-Key was used for another request within the last 24 hours";
    Problem::conflict("idempotency_conflict", detail)
}
