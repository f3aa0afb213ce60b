//! Jobs that wait for their caller's word: drafts, and questions about an estimate.

use reelhook_domain::id::{AccountId, JobId};
use reelhook_domain::job::{InputFacts, Job, JobSpec, Signal, step};
use reelhook_domain::price::Estimate;
use reelhook_domain::time::Timestamp;

use super::jobs::{end_as_canceled, load, load_owned, save};
use super::rows::{self, json, key, rank};
use super::sql::query;
use super::submit::{insert_outputs, note_uploads};
use super::work::held;
use super::writer::Tx;
use super::{events, jobs};
use crate::wakes::Topic;
use crate::{Lease, Result};

const LAPSED: &str = "select id from jobs where confirm_until < ? order by confirm_until limit ?";

pub(super) fn ask(
    tx: &mut Tx,
    lease: &Lease,
    inputs: Vec<InputFacts>,
    estimate: Estimate,
    until: Timestamp,
) -> Result<Job> {
    let now = tx.now();
    let mut kept = held(tx, lease)?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::AskConfirmation { until }, now)?;
    kept.job.stage = None;
    kept.job.inputs = inputs;
    kept.job.estimate = Some(estimate);
    kept.lease_until = None;
    save(tx, prior, &kept)?;
    events::write_state(tx, &kept.job, now)?;
    Ok(kept.job)
}

pub(super) fn confirm(tx: &mut Tx, account: AccountId, id: JobId) -> Result<Job> {
    let now = tx.now();
    let mut kept = load_owned(tx, account, id)?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Confirm, now)?;
    kept.job.confirmed_at = Some(now);
    kept.queued_at = now;
    kept.claims = 0;
    save(tx, prior, &kept)?;
    tx.wake(Topic::JobQueued);
    Ok(kept.job)
}

pub(super) fn start(tx: &mut Tx, account: AccountId, id: JobId, spec: Option<JobSpec>) -> Result<Job> {
    let now = tx.now();
    let mut kept = load_owned(tx, account, id)?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Start, now)?;
    kept.queued_at = now;
    if let Some(spec) = spec {
        replace_spec(tx, &mut kept, spec)?;
    }
    save(tx, prior, &kept)?;
    events::write_state(tx, &kept.job, now)?;
    tx.wake(Topic::JobQueued);
    Ok(kept.job)
}

/// A draft has made nothing yet, so its outputs are those of the new specification.
fn replace_spec(tx: &mut Tx, kept: &mut jobs::Kept, spec: JobSpec) -> Result<()> {
    let fresh = Job::new(kept.job.id, kept.job.account, spec, kept.job.created_at);
    (kept.job.spec, kept.job.outputs) = (fresh.spec, fresh.outputs);
    query("update jobs set spec = ?, priority = ? where id = ?")
        .bind(json(&kept.job.spec))
        .bind(rank(kept.job.spec.priority))
        .bind(key(kept.job.id))
        .run(tx)?;
    for table in ["delete from outputs where job = ?", "delete from job_uploads where job = ?"] {
        query(table).bind(key(kept.job.id)).run(tx)?;
    }
    insert_outputs(tx, &kept.job)?;
    note_uploads(tx, &kept.job)
}

pub(super) fn lapse(tx: &mut Tx, limit: u32) -> Result<u64> {
    let lapsed = query(LAPSED).bind(tx.now().as_millis()).bind(limit).all(tx)?;
    for row in &lapsed {
        let kept = load(tx, rows::id(row, "id")?)?;
        end_as_canceled(tx, kept)?;
    }
    Ok(lapsed.len() as u64)
}
