//! Who is asking: API keys by `Authorization: Bearer rh_...`.

use axum::extract::FromRequestParts;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use reelhook_store::{KEY_PREFIX, key_hash};

use crate::desk::{Caller, Desk};
use crate::problem::Problem;

impl FromRequestParts<Desk> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        known(desk, bearer(parts)?).await
    }
}

/// Whose key that is.
pub(crate) async fn known(desk: &Desk, key: &str) -> Result<Caller, Problem> {
    let found = desk.known_keys().caller(desk.store(), key_hash(key), desk.ambient().now()).await?;
    found.ok_or_else(|| Problem::unauthorized("the API key is unknown or was revoked"))
}

/// A caller who shows a key in any of the ways that the services take: `Authorization: Bearer KEY`, `Authorization: Basic`
/// with the key as the user's name, `X-API-Key: KEY`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceCaller(pub(crate) Caller);

impl FromRequestParts<Desk> for ServiceCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let Some(key) = shown_key(&parts.headers) else {
            return Err(Problem::unauthorized("an API key is required"));
        };
        known(desk, &key).await.map(Self)
    }
}

/// The key that a request shows, in whatever way.
pub(crate) fn shown_key(headers: &HeaderMap) -> Option<String> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(|key| key.trim().to_owned());
    }
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.trim().to_owned()),
        "basic" => {
            let decoded = BASE64_STANDARD.decode(rest.trim()).ok()?;
            let text = String::from_utf8(decoded).ok()?;
            Some(text.split_once(':').map_or(text.as_str(), |(name, _)| name).to_owned())
        }
        _ => None,
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else {
        return Err(Problem::unauthorized("an API key is required: send it as `Authorization: Bearer rh_...`"));
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
