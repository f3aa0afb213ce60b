//! What the native API answers.

use std::collections::BTreeMap;

use reelhook_domain::delivery::{Attempt, AttemptTimings, Delivery, Outcome};
use reelhook_domain::endpoint::{Endpoint, EndpointState, Rate};
use reelhook_domain::failure::JobFailure;
use reelhook_domain::job::{FilePart, InputFacts, Job, JobState, Output, OutputFile};
use reelhook_domain::media::MediaInfo;
use reelhook_domain::outline::Outline;
use reelhook_domain::price::{Cost, Estimate};
use reelhook_domain::recipe::Recipe;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::request::MASK;
use super::tls::TlsReply;
pub use super::waiting::{Outlook, WaitingReply};
use crate::{Link, LinkTo};

/// A job as `GET /v1/jobs/{id}` shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobReply {
    /// Its id.
    #[schema(value_type = String, example = "job_06c8pmt4vz3fk7qyq4q9w7m2hc")]
    pub id: String,
    /// `draft`, `queued`, `probing`, `awaiting_confirmation`, `processing`, `completed`, `partial`, `failed`, `rejected` or `canceled`.
    pub state: &'static str,
    /// 0 to 100; never goes back while it runs, 100 only when completed.
    pub progress: u8,
    /// What its worker does now.
    pub stage: Option<&'static str>,
    /// `economy`, `standard` or `premium`.
    pub priority: &'static str,
    /// The caller's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// What is known of the (first) input; null until it was fetched.
    pub input: Option<InputReply>,
    /// What is known of all inputs, where the job has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputReply>,
    /// The outputs, in the caller's order.
    pub outputs: Vec<OutputReply>,
    /// Why it did not end well.
    pub error: Option<JobFailure>,
    /// What it is expected to take; null until it was probed.
    pub estimate: Option<Estimate>,
    /// What it cost; null until it ended.
    pub cost: Option<Cost>,
    /// Why it waits, and until when that is known.
    pub waiting: Option<WaitingReply>,
    /// Its deliveries; only when one job is asked for.
    pub deliveries: Vec<JobDeliveryReply>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When a worker first took it.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it came to its end.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// The input of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Input)]
pub struct InputReply {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// What it holds; null until it was probed.
    pub media: Option<MediaInfo>,
}

/// One output of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Output)]
pub struct OutputReply {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its recipe with all parameters, defaults included.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// `waiting`, `processing`, `completed`, `failed` or `canceled`.
    pub state: &'static str,
    /// 0 to 100.
    pub progress: u8,
    /// What was made.
    pub file: Option<FileReply>,
    /// What was decided for each stream, with the reason.
    #[schema(value_type = Vec<StreamPlanReply>)]
    pub plan: Value,
    /// What was checked, and what it took: `checks` (each with `name`, `passed`, `expected` and `measured`; `seen` and
    /// `heard` compare it with its source), `source_bytes`, `output_bytes`, and of a damaged input `lost_seconds` or
    /// `missing`.
    #[schema(value_type = Option<Object>)]
    pub receipt: Value,
    /// Why it was not made.
    pub error: Option<JobFailure>,
}

/// What would become of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanReply {
    /// What is known of the (first) input; null where it could not be fetched.
    pub input: Option<InputReply>,
    /// What is known of all inputs, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputReply>,
    /// The outputs, in the caller's order.
    pub outputs: Vec<OutputPlanReply>,
    /// What it would take; null where nothing can be made, and for archives.
    pub estimate: Option<Estimate>,
    /// Why the job would fail or be rejected before anything is made.
    pub error: Option<JobFailure>,
}

/// What would become of one output.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutputPlan)]
pub struct OutputPlanReply {
    /// Its name.
    pub name: String,
    /// Its recipe with all parameters, defaults included.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// What was decided for each stream, with the reason.
    #[schema(value_type = Vec<StreamPlanReply>)]
    pub plan: Value,
    /// Why it would not be made.
    pub error: Option<JobFailure>,
}

