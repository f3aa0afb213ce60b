//! A job: one request to turn an input into outputs, and how it may change.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::choice;
use crate::credit::CreditRate;
use crate::event::EventFilter;
use crate::failure::{JobFailure, Stage};
use crate::id::{AccountId, EndpointId, JobId, OriginId, OutputId, UploadId};
use crate::media::MediaInfo;
use crate::price::{Cost, Estimate};
use crate::recipe::Recipe;
use crate::time::Timestamp;

/// Where a job's input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// A URL to download, as normalised by the parser that dials. Has no credentials in it.
    Url(url::Url),
    /// A file that the caller sent before.
    Upload(UploadId),
    /// A file in an origin of the account.
    Origin {
        /// Which origin.
        origin: OriginId,
        /// Where in it, below its base path.
        path: String,
    },
}

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Unique in the job; recipes that take several inputs name them by it.
    pub name: String,
    /// Where it comes from.
    pub source: InputSource,
}

/// The name of an input where the caller gives none.
pub const ONLY_INPUT: &str = "input";
/// Most inputs of one job.
pub const MOST_INPUTS: usize = 50;

/// Where outputs are written besides our own keeping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Which origin; it is one that may be written to.
    pub origin: OriginId,
    /// Where in it, for each output in the caller's order: below its base path. Extension included, unless it is
    /// [`open_ended`](Self::open_ended), or empty or ends with a slash: then it is a folder, and the file is named after the input.
    pub paths: Vec<String>,
    /// The outputs, by their place, whose extension is known only once they are made: it is added to their paths then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_ended: Vec<usize>,
    /// How their addresses are written.
    #[serde(default)]
    pub addresses: Addresses,
}

choice! {
    /// How the address of an object in a bucket is written.
    Addresses {
        /// By the bucket: `s3://bucket/path`.
        Bucket = "bucket",
        /// By the bucket's server: `https://...`.
        Web = "web",
    }
}

#[allow(clippy::derivable_impls, reason = "a choice has no place for the attribute that would derive it")]
impl Default for Addresses {
    fn default() -> Self {
        Self::Bucket
    }
}

choice! {
    /// Which jobs go first.
    Priority {
        /// When nobody else waits.
        Economy = "economy",
        /// In turn.
        Standard = "standard",
        /// Before the others.
        Premium = "premium",
    }
}

choice! {
    /// What becomes of a damaged source.
    OnDamage {
        /// The job fails.
        Strict = "strict",
        /// What can be read is kept, and the job is partial.
        Salvage = "salvage",
    }
}

choice! {
    /// Whose request and payload shapes a job or an endpoint speaks.
    Dialect {
        /// Ours.
        Native = "native",
        /// That of compressor.app.
        Compressor = "compressor",
        /// That of transcodely.com.
        Transcodely = "transcodely",
        /// That of xora.sh.
        Xora = "xora",
        /// That of the Clipzy ML Engine.
        Clipzy = "clipzy",
        /// That of removebgvideo.com.
        RemoveBgVideo = "removebgvideo",
    }
}

/// The webhook given with one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWebhook {
    /// The endpoint made for (or found by) its URL.
    pub endpoint: EndpointId,
    /// Which events of this job go there.
    pub events: EventFilter,
}

/// What a job shall do; never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What is read, in the caller's order: 1 to 50, names unique.
    pub inputs: Vec<InputSpec>,
    /// What is made, in the caller's order: 1 to 20.
    pub outputs: Vec<OutputSpec>,
    /// Where its events go, besides the account's endpoints. Overrides the account's default webhook.
    pub webhook: Option<JobWebhook>,
    /// The caller's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Which jobs go first.
    pub priority: Priority,
    /// What becomes of a damaged source.
    pub on_damage: OnDamage,
    /// Whose shapes it was made in.
    pub dialect: Dialect,
    /// Whether its caller is asked to accept the estimate first.
    #[serde(default)]
    pub confirm: bool,
    /// Where its outputs are written besides our own keeping.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// What a minute of its first input takes from its account's credits, once something was made of it.
    #[serde(default)]
    pub credit_rate: Option<CreditRate>,
    /// What its caller said that only its dialect understands and answers again. Never a secret.
    #[serde(default)]
    pub said: Value,
}

