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
    /// The id.
    #[schema(value_type = String, example = "job_06c8pmt4vz3fk7qyq4q9w7m2hc")]
    pub id: String,
    /// `draft`, `queued`, `probing`, `awaiting_confirmation`, `processing`, `completed`, `partial`, `failed`, `rejected` or `canceled`.
    pub state: &'static str,
    /// Progress from 0 to 100. It never decreases while the job runs, and is 100 only if the job is completed.
    pub progress: u8,
    /// The stage that the worker is in.
    pub stage: Option<&'static str>,
    /// `economy`, `standard` or `premium`.
    pub priority: &'static str,
    /// The caller's pairs of metadata.
    pub metadata: BTreeMap<String, String>,
    /// The (first) input; null until it was fetched.
    pub input: Option<InputReply>,
    /// All inputs, if the job has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputReply>,
    /// The outputs, in the order of the request.
    pub outputs: Vec<OutputReply>,
    /// Why the job failed; null otherwise.
    pub error: Option<JobFailure>,
    /// Estimate of the job; null until it was probed.
    pub estimate: Option<Estimate>,
    /// Cost of the job; null until it ended.
    pub cost: Option<Cost>,
    /// Why the job waits, and until when, if that is known.
    pub waiting: Option<WaitingReply>,
    /// Deliveries of the job's events; absent in lists.
    pub deliveries: Vec<JobDeliveryReply>,
    /// When the job was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When a worker first claimed the job.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// The input of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Input)]
pub struct InputReply {
    /// The name.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The media in the input; null until it was probed.
    pub media: Option<MediaInfo>,
}

/// One output of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Output)]
pub struct OutputReply {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Its recipe with all parameters, defaults included.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// `waiting`, `processing`, `completed`, `failed` or `canceled`.
    pub state: &'static str,
    /// Progress from 0 to 100.
    pub progress: u8,
    /// The result file; null until it was created.
    pub file: Option<FileReply>,
    /// The decision for each stream, with its reason.
    #[schema(value_type = Vec<StreamPlanReply>)]
    pub plan: Value,
    /// The checks of the output and its resources: `checks` (each with `name`, `passed`, `expected` and `measured`; `seen`
    /// and `heard` compare the output with its source), `source_bytes`, `output_bytes`, and `lost_seconds` or `missing` for
    /// a damaged input.
    #[schema(value_type = Option<Object>)]
    pub receipt: Value,
    /// Why the output failed; null otherwise.
    pub error: Option<JobFailure>,
}

/// The plan of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanReply {
    /// The (first) input; null if it could not be fetched.
    pub input: Option<InputReply>,
    /// All inputs, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputReply>,
    /// The outputs, in the order of the request.
    pub outputs: Vec<OutputPlanReply>,
    /// Estimate of the job; null if no output can be created, and for archives.
    pub estimate: Option<Estimate>,
    /// Why the job would fail or be rejected before any output is created; null otherwise.
    pub error: Option<JobFailure>,
}

/// The plan of one output.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutputPlan)]
pub struct OutputPlanReply {
    /// The name.
    pub name: String,
    /// Its recipe with all parameters, defaults included.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// The decision for each stream, with its reason.
    #[schema(value_type = Vec<StreamPlanReply>)]
    pub plan: Value,
    /// Why the output would fail; null otherwise.
    pub error: Option<JobFailure>,
}

/// The decision for one stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = StreamPlan)]
pub struct StreamPlanReply {
    /// `video` or `audio`.
    pub stream: String,
    /// `encode`, `copy`, `drop` or `keep`.
    pub action: String,
    /// The reason.
    pub reason: String,
}

/// A result file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = File)]
pub struct FileReply {
    /// The name to save it under.
    pub name: String,
    /// Signed link to the file, which needs no key.
    pub url: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Media type.
    pub mime_type: String,
    /// The media in the file, as probed after it was created.
    pub media: MediaInfo,
    /// The other files of a package. This file refers to them by their paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartReply>,
}

