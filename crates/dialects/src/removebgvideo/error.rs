//! Refusals in the words of RemoveBGVideo: `{"error": {"code", "message", "request_id"}}`.
//!
//! The service names six codes. `not_found` is ours: the service documents the status and the message of a job that is not
//! there, and no code.

use serde_json::{Value, json};

use crate::Refusal;

/// Status and body.
pub fn of(refusal: &Refusal<'_>) -> (u16, Value) {
    let (status, code) = match refusal.status {
        401 => (401, "invalid_api_key"),
        402 => (402, "insufficient_credits"),
        404 => (404, "not_found"),
        408 => (408, "timeout"),
        429 => (429, "rate_limited"),
        // The service answers 400 to whatever it cannot take.
        413 | 415 | 422 => (400, "invalid_request"),
        status @ 400..=499 => (status, "invalid_request"),
        status => (status, "internal_error"),
    };
    let message = match (refusal.code, refusal.detail) {
        ("not_found", "there is no such job") => "Job not found".to_owned(),
        ("too_large", detail) if detail.starts_with("a file") => format!("File too large: {detail}"),
        // By the service's names of fields, which the sentence of the native API does not know.
        _ if !refusal.violations.is_empty() => {
            let texts: Vec<_> =
                refusal.violations.iter().map(|wrong| format!("{} {}", wrong.path, wrong.message)).collect();
            texts.join("; ").trim_start().to_owned()
        }
        (_, detail) => detail.to_owned(),
    };
    (status, json!({"error": {"code": code, "message": message, "request_id": refusal.request}}))
}

#[cfg(test)]
mod tests {
    use reelhook_domain::id::RequestId;

    use super::*;

    #[test]
    fn every_documented_code_is_spoken() {
        let mut said = String::new();
        for (status, code, detail) in [
            (400, "malformed_request", "the body is not JSON"),
            (401, "unauthorized", "an API key is required"),
            (402, "insufficient_credits", "the account has 0 credits left"),
            (403, "link_not_valid", "the link has expired"),
            (404, "not_found", "there is no such job"),
            (404, "not_found", "there is no such path"),
            (405, "method_not_allowed", "this path does not support that method"),
            (408, "request_timeout", "the body did not arrive within 30 seconds"),
            (409, "state_conflict", "a job that is queued cannot start"),
            (413, "too_large", "a file may have at most 500000000 bytes"),
            (413, "too_large", "the body may have at most 1048576 bytes"),
            (415, "unsupported_media_type", "the Content-Type must be application/json"),
            (422, "invalid_request", "video_url is required"),
            (429, "rate_limited", "slow down"),
            (500, "internal", "something went wrong on our side"),
            (503, "out_of_disk", "the server's disk is full"),
        ] {
            let request = RequestId::from_bits(7);
            let (answered, body) = of(&Refusal { status, code, detail, violations: &[], request });
            said += &format!("{status} {code} -> {answered} {body}\n");
        }
        insta::assert_snapshot!(said);
    }
}
