//! Refusals and failures in the words of Compressor.
//!
//! Of the service's error body only `success`, `id` and `status` are known; `error` with `code` and `message` is ours.

use reelhook_domain::failure::{Fault, JobFailure};
use reelhook_domain::id::JobId;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Refusal;

/// The body of every error.
#[derive(Debug, Serialize)]
pub struct ErrorReply {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    error: ErrorDetails,
}

/// What went wrong.
#[derive(Debug, Serialize)]
struct ErrorDetails {
    code: String,
    message: String,
    /// Each field that is wrong, where a request was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Status and body of a request that was refused.
pub fn of(refusal: &Refusal<'_>) -> (u16, Value) {
    let field =
        |violation: &reelhook_domain::form::Violation| json!({"field": violation.path, "message": violation.message});
    let error = ErrorDetails {
        code: refusal.code.to_owned(),
        message: refusal.detail.to_owned(),
        fields: refusal.violations.iter().map(field).collect(),
        request_id: Some(refusal.request.to_string()),
    };
    (refusal.status, json!(ErrorReply { success: false, id: None, status: None, error }))
}

/// The body that tells of a job that did not end well: the same in a synchronous answer, a poll and a webhook.
pub fn of_job(job: JobId, failure: Option<&JobFailure>) -> ErrorReply {
    let (code, message) = match failure {
        Some(failure) => (&*failure.code, &*failure.message),
        None => ("canceled", "the job was canceled"),
    };
    let (code, message) = (code.to_owned(), message.to_owned());
    let error = ErrorDetails { code, message, fields: Vec::new(), request_id: None };
    ErrorReply { success: false, id: Some(job.hyphenated()), status: Some("failed"), error }
}

/// The HTTP status of a synchronous answer that tells of it.
pub const fn status(failure: Option<&JobFailure>) -> u16 {
    match failure {
        None => 409,
        Some(failure) => match failure.fault {
            Fault::Input | Fault::Request => 422,
            Fault::Origin => 424,
            Fault::Server => 500,
        },
    }
}
