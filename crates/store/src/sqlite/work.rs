//! What workers do with jobs: claim, keep alive, note progress, end.

use std::collections::HashMap;
use std::time::Duration;

use reelhook_domain::event::{EventFilter, EventType};
use reelhook_domain::failure::Stage;
use reelhook_domain::id::{AccountId, AccountKind, JobId};
use reelhook_domain::job::{Dialect, InputFacts, Job, OutputState, Signal, step};
use reelhook_domain::price::Estimate;
use reelhook_domain::time::Timestamp;

use super::jobs::{Kept, is_open, load, save};
use super::rows::{self, hex, json, key};
use super::sql::{Row, query};
use super::writer::Tx;
use super::{credits, events};
use crate::wakes::Topic;
use crate::{ClaimedJob, FetchHeaders, JobEnd, Lease, ProgressUpdate, Result, StoreError};

/// Whose turn it is.
pub(super) const NEXT_ACCOUNT: &str =
    "select account from tallies where queued > 0 order by running, claimed, account limit 1";
/// The first of each priority by the index, then the first of these by rank: within one priority the one that waited
/// longest is always first, so nobody else can be.
pub(super) const NEXT_QUEUED: &str = "
    with first as (
        select * from (select id, priority, queued_at from jobs where account = ?2 and state = 'queued' and priority = 0
            order by queued_at, id limit 1)
        union all
        select * from (select id, priority, queued_at from jobs where account = ?2 and state = 'queued' and priority = 1
            order by queued_at, id limit 1)
        union all
        select * from (select id, priority, queued_at from jobs where account = ?2 and state = 'queued' and priority = 2
            order by queued_at, id limit 1))
    select id from first order by priority + max(0, ?1 - queued_at) / 60000 desc, queued_at, id limit 1";
pub(super) const EXPIRED: &str = "select id from jobs where lease_until <= ? order by lease_until limit ?";
pub(super) const RENEW: &str = "
    update jobs set lease_until = ?2
    from json_each(?1) as held
    where jobs.id = unhex(held.value ->> 0) and jobs.token = held.value ->> 1 and +jobs.lease_until is not null
    returning jobs.id";

/// What a claim that ends without an end of its job counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Its worker may have been killed by the job.
    Counts,
    /// Its worker gave it back in order.
    Forgiven,
}

pub(super) fn claim(tx: &mut Tx, limit: u32, lease: Duration) -> Result<Vec<ClaimedJob>> {
    let now = tx.now();
    let expired = query(EXPIRED).bind(now.as_millis()).bind(limit).all(tx)?;
    for row in expired {
        let kept = load(tx, rows::id(&row, "id")?)?;
        requeue(tx, kept, Claim::Counts, now)?;
    }
    let mut claimed = Vec::new();
    while claimed.len() < limit as usize
        && let Some(id) = next_job(tx, now)?
    {
        let mut kept = load(tx, id)?;
        let prior = kept.prior();
        kept.job.state = step(&kept.job.state, Signal::Claim, now)?;
        kept.job.started_at = kept.job.started_at.or(Some(now));
        kept.job.stage = Some(Stage::Fetching);
        kept.token += 1;
        kept.claims = kept.claims.saturating_add(1);
        kept.lease_until = Some(now + lease);
        save(tx, prior, &kept)?;
        let lease = Lease { job: kept.job.id, token: kept.token };
        let fetch_headers = fetch_headers(tx, kept.job.id)?;
        claimed.push(ClaimedJob { job: kept.job, lease, claims: kept.claims, fetch_headers });
    }
    Ok(claimed)
}

/// The queued job whose turn it is; its account goes behind the others.
fn next_job(tx: &mut Tx, now: Timestamp) -> Result<Option<JobId>> {
    while let Some(row) = query(NEXT_ACCOUNT).first(tx)? {
        let account = key(rows::id::<AccountKind>(&row, "account")?);
        let Some(next) = query(NEXT_QUEUED).bind(now.as_millis()).bind(account).first(tx)? else {
            // Only a file that was meddled with gets here; the other accounts must not wait for it.
            tracing::error!("an account was said to have queued jobs and has none");
            query("update tallies set queued = 0 where account = ?").bind(account).run(tx)?;
            continue;
        };
        query("update keeper set claims = claims + 1").run(tx)?;
        query("update tallies set claimed = (select claims from keeper) where account = ?").bind(account).run(tx)?;
        return Ok(Some(rows::id(&next, "id")?));
    }
    Ok(None)
}

