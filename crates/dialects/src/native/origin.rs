//! Origins: what callers of the native API may say of them, and what it answers.

use reelhook_domain::form::{Form, Shape, Violation};
use reelhook_domain::origin::{Credentials, Origin, Permissions, Place, Validation, check_bucket, check_region};
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use super::judge::Judge;
use super::request::{headers, url};
use crate::request::OriginRequest;

/// Longest text of a credential: a service account's key has some 2,400 bytes.
const LONGEST_CREDENTIAL: usize = 16 * 1024;
/// The providers, each of which is a field of a request.
const PROVIDERS: [&str; 4] = ["http", "s3", "r2", "gcs"];

/// Reads `POST /v1/origins`.
///
/// # Errors
/// Everything that is wrong with it; credentials are never repeated.
pub fn read(value: Value, judge: &dyn Judge) -> Result<OriginRequest, Vec<Violation>> {
    Form::read(value, |form| read_origin(form, judge))
}

/// What the reader takes.
pub fn shape() -> Shape {
    Form::shape(|form| read_origin(form, &crate::Unjudged))
}

fn read_origin(form: &mut Form, judge: &dyn Judge) -> Option<OriginRequest> {
    let name = form.text("name", 100);
    let name = form.require("name", name);
    let place = place(form, judge);
    let permissions = permissions(form);
    let base_path = form.parsed("base_path").unwrap_or_default();
    let path_template = form.parsed("path_template").unwrap_or_default();
    let (place, credentials) = place?;
    let can_write = !matches!(place, Place::Http { .. });
    let permissions = match permissions {
        Some(Permissions { write: true, .. }) if !can_write => {
            form.refuse("permissions", Value::Null, "must be [\"read\"] for a web server");
            return None;
        }
        permissions => permissions.unwrap_or(Permissions { read: true, write: can_write }),
    };
    Some(OriginRequest { name: name?, place, credentials, permissions, base_path, path_template })
}

/// Takes the one provider that is named, with what opens it.
fn place(form: &mut Form, judge: &dyn Judge) -> Option<(Place, Credentials)> {
    form.exactly_one(&PROVIDERS);
    let [http, s3, r2, gcs] = PROVIDERS;
    let http = form.object(http, |form| {
        let base_url = plain_url(form, "base_url", judge, "credentials.headers");
        let base_url = form.require("base_url", base_url);
        let headers = form.secrets("credentials", |form| Some(headers(form, 4000).unwrap_or_default()));
        Some((Place::Http { base_url: base_url? }, Credentials::Headers(headers.unwrap_or_default())))
    });
    let s3 = form.object(s3, |form| {
        let (bucket, endpoint) = (bucket(form), plain_url(form, "endpoint", judge, "credentials"));
        let region = checked(form, "region", "^[a-z0-9-]{2,32}$", check_region);
        let region = form.require("region", region);
        let keys = keys(form);
        Some((Place::S3 { bucket: bucket?, region: region?, endpoint }, keys?))
    });
    let r2 = form.object(r2, |form| {
        let bucket = bucket(form);
        let endpoint = r2_endpoint(form, judge);
        let keys = keys(form);
        Some((Place::R2 { bucket: bucket?, endpoint: endpoint? }, keys?))
    });
    let gcs = form.object(gcs, |form| {
        let bucket = bucket(form);
        let key = form.secrets("credentials", |form| {
            let key = form.text("service_account_json", LONGEST_CREDENTIAL);
            form.require("service_account_json", key)
        });
        let key = form.require("credentials", key);
        Some((Place::Gcs { bucket: bucket? }, Credentials::ServiceAccount(key?)))
    });
    http.or(s3).or(r2).or(gcs)
}

fn permissions(form: &mut Form) -> Option<Permissions> {
    let known = |text: &str| match text {
        "read" => Ok(Permissions { read: true, write: false }),
        "write" => Ok(Permissions { read: false, write: true }),
        _ => Err("must be read or write"),
    };
    let given = form.texts("permissions", 1..=2, known);
    form.items("permissions", "^(read|write)$");
    let given = given?;
    let all = |one: Permissions, other: &Permissions| Permissions {
        read: one.read || other.read,
        write: one.write || other.write,
    };
    Some(given.iter().fold(Permissions { read: false, write: false }, all))
}

fn bucket(form: &mut Form) -> Option<String> {
    let bucket = checked(form, "bucket", "^(?!.*\\.\\.)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", check_bucket);
    form.require("bucket", bucket)
}

