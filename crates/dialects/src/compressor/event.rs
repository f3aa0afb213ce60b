//! The body of a webhook of Compressor.

use reelhook_domain::event::{Event, EventFilter};
use reelhook_domain::job::Job;

use super::reply;
use crate::{LinkTo, PayloadError};

/// The events of a job that its webhook is told of: its end, whichever it is.
pub fn told() -> EventFilter {
    EventFilter::new(
        ["job.completed", "job.partial", "job.failed", "job.rejected", "job.canceled"].map(str::to_owned).into(),
    )
}

/// The body: that of a synchronous answer. None for events that are not the end of a job.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<Option<String>, PayloadError> {
    if event.job.is_none() {
        return Ok(None);
    }
    let job = event.data.read::<Job>().map_err(|source| PayloadError { event: event.id, source })?;
    if !job.state.is_terminal() {
        return Ok(None);
    }
    let body = serde_json::to_string(&reply::synchronous(&job, link).1);
    body.map(Some).map_err(|source| PayloadError { event: event.id, source })
}
