//! Events published once, however often they are sent.

use reelhook_domain::id::{AccountId, EventId};

use super::events;
use super::rows::{column, key};
use super::sql::query;
use super::submit::REMEMBERED;
use super::writer::Tx;
use crate::{Idempotency, NewEvent, Published, Result, StoreError};

pub(super) const KNOWN: &str =
    "select fingerprint, events from published where account = ? and key = ? and created_at > ?";

/// Writes events, or says what became of those that were written under the same key.
pub(super) fn publish_once(
    tx: &mut Tx,
    account: AccountId,
    new: &[NewEvent],
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
    events::publish(tx, new)?;
    Ok(Published::New(written))
}

fn ids(bytes: &[u8]) -> Result<Vec<EventId>> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(StoreError::corrupt("published events", &"an id has 16 bytes"));
    }
    Ok(ids.iter().map(|id| EventId::from_bytes(*id)).collect())
}
