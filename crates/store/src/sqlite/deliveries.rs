//! Deliveries: what callers do with them. How they are made is in [`super::fanout`], how they are sent in [`super::sending`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::delivery::{Delivery, DeliveryState, Signal, step};
use reelhook_domain::id::{AccountId, DeliveryId, DeliveryKind, EndpointId};
use reelhook_domain::time::Timestamp;

use super::rows::{self, column, hexes, key};
use super::sql::query;
use super::writer::Tx;
use super::{SqliteStore, bodies, fanout, lists, recover, sending};
use crate::wakes::Topic;
use crate::{
    ClaimedDelivery, Deliveries, DeliveryFilter, DeliveryRecord, FanOut, NewDelivery, Page, Result, Settlement, Span,
    StoreError, Then,
};

/// A delivery with its body, if that is still there.
const ONE_DELIVERY: &str = concat!(
    "select deliveries.*, ",
    bodies::columns!(),
    " from deliveries ",
    bodies::join!(),
    " where deliveries.id = ?"
);
const ATTEMPTS: &str = "select * from attempts where delivery = ? order by number, id";
pub(super) const PULL: &str = concat!(
    "select deliveries.*, ",
    bodies::columns!(),
    " from deliveries ",
    bodies::join!(),
    " where endpoint = ? and deliveries.sequence > ? and ",
    bodies::is_kept!(),
    " order by deliveries.sequence limit ?"
);
/// Counts small indexes only, and all rows once.
const COUNTS: &str = "
    select
        (select count(*) from deliveries where due_at is not null) as scheduled,
        (select count(*) from deliveries where lease_until is not null) as sending,
        (select count(*) from deliveries where state = 'held') as held,
        (select count(*) from deliveries where state = 'exhausted') as exhausted,
        (select count(*) from deliveries where state = 'canceled') as canceled,
        (select count(*) from deliveries) as everything";

#[async_trait]
impl Deliveries for SqliteStore {
    async fn fan_out(&self, batch: FanOut, lease: Duration) -> Result<Vec<ClaimedDelivery>> {
        self.write(move |tx| fanout::fan_out(tx, batch, lease)).await
    }

    async fn fan_out_then(&self, batch: FanOut, lease: Duration, then: Then) -> Result<()> {
        let work = move |tx: &mut Tx| {
            let claimed = fanout::fan_out(tx, batch, lease)?;
            tx.after_commit(move || then(claimed));
            Ok(())
        };
        self.write(work).await
    }

    async fn claim_due(
        &self,
        limit: u32,
        per_endpoint: u32,
        except: &[EndpointId],
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let except = hexes(except.iter().copied());
        let now = self.ambient.now().as_millis();
        let was_put_back = now < self.looked.swap(now, Ordering::Relaxed);
        let work = move |tx: &mut Tx| {
            if was_put_back {
                sending::shorten_waits(tx)?;
            }
            sending::claim_due(tx, limit, per_endpoint, except, lease)
        };
        let claimed = self.write(work).await;
        if was_put_back && claimed.is_err() {
            // Nothing was written; the next look does it.
            self.looked.store(i64::MAX, Ordering::Relaxed);
        }
        claimed
    }

