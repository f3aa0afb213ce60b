//! Verbs that send again: all that an endpoint missed, or one event.

use reelhook_dialects::native::reply::DeliveryReply;
use reelhook_domain::id::{DeliveryId, EndpointId, EventId};
use reelhook_domain::time::Timestamp;
use reelhook_store::{Body, NewDelivery, Span, Start};

use super::{Caller, Desk};
use crate::problem::{Problem, missing};
use crate::throttle::ByHand;

/// Most deliveries in one transaction: a few milliseconds, between which everybody else writes.
const STEP: u32 = 200;
/// Most deliveries of one request; more are left to the next.
const MOST: u32 = 100_000;

/// What a recovery came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// How many deliveries are on their way again.
    pub(crate) count: u32,
    /// Whether there are more of them.
    pub(crate) more: bool,
}

impl Desk {
    /// Counts what is done by hand.
    pub(crate) fn throttle(&self, caller: Caller, what: ByHand) -> Result<(), Problem> {
        self.inner.throttle.take(caller.account, what, self.ambient().now())
    }

    /// Sends an ended delivery again.
    pub(crate) async fn resend(&self, caller: Caller, id: DeliveryId) -> Result<DeliveryReply, Problem> {
        self.throttle(caller, ByHand::Delivery)?;
        let delivery = self.store().resend(caller.account, id).await.map_err(missing("delivery"))?;
        self.show_delivery(&delivery, &[]).await
    }

    /// Cancels a delivery that waits.
    pub(crate) async fn cancel_delivery(&self, caller: Caller, id: DeliveryId) -> Result<DeliveryReply, Problem> {
        self.throttle(caller, ByHand::Delivery)?;
        let delivery = self.store().cancel_delivery(caller.account, id).await.map_err(missing("delivery"))?;
        self.show_delivery(&delivery, &[]).await
    }

    /// Offers an endpoint all that was given up of what was made since then.
    ///
    /// # Cancel safety
    /// Done in steps, each whole; a caller who leaves has recovered some, and asks again for the others.
    pub(crate) async fn recover(
        &self,
        caller: Caller,
        endpoint: EndpointId,
        since: Timestamp,
    ) -> Result<Recovered, Problem> {
        self.called_endpoint(caller, endpoint).await?;
        self.throttle(caller, ByHand::Recovery)?;
        let span = Span { since, until: self.ambient().now() };
        let mut count = 0;
        while count < MOST && !self.stop().is_cancelled() {
            let step = self.store().recover(caller.account, endpoint, span, STEP).await.map_err(missing("endpoint"))?;
            count += step;
            if step < STEP {
                return Ok(Recovered { count, more: false });
            }
        }
        Ok(Recovered { count, more: true })
    }

    /// Sends one event to one endpoint, whether or not it had it before.
    pub(crate) async fn replay(
        &self,
        caller: Caller,
        endpoint: EndpointId,
        event: EventId,
    ) -> Result<DeliveryReply, Problem> {
        let endpoint = self.store().endpoint(caller.account, endpoint).await.map_err(missing("endpoint"))?;
        let event = self.store().event(caller.account, event).await.map_err(missing("event"))?;
        self.throttle(caller, ByHand::Delivery)?;
        let body = reelhook_dialects::payload(endpoint.dialect, &event, self.link_to()).map_err(|error| {
            tracing::error!(error = %error, "a stored event cannot be shown");
            Problem::internal()
        })?;
        let Some(body) = body else {
            let message =
                format!("has the type {}, which {} does not send", event.kind.as_str(), endpoint.dialect.as_str());
            return Err(Problem::violation("event", event.id.to_string().into(), message));
        };
        let delivery = NewDelivery {
            id: self.ambient().id(),
            account: caller.account,
            event: event.id,
            event_type: event.kind.as_str().to_owned(),
            job: event.job,
            endpoint: endpoint.id,
            dialect: endpoint.dialect,
            body: Body::of(&event, endpoint.dialect, body),
            start: Start::Held,
        };
        let delivery = self.store().replay(delivery).await.map_err(missing("event"))?;
        self.show_delivery(&delivery, &[]).await
    }
}
