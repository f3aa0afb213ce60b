//! What the engine counts: atomics that its tasks bump, read as [`Family`]s by whoever shows them.
//!
//! Nothing here knows an endpoint or an account, so a thousand endpoints make no series more than one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reelhook_domain::delivery::{Attempt, Outcome};
use reelhook_domain::measure::{Count, Family, Level, Spread};
use reelhook_domain::time::Timestamp;
use reelhook_store::ClaimedDelivery;

/// What became of attempts, in the order of their counters.
const OUTCOMES: [&str; 15] = [
    "delivered",
    "http_3xx",
    "http_4xx",
    "http_429",
    "http_5xx",
    "http_other",
    "gone",
    "timeout",
    "refused",
    "reset",
    "dns",
    "tls",
    "blocked",
    "protocol",
    "failed",
];

/// The word for what became of an attempt; one of [`OUTCOMES`].
pub(crate) fn outcome_class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Status { status, .. } => match status {
            200..=299 => "delivered",
            300..=399 => "http_3xx",
            410 => "gone",
            429 => "http_429",
            400..=499 => "http_4xx",
            500..=599 => "http_5xx",
            _ => "http_other",
        },
        Outcome::Failed { kind, .. } => match kind.as_str() {
            "timeout" | "stalled" => "timeout",
            "refused" | "unreachable" => "refused",
            "reset" => "reset",
            "dns" => "dns",
            "tls" => "tls",
            "url_not_allowed" | "address_not_allowed" | "redirect_not_allowed" => "blocked",
            "protocol" | "too_large" => "protocol",
            _ => "failed",
        },
    }
}

/// How lanes are, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Lanes in memory.
    pub(crate) lanes: usize,
    /// Of them with an open circuit.
    pub(crate) open: usize,
    /// Of them with a probe out or due.
    pub(crate) half_open: usize,
    /// Of them for which more waits in the store.
    pub(crate) parked: usize,
}

/// The numbers of one engine. They are bumped without a lock, by the task that sees what they count.
#[derive(Debug)]
pub struct Meter {
    outcomes: [Count; OUTCOMES.len()],
    attempt: Spread,
    to_first_attempt: Spread,
    to_delivered: Spread,
    waiting: Level,
    in_flight: Level,
    lanes: Level,
    open: Level,
    half_open: Level,
    parked: Level,
    fanned_out: Count,
    fan_out_batch: Spread,
    settle_batch: Spread,
    settle: Spread,
    exhausted: Count,
    is_running: AtomicBool,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            outcomes: Default::default(),
            attempt: Spread::short_times(),
            to_first_attempt: Spread::long_times(),
            to_delivered: Spread::long_times(),
            waiting: Level::default(),
            in_flight: Level::default(),
            lanes: Level::default(),
            open: Level::default(),
            half_open: Level::default(),
            parked: Level::default(),
            fanned_out: Count::default(),
            fan_out_batch: Spread::sizes(),
            settle_batch: Spread::sizes(),
            settle: Spread::short_times(),
            exhausted: Count::default(),
            is_running: AtomicBool::new(false),
        }
    }
}

impl Meter {
    /// An attempt ended, at `now`.
    pub(crate) fn attempted(&self, work: &ClaimedDelivery, attempt: &Attempt, now: Timestamp) {
        let class = outcome_class(&attempt.outcome);
        if let Some(place) = OUTCOMES.iter().position(|&known| known == class) {
            self.outcomes[place].bump();
        }
        self.attempt.note(took(attempt));
        // The id of an event says when it was raised.
        let raised = work.delivery.event.made_at();
        if attempt.number == 1 {
            self.to_first_attempt.note(attempt.at.since(raised));
        }
        if attempt.outcome.is_success() {
            self.to_delivered.note(now.since(raised));
        }
    }

    /// Lanes hold so much now.
    pub(crate) fn load(&self, waiting: usize, in_flight: usize) {
        self.waiting.set(waiting);
        self.in_flight.set(in_flight);
    }

    /// Lanes are so now.
    pub(crate) fn survey(&self, survey: Survey) {
        self.lanes.set(survey.lanes);
        self.open.set(survey.open);
        self.half_open.set(survey.half_open);
        self.parked.set(survey.parked);
    }

    /// So many events were fanned out together, to so many deliveries.
    pub(crate) fn fanned_out(&self, events: usize, deliveries: usize) {
        self.fan_out_batch.note_size(events);
        self.fanned_out.add(deliveries as u64);
    }

