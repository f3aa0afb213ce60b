//! What callers of the native API may say.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use http::header::{HeaderName, HeaderValue};
use reelhook_domain::endpoint::Rate;
use reelhook_domain::event::{Data, EventFilter, EventType};
use reelhook_domain::form::{Form, Violation};
use reelhook_domain::id::EventId;
use reelhook_domain::job::{Dialect, MOST_INPUTS, OnDamage, Priority};
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::recipe::{FEWEST_TO_JOIN, Recipe};
use reelhook_domain::retry::{LONGEST_WAIT, MOST_WAITS, RetrySchedule};
use reelhook_domain::time::Timestamp;
use reelhook_signature::Secret;
use serde_json::Value;
use url::Url;

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

/// Says what is wrong with a URL that the server may not reach, as far as the URL itself tells.
pub type Judge<'a> = &'a dyn Fn(&Url) -> Result<(), String>;

/// Where the bytes of a job are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// Where the request says.
    Named,
    /// They come with the request.
    Sent,
}

/// What takes the credentials of a receiver.
const AUTHORIZATION: &str = "headers.Authorization";

/// Reads `POST /v1/jobs`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn job(value: Value, bytes: Bytes, judge: Judge<'_>) -> Result<JobRequest, Vec<Violation>> {
    Form::read(value, |form| {
        let inputs = inputs(form, bytes, judge);
        let outputs = form.objects("outputs", 1..=MOST_OUTPUTS, |output, _| {
            let name = plain_name(output);
            Some((name, Recipe::read(output)?))
        });
        let outputs = form.require("outputs", outputs);
        let webhook = form.object("webhook", |form| webhook(form, judge));
        let metadata = form.pairs("metadata", METADATA.0, METADATA.1).unwrap_or_default();
        let priority = form.choice("priority").unwrap_or(Priority::Standard);
        let on_damage = form.choice("on_damage").unwrap_or(OnDamage::Strict);
        let confirm = form.boolean("confirm").unwrap_or(false);
        let draft = form.boolean("draft").unwrap_or(false);
        let joins = |(_, recipe): &(_, Recipe)| matches!(recipe, Recipe::Concat(_));
        if let (Some(inputs), Some(outputs)) = (&inputs, &outputs)
            && inputs.len() < FEWEST_TO_JOIN
            && let Some(place) = outputs.iter().position(joins)
        {
            let message = format_args!("needs a job with inputs, at least {FEWEST_TO_JOIN} of them").to_string();
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
    })
}

/// Takes `input` or `inputs`; an empty list when the file comes along.
fn inputs(form: &mut Form, bytes: Bytes, judge: Judge<'_>) -> Option<Vec<NamedInput>> {
    match (form.has("input"), form.has("inputs")) {
        (false, false) => {
            form.value("input");
            form.value("inputs");
            if bytes == Bytes::Named {
                form.refuse("input", Value::Null, "is required");
                return None;
            }
            Some(Vec::new())
        }
        (one, _) if bytes == Bytes::Sent => {
            form.value("input");
            form.value("inputs");
            let name = if one { "input" } else { "inputs" };
            form.refuse(name, Value::Null, "must be left out when the file comes with the request");
            None
        }
        (true, false) => {
            form.value("inputs");
            form.object("input", |form| input(form, judge)).map(|source| vec![NamedInput::only(source)])
        }
        (false, true) => {
            form.value("input");
            let inputs = form.objects("inputs", 1..=MOST_INPUTS, |form, index| {
                let name = plain_name(form);
                let source = input(form, judge)?;
                let name = name.unwrap_or_else(|| format!("in_{}", index + 1));
                Some(NamedInput { name, source, headers: BTreeMap::new() })
            })?;
            let mut taken = BTreeSet::new();
            for (index, input) in inputs.iter().enumerate() {
                if !taken.insert(input.name.clone()) {
                    form.refuse(
                        &format!("inputs[{index}].name"),
                        input.name.clone().into(),
                        "must be unique in the job",
                    );
                }
            }
            (taken.len() == inputs.len()).then_some(inputs)
        }
        (true, true) => {
            form.value("input");
            form.value("inputs");
            form.refuse_whole("takes either input or inputs, not both");
            None
        }
    }
}

