//! What callers of the native API may say.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use http::header::{HeaderName, HeaderValue};
use reelhook_domain::choice;
use reelhook_domain::endpoint::Rate;
use reelhook_domain::event::{Data, EventFilter, EventType};
use reelhook_domain::form::{Form, Shape, Violation};
use reelhook_domain::id::{EventId, Id, Kind};
use reelhook_domain::job::{Dialect, MOST_INPUTS, OnDamage, Priority};
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::recipe::{FEWEST_TO_JOIN, Recipe};
use reelhook_domain::retry::{LONGEST_WAIT, MOST_WAITS, RetrySchedule};
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::EndpointTls;
use reelhook_signature::Secret;
use serde_json::Value;
use url::Url;

use super::judge::{Judge, Unjudged};
use super::tls::tls;
use crate::request::{
    EndpointAddress, EndpointPatch, EndpointRequest, InputRequest, JobRequest, NamedInput, OutputRequest,
    PublishRequest, SecretRequest, SettingsRequest, WebhookRequest,
};

/// Most outputs of one job.
pub const MOST_OUTPUTS: usize = 20;
/// Most pairs of metadata, and the longest key and value.
pub const METADATA: (usize, usize) = (20, 500);
/// Longest URL.
const LONGEST_URL: usize = 4096;
/// Most events in one publication.
pub const MOST_EVENTS: usize = 500;
/// Largest payload of a caller's own event, in bytes of JSON.
pub const LARGEST_PAYLOAD: usize = 256 * 1024;

/// Where the bytes of a job are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// Where the request says.
    Named,
    /// They come with the request.
    Sent,
}

/// What is said of TLS for an endpoint that it is never spoken with.
pub const NEEDS_HTTPS: &str = "goes with a url that begins with https://";

/// What takes the credentials of a receiver.
const AUTHORIZATION: &str = "headers.Authorization";

/// Types of events, and patterns of them, as regular expressions.
const EVENT_TYPE: &str = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$";
const EVENT_PATTERN: &str = "^(\\*|[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*(\\.\\*)?)$";

/// What the readers of requests take, by the names that they have in the document.
pub fn shapes() -> Vec<(&'static str, Shape)> {
    vec![
        ("JobRequest", Form::shape(|form| read_job(form, Bytes::Named, &Unjudged))),
        ("EndpointRequest", Form::shape(|form| read_endpoint(form, &Unjudged))),
        ("EndpointPatch", Form::shape(|form| read_endpoint_patch(form, &Unjudged))),
        ("SettingsRequest", Form::shape(|form| read_settings(form, &Unjudged))),
        ("RetentionRequest", Form::shape(|form| read_retention(form, u32::MAX))),
        ("PublishRequest", Form::shape(read_publish)),
        ("RecoverRequest", Form::shape(read_recover)),
        ("ReplayRequest", Form::shape(read_replay)),
        ("KeyRequest", Form::shape(read_key)),
        ("SecretRequest", Form::shape(read_secret)),
        ("RetryRequest", Form::shape(read_retry)),
    ]
}

/// Reads `POST /v1/jobs`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn job(value: Value, bytes: Bytes, judge: &dyn Judge) -> Result<JobRequest, Vec<Violation>> {
    Form::read(value, |form| read_job(form, bytes, judge))
}

fn read_job(form: &mut Form, bytes: Bytes, judge: &dyn Judge) -> Option<JobRequest> {
    let inputs = inputs(form, bytes, judge);
    let outputs = form.objects("outputs", 1..=MOST_OUTPUTS, |output, _| {
        let name = plain_name(output);
        Some((name, Recipe::read(output)?))
    });
    let outputs = form.require("outputs", outputs);
    let webhook = form.object("webhook", |form| webhook(form, judge));
    let metadata = form.pairs("metadata", METADATA.0, METADATA.1).unwrap_or_default();
    let priority = form.choice_or("priority", Priority::Standard);
    let on_damage = form.choice_or("on_damage", OnDamage::Strict);
    let confirm = form.boolean_or("confirm", false);
    let draft = form.boolean_or("draft", false);
    let joins = |(_, recipe): &(_, Recipe)| matches!(recipe, Recipe::Concat(_));
    if let (Some(inputs), Some(outputs)) = (&inputs, &outputs)
        && inputs.len() < FEWEST_TO_JOIN
        && let Some(place) = outputs.iter().position(joins)
    {
        let message = format_args!("needs a job with at least {FEWEST_TO_JOIN} inputs").to_string();
        form.refuse(&format!("outputs[{place}].recipe"), "concat".into(), message);
    }
    let outputs = named(form, outputs?)?;
    Some(JobRequest {
        webhook,
        metadata: metadata.into_iter().collect(),
        priority,
        on_damage,
        confirm,
        draft,
        ..JobRequest::new(Dialect::Native, inputs?, outputs)
    })
}

