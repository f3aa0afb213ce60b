//! Jobs: what callers do with them, and how a changed job is written. How one is made is in [`super::submit`], what
//! workers do in [`super::work`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, JobId, JobKind};
use reelhook_domain::job::{InputFacts, Job, JobSpec, JobState, Output, OutputState, Signal, step};
use reelhook_domain::price::Estimate;
use reelhook_domain::quota::Quota;
use reelhook_domain::time::Timestamp;
use serde_json::Value;

use super::rows::{self, column, json, key};
use super::sql::{Row, query};
use super::writer::Tx;
use super::{SqliteStore, confirm, events, lists, quotas, submit, work};
use crate::wakes::Topic;
use crate::{
    ClaimedJob, JobEnd, JobFilter, JobTaker, Jobs, Lease, Page, ProgressUpdate, Queue, Result, Retry, StoreError,
    Submission, Submitted,
};

/// Jobs with their outputs in one row, so that both are of the same moment and a list is one query.
macro_rules! select_jobs {
    ($rest:literal) => {
        concat!(
            "select *, (select json_group_array(json_array(state, progress, file, plan, receipt, error) order by position)
                from outputs where outputs.job = jobs.id) as outputs from jobs ",
            $rest
        )
    };
}

const ONE_JOB: &str = select_jobs!("where id = ?");
pub(super) const QUEUE: &str = "
    with asked as (
        select account, priority + max(0, ?1 - queued_at) / 60000 as rank, queued_at, id
        from jobs where id = ?2 and state = 'queued'),
    own as (
        select asked.account, count(*) as before, tallies.running, tallies.claimed
        from asked
        cross join tallies on tallies.account = asked.account
        cross join jobs on jobs.account = asked.account and jobs.state = 'queued' and (
            priority + max(0, ?1 - jobs.queued_at) / 60000 > asked.rank
            or (priority + max(0, ?1 - jobs.queued_at) / 60000 = asked.rank
                and (jobs.queued_at, jobs.id) <= (asked.queued_at, asked.id)))
        having count(*) > 0),
    others as (
        select sum(min(other.queued, own.before - 1
            + ((other.running, other.claimed, other.account) < (own.running, own.claimed, own.account)))) as before
        from own cross join tallies as other on other.queued > 0 and other.account <> own.account)
    select
        (select coalesce(sum(queued), 0) from tallies where queued > 0) as queued,
        (select count(*) from jobs where lease_until is not null) as running,
        coalesce((select own.before - 1 + coalesce(others.before, 0) from own, others), 0) as ahead";

#[async_trait]
impl Jobs for SqliteStore {
    fn hand_jobs_to(&self, taker: &Arc<dyn JobTaker>) {
        self.partners.job_taker.set(taker);
    }

    async fn submit(&self, submission: Submission) -> Result<Submitted> {
        self.write(|tx| submit::submit(tx, submission)).await
    }

    async fn job(&self, account: AccountId, id: JobId) -> Result<Job> {
        let job = self.job_by_id(id).await?;
        if job.account == account { Ok(job) } else { Err(StoreError::NotFound) }
    }

    async fn job_by_id(&self, id: JobId) -> Result<Job> {
        let found = query(ONE_JOB).bind(key(id)).read_first(&self.readers).await?;
        rows::job(&found.ok_or(StoreError::NotFound)?)
    }

    async fn list_jobs(&self, account: AccountId, filter: &JobFilter, page: Page) -> Result<Vec<Job>> {
        let listed = match filter.name.as_deref().filter(|_| filter.metadata.is_empty() && filter.error.is_none()) {
            None => lists::jobs(account, filter, page),
            Some(name) => {
                let named = lists::jobs_named(account, name).read_all(&self.readers).await?;
                if named.len() > lists::FEW as usize {
                    lists::jobs(account, filter, page)
                } else {
                    let ids =
                        named.iter().map(|row| Ok(rows::id::<JobKind>(row, "id")?.bits())).collect::<Result<_>>()?;
                    lists::jobs_of(account, filter, page, ids)
                }
            }
        };
        listed.read_all(&self.readers).await?.iter().map(rows::job).collect()
    }

    async fn count_jobs(&self, account: AccountId, filter: &JobFilter) -> Result<u64> {
        rows::count(&lists::count_jobs(account, filter).read_one(&self.readers).await?, "count")
    }

    async fn list_jobs_from(
        &self,
        account: AccountId,
        filter: &JobFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Job>, u64)> {
        let found = lists::jobs_from(account, filter, rows::whole(offset), limit).read_all(&self.readers).await?;
        let count = self.count_jobs(account, filter).await?;
        Ok((found.iter().map(rows::job).collect::<Result<_>>()?, count))
    }