fn fetch_headers(tx: &mut Tx, id: JobId) -> Result<FetchHeaders> {
    let found = query("select fetch_headers from jobs where id = ?").bind(key(id)).one(tx)?;
    match rows::column::<Option<&[u8]>>(&found, "fetch_headers")? {
        None => Ok(FetchHeaders::new()),
        Some(sealed) => rows::parse(&tx.vault().open(&id.to_bytes(), sealed)?, "fetch_headers"),
    }
}

/// Puts a job that somebody had back into the queue, at its old place.
fn requeue(tx: &mut Tx, mut kept: Kept, claim: Claim, now: Timestamp) -> Result<()> {
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Release, now)?;
    kept.job.stage = None;
    kept.job.progress = 0;
    kept.take_away();
    if claim == Claim::Forgiven {
        kept.claims = kept.claims.saturating_sub(1);
    }
    for output in kept.job.outputs.iter_mut().filter(|output| is_open(output)) {
        output.state = OutputState::Waiting;
        output.progress = 0;
    }
    save(tx, prior, &kept)?;
    tx.wake(Topic::JobQueued);
    tx.wake(Topic::JobTaken);
    Ok(())
}

pub(super) fn renew(tx: &mut Tx, held: Vec<(JobId, i64)>, lease: Duration) -> Result<Vec<JobId>> {
    let until = tx.now() + lease;
    let wanted: Vec<_> = held.iter().map(|&(id, token)| (hex(id), token)).collect();
    let renewed = query(RENEW).bind(json(&wanted)).bind(until.as_millis()).all(tx)?;
    let renewed = renewed.iter().map(|row| rows::id(row, "id")).collect::<Result<Vec<JobId>>>()?;
    Ok(held.into_iter().map(|(id, _)| id).filter(|id| !renewed.contains(id)).collect())
}

/// The job of a lease, if it is still held.
pub(super) fn held(tx: &mut Tx, lease: &Lease) -> Result<Kept> {
    let kept = match load(tx, lease.job) {
        Err(StoreError::NotFound) => return Err(StoreError::LeaseLost),
        other => other?,
    };
    if kept.token == lease.token && kept.lease_until.is_some() { Ok(kept) } else { Err(StoreError::LeaseLost) }
}

pub(super) fn start(tx: &mut Tx, lease: &Lease, inputs: Vec<InputFacts>, estimate: Option<Estimate>) -> Result<()> {
    let now = tx.now();
    let mut kept = held(tx, lease)?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Proceed, now)?;
    kept.job.stage = Some(Stage::Planning);
    kept.job.inputs = inputs;
    kept.job.estimate = estimate.or(kept.job.estimate);
    for output in kept.job.outputs.iter_mut().filter(|output| output.state == OutputState::Waiting) {
        output.state = OutputState::Processing;
    }
    save(tx, prior, &kept)?;
    events::write_state(tx, &kept.job, now)
}

pub(super) fn finish(tx: &mut Tx, lease: &Lease, end: JobEnd) -> Result<Job> {
    let now = tx.now();
    let mut kept = held(tx, lease)?;
    let prior = kept.prior();
    let job = &mut kept.job;
    job.state = step(&job.state, end.signal, now)?;
    job.stage = None;
    job.finished_at = Some(now);
    if matches!(job.state, reelhook_domain::job::JobState::Completed) {
        job.progress = 100;
    }
    if !end.inputs.is_empty() {
        job.inputs = end.inputs;
    }
    job.cost = end.cost;
    for ended in end.outputs {
        let Some(output) = job.outputs.iter_mut().find(|output| output.spec.id == ended.id) else { continue };
        output.state = ended.state;
        output.file = ended.file;
        output.plan = ended.plan;
        output.receipt = ended.receipt;
        output.error = ended.error;
        if ended.state == OutputState::Completed {
            output.progress = 100;
        }
    }
    // Nothing of an ended job is left open: what its worker did not come to failed with it.
    if let Some(error) = job.state.error().cloned() {
        for output in job.outputs.iter_mut().filter(|output| is_open(output)) {
            output.state = OutputState::Failed;
            output.error = Some(error.clone());
        }
    }
    kept.lease_until = None;
    save(tx, prior, &kept)?;
    credits::charge(tx, &kept.job)?;
    events::write_state(tx, &kept.job, now)?;
    Ok(kept.job)
}

