//! Transcodely's routes: Connect calls, which are POSTs of JSON to `/{package}.{Service}/{Method}`.

mod jobs;
mod origins;
mod watch;

use axum::Router;
use axum::extract::Path;
use axum::routing::{any, post};
use http::StatusCode;

use crate::desk::Desk;
use crate::problem::Problem;

/// Every path of the service, from its root.
pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/transcodely.v1.JobService/Create", post(jobs::create))
        .route("/transcodely.v1.JobService/Get", post(jobs::get))
        .route("/transcodely.v1.JobService/List", post(jobs::list))
        .route("/transcodely.v1.JobService/Cancel", post(jobs::cancel))
        .route("/transcodely.v1.JobService/Confirm", post(jobs::confirm))
        .route("/transcodely.v1.JobService/Watch", post(watch::watch))
        .route("/transcodely.v1.OriginService/Create", post(origins::create))
        .route("/transcodely.v1.OriginService/Get", post(origins::get))
        .route("/transcodely.v1.OriginService/List", post(origins::list))
        .route("/transcodely.v1.OriginService/Update", post(origins::update))
        .route("/transcodely.v1.OriginService/Validate", post(origins::validate))
        .route("/transcodely.v1.OriginService/Archive", post(origins::archive))
        .route("/{service}/{method}", any(not_done))
}

/// The service's other calls, such as those of presets, organisations and users.
async fn not_done(Path((service, method)): Path<(String, String)>) -> Problem {
    if !service.starts_with("transcodely.v1.") {
        return Problem::not_found("path");
    }
    let call: String = format!("{service}/{method}").chars().take(100).collect();
    Problem::new(StatusCode::NOT_IMPLEMENTED, "unimplemented", format!("{call} is not supported by this server"))
}
