//! The body of a webhook of RemoveBGVideo: `{"event", "data": {"id", "status", "output_url", ...}}`.

use reelhook_domain::event::Event;
use reelhook_domain::job::Job;
use serde_json::{Value, json};

use super::reply::{error, event_name, output_url, status};
use super::request::model_of;
use crate::{LinkTo, PayloadError};

/// The body; none for events that the service does not tell of.
///
/// # Errors
/// [`PayloadError`] when the stored job cannot be read.
pub fn payload(event: &Event, link: LinkTo<'_>) -> Result<Option<String>, PayloadError> {
    let Some(name) = event.job.and_then(|_| event_name(event.kind.as_str())) else { return Ok(None) };
    let job = event.data.read::<Job>().map_err(|source| PayloadError { event: event.id, source })?;
    let mut data = json!({
        "id": job.id,
        "job_id": job.id,
        "status": status(&job.state),
        "output_url": output_url(&job, link),
        "model": model_of(&job.spec.said),
        "metadata": job.spec.said.get("metadata").cloned().unwrap_or_else(|| json!(job.spec.metadata)),
    });
    if let Some(error) = error(&job) {
        data["error"] = Value::String(error);
        data["error_code"] = json!(job.state.error().map(|error| &error.code));
    }
    Ok(Some(json!({"event": name, "data": data}).to_string()))
}

#[cfg(test)]
mod tests;
