//! The route table.

mod deliveries;
mod docs;
mod endpoints;
mod events;
mod files;
mod jobs;
mod keys;
mod listing;
mod operations;
mod origins;
mod plan;
mod pull;
mod recovery;
mod retention;
mod secrets;
mod services;
mod settings;
mod stream;
mod uploads;

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, StatusCode};
use reelhook_domain::id::{RequestId, RequestKind};
use reelhook_domain::job::Dialect;

use crate::body::uncompressed;
use crate::content;
use crate::desk::Desk;
use crate::idempotency::only_where_taken;
use crate::metrics::{RequestLabels, method_label};
use crate::problem::Problem;

pub(crate) use listing::PAGE;
pub(crate) use {
    deliveries::*, endpoints::*, events::*, jobs::*, keys::*, operations::*, origins::*, plan::*, pull::*, recovery::*,
    retention::*, secrets::*, settings::*, uploads::*,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths that a link opens: pages of any site may read them, for the link is the proof.
const LINKED: [&str; 3] =
    ["/v1/jobs/{id}/outputs/{name}", "/files/{proof}/{job}/{output}/{*path}", "/uploads/{proof}/{upload}/{name}"];

/// What one listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The native API, and each service below a path of its name.
    All,
    /// One service at the root, with the files that it links to.
    Service(Dialect),
}

/// Every path that is served.
pub(crate) fn router(desk: Desk, face: Face) -> Router {
    let routes = match face {
        Face::All => services::nest(native()),
        Face::Service(Dialect::Native) => native(),
        Face::Service(service) => services::at_root(service),
    };
    routes
        .route(LINKED[1], get(files::get_file).options(files::may_read))
        .route(LINKED[2], get(files::get_upload).options(files::may_read))
        .layer(middleware::from_fn_with_state(desk.clone(), observe))
        .with_state(desk)
}

fn native() -> Router<Desk> {
    Router::new()
        .route("/v1/jobs", post(submit_job).get(list_jobs))
        .route("/v1/jobs/{id}", get(get_job).delete(erase_job))
        .route("/v1/jobs/{id}/cancel", post(cancel_job))
        .route("/v1/jobs/{id}/confirm", post(confirm_job))
        .route("/v1/jobs/{id}/start", post(start_job))
        .route("/v1/jobs/{id}/retry", post(retry_job))
        .route("/v1/jobs/{id}/events", get(job_events))
        .route(LINKED[0], get(get_output).options(files::may_read))
        .route("/v1/plan", post(plan_job))
        .route("/v1/uploads", post(create_upload))
        .route("/v1/uploads/{id}", get(get_upload))
        .route("/v1/origins", post(create_origin).get(list_origins))
        .route("/v1/origins/{id}", get(get_origin).delete(delete_origin))
        .route("/v1/origins/{id}/validate", post(validate_origin))
        .route("/v1/endpoints", post(create_endpoint).get(list_endpoints))
        .route("/v1/endpoints/{id}", get(get_endpoint).patch(change_endpoint).delete(delete_endpoint))
        .route("/v1/endpoints/{id}/enable", post(enable_endpoint))
        .route("/v1/endpoints/{id}/disable", post(disable_endpoint))
        .route("/v1/endpoints/{id}/rotate-secret", post(rotate_endpoint_secret))
        .route("/v1/endpoints/{id}/test", post(test_endpoint))
        .route("/v1/endpoints/{id}/recover", post(recover_endpoint))
        .route("/v1/endpoints/{id}/replay", post(replay_event))
        .route("/v1/endpoints/{id}/events", get(pull_events))
        .route("/v1/events", post(publish_events))
        .route("/v1/deliveries", get(list_deliveries))
        .route("/v1/deliveries/{id}", get(get_delivery))
        .route("/v1/deliveries/{id}/resend", post(resend_delivery))
        .route("/v1/deliveries/{id}/cancel", post(cancel_delivery))
        .route("/v1/settings", get(get_settings).put(put_settings))
        .route("/v1/settings/retention", get(get_retention).put(put_retention))
        .route("/v1/settings/webhook/test", post(test_default_webhook))
        .route("/v1/settings/webhook/secret", get(get_webhook_secret))
        .route("/v1/settings/webhook/secret/rotate", post(rotate_webhook_secret))
        .route("/v1/secrets", post(create_secret).get(list_secrets))
        .route("/v1/secrets/{id}", delete(revoke_secret))
        .route("/v1/secrets/{id}/rotate", post(rotate_secret))
        .route("/v1/webhook-keys", get(list_webhook_keys))
        .route("/v1/keys", post(create_key).get(list_keys))
        .route("/v1/keys/{id}", delete(revoke_key))
        .route("/", get(docs::home))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(docs::openapi_json))
        .route("/docs", get(docs::reference))
        .route("/docs/errors", get(docs::errors))
        .route_layer(middleware::from_fn(only_where_taken))
        .route_layer(middleware::from_fn(uncompressed))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
}

async fn no_such_path() -> Problem {
    Problem::not_found("path")
}

async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not support that method")
}

/// No browser guesses another type for an answer, and no cache keeps JSON, which may hold secrets.
fn guard(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.starts_with("application/") && kind.contains("json");
    if is_json && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Gives each request an id, counts and logs it, and puts the id into error bodies.
async fn observe(State(desk): State<Desk>, mut request: Request, next: Next) -> Response {
    let id: RequestId = desk.ambient().id::<RequestKind>();
    let began = Instant::now();
    let method = method_label(request.method());
    // The route, never the path: a path may hold a name that somebody chose, and a query may hold a signature.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(id);
    let mut response = match desk.hosts().check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let (parts, _) = response.into_parts();
        let body = Json(problem.of_request(id.to_string())).into_response().into_body();
        response = Response::from_parts(parts, body);
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
    }
    let shown = HeaderValue::from_str(&id.to_string()).expect("ids are visible ASCII");
    response.headers_mut().insert(REQUEST_ID, shown);
    guard(response.headers_mut());
    if LINKED.contains(&route.as_str()) {
        content::open_to_pages(response.headers_mut());
    }
    let status = response.status().as_u16();
    let elapsed = began.elapsed();
    tracing::debug!(request.id = %id, http.method = method, http.route = route, http.status = status, elapsed_ms = elapsed.as_secs_f64() * 1e3, "answered");
    desk.metrics().answered(&RequestLabels { method, route, status }, elapsed);
    response
}
