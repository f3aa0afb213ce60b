//! What Transcodely answers: jobs in its words, whatever dialect they were made in.
//!
//! Empty values are there, as the service's JSON has them: no text is `""`, no time and no object is null.

mod origin;
mod output;

use std::collections::BTreeMap;

use reelhook_domain::id::JobId;
use reelhook_domain::job::{Dialect, InputFacts, InputSource, Job, JobState};
use reelhook_domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::LinkTo;
pub use origin::{OriginReply, ValidationReply, in_job};
pub use output::{OutputReply, ThumbnailReply};

/// The service's currency, for jobs that nothing is known of yet.
const CURRENCY: &str = "EUR";

/// A time as the service writes it: whole seconds, UTC, `Z`.
pub fn time(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2026-03-01T09:00:00".len());
    text + "Z"
}

/// A job as every answer and every webhook shows it.
#[derive(Debug, Clone, Serialize)]
pub struct JobReply {
    id: String,
    status: &'static str,
    progress: u8,
    priority: &'static str,
    total_estimated_cost: f64,
    total_actual_cost: f64,
    currency: String,
    input_url: String,
    input_origin: Value,
    input_metadata: Option<InputMetadata>,
    output_origin: Value,
    outputs: Vec<OutputReply>,
    thumbnails: Value,
    thumbnail_results: Vec<ThumbnailReply>,
    metadata: BTreeMap<String, String>,
    webhook_url: String,
    delayed_start: bool,
    error_code: String,
    error_message: String,
    created_at: String,
    updated_at: String,
    probed_at: Option<String>,
    confirmed_at: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct InputMetadata {
    format: String,
    duration_ms: u64,
    size_bytes: u64,
    bit_rate: u64,
    video: Option<VideoMetadata>,
    audio: Option<AudioMetadata>,
    probed_at: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct VideoMetadata {
    codec: String,
    width: u32,
    height: u32,
    frame_rate: f64,
    bit_rate: u64,
    pixel_format: String,
}

#[derive(Debug, Clone, Serialize)]
struct AudioMetadata {
    codec: String,
    sample_rate: u32,
    channels: u32,
    channel_layout: &'static str,
    bit_rate: u64,
}

/// The service's word for how far a job is. One that was confirmed is processing at once, though it waits for its turn
/// and its input is fetched anew.
pub fn status(job: &Job) -> &'static str {
    match job.state {
        JobState::Queued | JobState::Probing if job.confirmed_at.is_some() => "processing",
        JobState::Draft | JobState::Queued => "pending",
        JobState::Rejected { .. } => "failed",
        JobState::Probing
        | JobState::AwaitingConfirmation { .. }
        | JobState::Processing
        | JobState::Completed
        | JobState::Partial { .. }
        | JobState::Failed { .. }
        | JobState::Canceled => job.state.name(),
    }
}

/// A job.
pub fn job(job: &Job, link: LinkTo<'_>) -> JobReply {
    // What another dialect said means something else.
    let nothing = Value::Null;
    let said = if job.spec.dialect == Dialect::Transcodely { &job.spec.said } else { &nothing };
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let probed_at = job.input().and_then(|input| input.media.as_ref()).and(job.started_at).map(time);
    let (outputs, thumbnail_results) = output::all(job, said, link);
    let error = job.state.error();
    let currency = job.estimate.as_ref().map(|estimate| &estimate.cost).or(job.cost.as_ref());
    let said_currency = || said["currency"].as_str().unwrap_or(CURRENCY).to_owned();
    let updated = [Some(job.created_at), job.started_at, job.confirmed_at, job.finished_at];
    JobReply {
        id: job.id.to_string(),
        status: status(job),
        progress: job.progress,
        priority: job.spec.priority.as_str(),
        total_estimated_cost: job.estimate.as_ref().map_or(0.0, |estimate| estimate.cost.amount),
        total_actual_cost: job.cost.as_ref().map_or(0.0, |cost| cost.amount),
        currency: currency.map_or_else(said_currency, |cost| cost.currency.clone()),
        input_url: match job.spec.input().map(|input| &input.source) {
            Some(InputSource::Url(url)) => url.to_string(),
            Some(InputSource::Origin { .. } | InputSource::Upload(_)) | None => String::new(),
        },
        input_origin: said["input_origin"].clone(),
        input_metadata: job.input().and_then(|input| InputMetadata::of(input, probed_at.clone())),
        output_origin: said["output_origin"].clone(),
        outputs,
        thumbnails: said.get("thumbnails").cloned().unwrap_or_else(|| json!([])),
        thumbnail_results,
        metadata: job.spec.metadata.clone(),
        webhook_url: text("webhook_url"),
        delayed_start: job.spec.confirm,
        error_code: error.map(|error| error.code.clone()).unwrap_or_default(),
        error_message: error.map(|error| error.message.clone()).unwrap_or_default(),
        created_at: time(job.created_at),
        updated_at: time(updated.into_iter().flatten().max().unwrap_or(job.created_at)),
        probed_at,
        confirmed_at: job.confirmed_at.map(time),
        started_at: job.started_at.map(time),
        completed_at: job.finished_at.map(time),
    }
}

impl InputMetadata {
    fn of(input: &InputFacts, probed_at: Option<String>) -> Option<Self> {
        let media = input.media.as_ref()?;
        let video = media.video.as_ref().map(|video| VideoMetadata {
            codec: video.codec.clone(),
            width: video.width,
            height: video.height,
            frame_rate: video.frame_rate.unwrap_or(0.0),
            bit_rate: video.bit_rate.unwrap_or(0),
            pixel_format: video.pixel_format.clone().unwrap_or_default(),
        });
        let audio = media.audio.as_ref().map(|audio| AudioMetadata {
            codec: audio.codec.clone(),
            sample_rate: audio.sample_rate,
            channels: audio.channels,
            channel_layout: match audio.channels {
                1 => "mono",
                2 => "stereo",
                _ => "",
            },
            bit_rate: audio.bit_rate.unwrap_or(0),
        });
        Some(Self {
            format: media.format.clone(),
            duration_ms: (media.duration_seconds.unwrap_or(0.0) * 1000.0).round() as u64,
            size_bytes: input.size_bytes,
            bit_rate: media.bit_rate.unwrap_or(0),
            video,
            audio,
            probed_at,
        })
    }
}

/// A page of jobs: `{"jobs", "pagination"}`. `more` where there is another page.
pub fn jobs(jobs: &[Job], more: bool, total: u64, link: LinkTo<'_>) -> Value {
    let shown: Vec<_> = jobs.iter().map(|one| job(one, link)).collect();
    let last = jobs.last().map(|job| job.id).filter(|_| more);
    json!({"jobs": shown, "pagination": pagination(last.map(JobId::bare), total)})
}

/// What follows a page.
pub fn pagination(next_cursor: Option<String>, total: u64) -> Value {
    json!({"next_cursor": next_cursor.unwrap_or_default(), "total_count": total})
}
