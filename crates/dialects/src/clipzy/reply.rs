//! What Clipzy answers: `{"success": true, "message", "data"}`.

use reelhook_domain::failure::Stage;
use reelhook_domain::id::UploadId;
use reelhook_domain::job::{InputSource, Job, JobState};
use reelhook_domain::media::MediaInfo;
use reelhook_domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{TEMPLATE, video_id};
use crate::{Link, LinkTo};

/// The documented stages, each with the progress at which it ends.
const STAGES: &[(&str, u8)] = &[
    ("video_analysis", 20),
    ("audio_analysis", 35),
    ("motion_analysis", 55),
    ("style_extraction", 65),
    ("style_application", 85),
    ("rendering", 99),
];

/// The envelope of every success.
pub fn success(message: &str, data: impl Serialize) -> Value {
    json!({"success": true, "message": message, "data": json!(data)})
}

/// The service's word for how far a job is. One that was begun and waits to be begun again is still being processed, for
/// its progress never goes back.
pub const fn status(job: &Job) -> &'static str {
    match &job.state {
        JobState::Queued if job.started_at.is_some() => "processing",
        JobState::Draft | JobState::Queued => "queued",
        JobState::Probing | JobState::AwaitingConfirmation { .. } | JobState::Processing => "processing",
        JobState::Completed | JobState::Partial { .. } => "completed",
        JobState::Failed { .. } | JobState::Rejected { .. } => "failed",
        JobState::Canceled => "cancelled",
    }
}

/// 0 while it is queued, 100 when it is completed, the last value when it ended otherwise.
pub fn progress(job: &Job) -> u8 {
    match status(job) {
        "queued" => 0,
        "processing" => job.progress.clamp(1, 99),
        "completed" => 100,
        _ if job.started_at.is_some() => job.progress.clamp(1, 99),
        _ => 0,
    }
}

/// The documented stage that has that progress; none while nothing is done.
fn stage(job: &Job) -> Option<&'static str> {
    let progress = progress(job);
    let found = STAGES.iter().find(|(_, end)| progress <= *end).map(|(stage, _)| *stage);
    found.filter(|_| status(job) == "processing")
}

/// Seconds from when it was begun to its end; none while it has none.
pub fn seconds(job: &Job) -> Option<f64> {
    let end = job.finished_at?;
    Some(job.started_at.map_or(0.0, |start| end.since(start).as_secs_f64()))
}

/// Where what was made can be had; none unless the job is completed.
pub fn output_url(job: &Job, link: LinkTo<'_>) -> Option<String> {
    let made = status(job) == "completed";
    let (output, file) =
        job.outputs.iter().filter(|_| made).find_map(|output| Some((output, output.file.as_ref()?)))?;
    Some(link(Link::File { job: job.id, output: &output.spec.name, path: &file.name }))
}

/// A job, as the service shows it.
#[derive(Debug, Serialize)]
pub struct JobReply {
    job_id: String,
    video_id: Option<String>,
    template_video_id: Option<String>,
    status: &'static str,
    progress_percent: u8,
    current_stage: Option<&'static str>,
    created_at: String,
    updated_at: String,
    started_at: Option<String>,
    completed_at: Option<String>,
}

impl JobReply {
    /// That job.
    pub fn of(job: &Job) -> Self {
        let uploaded = |source: &InputSource| match source {
            InputSource::Upload(upload) => Some(video_id(*upload)),
            _ => None,
        };
        let text = |at: Timestamp| at.to_string();
        Self {
            job_id: job.id.to_string(),
            video_id: job.spec.input().and_then(|input| uploaded(&input.source)),
            template_video_id: job
                .spec
                .inputs
                .iter()
                .find(|input| input.name == TEMPLATE)
                .and_then(|input| uploaded(&input.source)),
            status: status(job),
            progress_percent: progress(job),
            current_stage: stage(job),
            created_at: text(job.created_at),
            updated_at: text(job.finished_at.or(job.started_at).unwrap_or(job.created_at)),
            started_at: job.started_at.map(text),
            completed_at: job.finished_at.map(text),
        }
    }
}

/// A job with what came of it; what is not known yet is null.
#[derive(Debug, Serialize)]
pub struct ResultReply {
    #[serde(flatten)]
    job: JobReply,
    style_json: Value,
    output_video_url: Option<String>,
    error: Option<ErrorReply>,
    processing_time_seconds: Option<f64>,
}

/// Why a job failed. The message stands under both of its documented names.
#[derive(Debug, Serialize)]
struct ErrorReply {
    stage: &'static str,
    message: String,
    error_message: String,
    error_details: Value,
    timestamp: Option<String>,
}

impl ResultReply {
    /// That job.
    pub fn of(job: &Job, link: LinkTo<'_>) -> Self {
        let error = job.state.error().filter(|_| status(job) == "failed").map(|error| ErrorReply {
            stage: match error.stage {
                Stage::Fetching | Stage::Probing => "video_analysis",
                Stage::Planning => "style_extraction",
                Stage::Encoding => "style_application",
                Stage::Verifying | Stage::Storing => "rendering",
            },
            message: error.message.clone(),
            error_message: error.message.clone(),
            error_details: json!({"code": error.code, "retryable": error.retryable}),
            timestamp: job.finished_at.map(|at| at.to_string()),
        });
        let style = job.outputs.iter().find_map(|output| output.receipt.get("style")).cloned();
        Self {
            job: JobReply::of(job),
            style_json: style.unwrap_or_default(),
            output_video_url: output_url(job, link),
            error,
            processing_time_seconds: seconds(job),
        }
    }
}

/// An upload, as its sender is answered.
#[derive(Debug, Serialize)]
pub struct UploadReply {
    video_id: String,
    filename: String,
    file_size_bytes: u64,
    metadata: Value,
    uploaded_at: String,
    storage_url: String,
}

impl UploadReply {
    /// That upload; what it holds is null where this machine cannot look.
    pub fn of(
        upload: UploadId,
        name: &str,
        size: u64,
        at: Timestamp,
        media: Option<&MediaInfo>,
        link: LinkTo<'_>,
    ) -> Self {
        let video = media.and_then(|media| media.video.as_ref());
        Self {
            video_id: video_id(upload),
            filename: name.to_owned(),
            file_size_bytes: size,
            metadata: json!({
                "width": video.map(|video| video.width),
                "height": video.map(|video| video.height),
                "duration_seconds": media.and_then(|media| media.duration_seconds),
                "frame_rate": video.and_then(|video| video.frame_rate),
                "codec": video.map(|video| &video.codec),
                "bitrate_kbps": media.and_then(|media| media.bit_rate).map(|rate| rate / 1000),
                "format": media.map(|media| &media.format),
            }),
            uploaded_at: at.to_string(),
            storage_url: link(Link::Upload { upload, name }),
        }
    }
}

/// A page of jobs.
pub fn page(jobs: &[Job], total: u64, page: u64, page_size: u64) -> Value {
    let jobs: Vec<_> = jobs.iter().map(JobReply::of).collect();
    json!({"jobs": jobs, "total": total, "page": page, "page_size": page_size})
}