/// Takes `input` or `inputs`; an empty list when the file comes along.
fn inputs(form: &mut Form, bytes: Bytes, judge: &dyn Judge) -> Option<Vec<NamedInput>> {
    let given = (form.has("input"), form.has("inputs"));
    let only = form.object("input", |form| input(form, judge)).map(|source| vec![NamedInput::only(source)]);
    let several = form.objects("inputs", 1..=MOST_INPUTS, |form, index| {
        let name = plain_name(form);
        let source = input(form, judge)?;
        let name = name.unwrap_or_else(|| format!("in_{}", index + 1));
        Some(NamedInput { name, source, headers: BTreeMap::new() })
    });
    form.at_most_one(&["input", "inputs"]);
    match given {
        (false, false) if bytes == Bytes::Named => {
            form.refuse("input", Value::Null, "is required");
            None
        }
        (false, false) => Some(Vec::new()),
        (one, _) if bytes == Bytes::Sent => {
            let name = if one { "input" } else { "inputs" };
            form.refuse(name, Value::Null, "must be omitted if the request contains the file");
            None
        }
        (true, false) => only,
        (false, true) => several.filter(|inputs| are_named_apart(form, inputs)),
        (true, true) => None,
    }
}

fn are_named_apart(form: &Form, inputs: &[NamedInput]) -> bool {
    let mut taken = BTreeSet::new();
    for (index, input) in inputs.iter().enumerate() {
        if !taken.insert(&input.name) {
            form.refuse(&format!("inputs[{index}].name"), input.name.clone().into(), "must be unique in the job");
        }
    }
    taken.len() == inputs.len()
}

fn input(form: &mut Form, judge: &dyn Judge) -> Option<InputRequest> {
    let given = form.exactly_one(&["url", "upload", "origin"]);
    let url = url(form, "url", judge, "an origin with credentials (POST /v1/origins)").map(InputRequest::Url);
    let upload = id(form, "upload").map(InputRequest::Upload);
    let (origin, path) = (id(form, "origin"), form.parsed::<ObjectPath>("path"));
    form.longest("path", 1024);
    let path = form.require_with("path", "origin", path);
    form.not_empty("path");
    match given? {
        "url" => url,
        "upload" => upload,
        _ => Some(InputRequest::Origin(origin?, path?.to_string())),
    }
}

/// Takes an id.
fn id<K: Kind>(form: &mut Form, name: &'static str) -> Option<Id<K>> {
    form.pattern(name, &Id::<K>::pattern());
    form.parsed(name)
}

/// Takes a URL that a stranger wrote, if it may be reached. `instead` is what takes the credentials that it must not hold.
pub(super) fn url(form: &mut Form, name: &'static str, judge: &dyn Judge, instead: &str) -> Option<Url> {
    form.format(name, "uri");
    form.pattern(name, "^[Hh][Tt][Tt][Pp][Ss]?://");
    let text = form.text(name, LONGEST_URL)?;
    match Url::parse(&text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let message = format_args!("must not contain a user name or a password: send them in {instead}");
            form.refuse(name, Value::Null, message);
            None
        }
        Ok(url) => match judge.url(&url) {
            Ok(()) => Some(url),
            Err(message) => {
                form.refuse(name, url.as_str().into(), message);
                None
            }
        },
        Err(error) => {
            // Never repeat what may hold a password.
            form.refuse(
                name,
                Value::Null,
                format_args!("must be an absolute URL such as https://example.com/clip.mp4 ({error})"),
            );
            None
        }
    }
}

