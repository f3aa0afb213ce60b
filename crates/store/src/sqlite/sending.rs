//! How deliveries are claimed and settled: many at once, in one transaction.
//!
//! What is found takes its ids as one JSON parameter, so that its text never changes and stays prepared; what is changed
//! is one statement for each row. What a row becomes is decided here by [`step`]; the statement repeats the state and token
//! that the decision was made on.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reelhook_domain::delivery::{Attempt, DeliveryState, Signal, step};
use reelhook_domain::id::{DeliveryId, EndpointId};
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;

use super::rows::{self, column, hex, hexes, json, key};
use super::sql::{self, Binder, Insert, each, query};
use super::writer::Tx;
use super::{bodies, endpoints};
use crate::wakes::Topic;
use crate::{ClaimedDelivery, Result, Settlement, StoreError};

/// Each endpoint that has something scheduled, found by leaps over the index rather than by walking it: what one dead
/// receiver has piled up is never read, however much it is.
macro_rules! lanes {
    ($($rest:expr),*) => {
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
            $($rest),*
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
    select deliveries.*, ",
    bodies::columns!(),
    " from due
    cross join deliveries on deliveries.id = due.id
    ",
    bodies::join!(),
    " where ",
    bodies::is_kept!(),
    "
    order by deliveries.due_at, deliveries.id"
);
pub(super) const TAKE: &str = "
    update deliveries set state = 'sending', due_at = null, waiting_reason = null, lease_until = ?3, token = token + 1
    where id = ?1 and token = ?2 and +state = 'scheduled'";
pub(super) const RENEW: &str = "
    update deliveries set lease_until = ?2
    from json_each(?1) as row
    where deliveries.id = unhex(row.value ->> 0) and deliveries.token = row.value ->> 1 and +deliveries.state = 'sending'
    returning deliveries.id";
pub(super) const FOUND: &str = "
    select deliveries.id, token, state, due_at, lease_until, endpoint
    from json_each(?) as row cross join deliveries on deliveries.id = unhex(row.value)";
pub(super) const SETTLE: &str = "
    update deliveries set state = ?3, due_at = ?4, lease_until = null, waiting_reason = ?5, attempts = attempts + ?6,
        finished_at = ?7, waits_since = ?8
    where id = ?1 and token = ?2 and +state = 'sending'";
pub(super) const RELEASE: &str = "
    update deliveries set state = iif(ended.enabled, ?2, ?3), due_at = iif(ended.enabled, ?4, null), waits_since = ?4,
        lease_until = null, token = token + 1
    from (
        select id, exists (
            select 1 from endpoints where endpoints.id = deliveries.endpoint and endpoints.state = 'enabled') as enabled
        from deliveries where lease_until <= ?1 and state = 'sending') as ended
    where deliveries.id = ended.id";
pub(super) const SHORTEN_WAITS: &str = "
    update deliveries indexed by deliveries_due
    set due_at = ?1 + max(0, due_at - coalesce(waits_since, created_at)), waits_since = ?1
    where due_at > ?1 and state = 'scheduled' and coalesce(waits_since, created_at) > ?1";
const INSERT_ATTEMPTS: Insert = (
    "insert into attempts (id, delivery, number, at, outcome, address, timings_ms, response_headers, response_body)",
    9,
    "on conflict do nothing",
);
const NOTE_CIRCUITS: &str = "
    update endpoints set circuit = row.value ->> 1, failing_since = row.value ->> 2, failing_attempts = row.value ->> 3
    from json_each(?) as row where endpoints.id = unhex(row.value ->> 0)
    and (circuit is not row.value ->> 1 or failing_since is not row.value ->> 2 or failing_attempts is not row.value ->> 3)";
pub(super) const ENABLED: &str = "
    select endpoints.id from json_each(?) as row cross join endpoints on endpoints.id = unhex(row.value)
    where endpoints.state = 'enabled'";

/// Lets waits that began later than it is now begin now: the clock was put back, and a wait is no longer for that.
pub(super) fn shorten_waits(tx: &mut Tx) -> Result<()> {
    let now = tx.now();
    let shortened = query(SHORTEN_WAITS).bind(now.as_millis()).run(tx)?;
    if shortened > 0 {
        tracing::warn!(
            deliveries = shortened,
            "the clock was put back; what waits to be sent waits no longer for that"
        );
    }
    Ok(())
}

pub(super) fn claim_due(
    tx: &mut Tx,
    limit: u32,
    per_endpoint: u32,
    except: String,
    lease: Duration,
) -> Result<Vec<ClaimedDelivery>> {
    let now = tx.now();
    release(tx, now)?;
    let due = query(CLAIM_DUE).bind(except).bind(now.as_millis()).bind(per_endpoint).bind(limit);
    let due = due.all(tx)?;
    let mut claimed = Vec::with_capacity(due.len());
    let mut taken = Vec::with_capacity(due.len());
    for row in &due {
        let mut delivery = rows::delivery(row)?;
        let token: i64 = column(row, "token")?;
        taken.push((delivery.id, token));
        delivery.state = step(delivery.state, Signal::Claim { until: now + lease })?;
        delivery.waiting_reason = None;
        claimed.push(ClaimedDelivery { delivery, token: token + 1, body: bodies::found(row)? });
    }
    let until = (now + lease).as_millis();
    let done = each(tx, TAKE, &taken, |row, &(id, token)| {
        row.bind(key(id)).bind(token).bind(until);
    })?;
    if done != taken.len() as u64 {
        return Err(StoreError::LeaseLost);
    }
    Ok(claimed)
}

pub(super) fn renew(tx: &mut Tx, held: Vec<(DeliveryId, i64)>, lease: Duration) -> Result<Vec<DeliveryId>> {
    let until = tx.now() + lease;
    let wanted: Vec<_> = held.iter().map(|&(id, token)| (hex(id), token)).collect();
    let renewed = query(RENEW).bind(json(&wanted)).bind(until.as_millis()).all(tx)?;
    let renewed = renewed.iter().map(|row| rows::id(row, "id")).collect::<Result<HashSet<DeliveryId>>>()?;
    Ok(held.into_iter().map(|(id, _)| id).filter(|id| !renewed.contains(id)).collect())
}

/// Ends the leases that end at `ended` or before: due now, or held where the endpoint was disabled meanwhile.
pub(super) fn release(tx: &mut Tx, ended: Timestamp) -> Result<u64> {
    let now = tx.now();
    let due = step(DeliveryState::Sending { until: ended }, Signal::Release { due: now })?;
    let held = step(due, Signal::Hold)?;
    let done = query(RELEASE).bind(ended.as_millis()).bind(due.name()).bind(held.name()).bind(now.as_millis());
    let released = done.run(tx)?;
    if released > 0 {
        tx.wake(Topic::Delivery);
    }
    Ok(released)
}

pub(super) fn settle(tx: &mut Tx, settlements: &[Settlement]) -> Result<Vec<DeliveryId>> {
    let now = tx.now();
    let enabled = enabled(tx, settlements)?;
    // By the place of each settlement: one delivery may end twice in a batch, under an old claim and under its newest.
    let mut is_lost = vec![false; settlements.len()];
    let mut seen = HashSet::new();
    let mut settled = Vec::with_capacity(settlements.len());
    for (place, settlement) in settlements.iter().enumerate() {
        // Of several endings of one claim the first counts.
        if !seen.insert((settlement.delivery, settlement.token)) {
            is_lost[place] = true;
            continue;
        }
        // Of any other state, or under another claim, the statement finds nothing.
        let sending = DeliveryState::Sending { until: now };
        let mut state = step(sending, Signal::Settle(settlement.verdict))?;
        // What has to wait for an endpoint that is disabled waits with the others.
        if matches!(state, DeliveryState::Scheduled { .. }) && !enabled.contains(&settlement.endpoint) {
            state = step(state, Signal::Hold)?;
        }
        settled.push(Settled::new(settlement, state, now));
    }
    let done = each(tx, SETTLE, &settled, |row, settled| {
        row.bind(key(settled.delivery))
            .bind(settled.token)
            .bind(settled.state.name())
            .bind(settled.due)
            .bind(settled.reason)
            .bind(settled.attempts)
            .bind(settled.finished)
            .bind(settled.due.map(|_| now.as_millis()));
    })?;
    if done != settled.len() as u64 {
        let found = found(tx, settlements)?;
        // A row that came to another state in another way has another number: every way out of `sending` but this one,
        // and the claim that led to it, counts on.
        let written: HashMap<_, _> = settled.iter().map(|row| ((row.delivery, row.token), row.state)).collect();
        for (lost, settlement) in is_lost.iter_mut().zip(settlements) {
            let state = written.get(&(settlement.delivery, settlement.token)).map(|state| state.name());
            let known = found.get(&settlement.delivery).filter(|(token, _)| *token == settlement.token);
            *lost |= known.map(|(_, state)| state.as_str()) != state;
        }
    }

    let mut disabled: HashMap<EndpointId, &str> = HashMap::new();
    for (settlement, _) in settlements.iter().zip(&is_lost).filter(|(_, lost)| !**lost) {
        let disable = settlement.disable.or((settlement.verdict == Verdict::Gone).then_some("gone"));
        if let Some(reason) = disable {
            disabled.entry(settlement.endpoint).or_insert(reason);
        }
    }
    let attempts: Vec<_> = settlements
        .iter()
        .filter_map(|settlement| settlement.attempt.as_ref().map(|attempt| (settlement.delivery, attempt)))
        .collect();
    sql::insert(tx, INSERT_ATTEMPTS, attempts, |row, (delivery, attempt)| bind_attempt(row, delivery, attempt))?;
    note_circuits(tx, settlements)?;
    for (endpoint, reason) in disabled {
        endpoints::disable_by_id(tx, endpoint, reason)?;
    }
    tx.wake(Topic::Settled);
    let mut told = HashSet::new();
    let lost = settlements.iter().zip(is_lost).filter(|(_, lost)| *lost).map(|(settlement, _)| settlement.delivery);
    Ok(lost.filter(|delivery| told.insert(*delivery)).collect())
}

/// Which endpoints of those that something shall wait for are enabled.
fn enabled(tx: &mut Tx, settlements: &[Settlement]) -> Result<HashSet<EndpointId>> {
    let waits = |settlement: &&Settlement| matches!(settlement.verdict, Verdict::Retry { .. } | Verdict::Gone);
    let wanted: HashSet<_> = settlements.iter().filter(waits).map(|settlement| settlement.endpoint).collect();
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let found = query(ENABLED).bind(hexes(wanted)).all(tx)?;
    found.iter().map(|row| rows::id(row, "id")).collect()
}

/// The token and state of each delivery that there is.
fn found(tx: &mut Tx, settlements: &[Settlement]) -> Result<HashMap<DeliveryId, (i64, String)>> {
    let ids = hexes(settlements.iter().map(|settlement| settlement.delivery));
    let found = query(FOUND).bind(ids).all(tx)?;
    found.iter().map(|row| Ok((rows::id(row, "id")?, (column(row, "token")?, column(row, "state")?)))).collect()
}

/// What a delivery becomes.
struct Settled {
    delivery: DeliveryId,
    token: i64,
    state: DeliveryState,
    due: Option<i64>,
    reason: Option<&'static str>,
    /// How many attempts are added.
    attempts: bool,
    finished: Option<i64>,
}

impl Settled {
    fn new(settlement: &Settlement, state: DeliveryState, now: Timestamp) -> Self {
        let due = match state {
            DeliveryState::Scheduled { due } => {
                // Where the clock was put back since the attempt began, the wait was reckoned by the clock of before.
                let ahead = settlement.attempt.as_ref().map_or(Duration::ZERO, |attempt| attempt.at.since(now));
                Some((due - ahead).as_millis())
            }
            _ => None,
        };
        let reason = match settlement.verdict {
            Verdict::Retry { reason, .. } if due.is_some() => Some(reason),
            _ => None,
        };
        let finished = matches!(state, DeliveryState::Delivered | DeliveryState::Exhausted).then_some(now.as_millis());
        let (delivery, token, attempts) = (settlement.delivery, settlement.token, settlement.attempt.is_some());
        Self { delivery, token, state, due, reason, attempts, finished }
    }
}

fn bind_attempt(row: &mut Binder<'_, '_>, delivery: DeliveryId, attempt: &Attempt) {
    row.bind(key(attempt.id))
        .bind(key(delivery))
        .bind(attempt.number)
        .bind(attempt.at.as_millis())
        .bind(json(&attempt.outcome))
        .bind(attempt.address.as_deref())
        .bind(json(&attempt.timings_ms))
        .bind(json(&attempt.response_headers))
        .bind(attempt.response_body.as_str());
}

/// Writes the circuits and rows of failures that changed; of several settlements of one endpoint the last counts.
fn note_circuits(tx: &mut Tx, settlements: &[Settlement]) -> Result<()> {
    let last: HashMap<_, _> = settlements.iter().map(|settlement| (settlement.endpoint, settlement)).collect();
    let noted: Vec<_> = last
        .into_iter()
        .map(|(id, settlement)| {
            let failing = settlement.failing;
            let since = failing.map(|failing| failing.since.as_millis());
            (hex(id), json(&settlement.circuit), since, failing.map(|failing| failing.attempts))
        })
        .collect();
    query(NOTE_CIRCUITS).bind(json(&noted)).run(tx)?;
    Ok(())
}
