//! `/v1/endpoints/{id}/recover` and `/replay`: sending again.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use reelhook_dialects::native;
use reelhook_dialects::native::reply::DeliveryReply;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::id;
use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::Problem;

/// Result of a recovery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecoveryReply {
    /// Number of deliveries that were scheduled again.
    recovered: u32,
    /// Whether there are more deliveries to recover. If so, repeat the request.
    more: bool,
}

/// Recover an endpoint
///
/// Sends every `exhausted` delivery to the endpoint that was created since that time again, oldest first, with the same ids
/// and content. Their schedules start again. At most 100,000 deliveries per request.
#[utoipa::path(post, path = "/v1/endpoints/{id}/recover", tag = "Webhooks", params(("id" = String, Path)),
    request_body = openapi::RecoverRequest,
    responses((status = 202, body = RecoveryReply), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn recover_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
    json: body::Json,
) -> Result<(StatusCode, Json<RecoveryReply>), Problem> {
    let since = native::request::recover(json.value).map_err(Problem::invalid)?;
    let recovered = desk.recover(caller, id(&endpoint, "endpoint")?, since).await?;
    Ok((StatusCode::ACCEPTED, Json(RecoveryReply { recovered: recovered.count, more: recovered.more })))
}

/// Replay an event
///
/// Sends one event to this endpoint, whether or not its filter matches it. If the event was sent there before, that delivery
/// is resent, with the same id and content and new links.
#[utoipa::path(post, path = "/v1/endpoints/{id}/replay", tag = "Webhooks", params(("id" = String, Path)),
    request_body = openapi::ReplayRequest,
    responses((status = 202, body = DeliveryReply), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn replay_event(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
    json: body::Json,
) -> Result<(StatusCode, Json<DeliveryReply>), Problem> {
    let event = native::request::replay(json.value).map_err(Problem::invalid)?;
    let delivery = desk.replay(caller, id(&endpoint, "endpoint")?, event).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}
