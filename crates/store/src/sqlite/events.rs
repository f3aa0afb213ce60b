//! Events: the outbox, and what a job went through.

use std::sync::Arc;

use async_trait::async_trait;
use reelhook_domain::event::{Data, Event, EventType};
use reelhook_domain::id::{AccountId, EventId, JobId};
use reelhook_domain::job::{Dialect, Job, JobWebhook};
use reelhook_domain::time::Timestamp;
use serde::Deserialize;

use super::rows::{self, column, json, key};
use super::sql::{self, Insert, Row, query};
use super::writer::Tx;
use super::{SqliteStore, publish};
use crate::wakes::Topic;
use crate::{Events, HandOff, Idempotency, NewEvent, Outbox, OutboxEvent, Published, Result, StoreError};

pub(super) const OUTBOX: &str = "
    select events.*, fanned_out_to, endpoints_version from keeper
    cross join events on sequence > fanned_out_to order by sequence limit ?";
const INSERT: Insert = ("insert into events (id, account, kind, at, job, data, only_endpoint)", 7, "");
const JOB_EVENTS: &str = "select events.* from events where job = ? and sequence > ? order by sequence";
const LAST_SEQUENCE: &str = "select coalesce((select seq from sqlite_sequence where name = 'events'), 0)";

#[async_trait]
impl Events for SqliteStore {
    async fn publish(&self, events: Vec<NewEvent>) -> Result<()> {
        self.writer.publish(events).await
    }

    async fn publish_once(
        &self,
        account: AccountId,
        events: Vec<NewEvent>,
        idempotency: Idempotency,
    ) -> Result<Published> {
        self.write(move |tx| publish::publish_once(tx, account, events, idempotency)).await
    }

    fn hand_off(&self, to: &Arc<dyn HandOff>) {
        self.partners.hand_off.set(to);
    }

    async fn outbox(&self, limit: u32) -> Result<Outbox> {
        let found = query(OUTBOX).bind(limit).read_all(&self.readers).await?;
        let Some(first) = found.first() else {
            return Ok(Outbox { after: 0, endpoints_version: 0, events: Vec::new() });
        };
        Ok(Outbox {
            after: column(first, "fanned_out_to")?,
            endpoints_version: column(first, "endpoints_version")?,
            events: found.iter().map(outbox_event).collect::<Result<_>>()?,
        })
    }

    async fn event(&self, account: AccountId, id: EventId) -> Result<Event> {
        let found = query("select * from events where id = ? and account = ?").bind(key(id)).bind(key(account));
        rows::event(&found.read_first(&self.readers).await?.ok_or(StoreError::NotFound)?)
    }

    async fn job_events(&self, account: AccountId, job: JobId, after: i64) -> Result<Vec<Event>> {
        let known = query("select 1 from jobs where id = ? and account = ?").bind(key(job)).bind(key(account));
        known.read_first(&self.readers).await?.ok_or(StoreError::NotFound)?;
        let found = query(JOB_EVENTS).bind(key(job)).bind(after).read_all(&self.readers).await?;
        found.iter().map(rows::event).collect()
    }

    async fn last_sequence(&self) -> Result<i64> {
        query(LAST_SEQUENCE).read_one(&self.readers).await?.only()
    }
}

/// Writes an event.
pub(super) fn write(tx: &mut Tx, event: NewEvent, job: Option<JobId>) -> Result<()> {
    let now = tx.now();
    insert(tx, &[event], job, now)?;
    tx.wake(Topic::Event);
    Ok(())
}

pub(super) fn insert(tx: &mut Tx, events: &[NewEvent], job: Option<JobId>, now: Timestamp) -> Result<()> {
    sql::insert(tx, INSERT, events, |row, event| {
        row.bind(key(event.id))
            .bind(key(event.account))
            .bind(event.kind.as_str())
            .bind(now.as_millis())
            .bind(job.map(key))
            .bind(event.data.as_str())
            .bind(event.only.map(key));
    })?;
    Ok(())
}

/// Writes that a job came to the state it is in, where that is told.
pub(super) fn write_state(tx: &mut Tx, job: &Job, now: Timestamp) -> Result<()> {
    match EventType::of_job(&job.state) {
        Some(kind) => write_job(tx, job, &kind, now),
        None => Ok(()),
    }
}

fn write_job(tx: &mut Tx, job: &Job, kind: &EventType, now: Timestamp) -> Result<()> {
    let new =
        NewEvent { id: tx.ambient().id(), account: job.account, kind: kind.clone(), data: Data::of(job), only: None };
    insert(tx, std::slice::from_ref(&new), Some(job.id), now)?;
    let sequence = tx.connection().last_insert_rowid();
    let NewEvent { id, account, kind, data, only } = new;
    let event = Event { id, sequence, account, kind, at: now, job: Some(job.id), data };
    let (webhook, dialect) = (job.spec.webhook.clone(), job.spec.dialect);
    publish::fan_out_or_leave(tx, vec![OutboxEvent { event, webhook, dialect, only }])
}

/// Writes that a job moved on. Where the last such event of the job was not fanned out it is written over: the latest
/// wins, and a slow fan-out does not pile up stale ones.
pub(super) fn write_progress(tx: &mut Tx, job: &Job, now: Timestamp) -> Result<()> {
    let replaced = query(
        "update events set data = ?, at = ?
        where job = ? and sequence > (select fanned_out_to from keeper) and kind = 'job.progress'",
    );
    let replaced = replaced.bind(json(job)).bind(now.as_millis()).bind(key(job.id)).run(tx)?;
    if replaced == 0 {
        return write_job(tx, job, &EventType::ours(EventType::JOB_PROGRESS), now);
    }
    tx.wake(Topic::Event);
    Ok(())
}

/// What an outbox reader needs of the job in an event's data.
#[derive(Deserialize)]
struct Sender {
    spec: SenderSpec,
}

#[derive(Deserialize)]
struct SenderSpec {
    webhook: Option<JobWebhook>,
    dialect: Dialect,
}

fn outbox_event(row: &Row) -> Result<OutboxEvent> {
    let event = rows::event(row)?;
    let only = rows::maybe_id(row, "only_endpoint")?;
    if event.job.is_none() {
        return Ok(OutboxEvent { event, webhook: None, dialect: Dialect::Native, only });
    }
    let sender = event.data.read::<Sender>().map_err(|error| StoreError::corrupt("event data", &error))?;
    Ok(OutboxEvent { event, webhook: sender.spec.webhook, dialect: sender.spec.dialect, only })
}