fn webhook(form: &mut Form, judge: &dyn Judge) -> Option<WebhookRequest> {
    let events = events(form).unwrap_or_default();
    let url = url(form, "url", judge, AUTHORIZATION);
    let url = form.require("url", url);
    let headers = headers(form, 2000);
    let tls = tls(form, judge).map(|change| change.apply(EndpointTls::default()));
    refuse_tls_without(form, url.as_ref(), tls.as_ref());
    Some(WebhookRequest { url: url?, events, headers, tls })
}

/// Refuses TLS that would never be spoken.
fn refuse_tls_without(form: &Form, url: Option<&Url>, tls: Option<&EndpointTls>) {
    if url.is_some_and(|url| url.scheme() != "https") && tls.is_some_and(|tls| !tls.is_usual()) {
        form.refuse("tls", Value::Null, NEEDS_HTTPS);
    }
}

fn events(form: &mut Form) -> Option<EventFilter> {
    let events = form.texts("events", 1..=EventFilter::MOST, EventFilter::check_pattern);
    form.items("events", EVENT_PATTERN);
    events.map(EventFilter::new)
}

/// Takes the name of an input or output: it stands in paths and file names, so it is plain.
fn plain_name(form: &mut Form) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let fits = |name: &str| !name.is_empty() && name.bytes().all(plain) && !name.starts_with(['.', '-']);
    let allowed = "must be 1 to 64 letters, digits, '_', '-' or '.', not starting with '.' or '-'";
    form.text_like("name", 64, "^[A-Za-z0-9_][A-Za-z0-9_.-]*$", allowed, fits)
}

/// Gives every output a name: its own, or that of its recipe, numbered when repeated.
fn named(form: &Form, outputs: Vec<(Option<String>, Recipe)>) -> Option<Vec<OutputRequest>> {
    let mut taken = BTreeSet::new();
    let mut unique = true;
    for (index, (name, _)) in outputs.iter().enumerate() {
        if let Some(name) = name
            && !taken.insert(name.clone())
        {
            unique = false;
            form.refuse(&format!("outputs[{index}].name"), name.clone().into(), "must be unique in the job");
        }
    }
    let mut named = Vec::with_capacity(outputs.len());
    for (name, recipe) in outputs {
        let name = name.unwrap_or_else(|| fresh(recipe.name(), &taken));
        taken.insert(name.clone());
        named.push(OutputRequest { name, recipe });
    }
    unique.then_some(named)
}

/// `plain`, or `plain-2`, `plain-3`, ... when it is taken.
fn fresh(plain: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    let mut names = std::iter::once(plain.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).expect("numbers do not run out")
}

/// Reads `POST /v1/endpoints`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn endpoint(value: Value, judge: &dyn Judge) -> Result<EndpointRequest, Vec<Violation>> {
    Form::read(value, |form| read_endpoint(form, judge))
}

fn read_endpoint(form: &mut Form, judge: &dyn Judge) -> Option<EndpointRequest> {
    let (pull, had_url) = (form.boolean_or("pull", false), form.has("url"));
    let url = url(form, "url", judge, AUTHORIZATION);
    let address = match (pull, had_url) {
        (true, true) => {
            form.refuse_whole("takes either url or pull, not both");
            None
        }
        (true, false) => Some(EndpointAddress::Pull),
        (false, true) => url.clone().map(EndpointAddress::Push),
        (false, false) => {
            form.refuse("url", Value::Null, "is required");
            None
        }
    };
    let patch = endpoint_fields(form, judge);
    let tls = patch.tls.flatten().unwrap_or_default().apply(EndpointTls::default());
    refuse_tls_without(form, url.as_ref(), Some(&tls));
    if pull && !tls.is_usual() {
        form.refuse("tls", Value::Null, "goes with a url; an endpoint with pull is not called");
    }
    let dialect = form.choice_or("dialect", Dialect::Native);
    let secret = webhook_secret(form);
    Some(EndpointRequest {
        secret,
        dialect,
        address: address?,
        events: patch.events.flatten().unwrap_or_default(),
        description: patch.description.flatten().unwrap_or_default(),
        headers: patch.headers.flatten().unwrap_or_default(),
        tls,
        retry: patch.retry.flatten(),
        rate: patch.rate.flatten(),
        timeout_ms: patch.timeout_ms.flatten().unwrap_or(crate::timeout(dialect).as_millis() as u32),
    })
}

