//! Deliveries: one event on its way to one endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AttemptId, DeliveryId, EndpointId, EventId, JobId};
use crate::retry::Verdict;
use crate::time::Timestamp;

/// What an attempt looked like from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver answered.
    Status {
        /// HTTP status.
        status: u16,
        /// What its `Retry-After` asked for, in milliseconds from the answer.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        retry_after_ms: Option<u64>,
    },
    /// No answer came.
    Failed {
        /// In which phase: `dns`, `connect`, `tls`, `send`, `first_byte`, `body`.
        phase: String,
        /// What went wrong: `refused`, `timeout`, `address_not_allowed`, ...
        kind: String,
        /// Why, where more is known: for `tls` `expired`, `name`, `issuer`, ...
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
}

impl Outcome {
    /// Whether it arrived.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Status { status: 200..=299, .. })
    }

    /// How long the receiver asked us to wait, where its status gives that a meaning (429, 502, 503, 504).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { status: 429 | 502 | 503 | 504, retry_after_ms } => retry_after_ms.map(Duration::from_millis),
            Self::Status { .. } | Self::Failed { .. } => None,
        }
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its time.
    Scheduled {
        /// When it is due.
        due: Timestamp,
    },
    /// A process has it and may be sending it.
    Sending {
        /// When its lease ends unless renewed.
        until: Timestamp,
    },
    /// It arrived.
    Delivered,
    /// Its schedule is at its end.
    Exhausted,
    /// Somebody wanted no more of it.
    Canceled,
    /// Its endpoint is disabled; enabling it offers the delivery again.
    Held,
}

impl DeliveryState {
    /// The spellings of all states.
    pub const NAMES: &'static [&'static str] = &["scheduled", "sending", "delivered", "exhausted", "canceled", "held"];

    /// The spelling in JSON and SQL.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scheduled { .. } => "scheduled",
            Self::Sending { .. } => "sending",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Canceled => "canceled",
            Self::Held => "held",
        }
    }
}

/// Something that wants to change a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A process takes it until then.
    Claim {
        /// End of the lease.
        until: Timestamp,
    },
    /// An attempt ended.
    Settle(Verdict),
    /// The process that had it gave it back or died.
    Release {
        /// When it is due again.
        due: Timestamp,
    },
    /// Its endpoint was disabled.
    Hold,
    /// Its endpoint was enabled.
    Offer {
        /// When it is due.
        due: Timestamp,
    },
    /// Somebody wants it sent again.
    Resend {
        /// When it is due.
        due: Timestamp,
    },
    /// Somebody wants no more of it.
    Cancel,
}

impl Signal {
    /// The name in the state table.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim",
            Self::Settle(Verdict::Delivered) => "settle_delivered",
            Self::Settle(Verdict::Retry { .. }) => "settle_retry",
            Self::Settle(Verdict::Exhausted) => "settle_exhausted",
            Self::Settle(Verdict::Gone) => "settle_gone",
            Self::Release { .. } => "release",
            Self::Hold => "hold",
            Self::Offer { .. } => "offer",
            Self::Resend { .. } => "resend",
            Self::Cancel => "cancel",
        }
    }
}

/// The signal does not go with the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {state} cannot {signal}")]
pub struct IllegalStep {
    /// The state it was in.
    pub state: &'static str,
    /// What was asked of it.
    pub signal: &'static str,
}

/// The only way a delivery changes its state.
///
/// # Errors
/// [`IllegalStep`] when the state table has no such way; nothing changes then.
pub fn step(state: DeliveryState, signal: Signal) -> Result<DeliveryState, IllegalStep> {
    use DeliveryState as S;
    let next = match (state, signal) {
        (S::Scheduled { .. }, Signal::Claim { until }) => S::Sending { until },
        (S::Sending { .. }, Signal::Settle(verdict)) => match verdict {
            Verdict::Delivered => S::Delivered,
            Verdict::Retry { at, .. } => S::Scheduled { due: at },
            Verdict::Exhausted => S::Exhausted,
            // The endpoint is disabled with it; should it come back, its deliveries are offered again.
            Verdict::Gone => S::Held,
        },
        (S::Sending { .. }, Signal::Release { due }) => S::Scheduled { due },
        (S::Scheduled { .. } | S::Sending { .. }, Signal::Hold) => S::Held,
        (S::Held, Signal::Offer { due }) => S::Scheduled { due },
        (S::Delivered | S::Exhausted | S::Canceled, Signal::Resend { due }) => S::Scheduled { due },
        (S::Scheduled { .. } | S::Held, Signal::Cancel) => S::Canceled,
        _ => return Err(IllegalStep { state: state.name(), signal: signal.name() }),
    };
    Ok(next)
}

