//! `/v1/settings` and the account's webhook secret.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use reelhook_dialects::native;
use reelhook_dialects::native::reply::masked;
use reelhook_dialects::native::tls::TlsReply;
use reelhook_domain::job::Dialect;
use reelhook_signature::SigningKey;
use reelhook_store::SealedFor;
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoints::{SecretReply, TestReply, rotation};
use crate::body::{self, OptionalJson};
use crate::desk::{Caller, Desk, HMAC};
use crate::openapi;
use crate::problem::{Problem, QuotaReply};

/// Settings of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub(crate) struct SettingsReply {
    /// Webhook for the events of jobs without one of their own.
    default_webhook: Option<WebhookReply>,
    /// Quotas of the account, which the operator of the server sets.
    quotas: Vec<QuotaReply>,
}

/// A URL for events, with a filter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookReply {
    /// The URL.
    url: String,
    /// Filter of event types; empty for all events except progress.
    events: Vec<String>,
    /// Extra request headers; their values are never shown.
    headers: BTreeMap<String, String>,
    /// TLS options of the receiver; null if they are the server's.
    tls: Option<TlsReply>,
    /// The id of its endpoint, for its deliveries.
    endpoint: String,
}

/// The public keys that verify webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookKeys {
    /// Newest first.
    keys: Vec<WebhookKey>,
}

/// One public key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookKey {
    /// The id.
    id: String,
    /// `whpk_...`, for `v1a` signatures.
    public: String,
    /// Whether the key signs now.
    active: bool,
}

/// Get the settings
#[utoipa::path(get, path = "/v1/settings", tag = "Settings", responses((status = 200, body = SettingsReply)))]
pub(crate) async fn get_settings(State(desk): State<Desk>, caller: Caller) -> Result<Json<SettingsReply>, Problem> {
    settings(&desk, caller).await.map(Json)
}

async fn settings(desk: &Desk, caller: Caller) -> Result<SettingsReply, Problem> {
    let default_webhook = match desk.store().default_webhook(caller.account, Dialect::Native).await? {
        None => None,
        Some(webhook) => {
            let endpoint = desk.store().endpoint(caller.account, webhook.endpoint).await?;
            Some(WebhookReply {
                url: endpoint.url.to_string(),
                events: webhook.events.patterns().to_vec(),
                headers: masked(&endpoint.headers),
                tls: TlsReply::of(&endpoint.tls),
                endpoint: endpoint.id.to_string(),
            })
        }
    };
    Ok(SettingsReply { default_webhook, quotas: desk.quotas(caller).await? })
}

/// Change the settings
///
/// `{"default_webhook": null}` removes the default webhook.
#[utoipa::path(put, path = "/v1/settings", tag = "Settings", request_body = openapi::SettingsRequest,
    responses((status = 200, body = SettingsReply), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn put_settings(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<Json<SettingsReply>, Problem> {
    let request = native::request::settings(json.value, &desk).map_err(Problem::invalid)?;
    desk.change_settings(caller, Dialect::Native, request).await?;
    settings(&desk, caller).await.map(Json)
}

/// Test the default webhook
///
/// Sends `webhook.test` through the real delivery path and responds with the result.
#[utoipa::path(post, path = "/v1/settings/webhook/test", tag = "Settings",
    responses((status = 200, body = TestReply), (status = 409, body = Problem, description = "There is no default webhook to test")))]
pub(crate) async fn test_default_webhook(State(desk): State<Desk>, caller: Caller) -> Result<Json<TestReply>, Problem> {
    let Some(webhook) = desk.store().default_webhook(caller.account, Dialect::Native).await? else {
        let detail = "there is no default webhook to test: set one with PUT /v1/settings";
        return Err(Problem::conflict("no_default_webhook", detail));
    };
    let endpoint = desk.store().endpoint(caller.account, webhook.endpoint).await?;
    Ok(Json(desk.test_endpoint(caller, &endpoint).await?.into()))
}

/// Get the account's webhook secret
///
/// The secret signs for the default webhook and for the webhooks of jobs.
#[utoipa::path(get, path = "/v1/settings/webhook/secret", tag = "Settings", responses((status = 200, body = SecretReply)))]
pub(crate) async fn get_webhook_secret(State(desk): State<Desk>, caller: Caller) -> Result<Json<SecretReply>, Problem> {
    let secrets = desk.ensure_account_secrets(caller).await?;
    let Some(secret) = secrets.into_iter().find(|secret| secret.scheme == HMAC) else {
        return Err(Problem::internal());
    };
    Ok(Json(SecretReply { secret: secret.text, old_secret_until: None }))
}

/// Rotate the account's webhook secret
///
/// Both the new and the old secret sign during the overlap.
#[utoipa::path(post, path = "/v1/settings/webhook/secret/rotate", tag = "Settings", request_body = Option<openapi::RotateRequest>,
    responses((status = 200, body = SecretReply), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn rotate_webhook_secret(
    State(desk): State<Desk>,
    caller: Caller,
    OptionalJson(value): OptionalJson,
) -> Result<Json<SecretReply>, Problem> {
    let (secret, overlap) = rotation(value)?;
    desk.ensure_account_secrets(caller).await?;
    let secret = desk.rotate_secret(SealedFor::Account(caller.account), secret, overlap).await?;
    let until = desk.ambient().now() + overlap;
    Ok(Json(SecretReply { secret, old_secret_until: Some(until.to_string()) }))
}

/// List the public keys
///
/// Any receiver of the account can verify `v1a` signatures with these keys.
#[utoipa::path(get, path = "/v1/webhook-keys", tag = "Settings", responses((status = 200, body = WebhookKeys)))]
pub(crate) async fn list_webhook_keys(State(desk): State<Desk>, caller: Caller) -> Result<Json<WebhookKeys>, Problem> {
    let secrets = desk.ensure_account_secrets(caller).await?;
    let keys = secrets
        .iter()
        .filter(|secret| secret.scheme == "ed25519")
        .filter_map(|secret| Some((secret.id, SigningKey::parse(&secret.text).ok()?)))
        .map(|(id, key)| WebhookKey { id: id.to_string(), public: key.public_key().to_string(), active: true })
        .collect();
    Ok(Json(WebhookKeys { keys }))
}
