//! `/v1/settings/retention` and the erasure of jobs.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use reelhook_dialects::native;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::id;
use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::Problem;

/// How long deliveries and events are kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(crate) struct RetentionReply {
    /// Retention of the account in days; null if it uses the server's.
    keep_days: Option<u32>,
    /// Retention of the server in days, which is also the maximum.
    server_keep_days: u32,
}

/// Get the retention
#[utoipa::path(get, path = "/v1/settings/retention", tag = "Settings", responses((status = 200, body = RetentionReply)))]
pub(crate) async fn get_retention(State(desk): State<Desk>, caller: Caller) -> Result<Json<RetentionReply>, Problem> {
    let keep_days = desk.keep_days(caller).await?;
    Ok(Json(RetentionReply { keep_days, server_keep_days: desk.limits().keep_days }))
}

/// Change the retention
///
/// Sets how long the account's deliveries (with attempts and receivers' answers) and events (with their bodies) are kept
/// after they ended, if that is shorter than the server's retention. `{"keep_days": null}` restores the server's.
#[utoipa::path(put, path = "/v1/settings/retention", tag = "Settings", request_body = openapi::RetentionRequest,
    responses((status = 200, body = RetentionReply), (status = 422, body = Problem)))]
pub(crate) async fn put_retention(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<Json<RetentionReply>, Problem> {
    let most = desk.limits().keep_days;
    let keep_days = native::request::retention(json.value, most).map_err(Problem::invalid)?;
    desk.set_keep_days(caller, keep_days).await?;
    Ok(Json(RetentionReply { keep_days, server_keep_days: most }))
}

/// Erase a job
///
/// Removes a job that has ended, or a draft: its files, its events with their bodies, its deliveries with their attempts and
/// the receivers' answers, and uploads that no other job reads. Its cost stays booked. Cancel a running job first (`POST
/// /v1/jobs/{id}/cancel`).
#[utoipa::path(delete, path = "/v1/jobs/{id}", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn erase_job(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<StatusCode, Problem> {
    desk.erase_job(caller, id(&job, "job")?).await?;
    Ok(StatusCode::NO_CONTENT)
}
