//! `JobService`, but for its stream.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use reelhook_dialects::transcodely::{reply, request};
use reelhook_dialects::{InputRequest, JobRequest};
use reelhook_domain::form::Violation;
use reelhook_domain::id::JobId;
use reelhook_domain::job::Job;
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::origin::{Origin, Place};
use reelhook_store::{Idempotency, JobFilter, Page, Submitted};
use serde_json::{Value, json};
use url::Url;

use crate::auth::ServiceCaller;
use crate::body;
use crate::desk::{Caller, Desk, JobInput};
use crate::problem::{Problem, missing};

/// Headers that carry an idempotency key, the client's own first.
const IDEMPOTENCY: [&str; 2] = ["idempotency-key", "x-idempotency-key"];
/// A repeat gives the first job whatever else it says, so what it says is not compared.
const SAME: [u8; 32] = *b"transcodely: a key is all of it.";

/// Makes a job; a repeat of an idempotency key gives the job of the first.
pub(super) async fn create(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    headers: HeaderMap,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let key = idempotency_key(&headers)?;
    let asked = request::create(json.value.clone()).map_err(|mut violations| {
        // What only the server knows is wrong is told with the rest.
        violations.extend(["input_url", "webhook_url"].into_iter().filter_map(|name| {
            let url: Url = json.value[name].as_str()?.parse().ok()?;
            // One without a host was named already.
            (url.has_host() && !is_in_bucket(&url)).then(|| desk.judge(name, &url)).flatten()
        }));
        Problem::invalid(violations)
    })?;
    let request::Create { mut job, idempotency_key } = asked;
    name_origins(&desk, caller, &mut job).await?;
    let idempotency = key.or(idempotency_key).map(|key| Idempotency { key, fingerprint: SAME });
    let submitted = desk.submit(caller, job, JobInput::Asked, idempotency).await;
    match submitted.map_err(|problem| problem.with_paths(spell))? {
        Submitted::New(job) | Submitted::Repeated(job) => Ok(shown(&desk, &job)),
        Submitted::Conflict => {
            let detail = "this idempotency key was used for a job of another API within the last 24 hours";
            Err(Problem::conflict("idempotency_conflict", detail))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = IDEMPOTENCY.iter().find_map(|name| headers.get(*name)) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=128).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::violation("idempotency_key", Value::Null, "must be 1 to 128 visible ASCII characters")),
    }
}

/// What the service calls a field of ours.
fn spell(path: &str) -> String {
    match path {
        "input.url" => "input_url",
        "input.origin" => "input_origin_id",
        "input.path" => "input_path",
        "webhook.url" => "webhook_url",
        "destination.origin" => "output_origin_id",
        "destination.prefix" => "output_path_template",
        other => other,
    }
    .to_owned()
}

fn is_in_bucket(url: &Url) -> bool {
    matches!(url.scheme(), "gs" | "s3")
}

/// Finds the origin that covers a `gs://` or `s3://` URL, and writes down how the job's origins are called.
async fn name_origins(desk: &Desk, caller: Caller, job: &mut JobRequest) -> Result<(), Problem> {
    job.said["currency"] = desk.prices().currency.clone().into();
    for input in &mut job.inputs {
        if let InputRequest::Url(url) = &input.source
            && is_in_bucket(url)
        {
            let Some((origin, path)) = covering(desk, caller, url).await? else {
                let message = "lies in a bucket; make an origin that covers it and give input_origin_id and input_path";
                let violation =
                    Violation { path: "input_url".to_owned(), value: Value::Null, message: message.to_owned() };
                return Err(Problem::invalid(vec![violation]));
            };
            input.source = InputRequest::Origin(origin.id, path.to_string());
        }
        // One that is not there is refused where the job is kept.
        if let InputRequest::Origin(id, path) = &input.source
            && let Ok(origin) = desk.store().origin(caller.account, *id).await
        {
            job.said["input_origin"] = reply::in_job(&origin, Some(path));
        }
    }
    if let Some(destination) = &job.destination
        && let Ok(origin) = desk.store().origin(caller.account, destination.origin).await
    {
        job.said["output_origin"] = reply::in_job(&origin, None);
    }
    Ok(())
}

