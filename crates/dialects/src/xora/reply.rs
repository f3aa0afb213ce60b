//! Answers in the shapes of Xora.

use reelhook_domain::id::OriginId;
use reelhook_domain::job::{InputSource, Job, JobState, Output};
use reelhook_domain::recipe::Recipe;
use reelhook_domain::time::Timestamp;
use serde_json::{Map, Value, json};
use url::Url;

use super::error;
use super::spell;
use crate::{Link, LinkTo};

/// The name of the output of a job that has one.
pub(super) const ONLY: &str = "output";

/// A state by the service's word.
pub fn state(job: &Job) -> &'static str {
    match &job.state {
        JobState::Draft | JobState::Queued | JobState::AwaitingConfirmation { .. } => "queued",
        JobState::Probing => "probing",
        JobState::Processing => match job.stage.map(error::stage) {
            Some("planning") => "planning",
            Some("merging") => "merging",
            _ => "transcoding",
        },
        JobState::Completed => "completed",
        // The service knows no half success: what was made is shown beside the error.
        JobState::Partial { .. } | JobState::Failed { .. } => "failed",
        JobState::Rejected { .. } => "rejected",
        JobState::Canceled => "cancelled",
    }
}

/// What `POST /v1/jobs` and the verbs of a job answer.
pub fn accepted(job: &Job) -> Value {
    json!({"jobId": spell(job.id), "state": state(job)})
}

/// A job, flat: as GET shows it, and as a webhook carries it below `data`.
pub fn job(job: &Job, link: LinkTo<'_>) -> Value {
    let mut shown = Map::new();
    shown.insert("jobId".to_owned(), spell(job.id).into());
    shown.insert("state".to_owned(), state(job).into());
    // 100 is for what is completed.
    let most = if job.state == JobState::Completed { 100 } else { 99 };
    shown.insert("progress".to_owned(), job.progress.min(most).into());
    if job.state.is_terminal() {
        outputs(job, link, &mut shown);
    }
    if let Some(error) = error::failure(&job.state) {
        shown.insert("error".to_owned(), error);
    }
    shown.into()
}

/// A page of jobs, newest first.
pub fn jobs(page: &[Job], next_cursor: Option<&str>, link: LinkTo<'_>) -> Value {
    let jobs: Vec<_> = page.iter().map(|one| job(one, link)).collect();
    json!({"jobs": jobs, "nextCursor": next_cursor})
}

fn outputs(job: &Job, link: LinkTo<'_>, shown: &mut Map<String, Value>) {
    let single = job.outputs.len() == 1;
    let (mut urls, mut files) = (Map::new(), Map::new());
    for output in &job.outputs {
        let Some((url, file)) = file(job, output, link) else { continue };
        let name = &output.spec.name;
        if single {
            shown.insert("output".to_owned(), json!({"signedUrl": url}));
            files.insert(ONLY.to_owned(), file.clone());
        }
        if name != ONLY {
            urls.insert(name.clone(), url.into());
            files.insert(name.clone(), file);
        }
    }
    if !urls.is_empty() {
        shown.insert("outputs".to_owned(), urls.into());
    }
    if !files.is_empty() {
        shown.insert("output_files".to_owned(), files.into());
    }
}

/// The link to an output and what is true of its file.
fn file(job: &Job, output: &Output, link: LinkTo<'_>) -> Option<(String, Value)> {
    let file = output.file.as_ref()?;
    let extension = file.name.rsplit_once('.').map_or(file.media.format.as_str(), |(_, extension)| extension);
    let asked = job.spec.said["files"][&output.spec.name].as_str();
    let name = asked.map_or_else(|| format!("{ONLY}.{extension}"), str::to_owned);
    let url = match passed_through(job, output) {
        Some(url) => url.to_string(),
        None => link(Link::File { job: job.id, output: &output.spec.name, path: &name }),
    };
    let kind = file.mime_type.split('/').next().unwrap_or("application");
    let (video, audio) = (file.media.video.as_ref(), file.media.audio.as_ref());
    let codec = video.map(|video| &video.codec).or(audio.map(|audio| &audio.codec));
    let mut entry = Map::new();
    entry.insert("file_id".to_owned(), format!("{}-{}", spell(job.id), output.spec.name).into());
    entry.insert("filename".to_owned(), name.into());
    entry.insert("size_mbytes".to_owned(), json!(file.size_bytes as f64 / 1e6));
    if let Some(seconds) = file.media.duration_seconds {
        entry.insert("duration".to_owned(), json!(seconds));
    }
    entry.insert("file_type".to_owned(), kind.into());
    entry.insert("file_format".to_owned(), extension.into());
    entry.insert("mime_type".to_owned(), file.mime_type.as_str().into());
    if let Some(codec) = codec {
        entry.insert("codec".to_owned(), codec.as_str().into());
    }
    if let Some(video) = video {
        entry.insert("width".to_owned(), video.width.into());
        entry.insert("height".to_owned(), video.height.into());
    }
    entry.insert("storage_url".to_owned(), url.as_str().into());
    Some((url, entry.into()))
}

/// The input's own URL, where `webReady` found nothing to do.
fn passed_through<'a>(job: &'a Job, output: &Output) -> Option<&'a Url> {
    let Recipe::WebReady(_) = output.spec.recipe else { return None };
    let streams = output.plan.as_array()?;
    let kept = !streams.is_empty() && streams.iter().all(|stream| stream["action"] == "keep");
    match &job.spec.input()?.source {
        InputSource::Url(url) if kept => Some(url),
        InputSource::Url(_) | InputSource::Upload(_) | InputSource::Origin { .. } => None,
    }
}

/// The settings of an account.
pub fn settings(webhook: Option<&Url>, provider: Option<OriginId>, updated_at: Timestamp) -> Value {
    json!({
        "defaultWebhookUrl": webhook.map(Url::as_str),
        "defaultStorageProviderId": provider.map(spell),
        "updatedAt": updated_at.to_string(),
    })
}