/// A file of a package.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FilePart)]
pub struct PartReply {
    /// Path relative to the file that refers to it.
    pub path: String,
    /// Signed link to the file, which needs no key.
    pub url: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Media type.
    pub mime_type: String,
}

/// A delivery as a job shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = JobDelivery)]
pub struct JobDeliveryReply {
    /// The id.
    pub id: String,
    /// The type of its event.
    pub event: String,
    /// The id of its endpoint.
    pub endpoint: String,
    /// `scheduled`, `sending`, `delivered`, `exhausted`, `canceled` or `held`.
    pub state: &'static str,
    /// Number of attempts.
    pub attempts: u32,
    /// The earliest time of the next attempt; null unless the state is `scheduled`.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Why it waits; null if it has ended.
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
    /// The id.
    pub id: String,
    /// The event that it delivers.
    pub event: EventNameReply,
    /// The job of the event.
    pub job: Option<String>,
    /// The id of its endpoint.
    pub endpoint: String,
    /// Number of the delivery among all deliveries to its endpoint.
    pub sequence: i64,
    /// `scheduled`, `sending`, `delivered`, `exhausted`, `canceled` or `held`.
    pub state: &'static str,
    /// Attempts in order; empty in lists.
    pub attempts: Vec<AttemptReply>,
    /// Number of attempts.
    pub attempt_count: u32,
    /// The earliest time of the next attempt; null unless the state is `scheduled`.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Why it waits; null if it has ended.
    pub waiting: Option<WaitingReply>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// The id and type of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EventName)]
pub struct EventNameReply {
    /// The id of the event, which is the `webhook-id` of its deliveries.
    pub id: String,
    /// Event type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One HTTP request of a delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptReply {
    /// The id.
    pub id: String,
    /// Number of the attempt: 1, 2, ...
    pub number: u32,
    /// When the attempt started.
    #[schema(format = DateTime)]
    pub at: String,
    /// `status` if the receiver answered; otherwise the kind of failure, such as `timeout` or `address_not_allowed`.
    pub outcome: String,
    /// The phase in which the attempt failed.
    pub phase: Option<String>,
    /// The reason of the failure, if it is known: for `tls`, for example `expired`, `name`, `issuer` or
    /// `client_certificate`.
    pub reason: Option<String>,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// IP address of the receiver.
    pub address: Option<String>,
    /// How long each phase took, in milliseconds.
    pub timings_ms: AttemptTimings,
    /// The receiver's answer; null if there was none.
    pub response: Option<ResponseReply>,
}

/// A receiver's answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Response)]
pub struct ResponseReply {
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// The first 16 KiB of the body.
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
    /// The id.
    pub id: String,
    /// The URL; null for a pull endpoint.
    pub url: Option<String>,
    /// Whether it is a pull endpoint, whose receiver fetches the events.
    pub pull: bool,
    /// Filter of event types; empty for all events except progress.
    pub events: Vec<String>,
    /// The service whose payloads the endpoint gets.
    pub dialect: &'static str,
    /// Free-form description.
    pub description: String,
    /// Extra request headers; their values are never shown.
    pub headers: BTreeMap<String, String>,
    /// TLS options of the receiver; null if they are the server's.
    pub tls: Option<TlsReply>,
    /// Waits before the attempts, in seconds; null for the default schedule.
    pub retry_seconds: Option<Vec<f64>>,
    /// Rate limit of the endpoint.
    pub rate: Option<Rate>,
    /// Deadline of an attempt, in seconds.
    pub timeout_seconds: f64,
    /// `enabled` or `disabled`.
    pub state: &'static str,
    /// Why the endpoint is disabled.
    pub disabled_reason: Option<String>,
    /// The circuit of the endpoint.
    pub circuit: CircuitReply,
    /// The signing secret; present only in the response that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// The circuit of an endpoint: whether requests to it are suspended.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Circuit)]
pub struct CircuitReply {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// The time until which an open circuit suspends requests.
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
