//! Origins in the words of Transcodely, never with their credentials.

use reelhook_domain::origin::{Origin, Permissions, Place, Validation};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::time;

/// An origin as `OriginService` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct OriginReply {
    id: String,
    name: String,
    provider: &'static str,
    permissions: Vec<&'static str>,
    base_path: String,
    path_template: String,
    status: &'static str,
    #[serde(flatten)]
    place: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

/// What came of checking an origin.
#[derive(Debug, Clone, Serialize)]
pub struct ValidationReply {
    success: bool,
    can_read: bool,
    can_write: bool,
    read_error: String,
    write_error: String,
    validated_at: String,
}

impl OriginReply {
    /// An origin.
    pub fn of(origin: &Origin) -> Self {
        let Permissions { read, write } = origin.permissions;
        let permissions = [("read", read), ("write", write)];
        let place = match &origin.place {
            Place::Http { base_url } => json!({"base_url": base_url}),
            Place::S3 { bucket, region, endpoint } => {
                json!({"bucket": bucket, "region": region, "endpoint": endpoint.as_ref().map_or("", |url| url.as_str())})
            }
            Place::R2 { bucket, endpoint } => json!({"bucket": bucket, "endpoint": endpoint}),
            Place::Gcs { bucket } => json!({"bucket": bucket}),
        };
        let provider = origin.place.provider().as_str();
        Self {
            id: origin.id.to_string(),
            name: origin.name.clone(),
            provider,
            permissions: permissions.into_iter().filter_map(|(name, may)| may.then_some(name)).collect(),
            base_path: origin.base_path.as_str().to_owned(),
            path_template: origin.path_template.as_str().to_owned(),
            status: origin.status.as_str(),
            place: Map::from_iter([(provider.to_owned(), place)]),
            created_at: time(origin.created_at),
            updated_at: time(origin.updated_at),
        }
    }
}

impl ValidationReply {
    /// What came of a check.
    pub fn of(validation: &Validation) -> Self {
        Self {
            success: validation.is_success(),
            can_read: validation.can_read,
            can_write: validation.can_write,
            read_error: validation.read_error.clone().unwrap_or_default(),
            write_error: validation.write_error.clone().unwrap_or_default(),
            validated_at: time(validation.validated_at),
        }
    }
}

/// An origin as a job names it, as it was when the job was made; with the path of what is read.
pub fn in_job(origin: &Origin, path: Option<&str>) -> Value {
    let mut said = json!({
        "id": origin.id.to_string(), "name": origin.name, "provider": origin.place.provider().as_str(),
    });
    if let Some(path) = path {
        said["path"] = path.into();
    }
    match &origin.place {
        Place::Http { base_url } => said["base_url"] = base_url.as_str().into(),
        place => said["bucket"] = place.bucket().unwrap_or_default().into(),
    }
    said
}