/// Reads `PATCH /v1/endpoints/{id}`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn endpoint_patch(value: Value, judge: &dyn Judge) -> Result<EndpointPatch, Vec<Violation>> {
    Form::read(value, |form| read_endpoint_patch(form, judge))
}

fn read_endpoint_patch(form: &mut Form, judge: &dyn Judge) -> Option<EndpointPatch> {
    if form.is_null("url") {
        form.refuse("url", Value::Null, "cannot be cleared; an endpoint without a URL is created with pull");
    }
    form.note_not_null("url");
    let url = url(form, "url", judge, AUTHORIZATION);
    Some(EndpointPatch { url, ..endpoint_fields(form, judge) })
}

/// The fields that a new endpoint and a change of one share. Null restores the default of each.
fn endpoint_fields(form: &mut Form, judge: &dyn Judge) -> EndpointPatch {
    let events = form.clearable("events", events);
    let description = form.clearable("description", |form| form.text("description", 500));
    let headers = form.clearable("headers", |form| headers(form, 2000));
    let tls = form.clearable("tls", |form| tls(form, judge));
    let retry = form.clearable("retry_seconds", waits);
    let rate = form.clearable("rate", |form| form.object("rate", rate));
    let timeout_ms = form.clearable("timeout_seconds", |form| {
        form.number("timeout_seconds", 1.0..=60.0).map(|seconds| (seconds * 1000.0).round() as u32)
    });
    EndpointPatch { url: None, events, description, headers, tls, retry, rate, timeout_ms }
}

fn waits(form: &mut Form) -> Option<RetrySchedule> {
    let seconds = form.integers("retry_seconds", 1..=MOST_WAITS, 0..=LONGEST_WAIT.as_secs())?;
    Some(RetrySchedule::seconds(&seconds))
}

fn rate(form: &mut Form) -> Option<Rate> {
    let per_second = form.number("per_second", 0.1..=10_000.0);
    let per_second = form.require("per_second", per_second);
    let burst = form.integer32_or("burst", 1..=10_000, 1);
    Some(Rate { per_second: per_second?, burst })
}

/// Headers that we set ourselves, that belong to the connection, or that would let one tenant speak for another.
const RESERVED_HEADERS: &[&str] = &[
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "user-agent",
    "expect",
    "cookie",
];

/// What stands for the value of a header where endpoints are shown: nearly all of them are there for a credential.
pub const MASK: &str = "****";

/// Takes headers of a caller's own.
pub(super) fn headers(form: &mut Form, longest: usize) -> Option<BTreeMap<String, String>> {
    let pairs = form.pairs("headers", 20, longest);
    form.pair_patterns("headers", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "^[\\t -~\\u0080-\\u00ff]*$");
    pairs.map(|pairs| custom_headers(form, pairs))
}

fn custom_headers(form: &Form, pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in pairs {
        let path = format!("headers.{}", name.chars().take(64).collect::<String>());
        let lower = name.to_ascii_lowercase();
        let reserved = RESERVED_HEADERS.contains(&lower.as_str())
            || lower.starts_with("webhook-")
            || lower.starts_with("reelhook-");
        if HeaderName::from_str(&lower).is_err() {
            form.refuse(&path, Value::Null, "is not a header name");
        } else if reserved {
            form.refuse(&path, Value::Null, "is reserved and cannot be set");
        } else if value == MASK {
            let message =
                "is the placeholder that the API shows instead of a value; send the value itself, or omit headers";
            form.refuse(&path, Value::Null, message);
        } else if HeaderValue::from_str(&value).is_err() {
            form.refuse(&path, Value::Null, "has a value that is not allowed in a header");
        } else {
            headers.insert(lower, value);
        }
    }
    headers
}

/// Reads `PUT /v1/settings`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn settings(value: Value, judge: &dyn Judge) -> Result<SettingsRequest, Vec<Violation>> {
    Form::read(value, |form| read_settings(form, judge))
}