/// What was decided for one stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = StreamPlan)]
pub struct StreamPlanReply {
    /// `video` or `audio`.
    pub stream: String,
    /// `encode`, `copy`, `drop` or `keep`.
    pub action: String,
    /// Why.
    pub reason: String,
}

/// A file that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = File)]
pub struct FileReply {
    /// The name to save it under.
    pub name: String,
    /// A signed link; needs no key.
    pub url: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Its media type.
    pub mime_type: String,
    /// What it holds, as measured after it was made.
    pub media: MediaInfo,
    /// The files of a package beside this one, which names them by their paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartReply>,
}

/// A file of a package.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FilePart)]
pub struct PartReply {
    /// Its path relative to the file that names it.
    pub path: String,
    /// A signed link; needs no key.
    pub url: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its media type.
    pub mime_type: String,
}

/// A delivery as a job shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = JobDelivery)]
pub struct JobDeliveryReply {
    /// Its id.
    pub id: String,
    /// The type of its event.
    pub event: String,
    /// Where it goes.
    pub endpoint: String,
    /// `scheduled`, `sending`, `delivered`, `exhausted`, `canceled` or `held`.
    pub state: &'static str,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it is tried next, at the earliest; null unless it is `scheduled`.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Why it waits; null when it has ended.
    pub waiting: Option<WaitingReply>,
}

impl JobReply {
    /// A job, without its deliveries.
    pub fn of(job: &Job, link: LinkTo<'_>) -> Self {
        let time = |at: reelhook_domain::time::Timestamp| at.to_string();
        Self {
            id: job.id.to_string(),
            state: job.state.name(),
            progress: job.progress,
            stage: job.stage.map(|stage| stage.as_str()),
            priority: job.spec.priority.as_str(),
            metadata: job.spec.metadata.clone(),
            input: job.input().map(InputReply::of),
            inputs: if job.inputs.len() > 1 { job.inputs.iter().map(InputReply::of).collect() } else { Vec::new() },
            outputs: job.outputs.iter().map(|output| OutputReply::of(job, output, link)).collect(),
            error: job.state.error().cloned(),
            estimate: job.estimate.clone(),
            cost: job.cost.clone(),
            waiting: waiting_for_word(&job.state),
            deliveries: Vec::new(),
            created_at: time(job.created_at),
            started_at: job.started_at.map(time),
            finished_at: job.finished_at.map(time),
        }
    }
}

/// Why a job waits, where its state alone says so; where it stands in the queue is for whoever asks the store.
fn waiting_for_word(state: &JobState) -> Option<WaitingReply> {
    let JobState::AwaitingConfirmation { until } = state else { return None };
    Some(WaitingReply { reason: "confirmation".to_owned(), until: Some(until.to_string()) })
}

impl PlanReply {
    /// What was found out of `job`.
    pub fn of(job: &Job, outline: Outline) -> Self {
        let inputs: Vec<_> = outline.inputs.iter().map(InputReply::of).collect();
        let outputs = job.outputs.iter().zip(outline.outputs).map(|(output, found)| OutputPlanReply {
            name: output.spec.name.clone(),
            recipe: output.spec.recipe.clone(),
            plan: found.plan,
            error: found.error,
        });
        Self {
            outputs: outputs.collect(),
            input: inputs.first().cloned(),
            inputs: if inputs.len() > 1 { inputs } else { Vec::new() },
            estimate: outline.estimate,
            error: outline.error,
        }
    }
}

impl InputReply {
    fn of(input: &InputFacts) -> Self {
        Self {
            name: input.name.clone(),
            size_bytes: input.size_bytes,
            sha256: input.sha256.clone(),
            media: input.media.clone(),
        }
    }
}

