//! Storage providers of the service, which are origins of ours: a bucket of R2 that outputs are written to.

use reelhook_domain::form::Violation;
use reelhook_domain::origin::{Origin, Place};
use serde_json::{Value, json};
use url::Url;

use super::spell;
use crate::native;
use crate::request::OriginRequest;

/// How outputs are named there.
const TEMPLATE: &str = "outputs/{job_id}/result";
/// The service's words for fields, and ours.
const WORDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("bucket", "r2.bucket"),
    ("accountId", "r2.account_id"),
    ("endpoint", "r2.endpoint"),
    ("prefix", "base_path"),
    ("accessKeyId", "r2.credentials.access_key_id"),
    ("secretAccessKey", "r2.credentials.secret_access_key"),
];

/// A storage provider as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRequest {
    /// The origin that it is.
    pub origin: OriginRequest,
    /// Whether outputs are written there from now on.
    pub make_default: bool,
}

/// Reads `POST /v1/settings/storage-providers`.
///
/// # Errors
/// Everything that is wrong with it; credentials are never repeated.
pub fn read(value: &Value) -> Result<ProviderRequest, Vec<Violation>> {
    let refuse = |path: &str, value: Value, message: &str| {
        vec![Violation { path: path.to_owned(), value, message: message.to_owned() }]
    };
    if !value.is_object() {
        return Err(refuse("", Value::Null, "must be an object"));
    }
    if value["provider"] != "r2" {
        return Err(refuse("provider", Value::Null, "must be r2"));
    }
    let make_default = match &value["makeDefault"] {
        Value::Null => false,
        Value::Bool(is_default) => *is_default,
        other => return Err(refuse("makeDefault", other.clone(), "must be true or false")),
    };
    let ours = json!({
        "name": value["name"],
        "base_path": value["prefix"],
        "path_template": TEMPLATE,
        "permissions": ["write"],
        "r2": {
            "bucket": value["bucket"],
            "account_id": value["accountId"],
            "endpoint": value["endpoint"],
            "credentials": {"access_key_id": value["accessKeyId"], "secret_access_key": value["secretAccessKey"]},
        },
    });
    let origin = native::origin::read(ours, &crate::Unjudged).map_err(|mut violations| {
        for violation in &mut violations {
            violation.path = spelled(&violation.path);
            violation.message = violation.message.replace("account_id", "accountId");
        }
        violations
    })?;
    Ok(ProviderRequest { origin, make_default })
}

/// The service's word for a path of ours.
pub fn spelled(path: &str) -> String {
    let found = WORDS.iter().find(|(_, ours)| *ours == path);
    found.map_or_else(|| path.trim_start_matches("r2.").trim_start_matches("r2"), |(word, _)| *word).to_owned()
}

/// A storage provider as it is shown: never with its keys.
pub fn reply(origin: &Origin, is_default: bool) -> Value {
    let endpoint = match &origin.place {
        Place::R2 { endpoint, .. } => Some(endpoint),
        Place::Http { .. } | Place::S3 { .. } | Place::Gcs { .. } => None,
    };
    json!({
        "id": spell(origin.id),
        "name": origin.name,
        "provider": origin.place.provider().as_str(),
        "endpoint": endpoint.map(Url::as_str),
        "bucket": origin.place.bucket(),
        "prefix": origin.base_path.as_str(),
        "isDefault": is_default,
    })
}
