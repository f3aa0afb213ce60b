//! Testing an endpoint: `webhook.test` through the real delivery path, and what came of it.

use std::time::Duration;

use reelhook_dialects::native::reply::{AttemptReply, WaitingReply};
use reelhook_domain::delivery::{Delivery, DeliveryState};
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::event::{Data, EventType};
use reelhook_store::{DeliveryFilter, NewEvent, Page, Topic};
use serde_json::json;
use tokio::time::Instant;

use super::{Caller, Desk};
use crate::problem::Problem;
use crate::throttle::ByHand;

/// How much longer than an attempt may take is waited for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a test call came to.
#[derive(Debug)]
pub(crate) struct TestOutcome {
    pub(crate) status: Option<u16>,
    pub(crate) ok: bool,
    pub(crate) attempt: Option<AttemptReply>,
    pub(crate) reason: Option<String>,
    /// Why no attempt was made.
    pub(crate) waiting: Option<WaitingReply>,
}

impl Desk {
    /// Sends `webhook.test` to an endpoint and waits for what comes of its first attempt, unless there will be none soon.
    /// Either way the test ends with the answer.
    pub(crate) async fn test_endpoint(&self, caller: Caller, endpoint: &Endpoint) -> Result<TestOutcome, Problem> {
        self.throttle(caller, ByHand::Test)?;
        let mut settled = self.store().wakes().listen(Topic::Settled);
        let mut offered = self.store().wakes().listen(Topic::Delivery);
        let event = NewEvent {
            id: self.ambient().id(),
            account: caller.account,
            kind: EventType::ours(EventType::WEBHOOK_TEST),
            data: Data::of(&json!({
                "endpoint": endpoint.id,
                "message": "This is a test. If you can read it and its signature is right, your receiver is ready.",
            })),
            only: Some(endpoint.id),
        };
        let id = event.id;
        self.store().publish(vec![event]).await?;
        let filter = DeliveryFilter {
            endpoint: Some(endpoint.id),
            event_type: Some(EventType::WEBHOOK_TEST.to_owned()),
            ..DeliveryFilter::default()
        };
        let deadline = Instant::now() + endpoint.timeout() + PATIENCE;
        let page = Page { before: None, limit: 20 };
        loop {
            let deliveries = self.store().list_deliveries(caller.account, &filter, page).await?;
            let delivery = deliveries.iter().find(|delivery| delivery.event == id);
            let left = deadline.saturating_duration_since(Instant::now());
            match delivery {
                Some(delivery) if delivery.attempts > 0 => return self.attempted(caller, delivery).await,
                Some(delivery) if left.is_zero() || self.waits_longer_than(left, delivery) => {
                    return self.not_attempted(caller, delivery).await;
                }
                None if left.is_zero() => return Ok(TestOutcome::none(None)),
                Some(_) | None => {}
            }
            // Settling is told within this process; another node's is only seen by looking.
            let look_again = Instant::now() + left.min(Duration::from_secs(1));
            tokio::select! {
                () = settled.wait() => {}
                () = offered.wait() => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }

    /// Whether no attempt is made within that time.
    fn waits_longer_than(&self, left: Duration, delivery: &Delivery) -> bool {
        match delivery.state {
            DeliveryState::Scheduled { due } => due.since(self.ambient().now()) > left,
            DeliveryState::Sending { .. } => false,
            DeliveryState::Held | DeliveryState::Delivered | DeliveryState::Exhausted | DeliveryState::Canceled => true,
        }
    }

    async fn attempted(&self, caller: Caller, delivery: &Delivery) -> Result<TestOutcome, Problem> {
        let record = self.store().delivery(caller.account, delivery.id).await?;
        self.end_test(caller, delivery).await;
        let attempt = record.attempts.first().map(AttemptReply::of);
        let status = attempt.as_ref().and_then(|attempt| attempt.status);
        let ok = status.is_some_and(|status| (200..300).contains(&status));
        let reason = attempt.as_ref().filter(|_| !ok).map(|attempt| attempt.outcome.clone());
        Ok(TestOutcome { status, ok, attempt, reason, waiting: None })
    }

    async fn not_attempted(&self, caller: Caller, delivery: &Delivery) -> Result<TestOutcome, Problem> {
        let waiting = self.show_delivery(delivery, &[]).await?.waiting;
        self.end_test(caller, delivery).await;
        Ok(TestOutcome::none(waiting))
    }

    /// One try is a test; the schedule would make it a nuisance.
    async fn end_test(&self, caller: Caller, delivery: &Delivery) {
        if let Err(error) = self.store().cancel_delivery(caller.account, delivery.id).await {
            tracing::debug!(error = %error, "the test delivery had ended");
        }
    }
}

impl TestOutcome {
    fn none(waiting: Option<WaitingReply>) -> Self {
        let reason = waiting.as_ref().map_or("not_fanned_out", |waiting| &waiting.reason).to_owned();
        Self { status: None, ok: false, attempt: None, reason: Some(reason), waiting }
    }
}