    async fn queue(&self, job: Option<JobId>) -> Result<Queue> {
        let asked = query(QUEUE).bind(self.now().as_millis()).bind(job.map(key));
        let row = asked.read_one(&self.readers).await?;
        Ok(Queue {
            queued: rows::count(&row, "queued")?,
            running: rows::count(&row, "running")?,
            ahead: rows::count(&row, "ahead")?,
        })
    }

    async fn claim_jobs(&self, limit: u32, lease: Duration) -> Result<Vec<ClaimedJob>> {
        self.write(move |tx| work::claim(tx, limit, lease)).await
    }

    async fn renew_jobs(&self, held: &[(JobId, i64)], lease: Duration) -> Result<Vec<JobId>> {
        let held = held.to_vec();
        self.write(move |tx| work::renew(tx, held, lease)).await
    }

    async fn record_progress(&self, updates: Vec<ProgressUpdate>) -> Result<()> {
        self.write(|tx| work::record_progress(tx, updates)).await
    }

    async fn start_processing(&self, lease: &Lease, inputs: Vec<InputFacts>, estimate: Option<Estimate>) -> Result<()> {
        let Lease { job, token } = *lease;
        self.write(move |tx| work::start(tx, &Lease { job, token }, inputs, estimate)).await
    }

    async fn ask_confirmation(
        &self,
        lease: Lease,
        inputs: Vec<InputFacts>,
        estimate: Estimate,
        until: Timestamp,
    ) -> Result<Job> {
        self.write(move |tx| confirm::ask(tx, &lease, inputs, estimate, until)).await
    }

    async fn confirm_job(&self, account: AccountId, id: JobId) -> Result<Job> {
        self.write(move |tx| confirm::confirm(tx, account, id)).await
    }

    async fn start_job(&self, account: AccountId, id: JobId, spec: Option<JobSpec>) -> Result<Job> {
        self.write(move |tx| confirm::start(tx, account, id, spec)).await
    }

    async fn lapse_confirmations(&self, limit: u32) -> Result<u64> {
        self.write(move |tx| confirm::lapse(tx, limit)).await
    }

    async fn finish_job(&self, lease: Lease, end: JobEnd) -> Result<Job> {
        self.write(move |tx| work::finish(tx, &lease, end)).await
    }

    async fn release_jobs(&self, leases: Vec<Lease>) -> Result<()> {
        self.write(|tx| work::release(tx, leases)).await
    }

    async fn void_job_leases(&self) -> Result<u64> {
        self.write(work::void).await
    }

    async fn cancel_job(&self, account: AccountId, id: JobId) -> Result<Job> {
        self.write(move |tx| cancel(tx, account, id)).await
    }

    async fn retry_job(&self, account: AccountId, id: JobId, what: Retry) -> Result<Job> {
        self.write(move |tx| retry(tx, account, id, what)).await
    }
}

fn cancel(tx: &mut Tx, account: AccountId, id: JobId) -> Result<Job> {
    let kept = load_owned(tx, account, id)?;
    end_as_canceled(tx, kept)
}

pub(super) fn end_as_canceled(tx: &mut Tx, mut kept: Kept) -> Result<Job> {
    let now = tx.now();
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Cancel, now)?;
    kept.job.stage = None;
    kept.job.finished_at = Some(now);
    kept.take_away();
    for output in kept.job.outputs.iter_mut().filter(|output| is_open(output)) {
        output.state = OutputState::Canceled;
    }
    save(tx, prior, &kept)?;
    tx.wake(Topic::JobTaken);
    events::write_state(tx, &kept.job, now)?;
    Ok(kept.job)
}

fn retry(tx: &mut Tx, account: AccountId, id: JobId, what: Retry) -> Result<Job> {
    let now = tx.now();
    let mut kept = load_owned(tx, account, id)?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Retry, now)?;
    quotas::check(tx, Quota::QueuedJobs, account, 1)?;
    kept.job.stage = None;
    kept.job.progress = 0;
    kept.job.finished_at = None;
    kept.job.cost = None;
    kept.queued_at = now;
    kept.claims = 0;
    kept.take_away();
    for output in &mut kept.job.outputs {
        if what == Retry::Whole || output.state != OutputState::Completed {
            output.state = OutputState::Waiting;
            output.progress = 0;
            output.file = None;
            output.plan = Value::Array(Vec::new());
            output.receipt = Value::Null;
            output.error = None;
        }
    }
    save(tx, prior, &kept)?;
    tx.wake(Topic::JobQueued);
    Ok(kept.job)
}

