//! What traces say of events and attempts; see [`reelhook_domain::trace`] for where their ids come from.

use reelhook_domain::delivery::{Attempt, Outcome};
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::event::{Event, EventType};
use reelhook_domain::id::JobId;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::{Span, Tag, Tracer, span_id, trace_id};
use reelhook_store::{ClaimedDelivery, OutboxEvent};
use serde_json::Value;

use crate::meter::{outcome_class, took};

/// Tells of events that were fanned out, and of jobs that they end.
pub(crate) fn fanned_out(tracer: &Tracer, events: &[OutboxEvent], now: Timestamp) {
    for OutboxEvent { event, .. } in events {
        tracer.tell(|| of_event(event, now));
        if let Some(job) = event.job.filter(|_| is_end(event)) {
            tracer.tell(|| of_ended_job(job, event));
        }
    }
}

/// Tells of an attempt.
pub(crate) fn attempted(tracer: &Tracer, work: &ClaimedDelivery, endpoint: &Endpoint, attempt: &Attempt) {
    tracer.tell(|| of_attempt(work, endpoint, attempt));
}

/// From the event to its deliveries being written. Its attempts are its parts, though they come later.
fn of_event(event: &Event, now: Timestamp) -> Span {
    let took = now.since(event.at);
    let span = match event.job {
        Some(job) => Span::of_job(job, span_id(event.id), "event", event.at, took),
        None => Span::whole(event.id, "event", event.at, took),
    };
    span.with("event.id", event.id).with("event.type", event.kind.as_str()).with("account.id", event.account)
}

/// The whole of a job, told when its end is.
fn of_ended_job(job: JobId, event: &Event) -> Span {
    let began = job.made_at();
    let state = event.kind.as_str().strip_prefix("job.").unwrap_or_default();
    let span = Span::whole(job, "job", began, event.at.since(began));
    let data = event.data.read::<Value>().unwrap_or_default();
    let error = data.pointer("/error/code").and_then(Value::as_str).map(str::to_owned);
    Span { error, ..span }.with("job.id", job).with("job.state", state).with("account.id", event.account)
}

fn of_attempt(work: &ClaimedDelivery, endpoint: &Endpoint, attempt: &Attempt) -> Span {
    let delivery = &work.delivery;
    let error = (!attempt.outcome.is_success()).then(|| outcome_class(&attempt.outcome).to_owned());
    let mut span = Span {
        trace: trace_id(delivery.job, delivery.event),
        id: span_id(attempt.id),
        parent: Some(span_id(delivery.event)),
        name: "attempt",
        began: attempt.at,
        took: took(attempt),
        error,
        tags: Vec::new(),
    }
    .with("delivery.id", delivery.id)
    .with("delivery.attempt", attempt.number)
    .with("event.id", delivery.event)
    .with("event.type", delivery.event_type.as_str())
    .with("endpoint.id", delivery.endpoint)
    .with("endpoint.dialect", endpoint.dialect.as_str())
    .with("account.id", delivery.account);
    if let Some(job) = delivery.job {
        span = span.with("job.id", job);
    }
    match &attempt.outcome {
        Outcome::Status { status, .. } => span.with("http.status", Tag::Number(i64::from(*status))),
        Outcome::Failed { phase, .. } => span.with("delivery.phase", phase.as_str()),
    }
}

fn is_end(event: &Event) -> bool {
    let ends = [
        EventType::JOB_COMPLETED,
        EventType::JOB_PARTIAL,
        EventType::JOB_FAILED,
        EventType::JOB_REJECTED,
        EventType::JOB_CANCELED,
    ];
    ends.contains(&event.kind.as_str())
}
