//! The body of a native webhook: `{"type", "timestamp", "sequence", "data"}`.

use reelhook_domain::event::{self, Event};
use reelhook_domain::job::Job;
use serde::Serialize;
use serde_json::Value;

use super::reply::JobReply;
use crate::{LinkTo, PayloadError};

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    sequence: i64,
    data: Data<'a>,
}

/// What an event carries.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    /// The job as `GET /v1/jobs/{id}` showed it then.
    Job(Box<JobReply>),
    /// What was published.
    Own(&'a event::Data),
}

fn envelope<'a>(event: &'a Event, link: LinkTo<'_>) -> Result<Envelope<'a>, serde_json::Error> {
    let data = match event.job {
        Some(_) => Data::Job(Box::new(JobReply::of(&event.data.read::<Job>()?, link))),
        None => Data::Own(&event.data),
    };
    Ok(Envelope { kind: event.kind.as_str(), timestamp: event.at.to_string(), sequence: event.sequence, data })
}

/// The body: for an event of a job, `data` is the job as `GET /v1/jobs/{id}` showed it then; otherwise what was published.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<String, PayloadError> {
    if event.job.is_none() {
        return Ok(event::envelope(event.kind.as_str(), event.at, event.sequence, event.data.as_str()));
    }
    let body = envelope(event, link).and_then(|envelope| serde_json::to_string(&envelope));
    body.map_err(|source| PayloadError { event: event.id, source })
}

/// The body as a JSON value, as the list of a job's events shows it.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn value(event: &Event, link: LinkTo<'_>) -> Result<Value, PayloadError> {
    let body = envelope(event, link).and_then(serde_json::to_value);
    body.map_err(|source| PayloadError { event: event.id, source })
}
