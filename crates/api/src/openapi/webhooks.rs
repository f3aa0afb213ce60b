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
            json!({"type": "object", "description": "Details of the event."})
        };
        let body = json!({
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"type": "string", "const": kind},
                "timestamp": {"type": "string", "format": "date-time", "description": "When the event happened."},
                "sequence": {"type": ["integer", "null"], "description": "Number of the event among all events of the server."},
                "data": data,
            },
        });
        let operation = json!({"post": {
            "operationId": format!("receive_{}", kind.replace('.', "_")),
            "summary": format!("The event {kind}"),
            "description": "The request is signed with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, as defined by Standard Webhooks. Any status from 200 to 299 acknowledges it.",
            "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
            "responses": {"2XX": {"description": "The webhook is acknowledged."}},
        }});
        ((*kind).to_owned(), operation)
    };
    Value::Object(EventType::OURS.iter().map(webhook).collect::<Map<_, _>>())
}
