//! Origins of a request: what is read from and written to.

use reelhook_domain::form::Violation;
use reelhook_domain::origin::{Credentials, Origin};
use serde_json::{Value, json};

use super::without_defaults;
use crate::native;
use crate::request::OriginRequest;
use crate::transcodely::reply::OriginReply;

/// Reads `OriginService/Create`.
///
/// # Errors
/// Everything that is wrong with it; credentials are never repeated.
pub fn origin(value: Value) -> Result<OriginRequest, Vec<Violation>> {
    let mut value = without_defaults(value);
    let Some(fields) = value.as_object_mut() else { return native::origin::read(value, &crate::Unjudged) };
    // Which provider it is follows from the object that describes it.
    let provider = fields.remove("provider");
    fields.retain(|name, _| ORIGIN_FIELDS.contains(&name.as_str()));
    let differs = provider.filter(|provider| provider.as_str().is_none_or(|word| !fields.contains_key(word)));
    let mut read = native::origin::read(value, &crate::Unjudged);
    if let Some(provider) = differs {
        let message = "must be one of http, s3, r2 and gcs, and the name of the object that describes it".to_owned();
        let violation = Violation { path: "provider".to_owned(), value: provider, message };
        match &mut read {
            Err(violations) => violations.push(violation),
            Ok(_) => read = Err(vec![violation]),
        }
    }
    read
}

/// Reads `OriginService/Update` of `now`, which `credentials` open: what is left out stays.
///
/// Credentials go where their owner sent them and nowhere else: who changes the place gives them again.
///
/// # Errors
/// Everything that is wrong with it; credentials are never repeated.
pub fn origin_update(value: Value, now: &Origin, credentials: &Credentials) -> Result<OriginRequest, Vec<Violation>> {
    let refused =
        |path: String, message: &str| Err(vec![Violation { path, value: Value::Null, message: message.to_owned() }]);
    let mut asked = without_defaults(value);
    let provider = now.place.provider().as_str();
    let Some(fields) = asked.as_object_mut() else { return origin(asked) };
    if let Some(other) =
        ["http", "s3", "r2", "gcs"].into_iter().find(|name| *name != provider && fields.contains_key(*name))
    {
        return refused(other.to_owned(), &format!("must be left out: the provider of this origin stays {provider}"));
    }
    let mut whole = serde_json::to_value(OriginReply::of(now)).unwrap_or_default();
    let place = fields.remove(provider);
    let gives_credentials = place.as_ref().is_some_and(|place| place.get("credentials").is_some());
    whole[provider]["credentials"] = match credentials {
        Credentials::Headers(headers) => json!({"headers": headers}),
        Credentials::Keys { access_key_id, secret_access_key, session_token } => {
            json!({"access_key_id": access_key_id, "secret_access_key": secret_access_key, "session_token": session_token})
        }
        Credentials::ServiceAccount(key) => json!({"service_account_json": key}),
    };
    match place {
        Some(Value::Object(said)) => {
            // Two spellings of one thing.
            if said.contains_key("account_id") {
                whole[provider]["endpoint"] = Value::Null;
            }
            for (name, value) in said {
                whole[provider][name] = value;
            }
        }
        Some(other) => whole[provider] = other,
        None => {}
    }
    for (name, value) in std::mem::take(fields) {
        whole[name] = value;
    }
    let read = origin(whole)?;
    let has_credentials = !matches!(credentials, Credentials::Headers(headers) if headers.is_empty());
    if read.place != now.place && has_credentials && !gives_credentials {
        return refused(format!("{provider}.credentials"), "must be given again where the place changes");
    }
    Ok(read)
}

/// What is read of an origin; more is documented for people, such as a description.
const ORIGIN_FIELDS: [&str; 8] = ["name", "permissions", "base_path", "path_template", "http", "s3", "r2", "gcs"];
