//! `/v1/origins`.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use http::StatusCode;
use reelhook_dialects::native::origin::{OriginReply, ValidationReply, read};
use reelhook_store::OriginChange;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Query, id, next_cursor};
use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::{Problem, missing};

/// Origins of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OriginList {
    /// Newest first.
    origins: Vec<OriginReply>,
    /// Ask with this for those after these; null at the end.
    next_cursor: Option<String>,
}

/// Create an origin
///
/// A bucket or server that you let us read or write. It is checked at once: an object named `reelhook-check` is written
/// below the base path and removed. An origin that fails the check is kept, with the reason and the status `failed`.
/// Credentials are sealed and never shown.
#[utoipa::path(post, path = "/v1/origins", tag = "Origins", request_body = openapi::OriginRequest,
    responses((status = 201, body = OriginReply), (status = 422, body = Problem)))]
pub(crate) async fn create_origin(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<(StatusCode, Json<OriginReply>), Problem> {
    let request = read(json.value).map_err(Problem::invalid)?;
    let origin = desk.create_origin(caller, request).await?;
    Ok((StatusCode::CREATED, Json(OriginReply::of(&origin))))
}

/// List origins
///
/// Those that were deleted are left out.
#[utoipa::path(get, path = "/v1/origins", tag = "Origins",
    params(("limit" = Option<u32>, Query, description = "1 to 100, 20 by default"),
        ("cursor" = Option<String>, Query, description = "A `next_cursor`")),
    responses((status = 200, body = OriginList), (status = 422, body = Problem)))]
pub(crate) async fn list_origins(
    State(desk): State<Desk>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<OriginList>, Problem> {
    let mut query = Query::of(&uri);
    let page = query.page();
    query.finish()?;
    let origins = desk.store().list_origins(caller.account, page).await?;
    let next_cursor = next_cursor(page, origins.len(), origins.last().map(|origin| origin.id));
    Ok(Json(OriginList { origins: origins.iter().map(OriginReply::of).collect(), next_cursor }))
}

/// Get an origin
///
/// One that was deleted is shown as `archived`, because jobs of old name it.
#[utoipa::path(get, path = "/v1/origins/{id}", tag = "Origins", params(("id" = String, Path)),
    responses((status = 200, body = OriginReply), (status = 404, body = Problem)))]
pub(crate) async fn get_origin(
    State(desk): State<Desk>,
    caller: Caller,
    Path(origin): Path<String>,
) -> Result<Json<OriginReply>, Problem> {
    let origin = desk.store().origin(caller.account, id(&origin, "origin")?).await.map_err(missing("origin"))?;
    Ok(Json(OriginReply::of(&origin)))
}

/// Delete an origin
///
/// Its credentials are erased at once, and no job may name it any more. What lies in it is not touched.
#[utoipa::path(delete, path = "/v1/origins/{id}", tag = "Origins", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn delete_origin(
    State(desk): State<Desk>,
    caller: Caller,
    Path(origin): Path<String>,
) -> Result<StatusCode, Problem> {
    let origin = id(&origin, "origin")?;
    desk.store().change_origin(caller.account, origin, OriginChange::Archived).await.map_err(missing("origin"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Validate an origin
///
/// Checks again what its permissions allow; what comes of it decides its status.
#[utoipa::path(post, path = "/v1/origins/{id}/validate", tag = "Origins", params(("id" = String, Path)),
    responses((status = 200, body = ValidationReply), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn validate_origin(
    State(desk): State<Desk>,
    caller: Caller,
    Path(origin): Path<String>,
) -> Result<Json<ValidationReply>, Problem> {
    let origin = desk.validate_origin(caller, id(&origin, "origin")?).await?;
    let validation = origin.validation.as_ref().map(ValidationReply::of);
    validation.map(Json).ok_or_else(Problem::internal)
}
