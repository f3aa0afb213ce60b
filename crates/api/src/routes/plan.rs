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
/// Takes what `POST /v1/jobs` takes as JSON, and answers what would become of it: what the inputs hold, what is decided
/// for each stream and why, and the estimate. Inputs are fetched and probed for that, and not kept; no job is made, and
/// nobody is told. What the job would fail or be rejected with is in `error`, what an output would fail with in its own.
#[utoipa::path(post, path = "/v1/plan", tag = "Jobs", request_body = openapi::JobRequest,
    responses((status = 200, body = PlanReply), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "As many plans are being made as may be at once")))]
pub(crate) async fn plan_job(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<Json<PlanReply>, Problem> {
    let request = native::request::job(json.value, native::request::Bytes::Named, &desk).map_err(Problem::invalid)?;
    Ok(Json(desk.plan(caller, request).await?))
}
