//! The OpenAPI document, generated from the code.
//!
//! Paths and replies come from the handlers and their types. Requests are read by hand in `dialects` (so that all that is
//! wrong is named at once); their schemas stand here, and a test holds their fields equal to those that are read.

use std::collections::BTreeMap;

use reelhook_domain::endpoint::Rate;
use reelhook_domain::job::{OnDamage, Priority};
use reelhook_domain::recipe::Recipe;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::problem::{Problem, ProblemDetails};
use crate::routes;

/// A job to be done.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema: requests are read by dialects::native::request")]
pub(crate) struct JobRequest {
    /// What is read; left out when the file comes with the request.
    input: Option<InputRequest>,
    /// What is made: 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    outputs: Vec<OutputRequest>,
    /// Where this job's events go; the account's default webhook where it is left out.
    webhook: Option<WebhookRequest>,
    /// Up to 20 pairs of texts of up to 500 bytes.
    metadata: Option<BTreeMap<String, String>>,
    /// Which jobs go first; `standard` by default.
    priority: Option<Priority>,
    /// What becomes of a damaged source; `strict` by default.
    on_damage: Option<OnDamage>,
    /// Whether you are asked to accept the estimate first: the job stops in `awaiting_confirmation` for 24 hours.
    confirm: Option<bool>,
    /// Whether it waits until it is started.
    draft: Option<bool>,
    /// Instead of `input`, where a recipe takes several: 1 to 50.
    #[schema(min_items = 1, max_items = 50)]
    inputs: Option<Vec<NamedInputRequest>>,
}

/// One of several inputs.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct NamedInputRequest {
    /// Unique in the job; `in_1`, `in_2`, ... where it is left out.
    name: Option<String>,
    /// Where it comes from.
    #[serde(flatten)]
    input: InputRequest,
}

/// Where an input comes from: a URL, an upload, or an origin with a path.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct InputRequest {
    /// A URL to download.
    url: Option<String>,
    /// The id of an upload.
    upload: Option<String>,
    /// The id of an origin.
    origin: Option<String>,
    /// Where in the origin.
    path: Option<String>,
}

/// One thing to make: a recipe with its parameters, and a name.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct OutputRequest {
    /// Unique in the job; the recipe's name, numbered when repeated, where it is left out.
    name: Option<String>,
    /// `recipe` and its parameters.
    #[schema(inline = false)]
    #[serde(flatten)]
    recipe: Recipe,
}

/// A URL for events.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct WebhookRequest {
    /// Where.
    url: String,
    /// Types, or globs such as `job.*`; all but progress where it is left out.
    events: Option<Vec<String>>,
    /// Extra request headers, up to 20; those that the URL was given before where it is left out of a job.
    headers: Option<BTreeMap<String, String>>,
}

/// A new origin: a name, and exactly one of `http`, `s3`, `r2` and `gcs`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct OriginRequest {
    /// For people.
    name: String,
    /// A web server; read only.
    http: Option<HttpOrigin>,
    /// A bucket of S3, or of a server that speaks its protocol.
    s3: Option<S3Origin>,
    /// A bucket of Cloudflare R2.
    r2: Option<R2Origin>,
    /// A bucket of Google Cloud Storage.
    gcs: Option<GcsOrigin>,
    /// `read`, `write` or both, which is what it is where it is left out; `read` of a web server.
    permissions: Option<Vec<String>>,
    /// The folder that all of its paths lie in, such as `videos/`.
    base_path: Option<String>,
    /// How outputs are named that bring no path: text and `{date}`, `{job_id}`, `{output_id}`, `{codec}`, `{resolution}`;
    /// the extension is added. `{job_id}/{output_id}` by default.
    path_template: Option<String>,
}

/// A web server.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct HttpOrigin {
    /// Where paths begin.
    base_url: String,
    /// Never shown again.
    credentials: Option<HttpCredentials>,
}

/// What opens a web server.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct HttpCredentials {
    /// Headers of every request, such as `authorization`.
    headers: Option<BTreeMap<String, String>>,
}

/// A bucket of S3.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct S3Origin {
    /// Its name.
    bucket: String,
    /// Its region, such as `eu-central-1`.
    region: String,
    /// The server, where it is not Amazon's.
    endpoint: Option<String>,
    /// Never shown again.
    credentials: KeyCredentials,
}

/// A bucket of Cloudflare R2, with one of `account_id` and `endpoint`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct R2Origin {
    /// Its name.
    bucket: String,
    /// The account, 32 hexadecimal digits.
    account_id: Option<String>,
    /// The account's endpoint, where it is another than usual.
    endpoint: Option<String>,
    /// Never shown again.
    credentials: KeyCredentials,
}

