//! The body of a webhook of Clipzy: flat, without the envelope of its answers.

use reelhook_domain::event::{Event, EventFilter, EventType};
use reelhook_domain::job::Job;
use serde::Serialize;

use super::reply;
use crate::{LinkTo, PayloadError};

/// The events of a job that its webhook is told of: its end, whichever it is.
pub fn told() -> EventFilter {
    let ends = [
        EventType::JOB_COMPLETED,
        EventType::JOB_PARTIAL,
        EventType::JOB_FAILED,
        EventType::JOB_REJECTED,
        EventType::JOB_CANCELED,
    ];
    EventFilter::new(ends.map(str::to_owned).to_vec())
}

#[derive(Debug, Serialize)]
struct Payload {
    job_id: String,
    status: &'static str,
    progress_percent: u8,
    /// Only of a job that is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_video_url: Option<String>,
    processing_time_seconds: f64,
}

/// The body; none for events that are not the end of a job.
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
    let payload = Payload {
        job_id: job.id.to_string(),
        status: reply::status(&job),
        progress_percent: reply::progress(&job),
        output_video_url: reply::output_url(&job, link),
        processing_time_seconds: reply::seconds(&job).unwrap_or(0.0),
    };
    serde_json::to_string(&payload).map(Some).map_err(|source| PayloadError { event: event.id, source })
}