    /// So many endings were written together, in that time.
    pub(crate) fn settled(&self, endings: usize, took: Duration) {
        self.settle_batch.note_size(endings);
        self.settle.note(took);
    }

    /// So many deliveries came to the end of their schedule.
    pub(crate) fn exhausted(&self, deliveries: usize) {
        self.exhausted.add(deliveries as u64);
    }

    /// The engine runs in this process; until then there is nothing to show.
    pub(crate) fn begin(&self) {
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// All of it, as it is now; nothing in a process that does not deliver.
    pub fn families(&self) -> Vec<Family> {
        if !self.is_running.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let closed = self.lanes.value().saturating_sub(self.open.value() + self.half_open.value());
        let circuits = [("closed", closed), ("open", self.open.value()), ("half_open", self.half_open.value())];
        vec![
            Family::counters(
                "delivery_attempts",
                "Requests to receivers, by outcome",
                "outcome",
                OUTCOMES.into_iter().zip(&self.outcomes),
            ),
            Family::histogram(
                "delivery_attempt_seconds",
                "Time of one attempt, from DNS to the last byte",
                &self.attempt,
            ),
            Family::histogram(
                "delivery_first_attempt_delay_seconds",
                "Time from the event to the start of a delivery's first attempt",
                &self.to_first_attempt,
            ),
            Family::histogram(
                "delivery_delay_seconds",
                "Time from the event to its delivery, retries included",
                &self.to_delivered,
            ),
            Family::gauge("delivery_waiting", "Deliveries that wait in lanes, in memory", self.waiting.value() as f64),
            Family::gauge(
                "delivery_in_flight",
                "Requests to receivers that wait for an answer",
                self.in_flight.value() as f64,
            ),
            Family::gauges(
                "delivery_circuits",
                "Lanes in memory by the state of their circuits, updated once a second",
                "state",
                circuits.map(|(state, count)| (state, count as f64)),
            ),
            Family::gauge(
                "delivery_lanes_parked",
                "Lanes in memory with more deliveries waiting in the store, updated once a second",
                self.parked.value() as f64,
            ),
            Family::counter("delivery_fanned_out", "Deliveries created from events", &self.fanned_out),
            Family::histogram("delivery_fan_out_events", "Events fanned out in one transaction", &self.fan_out_batch),
            Family::histogram("delivery_settle_attempts", "Attempts settled in one transaction", &self.settle_batch),
            Family::histogram("delivery_settle_seconds", "Time to settle them, commit included", &self.settle),
            Family::counter(
                "delivery_exhausted",
                "Deliveries that reached the end of their schedule without success",
                &self.exhausted,
            ),
        ]
    }
}

/// How long an attempt took.
pub(crate) fn took(attempt: &Attempt) -> Duration {
    Duration::try_from_secs_f64(attempt.timings_ms.total / 1e3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use reelhook_egress::FailureKind;

    use super::*;

    #[test]
    fn every_outcome_has_a_counter_and_every_counter_an_outcome() {
        let statuses = (100..=999).map(|status| Outcome::Status { status, retry_after_ms: None });
        let kinds = [
            FailureKind::UrlNotAllowed,
            FailureKind::AddressNotAllowed,
            FailureKind::Dns,
            FailureKind::Refused,
            FailureKind::Unreachable,
            FailureKind::Reset,
            FailureKind::Tls,
            FailureKind::Timeout,
            FailureKind::Stalled,
            FailureKind::Protocol,
            FailureKind::TooLarge,
            FailureKind::TooManyRedirects,
            FailureKind::RedirectNotAllowed,
            FailureKind::OutOfResources,
        ];
        let failures = kinds.map(|kind| Outcome::Failed {
            phase: "connect".to_owned(),
            kind: kind.as_str().to_owned(),
            reason: None,
        });
        let mut seen: Vec<_> = statuses.chain(failures).map(|outcome| outcome_class(&outcome)).collect();
        seen.sort_unstable();
        seen.dedup();
        let mut known = OUTCOMES.to_vec();
        known.sort_unstable();
        assert_eq!(seen, known);
    }

    #[test]
    fn a_process_that_does_not_deliver_shows_nothing_of_it() {
        let meter = Meter::default();
        assert!(meter.families().is_empty());
        meter.begin();
        assert!(!meter.families().is_empty());
    }
}