impl JobSpec {
    /// The first input, which is the only one of most jobs.
    pub fn input(&self) -> Option<&InputSpec> {
        self.inputs.first()
    }
}

/// One thing to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Its id.
    pub id: OutputId,
    /// Unique in the job.
    pub name: String,
    /// How it is made.
    #[serde(flatten)]
    pub recipe: Recipe,
}

/// How far a job is. Each state owns what is only true in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// Made, not yet started by its caller.
    Draft,
    /// Waits for a worker.
    Queued,
    /// A worker fetches and looks at the input.
    Probing,
    /// Waits for its caller to accept the estimate.
    AwaitingConfirmation {
        /// When it is canceled unless confirmed.
        until: Timestamp,
    },
    /// A worker makes the outputs.
    Processing,
    /// Every output was made and verified.
    Completed,
    /// Some outputs were made, or made from what could be read.
    Partial {
        /// The first thing that went wrong.
        error: JobFailure,
    },
    /// No output was made.
    Failed {
        /// Why.
        error: JobFailure,
    },
    /// Refused after acceptance, before processing.
    Rejected {
        /// Why.
        error: JobFailure,
    },
    /// Ended by its caller.
    Canceled,
}

impl JobState {
    /// The spellings of all states, in the order of a job's life.
    pub const NAMES: &'static [&'static str] = &[
        "draft",
        "queued",
        "probing",
        "awaiting_confirmation",
        "processing",
        "completed",
        "partial",
        "failed",
        "rejected",
        "canceled",
    ];

    /// The spelling in JSON and SQL.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Queued => "queued",
            Self::Probing => "probing",
            Self::AwaitingConfirmation { .. } => "awaiting_confirmation",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Partial { .. } => "partial",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Canceled => "canceled",
        }
    }

    /// Whether only a retry leads out of it.
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Partial { .. } | Self::Failed { .. } | Self::Rejected { .. } | Self::Canceled
        )
    }

    /// What went wrong, where something did.
    pub const fn error(&self) -> Option<&JobFailure> {
        match self {
            Self::Partial { error } | Self::Failed { error } | Self::Rejected { error } => Some(error),
            Self::Draft
            | Self::Queued
            | Self::Probing
            | Self::AwaitingConfirmation { .. }
            | Self::Processing
            | Self::Completed
            | Self::Canceled => None,
        }
    }
}

/// Something that wants to change a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// Its caller starts a draft.
    Start,
    /// A worker took it.
    Claim,
    /// The input was probed and is fit; go on.
    Proceed,
    /// The input was probed; ask the caller first.
    AskConfirmation {
        /// When the question lapses.
        until: Timestamp,
    },
    /// Its caller accepts the estimate.
    Confirm,
    /// The worker gives it back: it stops, or it died and its lease ran out.
    Release,
    /// Every output was made.
    Complete,
    /// Some outputs were made.
    CompletePartly(JobFailure),
    /// Nothing was made.
    Fail(JobFailure),
    /// The input is not fit.
    Reject(JobFailure),
    /// Its caller wants no more of it.
    Cancel,
    /// Its caller wants what failed done again.
    Retry,
}

