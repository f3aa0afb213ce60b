//! `/files` and `/uploads`: what a link opens without a key, under names of their own.

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use reelhook_domain::id::{JobId, UploadId};
use reelhook_files::Key;

use super::listing::id;
use crate::content::{self, Shown};
use crate::desk::Desk;
use crate::problem::{Problem, missing};

fn closed() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "link_not_valid", "the link has expired, or is not valid")
}

/// Answers a browser that asks what a page may do with a link.
pub(super) async fn may_read() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// One file of an output: the main one under whatever name, or one that it names by its path.
pub(super) async fn get_file(
    State(desk): State<Desk>,
    Path((proof, job, output, path)): Path<(String, String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job: JobId = id(&job, "job")?;
    if !desk.links().opens_file(&proof, job, &output, desk.ambient().now()) {
        return Err(closed());
    }
    let job = desk.store().job_by_id(job).await.map_err(missing("job"))?;
    let found = job.outputs.iter().find(|candidate| candidate.spec.name == output);
    let Some((found, file)) = found.and_then(|found| Some((found, found.file.as_ref()?))) else {
        return Err(Problem::not_found("file"));
    };
    let part = file.parts.iter().find(|part| part.path == path);
    let shown = match part {
        Some(part) => Shown::part(part).ok_or_else(|| Problem::not_found("file"))?,
        None if file.parts.is_empty() || file.name == path => Shown::output(Key::output(job.id, found.spec.id), file),
        None => return Err(Problem::not_found("file")),
    };
    content::send(desk.files(), &shown, &method, &headers).await
}

/// A file that a caller sent.
pub(super) async fn get_upload(
    State(desk): State<Desk>,
    Path((proof, upload, _name)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let upload: UploadId = id(&upload, "upload")?;
    if !desk.links().opens_upload(&proof, upload, desk.ambient().now()) {
        return Err(closed());
    }
    let upload = desk.store().upload_by_id(upload).await.map_err(missing("upload"))?;
    content::send(desk.files(), &Shown::upload(&upload), &method, &headers).await
}