/// The newest origin whose bucket and base path a URL lies in, and the path in it.
async fn covering(desk: &Desk, caller: Caller, url: &Url) -> Result<Option<(Origin, ObjectPath)>, Problem> {
    let said = url.as_str();
    let mut before = None;
    loop {
        let page = Page { before, limit: 100 };
        let origins = desk.store().list_origins(caller.account, page).await?;
        for origin in &origins {
            if !origin.permissions.read || matches!(origin.place, Place::Http { .. } | Place::R2 { .. }) {
                continue;
            }
            let scheme = if matches!(origin.place, Place::Gcs { .. }) { "gs" } else { "s3" };
            let bucket = origin.place.bucket().unwrap_or_default();
            let base = origin.base_path.as_str().trim_end_matches('/');
            let base = if base.is_empty() { String::new() } else { format!("{base}/") };
            let path = said.strip_prefix(&format!("{scheme}://{bucket}/{base}")).and_then(|path| path.parse().ok());
            if let Some(path) = path {
                return Ok(Some((origin.clone(), path)));
            }
        }
        before = origins.last().map(|origin| origin.id.bits()).filter(|_| origins.len() == 100);
        if before.is_none() {
            return Ok(None);
        }
    }
}

/// `{"job"}`.
fn shown(desk: &Desk, job: &Job) -> Json<Value> {
    Json(json!({"job": reply::job(job, desk.link_to())}))
}

/// The job that a request names. What is no id of ours names nothing here.
pub(super) fn job_id(value: Value) -> Result<JobId, Problem> {
    let id = request::id(value).map_err(Problem::invalid)?;
    id.parse().map_err(|_| Problem::not_found("job"))
}

pub(super) async fn get(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let job = desk.store().job(caller.account, job_id(json.value)?).await.map_err(missing("job"))?;
    Ok(shown(&desk, &job))
}

pub(super) async fn cancel(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let id = job_id(json.value)?;
    desk.cancel_job(caller, id).await?;
    Ok(shown(&desk, &desk.store().job(caller.account, id).await.map_err(missing("job"))?))
}

/// Accepts the estimate; the job comes back `processing`.
pub(super) async fn confirm(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let job = desk.store().confirm_job(caller.account, job_id(json.value)?).await.map_err(missing("job"))?;
    Ok(shown(&desk, &job))
}

/// Jobs of the account, newest first, whatever API they were made in.
pub(super) async fn list(
    State(desk): State<Desk>,
    ServiceCaller(caller): ServiceCaller,
    json: body::Json,
) -> Result<Json<Value>, Problem> {
    let asked = request::list(json.value).map_err(Problem::invalid)?;
    let states = asked.states.iter().map(|state| (*state).to_owned()).collect();
    let filter = JobFilter { states, ..JobFilter::default() };
    let mut before = asked.after;
    let mut skip = asked.offset;
    while skip > 0 {
        let limit = skip.min(100) as u32;
        let passed = desk.list_jobs(caller, &filter, Page { before, limit }).await?;
        let Some(last) = passed.last().filter(|_| passed.len() == limit as usize) else { break };
        (before, skip) = (Some(last.id.bits()), skip - passed.len());
    }
    let total = desk.store().count_jobs(caller.account, &filter).await?;
    let jobs = match skip {
        0 => desk.list_jobs(caller, &filter, Page { before, limit: asked.limit }).await?,
        // There are fewer than were to be passed over.
        _ => Vec::new(),
    };
    let more = match jobs.last() {
        Some(last) if jobs.len() == asked.limit as usize => {
            let page = Page { before: Some(last.id.bits()), limit: 1 };
            !desk.list_jobs(caller, &filter, page).await?.is_empty()
        }
        _ => false,
    };
    Ok(Json(reply::jobs(&jobs, more, total, desk.link_to())))
}
