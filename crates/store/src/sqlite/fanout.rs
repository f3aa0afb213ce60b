//! How deliveries are made: a batch of events fanned out to many endpoints at once.
//!
//! As in [`super::sending`], each statement takes its rows as one JSON parameter. Numbers are given out here, from the
//! newest number on each endpoint's row; the writer is alone, so they have no gaps.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::delivery::{Delivery, DeliveryState, Signal, step};
use reelhook_domain::endpoint::EndpointState;
use reelhook_domain::id::{EndpointId, EventId, JobId};
use reelhook_domain::time::Timestamp;

use super::rows::{self, column, hex, hexes, json};
use super::sending::lanes;
use super::writer::Tx;
use crate::wakes::Topic;
use crate::{ClaimedDelivery, FanOut, NewDelivery, Result};

const INSERT_BODIES: &str = "
    insert into bodies (event, dialect, body) select unhex(value ->> 0), value ->> 1, value ->> 2 from json_each(?)
    where true on conflict do nothing";
const INSERT_DELIVERIES: &str = "
    insert into deliveries (id, account, event, event_type, job, endpoint, dialect, sequence, state, due_at, lease_until,
        token, created_at)
    select unhex(value ->> 0), unhex(value ->> 1), unhex(value ->> 2), value ->> 3, unhex(value ->> 4), unhex(value ->> 5),
        value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, ?2
    from json_each(?1)";
pub(super) const PRESENT: &str = "
    select deliveries.event, deliveries.endpoint from json_each(?) as row
    cross join deliveries on deliveries.event = unhex(row.value ->> 0) and deliveries.endpoint = unhex(row.value ->> 1)";
pub(super) const SENDERS: &str = "
    select events.id, kind, job from json_each(?) as row cross join events on events.id = unhex(row.value)";
const ADVANCE: &str = "
    update endpoints set last_sequence = row.value ->> 1 from json_each(?) as row where endpoints.id = unhex(row.value ->> 0)";

pub(super) async fn fan_out(tx: &mut Tx, batch: FanOut, lease: Duration) -> Result<Vec<ClaimedDelivery>> {
    let now = tx.now();
    let claimed =
        if batch.deliveries.is_empty() { Vec::new() } else { insert(tx, batch.deliveries, now, lease).await? };
    sqlx::query("update keeper set fanned_out_to = max(fanned_out_to, ?)").bind(batch.up_to).execute(tx.sql()).await?;
    Ok(claimed)
}

async fn insert(tx: &mut Tx, new: Vec<NewDelivery>, now: Timestamp, lease: Duration) -> Result<Vec<ClaimedDelivery>> {
    let mut lanes = lanes(tx, new.iter().map(|delivery| delivery.endpoint)).await?;
    let senders = senders(tx, &new).await?;
    let mut seen = present(tx, &new).await?;

    let mut claimed = Vec::with_capacity(new.len());
    let mut bodies = HashMap::new();
    let mut inserted = Vec::with_capacity(new.len());
    for new in new {
        // An endpoint or an event that was deleted since the batch was made wants nothing any more.
        let (Some(lane), Some(sender)) = (lanes.get_mut(&new.endpoint), senders.get(&new.event)) else { continue };
        if !seen.insert((new.event, new.endpoint)) {
            continue;
        }
        lane.last_sequence += 1;
        let delivery = Delivery {
            id: new.id,
            account: new.account,
            event: new.event,
            event_type: sender.kind.clone(),
            job: sender.job,
            endpoint: new.endpoint,
            sequence: lane.last_sequence,
            state: first_state(lane.state, new.held, now, lease)?,
            attempts: 0,
            schedule_offset: 0,
            waiting_reason: None,
            created_at: now,
            finished_at: None,
        };
        let token = i64::from(matches!(delivery.state, DeliveryState::Sending { .. }));
        inserted.push(delivery_row(&delivery, new.dialect.as_str(), token));
        bodies.entry((new.event, new.dialect)).or_insert_with(|| Arc::clone(&new.body));
        // Scheduled: somebody must claim it. Held: an endpoint that asks for its events itself may be waiting for it.
        if matches!(delivery.state, DeliveryState::Scheduled { .. } | DeliveryState::Held) {
            tx.wake(Topic::Delivery);
        }
        if token > 0 {
            claimed.push(ClaimedDelivery { delivery, token, body: new.body });
        }
    }

    let bodies: Vec<_> = bodies.iter().map(|((event, dialect), body)| (hex(*event), dialect.as_str(), body)).collect();
    let sequences: Vec<_> = lanes.iter().map(|(id, lane)| (hex(*id), lane.last_sequence)).collect();
    sqlx::query(INSERT_BODIES).bind(json(&bodies)).execute(tx.sql()).await?;
    sqlx::query(INSERT_DELIVERIES).bind(json(&inserted)).bind(now.as_millis()).execute(tx.sql()).await?;
    sqlx::query(ADVANCE).bind(json(&sequences)).execute(tx.sql()).await?;
    Ok(claimed)
}

/// What a new delivery begins as. The endpoint's row has the last word on whether it is held; where the batch said
/// otherwise, nobody is ready to send it, so it is left for `claim_due`.
fn first_state(endpoint: EndpointState, said_held: bool, now: Timestamp, lease: Duration) -> Result<DeliveryState> {
    let scheduled = DeliveryState::Scheduled { due: now };
    Ok(match (endpoint, said_held) {
        (EndpointState::Disabled, _) => step(scheduled, Signal::Hold)?,
        (EndpointState::Enabled, false) => step(scheduled, Signal::Claim { until: now + lease })?,
        (EndpointState::Enabled, true) => scheduled,
    })
}

type DeliveryRow = (
    String,
    String,
    String,
    String,
    Option<String>,
    String,
    &'static str,
    i64,
    &'static str,
    Option<i64>,
    Option<i64>,
    i64,
);

fn delivery_row(delivery: &Delivery, dialect: &'static str, token: i64) -> DeliveryRow {
    let (due, until) = match delivery.state {
        DeliveryState::Scheduled { due } => (Some(due.as_millis()), None),
        DeliveryState::Sending { until } => (None, Some(until.as_millis())),
        _ => (None, None),
    };
    (
        hex(delivery.id),
        hex(delivery.account),
        hex(delivery.event),
        delivery.event_type.clone(),
        delivery.job.map(hex),
        hex(delivery.endpoint),
        dialect,
        delivery.sequence,
        delivery.state.name(),
        due,
        until,
        token,
    )
}

/// What a delivery repeats of its event.
struct Sender {
    kind: String,
    job: Option<JobId>,
}

async fn senders(tx: &mut Tx, new: &[NewDelivery]) -> Result<HashMap<EventId, Sender>> {
    let events: HashSet<_> = new.iter().map(|delivery| delivery.event).collect();
    let found = sqlx::query(SENDERS).bind(hexes(events)).fetch_all(tx.sql()).await?;
    let sender =
        |row| Ok((rows::id(row, "id")?, Sender { kind: column(row, "kind")?, job: rows::maybe_id(row, "job")? }));
    found.iter().map(sender).collect()
}

/// Which events and endpoints have a delivery already.
async fn present(tx: &mut Tx, new: &[NewDelivery]) -> Result<HashSet<(EventId, EndpointId)>> {
    let pairs: Vec<_> = new.iter().map(|delivery| (hex(delivery.event), hex(delivery.endpoint))).collect();
    let found = sqlx::query(PRESENT).bind(json(&pairs)).fetch_all(tx.sql()).await?;
    found.iter().map(|row| Ok((rows::id(row, "event")?, rows::id(row, "endpoint")?))).collect()
}
