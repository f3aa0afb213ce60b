//! `/v1/events`: a caller's own events.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reelhook_dialects::native;
use reelhook_store::NewEvent;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body;
use crate::desk::{Caller, Desk};
use crate::openapi;
use crate::problem::Problem;

/// What was published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    /// The ids of the events, in the order given.
    ids: Vec<String>,
}

/// Publish events
///
/// One event, or up to 500 as `{"events": [...]}`: each goes to the account's endpoints whose filter wants it.
#[utoipa::path(post, path = "/v1/events", tag = "Webhooks", request_body = openapi::PublishRequest,
    responses((status = 202, body = Published), (status = 422, body = Problem)))]
pub(crate) async fn publish_events(
    State(desk): State<Desk>,
    caller: Caller,
    json: body::Json,
) -> Result<(StatusCode, Json<Published>), Problem> {
    let events = native::request::publish(json.value).map_err(Problem::invalid)?;
    let events: Vec<_> = events
        .into_iter()
        .map(|event| NewEvent {
            id: desk.ambient().id(),
            account: caller.account,
            kind: event.kind,
            data: event.payload,
            only: None,
        })
        .collect();
    let ids = events.iter().map(|event| event.id.to_string()).collect();
    desk.store().publish(events).await?;
    Ok((StatusCode::ACCEPTED, Json(Published { ids })))
}