impl OutputReply {
    fn of(job: &Job, output: &Output, link: LinkTo<'_>) -> Self {
        let name = &output.spec.name;
        let beside = |path: &str| link(Link::File { job: job.id, output: name, path });
        let part = |part: &FilePart| PartReply {
            path: part.path.clone(),
            url: beside(&part.path),
            size_bytes: part.size_bytes,
            mime_type: part.mime_type.clone(),
        };
        let file = |file: &OutputFile| FileReply {
            name: file.name.clone(),
            // A package is opened where its other files are.
            url: if file.parts.is_empty() { link(Link::Output { job: job.id, name }) } else { beside(&file.name) },
            parts: file.parts.iter().map(part).collect(),
            size_bytes: file.size_bytes,
            sha256: file.sha256.clone(),
            mime_type: file.mime_type.clone(),
            media: file.media.clone(),
        };
        Self {
            id: output.spec.id.to_string(),
            name: output.spec.name.clone(),
            recipe: output.spec.recipe.clone(),
            state: output.state.as_str(),
            progress: output.progress,
            file: output.file.as_ref().map(file),
            plan: output.plan.clone(),
            receipt: output.receipt.clone(),
            error: output.error.clone(),
        }
    }
}

impl JobDeliveryReply {
    /// A delivery as its job shows it.
    pub fn of(delivery: &Delivery, outlook: Outlook<'_>) -> Self {
        Self {
            id: delivery.id.to_string(),
            event: delivery.event_type.clone(),
            endpoint: delivery.endpoint.to_string(),
            state: delivery.state.name(),
            attempts: delivery.attempts,
            next_attempt_at: outlook.next_attempt_at(delivery),
            waiting: outlook.waiting(delivery),
        }
    }
}

/// A delivery as `GET /v1/deliveries/{id}` shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryReply {
    /// Its id.
    pub id: String,
    /// What it carries.
    pub event: EventNameReply,
    /// The job of the event.
    pub job: Option<String>,
    /// Where it goes.
    pub endpoint: String,
    /// Its place among the deliveries to that endpoint.
    pub sequence: i64,
    /// `scheduled`, `sending`, `delivered`, `exhausted`, `canceled` or `held`.
    pub state: &'static str,
    /// Its attempts, in order; empty in lists.
    pub attempts: Vec<AttemptReply>,
    /// How many attempts were made.
    pub attempt_count: u32,
    /// When it is tried next, at the earliest; null unless it is `scheduled`.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Why it waits; null when it has ended.
    pub waiting: Option<WaitingReply>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it came to its end.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// The id and type of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EventName)]
pub struct EventNameReply {
    /// Its id: the `webhook-id` of its deliveries.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One HTTP request of a delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptReply {
    /// Its id.
    pub id: String,
    /// 1, 2, ...
    pub number: u32,
    /// When it began.
    #[schema(format = DateTime)]
    pub at: String,
    /// `status` when an answer came, else what went wrong, such as `timeout` or `address_not_allowed`.
    pub outcome: String,
    /// In which phase it went wrong.
    pub phase: Option<String>,
    /// Why it went wrong, where more is known: for `tls` such as `expired`, `name`, `issuer` or `client_certificate`.
    pub reason: Option<String>,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// The address that was used.
    pub address: Option<String>,
    /// How long each phase took, in milliseconds.
    pub timings_ms: AttemptTimings,
    /// The answer; null when none came.
    pub response: Option<ResponseReply>,
}

/// What a receiver answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Response)]
pub struct ResponseReply {
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// The first 16 KiB of its body.
    pub body: String,
}

impl AttemptReply {
    /// An attempt.
    pub fn of(attempt: &Attempt) -> Self {
        let (outcome, phase, reason, status) = match &attempt.outcome {
            Outcome::Status { status, .. } => ("status".to_owned(), None, None, Some(*status)),
            Outcome::Failed { phase, kind, reason } => (kind.clone(), Some(phase.clone()), reason.clone(), None),
        };
        Self {
            id: attempt.id.to_string(),
            number: attempt.number,
            at: attempt.at.to_string(),
            // Where the connection was refused by policy, the address is the operator's business: a caller must not
            // learn how names inside resolve.
            address: attempt.address.clone().filter(|_| outcome != "address_not_allowed"),
            outcome,
            phase,
            reason,
            status,
            timings_ms: attempt.timings_ms,
            response: status.map(|_| ResponseReply {
                headers: attempt.response_headers.iter().cloned().collect(),
                body: attempt.response_body.clone(),
            }),
        }
    }
}

