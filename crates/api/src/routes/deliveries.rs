//! `/v1/deliveries`.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use http::StatusCode;
use reelhook_dialects::native::reply::DeliveryReply;
use reelhook_domain::delivery::DeliveryState;
use reelhook_store::DeliveryFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Query, id, next_cursor};
use crate::desk::{Caller, Desk};
use crate::problem::{Problem, missing};

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    /// Deliveries, newest first. Their attempts are shown by `GET /v1/deliveries/{id}`.
    deliveries: Vec<DeliveryReply>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// List deliveries
#[utoipa::path(get, path = "/v1/deliveries", tag = "Webhooks",
    params(("endpoint" = Option<String>, Query), ("job" = Option<String>, Query),
        ("state" = Option<String>, Query, description = "Only this state"),
        ("event" = Option<String>, Query, description = "Only this event type"),
        ("since" = Option<String>, Query, description = "Created at or after this time (RFC 3339)"),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = DeliveryList), (status = 422, body = Problem)))]
pub(crate) async fn list_deliveries(
    State(desk): State<Desk>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<DeliveryList>, Problem> {
    let mut query = Query::of(&uri);
    let filter = DeliveryFilter {
        endpoint: query.parsed("endpoint"),
        job: query.parsed("job"),
        state: query.word("state", DeliveryState::NAMES),
        event_type: query.text("event"),
        since: query.parsed("since"),
    };
    let page = query.page();
    query.finish()?;
    let deliveries = desk.store().list_deliveries(caller.account, &filter, page).await?;
    let around = desk.around(&deliveries).await?;
    let next_cursor = next_cursor(page, deliveries.len(), deliveries.last().map(|delivery| delivery.id));
    Ok(Json(DeliveryList {
        deliveries: deliveries.iter().map(|delivery| DeliveryReply::of(delivery, &[], around.of(delivery))).collect(),
        next_cursor,
    }))
}

/// Get a delivery
///
/// The delivery with every attempt: its time, its address, how long each phase took, and the receiver's answer. While the
/// delivery waits, also why and until when.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = DeliveryReply), (status = 404, body = Problem)))]
pub(crate) async fn get_delivery(
    State(desk): State<Desk>,
    caller: Caller,
    Path(delivery): Path<String>,
) -> Result<Json<DeliveryReply>, Problem> {
    let record =
        desk.store().delivery(caller.account, id(&delivery, "delivery")?).await.map_err(missing("delivery"))?;
    Ok(Json(desk.show_delivery(&record.delivery, &record.attempts).await?))
}

/// Resend a delivery
///
/// Sends an ended delivery again, with the same id and content and new links. Its schedule starts again.
#[utoipa::path(post, path = "/v1/deliveries/{id}/resend", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 202, body = DeliveryReply), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem)))]
pub(crate) async fn resend_delivery(
    State(desk): State<Desk>,
    caller: Caller,
    Path(delivery): Path<String>,
) -> Result<(StatusCode, Json<DeliveryReply>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(desk.resend(caller, id(&delivery, "delivery")?).await?)))
}

/// Cancel a delivery
#[utoipa::path(post, path = "/v1/deliveries/{id}/cancel", tag = "Webhooks", params(("id" = String, Path)),
    responses((status = 200, body = DeliveryReply), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem)))]
pub(crate) async fn cancel_delivery(
    State(desk): State<Desk>,
    caller: Caller,
    Path(delivery): Path<String>,
) -> Result<Json<DeliveryReply>, Problem> {
    Ok(Json(desk.cancel_delivery(caller, id(&delivery, "delivery")?).await?))
}
