//! `/v1/secrets`: what signs for the services that have a scheme of their own.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use reelhook_dialects::{SecretRequest, has_own_secrets, native};
use reelhook_domain::form::{Form, Shape};
use reelhook_domain::job::Dialect;
use reelhook_store::SigningSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoints::take_overlap;
use super::listing::id;
use crate::body::{self, OptionalJson};
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::Problem;

/// A secret that signs for a service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceSecret {
    /// The id.
    id: String,
    /// The service.
    service: String,
    /// The last four characters of the secret.
    hint: String,
    /// The secret; present only in the response that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// When the secret stops signing; null for the newest one.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// The secrets of the account's services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceSecrets {
    /// Newest first.
    secrets: Vec<ServiceSecret>,
}

impl ServiceSecret {
    fn hidden(secret: &SigningSecret) -> Self {
        let hint = secret.text.get(secret.text.len().saturating_sub(4)..).unwrap_or_default().to_owned();
        Self {
            id: secret.id.to_string(),
            service: secret.scheme.clone(),
            hint,
            secret: None,
            created_at: secret.created_at.to_string(),
            until: secret.until.map(|until| until.to_string()),
        }
    }

    fn shown(secret: SigningSecret) -> Self {
        let hidden = Self::hidden(&secret);
        Self { secret: Some(secret.text), ..hidden }
    }
}

/// Create a service's secret
///
/// The secret signs the webhooks of jobs that were created with that service's API, in its own scheme. The response contains
/// the secret, which is not shown again. `secret` sets a secret that your receivers already have.
#[utoipa::path(post, path = "/v1/secrets", tag = "Settings", request_body = openapi::SecretRequest,
    responses((status = 201, body = ServiceSecret), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn create_secret(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<(StatusCode, Json<ServiceSecret>), Problem> {
    let request = native::request::secret(json.value).map_err(Problem::invalid)?;
    let secret = desk.create_secret(caller, request).await?;
    Ok((StatusCode::CREATED, Json(ServiceSecret::shown(secret))))
}

/// List the services' secrets
#[utoipa::path(get, path = "/v1/secrets", tag = "Settings", responses((status = 200, body = ServiceSecrets)))]
pub(crate) async fn list_secrets(State(desk): State<Desk>, caller: Caller) -> Result<Json<ServiceSecrets>, Problem> {
    let secrets = desk.service_secrets(caller).await?;
    Ok(Json(ServiceSecrets { secrets: secrets.iter().map(ServiceSecret::hidden).collect() }))
}

/// Rotate a service's secret
///
/// The new secret signs from now on. During the overlap the old one signs every second attempt of a delivery, so that a
/// receiver that has either accepts the second attempt at the latest.
#[utoipa::path(post, path = "/v1/secrets/{service}/rotate", tag = "Settings", params(("service" = String, Path)),
    request_body = Option<openapi::RotateSecretRequest>,
    responses((status = 200, body = ServiceSecret), (status = 404, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn rotate_secret(
    State(desk): State<Desk>,
    caller: Caller,
    Path(service): Path<String>,
    OptionalJson(value): OptionalJson,
) -> Result<Json<ServiceSecret>, Problem> {
    let Some(service) = Dialect::from_word(&service).filter(|service| has_own_secrets(*service)) else {
        return Err(Problem::not_found("service with secrets of its own"));
    };
    let (text, overlap) = Form::read(value, read_rotation).map_err(Problem::invalid)?;
    let secret = desk.add_service_secret(caller, SecretRequest { service, text }, overlap).await?;
    Ok(Json(ServiceSecret::shown(secret)))
}

fn read_rotation(form: &mut Form) -> Option<(Option<String>, Duration)> {
    let text = native::request::secret_text(form);
    Some((text, take_overlap(form)))
}

/// What the body of such a rotation may hold.
pub(crate) fn rotate_service_shape() -> Shape {
    Form::shape(read_rotation)
}

/// Revoke a service's secret
///
/// The secret stops signing at once. The page of each service says how webhooks without any secret are handled.
#[utoipa::path(delete, path = "/v1/secrets/{id}", tag = "Settings", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn revoke_secret(
    State(desk): State<Desk>,
    caller: Caller,
    Path(secret): Path<String>,
) -> Result<StatusCode, Problem> {
    desk.revoke_secret(caller, id(&secret, "secret")?).await?;
    Ok(StatusCode::NO_CONTENT)
}
