//! `/openapi.json` and its rendering.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};

use crate::problem::Problem;
use crate::{openapi, reference};

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::document);
static REFERENCE: LazyLock<String> = LazyLock::new(|| reference::render(&DOCUMENT));
static ERRORS: LazyLock<String> = LazyLock::new(reference::errors);

/// Pages that carry all they need may load nothing.
const ALONE: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'";

/// What a person sees who opens the server's address in a browser.
const HOME: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Reelhook</title>
<h1>Reelhook</h1>
<p>This server is running. It processes media files as jobs and sends the results as signed webhooks.
<ul>
<li><a href="docs">API reference</a>, and the same as <a href="openapi.json">OpenAPI</a>
<li><a href="docs/errors">Errors</a> and what to do about them
</ul>
<p>A request needs an API key. The server printed its first key at its first start;
<code>reelhook keys create --data DIR</code> creates another.
<p>The first job: <code>reelhook submit clip.mov --wait --url URL --key KEY</code>, with the address of this page as the URL.
"#;
/// The page has text and links, and nothing else.
const TEXT_ALONE: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page for browsers; programs are told that there is nothing.
pub(super) async fn home(headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    let mut response = if accepted.to_ascii_lowercase().contains("text/html") {
        ([(CONTENT_SECURITY_POLICY, TEXT_ALONE)], Html(HOME)).into_response()
    } else {
        Problem::not_found("path").into_response()
    };
    response.headers_mut().insert(VARY, http::HeaderValue::from_static("accept"));
    response
}

pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

pub(super) async fn reference() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, ALONE)], Html(REFERENCE.as_str()))
}

pub(super) async fn errors() -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, ALONE)], Html(ERRORS.as_str()))
}
