//! Deliveries sent again by hand: many that were given up, or one event to one endpoint.

use std::time::Duration;

use reelhook_domain::delivery::{Delivery, DeliveryState, IllegalStep, Signal, step};
use reelhook_domain::id::{AccountId, EndpointId};

use super::rows::{self, column, key};
use super::sql::query;
use super::writer::Tx;
use super::{bodies, deliveries, fanout};
use crate::wakes::Topic;
use crate::{Body, NewDelivery, Result, Span, Start, StoreError};

/// The state as a literal, which is what lets the partial index be used.
pub(super) const RECOVER: &str = concat!(
    "
    update deliveries set state = ?1, due_at = ?2, waits_since = ?2, waiting_reason = null, schedule_offset = attempts,
        finished_at = null, token = token + 1
    where state = 'exhausted' and id in (
        select id from deliveries indexed by deliveries_to_recover
        where endpoint = ?3 and state = 'exhausted' and created_at >= ?4 and finished_at <= ?5
        and ",
    bodies::exists!(),
    "
        order by created_at, sequence limit ?6)"
);
pub(super) const OF_EVENT: &str = "select id from deliveries where event = ? and endpoint = ?";

/// Whether an endpoint of that account is enabled.
fn is_enabled(tx: &mut Tx, account: AccountId, endpoint: EndpointId) -> Result<bool> {
    let found = query("select state = 'enabled' as enabled from endpoints where id = ? and account = ?");
    let found = found.bind(key(endpoint)).bind(key(account)).first(tx)?;
    column(&found.ok_or(StoreError::NotFound)?, "enabled")
}

pub(super) fn recover(
    tx: &mut Tx,
    account: AccountId,
    endpoint: EndpointId,
    exhausted: Span,
    limit: u32,
) -> Result<u32> {
    let now = tx.now();
    let mut next = step(DeliveryState::Exhausted, Signal::Resend { due: now })?;
    let due = match is_enabled(tx, account, endpoint)? {
        true => Some(now.as_millis()),
        false => {
            next = step(next, Signal::Hold)?;
            None
        }
    };
    let recovered = query(RECOVER)
        .bind(next.name())
        .bind(due)
        .bind(key(endpoint))
        .bind(exhausted.since.as_millis())
        .bind(exhausted.until.as_millis())
        .bind(limit)
        .run(tx)?;
    if recovered > 0 {
        tx.wake(Topic::Delivery);
    }
    Ok(u32::try_from(recovered).unwrap_or(u32::MAX))
}

pub(super) fn replay(tx: &mut Tx, delivery: NewDelivery) -> Result<Delivery> {
    let NewDelivery { account, event, endpoint, .. } = delivery;
    is_enabled(tx, account, endpoint)?;
    if let Body::Own(text) = &delivery.body {
        // Rendered just now, with links of now, for whoever is sent it from here on.
        query("update bodies set body = ? where event = ? and dialect = ?")
            .bind(text.to_string())
            .bind(key(event))
            .bind(delivery.dialect.as_str())
            .run(tx)?;
    }
    let known = query(OF_EVENT).bind(key(event)).bind(key(endpoint)).first(tx)?;
    if let Some(row) = known {
        return deliveries::resend(tx, account, rows::id(&row, "id")?);
    }
    let waits = query("select sequence > (select fanned_out_to from keeper) from events where id = ?");
    // One that is about to be fanned out, perhaps to this endpoint, must not have a delivery before.
    match waits.bind(key(event)).first(tx)?.map(|row| row.only()).transpose()? {
        None => return Err(StoreError::NotFound),
        Some(true) => {
            let signal = "be replayed; try again in a moment";
            return Err(IllegalStep { state: "not fanned out yet", signal }.into());
        }
        Some(false) => {}
    }
    // Said to be held, it is given to nobody: whoever sends claims it from the store.
    fanout::insert(tx, vec![NewDelivery { start: Start::Held, ..delivery }], Duration::ZERO)?;
    let made = query("select * from deliveries where event = ? and endpoint = ? and account = ?");
    let made = made.bind(key(event)).bind(key(endpoint)).bind(key(account)).first(tx)?;
    rows::delivery(&made.ok_or(StoreError::NotFound)?)
}
