//! Clipzy's routes.

use axum::extract::{FromRequestParts, OriginalUri, Path, Request, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use reelhook_dialects::clipzy::error::UNSUPPORTED_FORMAT;
use reelhook_dialects::clipzy::reply::{JobReply, ResultReply, UploadReply, page, success};
use reelhook_dialects::clipzy::request::{self, Defaults, TAKEN};
use reelhook_domain::id::{KeyId, UploadId};
use reelhook_domain::job::{Dialect, Job};
use reelhook_store::{JobFilter, Submitted, Upload};
use serde_json::{Map, Value, json};

use crate::auth::{known, shown_key};
use crate::body;
use crate::desk::{Caller, Desk, JobInput};
use crate::multipart::{Multipart, Part};
use crate::problem::{Problem, missing};
use crate::routes::listing::{Query, id};

const SERVICE: Dialect = Dialect::Clipzy;
/// Longest text of a part that is not the file, in bytes.
const LONGEST_TEXT: usize = 8192;

/// Every path of the service, from its root.
pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/videos/upload", post(create_upload))
        .route("/api/v1/jobs", post(create_job).get(list_jobs))
        .route("/api/v1/jobs/{id}", get(get_job))
        .route("/api/v1/jobs/{id}/result", get(get_result))
        .route("/api/v1/jobs/{id}/cancel", post(cancel_job))
        .route("/api/v1/health", get(health))
}

/// A caller with a key, or, where the operator opened the service, without one: then the first account's. A key that is
/// shown must be a working one even there.
struct ClipzyCaller(Caller);

impl FromRequestParts<Desk> for ClipzyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        if let Some(key) = shown_key(&parts.headers) {
            return known(desk, &key).await.map(Self);
        }
        let shows_something = parts.headers.contains_key(AUTHORIZATION) || parts.headers.contains_key("x-api-key");
        if shows_something || !desk.services().open.contains(&SERVICE) {
            return Err(Problem::unauthorized("an API key is required: send it as `Authorization: Bearer`"));
        }
        let account = desk.store().first_account().await?.id;
        Ok(Self(Caller { account, key: KeyId::from_bits(0) }))
    }
}

async fn create_upload(
    State(desk): State<Desk>,
    ClipzyCaller(caller): ClipzyCaller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    if !body::is_multipart(request.headers()) {
        return Err(Problem::violation("file", Value::Null, "is required, as a part of multipart/form-data"));
    }
    let reply = take_upload(&desk, caller, request).await?;
    Ok(Json(success("Video uploaded successfully", reply)))
}

/// Reads the parts in any order, and skips those that Clipzy does not document.
async fn take_upload(desk: &Desk, caller: Caller, request: Request) -> Result<UploadReply, Problem> {
    let mut kept = None;
    let mut parts = Multipart::of(request)?;
    let mut fields = Map::new();
    while let Some(part) = parts.next().await? {
        match part.name() {
            Some("file") if kept.is_none() => {
                let name = part.file_name().unwrap_or_default().to_owned();
                if !is_taken(&name) {
                    return Err(unsupported(format!(
                        "the name of a video must end with one of .{}",
                        TAKEN.join(", .")
                    )));
                }
                kept = Some(desk.keep(caller, &name, part, desk.services().clipzy_upload_bytes).await?);
            }
            Some(name @ ("template_video_id" | "webhook_url")) => {
                let name = name.to_owned();
                fields.insert(name, Value::String(text(part).await?));
            }
            _ => {}
        }
    }
    let Some(mut kept) = kept else {
        return Err(Problem::violation("file", Value::Null, "is required, as a part with a file name"));
    };
    let defaults = Defaults::read(Value::Object(fields)).map_err(Problem::invalid)?;
    if let Some(template) = defaults.template {
        owned_video(desk, caller, template).await?;
    }
    if let Some(wrong) = defaults.webhook.as_ref().and_then(|url| desk.judge("webhook_url", url)) {
        return Err(Problem::invalid(vec![wrong]));
    }
    let media = desk.look_at_video(kept.upload(), TAKEN).await?.map_err(unsupported)?;
    kept.say(defaults.said(media.as_ref()));
    let upload = kept.note().await?;
    let Upload { id, name, size_bytes, created_at, .. } = &upload;
    Ok(UploadReply::of(*id, name, *size_bytes, *created_at, media.as_ref(), desk.link_to()))
}

