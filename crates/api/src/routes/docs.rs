//! `/openapi.json` and its rendering.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::{openapi, reference};

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::document);
static REFERENCE: LazyLock<String> = LazyLock::new(|| reference::render(&DOCUMENT));
static ERRORS: LazyLock<String> = LazyLock::new(reference::errors);

/// Pages that carry all they need may load nothing.
const ALONE: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'";

pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

pub(super) async fn reference() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, ALONE)], Html(REFERENCE.as_str()))
}

pub(super) async fn errors() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, ALONE)], Html(ERRORS.as_str()))
}
