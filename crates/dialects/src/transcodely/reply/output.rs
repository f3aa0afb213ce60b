//! The outputs of a job, and its thumbnails.

use reelhook_domain::job::{Job, Output, OutputFile, OutputState};
use serde::Serialize;
use serde_json::{Value, json};

use super::time;
use crate::{Link, LinkTo};

/// One output.
#[derive(Debug, Clone, Serialize)]
pub struct OutputReply {
    id: String,
    status: &'static str,
    progress: u8,
    output_url: String,
    output_size_bytes: u64,
    duration_seconds: u64,
    estimated_cost: f64,
    actual_cost: f64,
    spec: Value,
    preset_slug: String,
    width: u32,
    height: u32,
    average_bitrate_kbps: u64,
    error_code: String,
    error_message: String,
    started_at: Option<String>,
    completed_at: Option<String>,
}

/// One thumbnail that was made, or not.
#[derive(Debug, Clone, Serialize)]
pub struct ThumbnailReply {
    id: String,
    /// Of which entry of `thumbnails`.
    index: u64,
    status: &'static str,
    url: String,
    size_bytes: u64,
    width: u32,
    height: u32,
    error_code: String,
    error_message: String,
}

/// The outputs and the thumbnails of a job: what its caller called so, or all as outputs where it was made in another
/// dialect.
pub(super) fn all(job: &Job, said: &Value, link: LinkTo<'_>) -> (Vec<OutputReply>, Vec<ThumbnailReply>) {
    let specs = said["outputs"].as_array();
    let count = specs.map_or(job.outputs.len(), Vec::len).min(job.outputs.len());
    let (outputs, thumbnails) = job.outputs.split_at(count);
    let outputs = outputs.iter().enumerate().map(|(place, output)| {
        let spec = specs.and_then(|specs| specs.get(place)).cloned();
        OutputReply::of(job, place, output, spec.unwrap_or_else(|| json!({"type": output.spec.recipe.name()})), link)
    });
    let thumbnails = thumbnails.iter().enumerate().map(|(place, output)| {
        let index = said["thumbnail_of"][place].as_u64().unwrap_or(0);
        ThumbnailReply::of(job, index, output, link)
    });
    (outputs.collect(), thumbnails.collect())
}

const fn status(output: &Output) -> &'static str {
    match output.state {
        OutputState::Waiting => "pending",
        state => state.as_str(),
    }
}

fn url(job: &Job, output: &Output, link: LinkTo<'_>) -> String {
    let ours = |file: &OutputFile| link(Link::File { job: job.id, output: &output.spec.name, path: &file.name });
    let url = |file: &OutputFile| file.destination_url.clone().unwrap_or_else(|| ours(file));
    output.file.as_ref().map(url).unwrap_or_default()
}

/// Bytes of a file with those that it names.
fn size(file: &OutputFile) -> u64 {
    file.size_bytes + file.parts.iter().map(|part| part.size_bytes).sum::<u64>()
}

impl OutputReply {
    fn of(job: &Job, place: usize, output: &Output, spec: Value, link: LinkTo<'_>) -> Self {
        let file = output.file.as_ref();
        let seconds = file.and_then(|file| file.media.duration_seconds).unwrap_or(0.0);
        let bytes = file.map_or(0, size);
        let video = file.and_then(|file| file.media.video.as_ref());
        let cost = |costs: Option<&Vec<f64>>| costs.and_then(|costs| costs.get(place)).copied().unwrap_or(0.0);
        let begun = !matches!(output.state, OutputState::Waiting);
        let ended = matches!(output.state, OutputState::Completed | OutputState::Failed | OutputState::Canceled);
        Self {
            id: output.spec.id.to_string(),
            status: status(output),
            progress: output.progress,
            output_url: url(job, output, link),
            output_size_bytes: bytes,
            duration_seconds: seconds.round() as u64,
            estimated_cost: cost(job.estimate.as_ref().map(|estimate| &estimate.cost.outputs)),
            actual_cost: cost(job.cost.as_ref().map(|cost| &cost.outputs)),
            preset_slug: spec["preset"].as_str().unwrap_or_default().to_owned(),
            spec,
            width: video.map_or(0, |video| video.width),
            height: video.map_or(0, |video| video.height),
            average_bitrate_kbps: if seconds > 0.0 { (bytes as f64 / 125.0 / seconds).round() as u64 } else { 0 },
            error_code: output.error.as_ref().map(|error| error.code.clone()).unwrap_or_default(),
            error_message: output.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
            started_at: job.started_at.filter(|_| begun).map(time),
            completed_at: job.finished_at.filter(|_| ended).map(time),
        }
    }
}

impl ThumbnailReply {
    fn of(job: &Job, index: u64, output: &Output, link: LinkTo<'_>) -> Self {
        let video = output.file.as_ref().and_then(|file| file.media.video.as_ref());
        Self {
            id: output.spec.id.to_string(),
            index,
            status: status(output),
            url: url(job, output, link),
            size_bytes: output.file.as_ref().map_or(0, size),
            width: video.map_or(0, |video| video.width),
            height: video.map_or(0, |video| video.height),
            error_code: output.error.as_ref().map(|error| error.code.clone()).unwrap_or_default(),
            error_message: output.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        }
    }
}
