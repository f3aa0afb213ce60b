//! `/v1/endpoints`.

use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use http::StatusCode;
use reelhook_dialects::native;
use reelhook_dialects::native::reply::{AttemptReply, EndpointReply, WaitingReply};
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::form::{Form, Shape};
use reelhook_signature::Secret;
use reelhook_store::SealedFor;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::listing::{Query, id};
use crate::body;
use crate::body::OptionalJson;
use crate::desk::{Caller, Desk, OVERLAP, Stay, TestOutcome};
use crate::openapi;
use crate::problem::{Problem, missing};

/// The registered endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointList {
    /// Newest first.
    endpoints: Vec<EndpointReply>,
}

/// Result of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestReply {
    /// Whether the receiver answered 2xx.
    ok: bool,
    /// Status of the answer; null if there was none.
    status: Option<u16>,
    /// Why the test failed, if there is no status.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The attempt; null if none was made.
    attempt: Option<AttemptReply>,
    /// Why no attempt was made, and until when requests to the endpoint are suspended. The test is canceled then.
    waiting: Option<WaitingReply>,
}

impl From<TestOutcome> for TestReply {
    fn from(outcome: TestOutcome) -> Self {
        let TestOutcome { status, ok, attempt, reason, waiting } = outcome;
        Self { ok, status, reason, attempt, waiting }
    }
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretReply {
    /// The secret, `whsec_...`. Store it: the secret of an endpoint is not shown again.
    pub(super) secret: String,
    /// Time until which the previous secret also signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(super) old_secret_until: Option<String>,
}

/// Register an endpoint
///
/// The endpoint gets every event of the account that matches its filter. The response contains its secret, which is not
/// shown again. With `"pull": true` instead of a URL, the server does not call the receiver; the receiver fetches the events
/// with `GET /v1/endpoints/{id}/events`.
#[utoipa::path(post, path = "/v1/endpoints", tag = "Webhooks", request_body = openapi::EndpointRequest,
    params(("temporary" = Option<bool>, Query, description = "Whether the endpoint is deleted ten minutes after the last read")),
    responses((status = 201, body = EndpointReply), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn create_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    json: body::Json,
) -> Result<(StatusCode, Json<EndpointReply>), Problem> {
    let mut query = Query::of(&uri);
    let stay = if query.parsed("temporary").unwrap_or(false) { Stay::WhileRead } else { Stay::UntilDeleted };
    query.finish()?;
    let request = native::request::endpoint(json.value, &desk).map_err(Problem::invalid)?;
    Ok((StatusCode::CREATED, Json(desk.create_endpoint(caller, request, stay).await?)))
}

/// List endpoints
#[utoipa::path(get, path = "/v1/endpoints", tag = "Webhooks", responses((status = 200, body = EndpointList)))]
pub(crate) async fn list_endpoints(State(desk): State<Desk>, caller: Caller) -> Result<Json<EndpointList>, Problem> {
    let endpoints = desk.store().list_endpoints(caller.account).await?;
    Ok(Json(EndpointList { endpoints: endpoints.iter().map(|endpoint| EndpointReply::of(endpoint, None)).collect() }))
}

/// Get an endpoint
#[utoipa::path(get, path = "/v1/endpoints/{id}", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = EndpointReply), (status = 404, body = Problem)))]
pub(crate) async fn get_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<EndpointReply>, Problem> {
    let endpoint =
        desk.store().endpoint(caller.account, id(&endpoint, "endpoint")?).await.map_err(missing("endpoint"))?;
    Ok(Json(EndpointReply::of(&endpoint, None)))
}

/// Change an endpoint
#[utoipa::path(patch, path = "/v1/endpoints/{id}", tag = "Webhooks", params(("id" = String, Path)), request_body = openapi::EndpointPatch,
    responses((status = 200, body = EndpointReply), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn change_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
    json: body::Json,
) -> Result<Json<EndpointReply>, Problem> {
    let patch = native::request::endpoint_patch(json.value, &desk).map_err(Problem::invalid)?;
    Ok(Json(desk.patch_endpoint(caller, id(&endpoint, "endpoint")?, patch).await?))
}

/// Delete an endpoint
///
/// Deletes the endpoint, and cancels its deliveries that have not ended.
#[utoipa::path(delete, path = "/v1/endpoints/{id}", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<StatusCode, Problem> {
    desk.store().delete_endpoint(caller.account, id(&endpoint, "endpoint")?).await.map_err(missing("endpoint"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enable an endpoint
///
/// Held deliveries are scheduled again, at once.
#[utoipa::path(post, path = "/v1/endpoints/{id}/enable", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = EndpointReply), (status = 404, body = Problem)))]
pub(crate) async fn enable_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<EndpointReply>, Problem> {
    Ok(Json(desk.switch_endpoint(caller, id(&endpoint, "endpoint")?, EndpointState::Enabled).await?))
}

/// Disable an endpoint
///
/// Disables the endpoint. Its events are held, not dropped.
#[utoipa::path(post, path = "/v1/endpoints/{id}/disable", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = EndpointReply), (status = 404, body = Problem)))]
pub(crate) async fn disable_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<EndpointReply>, Problem> {
    Ok(Json(desk.switch_endpoint(caller, id(&endpoint, "endpoint")?, EndpointState::Disabled).await?))
}

/// The new secret, where its receiver knows one already, and how long the old one goes on signing.
pub(super) fn rotation(value: Value) -> Result<(Option<Secret>, Duration), Problem> {
    Form::read(value, read_rotation).map_err(Problem::invalid)
}

fn read_rotation(form: &mut Form) -> Option<(Option<Secret>, Duration)> {
    Some((native::request::webhook_secret(form), take_overlap(form)))
}

/// Takes how long an old secret goes on signing.
pub(super) fn take_overlap(form: &mut Form) -> Duration {
    let seconds = form.integer("overlap_seconds", 0..=7 * 24 * 3600);
    Duration::from_secs(form.or("overlap_seconds", seconds, OVERLAP.as_secs()))
}

/// What the body of a rotation may hold.
pub(crate) fn rotate_shape() -> Shape {
    Form::shape(read_rotation)
}

/// Rotate an endpoint's secret
///
/// Both the new and the old secret sign during the overlap.
#[utoipa::path(post, path = "/v1/endpoints/{id}/rotate-secret", tag = "Webhooks", params(("id" = String, Path)),
    request_body = Option<openapi::RotateRequest>,
    responses((status = 200, body = SecretReply), (status = 404, body = Problem)))]
pub(crate) async fn rotate_endpoint_secret(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
    OptionalJson(value): OptionalJson,
) -> Result<Json<SecretReply>, Problem> {
    let endpoint =
        desk.store().endpoint(caller.account, id(&endpoint, "endpoint")?).await.map_err(missing("endpoint"))?;
    let (secret, overlap) = rotation(value)?;
    let secret = desk.rotate_secret(SealedFor::Endpoint(endpoint.id), secret, overlap).await?;
    let until = desk.ambient().now() + overlap;
    Ok(Json(SecretReply { secret, old_secret_until: Some(until.to_string()) }))
}

/// Test an endpoint
///
/// Sends `webhook.test` through the real delivery path and responds with the result.
#[utoipa::path(post, path = "/v1/endpoints/{id}/test", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = TestReply), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn test_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<TestReply>, Problem> {
    let endpoint = desk.called_endpoint(caller, id(&endpoint, "endpoint")?).await?;
    Ok(Json(desk.test_endpoint(caller, &endpoint).await?.into()))
}
