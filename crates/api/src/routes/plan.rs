//! `/v1/plan`.

use axum::Json;
use axum::extract::State;
use reelhook_dialects::native;
use reelhook_dialects::native::reply::PlanReply;

use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::Problem;

/// Plan a job
///
/// Takes the JSON of `POST /v1/jobs` and plans the job without creating it. The response shows what the inputs hold, the
/// decision and its reason for each stream, and the estimate. Inputs are fetched, probed and deleted; no event is sent. If
/// the job would fail or be rejected, `error` says why; if one output would fail, the `error` of that output does.
#[utoipa::path(post, path = "/v1/plan", tag = "Jobs", request_body = openapi::JobRequest,
    responses((status = 200, body = PlanReply), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "The server works on as many plans as it may")))]
pub(crate) async fn plan_job(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<Json<PlanReply>, Problem> {
    let request = native::request::job(json.value, native::request::Bytes::Named, &desk).map_err(Problem::invalid)?;
    Ok(Json(desk.plan(caller, request).await?))
}
