//! What callers of Compressor may say. Fields that the service does not document are refused by name: an option that is
//! misspelt must not be taken for done.

use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use reelhook_domain::form::{Form, Violation};
use reelhook_domain::id::OriginId;
use reelhook_domain::job::Dialect;
use reelhook_domain::object_path::BasePath;
use reelhook_domain::recipe::{Auto, AutoImage, AutoVideo, LARGEST_SIDE, Level, Recipe};
use serde_json::Value;
use url::Url;

use super::headers::AGENT;
use super::{OUTPUT, event};
use crate::{
    BelievedPlace, DestinationPaths, DestinationRequest, InputRequest, JobRequest, NamedInput, OutputRequest,
    WebhookRequest,
};

/// Longest URL.
const LONGEST_URL: usize = 4096;
/// Longest name of a bucket, a region and the like.
const LONGEST_NAME: usize = 256;
/// Most headers for a download, and the longest of each.
const HEADERS: (usize, usize) = (20, 4096);
/// Headers that belong to the connection or to how we ask.
const NOT_THE_CALLERS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "if-range",
    "accept-encoding",
];

/// Reads `POST /1.0/fetch`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn fetch(value: Value) -> Result<JobRequest, Vec<Violation>> {
    Form::read(value, |form| {
        // Both, so that no option is called unknown because the URL is wrong.
        let (input, options) = (download(form), options(form));
        Some(JobRequest { inputs: vec![input?], ..options? })
    })
}

/// Reads the part `data` of `POST /1.0/upload`: the same without `url` and `headers`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn upload(value: Value) -> Result<JobRequest, Vec<Violation>> {
    Form::read(value, options)
}

/// Spells a path of the native API as this service calls the field.
pub fn spelled(path: &str) -> String {
    match path {
        "input.url" => "url".to_owned(),
        "destination.origin" => "store.id".to_owned(),
        other => match other.strip_prefix("destination.") {
            Some(field) => format!("store.{field}"),
            None => other.to_owned(),
        },
    }
}

fn options(form: &mut Form) -> Option<JobRequest> {
    let image = form.object("image", |form| {
        let level = form.choice("compression").unwrap_or(Level::High);
        let (width, height) = resize(form, 1).unwrap_or_default();
        Some(AutoImage { level, width, height })
    });
    let video = form.object("video", |form| {
        let (width, height) = resize(form, 2).unwrap_or_default();
        Some(AutoVideo { width, height })
    });
    let webhook = form.object("webhook", |form| {
        let url = url(form, "url");
        Some(WebhookRequest { url: form.require("url", url)?, events: event::told(), headers: None, tls: None })
    });
    let destination = form.object("store", store);
    let auto = Auto {
        image: image.unwrap_or(AutoImage { level: Level::High, width: None, height: None }),
        video: video.unwrap_or_default(),
    };
    let output = OutputRequest { name: OUTPUT.to_owned(), recipe: Recipe::Auto(auto) };
    Some(JobRequest { webhook, destination, ..JobRequest::new(Dialect::Compressor, Vec::new(), vec![output]) })
}

/// Takes `store`: an origin of the account, and a folder in it. What its caller says of the bucket is checked later; what
/// only the bucket's owner decides is refused, lest a file be more open than its caller takes it to be.
fn store(form: &mut Form) -> Option<DestinationRequest> {
    let id = form.parsed::<OriginId>("id");
    let id = form.require("id", id);
    let (bucket, container) = (form.text("bucket", LONGEST_NAME), form.text("container", LONGEST_NAME));
    let region = form.text("region", LONGEST_NAME);
    let folder = form.parsed::<BasePath>("path").unwrap_or_default();
    for (name, only, why) in [
        ("acl", "private", "must be private or left out: who else may read is decided by the bucket"),
        ("class", "standard", "must be standard or left out: other classes are decided by the bucket"),
    ] {
        match form.text(name, LONGEST_NAME) {
            Some(asked) if asked != only => form.refuse(name, asked.into(), why),
            _ => {}
        }
    }
    for name in ["metadata", "headers", "tags"] {
        match form.value(name) {
            Some(Value::Object(pairs)) if pairs.is_empty() => {}
            Some(_) => form.refuse(name, Value::Null, "cannot be set here; leave it out"),
            None => {}
        }
    }
    let believed = BelievedPlace { bucket: bucket.or(container), region };
    Some(DestinationRequest { origin: id?, believed, paths: DestinationPaths::Folder(folder) })
}

/// Takes `resize`: a box with one side or both.
fn resize(form: &mut Form, least: u32) -> Option<(Option<u32>, Option<u32>)> {
    form.object("resize", |form| {
        let given = form.has("width") || form.has("height");
        let width = form.integer32("width", least..=LARGEST_SIDE);
        let height = form.integer32("height", least..=LARGEST_SIDE);
        match form.text("mode", 64) {
            Some(mode) if mode != "fit" => form.refuse("mode", mode.into(), "must be fit, the one mode that there is"),
            _ => {}
        }
        if !given {
            form.refuse_whole("needs width, height or both");
        }
        Some((width, height))
    })
}

fn url(form: &mut Form, name: &'static str) -> Option<Url> {
    let text = form.text(name, LONGEST_URL)?;
    match Url::parse(&text) {
        Ok(url) => Some(url),
        Err(error) => {
            // Never repeated: it may hold a password.
            form.refuse(
                name,
                Value::Null,
                format_args!("must be an absolute URL such as https://example.com/a.jpg ({error})"),
            );
            None
        }
    }
}

/// Takes `url` and `headers`. Credentials in the URL become a header, which is sealed at rest; the URL goes on without.
fn download(form: &mut Form) -> Option<NamedInput> {
    let url = url(form, "url");
    let url = form.require("url", url);
    let mut headers = BTreeMap::new();
    for (name, value) in form.pairs("headers", HEADERS.0, HEADERS.1).unwrap_or_default() {
        let name = name.to_ascii_lowercase();
        let path = format!("headers.{name}");
        if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(&value).is_err() {
            form.refuse(&path, Value::Null, "must be a header's name with visible ASCII as its value");
        } else if NOT_THE_CALLERS.contains(&name.as_str()) {
            form.refuse(&path, Value::Null, "belongs to the connection and cannot be set");
        } else if headers.insert(name, value).is_some() {
            form.refuse(&path, Value::Null, "is given twice");
        }
    }
    let mut url = url?;
    if let Some(credentials) = basic(&url) {
        if headers.insert(AUTHORIZATION.as_str().to_owned(), credentials).is_some() {
            form.refuse("url", Value::Null, "has credentials in it, and headers.authorization is given too");
        }
        // Cannot fail: only a URL without a host has no place for them, and that one had.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    headers.entry(USER_AGENT.as_str().to_owned()).or_insert_with(|| AGENT.to_owned());
    Some(NamedInput { headers, ..NamedInput::only(InputRequest::Url(url)) })
}

/// The `Authorization` header that credentials in a URL stand for.
///
/// # Source
/// RFC 7617 section 2: the base64 of `user:password`, whose bytes are those that the URL's percent codes stand for.
fn basic(url: &Url) -> Option<String> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut bytes = decoded(url.username());
    bytes.push(b':');
    bytes.extend(decoded(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64_STANDARD.encode(bytes)))
}

/// The bytes that a text with percent codes stands for.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(coded) => {
                plain.push(coded);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}
