//! Why a delivery waits, and until when.
//!
//! The store keeps the word and the time that were true when the delivery was put back. What came between since is known
//! of its endpoint: a circuit that opened, or stays open for longer, leaves what is due where it is. So the endpoint is
//! asked first, and a time that has passed is none.

use reelhook_domain::delivery::{Delivery, DeliveryState, Wait};
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::reply::PULL_SCHEME;

/// Why a job or a delivery waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Waiting)]
pub struct WaitingReply {
    /// The reason. For a job, a text such as `queued behind 3 jobs`, or `confirmation`. For a delivery, one word:
    /// `queued` (due, and about to be claimed), `sending` (the request was sent), `rate` (the rate limit of the
    /// endpoint), `concurrency` (the endpoint has as many open requests as its lane allows), `job_order` (an earlier
    /// event of the job), `turn` (the requests to other endpoints), `in_lane` (one of the five before; another process
    /// knows which), `lane_full` (due, and the lane has no space yet), `first_wait` (the first wait of the schedule),
    /// `backoff` (the wait after a failed attempt), `retry_after` (the receiver asked for it), `circuit_open` (the
    /// endpoint failed too often in a row), `endpoint_disabled` (held until the endpoint is enabled), `pull` (held
    /// until the receiver fetches it), `no_signing_secret` (no secret signs for the endpoint), `unusable_tls` (a
    /// certificate or key of the endpoint cannot be used; the log says why), `out_of_resources` (the
    /// server has no descriptor, memory or port to spare; no attempt was made), `store_unavailable` or `internal_error`
    /// (the server failed), `superseded` (a later event of the job replaces it).
    pub reason: String,
    /// End of the wait; null if it does not depend on a time.
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// What a delivery looks like to whoever asks why it waits.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// Its endpoint, unless it was deleted.
    pub endpoint: Option<&'a Endpoint>,
    /// What it waits for, where this process has taken it.
    pub in_lane: Option<Wait>,
    /// The time of asking.
    pub now: Timestamp,
}

