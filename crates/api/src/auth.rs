//! Who is asking: API keys by `Authorization: Bearer rh_...`.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use reelhook_store::{KEY_PREFIX, key_hash};

use crate::desk::{Caller, Desk};
use crate::problem::Problem;

impl FromRequestParts<Desk> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let key = bearer(parts)?;
        let hash = key_hash(key);
        match desk.store().find_key(&hash).await? {
            Some(key) => Ok(Self { account: key.account, key: key.id }),
            None => Err(Problem::unauthorized("the API key is unknown or was revoked")),
        }
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else {
        return Err(Problem::unauthorized("an API key is needed: send it as `Authorization: Bearer rh_...`"));
    };
    let text = header.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") && key.trim().starts_with(KEY_PREFIX) => {
            Ok(key.trim())
        }
        _ => {
            Err(Problem::unauthorized("the Authorization header must be `Bearer` and an API key that starts with rh_"))
        }
    }
}

/// A caller, or nobody: for what a signed link opens too.
#[derive(Debug)]
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl FromRequestParts<Desk> for MaybeCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(Self(None));
        }
        Caller::from_request_parts(parts, desk).await.map(|caller| Self(Some(caller)))
    }
}
