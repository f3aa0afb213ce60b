//! Refusals in the words of Transcodely: Connect's codes, with the details in both of the places that clients read.
//!
//! # Source
//! Transcodely, "Errors"; the Connect protocol, "Error codes".

use serde_json::{Value, json};

use crate::Refusal;

/// Status and body.
pub fn of(refusal: &Refusal<'_>) -> (u16, Value) {
    let (status, code) = code(refusal);
    (status, body(refusal, code))
}

/// What stands in place of a stream's end when it is refused, and in the body of every other refusal.
pub fn body(refusal: &Refusal<'_>, code: &str) -> Value {
    let is_validation = !refusal.violations.is_empty();
    let message = if is_validation { "Request validation failed" } else { refusal.detail };
    let violations: Vec<_> = refusal
        .violations
        .iter()
        .map(|violation| json!({"field": violation.path, "description": violation.message}))
        .collect();
    let details = json!({
        "code": if is_validation { "validation_error" } else { refusal.code },
        "message": refusal.detail,
        "field_violations": violations,
    });
    json!({
        "code": code,
        "message": message,
        "details": [{"type": "transcodely.v1.ErrorDetails", "value": details, "debug": details}],
    })
}

/// HTTP status and Connect's code.
pub fn code(refusal: &Refusal<'_>) -> (u16, &'static str) {
    match (refusal.status, refusal.code) {
        (_, "unimplemented") => (501, "unimplemented"),
        (409, "already_exists" | "idempotency_conflict") => (409, "already_exists"),
        (409, _) => (400, "failed_precondition"),
        (400 | 413 | 415 | 422, _) => (400, "invalid_argument"),
        (401, _) => (401, "unauthenticated"),
        (402 | 403, _) => (403, "permission_denied"),
        (404 | 410, _) => (404, "not_found"),
        (405, _) => (405, "unimplemented"),
        (408 | 504, _) => (504, "deadline_exceeded"),
        (429, _) => (429, "resource_exhausted"),
        (501, _) => (501, "unimplemented"),
        (503, _) => (503, "unavailable"),
        _ => (500, "internal"),
    }
}

#[cfg(test)]
mod tests {
    use reelhook_domain::form::Violation;
    use reelhook_domain::id::RequestId;

    use super::*;

    fn refusal<'a>(status: u16, code: &'a str, violations: &'a [Violation]) -> Refusal<'a> {
        Refusal { status, code, detail: "what was wrong", violations, request: RequestId::from_bits(1) }
    }

    #[test]
    fn every_violation_is_named_where_clients_look_for_it() {
        let violations = ["outputs[0].video[0].codec", "webhook_url"].map(|path| Violation {
            path: path.to_owned(),
            value: Value::Null,
            message: "is required".to_owned(),
        });
        insta::assert_json_snapshot!(of(&refusal(422, "invalid_request", &violations)).1);
    }

    #[test]
    fn statuses_and_codes_go_together_as_documented() {
        let said: Vec<_> = [
            (400, "malformed_request"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (408, "request_timeout"),
            (409, "state_conflict"),
            (409, "idempotency_conflict"),
            (413, "too_large"),
            (415, "unsupported_media_type"),
            (422, "invalid_request"),
            (429, "rate_limited"),
            (500, "internal"),
            (501, "unimplemented"),
            (503, "out_of_disk"),
        ]
        .into_iter()
        .map(|(status, code)| {
            let (answered, body) = of(&refusal(status, code, &[]));
            format!("{status} {code} -> {answered} {}", body["code"].as_str().unwrap())
        })
        .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
