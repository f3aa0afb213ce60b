//! `/v1/keys`.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use reelhook_dialects::native;
use reelhook_store::{ApiKey, NewApiKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::id;
use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::{Problem, missing};

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyReply {
    /// The id.
    id: String,
    /// Display name.
    name: String,
    /// The first characters of the key.
    hint: String,
    /// The key; present only in the response that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

/// The keys of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// Newest first.
    keys: Vec<KeyReply>,
}

fn reply(key: ApiKey, text: Option<String>) -> KeyReply {
    KeyReply {
        id: key.id.to_string(),
        name: key.name,
        hint: key.hint,
        key: text,
        created_at: key.created_at.to_string(),
        revoked_at: key.revoked_at.map(|at| at.to_string()),
    }
}

/// Create an API key
///
/// The response contains the key, which is not shown again.
#[utoipa::path(post, path = "/v1/keys", tag = "API keys", request_body = openapi::KeyRequest,
    responses((status = 201, body = KeyReply), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn create_key(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<(StatusCode, Json<KeyReply>), Problem> {
    let name = native::request::key(json.value).map_err(Problem::invalid)?;
    let (text, key) = NewApiKey::generate(caller.account, &name, desk.ambient());
    let key = desk.store().create_key(key).await?;
    Ok((StatusCode::CREATED, Json(reply(key, Some(text)))))
}

/// List API keys
#[utoipa::path(get, path = "/v1/keys", tag = "API keys", responses((status = 200, body = KeyList)))]
pub(crate) async fn list_keys(State(desk): State<Desk>, caller: Caller) -> Result<Json<KeyList>, Problem> {
    let keys = desk.store().list_keys(caller.account).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(|key| reply(key, None)).collect() }))
}

/// Revoke an API key
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "API keys", params(("id" = String, Path)),
    responses((status = 200, body = KeyReply), (status = 404, body = Problem)))]
pub(crate) async fn revoke_key(
    State(desk): State<Desk>,
    caller: Caller,
    Path(key): Path<String>,
) -> Result<Json<KeyReply>, Problem> {
    let key = desk.store().revoke_key(caller.account, id(&key, "key")?).await.map_err(missing("key"))?;
    Ok(Json(reply(key, None)))
}
