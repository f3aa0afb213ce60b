//! `Idempotency-Key`: a caller's word that two requests are the same.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::Value;

use crate::desk::Desk;
use crate::problem::Problem;

const HEADER: &str = "idempotency-key";

/// The key that a request brings, if it brings one.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl FromRequestParts<Desk> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _desk: &Desk) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        match key.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            _ => Err(Problem::violation("Idempotency-Key", Value::Null, "must be 1 to 255 visible ASCII characters")),
        }
    }
}

/// 409: the key stands for another request.
pub(crate) fn conflict() -> Problem {
    let detail = "this Idempotency-Key was used for another request within the last 24 hours";
    Problem::conflict("idempotency_conflict", detail)
}
