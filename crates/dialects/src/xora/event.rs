//! The body of a webhook of Xora: `{"data": {...}, "timestamp": milliseconds}`.

use reelhook_domain::event::{Event, EventType};
use reelhook_domain::job::Job;
use serde_json::{Value, json};

use super::reply;
use crate::{LinkTo, PayloadError};

/// The events that the service tells: those of a job that came to its end.
pub const TOLD: &[&str] = &[
    EventType::JOB_COMPLETED,
    EventType::JOB_PARTIAL,
    EventType::JOB_FAILED,
    EventType::JOB_REJECTED,
    EventType::JOB_CANCELED,
];

/// The body; none for events that the service does not tell of.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<Option<String>, PayloadError> {
    let kind = event.kind.as_str();
    let data = if kind == EventType::WEBHOOK_TEST {
        sample()
    } else if event.job.is_some() && TOLD.contains(&kind) {
        let job = event.data.read::<Job>().map_err(|source| PayloadError { event: event.id, source })?;
        reply::job(&job, link)
    } else {
        return Ok(None);
    };
    Ok(Some(json!({"data": data, "timestamp": event.at.as_millis()}).to_string()))
}

/// What a test sends: a completed job as it would look, with links that lead nowhere.
fn sample() -> Value {
    let url = "https://example.com/sample/output.mp4";
    let file = json!({
        "file_id": "00000000000000000000000000-output",
        "filename": "output.mp4",
        "size_mbytes": 3.2,
        "duration": 12.04,
        "file_type": "video",
        "file_format": "mp4",
        "mime_type": "video/mp4",
        "codec": "h264",
        "width": 1280,
        "height": 720,
        "storage_url": url,
    });
    json!({
        "jobId": "00000000000000000000000000",
        "state": "completed",
        "progress": 100,
        "output": {"signedUrl": url},
        "output_files": {"output": file},
    })
}
