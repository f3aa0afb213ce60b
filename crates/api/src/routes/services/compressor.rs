//! Compressor's routes.
//!
//! A request is answered with its result where that comes soon; otherwise the caller gets the job's id, asks for it, or is
//! told by webhook. What decides: a webhook, the size of the input, its kind (archives), and time. The size of a download
//! and the kind are known once the worker has looked, which the waiting request sees as a change of the job.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, Method, StatusCode};
use reelhook_dialects::JobRequest;
use reelhook_dialects::compressor::{LARGEST_SYNCHRONOUS, reply, request};
use reelhook_domain::id::{AccountId, JobId};
use reelhook_domain::job::Job;
use reelhook_domain::recipe::Format;
use reelhook_files::Key;
use reelhook_store::Submitted;
use serde_json::{Value, json};

use crate::auth::ServiceCaller;
use crate::body;
use crate::content::{self, Shown};
use crate::desk::{Caller, Desk, JobInput, Kept};
use crate::multipart::Multipart;
use crate::problem::{Problem, missing};
use crate::routes::listing::Query;

/// How long a connection is held open for a result. Under the minute after which common proxies give up.
const PATIENCE: Duration = Duration::from_secs(50);

/// Every path of the service, from its root. The version may be left out, for clients whose base URL held it.
pub(super) fn routes() -> Router<Desk> {
    let calls = || {
        Router::new()
            .route("/upload", post(upload))
            .route("/fetch", post(fetch))
            .route("/jobs/{id}", get(job))
            .route("/account", get(account))
    };
    calls().nest("/1.0", calls()).route("/{expires}/{job}/{name}", get(result))
}

/// Makes a file smaller that comes with the request.
async fn upload(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    request: Request,
) -> Result<Response, Problem> {
    if !body::is_multipart(request.headers()) {
        let detail = "the Content-Type must be multipart/form-data with the parts file and data";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let (options, kept) = parts(&desk, caller, request).await?;
    let upload = kept.hand_over();
    let (input, size) = (JobInput::Kept(Box::new(upload.clone())), upload.size_bytes);
    let kept = keep(&desk, caller, options, input).await;
    // After an error of ours nobody knows whether it was noted; the sweep does.
    if kept.as_ref().is_err_and(Problem::is_refusal) {
        desk.forget(&upload).await;
    }
    let (job, waits) = kept?;
    answer(&desk, caller, job, waits && size <= LARGEST_SYNCHRONOUS).await
}

/// Reads the parts `file` and `data`, in any order; the file is streamed to where uploads are kept, and noted by nobody
/// yet.
async fn parts(desk: &Desk, caller: Caller, request: Request) -> Result<(JobRequest, Kept), Problem> {
    let mut parts = Multipart::of(request)?;
    let (mut options, mut upload) = (None, None);
    while let Some(part) = parts.next().await? {
        match part.name() {
            Some("data") if options.is_none() => {
                let bytes = part.bytes("the part data", desk.limits().body_bytes).await?;
                options = Some(request::upload(body::parse(&bytes)?).map_err(Problem::invalid)?);
            }
            Some("file") if upload.is_none() => {
                let name = part.file_name().unwrap_or_default().to_owned();
                upload = Some(desk.keep(caller, &name, part, u64::MAX).await?);
            }
            other => {
                let name = other.unwrap_or("a part without a name").to_owned();
                return Err(Problem::violation(
                    &name,
                    Value::Null,
                    "is an unexpected part; send one file and one data",
                ));
            }
        }
    }
    let upload = upload.ok_or_else(|| Problem::violation("file", Value::Null, "is a required part"))?;
    let options = match options {
        Some(options) => options,
        None => request::upload(json!({})).map_err(Problem::invalid)?,
    };
    Ok((options, upload))
}

/// Makes a file smaller that lies at a URL.
async fn fetch(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Response, Problem> {
    let request = request::fetch(json.value).map_err(Problem::invalid)?;
    let (job, waits) = keep(&desk, caller, request, JobInput::Asked).await?;
    answer(&desk, caller, job, waits).await
}

/// Keeps the job; says too whether its caller wants the result in the answer.
async fn keep(desk: &Desk, caller: Caller, request: JobRequest, input: JobInput) -> Result<(Job, bool), Problem> {
    let waits = request.webhook.is_none();
    let submitted = desk.submit(caller, request, input, None).await;
    match submitted.map_err(|problem| problem.with_paths(request::spelled))? {
        Submitted::New(job) | Submitted::Repeated(job) => Ok((job, waits)),
        Submitted::Conflict => Err(Problem::internal()),
    }
}

/// Answers with the result of a job, waiting for it, unless it is one to be told of later.
async fn answer(desk: &Desk, caller: Caller, job: Job, waits: bool) -> Result<Response, Problem> {
    let job = match waits {
        true => desk.job_when(caller, job.id, PATIENCE, |job| job.state.is_terminal() || is_long(job)).await?,
        false => job,
    };
    // What is long is told of later however soon it was done, so that callers meet one behaviour.
    if !waits || !job.state.is_terminal() || is_long(&job) {
        return Ok((StatusCode::ACCEPTED, Json(reply::enqueued(&job))).into_response());
    }
    let (status, body) = reply::synchronous(&job, desk.link_to());
    Ok((StatusCode::from_u16(status).unwrap_or(StatusCode::OK), Json(body)).into_response())
}

/// Whether a job is one that nobody waits for: a large input or an archive, as soon as that is known.
fn is_long(job: &Job) -> bool {
    let Some(input) = job.input() else { return false };
    let format = input.media.as_ref().and_then(|media| Format::from_word(&media.format));
    input.size_bytes > LARGEST_SYNCHRONOUS || format.is_some_and(Format::is_archive)
}

/// How far a job is, or what came of it.
async fn job(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    Path(id): Path<String>,
) -> Result<Json<reply::Reply>, Problem> {
    let id = JobId::from_hyphenated(&id).ok_or_else(|| Problem::not_found("job"))?;
    let job = desk.store().job(caller.account, id).await.map_err(missing("job"))?;
    Ok(Json(reply::polled(&job, desk.link_to())))
}

/// Says that a key works, and whose it is.
async fn account(ServiceCaller(caller): ServiceCaller) -> Json<Value> {
    let id: AccountId = caller.account;
    Json(json!({"id": id.hyphenated()}))
}

/// A result, to whoever has its link.
async fn result(
    State(desk): State<Desk>,
    Path((expires, job, _name)): Path<(String, String, String)>,
    uri: axum::extract::OriginalUri,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let closed = || Problem::new(StatusCode::FORBIDDEN, "link_not_valid", "the link has expired, or is not valid");
    let signature = Query::of(&uri).text("signature").ok_or_else(closed)?;
    let proof = format!("{expires}.{signature}");
    let id = JobId::from_hyphenated(&job).ok_or_else(|| Problem::not_found("file"))?;
    let now = desk.ambient().now();
    let job = match desk.store().job_by_id(id).await {
        Err(reelhook_store::StoreError::NotFound) => return Err(closed()),
        other => other?,
    };
    let opened = job.outputs.iter().find(|output| desk.links().opens_file(&proof, id, &output.spec.name, now));
    let output = opened.ok_or_else(closed)?;
    let mut file = output.file.clone().ok_or_else(|| Problem::not_found("file"))?;
    if let Some(input) = job.input() {
        file.name = reply::output_name(input, &file);
    }
    content::send(desk.files(), &Shown::output(Key::output(id, output.spec.id), &file), &method, &headers).await
}
