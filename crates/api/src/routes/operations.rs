//! What operators and their machines look at; needs no key, says nothing of any account.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::problem::Problem;

/// Check whether the process runs
#[utoipa::path(get, path = "/healthz", tag = "Operations", security(()), responses((status = 200)))]
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Check whether the server accepts requests
#[utoipa::path(get, path = "/readyz", tag = "Operations", security(()), responses((status = 200), (status = 503, body = Problem)))]
pub(crate) async fn readyz(State(desk): State<Desk>) -> Response {
    if desk.stop().is_cancelled() {
        return Problem::unavailable("draining", "the server is stopping").into_response();
    }
    match desk.store().last_sequence().await {
        Ok(_) => (StatusCode::OK, Json(json!({"status": "ready"}))).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "not ready: the database does not respond");
            Problem::unavailable("database_unavailable", "the database does not respond").into_response()
        }
    }
}

/// Metrics for Prometheus
///
/// In the text format of OpenMetrics 1.0. With `Accept: text/plain` the same text comes as `text/plain`, for clients that do
/// not know the type of OpenMetrics.
#[utoipa::path(get, path = "/metrics", tag = "Operations", security(()), responses((status = 200, description = "All metrics",
    content((String = "application/openmetrics-text"), (String = "text/plain")))))]
pub(crate) async fn metrics(State(desk): State<Desk>, headers: HeaderMap) -> Result<Response, Problem> {
    let kind = if wants_plain(&headers) {
        "text/plain; charset=utf-8"
    } else {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    };
    Ok(([(CONTENT_TYPE, kind)], desk.render_metrics().await?).into_response())
}

/// Whether the caller takes plain text and says nothing of OpenMetrics. Prometheus names both.
fn wants_plain(headers: &HeaderMap) -> bool {
    let mut accepted =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
    let names = |kind: &str, accepted: &str| accepted.trim_start().to_ascii_lowercase().starts_with(kind);
    let mut is_plain = false;
    !accepted.any(|one| {
        is_plain |= names("text/plain", one);
        names("application/openmetrics-text", one)
    }) && is_plain
}