fn read_settings(form: &mut Form, judge: &dyn Judge) -> Option<SettingsRequest> {
    let given = form.has("default_webhook");
    let default_webhook = form.object("default_webhook", |form| webhook(form, judge));
    (given == default_webhook.is_some()).then_some(SettingsRequest { default_webhook })
}

/// Reads `PUT /v1/settings/retention`: so many days, at most `most`, or null for the server's time.
///
/// # Errors
/// Everything that is wrong with it.
pub fn retention(value: Value, most: u32) -> Result<Option<u32>, Vec<Violation>> {
    Form::read(value, |form| read_retention(form, most))
}

fn read_retention(form: &mut Form, most: u32) -> Option<Option<u32>> {
    let days = form.clearable("keep_days", |form| form.integer32("keep_days", 1..=most));
    form.require("keep_days", days)
}

/// Reads `POST /v1/events`: one event, or up to [`MOST_EVENTS`].
///
/// # Errors
/// Everything that is wrong with it.
pub fn publish(value: Value) -> Result<Vec<PublishRequest>, Vec<Violation>> {
    Form::read(value, read_publish)
}

fn read_publish(form: &mut Form) -> Option<Vec<PublishRequest>> {
    let given = form.exactly_one(&["type", "events"]);
    let several = form.objects("events", 1..=MOST_EVENTS, |event, _| {
        event.not_null("payload");
        let (kind, payload) = (event_type(event), event.value("payload"));
        let (kind, payload) = (event.require("type", kind), event.require("payload", payload));
        let is_sample = event.boolean_or("sample", false);
        publication(event, kind?, payload?, is_sample)
    });
    form.not_null("type");
    form.not_null("payload");
    let (kind, payload) = (event_type(form), form.value("payload"));
    let payload = form.require_with("payload", "type", payload);
    let is_sample = form.boolean_or("sample", false);
    if given? == "events" {
        return several;
    }
    publication(form, kind?, payload?, is_sample).map(|event| vec![event])
}

fn event_type(form: &mut Form) -> Option<EventType> {
    let kind = form.parsed("type");
    form.pattern("type", EVENT_TYPE);
    form.longest("type", EventType::LONGEST);
    kind
}

fn publication(form: &Form, kind: EventType, payload: Value, is_sample: bool) -> Option<PublishRequest> {
    if kind.is_reserved() && !(is_sample && EventType::OURS.contains(&kind.as_str())) {
        let message = "is reserved: your own types must not start with job, endpoint or webhook; a sample of one of the server's types needs \"sample\": true";
        form.refuse("type", kind.as_str().into(), message);
        return None;
    }
    let text = payload.to_string();
    let size = text.len();
    if size > LARGEST_PAYLOAD {
        form.refuse("payload", payload, format_args!("must be at most {LARGEST_PAYLOAD} bytes of JSON, is {size}"));
        return None;
    }
    Some(PublishRequest { kind, payload: Data::from_json(text) })
}

/// Reads `POST /v1/endpoints/{id}/recover`: since when.
///
/// # Errors
/// Everything that is wrong with it.
pub fn recover(value: Value) -> Result<Timestamp, Vec<Violation>> {
    Form::read(value, read_recover)
}

fn read_recover(form: &mut Form) -> Option<Timestamp> {
    form.format("since", "date-time");
    let since = form.parsed("since");
    form.require("since", since)
}

/// Reads `POST /v1/endpoints/{id}/replay`: which event.
///
/// # Errors
/// Everything that is wrong with it.
pub fn replay(value: Value) -> Result<EventId, Vec<Violation>> {
    Form::read(value, read_replay)
}

fn read_replay(form: &mut Form) -> Option<EventId> {
    let event = id(form, "event");
    form.require("event", event)
}

/// Reads `POST /v1/keys`: the name of a new key.
///
/// # Errors
/// Everything that is wrong with it.
pub fn key(value: Value) -> Result<String, Vec<Violation>> {
    Form::read(value, read_key)
}

fn read_key(form: &mut Form) -> Option<String> {
    let name = form.text("name", 100);
    form.require("name", name)
}

