//! `/v1/jobs`.

use axum::Json;
use axum::extract::{FromRequest as _, OriginalUri, Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use reelhook_dialects::native;
use reelhook_dialects::native::reply::JobReply;
use reelhook_domain::id::{IdPrefix, JobId, JobKind};
use reelhook_domain::job::JobState;
use reelhook_domain::recipe::Recipe;
use reelhook_files::Key;
use reelhook_store::{Idempotency, JobFilter, Retry, Submitted};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::listing::{Query, id, next_cursor};
use super::stream;
use crate::auth::MaybeCaller;
use crate::body::{self, OptionalJson, is_json, is_multipart};
use crate::content::{self, Shown};
use crate::desk::{Caller, Desk, JobInput, Kept};
use crate::idempotency::{IdempotencyKey, conflict, fingerprint};
use crate::multipart::Multipart;
use crate::openapi;
use crate::problem::{Problem, missing};

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// Newest first.
    jobs: Vec<JobReply>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Submit a job
///
/// The response is durable: after a 202, the job will end and its events will be delivered, whatever happens to the server.
/// Send JSON, or `multipart/form-data` with a part `job` (the JSON without `input`) and a part `file`. With an
/// `Idempotency-Key`, a repeated request responds with 200 and the job of the first one.
#[utoipa::path(post, path = "/v1/jobs", tag = "Jobs", request_body = openapi::JobRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; stored for 24 hours")),
    responses((status = 202, body = JobReply), (status = 200, body = JobReply, description = "The job of an earlier request with the same `Idempotency-Key`"),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn submit_job(
    State(desk): State<Desk>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
) -> Result<Response, Problem> {
    let (value, fingerprint, kept) = if is_json(request.headers()) {
        let json = body::Json::from_request(request, &desk).await?;
        (json.value, fingerprint(&json.bytes, &[]), None)
    } else if is_multipart(request.headers()) {
        let (value, fingerprint, kept) = read_multipart(&desk, caller, request).await?;
        (value, fingerprint, Some(kept))
    } else {
        let detail = "the Content-Type must be application/json or multipart/form-data";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    };
    let bytes = if kept.is_some() { native::request::Bytes::Sent } else { native::request::Bytes::Named };
    let job = native::request::job(value, bytes, &desk).map_err(Problem::invalid)?;
    let idempotency = key.map(|key| Idempotency { key, fingerprint });
    let submitted = match kept.map(Kept::hand_over) {
        None => desk.submit(caller, job, JobInput::Asked, idempotency).await,
        Some(upload) => {
            let input = JobInput::Kept(Box::new(upload.clone()));
            let submitted = desk.submit(caller, job, input, idempotency).await;
            // After an error of the server, the store may have noted the upload or not. The sweep removes it in the latter case.
            if matches!(&submitted, Ok(Submitted::Repeated(_) | Submitted::Conflict))
                || submitted.as_ref().is_err_and(Problem::is_refusal)
            {
                desk.forget(&upload).await;
            }
            submitted
        }
    };
    let (status, job) = match submitted? {
        Submitted::New(job) => (StatusCode::ACCEPTED, job),
        Submitted::Repeated(job) => (StatusCode::OK, job),
        Submitted::Conflict => return Err(conflict()),
    };
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id)).expect("ids are visible ASCII");
    Ok((status, [(LOCATION, location)], Json(desk.job_reply(&job).await?)).into_response())
}

