//! What RemoveBGVideo answers.

use reelhook_domain::credit::CreditRate;
use reelhook_domain::delivery::{Delivery, DeliveryState};
use reelhook_domain::event::EventType;
use reelhook_domain::job::{Job, JobState};
use reelhook_domain::recipe::{Background, Recipe};
use serde::Serialize;
use serde_json::{Value, json};

use super::request::{Terms, model_of};
use crate::{Link, LinkTo};

/// The service's states, each with those of ours that it stands for.
pub const STATES: &[(&str, &[&str])] = &[
    ("created", &["draft"]),
    ("processing", &["queued", "probing", "awaiting_confirmation", "processing"]),
    ("completed", &["completed", "partial"]),
    ("failed", &["failed", "rejected", "canceled"]),
];

/// The service's word for a state of ours.
pub fn status(state: &JobState) -> &'static str {
    let own = state.name();
    STATES.iter().find(|(_, ours)| ours.contains(&own)).map_or("processing", |(status, _)| status)
}

/// The service's name of an event of ours; none for those that it does not tell.
pub fn event_name(ours: &str) -> Option<&'static str> {
    Some(match ours {
        EventType::JOB_STARTED => "job.started",
        EventType::JOB_COMPLETED | EventType::JOB_PARTIAL => "job.completed",
        EventType::JOB_FAILED | EventType::JOB_REJECTED | EventType::JOB_CANCELED => "job.failed",
        _ => return None,
    })
}

/// A job, as the service shows it.
#[derive(Debug, Serialize)]
pub struct JobReply {
    id: String,
    /// The same: another page of the service calls it so.
    job_id: String,
    status: &'static str,
    progress: u8,
    model: Option<String>,
    output_format: Option<&'static str>,
    bg_type: Option<&'static str>,
    video_url: Option<String>,
    output_url: Option<String>,
    error: Option<String>,
    error_code: Option<String>,
    credits_used: Option<u64>,
    duration_seconds: Option<f64>,
    metadata: Value,
    created_at: String,
    started_at: Option<String>,
    completed_at: Option<String>,
}

impl JobReply {
    /// That job.
    pub fn of(job: &Job, link: LinkTo<'_>) -> Self {
        let recipe = job.spec.outputs.iter().find_map(|output| match &output.recipe {
            Recipe::RemoveBackground(recipe) => Some(recipe),
            _ => None,
        });
        let made = matches!(job.state, JobState::Completed | JobState::Partial { .. });
        let said = &job.spec.said;
        let id = job.id.to_string();
        Self {
            job_id: id.clone(),
            id,
            status: status(&job.state),
            progress: job.progress,
            model: recipe.map(|_| model_of(said).to_owned()),
            output_format: recipe.map(|recipe| recipe.format.as_str()),
            bg_type: recipe.map(|recipe| background(&recipe.background)),
            video_url: said.get("video_url").and_then(Value::as_str).map(ToOwned::to_owned),
            output_url: output_url(job, link),
            error: error(job),
            error_code: job.state.error().filter(|_| !made).map(|error| error.code.clone()),
            credits_used: if made { job.credits() } else { None },
            duration_seconds: job.input().and_then(|input| input.media.as_ref()?.duration_seconds),
            metadata: said.get("metadata").cloned().unwrap_or_else(|| json!(job.spec.metadata)),
            created_at: job.created_at.to_string(),
            started_at: job.started_at.map(|at| at.to_string()),
            completed_at: job.finished_at.map(|at| at.to_string()),
        }
    }
}

impl JobReply {
    /// What it is written as; none of a job that another dialect made of other things.
    pub const fn output_format(&self) -> Option<&'static str> {
        self.output_format
    }
}

const fn background(background: &Background) -> &'static str {
    match background {
        Background::Transparent => "transparent",
        Background::Color { .. } => "color",
        Background::Image { .. } => "image",
    }
}

/// Where what was made can be had.
pub fn output_url(job: &Job, link: LinkTo<'_>) -> Option<String> {
    let made = matches!(job.state, JobState::Completed | JobState::Partial { .. });
    let (output, file) =
        job.outputs.iter().filter(|_| made).find_map(|output| Some((output, output.file.as_ref()?)))?;
    Some(link(Link::File { job: job.id, output: &output.spec.name, path: &file.name }))
}

/// Why it did not end well, as one text.
pub fn error(job: &Job) -> Option<String> {
    match &job.state {
        JobState::Canceled => Some("the job was canceled".to_owned()),
        JobState::Failed { error } | JobState::Rejected { error } => Some(error.message.clone()),
        _ => None,
    }
}

/// One event on its way, as `webhook_events` shows it.
#[derive(Debug, Serialize)]
pub struct WebhookEventReply {
    event: &'static str,
    status: &'static str,
    delivery_id: String,
    attempts: u32,
}

impl WebhookEventReply {
    /// That delivery; none of an event that the service does not tell.
    pub fn of(delivery: &Delivery) -> Option<Self> {
        let status = match delivery.state {
            DeliveryState::Delivered => "sent",
            DeliveryState::Exhausted | DeliveryState::Canceled => "failed",
            DeliveryState::Scheduled { .. } | DeliveryState::Sending { .. } | DeliveryState::Held => "pending",
        };
        let event = event_name(&delivery.event_type)?;
        Some(Self { event, status, delivery_id: delivery.id.to_string(), attempts: delivery.attempts })
    }
}

/// The answer to a job that was made or started.
pub fn accepted(job: &Job) -> Value {
    let message = match status(&job.state) {
        "created" => "The job is a draft. Start it with POST /v1/jobs/{id}/start.",
        _ => "The job is being processed.",
    };
    json!({"success": true, "id": job.id, "job_id": job.id, "status": status(&job.state), "message": message})
}

/// The prices of the models that work.
pub fn pricing(terms: &Terms) -> Value {
    let prices: std::collections::BTreeMap<_, _> = terms
        .names()
        .into_iter()
        .map(|name| {
            let CreditRate(rate) = terms.rate(name);
            (name, rate)
        })
        .collect();
    json!({"model_pricing_credits_per_minute": prices, "price_per_second_cents": 0, "packages": []})
}
