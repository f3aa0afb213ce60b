//! RemoveBGVideo's routes.

use axum::Router;

use crate::desk::Desk;

/// Every path of the service, from its root.
pub(super) fn routes() -> Router<Desk> {
    Router::new()
}
