//! Answers that every operation may give, and the form of errors.

use reelhook_domain::id::{EndpointId, JobId};
use serde_json::{Map, Value, json};

use super::prose::OPERATIONS;
use crate::routes::{PAGE, PULLED};

/// Where the schema of errors is.
const PROBLEM: &str = "#/components/schemas/Problem";

/// A time of RFC 3339.
const TIME: &str = "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})";

/// Where events come as a stream to those who ask for one.
const STREAMS: [&str; 2] = ["/v1/jobs/{id}/events", "/v1/endpoints/{id}/events"];

/// Adds the refusals that an operation may answer with, by what it takes. Refusals are `application/problem+json`.
pub(super) fn describe(paths: &mut Map<String, Value>) {
    for (path, operations) in paths {
        let is_pull = path == "/v1/endpoints/{id}/events";
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let mut expected = vec![(503, "The server is stopping, or lacks a resource. Try again later.")];
            if path.starts_with("/v1/") {
                expected.push((401, "The API key is missing, unknown or revoked."));
                expected.push((403, "The request is not allowed."));
                expected.push((400, "The request is not well-formed."));
                expected.push((429, "Too many requests, or a quota is exceeded."));
                expected.push((422, "The request is not valid; the body lists every violation."));
            }
            if path.contains('{') {
                expected.push((404, "There is no such thing, or it belongs to another account."));
            }
            if method != "get" {
                expected.push((409, "The state of the object does not allow the operation."));
            }
            if operation.get("requestBody").is_some() {
                expected.push((413, "The body is too large."));
            }
            if method != "get" {
                expected.push((415, "The Content-Type or Content-Encoding of the body is not supported."));
            }
            if let Some(body) = operation.get_mut("requestBody") {
                loosen(body);
            }
            for found in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(schema) = found["name"].as_str().and_then(|name| parameter(name, is_pull)) {
                    found["schema"] = schema;
                }
            }
            let own = format!("{method} {path}");
            if let Some((_, text)) = OPERATIONS.iter().find(|(operation, _)| *operation == own)
                && operation.get("description").is_none()
            {
                operation["description"] = (*text).into();
            }
            if STREAMS.contains(&path.as_str()) {
                operation["responses"]["200"]["content"]["text/event-stream"] = json!({"schema": {"type": "string"}});
            }
            let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { continue };
            for (status, text) in expected {
                answers.entry(status.to_string()).or_insert_with(|| json!({"description": text}));
            }
            for (status, answer) in answers {
                if status.starts_with(['4', '5']) {
                    answer["content"] = json!({"application/problem+json": {"schema": {"$ref": PROBLEM}}});
                }
            }
        }
    }
}

/// What a parameter takes, which has the same meaning wherever it has that name. An empty text counts as absent.
fn parameter(name: &str, is_pull: bool) -> Option<Value> {
    let text =
        |pattern: &str| json!({"type": "string", "pattern": format!("^({})?$", pattern.trim_matches(['^', '$']))});
    Some(match name {
        "limit" => {
            let (most, usual) = if is_pull { PULLED } else { PAGE };
            json!({"type": "integer", "minimum": 1, "maximum": most, "default": usual})
        }
        "after" => json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        // 16 bytes in Base64 for URLs.
        "cursor" => text("[A-Za-z0-9_-]{21}[AQgw]"),
        "since" | "until" => text(TIME),
        "endpoint" => text(&EndpointId::pattern()),
        "job" => text(&JobId::pattern()),
        // A text that is not a number counts as absent.
        "Last-Event-ID" => json!({"type": "string"}),
        "names" => json!({"type": "string", "enum": ["", "types", "none"], "default": "types"}),
        // At most a minute.
        "wait" => text("0*([0-9]|[1-5][0-9]|60)s?|0*([0-9]{1,4}|[1-5][0-9]{4}|60000)ms"),
        "Idempotency-Key" => json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
        _ => return None,
    })
}

/// A body that may be left out: that is another thing than null. So is an upload of no bytes.
fn loosen(body: &mut Value) {
    let Some(content) = body["content"].as_object_mut() else { return };
    let mut is_optional = content.contains_key("application/octet-stream");
    for media in content.values_mut() {
        let Some(parts) = media["schema"]["oneOf"].as_array() else { continue };
        if let Some(only) = parts.iter().find(|part| part.get("$ref").is_some()).cloned() {
            media["schema"] = only;
            is_optional = true;
        }
    }
    if is_optional {
        body["required"] = false.into();
    }
}
