//! What callers of Transcodely may say.
//!
//! All that is wrong is named at once, with indexed paths. The service's JSON is that of protocol buffers, in which a
//! default value (empty text, zero, false, empty list) and no value are the same, and fields that nobody knows are passed
//! over. A documented field that asks for what is not done here is refused by name: to pass over it would make another
//! file than the one that was asked for.

mod origin;
mod output;
mod thumbnail;

use std::collections::BTreeMap;

use reelhook_domain::event::{EventFilter, EventType};
use reelhook_domain::form::{Form, Violation};
use reelhook_domain::id::{JobId, OriginId};
use reelhook_domain::job::{Dialect, JobState};
use reelhook_domain::object_path::{ObjectPath, PathTemplate};
use serde_json::{Map, Value, json};
use url::Url;

use crate::request::{
    BelievedPlace, DestinationPaths, DestinationRequest, InputRequest, JobRequest, NamedInput, OutputRequest,
    WebhookRequest,
};
pub use origin::{origin, origin_update};
use output::{Wanted, refuse_undone};

/// Most outputs of a request.
const MOST_OUTPUTS: usize = 10;
/// Most files of a job: each entry of `video[]` of a file output is one, each thumbnail too.
const MOST_FILES: usize = 20;
/// Longest URL.
const LONGEST_URL: usize = 2048;
const LONGEST_ID: usize = 64;

/// Which events its webhooks tell of.
const TOLD: [&str; 6] = [
    EventType::JOB_AWAITING_CONFIRMATION,
    EventType::JOB_COMPLETED,
    EventType::JOB_FAILED,
    EventType::JOB_REJECTED,
    EventType::JOB_CANCELED,
    EventType::JOB_PARTIAL,
];

/// Which events its webhooks tell of.
pub fn told() -> EventFilter {
    EventFilter::new(TOLD.map(str::to_owned).into())
}

/// A job to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// The job. Its input is still a `gs://` or `s3://` URL where the caller gave one.
    pub job: JobRequest,
    /// The caller's word that a repeat is the same job.
    pub idempotency_key: Option<String>,
}

/// Reads `JobService/Create`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn create(value: Value) -> Result<Create, Vec<Violation>> {
    let value = without_defaults(value);
    let echo = |name: &str| value.get(name).cloned().unwrap_or_else(|| json!([]));
    let (outputs_said, thumbnails_said) = (echo("outputs"), echo("thumbnails"));
    Form::read(value, |form| {
        let input = input(form);
        let output_origin = origin_id(form, "output_origin_id");
        let prefix = form.parsed::<PathTemplate>("output_path_template");
        let webhook = url(form, "webhook_url");
        let outputs = form.objects("outputs", 1..=MOST_OUTPUTS, output::read);
        let outputs = form.require("outputs", outputs);
        let thumbnails = form.objects("thumbnails", 1..=5, thumbnail::read);
        let metadata = metadata(form);
        let priority = form.choice("priority");
        let confirm = form.boolean("delayed_start").unwrap_or(false);
        let idempotency_key = form.text("idempotency_key", 128);
        refuse_undone(form, &["clip", "managed"]);
        form.ignore_rest();

        let wanted: Vec<Wanted> = outputs?.into_iter().chain(thumbnails.unwrap_or_default()).flatten().collect();
        if wanted.len() > MOST_FILES {
            let message =
                format!("makes {} files, each entry of video[] being one; the limit is {MOST_FILES}", wanted.len());
            form.refuse("outputs", Value::Null, message);
        }
        let said = said(&wanted, &outputs_said, &thumbnails_said, webhook.as_ref());
        let destination = output_origin.map(|origin| DestinationRequest {
            origin,
            believed: BelievedPlace::default(),
            paths: DestinationPaths::Templates {
                prefix,
                each: wanted.iter().map(|wanted| wanted.template.clone()).collect(),
            },
        });
        let outputs = named(wanted);
        let mut job = JobRequest::new(Dialect::Transcodely, vec![NamedInput::only(input?)], outputs);
        job.webhook = webhook.map(|url| WebhookRequest { url, events: told(), headers: None, tls: None });
        job.metadata = metadata;
        job.priority = priority.unwrap_or(job.priority);
        job.confirm = confirm;
        job.destination = destination;
        job.said = said;
        Some(Create { job, idempotency_key })
    })
}

/// Takes the input: a URL, or an origin with a path.
fn input(form: &mut Form) -> Option<InputRequest> {
    let (has_url, has_origin) = (form.has("input_url"), form.has("input_origin_id") || form.has("input_path"));
    let url = url(form, "input_url");
    let origin = origin_id(form, "input_origin_id");
    let path = form.parsed::<ObjectPath>("input_path");
    match (has_url, has_origin) {
        (true, false) => url.map(InputRequest::Url),
        (false, true) => {
            let origin = form.require("input_origin_id", origin);
            let path = form.require("input_path", path);
            Some(InputRequest::Origin(origin?, path?.to_string()))
        }
        (true, true) => {
            form.refuse("input_url", Value::Null, "must be left out when input_origin_id and input_path are given");
            None
        }
        (false, false) => {
            form.refuse("input_url", Value::Null, "is required, or input_origin_id with input_path");
            None
        }
    }
}

fn origin_id(form: &mut Form, name: &'static str) -> Option<OriginId> {
    let text = form.text(name, LONGEST_ID)?;
    let id = text.parse().ok();
    if id.is_none() {
        form.refuse(name, text.into(), "is not the id of an origin of this account");
    }
    id
}

fn url(form: &mut Form, name: &'static str) -> Option<Url> {
    let text = form.text(name, LONGEST_URL)?;
    match text.parse::<Url>() {
        Ok(url) if url.has_host() => Some(url),
        _ => {
            form.refuse(name, Value::Null, "must be a URL such as https://example.com/a.mp4");
            None
        }
    }
}

