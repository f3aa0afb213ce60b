//! How a job is kept for the first time, once however often it is sent.

use std::time::Duration;

use reelhook_domain::job::{InputSource, InputSpec, Job, JobState, Output};
use reelhook_domain::quota::Quota;
use reelhook_domain::time::Timestamp;

use super::jobs::{confirm_until, inputs, load};
use super::rows::{self, column, hex, hexes, json, key, rank};
use super::sql::query;
use super::uploads::create_upload;
use super::writer::Tx;
use super::{events, quotas, work};
use crate::wakes::Topic;
use crate::{FetchHeaders, Idempotency, Result, Slot, Submission, Submitted};

/// How long an idempotency key is remembered.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

pub(super) fn submit(tx: &mut Tx, submission: Submission) -> Result<Submitted> {
    let Submission { job, fetch_headers, idempotency, upload } = submission;
    let now = tx.now();
    if let Some(idempotency) = &idempotency {
        let found = query("select fingerprint, job from idempotency where account = ? and key = ? and created_at > ?");
        let found = found.bind(key(job.account)).bind(idempotency.key.clone()).bind((now - REMEMBERED).as_millis());
        if let Some(row) = found.first(tx)? {
            if column::<&[u8]>(&row, "fingerprint")? != idempotency.fingerprint {
                return Ok(Submitted::Conflict);
            }
            return Ok(Submitted::Repeated(load(tx, rows::id(&row, "job")?)?.job));
        }
    }
    quotas::check(tx, Quota::QueuedJobs, job.account, 1)?;
    if let Some(upload) = upload {
        create_upload(tx, upload)?;
    }
    insert(tx, &job, &fetch_headers)?;
    if let Some(idempotency) = idempotency {
        remember(tx, &job, idempotency, now)?;
    }
    events::write_state(tx, &job, now)?;
    tx.wake(Topic::JobChanged);
    hand_over(tx, &job)?;
    Ok(Submitted::New(job))
}

/// Gives a worker of this process that has room the job whose turn it is; that one knows then that it is there.
fn hand_over(tx: &mut Tx, new: &Job) -> Result<()> {
    let slot = tx.partners().job_taker.get().filter(|_| new.state == JobState::Queued).and_then(|taker| taker.slot());
    let Some(Slot { lease, take }) = slot else {
        tx.wake(Topic::JobQueued);
        return Ok(());
    };
    let claimed = match tx.apart(|tx| work::claim(tx, 1, lease))? {
        Ok(mut claimed) => claimed.pop(),
        Err(error) => {
            // A row that cannot be read is not the fault of whoever submits another.
            tracing::error!(%error, "no job could be claimed");
            None
        }
    };
    if claimed.as_ref().is_none_or(|claimed| claimed.job.id != new.id) {
        tx.wake(Topic::JobQueued);
    }
    if let Some(claimed) = claimed {
        tx.after_commit(move || take(claimed));
    }
    Ok(())
}

fn insert(tx: &mut Tx, job: &Job, fetch_headers: &FetchHeaders) -> Result<()> {
    let sealed = (!fetch_headers.is_empty()).then(|| tx.vault().seal(&job.id.to_bytes(), &json(fetch_headers)));
    query(
        "insert into jobs (id, account, state, error, confirm_until, stage, progress, spec, inputs, fetch_headers, priority,
            created_at, queued_at, started_at, finished_at)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14)",
    )
    .bind(key(job.id))
    .bind(key(job.account))
    .bind(job.state.name())
    .bind(job.state.error().map(json))
    .bind(confirm_until(&job.state))
    .bind(job.stage.map(|stage| stage.as_str()))
    .bind(job.progress)
    .bind(json(&job.spec))
    .bind(inputs(job))
    .bind(sealed)
    .bind(rank(job.spec.priority))
    .bind(job.created_at.as_millis())
    .bind(job.started_at.map(Timestamp::as_millis))
    .bind(job.finished_at.map(Timestamp::as_millis))
    .run(tx)?;
    insert_outputs(tx, job)?;
    note_uploads(tx, job)
}

/// Which uploads the job reads, so that they stay as long as it may.
pub(super) fn note_uploads(tx: &mut Tx, job: &Job) -> Result<()> {
    let upload = |input: &InputSpec| match &input.source {
        InputSource::Upload(id) => Some(*id),
        InputSource::Url(_) | InputSource::Origin { .. } => None,
    };
    let uploads: Vec<_> = job.spec.inputs.iter().filter_map(upload).collect();
    if uploads.is_empty() {
        return Ok(());
    }
    query("insert or ignore into job_uploads (upload, job) select unhex(value), ?1 from json_each(?2)")
        .bind(key(job.id))
        .bind(hexes(uploads))
        .run(tx)?;
    Ok(())
}

pub(super) fn insert_outputs(tx: &mut Tx, job: &Job) -> Result<()> {
    query(
        "insert into outputs (job, position, id, name, state, progress, plan, receipt)
        select ?1, key, unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(?2)",
    )
    .bind(key(job.id))
    .bind(json(&job.outputs.iter().map(new_output).collect::<Vec<_>>()))
    .run(tx)?;
    Ok(())
}

fn new_output(output: &Output) -> (String, &str, &'static str, u8, String, String) {
    let Output { spec, state, progress, plan, receipt, .. } = output;
    (hex(spec.id), &spec.name, state.as_str(), *progress, json(plan), json(receipt))
}

/// Remembers the key, and forgets two that are too old: more than come in, so that the table does not grow for ever.
fn remember(tx: &mut Tx, job: &Job, idempotency: Idempotency, now: Timestamp) -> Result<()> {
    query(
        "delete from idempotency where (account, key) in (
            select account, key from idempotency where created_at <= ? order by created_at limit 2)",
    )
    .bind((now - REMEMBERED).as_millis())
    .run(tx)?;
    query("insert or replace into idempotency (account, key, fingerprint, job, created_at) values (?, ?, ?, ?, ?)")
        .bind(key(job.account))
        .bind(idempotency.key)
        .bind(idempotency.fingerprint.to_vec())
        .bind(key(job.id))
        .bind(now.as_millis())
        .run(tx)?;
    Ok(())
}
