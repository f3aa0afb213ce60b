//! What is around deliveries when they are shown: their endpoints, their lanes, and the time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use reelhook_dialects::native::reply::{DeliveryReply, Outlook};
use reelhook_domain::delivery::{Attempt, Delivery, DeliveryState, Wait};
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::id::{DeliveryId, EndpointId};
use reelhook_domain::time::Timestamp;

use super::Desk;
use crate::problem::Problem;

/// Says what each of these deliveries waits for, as far as this process has taken it.
pub type Lookout =
    Arc<dyn Fn(Vec<(EndpointId, DeliveryId)>) -> BoxFuture<'static, HashMap<DeliveryId, Wait>> + Send + Sync>;

/// The endpoints of some deliveries that have not ended, as they are now.
#[derive(Debug)]
pub(crate) struct Around {
    endpoints: HashMap<EndpointId, Endpoint>,
    in_lanes: HashMap<DeliveryId, Wait>,
    now: Timestamp,
}

impl Around {
    /// What is around one of them.
    pub(crate) fn of(&self, delivery: &Delivery) -> Outlook<'_> {
        let in_lane = self.in_lanes.get(&delivery.id).copied();
        Outlook { endpoint: self.endpoints.get(&delivery.endpoint), in_lane, now: self.now }
    }
}

impl Desk {
    /// Looks around those deliveries.
    pub(crate) async fn around(&self, deliveries: &[Delivery]) -> Result<Around, Problem> {
        let waiting = deliveries.iter().filter(|delivery| delivery.finished_at.is_none());
        let ids: Vec<_> = waiting.map(|delivery| delivery.endpoint).collect::<HashSet<_>>().into_iter().collect();
        let found = if ids.is_empty() { Vec::new() } else { self.store().endpoints_by_id(&ids).await? };
        let endpoints = found.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect();
        let taken = deliveries.iter().filter(|delivery| matches!(delivery.state, DeliveryState::Sending { .. }));
        let in_lanes = (self.lookout())(taken.map(|delivery| (delivery.endpoint, delivery.id)).collect()).await;
        Ok(Around { endpoints, in_lanes, now: self.ambient().now() })
    }

    /// One delivery as it is shown.
    pub(crate) async fn show_delivery(
        &self,
        delivery: &Delivery,
        attempts: &[Attempt],
    ) -> Result<DeliveryReply, Problem> {
        let around = self.around(std::slice::from_ref(delivery)).await?;
        Ok(DeliveryReply::of(delivery, attempts, around.of(delivery)))
    }
}
