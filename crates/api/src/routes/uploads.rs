//! `/v1/uploads`.

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::{OriginalUri, Path, Request, State};
use http::StatusCode;
use reelhook_store::Upload;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::listing::{Query, id};
use crate::body::is_multipart;
use crate::desk::{Caller, Desk};
use crate::multipart::Multipart;
use crate::problem::{Problem, missing};

/// An uploaded file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub(crate) struct UploadReply {
    /// The id, for `input.upload` of a job.
    id: String,
    /// The name.
    name: String,
    /// Size in bytes.
    size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    sha256: String,
    /// When the upload is removed.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<Upload> for UploadReply {
    fn from(upload: Upload) -> Self {
        Self {
            id: upload.id.to_string(),
            name: upload.name,
            size_bytes: upload.size_bytes,
            sha256: upload.sha256,
            expires_at: upload.expires_at.to_string(),
        }
    }
}

/// Upload a file
///
/// Send the raw bytes with `?name=`, or `multipart/form-data` with a part `file`. The file is streamed to disk; an
/// incomplete upload leaves nothing behind.
#[utoipa::path(post, path = "/v1/uploads", tag = "Uploads",
    params(("name" = Option<String>, Query, description = "Name of the file, for a raw body")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = UploadReply), (status = 413, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn create_upload(
    State(desk): State<Desk>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Result<(StatusCode, Json<UploadReply>), Problem> {
    let mut query = Query::of(&uri);
    let name = query.text("name").unwrap_or_default();
    query.finish()?;
    let upload = if is_multipart(request.headers()) {
        let mut parts = Multipart::of(request)?;
        let Some(part) = parts.next().await?.filter(|part| part.name() == Some("file")) else {
            return Err(Problem::violation("file", Value::Null, "is a required part, and the only one"));
        };
        let name = part.file_name().map_or(name, ToOwned::to_owned);
        desk.receive(caller, &name, part).await?
    } else {
        let body = request.into_body();
        // A proxy, and many a client, waits for the answer before it sends the rest.
        desk.check_announced(body.size_hint().lower())?;
        desk.receive(caller, &name, body.into_data_stream()).await?
    };
    Ok((StatusCode::CREATED, Json(upload.into())))
}

/// Get an upload
#[utoipa::path(get, path = "/v1/uploads/{id}", tag = "Uploads", params(("id" = String, Path)),
    responses((status = 200, body = UploadReply), (status = 404, body = Problem)))]
pub(crate) async fn get_upload(
    State(desk): State<Desk>,
    caller: Caller,
    Path(upload): Path<String>,
) -> Result<Json<UploadReply>, Problem> {
    let upload = desk.store().upload(caller.account, id(&upload, "upload")?).await.map_err(missing("upload"))?;
    Ok(Json(upload.into()))
}
