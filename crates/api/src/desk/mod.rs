//! The desk: the verbs that native routes and dialects share.

mod certificates;
mod credits;
mod deliveries;
mod destination;
mod endpoints;
mod jobs;
mod origins;
mod plan;
mod quotas;
mod recovery;
mod retention;
mod secrets;
mod services;
mod streams;
mod test_call;
mod uploads;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reelhook_dialects::{Link, LinkTo};
use reelhook_domain::ambient::Ambient;
use reelhook_domain::form::Violation;
use reelhook_domain::id::{AccountId, KeyId};
use reelhook_domain::price::PriceTable;
use reelhook_domain::trace::Tracer;
use reelhook_egress::{Client, Policy};
use reelhook_files::{Files, Links};
use reelhook_store::{Store, StoreError};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::hosts::Hosts;
use crate::known_keys::KnownKeys;
use crate::metrics::{Measures, Metrics};
use crate::problem::Problem;
use crate::room::Room;
use crate::throttle::{ByHandRates, Throttle};

pub use deliveries::Lookout;
pub(crate) use endpoints::{HMAC, OVERLAP, Stay};
pub(crate) use jobs::JobInput;
pub use plan::Planner;
use quotas::QuotaWatch;
pub use services::{Probe, Services};
use streams::Streams;
pub(crate) use test_call::TestOutcome;
pub(crate) use uploads::Kept;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Their account.
    pub account: AccountId,
    /// The key they showed.
    pub key: KeyId,
}

/// Numbers that bound requests.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest JSON body, in bytes.
    pub body_bytes: usize,
    /// Largest upload, in bytes.
    pub upload_bytes: u64,
    /// How long an upload is kept.
    pub upload_keep: Duration,
    /// How long a link to a result works.
    pub links_keep: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// Most connections from one address at once.
    pub connections_of_address: usize,
    /// Most streams of events that an account has open.
    pub streams_of_account: usize,
    /// How long a caller may read nothing of an answer.
    pub write_stall: Duration,
    /// How long a request waits for an event at most.
    pub longest_wait: Duration,
    /// How often an account may do what by hand.
    pub by_hand: ByHandRates,
    /// How many days deliveries and events are kept, unless their account wants less.
    pub keep_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            body_bytes: 1 << 20,
            upload_bytes: 10 << 30,
            upload_keep: Duration::from_secs(DAY),
            links_keep: Duration::from_secs(30 * DAY),
            connections: 4096,
            connections_of_address: 1024,
            streams_of_account: 256,
            write_stall: Duration::from_secs(60),
            longest_wait: Duration::from_secs(60),
            by_hand: ByHandRates::default(),
            keep_days: 30,
        }
    }
}

/// What a desk is made of.
pub struct Parts {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Inputs and results.
    pub files: Files,
    /// Checks links to results.
    pub links: Links,
    /// Spells them.
    pub link_to: Arc<dyn Fn(Link<'_>) -> String + Send + Sync>,
    /// Where callers' URLs may lead.
    pub policy: Policy,
    /// Goes there, to check origins.
    pub egress: Client,
    /// Finds out what would become of jobs.
    pub planner: Planner,
    /// What encodings cost.
    pub prices: PriceTable,
    /// The clock and the dice.
    pub ambient: Ambient,
    /// Numbers that bound requests.
    pub limits: Limits,
    /// The hosts that callers may name.
    pub hosts: Hosts,
    /// What only services need.
    pub services: Services,
    /// What the engines of this process count.
    pub measures: Measures,
    /// Where spans of submissions go.
    pub tracer: Tracer,
    /// Knows what deliveries wait for that this process has taken.
    pub lookout: Lookout,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The verbs that native routes and dialects share. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    metrics: Metrics,
    known_keys: KnownKeys,
    /// Holds back what is done by hand too often.
    throttle: Throttle,
    /// Holds accounts to their quotas, where the store cannot.
    quotas: QuotaWatch,
    streams: Streams,
    /// Seats of the connections of all listeners.
    room: Room,
    /// Ends long-lived answers when the server stops.
    stop: CancellationToken,
    /// Held while an account gets its first secrets, so that it gets them once.
    first_secrets: Mutex<()>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("limits", &self.inner.parts.limits).finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk of those parts.
    pub fn new(parts: Parts) -> Self {
        let inner = Inner {
            metrics: Metrics::new(),
            known_keys: KnownKeys::default(),
            throttle: Throttle::new(parts.limits.by_hand),
            quotas: QuotaWatch::default(),
            streams: Streams::default(),
            room: Room::new(parts.limits.connections, parts.limits.connections_of_address),
            stop: CancellationToken::new(),
            first_secrets: Mutex::new(()),
            parts,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.parts.store
    }

    pub(crate) fn files(&self) -> &Files {
        &self.inner.parts.files
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.inner.parts.hosts
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.parts.limits
    }

    pub(crate) fn room(&self) -> &Room {
        &self.inner.room
    }

    pub(crate) fn ambient(&self) -> &Ambient {
        &self.inner.parts.ambient
    }

    /// The text that Prometheus reads.
    pub(crate) async fn render_metrics(&self) -> Result<String, StoreError> {
        self.metrics().render(self.store(), &self.inner.parts.measures, self.ambient()).await
    }

    fn watch(&self) -> &QuotaWatch {
        &self.inner.quotas
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.inner.parts.tracer
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn known_keys(&self) -> &KnownKeys {
        &self.inner.known_keys
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.inner.streams
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    pub(crate) fn services(&self) -> &Services {
        &self.inner.parts.services
    }

    pub(crate) fn links(&self) -> &Links {
        &self.inner.parts.links
    }

    pub(crate) fn planner(&self) -> &Planner {
        &self.inner.parts.planner
    }

    pub(crate) fn lookout(&self) -> &Lookout {
        &self.inner.parts.lookout
    }

    pub(crate) fn egress(&self) -> &Client {
        &self.inner.parts.egress
    }

    /// Spells links.
    pub(crate) fn link_to(&self) -> LinkTo<'_> {
        &*self.inner.parts.link_to
    }

    pub(crate) fn prices(&self) -> &PriceTable {
        &self.inner.parts.prices
    }

    /// What is wrong with a URL that the policy does not let us reach.
    pub(crate) fn judge(&self, path: &str, url: &Url) -> Option<Violation> {
        let refusal = self.inner.parts.policy.judge_url(url).err()?;
        // A URL with a password in it is not repeated.
        let value = if refusal.rule == "userinfo" { Value::Null } else { url.as_str().into() };
        Some(Violation { path: path.to_owned(), value, message: refusal.message })
    }
}

/// Goes on when nothing is wrong.
fn all_right(violations: impl IntoIterator<Item = Violation>) -> Result<(), Problem> {
    let violations: Vec<_> = violations.into_iter().collect();
    if violations.is_empty() { Ok(()) } else { Err(Problem::invalid(violations)) }
}