impl DeliveryReply {
    /// A delivery with its attempts.
    pub fn of(delivery: &Delivery, attempts: &[Attempt], outlook: Outlook<'_>) -> Self {
        Self {
            id: delivery.id.to_string(),
            event: EventNameReply { id: delivery.event.to_string(), kind: delivery.event_type.clone() },
            job: delivery.job.map(|job| job.to_string()),
            endpoint: delivery.endpoint.to_string(),
            sequence: delivery.sequence,
            state: delivery.state.name(),
            attempts: attempts.iter().map(AttemptReply::of).collect(),
            attempt_count: delivery.attempts,
            next_attempt_at: outlook.next_attempt_at(delivery),
            waiting: outlook.waiting(delivery),
            created_at: delivery.created_at.to_string(),
            finished_at: delivery.finished_at.map(|at| at.to_string()),
        }
    }
}

/// The scheme of the URL of an endpoint that its owner asks.
pub const PULL_SCHEME: &str = "pull";

/// An endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointReply {
    /// Its id.
    pub id: String,
    /// Where it is; null when its owner asks for its events.
    pub url: Option<String>,
    /// Whether its owner asks for its events.
    pub pull: bool,
    /// Which events it wants; empty for all but progress.
    pub events: Vec<String>,
    /// Whose payloads it gets.
    pub dialect: &'static str,
    /// The caller's words.
    pub description: String,
    /// Extra request headers; their values are not shown.
    pub headers: BTreeMap<String, String>,
    /// How TLS with it differs from TLS with others; null where it does not.
    pub tls: Option<TlsReply>,
    /// Its own schedule in seconds; null for the default one.
    pub retry_seconds: Option<Vec<f64>>,
    /// Its own rate limit.
    pub rate: Option<Rate>,
    /// Its deadline.
    pub timeout_seconds: f64,
    /// `enabled` or `disabled`.
    pub state: &'static str,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// Whether it is left alone for now.
    pub circuit: CircuitReply,
    /// Its signing secret: only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// Whether an endpoint is left alone for now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Circuit)]
pub struct CircuitReply {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Until when, while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// Headers without their values.
pub fn masked(headers: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    headers.keys().map(|name| (name.clone(), MASK.to_owned())).collect()
}

impl EndpointReply {
    /// An endpoint, with its secret where that is shown.
    pub fn of(endpoint: &Endpoint, secret: Option<String>) -> Self {
        let pull = endpoint.url.scheme() == PULL_SCHEME;
        let until = match endpoint.circuit {
            reelhook_domain::circuit::Circuit::Open { until, .. } => Some(until.to_string()),
            _ => None,
        };
        let state = if pull { EndpointState::Enabled } else { endpoint.state };
        Self {
            id: endpoint.id.to_string(),
            url: (!pull).then(|| endpoint.url.to_string()),
            pull,
            events: endpoint.events.patterns().to_vec(),
            dialect: endpoint.dialect.as_str(),
            description: endpoint.description.clone(),
            headers: masked(&endpoint.headers),
            tls: TlsReply::of(&endpoint.tls),
            retry_seconds: endpoint
                .retry
                .as_ref()
                .map(|schedule| schedule.waits_ms().iter().map(|wait| *wait as f64 / 1000.0).collect()),
            rate: endpoint.rate,
            timeout_seconds: f64::from(endpoint.timeout_ms) / 1000.0,
            state: state.as_str(),
            disabled_reason: endpoint.disabled_reason.clone().filter(|_| !pull),
            circuit: CircuitReply { state: endpoint.circuit.name(), until },
            secret,
            created_at: endpoint.created_at.to_string(),
        }
    }
}