fn checked(
    form: &mut Form,
    name: &'static str,
    pattern: &'static str,
    check: fn(&str) -> Result<(), &'static str>,
) -> Option<String> {
    form.pattern(name, pattern);
    let text = form.text(name, 300)?;
    match check(&text) {
        Ok(()) => Some(text),
        Err(message) => {
            form.refuse(name, text.into(), message);
            None
        }
    }
}

/// Takes a URL that others are made of.
fn plain_url(form: &mut Form, name: &'static str, judge: &dyn Judge, instead: &str) -> Option<Url> {
    let url = url(form, name, judge, instead)?;
    if url.query().is_some() || url.fragment().is_some() || url.cannot_be_a_base() {
        // A query may hold a secret.
        form.refuse(name, Value::Null, "must be a URL without a query and a fragment");
        return None;
    }
    Some(url)
}

/// Takes `account_id`, or `endpoint` where the account has another one, such as that of a jurisdiction.
fn r2_endpoint(form: &mut Form, judge: &dyn Judge) -> Option<Url> {
    let is_one = form.exactly_one(&["account_id", "endpoint"]).is_some();
    let account = checked(form, "account_id", "^[0-9a-fA-F]{32}$", |id| {
        match id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => Ok(()),
            false => Err("must be the id of an account: 32 hexadecimal digits"),
        }
    });
    let endpoint = plain_url(form, "endpoint", judge, "credentials");
    if !is_one {
        return None;
    }
    let of_account =
        |id| format!("https://{id}.r2.cloudflarestorage.com").parse().expect("hexadecimal digits make a host");
    account.map(of_account).or(endpoint)
}

fn keys(form: &mut Form) -> Option<Credentials> {
    let keys = form.secrets("credentials", |form| {
        let access_key_id = credential(form, "access_key_id");
        let access_key_id = form.require("access_key_id", access_key_id);
        let secret_access_key = credential(form, "secret_access_key");
        let secret_access_key = form.require("secret_access_key", secret_access_key);
        let session_token = credential(form, "session_token");
        Some(Credentials::Keys { access_key_id: access_key_id?, secret_access_key: secret_access_key?, session_token })
    });
    form.require("credentials", keys)
}

/// Takes a text that stands in a header, or signs one.
fn credential(form: &mut Form, name: &'static str) -> Option<String> {
    form.pattern(name, "^[!-~]+$");
    let text = form.text(name, LONGEST_CREDENTIAL)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        form.refuse(name, Value::Null, "must be printable ASCII without spaces");
        return None;
    }
    Some(text)
}