/// Reads a small part whole.
async fn text(part: Part<'_>) -> Result<String, Problem> {
    let bytes = part.bytes("a part of text", LONGEST_TEXT).await?;
    String::from_utf8(bytes.into()).map_err(|_| Problem::malformed("a part of text is not UTF-8"))
}

fn is_taken(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    TAKEN.iter().any(|taken| extension.as_deref() == Some(taken))
}

fn unsupported(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, UNSUPPORTED_FORMAT, detail)
}

async fn create_job(
    State(desk): State<Desk>,
    ClipzyCaller(caller): ClipzyCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let create = request::job(json.value).map_err(Problem::invalid)?;
    let video = owned_video(&desk, caller, create.video).await?;
    if let Some(template) = create.own.template {
        owned_video(&desk, caller, template).await?;
    }
    let request = create.over(Defaults::kept(&video.said));
    let submitted = desk.submit(caller, request, JobInput::Asked, None).await;
    match submitted.map_err(|problem| problem.with_paths(request::spelled))? {
        Submitted::New(job) | Submitted::Repeated(job) => {
            Ok(Json(success("Job created successfully", JobReply::of(&job))))
        }
        Submitted::Conflict => Err(Problem::internal()),
    }
}

async fn get_job(
    State(desk): State<Desk>,
    ClipzyCaller(caller): ClipzyCaller,
    Path(job): Path<String>,
) -> Result<Json<Value>, Problem> {
    let job = owned(&desk, caller, &job).await?;
    Ok(Json(success("Job retrieved", JobReply::of(&job))))
}

/// The result; of a job that goes on, how far it is, with nulls.
async fn get_result(
    State(desk): State<Desk>,
    ClipzyCaller(caller): ClipzyCaller,
    Path(job): Path<String>,
) -> Result<Json<Value>, Problem> {
    let job = owned(&desk, caller, &job).await?;
    Ok(Json(success("Job result retrieved", ResultReply::of(&job, desk.link_to()))))
}

async fn cancel_job(
    State(desk): State<Desk>,
    ClipzyCaller(caller): ClipzyCaller,
    Path(job): Path<String>,
) -> Result<Json<Value>, Problem> {
    let job = desk.store().cancel_job(caller.account, id(&job, "job")?).await.map_err(missing("job"))?;
    Ok(Json(success("Job cancelled", JobReply::of(&job))))
}

async fn list_jobs(
    State(desk): State<Desk>,
    ClipzyCaller(caller): ClipzyCaller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Problem> {
    let mut query = Query::of(&uri);
    let number = query.integer("page", 1..=1_000_000).unwrap_or(1);
    let size = query.integer("page_size", 1..=100).unwrap_or(10);
    query.finish()?;
    let filter = JobFilter { dialect: Some(SERVICE), ..JobFilter::default() };
    let offset = (number - 1) * size;
    let (jobs, total) = desk.store().list_jobs_from(caller.account, &filter, offset, size as u32).await?;
    Ok(Json(success("Jobs retrieved", page(&jobs, total, number, size))))
}

async fn health() -> Json<Value> {
    Json(success("Service is healthy", json!({"status": "healthy"})))
}

async fn owned(desk: &Desk, caller: Caller, job: &str) -> Result<Job, Problem> {
    desk.store().job(caller.account, id(job, "job")?).await.map_err(missing("job"))
}

async fn owned_video(desk: &Desk, caller: Caller, video: UploadId) -> Result<Upload, Problem> {
    desk.store().upload(caller.account, video).await.map_err(missing("video"))
}
