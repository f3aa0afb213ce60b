//! `/v1/events`: a caller's own events.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reelhook_dialects::native;
use reelhook_store::{Idempotency, NewEvent};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::{self, JsonBytes};
use crate::desk::{Caller, Desk};
use crate::idempotency::{IdempotencyKey, conflict, fingerprint};
use crate::openapi;
use crate::problem::Problem;

/// The published events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    /// Ids of the events, in the order of the request.
    ids: Vec<String>,
}

/// Publish events
///
/// Publishes one event, or up to 500 as `{"events": [...]}`, to the account's endpoints whose filter matches. Either all of
/// them are accepted or none. With an `Idempotency-Key`, a repeated request gets the response of the first one, and nothing
/// is sent twice.
#[utoipa::path(post, path = "/v1/events", tag = "Webhooks", request_body = openapi::PublishRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; stored for 24 hours")),
    responses((status = 202, body = Published), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn publish_events(
    State(desk): State<Desk>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    JsonBytes(bytes): JsonBytes,
) -> Result<(StatusCode, Json<Published>), Problem> {
    let events = match native::publication::read(&bytes) {
        Some(events) => events,
        None => native::request::publish(body::parse(&bytes)?).map_err(Problem::invalid)?,
    };
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
    let deliveries = desk.admit_events(caller.account, &events).await?;
    let Some(key) = key else {
        let ids = events.iter().map(|event| event.id.to_string()).collect();
        desk.store().publish(events).await?;
        return Ok((StatusCode::ACCEPTED, Json(Published { ids })));
    };
    fail::fail_point!("api.before_publish");
    let idempotency = Idempotency { key, fingerprint: fingerprint(&bytes, &[]) };
    let ids = match desk.store().publish_once(caller.account, events, idempotency).await? {
        reelhook_store::Published::New(ids) => ids,
        reelhook_store::Published::Repeated(ids) => {
            desk.give_back_events(caller.account, deliveries);
            ids
        }
        reelhook_store::Published::Conflict => {
            desk.give_back_events(caller.account, deliveries);
            return Err(conflict());
        }
    };
    fail::fail_point!("api.after_publish");
    Ok((StatusCode::ACCEPTED, Json(Published { ids: ids.iter().map(ToString::to_string).collect() })))
}