impl Outlook<'_> {
    /// Why that delivery waits, where it does.
    pub(super) fn waiting(self, delivery: &Delivery) -> Option<WaitingReply> {
        let (reason, until) = match delivery.state {
            DeliveryState::Scheduled { due } => self.scheduled(delivery, due),
            DeliveryState::Sending { .. } => self.in_lane.map_or(("in_lane", None), |wait| (wait.reason, wait.until)),
            DeliveryState::Held if self.endpoint.is_some_and(|endpoint| endpoint.url.scheme() == PULL_SCHEME) => {
                ("pull", None)
            }
            DeliveryState::Held => ("endpoint_disabled", None),
            DeliveryState::Delivered | DeliveryState::Exhausted | DeliveryState::Canceled => return None,
        };
        Some(WaitingReply { reason: reason.to_owned(), until: until.map(|until| until.to_string()) })
    }

    /// The earliest time of the next attempt, where a time decides it; one that has passed says that it is due.
    pub(super) fn next_attempt_at(self, delivery: &Delivery) -> Option<String> {
        let at = match delivery.state {
            DeliveryState::Scheduled { due } => self.scheduled(delivery, due).1.unwrap_or(due),
            DeliveryState::Sending { .. } => self.in_lane?.until?,
            DeliveryState::Held | DeliveryState::Delivered | DeliveryState::Exhausted | DeliveryState::Canceled => {
                return None;
            }
        };
        Some(at.to_string())
    }

    fn scheduled(self, delivery: &Delivery, due: Timestamp) -> (&str, Option<Timestamp>) {
        let circuit = self.endpoint.map(|endpoint| endpoint.circuit.admit(self.now));
        match circuit {
            Some(Err(Some(until))) if until >= due => return ("circuit_open", Some(until)),
            // One request is out, and what comes of it decides.
            Some(Err(None)) if due <= self.now => return ("circuit_open", None),
            Some(Ok(_) | Err(_)) | None => {}
        }
        let kept = delivery.waiting_reason.as_deref();
        if due > self.now {
            return (kept.unwrap_or("queued"), Some(due));
        }
        (kept.filter(|reason| *reason == "lane_full").unwrap_or("queued"), None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reelhook_domain::circuit::Circuit;
    use reelhook_domain::endpoint::{EndpointRole, EndpointState};
    use reelhook_domain::event::EventFilter;
    use reelhook_domain::id::{AccountId, DeliveryId, EndpointId, EventId};
    use reelhook_domain::job::Dialect;
    use reelhook_domain::tls::EndpointTls;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn endpoint(url: &str, circuit: Circuit) -> Endpoint {
        Endpoint {
            id: EndpointId::from_bits(1),
            account: AccountId::from_bits(1),
            role: EndpointRole::Registered,
            url: url.parse().unwrap(),
            events: EventFilter::default(),
            dialect: Dialect::Native,
            description: String::new(),
            headers: Default::default(),
            retry: None,
            rate: None,
            timeout_ms: 15_000,
            state: EndpointState::Enabled,
            disabled_reason: None,
            circuit,
            tls: EndpointTls::default(),
            failing: None,
            created_at: NOW,
        }
    }

    fn delivery(state: DeliveryState, reason: Option<&str>) -> Delivery {
        Delivery {
            id: DeliveryId::from_bits(1),
            account: AccountId::from_bits(1),
            event: EventId::from_bits(1),
            event_type: "a.b".to_owned(),
            job: None,
            endpoint: EndpointId::from_bits(1),
            sequence: 1,
            state,
            attempts: 0,
            schedule_offset: 0,
            waiting_reason: reason.map(str::to_owned),
            created_at: NOW,
            finished_at: None,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn what_came_between_is_known_of_the_endpoint() {
        let past = Timestamp::from_millis(999_000);
        let closed = Circuit::default();
        let open = Circuit::Open { until: after(30), times: 1 };
        let half_open = Circuit::HalfOpen { times: 1 };
        let is_over = Circuit::Open { until: past, times: 1 };
        let table = [
            // Circuit, due, the word that is kept; the word that is shown, until when, and the time of the next attempt.
            (closed, after(5), Some("backoff"), "backoff", Some(after(5)), after(5)),
            (closed, after(9), Some("retry_after"), "retry_after", Some(after(9)), after(9)),
            (closed, after(60), Some("no_signing_secret"), "no_signing_secret", Some(after(60)), after(60)),
            (closed, past, Some("backoff"), "queued", None, past),
            (closed, past, Some("lane_full"), "lane_full", None, past),
            (closed, NOW, None, "queued", None, NOW),
            // It opened, or was opened for longer, after the delivery was put back.
            (open, after(5), Some("backoff"), "circuit_open", Some(after(30)), after(30)),
            (open, past, Some("circuit_open"), "circuit_open", Some(after(30)), after(30)),
            (open, past, Some("lane_full"), "circuit_open", Some(after(30)), after(30)),
            (open, after(300), Some("backoff"), "backoff", Some(after(300)), after(300)),
            (half_open, past, Some("circuit_open"), "circuit_open", None, past),
            (half_open, after(5), Some("backoff"), "backoff", Some(after(5)), after(5)),
            (is_over, past, Some("circuit_open"), "queued", None, past),
        ];
        for (circuit, due, kept, reason, until, next) in table {
            let delivery = delivery(DeliveryState::Scheduled { due }, kept);
            let endpoint = endpoint("https://a.example/", circuit);
            let outlook = Outlook { endpoint: Some(&endpoint), in_lane: None, now: NOW };
            let shown = WaitingReply { reason: reason.to_owned(), until: until.map(|until| until.to_string()) };
            assert_eq!(outlook.waiting(&delivery), Some(shown), "{circuit:?} {due} {kept:?}");
            assert_eq!(outlook.next_attempt_at(&delivery), Some(next.to_string()), "{circuit:?} {due} {kept:?}");
        }
    }

    #[test]
    fn what_is_held_says_for_whom() {
        for (url, reason) in [("https://a.example/", "endpoint_disabled"), ("pull:endpoint", "pull")] {
            let endpoint = endpoint(url, Circuit::default());
            let outlook = Outlook { endpoint: Some(&endpoint), in_lane: None, now: NOW };
            let held = delivery(DeliveryState::Held, None);
            assert_eq!(outlook.waiting(&held), Some(WaitingReply { reason: reason.to_owned(), until: None }));
            assert_eq!(outlook.next_attempt_at(&held), None);
        }
    }

    #[test]
    fn what_a_server_has_says_what_its_lane_knows() {
        let taken = delivery(DeliveryState::Sending { until: after(60) }, None);
        let table = [
            (None, "in_lane", None),
            (Some(Wait::of("sending")), "sending", None),
            (Some(Wait { reason: "rate", until: Some(after(3)) }), "rate", Some(after(3).to_string())),
        ];
        for (in_lane, reason, until) in table {
            let outlook = Outlook { endpoint: None, in_lane, now: NOW };
            let shown = WaitingReply { reason: reason.to_owned(), until: until.clone() };
            assert_eq!((outlook.waiting(&taken), outlook.next_attempt_at(&taken)), (Some(shown), until));
        }
    }

    #[test]
    fn what_has_ended_waits_for_nothing() {
        for state in [DeliveryState::Delivered, DeliveryState::Exhausted, DeliveryState::Canceled] {
            let outlook = Outlook { endpoint: None, in_lane: None, now: NOW };
            assert_eq!(outlook.waiting(&delivery(state, None)), None);
            assert_eq!(outlook.next_attempt_at(&delivery(state, None)), None);
        }
    }
}