/// A key pair.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct KeyCredentials {
    /// Names the pair.
    access_key_id: String,
    /// Signs with it.
    secret_access_key: String,
    /// Of a pair that was lent for a time.
    session_token: Option<String>,
}

/// A bucket of Google Cloud Storage.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct GcsOrigin {
    /// Its name.
    bucket: String,
    /// Never shown again.
    credentials: GcsCredentials,
}

/// What opens a bucket of Google Cloud Storage.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct GcsCredentials {
    /// The JSON key of a service account, as text.
    service_account_json: String,
}

/// What is done again.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RetryRequest {
    /// `failed` (the default) or `all`.
    outputs: Option<String>,
}

/// A new endpoint.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EndpointRequest {
    /// Where it is; left out with `pull`.
    url: Option<String>,
    /// Whether it asks for its events itself.
    pull: Option<bool>,
    /// Types, or globs such as `job.*`; all but progress where it is left out.
    events: Option<Vec<String>>,
    /// `native`.
    dialect: Option<String>,
    /// Your own words.
    description: Option<String>,
    /// Extra request headers, up to 20.
    headers: Option<BTreeMap<String, String>>,
    /// Its own schedule: 1 to 20 waits in seconds, one attempt each, the first usually 0.
    retry_seconds: Option<Vec<u64>>,
    /// Its own rate limit.
    rate: Option<Rate>,
    /// Deadline of an attempt: 1 to 60, 15 by default.
    timeout_seconds: Option<f64>,
    /// A signing secret that your receiver knows already: `whsec_` and 24 to 64 bytes in base64. A new one is made where it
    /// is left out.
    secret: Option<String>,
}

/// A change of an endpoint: fields that are left out stay; null restores the default of each but `url`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EndpointPatch {
    /// Where it is.
    url: Option<String>,
    /// Which events.
    events: Option<Vec<String>>,
    /// Your own words.
    description: Option<String>,
    /// Extra request headers.
    headers: Option<BTreeMap<String, String>>,
    /// Its own schedule.
    retry_seconds: Option<Vec<u64>>,
    /// Its own rate limit.
    rate: Option<Rate>,
    /// Deadline of an attempt.
    timeout_seconds: Option<f64>,
}

/// Settings of the account.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct SettingsRequest {
    /// Where the events of jobs go that bring no webhook; null clears.
    default_webhook: Option<WebhookRequest>,
}

/// How long deliveries and events are kept.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RetentionRequest {
    /// Days: from 1 to what the server keeps them; null for the server's time.
    #[schema(required = true)]
    keep_days: Option<u32>,
}

/// One event, or several as `events`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct PublishRequest {
    /// Its type, such as `invoice.paid`.
    #[serde(rename = "type")]
    kind: String,
    /// What it carries: any JSON, up to 256 KiB.
    #[schema(value_type = Object)]
    payload: Value,
    /// Whether it is a sample of one of the server's own types (`job.*`, `endpoint.*`, `webhook.*`), which are refused
    /// otherwise.
    sample: Option<bool>,
}

/// The name of a new key.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct KeyRequest {
    /// For people.
    name: String,
}

/// Since when an endpoint missed what it wants.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RecoverRequest {
    /// Deliveries made at or after this time (RFC 3339).
    #[schema(format = DateTime)]
    since: String,
}

/// Which event is sent again.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct ReplayRequest {
    /// Its id: `evt_...`.
    event: String,
}

/// How a secret is replaced.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RotateRequest {
    /// How long the old one signs too: 0 to 604800, 86400 by default.
    overlap_seconds: Option<u64>,
    /// A secret that your receiver knows already, as for a new endpoint.
    secret: Option<String>,
}

/// A secret of a service.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct SecretRequest {
    /// `transcodely` or `removebgvideo`.
    service: String,
    /// A text that your receivers know already: 16 to 256 visible ASCII characters. A new one is made where it is left out.
    secret: Option<String>,
}

/// How a service's secret is replaced.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct RotateSecretRequest {
    /// How long the old one signs too: 0 to 604800, 86400 by default.
    overlap_seconds: Option<u64>,
    /// A text of your own, as for a new one.
    secret: Option<String>,
}

/// Events of a job.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EventList {
    /// In order; each as the body of its webhook, with its id.
    events: Vec<EventReply>,
}

