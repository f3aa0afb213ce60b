//! Counters of this process, and what is counted in the store when somebody looks.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use reelhook_store::{Store, StoreError};

/// Which requests: the route as it is written in the table, never the path, so that ids make no labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

/// The metrics of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    jobs: Family<StateLabel, Gauge<u64, AtomicU64>>,
    deliveries: Family<StateLabel, Gauge<u64, AtomicU64>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("reelhook");
        let requests = Family::default();
        let seconds = Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let jobs = Family::default();
        let deliveries = Family::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        registry.register_with_unit("http_request", "Time to the head of an answer", Unit::Seconds, seconds.clone());
        registry.register("jobs", "Jobs that wait or run", jobs.clone());
        registry.register("deliveries", "Deliveries by state", deliveries.clone());
        Self { registry, requests, seconds, jobs, deliveries }
    }

    /// Notes an answered request.
    pub(crate) fn answered(&self, labels: &RequestLabels, elapsed: std::time::Duration) {
        self.requests.get_or_create(labels).inc();
        self.seconds.observe(elapsed.as_secs_f64());
    }

    /// The text that Prometheus reads (OpenMetrics 1.0).
    pub(crate) async fn render(&self, store: &dyn Store) -> Result<String, StoreError> {
        let queue = store.queue(None).await?;
        let set = |family: &Family<StateLabel, Gauge<u64, AtomicU64>>, state: &str, count: u64| {
            family.get_or_create(&StateLabel { state: state.to_owned() }).set(count);
        };
        set(&self.jobs, "queued", queue.queued);
        set(&self.jobs, "running", queue.running);
        self.deliveries.clear();
        for (state, count) in store.count_deliveries().await? {
            set(&self.deliveries, &state, count);
        }
        let mut rendered = String::new();
        text::encode(&mut rendered, &self.registry).expect("writing to a text does not fail");
        Ok(rendered)
    }
}
