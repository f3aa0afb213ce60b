//! RemoveBGVideo's routes.

use axum::extract::{OriginalUri, Path, Request, State};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use reelhook_dialects::removebgvideo::reply::{JobReply, STATES, WebhookEventReply, accepted, output_url, pricing};
use reelhook_dialects::removebgvideo::request::{self, LARGEST_UPLOAD, Terms, model_of};
use reelhook_dialects::{InputRequest, JobRequest, Link};
use reelhook_domain::id::JobId;
use reelhook_domain::job::{Dialect, Job};
use reelhook_store::{DeliveryFilter, JobFilter, Page, Submitted};
use serde_json::{Value, json};

use crate::auth::{ServiceCaller, known, shown_key};
use crate::body;
use crate::desk::{Caller, Desk, JobInput};
use crate::multipart::Multipart;
use crate::problem::{Problem, missing};
use crate::routes::listing::{Query, id};

const SERVICE: Dialect = Dialect::RemoveBgVideo;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// How long a link works that is given without a key.
const WITHOUT_KEY: std::time::Duration = std::time::Duration::from_secs(10 * 60);
/// Media types of videos that are taken, each with its format, which is also the extension of its names.
const TAKEN: [(&str, &str); 4] =
    [("video/mp4", "mp4"), ("video/quicktime", "mov"), ("video/webm", "webm"), ("video/x-msvideo", "avi")];

/// Every path of the service, from its root.
pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v1/uploads", post(create_upload))
        .route("/v1/jobs", post(create_job).get(list_jobs))
        .route("/v1/jobs/{id}", get(get_job))
        .route("/v1/jobs/{id}/start", post(start_job))
        .route("/v1/usage/summary", get(usage_summary))
        .route("/v1/usage/events", get(usage_events))
        .route("/api/download/{id}", get(download))
        .route("/api/pricing", get(prices))
        .route("/api/{*rest}", any(legacy))
        .route("/health", get(health))
}

async fn create_upload(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    if !body::is_multipart(request.headers()) {
        return Err(Problem::malformed("send multipart/form-data with one part, file"));
    }
    let mut parts = Multipart::of(request)?;
    while let Some(part) = parts.next().await? {
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name().unwrap_or("video.mp4").to_owned();
        if !is_taken(part.content_type(), &name) {
            let taken: Vec<_> = TAKEN.iter().map(|(kind, _)| *kind).collect();
            return Err(invalid_type(&format!("allowed are {}", taken.join(", "))));
        }
        let kept = desk.keep(caller, &name, part, LARGEST_UPLOAD).await?;
        // A name and a media type may say anything.
        let formats = TAKEN.map(|(_, format)| format);
        desk.look_at_video(kept.upload(), &formats).await?.map_err(|why| invalid_type(&why))?;
        let upload = kept.note().await?;
        let url = desk.link_to()(Link::Upload { upload: upload.id, name: &upload.name });
        return Ok(Json(json!({
            "success": true,
            "video_id": upload.id,
            "video_url": url,
            "filename": upload.name,
            "size": upload.size_bytes,
        })));
    }
    Err(Problem::malformed("file is a required part"))
}

fn invalid_type(why: &str) -> Problem {
    Problem::malformed(format!("Invalid file type: {why}"))
}

/// By the media type; by the name where the type says nothing.
fn is_taken(kind: Option<&str>, name: &str) -> bool {
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match kind.as_deref() {
        None | Some("" | "application/octet-stream") => {
            let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
            TAKEN.iter().any(|(_, known)| extension.as_deref() == Some(known))
        }
        Some(kind) => TAKEN.iter().any(|(known, _)| *known == kind),
    }
}

async fn create_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let request = request::job(json.value, &terms(&desk)).map_err(Problem::invalid)?;
    let request = with_uploads(&desk, request);
    match desk.submit(caller, request, JobInput::Asked, None).await.map_err(spelled)? {
        Submitted::New(job) | Submitted::Repeated(job) => Ok(Json(accepted(&job))),
        Submitted::Conflict => Err(Problem::internal()),
    }
}

async fn start_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(job): Path<String>,
    body::OptionalJson(value): body::OptionalJson,
) -> Result<Json<Value>, Problem> {
    let draft = owned(&desk, caller, &job).await?;
    let started = if request::overrides(&value) {
        let request = request::start(value, &draft.spec.said, &terms(&desk)).map_err(Problem::invalid)?;
        desk.start_job_as(caller, &draft, with_uploads(&desk, request)).await.map_err(spelled)?
    } else {
        desk.store().start_job(caller.account, draft.id, None).await.map_err(missing("job"))?
    };
    Ok(Json(accepted(&started)))
}

async fn get_job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(job): Path<String>,
) -> Result<Json<Value>, Problem> {
    let job = owned(&desk, caller, &job).await?;
    let filter = DeliveryFilter { job: Some(job.id), ..DeliveryFilter::default() };
    let deliveries = desk.store().list_deliveries(caller.account, &filter, Page { before: None, limit: 100 }).await?;
    let webhook = job.spec.webhook.as_ref();
    let told = deliveries.iter().rev().filter(|delivery| webhook.is_some_and(|own| own.endpoint == delivery.endpoint));
    let url = match webhook {
        Some(webhook) => desk.store().endpoint(caller.account, webhook.endpoint).await.ok().map(|found| found.url),
        None => None,
    };
    let mut reply = json!(JobReply::of(&job, desk.link_to()));
    reply["webhook_url"] = json!(url);
    reply["webhook_events"] = json!(told.filter_map(WebhookEventReply::of).collect::<Vec<_>>());
    Ok(Json(reply))
}

