//! Xora's routes, below `/v1` as its programs call them and below `/api/v1` as its pages do.

use axum::extract::{OriginalUri, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue,
};
use reelhook_dialects::xora::request::{SettingsChange, Wrong};
use reelhook_dialects::{BelievedPlace, DestinationPaths, DestinationRequest, SettingsRequest, xora};
use reelhook_domain::id::{JobId, OriginId};
use reelhook_domain::job::{Dialect, Job, ONLY_INPUT};
use reelhook_domain::origin::OriginStatus;
use reelhook_store::{JobFilter, Retry, StoreError, Submitted};
use serde_json::{Value, json};
use url::Url;

use crate::auth::ServiceCaller;
use crate::body;
use crate::desk::{Caller, Desk, JobInput};
use crate::problem::{Problem, missing};
use crate::routes::listing::{Query, next_cursor};

/// Every path of the service, from its root.
pub(super) fn routes() -> Router<Desk> {
    Router::new().merge(below("/v1")).merge(below("/api/v1")).layer(middleware::from_fn(for_pages))
}

fn below(root: &str) -> Router<Desk> {
    let path = |rest: &str| format!("{root}{rest}");
    Router::new()
        .route(&path("/jobs"), post(create_job).get(list_jobs).options(preflight))
        .route(&path("/jobs/{id}"), get(get_job).delete(cancel_job).options(preflight))
        .route(&path("/jobs/{id}/retry"), post(retry_job).options(preflight))
        .route(&path("/jobs/{id}/cancel"), post(cancel_job).options(preflight))
        .route(&path("/settings"), get(get_settings).post(change_settings).put(change_settings).options(preflight))
        .route(&path("/settings/webhook/test"), post(test_webhook).options(preflight))
        .route(&path("/settings/storage-providers"), post(create_provider).options(preflight))
        .route(&path("/settings/storage-providers/{id}/test"), post(test_provider).options(preflight))
}

async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Lets pages of other sites call, as the service does.
async fn for_pages(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, X-API-KEY"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The job that a path names.
fn named(id: &str) -> Result<JobId, Problem> {
    xora::job_id(id).ok_or_else(|| Problem::not_found("job"))
}

/// The service's words for our paths.
fn spelled(path: &str) -> String {
    match path {
        "webhook.url" => "webhookUrl".to_owned(),
        "destination.origin" => "defaultStorageProviderId".to_owned(),
        "default_webhook.url" => "defaultWebhookUrl".to_owned(),
        other => other.to_owned(),
    }
}

/// The same, of the paths of a job with inputs of those names: `inputs[0].url` is `input_files.in_1`.
fn spelled_input(path: &str, names: &[String]) -> String {
    let index = match path {
        "input.url" => Some(0),
        _ => {
            path.strip_prefix("inputs[").and_then(|rest| rest.strip_suffix("].url")).and_then(|text| text.parse().ok())
        }
    };
    match index.and_then(|index: usize| names.get(index)) {
        Some(name) if name != ONLY_INPUT => format!("input_files.{name}"),
        _ => spelled(path),
    }
}

async fn create_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let mut request = xora::request::job(json.value).map_err(|wrong| match wrong {
        Wrong::Invalid(violations) => Problem::invalid(violations),
        Wrong::Unsupported(message) => Problem::new(StatusCode::BAD_REQUEST, "unsupported_command", message),
    })?;
    let provider = desk.store().default_origin(caller.account, Dialect::Xora).await?;
    request.destination = provider.map(|origin| DestinationRequest {
        origin,
        believed: BelievedPlace::default(),
        paths: DestinationPaths::Templates { prefix: None, each: Vec::new() },
    });
    let names: Vec<_> = request.inputs.iter().map(|input| input.name.clone()).collect();
    let submitted = desk.submit(caller, request, JobInput::Asked, None).await;
    match submitted.map_err(|problem| problem.with_paths(|path| spelled_input(path, &names)))? {
        Submitted::New(job) | Submitted::Repeated(job) => Ok((StatusCode::ACCEPTED, Json(xora::reply::accepted(&job)))),
        Submitted::Conflict => Err(Problem::internal()),
    }
}

async fn get_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(xora::reply::job(&find(&desk, caller, &id).await?, desk.link_to())))
}

async fn find(desk: &Desk, caller: Caller, id: &str) -> Result<Job, Problem> {
    desk.store().job(caller.account, named(id)?).await.map_err(missing("job"))
}

