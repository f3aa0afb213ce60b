//! Forgetting, in small steps.

use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, DeliveryId, EventId, JobId, UploadId};
use reelhook_domain::job::IllegalStep;
use reelhook_domain::time::Timestamp;

use super::jobs::load;
use super::rows::{self, hexes, key};
use super::sql::{Row, query};
use super::submit::REMEMBERED;
use super::writer::Tx;
use super::{SqliteStore, erasure};
use crate::retention::{Erased, Over, Retention, Walked};
use crate::{Result, StoreError};

/// The next deliveries in the order they were made, and whether each is over.
macro_rules! walk {
    ($whose:literal) => {
        concat!(
            "select id, (finished_at is not null and finished_at <= ?3) or (state = 'held' and created_at <= ?3) as is_over
            from deliveries where ",
            $whose,
            " id > ?1 and id < ?2 order by id limit ?4"
        )
    };
}

pub(super) const WALK: &str = walk!("");
pub(super) const WALK_OF_ACCOUNT: &str = walk!("account = ?5 and");
/// Looks again: a delivery may have been offered anew since the walk met it.
pub(super) const FORGET: &str = "
    delete from deliveries where id in (select unhex(value) from json_each(?1))
    and ((state in ('delivered', 'exhausted', 'canceled') and finished_at <= ?2)
        or (state = 'held' and created_at <= ?2))
    returning id, event";
const FORGET_WHATEVER: &str = "
    delete from deliveries where id in (select unhex(value) from json_each(?1)) returning id, event";
pub(super) const ATTEMPTS: &str = "delete from attempts where delivery in (select unhex(value) from json_each(?))";
pub(super) const BODIES: &str = "
    delete from bodies where event in (select unhex(value) from json_each(?))
    and not exists (select 1 from deliveries where deliveries.event = bodies.event and deliveries.dialect = bodies.dialect)";
pub(super) const EVENTS: &str = "
    delete from events where id in (select unhex(value) from json_each(?1))
    and at <= ?2 and sequence <= (select fanned_out_to from keeper)
    and not exists (select 1 from deliveries where deliveries.event = events.id)";
pub(super) const WALK_EVENTS: &str = "
    select id, sequence, at <= ?2 and (?3 is null or account = ?3) as is_over, at <= ?2 as is_old
    from events where sequence > ?1 and sequence <= (select fanned_out_to from keeper) order by sequence limit ?4";
pub(super) const EVENTS_OF_JOB: &str = "select id from events where job = ? limit ?";
pub(super) const WAITING_OF_JOB: &str = "
    select exists (select 1 from events where job = ? and sequence > (select fanned_out_to from keeper))";
pub(super) const DELIVERIES_OF_JOB: &str = "
    select deliveries.id from events cross join deliveries on deliveries.event = events.id where events.job = ? limit ?";
pub(super) const OLD_KEYS: &str = "
    delete from idempotency where (account, key) in (
        select account, key from idempotency where created_at <= ? order by created_at limit ?)";
pub(super) const OLD_PUBLISHED: &str = "
    delete from published where (account, key) in (
        select account, key from published where created_at <= ? order by created_at limit ?)";
pub(super) const OWN_UPLOADS: &str = "
    delete from uploads where id in (
        select upload from job_uploads as mine where job = ?1 and not exists (
            select 1 from job_uploads as theirs where theirs.upload = mine.upload and theirs.job <> ?1))
    returning id";

#[async_trait]
impl Retention for SqliteStore {
    async fn forget_deliveries(&self, over: Over, from: Option<DeliveryId>, limit: u32) -> Result<Walked<DeliveryId>> {
        let walk = if over.account.is_some() { WALK_OF_ACCOUNT } else { WALK };
        let walk = query(walk)
            .bind(from.map_or([0; 16], key))
            .bind(first_id_after(over.before))
            .bind(over.before.as_millis())
            .bind(limit);
        let walk = over.account.into_iter().fold(walk, |walk, account| walk.bind(key(account)));
        let walked = walk.read_all(&self.readers).await?;
        let met = walked.iter().map(|row| Ok((rows::id(row, "id")?, rows::column(row, "is_over")?)));
        let met: Vec<(DeliveryId, bool)> = met.collect::<Result<_>>()?;
        let next = met.last().map(|(id, _)| *id).filter(|_| met.len() >= limit as usize);
        let is_over: Vec<_> = met.into_iter().filter(|(_, is_over)| *is_over).map(|(id, _)| id).collect();
        if is_over.is_empty() {
            return Ok(Walked { removed: 0, next });
        }
        let removed = self.write(move |tx| forget_deliveries(tx, is_over, over.before)).await?;
        Ok(Walked { removed, next })
    }