    async fn next_due(&self, except: &[EndpointId]) -> Result<Option<Timestamp>> {
        let due = query(sending::NEXT_DUE).bind(hexes(except.iter().copied())).read_one(&self.readers).await?;
        rows::maybe_time(&due, "due")
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<DeliveryId>> {
        self.write(move |tx| sending::settle(tx, &settlements)).await
    }

    async fn renew_deliveries(&self, held: &[(DeliveryId, i64)], lease: Duration) -> Result<Vec<DeliveryId>> {
        let held = held.to_vec();
        self.write(move |tx| sending::renew(tx, held, lease)).await
    }

    async fn void_delivery_leases(&self) -> Result<u64> {
        self.write(|tx| sending::release(tx, Timestamp::from_millis(i64::MAX))).await
    }

    async fn delivery(&self, account: AccountId, id: DeliveryId) -> Result<DeliveryRecord> {
        let found = query(ONE_DELIVERY).bind(key(id)).read_first(&self.readers).await?;
        let row = found.ok_or(StoreError::NotFound)?;
        let delivery = rows::delivery(&row)?;
        if delivery.account != account {
            return Err(StoreError::NotFound);
        }
        let body = bodies::read(&row)?;
        let attempts = query(ATTEMPTS).bind(key(id)).read_all(&self.readers).await?;
        let attempts = attempts.iter().map(rows::attempt).collect::<Result<_>>()?;
        Ok(DeliveryRecord { delivery, attempts, body })
    }

    async fn list_deliveries(&self, account: AccountId, filter: &DeliveryFilter, page: Page) -> Result<Vec<Delivery>> {
        let listed = match lists::deliveries(account, filter, page) {
            None => return Ok(Vec::new()),
            Some(lists::Deliveries::Page(listed)) => listed,
            Some(lists::Deliveries::Ids(found)) => {
                let found = found.read_all(&self.readers).await?;
                let ids =
                    found.iter().map(|row| Ok(rows::id::<DeliveryKind>(row, "id")?.bits())).collect::<Result<_>>()?;
                lists::deliveries_of(filter, page, ids)
            }
        };
        listed.read_all(&self.readers).await?.iter().map(rows::delivery).collect()
    }

    async fn resend(&self, account: AccountId, id: DeliveryId) -> Result<Delivery> {
        self.write(move |tx| resend(tx, account, id)).await
    }

    async fn recover(&self, account: AccountId, endpoint: EndpointId, exhausted: Span, limit: u32) -> Result<u32> {
        self.write(move |tx| recover::recover(tx, account, endpoint, exhausted, limit)).await
    }

    async fn replay(&self, delivery: NewDelivery) -> Result<Delivery> {
        self.write(|tx| recover::replay(tx, delivery)).await
    }

    async fn cancel_delivery(&self, account: AccountId, id: DeliveryId) -> Result<Delivery> {
        self.write(move |tx| cancel(tx, account, id)).await
    }

    async fn pull(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(Delivery, Arc<str>)>> {
        let known =
            query("select 1 from endpoints where id = ? and account = ?").bind(key(endpoint)).bind(key(account));
        known.read_first(&self.readers).await?.ok_or(StoreError::NotFound)?;
        let found = query(PULL).bind(key(endpoint)).bind(after).bind(limit).read_all(&self.readers).await?;
        found.iter().map(|row| Ok((rows::delivery(row)?, bodies::found(row)?))).collect()
    }

    async fn count_deliveries(&self) -> Result<Vec<(String, u64)>> {
        let row = query(COUNTS).read_one(&self.readers).await?;
        let mut delivered = rows::count::<u64>(&row, "everything")?;
        let mut counts = Vec::with_capacity(DeliveryState::NAMES.len());
        for name in ["scheduled", "sending", "held", "exhausted", "canceled"] {
            let count = rows::count(&row, name)?;
            delivered = delivered.saturating_sub(count);
            counts.push((name.to_owned(), count));
        }
        counts.push((DeliveryState::Delivered.name().to_owned(), delivered));
        Ok(counts)
    }
}

/// A delivery, the fencing number of its row, and whether it has a body and an enabled endpoint.
struct Kept {
    delivery: Delivery,
    token: i64,
    body: bool,
    enabled: Option<bool>,
}

fn load_owned(tx: &mut Tx, account: AccountId, id: DeliveryId) -> Result<Kept> {
    let found = query(concat!(
        "select *, (select endpoints.state = 'enabled' from endpoints where endpoints.id = deliveries.endpoint) as enabled, ",
        bodies::exists!(),
        " as body from deliveries where id = ? and account = ?",
    ));
    let found = found.bind(key(id)).bind(key(account)).first(tx)?;
    let row = found.ok_or(StoreError::NotFound)?;
    Ok(Kept {
        delivery: rows::delivery(&row)?,
        token: column(&row, "token")?,
        body: column(&row, "body")?,
        enabled: column(&row, "enabled")?,
    })
}

pub(super) fn resend(tx: &mut Tx, account: AccountId, id: DeliveryId) -> Result<Delivery> {
    let now = tx.now();
    let mut kept = load_owned(tx, account, id)?;
    // What is kept no longer cannot be sent, and neither can anything be sent to an endpoint that was deleted.
    let enabled = kept.enabled.ok_or(StoreError::EndpointGone(kept.delivery.endpoint))?;
    let prior = kept.delivery.state;
    let mut next = step(prior, Signal::Resend { due: now })?;
    if !kept.body {
        return Err(StoreError::BodyGone);
    }
    if !enabled {
        next = step(next, Signal::Hold)?;
    }
    kept.delivery.state = next;
    kept.delivery.schedule_offset = kept.delivery.attempts;
    kept.delivery.finished_at = None;
    save(tx, prior, kept)
}

fn cancel(tx: &mut Tx, account: AccountId, id: DeliveryId) -> Result<Delivery> {
    let mut kept = load_owned(tx, account, id)?;
    let prior = kept.delivery.state;
    kept.delivery.state = step(prior, Signal::Cancel)?;
    kept.delivery.finished_at = Some(tx.now());
    save(tx, prior, kept)
}

fn save(tx: &mut Tx, prior: DeliveryState, kept: Kept) -> Result<Delivery> {
    let mut delivery = kept.delivery;
    delivery.waiting_reason = None;
    let due = match delivery.state {
        DeliveryState::Scheduled { due } => Some(due.as_millis()),
        _ => None,
    };
    let saved = query(
        "update deliveries set state = ?1, due_at = ?2, waits_since = ?2, lease_until = null, waiting_reason = null,
            schedule_offset = ?3, finished_at = ?4, token = token + 1
        where id = ?5 and state = ?6 and token = ?7",
    )
    .bind(delivery.state.name())
    .bind(due)
    .bind(delivery.schedule_offset)
    .bind(delivery.finished_at.map(Timestamp::as_millis))
    .bind(key(delivery.id))
    .bind(prior.name())
    .bind(kept.token)
    .run(tx)?;
    if saved != 1 {
        return Err(StoreError::LeaseLost);
    }
    tx.wake(Topic::Delivery);
    Ok(delivery)
}
