//! Jobs: submitted, claimed, kept alive, ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::{AccountId, JobId, OutputId};
use reelhook_domain::job::{Dialect, InputFacts, Job, JobSpec, OutputFile, OutputState, Signal};
use reelhook_domain::price::{Cost, Estimate};
use reelhook_domain::time::Timestamp;
use serde_json::Value;

use crate::{Result, Upload};

/// A caller's word that two requests are the same. Kept for 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The `Idempotency-Key`.
    pub key: String,
    /// Hash of what was asked, to catch one key for two requests.
    pub fingerprint: [u8; 32],
}

/// A job to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The job, in state `queued` or `draft`.
    pub job: Job,
    /// Request headers for the downloads of its inputs, by the input's name; sealed at rest.
    pub fetch_headers: FetchHeaders,
    /// Its caller's word that it is the same as an earlier one.
    pub idempotency: Option<Idempotency>,
    /// The upload that came with it and is not noted yet: it is kept when the job is, or not at all.
    pub upload: Option<Upload>,
}

/// Request headers for downloads, by the input's name.
pub type FetchHeaders = BTreeMap<String, BTreeMap<String, String>>;

impl From<Job> for Submission {
    /// Nothing but the job.
    fn from(job: Job) -> Self {
        Self { job, fetch_headers: FetchHeaders::new(), idempotency: None, upload: None }
    }
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It was kept.
    New(Job),
    /// The same request was kept before: this is its job as it is now.
    Repeated(Job),
    /// The key was used before, for another request.
    Conflict,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in one of these states (names); all when empty.
    pub states: Vec<String>,
    /// Only made at or after.
    pub since: Option<Timestamp>,
    /// Only made before.
    pub until: Option<Timestamp>,
    /// Only made in that dialect.
    pub dialect: Option<Dialect>,
    /// Only with all of these pairs of metadata.
    pub metadata: Vec<(String, String)>,
    /// Only with an output of that recipe.
    pub recipe: Option<String>,
    /// Only with an error of that code, of the job or of one of its outputs.
    pub error: Option<String>,
    /// Only whose first input's name begins so, once that is known.
    pub name: Option<String>,
    /// Only with ids (as bits) from the first to the last.
    pub ids: Option<(u128, u128)>,
}

/// Which part of a long list: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only ids (as bits) below this one; the bits of the last item of the page before.
    pub before: Option<u128>,
    /// Most items, 1 to 100.
    pub limit: u32,
}

/// A worker's right to one job: consumed by the call that ends it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which job.
    pub job: JobId,
    /// The fencing number that proves it.
    pub token: i64,
}

/// A job that this process may work on.
#[derive(Debug)]
pub struct ClaimedJob {
    /// The job, in state `probing`.
    pub job: Job,
    /// The right to it.
    pub lease: Lease,
    /// How often it was claimed, this time included; many claims without an end mean that it kills its workers.
    pub claims: u32,
    /// Request headers for the downloads of its inputs.
    pub fetch_headers: FetchHeaders,
}

/// Room for one more job at a worker.
pub struct Slot {
    /// How long the claim lasts.
    pub lease: Duration,
    /// Called with the job after the commit, before whoever wrote it is answered; never, when there was no commit.
    pub take: Box<dyn FnOnce(ClaimedJob) + Send>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// Whoever works on jobs, asked while one is written: what he takes then costs no commit of its own.
pub trait JobTaker: std::fmt::Debug + Send + Sync {
    /// Room for a job, where there is any; it is given back when dropped. Called while others wait to write: it must not
    /// block, and not ask the store.
    fn slot(&self) -> Option<Slot>;
}

/// How far a running job is.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressUpdate {
    /// Which job.
    pub job: JobId,
    /// Under which claim.
    pub token: i64,
    /// What its worker does.
    pub stage: Stage,
    /// 0 to 99, of the whole job. A lower number than the stored one is ignored.
    pub progress: u8,
    /// 0 to 99, of each output that runs.
    pub outputs: Vec<(OutputId, u8)>,
    /// Whether a `job.progress` event is written, if the job's webhook or an endpoint of the account names that type.
    pub announce: bool,
}

/// How one output ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputEnd {
    /// Which output.
    pub id: OutputId,
    /// `Completed`, `Failed` or `Canceled`.
    pub state: OutputState,
    /// What was made.
    pub file: Option<OutputFile>,
    /// The plan in the API's shape.
    pub plan: Value,
    /// The receipt in the API's shape.
    pub receipt: Value,
    /// Why it was not made.
    pub error: Option<JobFailure>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEnd {
    /// `Complete`, `CompletePartly`, `Fail` or `Reject`.
    pub signal: Signal,
    /// What became known of the inputs; nothing new when empty.
    pub inputs: Vec<InputFacts>,
    /// What it cost.
    pub cost: Option<Cost>,
    /// How each output that ended ended; others keep what they have (of an earlier run), and those still open fail with
    /// the job.
    pub outputs: Vec<OutputEnd>,
}