fn metadata(form: &mut Form) -> BTreeMap<String, String> {
    let pairs = form.pairs("metadata", 20, 1024).unwrap_or_default();
    for (key, _) in pairs.iter().filter(|(key, _)| !(1..=64).contains(&key.len())) {
        let key: String = key.chars().take(80).collect();
        form.refuse("metadata", key.into(), "has a key that is not 1 to 64 bytes long");
    }
    pairs.into_iter().collect()
}

/// Names for the files, unique in the job: `h264_1080p`, `h264_1080p_2`, `hls`, `thumbnail`.
fn named(wanted: Vec<Wanted>) -> Vec<OutputRequest> {
    let mut taken = BTreeMap::<String, usize>::new();
    let name = |wanted: Wanted| {
        let count = taken.entry(wanted.name.clone()).or_default();
        *count += 1;
        let name = if *count == 1 { wanted.name } else { format!("{}_{count}", wanted.name) };
        OutputRequest { name, recipe: wanted.recipe }
    };
    wanted.into_iter().map(name).collect()
}

/// What is shown again: for each file what was asked of it.
fn said(wanted: &[Wanted], outputs: &Value, thumbnails: &Value, webhook: Option<&Url>) -> Value {
    let spec = |wanted: &Wanted| {
        let mut spec = outputs[wanted.from].clone();
        if let (Some(entry), Some(fields)) = (wanted.entry, spec.as_object_mut()) {
            let only = fields.get("video").and_then(|video| video.get(entry)).cloned();
            fields.insert("video".to_owned(), json!(only.as_slice()));
        }
        spec
    };
    let outputs: Vec<_> = wanted.iter().filter(|wanted| !wanted.is_thumbnail).map(spec).collect();
    let of_thumbnails: Vec<_> = wanted.iter().filter(|wanted| wanted.is_thumbnail).map(|wanted| wanted.from).collect();
    json!({
        "outputs": outputs, "thumbnails": thumbnails, "thumbnail_of": of_thumbnails,
        "webhook_url": webhook.map_or("", Url::as_str),
    })
}

/// Reads a request that names one thing by its id.
///
/// # Errors
/// [`Violation`]s, where it is no object or has no id.
pub fn id(value: Value) -> Result<String, Vec<Violation>> {
    Form::read(value, |form| {
        let id = form.text("id", 256);
        let id = form.require("id", id);
        form.ignore_rest();
        id
    })
}

/// Which jobs or origins are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// In which of our states; all when empty.
    pub states: Vec<&'static str>,
    /// Most items.
    pub limit: u32,
    /// After which id, as its bits.
    pub after: Option<u128>,
    /// How many are passed over first.
    pub offset: usize,
}

/// Reads `JobService/List` and `OriginService/List`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn list(value: Value) -> Result<List, Vec<Violation>> {
    Form::read(without_defaults(value), |form| {
        let one = form.text("status", 64);
        let states = one.map(|word| {
            let states = states_of(&word);
            if states.is_empty() {
                form.refuse("status", word.into(), format_args!("must be one of {}", STATUSES.join(", ")));
            }
            vec![states]
        });
        let many = form.texts("statuses", 1..=20, |word| match states_of(word) {
            [] => Err(format!("must be one of {}", STATUSES.join(", "))),
            states => Ok(states),
        });
        let page = form.object("pagination", |form| {
            let limit = form.integer32("limit", 1..=100);
            let cursor = form.text("cursor", 64);
            let offset = form.integer("offset", 0..=10_000).unwrap_or(0);
            let after = cursor.and_then(|cursor| {
                let id = format!("job_{cursor}").parse::<JobId>().ok();
                if id.is_none() {
                    form.refuse("cursor", cursor.into(), "must be the next_cursor of an earlier answer");
                }
                id.map(JobId::bits)
            });
            form.ignore_rest();
            Some((limit, after, offset))
        });
        form.ignore_rest();
        let (limit, after, offset) = page.unwrap_or_default();
        let states = states.or(many).unwrap_or_default().concat();
        Some(List { states, limit: limit.unwrap_or(20), after, offset: offset as usize })
    })
}

/// The service's words for the states of a job.
const STATUSES: [&str; 8] =
    ["pending", "probing", "awaiting_confirmation", "processing", "completed", "partial", "failed", "canceled"];

/// Our states that the service calls by that word.
fn states_of(word: &str) -> &'static [&'static str] {
    match word {
        "pending" => &["draft", "queued"],
        "failed" => &["failed", "rejected"],
        word => {
            let found = JobState::NAMES.iter().position(|name| *name == word && STATUSES.contains(name));
            found.map_or(&[], |place| &JobState::NAMES[place..=place])
        }
    }
}

/// Fields whose value is one of a list. The service's own client writes `unspecified` where its caller chose none.
const CHOICES: [&str; 17] = [
    "codec",
    "encoding_mode",
    "format",
    "gop_alignment",
    "mode",
    "operation",
    "playlist_type",
    "preset",
    "priority",
    "profile",
    "quality",
    "resolution",
    "segment_format",
    "status",
    "tone_mapping",
    "tune",
    "type",
];

/// Without what means nothing in the JSON of protocol buffers. The caller's own pairs and the items of lists stay.
fn without_defaults(value: Value) -> Value {
    fn means_something(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(false) => false,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Bool(true) => true,
        }
    }
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| {
                let value = if name == "metadata" { value } else { without_defaults(value) };
                (name, value)
            });
            let kept = kept.filter(|(name, value)| {
                let is_unspecified = value == "unspecified" && CHOICES.contains(&name.as_str());
                means_something(value) && !is_unspecified
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_defaults).collect()),
        other => other,
    }
}
