//! The requests that the server sends: one for each type of event.

use reelhook_domain::event::EventType;
use serde_json::{Map, Value, json};

/// The webhooks of the document, by the types of their events.
pub(super) fn all() -> Value {
    let webhook = |kind: &&'static str| {
        let of_job = kind.starts_with("job.");
        let data = if of_job {
            json!({"$ref": "#/components/schemas/Job"})
        } else {
            json!({"type": "object", "description": "What happened."})
        };
        let body = json!({
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"type": "string", "const": kind},
                "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
                "sequence": {"type": ["integer", "null"], "description": "Its place among all events."},
                "data": data,
            },
        });
        let operation = json!({"post": {
            "operationId": format!("receive_{}", kind.replace('.', "_")),
            "summary": format!("The event {kind}"),
            "description": "Signed by the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, as Standard \
                            Webhooks has them. Any status of 200 to 299 says that it was received.",
            "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
            "responses": {"2XX": {"description": "It was received."}},
        }});
        ((*kind).to_owned(), operation)
    };
    Value::Object(EventType::OURS.iter().map(webhook).collect::<Map<_, _>>())
}