    async fn forget_events(&self, over: Over, from: i64, limit: u32) -> Result<Walked<i64>> {
        let walked = query(WALK_EVENTS)
            .bind(from)
            .bind(over.before.as_millis())
            .bind(over.account.map(key))
            .bind(limit)
            .read_all(&self.readers)
            .await?;
        let mut is_over: Vec<EventId> = Vec::new();
        let mut is_old = false;
        for row in &walked {
            is_old = rows::column(row, "is_old")?;
            if rows::column(row, "is_over")? {
                is_over.push(rows::id(row, "id")?);
            }
        }
        let last = walked.last().map(|row| rows::column::<i64>(row, "sequence")).transpose()?;
        // What comes after one that is not old is not old either, but for clocks that were set back: these come later.
        let next = last.filter(|_| is_old && walked.len() >= limit as usize);
        if is_over.is_empty() {
            return Ok(Walked { removed: 0, next });
        }
        let removed = self.write(move |tx| forget_events(tx, is_over, over.before)).await?;
        Ok(Walked { removed, next })
    }

    async fn forget_idempotency_keys(&self, limit: u32) -> Result<u32> {
        self.write(move |tx| forget_keys(tx, limit)).await
    }

    async fn retention(&self, account: AccountId) -> Result<Option<Duration>> {
        let found = query("select keep_ms from accounts where id = ?").bind(key(account));
        keep(&found.read_first(&self.readers).await?.ok_or(StoreError::NotFound)?)
    }

    async fn retentions(&self) -> Result<Vec<(AccountId, Duration)>> {
        let found = query("select id, keep_ms from accounts where keep_ms is not null");
        let found = found.read_all(&self.readers).await?;
        let own = found.iter().map(|row| Ok((rows::id(row, "id")?, keep(row)?.unwrap_or_default())));
        own.collect()
    }

    async fn set_retention(&self, account: AccountId, keep: Option<Duration>) -> Result<()> {
        self.write(move |tx| set_retention(tx, account, keep)).await
    }

    async fn erase_job(&self, account: AccountId, job: JobId, limit: u32) -> Result<Erased> {
        self.write(move |tx| erase_job(tx, account, job, limit)).await
    }

    async fn erase_account(&self, account: AccountId) -> Result<Vec<UploadId>> {
        self.write(move |tx| erasure::erase(tx, account)).await
    }

    async fn remove_job(&self, account: AccountId, job: JobId) -> Result<()> {
        self.write(move |tx| remove_job(tx, account, job)).await
    }
}

/// Every id that was made until that time is below it: the first 48 bits of an id are its milliseconds.
fn first_id_after(time: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(time.as_millis()).unwrap_or(0).saturating_add(1).min((1 << 48) - 1);
    (u128::from(millis) << 80).to_be_bytes()
}