/// What a caller wants done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Only outputs that failed or were canceled.
    FailedOutputs,
    /// All of it.
    Whole,
}

/// How long the queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queue {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that would be claimed before the one asked about, if nothing came or ended meanwhile.
    pub ahead: u64,
}

/// Jobs.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Keeps a job, a queued one with its `job.created` event, unless `idempotency` says that it was kept before.
    async fn submit(&self, submission: Submission) -> Result<Submitted>;

    /// From now on `taker` is asked whether he has room when a queued job is submitted, as long as he lives. He gets the job
    /// whose turn it is.
    fn hand_jobs_to(&self, taker: &Arc<dyn JobTaker>);

    /// One job of the account.
    async fn job(&self, account: AccountId, id: JobId) -> Result<Job>;

    /// One job of whatever account, for a request that a signed link vouches for.
    async fn job_by_id(&self, id: JobId) -> Result<Job>;

    /// Jobs of the account, newest first.
    async fn list_jobs(&self, account: AccountId, filter: &JobFilter, page: Page) -> Result<Vec<Job>>;

    /// How many jobs of the account the filter lets through.
    async fn count_jobs(&self, account: AccountId, filter: &JobFilter) -> Result<u64>;

    /// The same by place: at most `limit` of them after the first `offset`, and how many there are in all.
    async fn list_jobs_from(
        &self,
        account: AccountId,
        filter: &JobFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Job>, u64)>;

    /// The length of the queue, and how many wait before `job`.
    async fn queue(&self, job: Option<JobId>) -> Result<Queue>;

    /// Takes up to `limit` jobs that are queued, or whose lease ran out. Accounts take turns: the next job is that of the
    /// account that has the fewest running, and of those the one whose last turn is longest ago. Within an account premium
    /// goes first, with one step of priority for every minute waited; then oldest first. Sets them to `probing`, `started_at` on the first claim. A job whose
    /// lease ran out goes through `queued` (release, then claim).
    async fn claim_jobs(&self, limit: u32, lease: Duration) -> Result<Vec<ClaimedJob>>;

    /// Prolongs leases. Answers the jobs whose lease is lost: canceled, or somebody else's.
    async fn renew_jobs(&self, held: &[(JobId, i64)], lease: Duration) -> Result<Vec<JobId>>;

    /// Notes progress of many jobs. Updates whose claim is lost are dropped.
    async fn record_progress(&self, updates: Vec<ProgressUpdate>) -> Result<()>;

    /// The inputs were probed: `probing` to `processing`, outputs `waiting` to `processing`, with `job.started`.
    /// `LeaseLost` when the claim is gone.
    async fn start_processing(&self, lease: &Lease, inputs: Vec<InputFacts>, estimate: Option<Estimate>) -> Result<()>;

    /// The inputs were probed and the caller is asked first: `probing` to `awaiting_confirmation` until then, with
    /// `job.awaiting_confirmation`. Consumes the claim; `LeaseLost` when it is gone.
    async fn ask_confirmation(
        &self,
        lease: Lease,
        inputs: Vec<InputFacts>,
        estimate: Estimate,
        until: Timestamp,
    ) -> Result<Job>;

    /// The caller accepts the estimate: the job is queued again and is not asked about twice. `IllegalJobStep` in any
    /// other state, or when the question lapsed.
    async fn confirm_job(&self, account: AccountId, id: JobId) -> Result<Job>;

    /// The caller starts a draft, with another specification where one is given: the job is queued, with `job.created`.
    async fn start_job(&self, account: AccountId, id: JobId, spec: Option<JobSpec>) -> Result<Job>;

    /// Cancels jobs whose question lapsed, at most `limit`, with `job.canceled`. Answers how many.
    async fn lapse_confirmations(&self, limit: u32) -> Result<u64>;

    /// Ends a job and writes the event that tells of it. Consumes the claim; `LeaseLost` when it is gone.
    async fn finish_job(&self, lease: Lease, end: JobEnd) -> Result<Job>;

    /// Puts jobs back to `queued`, as a stopping worker does; claims are consumed, lost ones ignored. Does not count
    /// as a claim that failed.
    async fn release_jobs(&self, leases: Vec<Lease>) -> Result<()>;

    /// Ends the leases of all jobs that are `probing` or `processing`: a server that is alone on its database does so
    /// when it starts. Answers how many.
    async fn void_job_leases(&self) -> Result<u64>;

    /// Cancels a job, whoever has it, with `job.canceled`. `IllegalJobStep` when it came to its end.
    async fn cancel_job(&self, account: AccountId, id: JobId) -> Result<Job>;

    /// Queues a job again that did not end well; outputs that are done again go to `waiting` and lose their error.
    async fn retry_job(&self, account: AccountId, id: JobId, what: Retry) -> Result<Job>;
}