pub(super) fn release(tx: &mut Tx, leases: Vec<Lease>) -> Result<()> {
    let now = tx.now();
    for lease in leases {
        match held(tx, &lease) {
            Ok(kept) => requeue(tx, kept, Claim::Forgiven, now)?,
            Err(StoreError::LeaseLost) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn void(tx: &mut Tx) -> Result<u64> {
    let now = tx.now();
    let leased = query("select id from jobs where lease_until is not null").all(tx)?;
    for row in &leased {
        let kept = load(tx, rows::id(row, "id")?)?;
        requeue(tx, kept, Claim::Counts, now)?;
    }
    Ok(leased.len() as u64)
}

pub(super) fn record_progress(tx: &mut Tx, updates: Vec<ProgressUpdate>) -> Result<()> {
    let now = tx.now();
    let mut listeners = Listeners::default();
    for update in updates {
        let lease = Lease { job: update.job, token: update.token };
        let mut kept = match held(tx, &lease) {
            Err(StoreError::LeaseLost) => continue,
            other => other?,
        };
        apply(&mut kept.job, &update);
        save_progress(tx, &kept)?;
        if update.announce && listeners.want_progress_of(tx, &kept.job)? {
            events::write_progress(tx, &kept.job, now)?;
        }
    }
    Ok(())
}

fn apply(job: &mut Job, update: &ProgressUpdate) {
    job.stage = Some(update.stage);
    job.progress = job.progress.max(update.progress.min(99));
    for (id, progress) in &update.outputs {
        let running = |output: &&mut reelhook_domain::job::Output| output.spec.id == *id && is_open(output);
        if let Some(output) = job.outputs.iter_mut().find(running) {
            output.progress = output.progress.max((*progress).min(99));
        }
    }
}

/// Writes progress alone: it comes often, and the rest of the row is large.
fn save_progress(tx: &mut Tx, kept: &Kept) -> Result<()> {
    let job = &kept.job;
    let saved = query("update jobs set stage = ?, progress = ? where id = ? and state = ? and token = ?")
        .bind(job.stage.map(|stage| stage.as_str()))
        .bind(job.progress)
        .bind(key(job.id))
        .bind(job.state.name())
        .bind(kept.token)
        .run(tx)?;
    if saved != 1 {
        return Err(StoreError::LeaseLost);
    }
    let progress: Vec<_> = job.outputs.iter().map(|output| output.progress).collect();
    query(
        "update outputs set progress = row.value from json_each(?2) as row
        where outputs.job = ?1 and outputs.position = row.key and outputs.progress <> row.value",
    )
    .bind(key(job.id))
    .bind(json(&progress))
    .run(tx)?;
    tx.wake(Topic::JobChanged);
    Ok(())
}

/// Which accounts have an endpoint that names `job.progress`, looked up once each.
#[derive(Default)]
struct Listeners {
    registered: HashMap<AccountId, bool>,
    default: HashMap<(AccountId, Dialect), bool>,
}

impl Listeners {
    fn want_progress_of(&mut self, tx: &mut Tx, job: &Job) -> Result<bool> {
        let own = match &job.spec.webhook {
            Some(webhook) => webhook.events.wants(&EventType::ours(EventType::JOB_PROGRESS)),
            None => self.default_wants(tx, job.account, job.spec.dialect)?,
        };
        Ok(own || self.registered_want(tx, job.account)?)
    }

    fn default_wants(&mut self, tx: &mut Tx, account: AccountId, dialect: Dialect) -> Result<bool> {
        if let Some(wanted) = self.default.get(&(account, dialect)) {
            return Ok(*wanted);
        }
        let filter = query(DEFAULT_FILTER).bind(key(account)).bind(dialect.as_str());
        let wanted = any_wants_progress(&filter.all(tx)?)?;
        self.default.insert((account, dialect), wanted);
        Ok(wanted)
    }

    fn registered_want(&mut self, tx: &mut Tx, account: AccountId) -> Result<bool> {
        if let Some(wanted) = self.registered.get(&account) {
            return Ok(*wanted);
        }
        let filters = query(REGISTERED_FILTERS).bind(key(account)).all(tx)?;
        let wanted = any_wants_progress(&filters)?;
        self.registered.insert(account, wanted);
        Ok(wanted)
    }
}

fn any_wants_progress(filters: &[Row]) -> Result<bool> {
    let progress = EventType::ours(EventType::JOB_PROGRESS);
    for row in filters {
        if rows::read::<EventFilter>(row, "events")?.wants(&progress) {
            return Ok(true);
        }
    }
    Ok(false)
}

const DEFAULT_FILTER: &str = "select events from default_webhooks where account = ? and dialect = ?";
const REGISTERED_FILTERS: &str =
    "select events from endpoints where account = ? and role = 'registered' and state = 'enabled'";