fn input(form: &mut Form, judge: Judge<'_>) -> Option<InputRequest> {
    match (form.has("url"), form.has("upload"), form.has("origin")) {
        (true, false, false) => {
            url(form, "url", judge, "an origin with credentials (POST /v1/origins)").map(InputRequest::Url)
        }
        (false, true, false) => form.parsed("upload").map(InputRequest::Upload),
        (false, false, true) => {
            let (origin, path) = (form.parsed("origin"), form.parsed::<ObjectPath>("path"));
            let path = form.require("path", path);
            Some(InputRequest::Origin(origin?, path?.to_string()))
        }
        _ => {
            // Take all, so that they are not called unknown as well.
            for name in ["url", "upload", "origin", "path"] {
                form.value(name);
            }
            form.refuse_whole("needs exactly one of url, upload and origin");
            None
        }
    }
}

/// Takes a URL that a stranger wrote, if it may be reached. `instead` is what takes the credentials that it must not hold.
pub(super) fn url(form: &mut Form, name: &'static str, judge: Judge<'_>, instead: &str) -> Option<Url> {
    let text = form.text(name, LONGEST_URL)?;
    match Url::parse(&text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let message = format_args!("must not contain a user name or a password: send them in {instead}");
            form.refuse(name, Value::Null, message);
            None
        }
        Ok(url) => match judge(&url) {
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

fn webhook(form: &mut Form, judge: Judge<'_>) -> Option<WebhookRequest> {
    let events = events(form).unwrap_or_default();
    let url = url(form, "url", judge, AUTHORIZATION);
    let url = form.require("url", url);
    let headers = headers(form);
    Some(WebhookRequest { url: url?, events, headers })
}

fn events(form: &mut Form) -> Option<EventFilter> {
    form.texts("events", 1..=EventFilter::MOST, EventFilter::check_pattern).map(EventFilter::new)
}

/// Takes the name of an input or output: it stands in paths and file names, so it is plain.
fn plain_name(form: &mut Form) -> Option<String> {
    let name = form.text("name", 64)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !name.is_empty() && name.bytes().all(plain) && !name.starts_with(['.', '-']) {
        return Some(name);
    }
    form.refuse("name", name.into(), "must be 1 to 64 letters, digits, '_', '-' or '.', not starting with '.' or '-'");
    None
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
pub fn endpoint(value: Value, judge: Judge<'_>) -> Result<EndpointRequest, Vec<Violation>> {
    Form::read(value, |form| {
        let address = match (form.boolean("pull").unwrap_or(false), form.has("url")) {
            (true, true) => {
                form.value("url");
                form.refuse_whole("takes either url or pull, not both");
                None
            }
            (true, false) => Some(EndpointAddress::Pull),
            (false, _) => {
                let url = url(form, "url", judge, AUTHORIZATION);
                form.require("url", url).map(EndpointAddress::Push)
            }
        };
        let patch = endpoint_fields(form);
        let dialect = form.choice("dialect").unwrap_or(Dialect::Native);
        let secret = webhook_secret(form);
        Some(EndpointRequest {
            secret,
            dialect,
            address: address?,
            events: patch.events.flatten().unwrap_or_default(),
            description: patch.description.flatten().unwrap_or_default(),
            headers: patch.headers.flatten().unwrap_or_default(),
            retry: patch.retry.flatten(),
            rate: patch.rate.flatten(),
            timeout_ms: patch.timeout_ms.flatten().unwrap_or(crate::timeout(dialect).as_millis() as u32),
        })
    })
}

/// Reads `PATCH /v1/endpoints/{id}`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn endpoint_patch(value: Value, judge: Judge<'_>) -> Result<EndpointPatch, Vec<Violation>> {
    Form::read(value, |form| {
        if form.is_null("url") {
            form.refuse("url", Value::Null, "cannot be cleared; an endpoint without a URL is created with pull");
        }
        let url = url(form, "url", judge, AUTHORIZATION);
        Some(EndpointPatch { url, ..endpoint_fields(form) })
    })
}

/// The fields that a new endpoint and a change of one share. Null restores the default of each.
fn endpoint_fields(form: &mut Form) -> EndpointPatch {
    let events = clearable(form, "events", events);
    let description = clearable(form, "description", |form| form.text("description", 500));
    let headers = clearable(form, "headers", headers);
    let retry = clearable(form, "retry_seconds", waits);
    let rate = clearable(form, "rate", |form| form.object("rate", rate));
    let timeout_ms = clearable(form, "timeout_seconds", |form| {
        form.number("timeout_seconds", 1.0..=60.0).map(|seconds| (seconds * 1000.0).round() as u32)
    });
    EndpointPatch { url: None, events, description, headers, retry, rate, timeout_ms }
}

/// Takes a field that null clears.
fn clearable<T>(form: &mut Form, name: &'static str, take: impl FnOnce(&mut Form) -> Option<T>) -> Option<Option<T>> {
    if form.is_null(name) {
        form.value(name);
        return Some(None);
    }
    take(form).map(Some)
}

/// What stands for the value of a header where endpoints are shown: nearly all of them are there for a credential.
pub const MASK: &str = "****";

/// Takes the extra headers of a request to an endpoint.
fn headers(form: &mut Form) -> Option<BTreeMap<String, String>> {
    form.pairs("headers", 20, 2000).map(|pairs| custom_headers(form, pairs))
}

fn waits(form: &mut Form) -> Option<RetrySchedule> {
    let items = match form.value("retry_seconds")? {
        Value::Array(items) => items,
        other => {
            form.refuse("retry_seconds", other, "must be an array of seconds");
            return None;
        }
    };
    let longest = LONGEST_WAIT.as_secs();
    let waits: Option<Vec<u64>> =
        items.iter().map(|item| item.as_u64().filter(|seconds| *seconds <= longest)).collect();
    match waits {
        Some(waits) if (1..=MOST_WAITS).contains(&waits.len()) => Some(RetrySchedule::seconds(&waits)),
        _ => {
            let message =
                format!("must be 1 to {MOST_WAITS} waits in whole seconds, each 0 to {longest}; one attempt for each");
            form.refuse("retry_seconds", Value::Array(items), message);
            None
        }
    }
}

fn rate(form: &mut Form) -> Option<Rate> {
    let per_second = form.number("per_second", 0.1..=10_000.0);
    let per_second = form.require("per_second", per_second);
    let burst = form.integer32("burst", 1..=10_000).unwrap_or(1);
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

pub(super) fn custom_headers(form: &Form, pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
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
            let message = "is what the API shows in place of a value: send the value itself, or leave headers out";
            form.refuse(&path, Value::Null, message);
        } else if HeaderValue::from_str(&value).is_err() {
            form.refuse(&path, Value::Null, "has a value that cannot stand in a header");
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
pub fn settings(value: Value, judge: Judge<'_>) -> Result<SettingsRequest, Vec<Violation>> {
    Form::read(value, |form| {
        let given = form.has("default_webhook");
        let default_webhook = form.object("default_webhook", |form| webhook(form, judge));
        (given == default_webhook.is_some()).then_some(SettingsRequest { default_webhook })
    })
}

/// Reads `PUT /v1/settings/retention`: so many days, at most `most`, or null for the server's time.
///
/// # Errors
/// Everything that is wrong with it.
pub fn retention(value: Value, most: u32) -> Result<Option<u32>, Vec<Violation>> {
    Form::read(value, |form| {
        if form.is_null("keep_days") {
            form.value("keep_days");
            return Some(None);
        }
        let days = form.integer32("keep_days", 1..=most);
        form.require("keep_days", days).map(Some)
    })
}

/// Reads `POST /v1/events`: one event, or up to [`MOST_EVENTS`].
///
/// # Errors
/// Everything that is wrong with it.
pub fn publish(value: Value) -> Result<Vec<PublishRequest>, Vec<Violation>> {
    Form::read(value, |form| {
        if form.has("events") {
            form.objects("events", 1..=MOST_EVENTS, |event, _| publication(event))
        } else {
            publication(form).map(|event| vec![event])
        }
    })
}

fn publication(form: &mut Form) -> Option<PublishRequest> {
    let kind = form.parsed::<EventType>("type");
    let is_sample = form.boolean("sample").unwrap_or(false);
    let kind = form.require("type", kind).filter(|kind| {
        let is_free = !kind.is_reserved() || is_sample && EventType::OURS.contains(&kind.as_str());
        if !is_free {
            let message = "is reserved: types of your own do not start with job, endpoint or webhook; \
                           a sample of one of the server's own takes \"sample\": true";
            form.refuse("type", kind.as_str().into(), message);
        }
        is_free
    });
    let payload = form.value("payload");
    let payload = form.require("payload", payload)?;
    let text = payload.to_string();
    let size = text.len();
    if size > LARGEST_PAYLOAD {
        form.refuse("payload", payload, format_args!("must be at most {LARGEST_PAYLOAD} bytes of JSON, is {size}"));
        return None;
    }
    Some(PublishRequest { kind: kind?, payload: Data::from_json(text) })
}

/// Reads `POST /v1/endpoints/{id}/recover`: since when.
///
/// # Errors
/// Everything that is wrong with it.
pub fn recover(value: Value) -> Result<Timestamp, Vec<Violation>> {
    Form::read(value, |form| {
        let since = form.parsed("since");
        form.require("since", since)
    })
}

/// Reads `POST /v1/endpoints/{id}/replay`: which event.
///
/// # Errors
/// Everything that is wrong with it.
pub fn replay(value: Value) -> Result<EventId, Vec<Violation>> {
    Form::read(value, |form| {
        let event = form.parsed("event");
        form.require("event", event)
    })
}

/// Reads `POST /v1/keys`: the name of a new key.
///
/// # Errors
/// Everything that is wrong with it.
pub fn key(value: Value) -> Result<String, Vec<Violation>> {
    Form::read(value, |form| {
        let name = form.text("name", 100);
        form.require("name", name)
    })
}

/// Takes a signing secret that the receiver knows already.
pub fn webhook_secret(form: &mut Form) -> Option<Secret> {
    let secret = match form.value("secret")? {
        Value::String(text) if text.len() <= 128 => Secret::parse(&text).ok(),
        _ => None,
    };
    if secret.is_none() {
        form.refuse("secret", Value::Null, "must be whsec_ and 24 to 64 random bytes in base64");
    }
    secret
}

/// Shortest and longest text of a service's secret that a caller brings.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 16..=256;

/// Reads `POST /v1/secrets`.
///
/// # Errors
/// Everything that is wrong with it. The text is never repeated.
pub fn secret(value: Value) -> Result<SecretRequest, Vec<Violation>> {
    Form::read(value, |form| {
        let service: Option<Dialect> = form.choice("service");
        if let Some(service) = service.filter(|service| !crate::has_own_secrets(*service)) {
            form.refuse(
                "service",
                service.as_str().into(),
                "must be transcodely or removebgvideo: others have no scheme of their own",
            );
        }
        let service = form.require("service", service);
        let text = secret_text(form);
        Some(SecretRequest { service: service?, text })
    })
}

/// Takes the text of a secret that receivers know already: visible ASCII.
pub fn secret_text(form: &mut Form) -> Option<String> {
    let Value::String(text) = form.value("secret")? else {
        form.refuse("secret", Value::Null, "must be a text");
        return None;
    };
    if SECRET_LENGTH.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text);
    }
    let (least, most) = (SECRET_LENGTH.start(), SECRET_LENGTH.end());
    form.refuse(
        "secret",
        Value::Null,
        format_args!("must be {least} to {most} visible ASCII characters without spaces"),
    );
    None
}

/// Reads `POST /v1/jobs/{id}/retry`: whether all of it is done again, not only what failed.
///
/// # Errors
/// Everything that is wrong with it.
pub fn retry(value: Value) -> Result<bool, Vec<Violation>> {
    Form::read(value, |form| {
        let word = form.text("outputs", 16).unwrap_or_else(|| "failed".to_owned());
        match word.as_str() {
            "failed" => Some(false),
            "all" => Some(true),
            _ => {
                form.refuse("outputs", word.into(), "must be failed or all");
                None
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(value: Value) -> Result<JobRequest, Vec<Violation>> {
        super::job(value, Bytes::Named, &crate::any_url)
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
            &crate::any_url,
        )
        .unwrap_err();
        let paths: Vec<_> = violations.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(paths, ["headers.Host", "headers.Webhook-Id", "headers.X-Split", "headers.bad name"]);
    }
}