impl Signal {
    /// The name in the state table.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Claim => "claim",
            Self::Proceed => "proceed",
            Self::AskConfirmation { .. } => "ask_confirmation",
            Self::Confirm => "confirm",
            Self::Release => "release",
            Self::Complete => "complete",
            Self::CompletePartly(_) => "complete_partly",
            Self::Fail(_) => "fail",
            Self::Reject(_) => "reject",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

/// The signal does not go with the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot {signal}")]
pub struct IllegalStep {
    /// The state it was in.
    pub state: &'static str,
    /// What was asked of it.
    pub signal: &'static str,
}

/// The only way a job changes its state.
///
/// # Errors
/// [`IllegalStep`] when the state table has no such way; nothing changes then.
pub fn step(state: &JobState, signal: Signal, now: Timestamp) -> Result<JobState, IllegalStep> {
    use JobState as S;
    let illegal = IllegalStep { state: state.name(), signal: signal.name() };
    let next = match (state, signal) {
        (S::Draft, Signal::Start) => S::Queued,
        (S::Queued, Signal::Claim) => S::Probing,
        (S::Probing, Signal::Proceed) => S::Processing,
        (S::Probing, Signal::AskConfirmation { until }) if until > now => S::AwaitingConfirmation { until },
        (S::AwaitingConfirmation { until }, Signal::Confirm) if now <= *until => S::Queued,
        (S::Probing | S::Processing, Signal::Release) => S::Queued,
        (S::Processing, Signal::Complete) => S::Completed,
        (S::Processing, Signal::CompletePartly(error)) => S::Partial { error },
        (S::Probing | S::Processing, Signal::Fail(error)) => S::Failed { error },
        (S::Probing, Signal::Reject(error)) => S::Rejected { error },
        (S::Draft | S::Queued | S::Probing | S::AwaitingConfirmation { .. } | S::Processing, Signal::Cancel) => {
            S::Canceled
        }
        (S::Partial { .. } | S::Failed { .. } | S::Rejected { .. } | S::Canceled, Signal::Retry) => S::Queued,
        _ => return Err(illegal),
    };
    Ok(next)
}

choice! {
    /// How far one output is.
    OutputState {
        /// Not begun.
        Waiting = "waiting",
        /// Being made.
        Processing = "processing",
        /// Made and verified.
        Completed = "completed",
        /// Not made.
        Failed = "failed",
        /// Not made, because the job was canceled.
        Canceled = "canceled",
    }
}

/// What is known of the input once it was fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputFacts {
    /// Its name, from the URL or the upload; safe to show.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// SHA-1 of its bytes, in lower-case hexadecimal; empty where it was not taken.
    #[serde(default)]
    pub sha1: String,
    /// What it holds; absent until it was probed.
    pub media: Option<MediaInfo>,
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputFile {
    /// The name to save it under.
    pub name: String,
    /// Where `files` keeps it.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// SHA-1 of its bytes, in lower-case hexadecimal; empty where it was not taken.
    #[serde(default)]
    pub sha1: String,
    /// Its media type.
    pub mime_type: String,
    /// What it holds, as measured after it was made.
    pub media: MediaInfo,
    /// The files that it names, where it is a playlist or a manifest.
    #[serde(default)]
    pub parts: Vec<FilePart>,
    /// Where it is in the job's destination, such as `s3://bucket/path/name.mp4`.
    #[serde(default)]
    pub destination_url: Option<String>,
}

/// One of the files of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// Its path relative to the main file.
    pub path: String,
    /// Where `files` keeps it.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its media type.
    pub mime_type: String,
}

/// One output of a job and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// What shall be made.
    #[serde(flatten)]
    pub spec: OutputSpec,
    /// How far it is.
    pub state: OutputState,
    /// 0 to 100; never goes back while the job runs, 100 only when completed.
    pub progress: u8,
    /// What was made.
    pub file: Option<OutputFile>,
    /// What was decided for each stream, with the reason: a list in the shape of the API's `plan`.
    pub plan: Value,
    /// What was checked after it was made, and what it took: an object in the shape of the API's `receipt`.
    pub receipt: Value,
    /// Why it was not made.
    pub error: Option<JobFailure>,
}

/// A job as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub account: AccountId,
    /// What it shall do, without its outputs, which stand below with their states.
    pub spec: JobSpec,
    /// How far it is.
    #[serde(flatten)]
    pub state: JobState,
    /// What its worker does now.
    pub stage: Option<Stage>,
    /// 0 to 100; never goes back while it runs, 100 only when completed.
    pub progress: u8,
    /// What is known of the inputs, in the order of `spec.inputs`; empty until they were fetched.
    pub inputs: Vec<InputFacts>,
    /// One for each of `spec.outputs`, in that order.
    pub outputs: Vec<Output>,
    /// What it is expected to take; absent until it was probed.
    #[serde(default)]
    pub estimate: Option<Estimate>,
    /// What it took; absent until it ended.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// When its caller accepted the estimate.
    #[serde(default)]
    pub confirmed_at: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

