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
    file.media.named_after(&input.name)
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
}

impl Default for Named {
    fn default() -> Self {
        Self { kind: "file", format: "unknown".to_owned(), mime: "application/octet-stream" }
    }
}

impl Named {
    /// By our word for the container, and by whether there is a moving picture in it.
    fn of(media: &MediaInfo) -> Self {
        let (kind, mime) = match (media.format.as_str(), media.video.is_some()) {
            ("jpg", _) => ("image", "image/jpeg"),
            ("png", _) => ("image", "image/png"),
            ("webp", _) => ("image", "image/webp"),
            ("avif", _) => ("image", "image/avif"),
            ("gif", _) => ("image", "image/gif"),
            ("tiff", _) => ("image", "image/tiff"),
            ("bmp", _) => ("image", "image/bmp"),
            ("ico", _) => ("image", "image/vnd.microsoft.icon"),
            ("zip", _) => ("archive", "application/zip"),
            ("tar", _) => ("archive", "application/x-tar"),
            ("tar.bz2", _) => ("archive", "application/x-bzip2"),
            ("tar.xz", _) => ("archive", "application/x-xz"),
            ("tar.gz", _) => ("archive", "application/gzip"),
            ("tar.zst", _) => ("archive", "application/zstd"),
            ("mp4", true) => ("video", "video/mp4"),
            ("mp4", false) => ("audio", "audio/mp4"),
            ("mov", _) => ("video", "video/quicktime"),
            ("webm", true) => ("video", "video/webm"),
            ("webm", false) => ("audio", "audio/webm"),
            ("mkv", true) => ("video", "video/x-matroska"),
            ("mkv", false) => ("audio", "audio/x-matroska"),
            ("avi", _) => ("video", "video/x-msvideo"),
            ("flv", _) => ("video", "video/x-flv"),
            ("mpegts", _) => ("video", "video/mp2t"),
            ("mpeg", _) => ("video", "video/mpeg"),
            ("mp3", _) => ("audio", "audio/mpeg"),
            ("aac", _) => ("audio", "audio/aac"),
            ("wav", _) => ("audio", "audio/wav"),
            ("aiff", _) => ("audio", "audio/aiff"),
            ("flac", _) => ("audio", "audio/flac"),
            ("ogg", true) => ("video", "video/ogg"),
            ("ogg", false) => ("audio", "audio/ogg"),
            (_, true) => ("video", "application/octet-stream"),
            (_, false) => ("audio", "application/octet-stream"),
        };
        Self { kind, format: media.usual_extension().to_owned(), mime }
    }
}
