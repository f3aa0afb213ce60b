//! `/v1/endpoints`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use reelhook_dialects::Stamp;
use reelhook_dialects::native;
use reelhook_dialects::native::reply::{AttemptReply, EndpointReply};
use reelhook_domain::endpoint::{Endpoint, EndpointState};
use reelhook_domain::form::Form;
use reelhook_domain::id::EndpointId;
use reelhook_signature::{Secret, SigningKey};
use reelhook_store::{SealedFor, Topic};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::listing::{Query, id};
use crate::body;
use crate::body::OptionalJson;
use crate::desk::{Caller, Desk, HMAC, OVERLAP, TestOutcome};
use crate::openapi;
use crate::problem::{Problem, missing};

/// The registered endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointList {
    /// Newest first.
    endpoints: Vec<EndpointReply>,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestReply {
    /// Whether the receiver answered 2xx.
    ok: bool,
    /// What it answered; null when no answer came.
    status: Option<u16>,
    /// Why it is not ok, where no status tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The attempt.
    attempt: Option<AttemptReply>,
}

impl From<TestOutcome> for TestReply {
    fn from(outcome: TestOutcome) -> Self {
        Self { ok: outcome.ok, status: outcome.status, reason: outcome.reason, attempt: outcome.attempt }
    }
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretReply {
    /// `whsec_...`: keep it; of an endpoint it is not shown again.
    pub(super) secret: String,
    /// Until when the secret before it signs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(super) old_secret_until: Option<String>,
}

/// Register an endpoint
///
/// It gets every event of the account that its filter wants. The answer has its secret, which is not shown again. With
/// `"pull": true` instead of a URL it is not called, but asks for its events itself (`GET /v1/endpoints/{id}/events`).
#[utoipa::path(post, path = "/v1/endpoints", tag = "Webhooks", request_body = openapi::EndpointRequest,
    responses((status = 201, body = EndpointReply), (status = 422, body = Problem)))]
pub(crate) async fn create_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<(StatusCode, Json<EndpointReply>), Problem> {
    let request = native::request::endpoint(json.value).map_err(Problem::invalid)?;
    Ok((StatusCode::CREATED, Json(desk.create_endpoint(caller, request).await?)))
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
    let patch = native::request::endpoint_patch(json.value).map_err(Problem::invalid)?;
    Ok(Json(desk.patch_endpoint(caller, id(&endpoint, "endpoint")?, patch).await?))
}

/// Delete an endpoint
///
/// Its deliveries that have not ended are canceled.
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
/// Deliveries that were held are offered again, at once.
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
/// Events for it are held, not dropped.
#[utoipa::path(post, path = "/v1/endpoints/{id}/disable", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = EndpointReply), (status = 404, body = Problem)))]
pub(crate) async fn disable_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<EndpointReply>, Problem> {
    Ok(Json(desk.switch_endpoint(caller, id(&endpoint, "endpoint")?, EndpointState::Disabled).await?))
}

/// How long the old secret goes on signing, from the body of a rotation.
pub(super) fn overlap(value: Value) -> Result<Duration, Problem> {
    Form::read(value, |form| Some(take_overlap(form))).map_err(Problem::invalid)
}

/// Takes how long an old secret goes on signing.
pub(super) fn take_overlap(form: &mut Form) -> Duration {
    form.integer("overlap_seconds", 0..=7 * 24 * 3600).map_or(OVERLAP, Duration::from_secs)
}

/// Rotate an endpoint's secret
///
/// Both the new and the old secret sign for the time of the overlap.
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
    let overlap = overlap(value)?;
    let secret = desk.rotate_secret(SealedFor::Endpoint(endpoint.id), overlap).await?;
    let until = desk.ambient().now() + overlap;
    Ok(Json(SecretReply { secret, old_secret_until: Some(until.to_string()) }))
}

/// Test an endpoint
///
/// Sends `webhook.test` through the real delivery path and answers with what came of it.
#[utoipa::path(post, path = "/v1/endpoints/{id}/test", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = TestReply), (status = 404, body = Problem)))]
pub(crate) async fn test_endpoint(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<Json<TestReply>, Problem> {
    let endpoint =
        desk.store().endpoint(caller.account, id(&endpoint, "endpoint")?).await.map_err(missing("endpoint"))?;
    if endpoint.url.scheme() == native::reply::PULL_SCHEME {
        return Err(Problem::conflict(
            "pull_endpoint",
            "this endpoint asks for its events itself; it has no URL to call",
        ));
    }
    Ok(Json(desk.test_endpoint(caller, &endpoint).await?.into()))
}

/// Pull events
///
/// The same signed headers and bodies that would be sent, in order, after that sequence number. With `wait` the answer comes
/// as soon as there is something, or when the time is up.
#[utoipa::path(get, path = "/v1/endpoints/{id}/events", tag = "Webhooks",
    params(("id" = String, Path), ("after" = Option<i64>, Query, description = "Only after this sequence number; 0 by default"),
        ("limit" = Option<u32>, Query, description = "1 to 500, 100 by default"),
        ("wait" = Option<String>, Query, description = "How long to wait for something, such as `30s`; at most 60 seconds")),
    responses((status = 200, body = openapi::PulledEvents), (status = 404, body = Problem)))]