impl Job {
    /// What it takes in credits; none where nothing is asked for, or while its length is not known. What has no length
    /// (a still) counts as one second.
    pub fn credits(&self) -> Option<u64> {
        let media = self.input()?.media.as_ref()?;
        let seconds = media.duration_seconds.filter(|seconds| *seconds > 0.0).unwrap_or(1.0);
        self.spec.credit_rate.map(|rate| rate.price(Duration::from_secs_f64(seconds.min(1e9))))
    }

    /// What is known of the first input.
    pub fn input(&self) -> Option<&InputFacts> {
        self.inputs.first()
    }

    /// A job as it is when it is accepted.
    pub fn new(id: JobId, account: AccountId, spec: JobSpec, now: Timestamp) -> Self {
        let outputs = spec
            .outputs
            .iter()
            .map(|output| Output {
                spec: output.clone(),
                state: OutputState::Waiting,
                progress: 0,
                file: None,
                plan: Value::Array(Vec::new()),
                receipt: Value::Null,
                error: None,
            })
            .collect();
        Self {
            id,
            account,
            spec,
            state: JobState::Queued,
            stage: None,
            progress: 0,
            inputs: Vec::new(),
            outputs,
            estimate: None,
            cost: None,
            confirmed_at: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        }
    }
}

/// The table state x signal, as text: the page `docs/states.md` and its test.
pub fn state_table() -> String {
    let now = Timestamp::from_millis(0);
    let until = Timestamp::from_millis(1);
    let error = || JobFailure::input(Stage::Probing, "example", "example");
    let states = [
        JobState::Draft,
        JobState::Queued,
        JobState::Probing,
        JobState::AwaitingConfirmation { until },
        JobState::Processing,
        JobState::Completed,
        JobState::Partial { error: error() },
        JobState::Failed { error: error() },
        JobState::Rejected { error: error() },
        JobState::Canceled,
    ];
    let signals = [
        Signal::Start,
        Signal::Claim,
        Signal::Proceed,
        Signal::AskConfirmation { until },
        Signal::Confirm,
        Signal::Release,
        Signal::Complete,
        Signal::CompletePartly(error()),
        Signal::Fail(error()),
        Signal::Reject(error()),
        Signal::Cancel,
        Signal::Retry,
    ];
    let mut table = String::from("| state |");
    for signal in &signals {
        table += &format!(" {} |", signal.name());
    }
    table += &format!("\n|{}\n", " --- |".repeat(signals.len() + 1));
    for state in &states {
        table += &format!("| **{}** |", state.name());
        for signal in &signals {
            let next = step(state, signal.clone(), now);
            table += &format!(" {} |", next.as_ref().map_or("", JobState::name));
        }
        table += "\n";
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_table_is_the_documented_one() {
        insta::assert_snapshot!(state_table());
    }

    #[test]
    fn a_question_that_lapsed_cannot_be_answered() {
        let asked = JobState::AwaitingConfirmation { until: Timestamp::from_millis(10) };
        assert!(step(&asked, Signal::Confirm, Timestamp::from_millis(11)).is_err());
        assert_eq!(step(&asked, Signal::Confirm, Timestamp::from_millis(10)).unwrap(), JobState::Queued);
    }

    #[test]
    fn terminal_states_are_left_only_by_retry() {
        let error = JobFailure::input(Stage::Probing, "x", "x");
        for state in [JobState::Completed, JobState::Canceled, JobState::Failed { error: error.clone() }] {
            assert!(state.is_terminal());
            for signal in [
                Signal::Start,
                Signal::Claim,
                Signal::Proceed,
                Signal::Complete,
                Signal::Cancel,
                Signal::Fail(error.clone()),
            ] {
                assert!(step(&state, signal, Timestamp::default()).is_err());
            }
        }
    }
}