async fn list_jobs(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Problem> {
    let mut query = Query::of(&uri);
    let limit = query.integer("limit", 1..=100).unwrap_or(20);
    let offset = query.integer("offset", 0..=1_000_000_000).unwrap_or(0);
    let allowed: Vec<_> = STATES.iter().map(|(status, _)| *status).collect();
    let wanted = query.words("status", &allowed);
    query.finish()?;
    let states = STATES.iter().filter(|(status, _)| wanted.iter().any(|wanted| wanted == status));
    let states = states.flat_map(|(_, ours)| ours.iter().map(|&state| state.to_owned())).collect();
    let filter = JobFilter { states, dialect: Some(SERVICE), ..JobFilter::default() };
    let (jobs, total) = desk.store().list_jobs_from(caller.account, &filter, offset, limit as u32).await?;
    let jobs: Vec<_> = jobs.iter().map(|job| JobReply::of(job, desk.link_to())).collect();
    Ok(Json(json!({"jobs": jobs, "total": total, "limit": limit, "offset": offset})))
}

async fn usage_summary(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Problem> {
    let mut query = Query::of(&uri);
    let days = query.integer("days", 1..=365).unwrap_or(7);
    query.finish()?;
    let since = desk.ambient().now() - DAY * days as u32;
    let used = desk.store().job_use(caller.account, SERVICE, since).await?;
    let left = desk.store().balance(caller.account).await?;
    Ok(Json(json!({
        "days": days,
        "total_jobs": used.jobs,
        "completed_jobs": used.completed,
        "credits_used": used.credits,
        "credits_remaining": left,
    })))
}

async fn usage_events(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Value>, Problem> {
    let mut query = Query::of(&uri);
    let limit = query.integer("limit", 1..=100).unwrap_or(20);
    query.finish()?;
    let charges = desk.store().charges(caller.account, SERVICE, limit as u32).await?;
    let events: Vec<_> = charges
        .iter()
        .map(|charge| {
            json!({
                "job_id": charge.job,
                "event": "job.completed",
                "model": model_of(&charge.said),
                "credits": charge.credits,
                "duration_seconds": charge.duration_ms as f64 / 1000.0,
                "created_at": charge.at.to_string(),
            })
        })
        .collect();
    Ok(Json(json!({"events": events, "limit": limit})))
}

/// Where the result is. Answers without a key, as the service does: the id, of which nobody can guess the 74 random bits,
/// is what its owner shares. Only jobs that were made here are told of so, and a key that is shown must be the owner's.
/// Every link to the result holds the id too, so without a key the link works for minutes, and never longer than one that
/// was made when the job ended.
async fn download(
    State(desk): State<Desk>,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let job: JobId = id(&job, "job")?;
    let job = match shown_key(&headers) {
        Some(key) => desk.store().job(known(&desk, &key).await?.account, job).await,
        None => desk.store().job_by_id(job).await,
    };
    let job = job.map_err(missing("job"))?;
    if job.spec.dialect != SERVICE && shown_key(&headers).is_none() {
        return Err(Problem::not_found("job"));
    }
    let without_key = |link: Link<'_>| match (link, job.finished_at) {
        (Link::File { job, output, path }, Some(ended)) => {
            let expires = (desk.ambient().now() + WITHOUT_KEY).min(ended + desk.limits().links_keep);
            desk.links().file(job, output, path, expires).into()
        }
        (link, _) => desk.link_to()(link),
    };
    let has_key = shown_key(&headers).is_some();
    let url = if has_key { output_url(&job, desk.link_to()) } else { output_url(&job, &without_key) };
    let Some(url) = url else { return Err(Problem::malformed("Job not completed")) };
    let is_over = job.finished_at.is_some_and(|ended| ended + desk.limits().links_keep <= desk.ambient().now());
    if !has_key && is_over {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "link_not_valid",
            "the links to this job's result have expired",
        ));
    }
    let format = JobReply::of(&job, desk.link_to()).output_format();
    Ok(Json(json!({"success": true, "download_url": url, "output_format": format})))
}

async fn prices(State(desk): State<Desk>) -> Json<Value> {
    Json(pricing(&terms(&desk)))
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn legacy() -> Problem {
    let detail = "this path of the legacy API is not served; use POST /v1/uploads and POST /v1/jobs";
    Problem::new(StatusCode::GONE, "legacy_path", detail)
}

fn terms(desk: &Desk) -> Terms {
    (desk.services().removebgvideo)()
}

async fn owned(desk: &Desk, caller: Caller, job: &str) -> Result<Job, Problem> {
    desk.store().job(caller.account, id(job, "job")?).await.map_err(missing("job"))
}

/// A link of ours to an upload is the upload: what was sent once is not downloaded again.
fn with_uploads(desk: &Desk, mut request: JobRequest) -> JobRequest {
    for input in &mut request.inputs {
        if let InputRequest::Url(url) = &input.source
            && let Some(upload) = desk.links().upload_of(url)
        {
            input.source = InputRequest::Upload(upload);
        }
    }
    request
}

/// The same problem by the service's names of fields.
fn spelled(problem: Problem) -> Problem {
    problem.with_paths(|path| match path {
        "input.url" | "input.upload" | "inputs[0].url" | "inputs[0].upload" => "video_url".to_owned(),
        "inputs[1].url" | "inputs[1].upload" => "bg_image_url".to_owned(),
        "webhook.url" => "webhook_url".to_owned(),
        other => other.to_owned(),
    })
}