/// An event.
#[derive(Debug, ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EventReply {
    /// Its id.
    id: String,
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
    /// When it happened.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Its place among all events.
    sequence: i64,
    /// The job as it was then, or what was published.
    #[schema(value_type = Object)]
    data: Value,
}

/// Events of an endpoint, as they would have been sent.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct PulledEvents {
    /// In order.
    events: Vec<PulledEvent>,
    /// Ask for what comes after this next.
    last_sequence: i64,
}

/// One event as it would have been sent.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct PulledEvent {
    /// Its place among the deliveries to this endpoint.
    sequence: i64,
    /// The headers, its signature among them.
    headers: BTreeMap<String, String>,
    /// The exact body, to check the signature with.
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
        description = "A media-job server: submit a file, get a signed webhook with the result.\n\nJSON in and out, `snake_case`; \
            times are RFC 3339 UTC with milliseconds, sizes are bytes, durations are seconds. Errors are \
            `application/problem+json` with a stable `code` and every violation with its path.",
        license(name = "MIT OR Apache-2.0"),
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
    document.to_pretty_json().expect("the document is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reelhook_dialects::any_url;
    use reelhook_dialects::native::request;
    use reelhook_domain::form::Violation;
    use serde_json::json;

    fn properties(schema: &str) -> Vec<String> {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let fields = document["components"]["schemas"][schema]["properties"].as_object().cloned();
        let mut names: Vec<_> =
            fields.unwrap_or_else(|| panic!("no schema {schema}")).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    /// The names that a reader knows, from its own answer to a name it does not.
    fn known(violations: Vec<Violation>, at: &str) -> Vec<String> {
        let message = violations.into_iter().find(|violation| violation.path == at).unwrap().message;
        message.rsplit_once("known are ").unwrap().1.split(", ").map(ToOwned::to_owned).collect()
    }

    #[test]
    fn request_schemas_have_the_fields_that_are_read() {
        let bogus = || json!({"zzz": 1});
        let job = |value| request::job(value, request::Bytes::Named, &any_url);
        assert_eq!(properties("JobRequest"), known(job(bogus()).unwrap_err(), "zzz"));
        assert_eq!(properties("EndpointRequest"), known(request::endpoint(bogus(), &any_url).unwrap_err(), "zzz"));
        assert_eq!(properties("EndpointPatch"), known(request::endpoint_patch(bogus(), &any_url).unwrap_err(), "zzz"));
        assert_eq!(properties("SettingsRequest"), known(request::settings(bogus(), &any_url).unwrap_err(), "zzz"));
        assert_eq!(properties("KeyRequest"), known(request::key(bogus()).unwrap_err(), "zzz"));
        assert_eq!(properties("RetryRequest"), known(request::retry(bogus()).unwrap_err(), "zzz"));
        assert_eq!(properties("PublishRequest"), known(request::publish(bogus()).unwrap_err(), "zzz"));
        assert_eq!(properties("RecoverRequest"), known(request::recover(bogus()).unwrap_err(), "zzz"));
        assert_eq!(properties("RetentionRequest"), known(request::retention(bogus(), 30).unwrap_err(), "zzz"));
        assert_eq!(properties("ReplayRequest"), known(request::replay(bogus()).unwrap_err(), "zzz"));
        assert_eq!(properties("SecretRequest"), known(request::secret(bogus()).unwrap_err(), "zzz"));
        let webhook = json!({"default_webhook": bogus()});
        assert_eq!(
            properties("WebhookRequest"),
            known(request::settings(webhook, &any_url).unwrap_err(), "default_webhook.zzz")
        );
        let input = json!({"input": bogus()});
        assert_eq!(properties("InputRequest"), known(job(input).unwrap_err(), "input.zzz"));
    }

    #[test]
    fn the_schemas_of_origins_have_the_fields_that_are_read() {
        let read = |value| reelhook_dialects::native::origin::read(value, &any_url).unwrap_err();
        assert_eq!(properties("OriginRequest"), known(read(json!({"zzz": 1})), "zzz"));
        for (provider, schema, credentials) in [
            ("http", "HttpOrigin", "HttpCredentials"),
            ("s3", "S3Origin", "KeyCredentials"),
            ("r2", "R2Origin", "KeyCredentials"),
            ("gcs", "GcsOrigin", "GcsCredentials"),
        ] {
            let bogus = json!({provider: {"zzz": 1, "credentials": {"zzz": 1}}});
            assert_eq!(properties(schema), known(read(bogus.clone()), &format!("{provider}.zzz")));
            assert_eq!(properties(credentials), known(read(bogus), &format!("{provider}.credentials.zzz")));
        }
    }

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
