//! What operators' machines read: counters of this process, and what is counted in the store when somebody looks.
//!
//! Engines count in atomics and give [`Family`]s; here they are spelled (OpenMetrics 1.0). No label holds a URL, an id or
//! another word of a caller's: requests are told apart by the route of the table, and everything else by constants.

use std::sync::Arc;

use http::Method;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family;
use prometheus_client::registry::Registry;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::measure::{Family, Label, Series, Spread};
use reelhook_store::{Store, StoreError};

/// What comes before every name.
const PREFIX: &str = "reelhook";

/// Reads what the engines of this process count.
pub type Measures = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

/// Which requests: the route as it is written in the table, never the path, so that ids make no labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// The word for a method. A caller may send any word as one; those that no route takes are one to us.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The metrics of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: family::Family<RequestLabels, Counter>,
    seconds: Spread,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = family::Family::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        Self { registry, requests, seconds: Spread::short_times() }
    }

    /// Notes an answered request.
    pub(crate) fn answered(&self, labels: &RequestLabels, elapsed: std::time::Duration) {
        self.requests.get_or_create(labels).inc();
        self.seconds.note(elapsed);
    }

    /// The text that Prometheus reads.
    pub(crate) async fn render(
        &self,
        store: &dyn Store,
        measures: &Measures,
        ambient: &Ambient,
    ) -> Result<String, StoreError> {
        let mut families = vec![Family::histogram(
            "http_request_seconds",
            "Time from the head of a request to the head of its response",
            &self.seconds,
        )];
        families.extend(kept(store, ambient).await?);
        families.extend(store.families());
        families.extend(measures());
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Measured(families)));
        let mut rendered = String::new();
        for registry in [&self.registry, &registry] {
            text::encode_registry(&mut rendered, registry).expect("writing to a text does not fail");
        }
        text::encode_eof(&mut rendered).expect("writing to a text does not fail");
        Ok(rendered)
    }
}

/// What the store holds, whoever put it there.
async fn kept(store: &dyn Store, ambient: &Ambient) -> Result<Vec<Family>, StoreError> {
    let queue = store.queue(None).await?;
    let jobs = [("queued", queue.queued as f64), ("running", queue.running as f64)];
    let deliveries = store.count_deliveries().await?;
    let deliveries = reelhook_domain::delivery::DeliveryState::NAMES.iter().map(|&name| {
        let count = deliveries.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
        (name, count as f64)
    });
    let endpoints = store.count_endpoints().await?;
    let endpoints = endpoints.into_iter().map(|(state, count)| {
        let name = match state {
            EndpointState::Enabled => "enabled",
            EndpointState::Disabled => "disabled",
        };
        (name, count as f64)
    });
    let overdue = store.next_due(&[]).await?.map_or(0.0, |due| ambient.now().since(due).as_secs_f64());
    Ok(vec![
        Family::gauges("jobs", "Jobs that wait or run", "state", jobs),
        Family::gauges("deliveries", "Stored deliveries, by state", "state", deliveries),
        Family::gauges("endpoints", "Endpoints, by state", "state", endpoints),
        Family::gauge(
            "delivery_oldest_due_seconds",
            "Time that the longest-due delivery in the store has waited for a claim",
            overdue,
        ),
    ])
}

/// Families as they were read.
#[derive(Debug)]
struct Measured(Vec<Family>);

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        for Family { name, help, series } in &self.0 {
            let kind = match series {
                Series::Counters(_) => MetricType::Counter,
                Series::Gauges(_) => MetricType::Gauge,
                Series::Histograms(_) => MetricType::Histogram,
            };
            let mut encoder = encoder.encode_descriptor(name, help, None, kind)?;
            match series {
                Series::Counters(all) => {
                    each(&mut encoder, all, |encoder, value| {
                        encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
                    })?;
                }
                Series::Gauges(all) => each(&mut encoder, all, |encoder, value| encoder.encode_gauge(value))?,
                Series::Histograms(all) => each(&mut encoder, all, |encoder, value| {
                    encoder.encode_histogram::<NoLabelSet>(value.sum, value.count, &value.buckets, None)
                })?,
            }
        }
        Ok(())
    }
}

fn each<T>(
    encoder: &mut MetricEncoder<'_>,
    series: &[(Label, T)],
    encode: impl Fn(&mut MetricEncoder<'_>, &T) -> std::fmt::Result,
) -> std::fmt::Result {
    for (label, value) in series {
        match label {
            Some(label) => encode(&mut encoder.encode_family(&[*label])?, value)?,
            None => encode(encoder, value)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reelhook_domain::measure::Count;

    use super::*;

    #[test]
    fn families_are_spelled_as_openmetrics() {
        let (count, spread) = (Count::default(), Spread::sizes());
        count.add(3);
        spread.note_size(2);
        spread.note_size(5000);
        let families = vec![
            Family::counters("tries", "Tries", "outcome", [("good", &count)]),
            Family::gauge("height", "Height", 1.5),
            Family::histogram("size", "Size", &spread),
        ];
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Measured(families)));
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        for line in [
            "# TYPE reelhook_tries counter",
            "reelhook_tries_total{outcome=\"good\"} 3",
            "# TYPE reelhook_height gauge",
            "reelhook_height 1.5",
            "reelhook_size_sum 5002.0",
            "reelhook_size_count 2",
            "reelhook_size_bucket{le=\"1.0\"} 0",
            "reelhook_size_bucket{le=\"2.0\"} 1",
            "reelhook_size_bucket{le=\"+Inf\"} 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing:\n{text}");
        }
    }

    #[test]
    fn a_method_that_somebody_made_up_is_no_label() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        assert_eq!(method_label(&Method::from_bytes(b"STEAL-7").unwrap()), "other");
    }
}