/// Reads the parts `job` and `file`, in any order; the file is streamed to where uploads are kept.
async fn read_multipart(desk: &Desk, caller: Caller, request: Request) -> Result<(Value, [u8; 32], Kept), Problem> {
    let mut parts = Multipart::of(request)?;
    let mut job: Option<(Value, Bytes)> = None;
    let mut upload = None;
    while let Some(part) = parts.next().await? {
        match part.name() {
            Some("job") if job.is_none() => {
                let bytes = part.bytes("the part `job`", desk.limits().body_bytes).await?;
                job = Some((body::parse(&bytes)?, bytes));
            }
            Some("file") if upload.is_none() => {
                let name = part.file_name().unwrap_or_default().to_owned();
                upload = Some(desk.keep(caller, &name, part, u64::MAX).await?);
            }
            other => {
                let name = other.unwrap_or("without a name").to_owned();
                return Err(Problem::violation(
                    &name,
                    Value::Null,
                    "is an unexpected part; send one `job` and one `file`",
                ));
            }
        }
    }
    let Some((value, bytes)) = job else {
        return Err(Problem::violation("job", Value::Null, "is a required part"));
    };
    let Some(upload) = upload else {
        return Err(Problem::violation("file", Value::Null, "is a required part"));
    };
    let fingerprint = fingerprint(&bytes, upload.upload().sha256.as_bytes());
    Ok((value, fingerprint, upload))
}

/// List jobs
#[utoipa::path(get, path = "/v1/jobs", tag = "Jobs",
    params(("state" = Option<String>, Query, description = "One or more states, separated by commas"),
        ("since" = Option<String>, Query, description = "Created at or after this time (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Created before this time (RFC 3339)"),
        ("metadata.NAME" = Option<String>, Query,
            description = "With this value of the metadata NAME, such as `metadata.order=1234`; if there are several, all must match"),
        ("recipe" = Option<String>, Query, description = "With an output of this recipe"),
        ("error" = Option<String>, Query, description = "With an error of this code, of the job or of an output"),
        ("name" = Option<String>, Query, description = "Whose first input has a name with this beginning"),
        ("id" = Option<String>, Query, description = "Whose id has this beginning, such as `job_06c8`"),
        ("limit" = Option<u32>, Query, description = "1 to 100, 20 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page")),
    responses((status = 200, body = JobList), (status = 422, body = Problem)))]
pub(crate) async fn list_jobs(
    State(desk): State<Desk>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<JobList>, Problem> {
    let mut query = Query::of(&uri);
    let filter = JobFilter {
        states: query.words("state", JobState::NAMES),
        since: query.parsed("since"),
        until: query.parsed("until"),
        dialect: None,
        metadata: query.pairs("metadata.", "metadata.NAME"),
        recipe: query.word("recipe", Recipe::NAMES),
        error: query.text("error"),
        name: query.text("name"),
        ids: query.parsed::<IdPrefix<JobKind>>("id").map(|ids| (ids.first.bits(), ids.last.bits())),
    };
    let page = query.page();
    query.finish()?;
    let jobs = desk.list_jobs(caller, &filter, page).await?;
    let next_cursor = next_cursor(page, jobs.len(), jobs.last().map(|job| job.id));
    Ok(Json(JobList { jobs: jobs.iter().map(|job| desk.job_reply_without_waiting(job)).collect(), next_cursor }))
}

/// Get a job
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobReply), (status = 404, body = Problem)))]
pub(crate) async fn get_job(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Json<JobReply>, Problem> {
    Ok(Json(desk.show_job(caller, id(&job, "job")?).await?))
}

/// Cancel a job
///
/// Cancels a job in any state that is not final. A running encoder is stopped within two seconds.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobReply), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn cancel_job(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Json<JobReply>, Problem> {
    Ok(Json(desk.cancel_job(caller, id(&job, "job")?).await?))
}

/// Confirm a job
///
/// Accepts the estimate of a job that is `awaiting_confirmation`. The job is queued again.
#[utoipa::path(post, path = "/v1/jobs/{id}/confirm", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 202, body = JobReply), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn confirm_job(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<(StatusCode, Json<JobReply>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(desk.confirm_job(caller, id(&job, "job")?).await?)))
}

/// Start a draft
#[utoipa::path(post, path = "/v1/jobs/{id}/start", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 202, body = JobReply), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn start_job(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<(StatusCode, Json<JobReply>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(desk.start_job(caller, id(&job, "job")?).await?)))
}