/// An origin. Its credentials are never shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Origin)]
pub struct OriginReply {
    /// The id.
    #[schema(example = "ori_06c8pmt4vz3fk7qyq4q9w7m2hc")]
    pub id: String,
    /// Display name.
    pub name: String,
    /// `http`, `s3`, `r2` or `gcs`.
    pub provider: &'static str,
    /// The bucket; null for a web server.
    pub bucket: Option<String>,
    /// The region; only for S3.
    pub region: Option<String>,
    /// The server, if it is not the provider's default; always present for R2.
    pub endpoint: Option<String>,
    /// The URL at which paths begin; only for a web server.
    pub base_url: Option<String>,
    /// `read`, `write` or both.
    pub permissions: Vec<&'static str>,
    /// The folder of all paths in the origin.
    pub base_path: String,
    /// Template for the paths of outputs that have no path of their own.
    pub path_template: String,
    /// `active`, `failed` or `archived`.
    pub status: &'static str,
    /// Result of the last check.
    pub validation: Option<ValidationReply>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// Result of checking an origin. Only permitted uses are checked.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OriginValidation)]
pub struct ValidationReply {
    /// Whether all checks passed.
    pub success: bool,
    /// Whether reading worked.
    pub can_read: bool,
    /// Whether writing worked.
    pub can_write: bool,
    /// Why reading failed.
    pub read_error: Option<String>,
    /// Why writing failed.
    pub write_error: Option<String>,
    /// When it was checked.
    #[schema(format = DateTime)]
    pub validated_at: String,
}

impl ValidationReply {
    /// What came of a check.
    pub fn of(validation: &Validation) -> Self {
        Self {
            success: validation.is_success(),
            can_read: validation.can_read,
            can_write: validation.can_write,
            read_error: validation.read_error.clone(),
            write_error: validation.write_error.clone(),
            validated_at: validation.validated_at.to_string(),
        }
    }
}

impl OriginReply {
    /// An origin.
    pub fn of(origin: &Origin) -> Self {
        let (region, endpoint, base_url) = match &origin.place {
            Place::Http { base_url } => (None, None, Some(base_url.to_string())),
            Place::S3 { region, endpoint, .. } => (Some(region.clone()), endpoint.as_ref().map(Url::to_string), None),
            Place::R2 { endpoint, .. } => (None, Some(endpoint.to_string()), None),
            Place::Gcs { .. } => (None, None, None),
        };
        let Permissions { read, write } = origin.permissions;
        let permissions = [("read", read), ("write", write)];
        Self {
            id: origin.id.to_string(),
            name: origin.name.clone(),
            provider: origin.place.provider().as_str(),
            bucket: origin.place.bucket().map(ToOwned::to_owned),
            region,
            endpoint,
            base_url,
            permissions: permissions.into_iter().filter_map(|(name, may)| may.then_some(name)).collect(),
            base_path: origin.base_path.as_str().to_owned(),
            path_template: origin.path_template.as_str().to_owned(),
            status: origin.status.as_str(),
            validation: origin.validation.as_ref().map(ValidationReply::of),
            created_at: origin.created_at.to_string(),
            updated_at: origin.updated_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys() -> Value {
        json!({"access_key_id": "AKID", "secret_access_key": "in-the-clear"})
    }

    fn read(value: Value) -> Result<OriginRequest, Vec<Violation>> {
        super::read(value, &crate::Unjudged)
    }

    #[test]
    fn each_provider_is_read_with_its_place_and_its_credentials() {
        let request =
            read(json!({"name": "in", "s3": {"bucket": "media", "region": "eu-central-1", "credentials": keys()}}));
        let request = request.unwrap();
        assert_eq!(request.permissions, Permissions { read: true, write: true });
        assert_eq!(request.path_template.as_str(), "{job_id}/{output_id}");
        assert!(matches!(request.place, Place::S3 { endpoint: None, .. }));

        let id = "0123456789abcdef0123456789abcdef";
        let r2 = json!({"name": "r", "r2": {"bucket": "media", "account_id": id, "credentials": keys()}, "base_path": "a/b/"});
        let Place::R2 { endpoint, .. } = read(r2).unwrap().place else { panic!("not R2") };
        assert_eq!(endpoint.as_str(), format!("https://{id}.r2.cloudflarestorage.com/"));

        let gcs = json!({"name": "g", "gcs": {"bucket": "media", "credentials": {"service_account_json": "{}"}}, "permissions": ["write"]});
        assert_eq!(read(gcs).unwrap().permissions, Permissions { read: false, write: true });

        let http = read(json!({"name": "h", "http": {"base_url": "https://example.com/in"}})).unwrap();
        assert_eq!(http.permissions, Permissions { read: true, write: false });
        assert_eq!(http.credentials, Credentials::Headers([].into()));
    }

    #[test]
    fn everything_wrong_with_an_origin_is_named_at_once_and_no_credential_repeated() {
        let violations = read(json!({
            "s3": {
                "bucket": "../x", "region": "eu.evil.example/", "endpoint": "https://s3.example.com/?token=clear",
                "credentials": {"access_key_id": "a b", "secret_access_key": 7, "secret": "clear"}
            },
            "permissions": ["read", "delete"], "base_path": "/abs", "path_template": "{job}/x", "colour": 1
        }))
        .unwrap_err();
        let lines: Vec<_> = violations.iter().map(|v| format!("{}: {} (was {})", v.path, v.message, v.value)).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_an_origin_is_has_to_be_clear() {
        for (value, expected) in [
            (json!({"name": "x"}), " needs exactly one of http, s3, r2 and gcs"),
            (json!({"name": "x", "http": {}, "s3": {}}), " needs exactly one of http, s3, r2 and gcs"),
            (json!({"name": "x", "http": {}}), "http.base_url is required"),
            (json!({"name": "x", "gcs": {"bucket": "media"}}), "gcs.credentials is required"),
            (
                json!({"name": "x", "gcs": {"bucket": "media", "credentials": {}}}),
                "gcs.credentials.service_account_json is required",
            ),
            (
                json!({"name": "x", "http": {"base_url": "https://example.com"}, "permissions": ["write"]}),
                "permissions must be [\"read\"] for a web server",
            ),
        ] {
            let violations = read(value).unwrap_err();
            let said: Vec<_> = violations.iter().map(|v| format!("{} {}", v.path, v.message)).collect();
            assert_eq!(said, [expected]);
        }
    }
}
