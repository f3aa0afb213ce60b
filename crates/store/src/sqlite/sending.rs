//! How deliveries are claimed and settled: many at once, in a few statements whatever their number.
//!
//! Each statement takes its rows as one JSON parameter, so that its text never changes and stays prepared. What a row
//! becomes is decided here by [`step`]; the statement repeats the state and token that the decision was made on.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{Attempt, DeliveryState, Signal, step};
use reelhook_domain::endpoint::{EndpointState, Failing};
use reelhook_domain::id::{DeliveryId, EndpointId};
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;

use super::endpoints;
use super::rows::{self, column, hex, hexes, json};
use super::writer::Tx;
use crate::wakes::Topic;
use crate::{ClaimedDelivery, Result, Settlement, StoreError};

/// Each endpoint that has something scheduled, found by leaps over the index rather than by walking it: what one dead
/// receiver has piled up is never read, however much it is.
macro_rules! lanes {
    ($rest:literal) => {
        concat!(
            "with recursive lane (endpoint) as (
                select (select endpoint from deliveries indexed by deliveries_due where due_at is not null
                    order by endpoint limit 1)
                union all
                select (select endpoint from deliveries indexed by deliveries_due where due_at is not null
                    and endpoint > lane.endpoint order by endpoint limit 1)
                from lane where lane.endpoint is not null),
            wanted as (
                select endpoint from lane
                where endpoint is not null and endpoint not in (select unhex(value) from json_each(?1)))",
            $rest
        )
    };
}

pub(super) const NEXT_DUE: &str = lanes!(
    "select min((
        select due_at from deliveries indexed by deliveries_due
        where deliveries.endpoint = wanted.endpoint and due_at is not null order by due_at limit 1)) as due
    from wanted"
);
pub(super) const CLAIM_DUE: &str = lanes!(
    ", due as (
        select waiting.id from wanted cross join deliveries as waiting on waiting.id in (
            select id from deliveries indexed by deliveries_due
            where deliveries.endpoint = wanted.endpoint and due_at <= ?2 order by due_at, id limit ?3)
        order by waiting.due_at, waiting.id limit ?4)
    select deliveries.*, bodies.body from due
    cross join deliveries on deliveries.id = due.id
    cross join bodies on bodies.event = deliveries.event and bodies.dialect = deliveries.dialect
    order by deliveries.due_at, deliveries.id"
);
pub(super) const TAKE: &str = "
    update deliveries set state = 'sending', due_at = null, waiting_reason = null, lease_until = ?2, token = token + 1
    from json_each(?1) as row
    where deliveries.id = unhex(row.value ->> 0) and deliveries.token = row.value ->> 1 and +deliveries.state = 'scheduled'";
pub(super) const RENEW: &str = "
    update deliveries set lease_until = ?2
    from json_each(?1) as row
    where deliveries.id = unhex(row.value ->> 0) and deliveries.token = row.value ->> 1 and +deliveries.state = 'sending'
    returning deliveries.id";
pub(super) const FOUND: &str = "
    select deliveries.id, token, state, due_at, lease_until, endpoint
    from json_each(?) as row cross join deliveries on deliveries.id = unhex(row.value)";
pub(super) const SETTLE: &str = "
    update deliveries set state = row.value ->> 2, due_at = row.value ->> 3, lease_until = null,
        waiting_reason = row.value ->> 4, attempts = attempts + (row.value ->> 5), finished_at = row.value ->> 6
    from json_each(?) as row
    where deliveries.id = unhex(row.value ->> 0) and deliveries.token = row.value ->> 1 and +deliveries.state = 'sending'";
pub(super) const RELEASE: &str = "
    update deliveries set state = ?3, due_at = ?4, lease_until = null, token = token + 1
    where lease_until <= ?1 and state = 'sending'
    and (exists (select 1 from endpoints where endpoints.id = deliveries.endpoint and endpoints.state = 'enabled')) = ?2";
const INSERT_ATTEMPTS: &str = "
    insert into attempts (id, delivery, number, at, outcome, address, timings_ms, response_headers, response_body)
    select unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
        value ->> 7, value ->> 8
    from json_each(?) where true on conflict do nothing";
const NOTE_CIRCUITS: &str = "
    update endpoints set circuit = row.value ->> 1, failing_since = row.value ->> 2, failing_attempts = row.value ->> 3
    from json_each(?) as row where endpoints.id = unhex(row.value ->> 0)";

