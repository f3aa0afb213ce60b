//! Refusals in the words of Clipzy: `{"success": false, "message", "error": {"detail", "code"}}`.
//!
//! The service names `UNAUTHORIZED`, `FILE_TOO_LARGE`, `UNSUPPORTED_FORMAT` and `MISSING_FIELD`; the other codes are ours.

use serde_json::{Value, json};

use crate::Refusal;

/// The code of ours that becomes `UNSUPPORTED_FORMAT`.
pub const UNSUPPORTED_FORMAT: &str = "unsupported_format";
/// How the sentence begins that says of a field that it is not there.
const REQUIRED: &str = "is required";

/// Status and body.
pub fn of(refusal: &Refusal<'_>) -> (u16, Value) {
    let lacks = refusal.violations.iter().any(|wrong| wrong.message.starts_with(REQUIRED));
    let (code, message) = match (refusal.status, refusal.code) {
        (401, _) => ("UNAUTHORIZED", "Authentication failed"),
        (403, _) => ("FORBIDDEN", "Access denied"),
        (404, _) => ("NOT_FOUND", "Resource not found"),
        (405, _) => ("METHOD_NOT_ALLOWED", "Method not allowed"),
        (408, _) => ("TIMEOUT", "Request timed out"),
        (409, _) => ("CONFLICT", "The state does not allow this"),
        (413, _) if refusal.detail.starts_with("a file") => ("FILE_TOO_LARGE", "File too large"),
        (413, _) => ("REQUEST_TOO_LARGE", "Request too large"),
        (_, UNSUPPORTED_FORMAT) => ("UNSUPPORTED_FORMAT", "Unsupported video format"),
        (422, _) if lacks => ("MISSING_FIELD", "A required field is missing"),
        (422, _) => ("VALIDATION_ERROR", "Invalid request"),
        (429, _) => ("RATE_LIMITED", "Too many requests"),
        (400..=499, _) => ("BAD_REQUEST", "Invalid request"),
        _ => ("INTERNAL_ERROR", "Internal server error"),
    };
    // By the service's names of fields, which the sentence of the native API does not know.
    let wrong: Vec<_> = refusal.violations.iter().map(|wrong| format!("{} {}", wrong.path, wrong.message)).collect();
    let detail = if wrong.is_empty() { refusal.detail.to_owned() } else { wrong.join("; ").trim_start().to_owned() };
    (refusal.status, json!({"success": false, "message": message, "error": {"detail": detail, "code": code}}))
}