pub(crate) async fn pull_events(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let endpoint: EndpointId = id(&endpoint, "endpoint")?;
    let mut query = Query::of(&uri);
    let after = query.integer("after", 0..=i64::MAX as u64).unwrap_or(0) as i64;
    let limit = query.integer("limit", 1..=500).unwrap_or(100) as u32;
    let wait = query.parsed::<Wait>("wait").map_or(Duration::ZERO, |wait| wait.0);
    query.finish()?;
    let endpoint = desk.store().endpoint(caller.account, endpoint).await.map_err(missing("endpoint"))?;
    let mut wake = desk.store().wakes().listen(Topic::Delivery);
    let deadline = tokio::time::Instant::now() + wait;
    let pulled = loop {
        let pulled = desk.store().pull(caller.account, endpoint.id, after, limit).await?;
        if !pulled.is_empty() || tokio::time::Instant::now() >= deadline || desk.stop().is_cancelled() {
            break pulled;
        }
        tokio::select! {
            () = wake.wait() => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = desk.stop().cancelled() => {}
        }
    };
    let Signers { secrets, signing_keys, service_secrets } = signers(&desk, caller, &endpoint).await?;
    let last_sequence = pulled.last().map_or(after, |(delivery, _)| delivery.sequence);
    let events: Vec<_> = pulled
        .iter()
        .map(|(delivery, body)| {
            let stamp = Stamp {
                event: delivery.event,
                event_type: &delivery.event_type,
                delivery: delivery.id,
                sequence: delivery.sequence,
                attempt: 1,
                at: desk.ambient().now(),
                body,
                secrets: &secrets,
                signing_keys: &signing_keys,
                service_secrets: &service_secrets,
            };
            let headers = reelhook_dialects::headers(endpoint.dialect, &stamp);
            let headers: serde_json::Map<String, Value> = headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().into()))
                .collect();
            json!({"sequence": delivery.sequence, "headers": headers, "body": &**body})
        })
        .collect();
    Ok(Json(json!({"events": events, "last_sequence": last_sequence})).into_response())
}

/// What signs for an endpoint.
struct Signers {
    secrets: Vec<Secret>,
    signing_keys: Vec<SigningKey>,
    service_secrets: Vec<Arc<str>>,
}

/// The endpoint's own secrets, the account's asymmetric key, and the account's secrets of the endpoint's service.
async fn signers(desk: &Desk, caller: Caller, endpoint: &Endpoint) -> Result<Signers, Problem> {
    let own = desk.store().secrets(SealedFor::Endpoint(endpoint.id)).await?;
    let account = desk.ensure_account_secrets(caller).await?;
    let unreadable = |error| {
        tracing::error!(error = %error, endpoint.id = %endpoint.id, "a stored secret cannot be read");
        Problem::internal()
    };
    let secrets: Result<_, _> =
        own.iter().filter(|secret| secret.scheme == HMAC).map(|secret| Secret::parse(&secret.text)).collect();
    let keys: Result<_, _> = account
        .iter()
        .filter(|secret| secret.scheme == "ed25519")
        .map(|secret| SigningKey::parse(&secret.text))
        .collect();
    let of_service = account.iter().filter(|secret| secret.scheme == endpoint.dialect.as_str());
    let service_secrets = of_service.map(|secret| secret.text.as_str().into()).collect();
    Ok(Signers { secrets: secrets.map_err(unreadable)?, signing_keys: keys.map_err(unreadable)?, service_secrets })
}

/// A span such as `30s` or `1500ms` or `30`.
struct Wait(Duration);

impl std::str::FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => (number, 1),
            (None, Some(number)) => (number, 1000),
            (None, None) => (text, 1000),
        };
        let millis =
            number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|millis| *millis <= 60_000);
        millis
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or("must be a span of at most 60 seconds, such as 30s")
    }
}
