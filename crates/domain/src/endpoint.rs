//! Endpoints: URLs that want events.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::choice;
use crate::circuit::Circuit;
use crate::event::EventFilter;
use crate::id::{AccountId, EndpointId};
use crate::job::Dialect;
use crate::retry::RetrySchedule;
use crate::time::Timestamp;
use crate::tls::EndpointTls;

choice! {
    /// How an endpoint came to be, which decides what reaches it.
    EndpointRole {
        /// Registered: gets every event of the account that its filter wants.
        Registered = "registered",
        /// The account's default webhook: gets the events of jobs that bring none of their own.
        Default = "default",
        /// Given with a job: gets the events of the jobs that name it.
        Job = "job",
    }
}

choice! {
    /// Whether an endpoint is offered deliveries.
    EndpointState {
        /// It is.
        Enabled = "enabled",
        /// Its deliveries are held until it is enabled again.
        Disabled = "disabled",
    }
}

/// Rate limit of the requests to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rate {
    /// Mean number of requests per second: 0.1 to 10,000.
    pub per_second: f64,
    /// Number of requests that may be sent at once: 1 to 10,000.
    pub burst: u32,
}

/// An endpoint as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub account: AccountId,
    /// How it came to be.
    pub role: EndpointRole,
    /// Where it is. Has no credentials in it.
    pub url: url::Url,
    /// Which events it wants.
    pub events: EventFilter,
    /// Whose payloads, headers and signature it gets.
    pub dialect: Dialect,
    /// The caller's own words.
    pub description: String,
    /// Extra request headers.
    pub headers: BTreeMap<String, String>,
    /// How TLS with it differs from TLS with others.
    pub tls: EndpointTls,
    /// Its own schedule; the dialect's when absent.
    pub retry: Option<RetrySchedule>,
    /// Rate limit of the endpoint.
    pub rate: Option<Rate>,
    /// One deadline from DNS to the last byte kept, in milliseconds.
    pub timeout_ms: u32,
    /// Whether it is offered deliveries.
    pub state: EndpointState,
    /// Why it is disabled, where it is: `gone`, `failing`, `by_hand`.
    pub disabled_reason: Option<String>,
    /// The circuit of the endpoint.
    pub circuit: Circuit,
    /// Since when every attempt failed, and how many.
    pub failing: Option<Failing>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A row of failures without a success between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// When the first of them was.
    pub since: Timestamp,
    /// How many there were.
    pub attempts: u32,
}

/// Deadline of an attempt where nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long every attempt must have failed before an endpoint is disabled.
pub const DISABLE_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);
/// How many attempts must have failed before an endpoint is disabled.
pub const DISABLE_AFTER_ATTEMPTS: u32 = 20;

impl Endpoint {
    /// The deadline of one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.timeout_ms))
    }
}

impl Failing {
    /// The row with one more failure at its end.
    pub fn more(before: Option<Self>, now: Timestamp) -> Self {
        match before {
            Some(row) => Self { since: row.since, attempts: row.attempts.saturating_add(1) },
            None => Self { since: now, attempts: 1 },
        }
    }

    /// Whether the row is long enough to disable the endpoint.
    pub fn disables(self, now: Timestamp) -> bool {
        now.since(self.since) >= DISABLE_AFTER && self.attempts >= DISABLE_AFTER_ATTEMPTS
    }
}