async fn list_jobs(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Problem> {
    let mut query = Query::of(&uri);
    let page = query.page();
    query.finish()?;
    let jobs = desk.list_jobs(caller, &JobFilter::default(), page).await?;
    let cursor = next_cursor(page, jobs.len(), jobs.last().map(|job| job.id));
    Ok(Json(xora::reply::jobs(&jobs, cursor.as_deref(), desk.link_to())))
}

async fn retry_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    desk.retry_job(caller, named(&id)?, Retry::FailedOutputs).await?;
    Ok((StatusCode::ACCEPTED, Json(xora::reply::accepted(&find(&desk, caller, &id).await?))))
}

async fn cancel_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    desk.cancel_job(caller, named(&id)?).await?;
    Ok(Json(xora::reply::accepted(&find(&desk, caller, &id).await?)))
}

/// The URL of the default webhook.
async fn default_url(desk: &Desk, caller: Caller) -> Result<Option<Url>, Problem> {
    let Some(webhook) = desk.store().default_webhook(caller.account, Dialect::Xora).await? else { return Ok(None) };
    Ok(Some(desk.store().endpoint(caller.account, webhook.endpoint).await?.url))
}

async fn settings(desk: &Desk, caller: Caller) -> Result<Json<Value>, Problem> {
    let url = default_url(desk, caller).await?;
    let provider = desk.store().default_origin(caller.account, Dialect::Xora).await?;
    let changed_at = desk.store().settings_changed_at(caller.account, Dialect::Xora).await?;
    Ok(Json(xora::reply::settings(url.as_ref(), provider, changed_at)))
}

async fn get_settings(State(desk): State<Desk>, ServiceCaller(caller): ServiceCaller) -> Result<Json<Value>, Problem> {
    settings(&desk, caller).await
}

async fn change_settings(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let change = xora::request::settings(json.value).map_err(Problem::invalid)?;
    let provider = match change.storage_provider {
        Some(Some(text)) => Some(Some(provider(&desk, caller, &text).await?)),
        Some(None) => Some(None),
        None => None,
    };
    if let Some(webhook) = change.webhook {
        let request = SettingsRequest { default_webhook: webhook.map(SettingsChange::webhook_of) };
        let changed = desk.change_settings(caller, Dialect::Xora, request).await;
        changed.map_err(|problem| problem.with_paths(spelled))?;
    }
    if let Some(provider) = provider {
        desk.store().set_default_origin(caller.account, Dialect::Xora, provider).await?;
    }
    settings(&desk, caller).await
}

/// The storage provider that the settings name.
async fn provider(desk: &Desk, caller: Caller, text: &str) -> Result<OriginId, Problem> {
    let refused =
        || Problem::violation("defaultStorageProviderId", text.into(), "is not a storage provider of this account");
    let id = xora::provider_id(text).ok_or_else(refused)?;
    match desk.store().origin(caller.account, id).await {
        Ok(origin) if origin.status != OriginStatus::Archived && origin.permissions.write => Ok(id),
        Ok(_) | Err(StoreError::NotFound) => Err(refused()),
        Err(error) => Err(error.into()),
    }
}

async fn create_provider(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let asked = xora::provider::read(&json.value).map_err(Problem::invalid)?;
    let created = desk.create_origin(caller, asked.origin).await;
    let origin = created.map_err(|problem| problem.with_paths(xora::provider::spelled))?;
    if asked.make_default {
        desk.store().set_default_origin(caller.account, Dialect::Xora, Some(origin.id)).await?;
    }
    Ok((StatusCode::CREATED, Json(xora::provider::reply(&origin, asked.make_default))))
}

/// Writes, reads and removes a small object there.
async fn test_provider(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = xora::provider_id(&id).ok_or_else(|| Problem::not_found("storage provider"))?;
    let origin = desk.validate_origin(caller, id).await?;
    Ok(Json(json!({"ok": origin.status == OriginStatus::Active})))
}

async fn test_webhook(State(desk): State<Desk>, ServiceCaller(caller): ServiceCaller) -> Result<Json<Value>, Problem> {
    let Some(webhook) = desk.store().default_webhook(caller.account, Dialect::Xora).await? else {
        let message = "is not set: there is no webhook to test";
        return Err(Problem::violation("defaultWebhookUrl", Value::Null, message));
    };
    let endpoint = desk.store().endpoint(caller.account, webhook.endpoint).await?;
    let outcome = desk.test_endpoint(caller, &endpoint).await?;
    // A receiver that gave no answer has no status.
    Ok(Json(json!({"ok": outcome.ok, "status": outcome.status.unwrap_or(0)})))
}
