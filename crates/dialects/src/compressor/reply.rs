//! What Compressor answers.

use reelhook_domain::job::{InputFacts, Job, JobState, OutputFile};
use reelhook_domain::media::MediaInfo;
use serde::Serialize;
use serde_json::Value;

use super::error::{self, ErrorReply};
use crate::{Link, LinkTo};

/// What is said of a job.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// What came of it.
    Result(Box<ResultReply>),
    /// That nothing came of it, and why.
    Error(ErrorReply),
    /// That it goes on.
    Pending(PendingReply),
}

/// A job on its way.
#[derive(Debug, Serialize)]
pub struct PendingReply {
    id: String,
    status: &'static str,
}

/// A result.
#[derive(Debug, Serialize)]
pub struct ResultReply {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    url: String,
    input: FileReply,
    output: FileReply,
    /// What became of each file of an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Value>,
}

/// One file.
#[derive(Debug, Serialize)]
struct FileReply {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    format: String,
    mime: &'static str,
    size: u64,
    sha1: String,
}

/// That a job goes on in the background.
pub fn enqueued(job: &Job) -> Reply {
    pending(job, "enqueued")
}

fn pending(job: &Job, status: &'static str) -> Reply {
    Reply::Pending(PendingReply { id: job.id.hyphenated(), status })
}

/// HTTP status and body of a synchronous answer, which is also the body of a webhook: without `status` where it ended
/// well.
pub fn synchronous(job: &Job, link: LinkTo<'_>) -> (u16, Reply) {
    match result(job, None, link) {
        Some(result) => (200, Reply::Result(Box::new(result))),
        None => (error::status(job.state.error()), Reply::Error(error::of_job(job.id, job.state.error()))),
    }
}

/// What `GET /1.0/jobs/{id}` answers.
pub fn polled(job: &Job, link: LinkTo<'_>) -> Reply {
    let status = match &job.state {
        JobState::Draft | JobState::Queued | JobState::AwaitingConfirmation { .. } => "enqueued",
        JobState::Probing | JobState::Processing => "processing",
        JobState::Completed | JobState::Partial { .. } | JobState::Failed { .. } | JobState::Rejected { .. } => {
            return match result(job, Some("completed"), link) {
                Some(result) => Reply::Result(Box::new(result)),
                None => Reply::Error(error::of_job(job.id, job.state.error())),
            };
        }
        JobState::Canceled => return Reply::Error(error::of_job(job.id, None)),
    };
    pending(job, status)
}

/// The result of a job that has one. Of several outputs, as a job of another dialect may have, the first.
fn result(job: &Job, status: Option<&'static str>, link: LinkTo<'_>) -> Option<ResultReply> {
    if !matches!(job.state, JobState::Completed | JobState::Partial { .. }) {
        return None;
    }
    let output = job.outputs.iter().find(|output| output.file.is_some())?;
    let (facts, file) = (job.inputs.first()?, output.file.as_ref()?);
    let name = output_name(facts, file);
    let place = Link::Dated {
        service: reelhook_domain::job::Dialect::Compressor,
        job: job.id,
        output: &output.spec.name,
        name: &name,
    };
    let url = file.destination_url.clone().unwrap_or_else(|| link(place));
    Some(ResultReply {
        id: job.id.hyphenated(),
        status,
        url,
        input: FileReply::input(facts),
        output: FileReply::output(name, file),
        members: output.receipt.get("members").cloned(),
    })
}

/// The name that a result is shown under: that of the input with the canonical extension of what it is.
pub fn output_name(input: &InputFacts, file: &OutputFile) -> String {
    // `v1.2` has none.
    let is_extension = |text: &str| {
        text.len() <= 5
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let made = Named::of(&file.media);
    let named = input.name.as_str();
    let stem = match named.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && is_extension(extension) => stem,
        _ => named,
    };
    // Some archives have two: `photos.tar.gz`.
    let first = stem.strip_suffix(".tar").filter(|stem| made.kind == "archive" && !stem.is_empty());
    format!("{}.{}", first.unwrap_or(stem), made.extension)
}

impl FileReply {
    fn input(facts: &InputFacts) -> Self {
        let named = facts.media.as_ref().map(Named::of).unwrap_or_default();
        let (name, size, sha1) = (facts.name.clone(), facts.size_bytes, facts.sha1.clone());
        Self { name, kind: named.kind, format: named.format, mime: named.mime, size, sha1 }
    }

    fn output(name: String, file: &OutputFile) -> Self {
        let named = Named::of(&file.media);
        let (size, sha1) = (file.size_bytes, file.sha1.clone());
        Self { name, kind: named.kind, format: named.format, mime: named.mime, size, sha1 }
    }
}

/// What the service calls a format.
struct Named {
    kind: &'static str,
    format: String,
    mime: &'static str,
    extension: String,
}

impl Default for Named {
    fn default() -> Self {
        let (kind, format, extension) = ("file", "unknown".to_owned(), "bin".to_owned());
        Self { kind, format, mime: "application/octet-stream", extension }
    }
}

impl Named {
    /// By our word for the container, and by whether there is a moving picture in it.
    fn of(media: &MediaInfo) -> Self {
        let alike = |kind, word: &str, mime| Self { kind, format: word.to_owned(), mime, extension: word.to_owned() };
        let word = media.format.as_str();
        let moving = media.video.is_some();
        match word {
            "jpg" => alike("image", "jpeg", "image/jpeg"),
            "png" => alike("image", word, "image/png"),
            "webp" => alike("image", word, "image/webp"),
            "avif" => alike("image", word, "image/avif"),
            "gif" => alike("image", word, "image/gif"),
            "tiff" => alike("image", word, "image/tiff"),
            "bmp" => alike("image", word, "image/bmp"),
            "ico" => alike("image", word, "image/vnd.microsoft.icon"),
            "zip" => alike("archive", word, "application/zip"),
            "tar.gz" => alike("archive", word, "application/gzip"),
            "tar.zst" => alike("archive", word, "application/zstd"),
            "mp4" if moving => alike("video", word, "video/mp4"),
            "mp4" => alike("audio", "m4a", "audio/mp4"),
            "mov" => alike("video", word, "video/quicktime"),
            "webm" if moving => alike("video", word, "video/webm"),
            "webm" => alike("audio", word, "audio/webm"),
            "mkv" if moving => alike("video", word, "video/x-matroska"),
            "mkv" => alike("audio", "mka", "audio/x-matroska"),
            "avi" => alike("video", word, "video/x-msvideo"),
            "flv" => alike("video", word, "video/x-flv"),
            "mpegts" => alike("video", "ts", "video/mp2t"),
            "mpeg" => alike("video", "mpeg", "video/mpeg"),
            "mp3" => alike("audio", word, "audio/mpeg"),
            "aac" => alike("audio", word, "audio/aac"),
            "wav" => alike("audio", word, "audio/wav"),
            "aiff" => alike("audio", word, "audio/aiff"),
            "flac" => alike("audio", word, "audio/flac"),
            "ogg" if moving => alike("video", "ogv", "video/ogg"),
            "ogg" => alike("audio", word, "audio/ogg"),
            other => alike(if moving { "video" } else { "audio" }, other, "application/octet-stream"),
        }
    }
}
