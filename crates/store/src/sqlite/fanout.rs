//! How deliveries are made: a batch of events fanned out to many endpoints at once.
//!
//! Numbers are given out here, from the newest number on each endpoint's row; the writer is alone, so they have no gaps.
//! The outbox moves on from the very place that the batch was read after, or nothing happens: that, and not a search for
//! what is there already, is why no event is fanned out twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::delivery::{Delivery, DeliveryState, Signal, step};
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::id::EndpointId;
use reelhook_domain::time::Timestamp;

use super::rows::{self, column, hex, json, key};
use super::sql::{self, Binder, Insert, query};
use super::writer::Tx;
use crate::wakes::Topic;
use crate::{Body, ClaimedDelivery, FanOut, NewDelivery, Result, Start};

const MOVE_ON: &str = "update keeper set fanned_out_to = ?2 where fanned_out_to = ?1";
/// Counts what comes and answers the last number of each endpoint, and its state.
pub(super) const NUMBER: &str = "
    update endpoints set last_sequence = last_sequence + (row.value ->> 1)
    from json_each(?) as row where endpoints.id = unhex(row.value ->> 0)
    returning id, state, last_sequence";
const INSERT_BODIES: Insert = ("insert into bodies (event, dialect, body)", 3, "on conflict do nothing");
const INSERT_DELIVERIES: Insert = (
    "insert into deliveries (id, account, event, event_type, job, endpoint, dialect, sequence, state, due_at,
        lease_until, waiting_reason, token, created_at)",
    14,
    "",
);

pub(super) fn fan_out(tx: &mut Tx, batch: FanOut, lease: Duration) -> Result<Vec<ClaimedDelivery>> {
    let moved = query(MOVE_ON).bind(batch.after).bind(batch.up_to).run(tx)?;
    if moved == 0 || batch.deliveries.is_empty() {
        return Ok(Vec::new());
    }
    insert(tx, batch.deliveries, lease)
}

/// An endpoint as far as its new deliveries depend on it.
struct Numbered {
    state: EndpointState,
    last: i64,
}

/// Makes deliveries, numbered, with those bodies that are more than their event.
pub(super) fn insert(tx: &mut Tx, new: Vec<NewDelivery>, lease: Duration) -> Result<Vec<ClaimedDelivery>> {
    let now = tx.now();
    let mut endpoints = number(tx, &new)?;
    let mut claimed = Vec::with_capacity(new.len());
    let mut inserted = Vec::with_capacity(new.len());
    for new in new {
        // An endpoint that was deleted since the batch was made wants nothing any more.
        let Some(endpoint) = endpoints.get_mut(&new.endpoint) else { continue };
        endpoint.last += 1;
        let delivery = Delivery {
            id: new.id,
            account: new.account,
            event: new.event,
            event_type: new.event_type,
            job: new.job,
            endpoint: new.endpoint,
            sequence: endpoint.last,
            state: first_state(endpoint.state, new.start, now, lease)?,
            attempts: 0,
            schedule_offset: 0,
            waiting_reason: match new.start {
                Start::Due { reason, .. } if endpoint.state == EndpointState::Enabled => Some(reason.to_owned()),
                Start::Due { .. } | Start::Claimed | Start::Held => None,
            },
            created_at: now,
            finished_at: None,
        };
        // Scheduled against what its maker thought: somebody must claim it. Held: an endpoint that asks for its events
        // itself may be waiting for it.
        if delivery.state == DeliveryState::Held || new.start == Start::Held {
            tx.wake(Topic::Delivery);
        }
        inserted.push((delivery, new.dialect, new.body));
    }

    let mut seen = HashSet::new();
    let bodies: Vec<_> = inserted
        .iter()
        .filter_map(|(delivery, dialect, body)| match body {
            Body::Own(text) if seen.insert((delivery.event, *dialect)) => Some((delivery.event, *dialect, text)),
            Body::Own(_) | Body::Envelope(_) => None,
        })
        .collect();
    sql::insert(tx, INSERT_BODIES, bodies, |row, (event, dialect, text)| {
        row.bind(key(event)).bind(dialect.as_str()).bind(&**text);
    })?;
    sql::insert(tx, INSERT_DELIVERIES, &inserted, |row, (delivery, dialect, _)| bind(row, delivery, dialect.as_str()))?;
    for (delivery, _, body) in inserted {
        if matches!(delivery.state, DeliveryState::Sending { .. }) {
            claimed.push(ClaimedDelivery { delivery, token: FIRST_TOKEN, body: Arc::clone(body.text()) });
        }
    }
    Ok(claimed)
}

/// The fencing number of a delivery that begins claimed.
const FIRST_TOKEN: i64 = 1;

/// Takes a number for each delivery of the batch, from each endpoint that there is.
fn number(tx: &mut Tx, new: &[NewDelivery]) -> Result<HashMap<EndpointId, Numbered>> {
    let mut counts: HashMap<EndpointId, u32> = HashMap::new();
    for new in new {
        *counts.entry(new.endpoint).or_default() += 1;
    }
    let wanted: Vec<_> = counts.iter().map(|(&id, count)| (hex(id), count)).collect();
    let found = query(NUMBER).bind(json(&wanted)).all(tx)?;
    let numbered = |row| {
        let (id, newest): (EndpointId, i64) = (rows::id(row, "id")?, column(row, "last_sequence")?);
        let last = newest - counts.get(&id).copied().map_or(0, i64::from);
        Ok((id, Numbered { state: rows::endpoint_state(row)?, last }))
    };
    found.iter().map(numbered).collect()
}

/// What a new delivery begins as. The endpoint's row has the last word on whether it is held; where whoever made the
/// delivery thought otherwise, nobody is ready to send it, so it is left for `claim_due`.
fn first_state(endpoint: EndpointState, start: Start, now: Timestamp, lease: Duration) -> Result<DeliveryState> {
    let scheduled = DeliveryState::Scheduled { due: now };
    Ok(match (endpoint, start) {
        (EndpointState::Disabled, Start::Claimed | Start::Due { .. } | Start::Held) => step(scheduled, Signal::Hold)?,
        (EndpointState::Enabled, Start::Claimed) => step(scheduled, Signal::Claim { until: now + lease })?,
        (EndpointState::Enabled, Start::Due { at, .. }) => DeliveryState::Scheduled { due: at },
        (EndpointState::Enabled, Start::Held) => scheduled,
    })
}

fn bind(row: &mut Binder<'_, '_>, delivery: &Delivery, dialect: &'static str) {
    let (due, until) = match delivery.state {
        DeliveryState::Scheduled { due } => (Some(due.as_millis()), None),
        DeliveryState::Sending { until } => (None, Some(until.as_millis())),
        _ => (None, None),
    };
    row.bind(key(delivery.id))
        .bind(key(delivery.account))
        .bind(key(delivery.event))
        .bind(delivery.event_type.as_str())
        .bind(delivery.job.map(key))
        .bind(key(delivery.endpoint))
        .bind(dialect)
        .bind(delivery.sequence)
        .bind(delivery.state.name())
        .bind(due)
        .bind(until)
        .bind(delivery.waiting_reason.as_deref())
        .bind(if until.is_some() { FIRST_TOKEN } else { 0 })
        .bind(delivery.created_at.as_millis());
}
