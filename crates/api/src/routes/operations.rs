//! What operators and their machines look at; needs no key, says nothing of any account.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
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
#[utoipa::path(get, path = "/metrics", tag = "Operations", security(()), responses((status = 200, content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(desk): State<Desk>) -> Result<Response, Problem> {
    let text = desk.render_metrics().await?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
