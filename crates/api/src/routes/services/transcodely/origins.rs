//! `OriginService`.

use axum::Json;
use axum::extract::State;
use reelhook_dialects::transcodely::{reply, request};
use reelhook_domain::id::OriginId;
use reelhook_domain::origin::Origin;
use reelhook_store::{OriginChange, Page};
use serde_json::{Value, json};

use crate::auth::ServiceCaller;
use crate::body;
use crate::desk::Desk;
use crate::problem::{Problem, missing};

fn origin_id(value: Value) -> Result<OriginId, Problem> {
    let id = request::id(value).map_err(Problem::invalid)?;
    id.parse().map_err(|_| Problem::not_found("origin"))
}

/// An origin, and what came of its last check.
fn checked(origin: &Origin) -> Json<Value> {
    let validation = origin.validation.as_ref().map(reply::ValidationReply::of);
    Json(json!({"origin": reply::OriginReply::of(origin), "validation": validation}))
}

/// Keeps an origin, checked; one that cannot be used is kept too, and says why.
pub(super) async fn create(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let asked = request::origin(json.value).map_err(Problem::invalid)?;
    Ok(checked(&desk.create_origin(caller, asked).await?))
}

pub(super) async fn get(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let origin = desk.store().origin(caller.account, origin_id(json.value)?).await.map_err(missing("origin"))?;
    Ok(Json(json!({"origin": reply::OriginReply::of(&origin)})))
}

/// Keeps what is said anew of an origin, checked; what is left out stays.
pub(super) async fn update(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let id = origin_id(json.value.clone())?;
    let (origin, credentials) = desk.origin_with_credentials(caller, id).await?;
    let asked = request::origin_update(json.value, &origin, &credentials).map_err(Problem::invalid)?;
    Ok(checked(&desk.change_origin(caller, id, asked).await?))
}

/// Checks an origin again.
pub(super) async fn validate(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    Ok(checked(&desk.validate_origin(caller, origin_id(json.value)?).await?))
}

/// Takes an origin away; its credentials are erased.
pub(super) async fn archive(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let id = origin_id(json.value)?;
    let origin = desk.store().change_origin(caller.account, id, OriginChange::Archived).await;
    Ok(Json(json!({"origin": reply::OriginReply::of(&origin.map_err(missing("origin"))?)})))
}

/// Origins that were not archived, newest first.
pub(super) async fn list(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let asked = request::list(json.value).map_err(Problem::invalid)?;
    let page = Page { before: asked.after, limit: asked.limit };
    let origins = desk.store().list_origins(caller.account, page).await?;
    let next = origins.last().map(|origin| origin.id).filter(|_| origins.len() == asked.limit as usize);
    let shown: Vec<_> = origins.iter().map(reply::OriginReply::of).collect();
    let total = origins.len() as u64;
    Ok(Json(json!({"origins": shown, "pagination": reply::pagination(next.map(OriginId::bare), total)})))
}
