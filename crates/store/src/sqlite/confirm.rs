//! Jobs that wait for their caller's word: drafts, and questions about an estimate.

use reelhook_domain::id::{AccountId, JobId};
use reelhook_domain::job::{InputFacts, Job, JobSpec, Signal, step};
use reelhook_domain::price::Estimate;
use reelhook_domain::time::Timestamp;

use super::jobs::{end_as_canceled, load, load_owned, save};
use super::rows::{self, json, key, rank};
use super::submit::{insert_outputs, note_uploads};
use super::work::held;
use super::writer::Tx;
use super::{events, jobs};
use crate::wakes::Topic;
use crate::{Lease, Result};

const LAPSED: &str = "select id from jobs where confirm_until < ? order by confirm_until limit ?";

pub(super) async fn ask(
    tx: &mut Tx,
    lease: Lease,
    inputs: Vec<InputFacts>,
    estimate: Estimate,
    until: Timestamp,
) -> Result<Job> {
    let now = tx.now();
    let mut kept = held(tx, &lease).await?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::AskConfirmation { until }, now)?;
    kept.job.stage = None;
    kept.job.inputs = inputs;
    kept.job.estimate = Some(estimate);
    kept.lease_until = None;
    save(tx, prior, &kept).await?;
    events::write_state(tx, &kept.job, now).await?;
    Ok(kept.job)
}

pub(super) async fn confirm(tx: &mut Tx, account: AccountId, id: JobId) -> Result<Job> {
    let now = tx.now();
    let mut kept = load_owned(tx, account, id).await?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Confirm, now)?;
    kept.job.confirmed_at = Some(now);
    kept.queued_at = now;
    kept.claims = 0;
    save(tx, prior, &kept).await?;
    tx.wake(Topic::JobQueued);
    Ok(kept.job)
}

pub(super) async fn start(tx: &mut Tx, account: AccountId, id: JobId, spec: Option<JobSpec>) -> Result<Job> {
    let now = tx.now();
    let mut kept = load_owned(tx, account, id).await?;
    let prior = kept.prior();
    kept.job.state = step(&kept.job.state, Signal::Start, now)?;
    kept.queued_at = now;
    if let Some(spec) = spec {
        replace_spec(tx, &mut kept, spec).await?;
    }
    save(tx, prior, &kept).await?;
    events::write_state(tx, &kept.job, now).await?;
    tx.wake(Topic::JobQueued);
    Ok(kept.job)
}

/// A draft has made nothing yet, so its outputs are those of the new specification.
async fn replace_spec(tx: &mut Tx, kept: &mut jobs::Kept, spec: JobSpec) -> Result<()> {
    let fresh = Job::new(kept.job.id, kept.job.account, spec, kept.job.created_at);
    (kept.job.spec, kept.job.outputs) = (fresh.spec, fresh.outputs);
    sqlx::query("update jobs set spec = ?, priority = ? where id = ?")
        .bind(json(&kept.job.spec))
        .bind(rank(kept.job.spec.priority))
        .bind(key(kept.job.id))
        .execute(tx.sql())
        .await?;
    for table in ["delete from outputs where job = ?", "delete from job_uploads where job = ?"] {
        sqlx::query(table).bind(key(kept.job.id)).execute(tx.sql()).await?;
    }
    insert_outputs(tx, &kept.job).await?;
    note_uploads(tx, &kept.job).await
}

pub(super) async fn lapse(tx: &mut Tx, limit: u32) -> Result<u64> {
    let lapsed = sqlx::query(LAPSED).bind(tx.now().as_millis()).bind(limit).fetch_all(tx.sql()).await?;
    for row in &lapsed {
        let kept = load(tx, rows::id(row, "id")?).await?;
        end_as_canceled(tx, kept).await?;
    }
    Ok(lapsed.len() as u64)
}
