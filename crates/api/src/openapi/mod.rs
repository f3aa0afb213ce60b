//! The OpenAPI document, generated from the code.
//!
//! Paths and replies come from the handlers and their types, the schemas of requests from their readers
//! ([`requests`]), and the answers that every operation may give from what it takes ([`answers`]).

mod answers;
mod prose;
mod requests;
mod webhooks;

use std::collections::BTreeMap;

use reelhook_domain::recipe::Recipe;
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::problem::{Problem, ProblemDetails};
use crate::routes;

/// Stands for the schema of a request until [`requests::describe`] puts what its reader takes in its place.
macro_rules! request {
    ($($name:ident)+) => {
        $(
            #[derive(Debug, ToSchema)]
            pub(crate) struct $name;
        )+
    };
}

request! {
    JobRequest EndpointRequest EndpointPatch SettingsRequest RetentionRequest PublishRequest RecoverRequest ReplayRequest
    KeyRequest SecretRequest RetryRequest RotateRequest RotateSecretRequest OriginRequest
}

/// Events of a job.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EventList {
    /// Events in order; each as the body of its webhook, with its id.
    events: Vec<EventReply>,
}

/// An event.
#[derive(Debug, ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EventReply {
    /// The id.
    id: String,
    /// Event type.
    #[serde(rename = "type")]
    kind: String,
    /// When the event happened.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Number of the event among all events of the server.
    sequence: i64,
    /// The job at the time of the event, or the published payload.
    #[schema(value_type = Object)]
    data: Value,
}

/// Events of a pull endpoint.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct PulledEvents {
    /// The events, in order.
    events: Vec<PulledEvent>,
    /// The value of `after` for the next request.
    last_sequence: i64,
}

/// An event as it would be sent to a URL.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct PulledEvent {
    /// Number of the delivery among all deliveries to this endpoint.
    sequence: i64,
    /// The headers, including the signature.
    headers: BTreeMap<String, String>,
    /// The exact body, which the signature covers.
    body: String,
}

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key: `rh_...`")).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Reelhook",
        description = "A media-job server: submit a file, get a signed webhook with the result.\n\nRequests and responses are \
            JSON in `snake_case`. Times are RFC 3339 UTC with milliseconds, sizes are in bytes, durations in seconds. Errors are \
            `application/problem+json` with a stable `code` and every violation with its path.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        routes::submit_job, routes::list_jobs, routes::get_job, routes::cancel_job, routes::confirm_job,
        routes::start_job, routes::retry_job, routes::job_events, routes::plan_job,
        routes::get_output, routes::create_upload, routes::get_upload, routes::create_endpoint, routes::list_endpoints,
        routes::get_endpoint, routes::change_endpoint, routes::delete_endpoint, routes::enable_endpoint,
        routes::disable_endpoint, routes::rotate_endpoint_secret, routes::test_endpoint, routes::recover_endpoint, routes::replay_event, routes::pull_events,
        routes::publish_events, routes::create_origin, routes::list_origins, routes::get_origin,
        routes::delete_origin, routes::validate_origin, routes::list_deliveries, routes::get_delivery, routes::resend_delivery,
        routes::cancel_delivery, routes::erase_job, routes::get_retention, routes::put_retention, routes::get_settings, routes::put_settings, routes::test_default_webhook,
        routes::get_webhook_secret, routes::rotate_webhook_secret, routes::create_secret, routes::list_secrets, routes::rotate_secret,
        routes::revoke_secret, routes::list_webhook_keys, routes::create_key,
        routes::list_keys, routes::revoke_key, routes::healthz, routes::readyz, routes::metrics,
    ),
    components(schemas(Recipe, Problem, ProblemDetails)),
    modifiers(&Bearer),
    security(("api_key" = [])),
)]
struct Document;

/// The OpenAPI 3.1 document, pretty-printed JSON.
pub fn document() -> String {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let mut document = serde_json::to_value(document).expect("the document is plain data");
    document["servers"] = json!([{"url": "/", "description": "This server."}]);
    document["webhooks"] = webhooks::all();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        requests::describe(schemas);
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        answers::describe(paths);
    }
    requests::prune(&mut document);
    serde_json::to_string_pretty(&document).expect("the document is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_its_answers_are_in_the_document() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut lines = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers: Vec<_> = operation["responses"].as_object().unwrap().keys().cloned().collect();
                lines.push(format!("{} {path}: {}", method.to_uppercase(), answers.join(" ")));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
