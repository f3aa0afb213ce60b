//! The body of a webhook of Transcodely: `{"event", "job", "timestamp"}` with the full job object.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::job::Job;
use serde::Serialize;

use super::reply;
use crate::{LinkTo, PayloadError};

/// The body; none for events that the service does not tell of.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<Option<String>, PayloadError> {
    let (Some(name), Some(_)) = (name(event.kind.as_str()), event.job) else { return Ok(None) };
    let job = event.data.read::<Job>().map_err(|source| PayloadError { event: event.id, source })?;
    let body = Body { event: name, job: reply::job(&job, link), timestamp: reply::time(event.at) };
    serde_json::to_string(&body).map(Some).map_err(|source| PayloadError { event: event.id, source })
}

#[derive(Serialize)]
struct Body<'a> {
    event: &'a str,
    job: reply::JobReply,
    timestamp: String,
}

/// The service's name of an event; none for those it does not tell of.
fn name(kind: &str) -> Option<&str> {
    match kind {
        EventType::JOB_REJECTED => Some(EventType::JOB_FAILED),
        EventType::JOB_AWAITING_CONFIRMATION
        | EventType::JOB_COMPLETED
        | EventType::JOB_FAILED
        | EventType::JOB_CANCELED
        | EventType::JOB_PARTIAL => Some(kind),
        _ => None,
    }
}
