//! Traces to a collector, in OTLP over HTTP with protobuf bodies.
//!
//! # Theory of operation
//! Whoever tells of a span puts it into a bounded channel and goes on. One task takes what has gathered, at least once a
//! second, and posts it to the collector's `/v1/traces` by [`reelhook_egress`]. When all who tell of spans are gone, it
//! posts the rest and ends.
//!
//! # The bad day
//! The collector is slow, refuses, or is not there: what does not fit into the channel is dropped and counted, a batch
//! is dropped after [`TRIES`], and the log says so once until it works again. Nobody ever waits for a collector.
//!
//! # Source
//! OpenTelemetry Protocol 1.x, OTLP/HTTP: path, content type, and which statuses are worth another try.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message as _;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::{Span, Tag, Tracer};
use reelhook_egress::{Client, Request};
use tokio::sync::mpsc;
use url::Url;

use crate::client;
use crate::settings::TelemetrySettings;

/// Most spans that wait.
const WAITING: usize = 4096;
/// Most spans in one request.
const BATCH: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// From DNS to the last byte of an answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a batch is sent that the collector cannot take now, and the pause before the second time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Sends spans to a collector until nobody tells of any more.
#[derive(Debug)]
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    headers: HeaderMap,
    spans: mpsc::Receiver<Span>,
    dropped: Arc<AtomicU64>,
}

/// Where spans go, and what brings them there; nothing where no collector is set.
pub(crate) fn open(settings: &TelemetrySettings) -> anyhow::Result<(Tracer, Option<Exporter>)> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok((Tracer::default(), None)) };
    let mut url = endpoint.clone();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    for header in &settings.otlp_headers {
        let named = || format!("telemetry.otlp_headers has {}, which is not a header", header.name);
        let name = HeaderName::from_bytes(header.name.as_bytes()).with_context(named)?;
        let mut value = HeaderValue::from_str(&header.value).with_context(named)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    url.path_segments_mut()
        .ok()
        .context("telemetry.otlp_endpoint has no path")?
        .pop_if_empty()
        .extend(["v1", "traces"]);
    let (teller, spans) = mpsc::channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&dropped);
    let tracer = Tracer::new(move |span| {
        if teller.try_send(span).is_err() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok((tracer, Some(Exporter { client: client::unrestricted()?, url, headers, spans, dropped })))
}

impl Exporter {
    /// Sends what comes until nobody tells of spans any more, and then what is left.
    pub(crate) async fn run(mut self) {
        let mut is_failing = false;
        while let Some(first) = self.spans.recv().await {
            let mut batch = vec![first];
            let gathering = tokio::time::sleep(GATHER);
            tokio::pin!(gathering);
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                tokio::select! {
                    more = self.spans.recv_many(&mut batch, room) => if more == 0 { break },
                    () = &mut gathering => break,
                }
            }
            let spans = batch.len() as u64;
            match self.send(&batch).await {
                Ok(()) if is_failing => {
                    is_failing = false;
                    let dropped = self.dropped.swap(0, Ordering::Relaxed);
                    tracing::info!(dropped, "the collector accepts traces again");
                }
                Ok(()) => {}
                Err(reason) => {
                    self.dropped.fetch_add(spans, Ordering::Relaxed);
                    if !is_failing {
                        tracing::warn!(reason, "the collector accepts no traces; they are dropped until it does");
                    }
                    is_failing = true;
                }
            }
        }
    }

    async fn send(&self, spans: &[Span]) -> Result<(), String> {
        let body = Bytes::from(request(spans).encode_to_vec());
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.post(body.clone()).await {
                Answer::Taken => return Ok(()),
                Answer::Refused(reason) => return Err(reason),
                Answer::NotNow(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        match self.post(body).await {
            Answer::Taken => Ok(()),
            Answer::Refused(reason) | Answer::NotNow(reason) => Err(reason),
        }
    }

    async fn post(&self, body: Bytes) -> Answer {
        let request =
            Request { headers: self.headers.clone(), deadline: DEADLINE, ..Request::post(self.url.clone(), body) };
        match self.client.send(request).await {
            Ok(exchange) if exchange.status.is_success() => Answer::Taken,
            Ok(exchange) => match exchange.status.as_u16() {
                429 | 502..=504 => Answer::NotNow(exchange.status.to_string()),
                _ => Answer::Refused(exchange.status.to_string()),
            },
            Err(failure) => Answer::NotNow(failure.public_reason().to_string()),
        }
    }
}

/// What a collector answered.
enum Answer {
    Taken,
    Refused(String),
    NotNow(String),
}

fn request(spans: &[Span]) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "reelhook".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = otlp::ScopeSpans { scope: Some(scope), spans: spans.iter().map(spell).collect(), ..Default::default() };
    let attributes = [("service.name", "reelhook"), ("service.version", env!("CARGO_PKG_VERSION"))];
    let attributes = attributes.map(|(name, value)| attribute(name, &Tag::from(value))).to_vec();
    let resource = Resource { attributes, ..Resource::default() };
    let spans = otlp::ResourceSpans { resource: Some(resource), scope_spans: vec![spans], ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }
}

fn spell(span: &Span) -> otlp::Span {
    let began = nanos(span.began);
    let kind = match span.name {
        "submit" => otlp::span::SpanKind::Server,
        "attempt" => otlp::span::SpanKind::Client,
        _ => otlp::span::SpanKind::Internal,
    };
    let status = span
        .error
        .as_ref()
        .map(|error| otlp::Status { message: error.clone(), code: otlp::status::StatusCode::Error.into() });
    otlp::Span {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec()),
        name: span.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: began.saturating_add(u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX)),
        attributes: span.tags.iter().map(|(name, tag)| attribute(name, tag)).collect(),
        status,
        ..otlp::Span::default()
    }
}

fn attribute(name: &str, tag: &Tag) -> KeyValue {
    let value = match tag {
        Tag::Text(text) => any_value::Value::StringValue(text.clone()),
        Tag::Number(number) => any_value::Value::IntValue(*number),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or_default().saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collectors_path_follows_its_base_whatever_the_slash() {
        for (base, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector.example.com/otlp/", "https://collector.example.com/otlp/v1/traces"),
        ] {
            let settings = TelemetrySettings { otlp_endpoint: Some(base.parse().unwrap()), otlp_headers: Vec::new() };
            let (tracer, exporter) = open(&settings).unwrap();
            assert!(tracer.is_on());
            assert_eq!(exporter.unwrap().url.as_str(), expected);
        }
        let off = TelemetrySettings { otlp_endpoint: None, otlp_headers: Vec::new() };
        assert!(!open(&off).unwrap().0.is_on());
    }

    #[test]
    fn a_collector_that_takes_nothing_keeps_nobody_waiting() {
        let settings =
            TelemetrySettings { otlp_endpoint: Some("http://127.0.0.1:1".parse().unwrap()), otlp_headers: Vec::new() };
        let (tracer, exporter) = open(&settings).unwrap();
        let exporter = exporter.unwrap();
        let id = reelhook_domain::id::JobId::from_bits(5);
        for _ in 0..WAITING + 7 {
            tracer.tell(|| Span::whole(id, "job", Timestamp::from_millis(0), Duration::ZERO));
        }
        assert_eq!(exporter.dropped.load(Ordering::Relaxed), 7);
    }
}