/// A delivery as the store keeps it, without its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id; never changes.
    pub id: DeliveryId,
    /// Whose it is.
    pub account: AccountId,
    /// The event that it delivers.
    pub event: EventId,
    /// The type of the event.
    pub event_type: String,
    /// The job of the event.
    pub job: Option<JobId>,
    /// The id of its endpoint.
    pub endpoint: EndpointId,
    /// Its place among the deliveries to that endpoint: 1, 2, ... without gaps.
    pub sequence: i64,
    /// How far it is.
    #[serde(flatten)]
    pub state: DeliveryState,
    /// Number of attempts.
    pub attempts: u32,
    /// How many attempts were made before it was last sent again by hand: the schedule begins anew there.
    pub schedule_offset: u32,
    /// Why it waits, where it does, as it was when it was put back: `backoff`, `retry_after`, `circuit_open`, ...
    pub waiting_reason: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Delivery {
    /// Whether the links in its body have less than half of their time left, or may lead to where the server no longer is:
    /// the delivery is old, or was sent again by hand. `links_keep` is how long links work.
    pub fn needs_fresh_links(&self, now: Timestamp, links_keep: Duration) -> bool {
        self.job.is_some() && (self.schedule_offset > 0 || now.since(self.created_at) >= links_keep / 2)
    }
}

/// What a delivery waits for that a server has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// One word.
    pub reason: &'static str,
    /// Until when, where a time decides it.
    pub until: Option<Timestamp>,
}

impl Wait {
    /// A wait that no time ends.
    #[must_use]
    pub const fn of(reason: &'static str) -> Self {
        Self { reason, until: None }
    }
}

/// How long each phase of an attempt took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AttemptTimings {
    /// Name resolution.
    pub dns: f64,
    /// TCP connection.
    pub connect: f64,
    /// TLS handshake.
    pub tls: f64,
    /// From the first byte of the request to the first byte of the answer.
    pub first_byte: f64,
    /// The whole attempt.
    pub total: f64,
}

/// One HTTP request of a delivery, with its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Number of the attempt: 1, 2, ...
    pub number: u32,
    /// When the attempt started.
    pub at: Timestamp,
    /// What it looked like from outside.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The address that was used; for the operator.
    pub address: Option<String>,
    /// How long each phase took.
    pub timings_ms: AttemptTimings,
    /// The answer's headers, as name and value.
    pub response_headers: Vec<(String, String)>,
    /// The first 16 KiB of the answer, as text.
    pub response_body: String,
}

/// The table state x signal, as text: the page `docs/states.md` and its test.
pub fn state_table() -> String {
    let at = Timestamp::from_millis(0);
    let states = [
        DeliveryState::Scheduled { due: at },
        DeliveryState::Sending { until: at },
        DeliveryState::Delivered,
        DeliveryState::Exhausted,
        DeliveryState::Canceled,
        DeliveryState::Held,
    ];
    let signals = [
        Signal::Claim { until: at },
        Signal::Settle(Verdict::Delivered),
        Signal::Settle(Verdict::Retry { at, reason: "backoff" }),
        Signal::Settle(Verdict::Exhausted),
        Signal::Settle(Verdict::Gone),
        Signal::Release { due: at },
        Signal::Hold,
        Signal::Offer { due: at },
        Signal::Resend { due: at },
        Signal::Cancel,
    ];
    let mut table = String::from("| state |");
    for signal in &signals {
        table += &format!(" {} |", signal.name());
    }
    table += &format!("\n|{}\n", " --- |".repeat(signals.len() + 1));
    for state in states {
        table += &format!("| **{}** |", state.name());
        for signal in signals {
            table += &format!(" {} |", step(state, signal).as_ref().map_or("", DeliveryState::name));
        }
        table += "\n";
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_or_sent_again_needs_fresh_links() {
        let made = Timestamp::from_millis(1_000_000);
        let mut delivery = Delivery {
            id: DeliveryId::from_bytes([1; 16]),
            account: AccountId::from_bytes([1; 16]),
            event: EventId::from_bytes([1; 16]),
            event_type: "job.completed".to_owned(),
            job: Some(JobId::from_bytes([1; 16])),
            endpoint: EndpointId::from_bytes([1; 16]),
            sequence: 1,
            state: DeliveryState::Held,
            attempts: 3,
            schedule_offset: 0,
            waiting_reason: None,
            created_at: made,
            finished_at: None,
        };
        let (soon, late) = (made + Duration::from_secs(11 * 3600), made + Duration::from_secs(12 * 3600));
        let day = Duration::from_secs(24 * 3600);
        assert!(!delivery.needs_fresh_links(soon, day));
        assert!(delivery.needs_fresh_links(late, day));
        assert!(!delivery.needs_fresh_links(late, 30 * day), "a retry carries the same bytes where its links work");
        delivery.schedule_offset = 3;
        assert!(delivery.needs_fresh_links(made, day), "it was sent again by hand");
        delivery.job = None;
        assert!(!delivery.needs_fresh_links(late, day), "what a caller published has no links of ours");
    }

    #[test]
    fn the_state_table_is_the_documented_one() {
        insta::assert_snapshot!(super::state_table());
    }
}