/// An endpoint as far as deliveries depend on it.
pub(super) struct Lane {
    pub(super) state: EndpointState,
    pub(super) last_sequence: i64,
    circuit: Circuit,
    failing: Option<Failing>,
}

pub(super) async fn lanes(tx: &mut Tx, ids: impl IntoIterator<Item = EndpointId>) -> Result<HashMap<EndpointId, Lane>> {
    let ids: HashSet<_> = ids.into_iter().collect();
    let found = sqlx::query(endpoints::BY_IDS).bind(hexes(ids)).fetch_all(tx.sql()).await?;
    let lane = |row| {
        let endpoint = rows::endpoint(row, tx.vault())?;
        let lane = Lane {
            state: endpoint.state,
            last_sequence: column(row, "last_sequence")?,
            circuit: endpoint.circuit,
            failing: endpoint.failing,
        };
        Ok((endpoint.id, lane))
    };
    found.iter().map(lane).collect()
}

pub(super) async fn claim_due(
    tx: &mut Tx,
    limit: u32,
    per_endpoint: u32,
    except: String,
    lease: Duration,
) -> Result<Vec<ClaimedDelivery>> {
    let now = tx.now();
    release(tx, now).await?;
    let due = sqlx::query(CLAIM_DUE).bind(except).bind(now.as_millis()).bind(per_endpoint).bind(limit);
    let due = due.fetch_all(tx.sql()).await?;
    let mut claimed = Vec::with_capacity(due.len());
    let mut taken = Vec::with_capacity(due.len());
    for row in &due {
        let mut delivery = rows::delivery(row)?;
        let token: i64 = column(row, "token")?;
        taken.push((hex(delivery.id), token));
        delivery.state = step(delivery.state, Signal::Claim { until: now + lease })?;
        delivery.waiting_reason = None;
        claimed.push(ClaimedDelivery { delivery, token: token + 1, body: column::<&str>(row, "body")?.into() });
    }
    if !taken.is_empty() {
        let done = sqlx::query(TAKE).bind(json(&taken)).bind((now + lease).as_millis()).execute(tx.sql()).await?;
        if done.rows_affected() != taken.len() as u64 {
            return Err(StoreError::LeaseLost);
        }
    }
    Ok(claimed)
}

pub(super) async fn renew(tx: &mut Tx, held: Vec<(DeliveryId, i64)>, lease: Duration) -> Result<Vec<DeliveryId>> {
    let until = tx.now() + lease;
    let wanted: Vec<_> = held.iter().map(|&(id, token)| (hex(id), token)).collect();
    let renewed = sqlx::query(RENEW).bind(json(&wanted)).bind(until.as_millis()).fetch_all(tx.sql()).await?;
    let renewed = renewed.iter().map(|row| rows::id(row, "id")).collect::<Result<HashSet<DeliveryId>>>()?;
    Ok(held.into_iter().map(|(id, _)| id).filter(|id| !renewed.contains(id)).collect())
}

/// Ends the leases that end at `ended` or before: due now, or held where the endpoint was disabled meanwhile.
pub(super) async fn release(tx: &mut Tx, ended: Timestamp) -> Result<u64> {
    let now = tx.now();
    let due = step(DeliveryState::Sending { until: ended }, Signal::Release { due: now })?;
    let held = step(due, Signal::Hold)?;
    let mut released = 0;
    for (enabled, next, due) in [(true, due, Some(now.as_millis())), (false, held, None)] {
        let done = sqlx::query(RELEASE).bind(ended.as_millis()).bind(enabled).bind(next.name()).bind(due);
        released += done.execute(tx.sql()).await?.rows_affected();
    }
    if released > 0 {
        tx.wake(Topic::Delivery);
    }
    Ok(released)
}

