//! The body of a native webhook: `{"type", "timestamp", "sequence", "data"}`.

use reelhook_domain::event::Event;
use reelhook_domain::job::Job;
use serde::Serialize;
use serde_json::Value;

use super::reply::JobReply;
use crate::{LinkTo, PayloadError};

#[derive(Serialize)]
struct Envelope<'a, D> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    sequence: i64,
    data: D,
}

/// The body: for an event of a job, `data` is the job as `GET /v1/jobs/{id}` showed it then; otherwise what was published.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<String, PayloadError> {
    let failed = |source| PayloadError { event: event.id, source };
    let body = serde_json::to_string(&value(event, link)?).map_err(failed)?;
    Ok(body)
}

/// The body as a JSON value, as the list of a job's events shows it.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn value(event: &Event, link: LinkTo<'_>) -> Result<Value, PayloadError> {
    let failed = |source| PayloadError { event: event.id, source };
    let data = if event.job.is_some() {
        let job: Job = serde_json::from_value(event.data.clone()).map_err(failed)?;
        serde_json::to_value(JobReply::of(&job, link)).map_err(failed)?
    } else {
        event.data.clone()
    };
    let envelope =
        Envelope { kind: event.kind.as_str(), timestamp: event.at.to_string(), sequence: event.sequence, data };
    serde_json::to_value(envelope).map_err(failed)
}