/// Whether an output is still to be made.
pub(super) fn is_open(output: &Output) -> bool {
    matches!(output.state, OutputState::Waiting | OutputState::Processing)
}

/// A job as it is stored, with what only the store knows of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) job: Job,
    pub(super) token: i64,
    pub(super) claims: u32,
    pub(super) lease_until: Option<Timestamp>,
    pub(super) queued_at: Timestamp,
}

/// The state and token that a row must still have to be written.
pub(super) type Prior = (&'static str, i64);

impl Kept {
    pub(super) const fn prior(&self) -> Prior {
        (self.job.state.name(), self.token)
    }

    /// Ends whatever claim there is.
    pub(super) const fn take_away(&mut self) {
        self.token += 1;
        self.lease_until = None;
    }
}

fn kept(row: &Row) -> Result<Kept> {
    Ok(Kept {
        job: rows::job(row)?,
        token: column(row, "token")?,
        claims: column(row, "claims")?,
        lease_until: rows::maybe_time(row, "lease_until")?,
        queued_at: rows::time(row, "queued_at")?,
    })
}

/// A job of whatever account.
pub(super) fn load(tx: &mut Tx, id: JobId) -> Result<Kept> {
    let found = query(ONE_JOB).bind(key(id)).first(tx)?;
    kept(&found.ok_or(StoreError::NotFound)?)
}

pub(super) fn load_owned(tx: &mut Tx, account: AccountId, id: JobId) -> Result<Kept> {
    let kept = load(tx, id)?;
    if kept.job.account == account { Ok(kept) } else { Err(StoreError::NotFound) }
}

/// Writes a changed job and its outputs, if its row is still as it was read.
pub(super) fn save(tx: &mut Tx, prior: Prior, kept: &Kept) -> Result<()> {
    let job = &kept.job;
    let saved = query(
        "update jobs set state = ?1, error = ?2, confirm_until = ?3, stage = ?4, progress = ?5, inputs = ?6, started_at = ?7,
            finished_at = ?8, token = ?9, claims = ?10, lease_until = ?11, queued_at = ?12, estimate = ?16, cost = ?17,
            confirmed_at = ?18
        where id = ?13 and state = ?14 and token = ?15",
    )
    .bind(job.state.name())
    .bind(job.state.error().map(json))
    .bind(confirm_until(&job.state))
    .bind(job.stage.map(|stage| stage.as_str()))
    .bind(job.progress)
    .bind(inputs(job))
    .bind(job.started_at.map(Timestamp::as_millis))
    .bind(job.finished_at.map(Timestamp::as_millis))
    .bind(kept.token)
    .bind(kept.claims)
    .bind(kept.lease_until.map(Timestamp::as_millis))
    .bind(kept.queued_at.as_millis())
    .bind(key(job.id))
    .bind(prior.0)
    .bind(prior.1)
    .bind(job.estimate.as_ref().map(json))
    .bind(job.cost.as_ref().map(json))
    .bind(job.confirmed_at.map(Timestamp::as_millis))
    .run(tx)?;
    if saved != 1 {
        return Err(StoreError::LeaseLost);
    }
    save_outputs(tx, job)?;
    tx.wake(Topic::JobChanged);
    Ok(())
}

/// What is known of the inputs as it is kept: nothing until they were fetched.
pub(super) fn inputs(job: &Job) -> Option<String> {
    (!job.inputs.is_empty()).then(|| json(&job.inputs))
}

pub(super) fn confirm_until(state: &JobState) -> Option<i64> {
    match state {
        JobState::AwaitingConfirmation { until } => Some(until.as_millis()),
        _ => None,
    }
}

fn save_outputs(tx: &mut Tx, job: &Job) -> Result<()> {
    let rows: Vec<_> = job.outputs.iter().map(changed_output).collect();
    query(
        "update outputs set state = row.value ->> 0, progress = row.value ->> 1, file = row.value ->> 2,
            plan = row.value ->> 3, receipt = row.value ->> 4, error = row.value ->> 5
        from json_each(?2) as row where outputs.job = ?1 and outputs.position = row.key",
    )
    .bind(key(job.id))
    .bind(json(&rows))
    .run(tx)?;
    Ok(())
}

/// State, progress, file, plan, receipt and error; JSON values as texts of their own.
fn changed_output(output: &Output) -> (&'static str, u8, Option<String>, String, String, Option<String>) {
    let Output { spec: _, state, progress, file, plan, receipt, error } = output;
    (state.as_str(), *progress, file.as_ref().map(json), json(plan), json(receipt), error.as_ref().map(json))
}