/// 24 to 64 bytes in base64, as a regular expression.
const WEBHOOK_SECRET: &str = "^whsec_(([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?|\
                              ([A-Za-z0-9+/]{4}){21}([A-Za-z0-9+/][AQgw]==)?)$";

/// Takes a signing secret that the receiver knows already.
pub fn webhook_secret(form: &mut Form) -> Option<Secret> {
    let allowed = "must be whsec_ and 24 to 64 random bytes in base64";
    let fits = |text: &str| Secret::parse(text).is_ok();
    let text = form.secretly(|form| form.text_like("secret", 128, WEBHOOK_SECRET, allowed, fits))?;
    Secret::parse(&text).ok()
}

/// Shortest and longest text of a service's secret that a caller brings.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 16..=256;

/// Reads `POST /v1/secrets`.
///
/// # Errors
/// Everything that is wrong with it. The text is never repeated.
pub fn secret(value: Value) -> Result<SecretRequest, Vec<Violation>> {
    Form::read(value, read_secret)
}

fn read_secret(form: &mut Form) -> Option<SecretRequest> {
    let service = form.choice_where("service", crate::has_own_secrets);
    let service = form.require("service", service);
    let text = secret_text(form);
    Some(SecretRequest { service: service?, text })
}

/// Takes the text of a secret that receivers know already: visible ASCII.
pub fn secret_text(form: &mut Form) -> Option<String> {
    let (least, most) = (*SECRET_LENGTH.start(), *SECRET_LENGTH.end());
    let allowed = format!("must be {least} to {most} visible ASCII characters without spaces");
    let fits = |text: &str| SECRET_LENGTH.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    form.secretly(|form| form.text_like("secret", most, "^[!-~]{16,256}$", &allowed, fits))
}

/// Reads `POST /v1/jobs/{id}/retry`: whether all of it is done again, not only what failed.
///
/// # Errors
/// Everything that is wrong with it.
pub fn retry(value: Value) -> Result<bool, Vec<Violation>> {
    Form::read(value, read_retry)
}

fn read_retry(form: &mut Form) -> Option<bool> {
    Some(form.choice_or("outputs", RetryOutputs::Failed) == RetryOutputs::All)
}

choice! {
    /// What of a job is done again.
    RetryOutputs {
        /// The outputs that failed.
        Failed = "failed",
        /// All outputs.
        All = "all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(value: Value) -> Result<JobRequest, Vec<Violation>> {
        super::job(value, Bytes::Named, &Unjudged)
    }

    #[test]
    fn outputs_without_a_name_take_their_recipe_and_a_number() {
        let request = job(json!({
            "input": {"url": "https://example.com/a.mp4"},
            "outputs": [{"recipe": "thumbnail"}, {"recipe": "compress", "name": "thumbnail-2"}, {"recipe": "thumbnail"}]
        }));
        let names: Vec<_> = request.unwrap().outputs.into_iter().map(|output| output.name).collect();
        assert_eq!(names, ["thumbnail", "thumbnail-2", "thumbnail-3"]);
    }

    #[test]
    fn everything_wrong_with_a_job_is_named_at_once() {
        let violations = job(json!({
            "input": {"url": "not a url", "colour": 1},
            "outputs": [{"recipe": "compress", "crf": 99}, {"recipe": "thumbnail", "name": "a/b"}, {"name": "x"}],
            "webhook": {"url": 5, "events": ["job completed"]},
            "metadata": {"a": 1},
            "priority": "urgent",
            "draft": "yes",
            "mode": "fast"
        }))
        .unwrap_err();
        let lines: Vec<_> = violations.iter().map(|v| format!("{}: {} (was {})", v.path, v.message, v.value)).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn headers_that_are_ours_or_the_connections_are_refused() {
        let violations = endpoint(
            json!({
                "url": "https://example.com/",
                "headers": {"Host": "x", "Webhook-Id": "x", "X-Ok": "fine", "bad name": "x", "X-Split": "a\r\nb"}
            }),
            &Unjudged,
        )
        .unwrap_err();
        let paths: Vec<_> = violations.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(paths, ["headers.Host", "headers.Webhook-Id", "headers.X-Split", "headers.bad name"]);
    }
}