/// Retry a job
///
/// Queues a partial, failed, rejected or canceled job again, with its failed outputs or with all of them.
#[utoipa::path(post, path = "/v1/jobs/{id}/retry", tag = "Jobs", params(("id" = String, Path)), request_body = Option<openapi::RetryRequest>,
    responses((status = 202, body = JobReply), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn retry_job(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
    OptionalJson(value): OptionalJson,
) -> Result<(StatusCode, Json<JobReply>), Problem> {
    let whole = native::request::retry(value).map_err(Problem::invalid)?;
    let what = if whole { Retry::Whole } else { Retry::FailedOutputs };
    Ok((StatusCode::ACCEPTED, Json(desk.retry_job(caller, id(&job, "job")?, what).await?)))
}

/// Follow a job
///
/// Returns the events of the job so far as JSON. With `Accept: text/event-stream`, events are sent as they happen, including
/// progress (`job.progress`, without an id); `Last-Event-ID` resumes a stream. The stream ends when the job ends.
#[utoipa::path(get, path = "/v1/jobs/{id}/events", tag = "Jobs",
    params(("id" = String, Path), ("after" = Option<i64>, Query, description = "Only events after this sequence number"),
        ("names" = Option<String>, Query, description = "For streams: `types` (the default) names each frame after the type of its event; with `none` no frame has a name, so that an `EventSource` gets all of them in `onmessage`")),
    responses((status = 200, body = openapi::EventList), (status = 404, body = Problem)))]
pub(crate) async fn job_events(
    State(desk): State<Desk>,
    caller: Caller,
    Path(job): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job: JobId = id(&job, "job")?;
    let mut query = Query::of(&uri);
    let after = query.integer("after", 0..=i64::MAX as u64).map(|after| after as i64);
    let names = query.parsed("names").unwrap_or(stream::FrameNames::Types);
    query.finish()?;
    if wants_stream(&headers) {
        let last =
            headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        return stream::job(&desk, caller, job, last.or(after).unwrap_or(0), names).await;
    }
    let events = desk.store().job_events(caller.account, job, after.unwrap_or(0)).await.map_err(missing("job"))?;
    let events: Result<Vec<_>, _> = events.iter().map(|event| stream::value(&desk, event)).collect();
    Ok(Json(serde_json::json!({ "events": events? })).into_response())
}

pub(super) fn wants_stream(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/event-stream"))
}

/// Download an output
///
/// Needs an API key, or a signed link from the job. Ranges and entity tags are supported.
#[utoipa::path(get, path = "/v1/jobs/{id}/outputs/{name}", tag = "Jobs",
    params(("id" = String, Path), ("name" = String, Path), ("expires" = Option<i64>, Query), ("signature" = Option<String>, Query)),
    responses((status = 200, description = "The whole file"), (status = 206, description = "The requested range"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "The output has no file"), (status = 416)))]
pub(crate) async fn get_output(
    State(desk): State<Desk>,
    MaybeCaller(caller): MaybeCaller,
    Path((job, name)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job: JobId = id(&job, "job")?;
    let mut query = Query::of(&uri);
    let expires = query.parsed::<i64>("expires");
    let signature = query.text("signature");
    query.finish()?;
    let account = match (caller, expires, signature) {
        (Some(caller), ..) => Some(caller.account),
        (None, Some(expires), Some(signature)) => {
            let now = desk.ambient().now();
            if !desk.links().check(job, &name, expires, &signature, now) {
                let detail =
                    if expires <= now.as_seconds() { "the link has expired" } else { "the link's signature is wrong" };
                return Err(Problem::new(StatusCode::FORBIDDEN, "link_not_valid", detail));
            }
            None
        }
        (None, ..) => return Err(Problem::unauthorized("an API key or a signed link is required")),
    };
    let job = match account {
        Some(account) => desk.store().job(account, job).await,
        None => desk.store().job_by_id(job).await,
    };
    let job = job.map_err(missing("job"))?;
    let Some(output) = job.outputs.iter().find(|output| output.spec.name == name) else {
        return Err(Problem::not_found("output"));
    };
    let Some(file) = &output.file else {
        let detail = format!("this output is {}; it has no file", output.state);
        return Err(Problem::conflict("output_not_ready", detail));
    };
    let shown = Shown::output(Key::output(job.id, output.spec.id), file);
    content::send(desk.files(), &shown, &method, &headers).await
}
