//! The body of a native webhook: `{"type", "timestamp", "sequence", "data"}`.

use reelhook_domain::event::{Event, envelope};
use reelhook_domain::job::Job;
use serde_json::Value;

use super::reply::JobReply;
use crate::{LinkTo, PayloadError};

/// The body: for an event of a job, `data` is the job as `GET /v1/jobs/{id}` showed it then; otherwise what was published.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<String, PayloadError> {
    if event.job.is_none() {
        return Ok(event.envelope());
    }
    let job = event.data.read::<Job>();
    let shown = job.and_then(|job| serde_json::to_string(&JobReply::of(&job, link)));
    let shown = shown.map_err(|source| PayloadError { event: event.id, source })?;
    Ok(envelope(event.kind.as_str(), event.at, event.sequence, &shown))
}

/// The body as a JSON value, as the list of a job's events shows it.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn value(event: &Event, link: LinkTo<'_>) -> Result<Value, PayloadError> {
    serde_json::from_str(&payload(event, link)?).map_err(|source| PayloadError { event: event.id, source })
}
