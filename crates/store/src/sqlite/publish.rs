//! Events published: fanned out in the same transaction where that can be, and once, however often they are sent.

use reelhook_domain::event::Event;
use reelhook_domain::id::{AccountId, EventId};
use reelhook_domain::job::Dialect;

use super::rows::{column, key};
use super::sql::query;
use super::submit::REMEMBERED;
use super::writer::Tx;
use super::{events, fanout};
use crate::wakes::Topic;
use crate::{FanOut, Idempotency, NewEvent, Outbox, OutboxEvent, Planned, Published, Result, StoreError};

pub(super) const KNOWN: &str =
    "select fingerprint, events from published where account = ? and key = ? and created_at > ?";

const KEEPER: &str = "select fanned_out_to, endpoints_version from keeper";

/// Writes events that are not the change of a job, and their deliveries if somebody says at once what these are.
pub(super) fn publish(tx: &mut Tx, new: Vec<NewEvent>) -> Result<()> {
    let at = tx.now();
    events::insert(tx, &new, None, at)?;
    let up_to = tx.connection().last_insert_rowid();
    let outgoing = |(sequence, new): (i64, NewEvent)| {
        let NewEvent { id, account, kind, data, only } = new;
        let event = Event { id, sequence, account, kind, at, job: None, data };
        OutboxEvent { event, webhook: None, dialect: Dialect::Native, only }
    };
    let before = up_to - i64::try_from(new.len()).unwrap_or(i64::MAX);
    fan_out_or_leave(tx, (before + 1..).zip(new).map(outgoing).collect())
}

/// Writes the deliveries of events that were just written, if somebody says at once what these are; otherwise the outbox
/// has them.
pub(super) fn fan_out_or_leave(tx: &mut Tx, events: Vec<OutboxEvent>) -> Result<()> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
    let (after, up_to) = (first.event.sequence - 1, last.event.sequence);
    let Some(Planned { deliveries, lease, then }) = plan(tx, after, events)? else {
        tx.wake(Topic::Event);
        return Ok(());
    };
    let claimed = fanout::fan_out(tx, FanOut { after, up_to, deliveries }, lease)?;
    tx.after_commit(move || then(claimed));
    Ok(())
}

/// What comes of events that follow that sequence number. Nothing, unless all before them are fanned out.
fn plan(tx: &mut Tx, after: i64, events: Vec<OutboxEvent>) -> Result<Option<Planned>> {
    let Some(hand_off) = tx.partners().hand_off.get() else { return Ok(None) };
    let keeper = query(KEEPER).one(tx)?;
    if column::<i64>(&keeper, "fanned_out_to")? != after {
        return Ok(None);
    }
    let outbox = Outbox { after, endpoints_version: column(&keeper, "endpoints_version")?, events };
    Ok(hand_off.plan(outbox))
}

/// Writes events, or says what became of those that were written under the same key.
pub(super) fn publish_once(
    tx: &mut Tx,
    account: AccountId,
    new: Vec<NewEvent>,
    idempotency: Idempotency,
) -> Result<Published> {
    let now = tx.now();
    let known = query(KNOWN).bind(key(account)).bind(idempotency.key.clone());
    let known = known.bind((now - REMEMBERED).as_millis()).first(tx)?;
    if let Some(row) = known {
        if column::<&[u8]>(&row, "fingerprint")? != idempotency.fingerprint {
            return Ok(Published::Conflict);
        }
        return ids(column(&row, "events")?).map(Published::Repeated);
    }
    let written: Vec<EventId> = new.iter().map(|event| event.id).collect();
    // Over one of that key that is too old to count.
    query("insert or replace into published (account, key, fingerprint, events, created_at) values (?, ?, ?, ?, ?)")
        .bind(key(account))
        .bind(idempotency.key)
        .bind(idempotency.fingerprint.to_vec())
        .bind(written.iter().flat_map(|id| id.to_bytes()).collect::<Vec<_>>())
        .bind(now.as_millis())
        .run(tx)?;
    publish(tx, new)?;
    Ok(Published::New(written))
}

fn ids(bytes: &[u8]) -> Result<Vec<EventId>> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(StoreError::corrupt("published events", &"an id has 16 bytes"));
    }
    Ok(ids.iter().map(|id| EventId::from_bytes(*id)).collect())
}
