//! What is around deliveries when they are shown: their endpoints, and the time.

use std::collections::{HashMap, HashSet};

use reelhook_dialects::native::reply::{DeliveryReply, Outlook};
use reelhook_domain::delivery::{Attempt, Delivery};
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::id::EndpointId;
use reelhook_domain::time::Timestamp;

use super::Desk;
use crate::problem::Problem;

/// The endpoints of some deliveries that have not ended, as they are now.
#[derive(Debug)]
pub(crate) struct Around {
    endpoints: HashMap<EndpointId, Endpoint>,
    now: Timestamp,
}

impl Around {
    /// What is around one of them.
    pub(crate) fn of(&self, delivery: &Delivery) -> Outlook<'_> {
        Outlook { endpoint: self.endpoints.get(&delivery.endpoint), now: self.now }
    }
}

impl Desk {
    /// Looks around those deliveries.
    pub(crate) async fn around(&self, deliveries: &[Delivery]) -> Result<Around, Problem> {
        let waiting = deliveries.iter().filter(|delivery| delivery.finished_at.is_none());
        let ids: Vec<_> = waiting.map(|delivery| delivery.endpoint).collect::<HashSet<_>>().into_iter().collect();
        let found = if ids.is_empty() { Vec::new() } else { self.store().endpoints_by_id(&ids).await? };
        let endpoints = found.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect();
        Ok(Around { endpoints, now: self.ambient().now() })
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