pub(super) async fn settle(tx: &mut Tx, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>> {
    let now = tx.now();
    let lanes = lanes(tx, settlements.iter().map(|settlement| settlement.endpoint)).await?;
    let mut found = found(tx, &settlements).await?;

    let mut lost = Vec::new();
    let mut settled = Vec::with_capacity(settlements.len());
    let mut attempts = Vec::with_capacity(settlements.len());
    let mut disabled: HashMap<EndpointId, &str> = HashMap::new();
    for settlement in &settlements {
        let Some((token, state)) = found.get_mut(&settlement.delivery) else {
            lost.push(settlement.delivery);
            continue;
        };
        if let Some(attempt) = &settlement.attempt {
            attempts.push(attempt_row(settlement.delivery, attempt));
        }
        if *token != settlement.token || !matches!(state, DeliveryState::Sending { .. }) {
            lost.push(settlement.delivery);
            continue;
        }
        let disable = settlement.disable.or((settlement.verdict == Verdict::Gone).then_some("gone"));
        if let Some(reason) = disable {
            disabled.entry(settlement.endpoint).or_insert(reason);
        }
        *state = step(*state, Signal::Settle(settlement.verdict))?;
        // What has to wait for an endpoint that is disabled waits with the others.
        let enabled = lanes.get(&settlement.endpoint).is_some_and(|lane| lane.state == EndpointState::Enabled);
        if matches!(state, DeliveryState::Scheduled { .. }) && !enabled {
            *state = step(*state, Signal::Hold)?;
        }
        settled.push(settled_row(settlement, *state, now));
    }

    sqlx::query(SETTLE).bind(json(&settled)).execute(tx.sql()).await?;
    sqlx::query(INSERT_ATTEMPTS).bind(json(&attempts)).execute(tx.sql()).await?;
    note_circuits(tx, &lanes, &settlements).await?;
    for (endpoint, reason) in disabled {
        endpoints::disable_by_id(tx, endpoint, reason).await?;
    }
    tx.wake(Topic::Settled);
    if settlements.iter().any(|settlement| matches!(settlement.verdict, Verdict::Retry { .. })) {
        tx.wake(Topic::Delivery);
    }
    Ok(lost)
}

/// The token and state of each delivery that there is.
async fn found(tx: &mut Tx, settlements: &[Settlement]) -> Result<HashMap<DeliveryId, (i64, DeliveryState)>> {
    let ids = hexes(settlements.iter().map(|settlement| settlement.delivery));
    let found = sqlx::query(FOUND).bind(ids).fetch_all(tx.sql()).await?;
    found.iter().map(|row| Ok((rows::id(row, "id")?, (column(row, "token")?, rows::delivery_state(row)?)))).collect()
}

/// Id, token, state, due, reason to wait, attempts to add, finished.
type SettledRow = (String, i64, &'static str, Option<i64>, Option<&'static str>, u32, Option<i64>);

fn settled_row(settlement: &Settlement, state: DeliveryState, now: Timestamp) -> SettledRow {
    let due = match state {
        DeliveryState::Scheduled { due } => Some(due.as_millis()),
        _ => None,
    };
    let reason = match settlement.verdict {
        Verdict::Retry { reason, .. } if due.is_some() => Some(reason),
        _ => None,
    };
    let finished = matches!(state, DeliveryState::Delivered | DeliveryState::Exhausted).then_some(now.as_millis());
    let added = u32::from(settlement.attempt.is_some());
    (hex(settlement.delivery), settlement.token, state.name(), due, reason, added, finished)
}

type AttemptRow<'a> = (String, String, u32, i64, String, Option<&'a str>, String, String, &'a str);

fn attempt_row(delivery: DeliveryId, attempt: &Attempt) -> AttemptRow<'_> {
    (
        hex(attempt.id),
        hex(delivery),
        attempt.number,
        attempt.at.as_millis(),
        json(&attempt.outcome),
        attempt.address.as_deref(),
        json(&attempt.timings_ms),
        json(&attempt.response_headers),
        &attempt.response_body,
    )
}

/// Writes the circuits and rows of failures that changed; of several settlements of one endpoint the last counts.
async fn note_circuits(tx: &mut Tx, lanes: &HashMap<EndpointId, Lane>, settlements: &[Settlement]) -> Result<()> {
    let last: HashMap<_, _> = settlements.iter().map(|settlement| (settlement.endpoint, settlement)).collect();
    let changed: Vec<_> = last
        .into_iter()
        .filter(|(id, settlement)| {
            lanes.get(id).is_some_and(|lane| lane.circuit != settlement.circuit || lane.failing != settlement.failing)
        })
        .map(|(id, settlement)| {
            let failing = settlement.failing;
            let since = failing.map(|failing| failing.since.as_millis());
            (hex(id), json(&settlement.circuit), since, failing.map(|failing| failing.attempts))
        })
        .collect();
    if !changed.is_empty() {
        sqlx::query(NOTE_CIRCUITS).bind(json(&changed)).execute(tx.sql()).await?;
    }
    Ok(())
}