fn keep(row: &Row) -> Result<Option<Duration>> {
    let millis = rows::column::<Option<i64>>(row, "keep_ms")?;
    Ok(millis.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

fn set_retention(tx: &mut Tx, account: AccountId, keep: Option<Duration>) -> Result<()> {
    let millis = keep.map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let set = query("update accounts set keep_ms = ? where id = ?").bind(millis).bind(key(account));
    if set.run(tx)? == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

fn forget_deliveries(tx: &mut Tx, ids: Vec<DeliveryId>, before: Timestamp) -> Result<u32> {
    let gone = query(FORGET).bind(hexes(ids)).bind(before.as_millis()).all(tx)?;
    let events = forget_attempts(tx, &gone)?;
    forget_events(tx, events, before)?;
    Ok(narrow(gone.len() as u64))
}

/// Removes the attempts of deliveries that are gone; gives the events that these carried.
fn forget_attempts(tx: &mut Tx, gone: &[Row]) -> Result<Vec<EventId>> {
    let ids = gone.iter().map(|row| rows::id(row, "id")).collect::<Result<Vec<DeliveryId>>>()?;
    let mut events = gone.iter().map(|row| rows::id(row, "event")).collect::<Result<Vec<EventId>>>()?;
    query(ATTEMPTS).bind(hexes(ids)).run(tx)?;
    events.sort_unstable();
    events.dedup();
    Ok(events)
}

/// Removes the bodies of events that no delivery needs, and those of the events that are old enough.
fn forget_events(tx: &mut Tx, events: Vec<EventId>, before: Timestamp) -> Result<u32> {
    if events.is_empty() {
        return Ok(0);
    }
    let ids = hexes(events);
    query(BODIES).bind(ids.clone()).run(tx)?;
    let gone = query(EVENTS).bind(ids).bind(before.as_millis()).run(tx)?;
    Ok(narrow(gone))
}

fn forget_keys(tx: &mut Tx, limit: u32) -> Result<u32> {
    let old = (tx.now() - REMEMBERED).as_millis();
    let mut gone = 0;
    for statement in [OLD_KEYS, OLD_PUBLISHED] {
        gone += query(statement).bind(old).bind(limit).run(tx)?;
    }
    Ok(narrow(gone))
}

/// The account's job, unless it is under way.
fn erasable(tx: &mut Tx, account: AccountId, job: JobId) -> Result<()> {
    let kept = load(tx, job)?;
    if kept.job.account != account {
        return Err(StoreError::NotFound);
    }
    let state = &kept.job.state;
    if state.is_terminal() || *state == reelhook_domain::job::JobState::Draft {
        return Ok(());
    }
    Err(IllegalStep { state: state.name(), signal: "be erased before it has ended; cancel it first" }.into())
}

fn erase_job(tx: &mut Tx, account: AccountId, job: JobId, limit: u32) -> Result<Erased> {
    erasable(tx, account, job)?;
    // Whoever fans them out has read them, and would write what was just erased.
    if query(WAITING_OF_JOB).bind(key(job)).one(tx)?.only()? {
        return Ok(Erased::Waits);
    }
    let found = query(DELIVERIES_OF_JOB).bind(key(job)).bind(limit).all(tx)?;
    if !found.is_empty() {
        let ids = found.iter().map(|row| rows::id(row, "id")).collect::<Result<Vec<DeliveryId>>>()?;
        let gone = query(FORGET_WHATEVER).bind(hexes(ids)).all(tx)?;
        let events = forget_attempts(tx, &gone)?;
        query(BODIES).bind(hexes(events)).run(tx)?;
        return Ok(Erased::More);
    }
    let found = query(EVENTS_OF_JOB).bind(key(job)).bind(limit).all(tx)?;
    if !found.is_empty() {
        let ids = found.iter().map(|row| rows::id(row, "id")).collect::<Result<Vec<EventId>>>()?;
        let ids = hexes(ids);
        query("delete from bodies where event in (select unhex(value) from json_each(?))").bind(ids.clone()).run(tx)?;
        query("delete from events where id in (select unhex(value) from json_each(?))").bind(ids).run(tx)?;
        return Ok(Erased::More);
    }
    let uploads = query(OWN_UPLOADS).bind(key(job)).all(tx)?;
    let uploads = uploads.iter().map(|row| rows::id(row, "id")).collect::<Result<_>>()?;
    Ok(Erased::Told { uploads })
}

fn remove_job(tx: &mut Tx, account: AccountId, job: JobId) -> Result<()> {
    erasable(tx, account, job)?;
    query("delete from jobs where id = ?").bind(key(job)).run(tx)?;
    tx.wake(crate::wakes::Topic::JobChanged);
    Ok(())
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
