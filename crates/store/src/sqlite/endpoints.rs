//! Endpoints and the secrets that sign for them.

use async_trait::async_trait;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{DeliveryState, Signal, step};
use reelhook_domain::endpoint::{Endpoint, EndpointRole, EndpointState};
use reelhook_domain::event::{EventFilter, EventType};
use reelhook_domain::id::{AccountId, EndpointId, SecretId};
use reelhook_domain::quota::Quota;
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::EndpointTls;
use serde_json::json;

use super::rows::{self, column, hexes, key};
use super::sql::{Query, query};
use super::writer::Tx;
use super::{SqliteStore, events, quotas};
use crate::endpoints::MOST_OLD_SECRETS;
use crate::vault::Vault;
use crate::wakes::Topic;
use crate::{
    EndpointChange, Endpoints, JobEndpoint, NewEvent, READ_ACCURACY, Result, SealedFor, SigningSecret, StoreError,
};

const BY_URL: &str = "
    select * from endpoints
    where account = ? and role = ? and url = ? and dialect = ? and role in ('default', 'job')";
const BY_ID: &str = "select * from endpoints where id = ?";
const REGISTERED: &str = "select * from endpoints where account = ? and role = 'registered' order by id desc";
const FILTERS: &str = "select events from endpoints where account = ? and role = 'registered'";
pub(super) const BY_IDS: &str = "
    select endpoints.* from json_each(?) as wanted cross join endpoints on endpoints.id = unhex(wanted.value)";
const SECRETS: &str = "
    select * from secrets where (endpoint = ?1 or account = ?2) and (until is null or until > ?3)
    order by created_at desc, id desc";

const READ_BEFORE: &str = "select 1 as stale from temporary_endpoints where endpoint = ? and read_at <= ?";
const UNREAD: &str = "
    select endpoints.id, endpoints.account
    from temporary_endpoints join endpoints on endpoints.id = temporary_endpoints.endpoint
    where read_at < ? limit ?";

const COUNTS: &str = "
    select count(*) filter (where state = 'enabled') as enabled, count(*) filter (where state = 'disabled') as disabled
    from endpoints";

#[async_trait]
impl Endpoints for SqliteStore {
    async fn create_endpoint(&self, endpoint: Endpoint, secret: SigningSecret) -> Result<()> {
        self.write(move |tx| create(tx, &endpoint, secret)).await
    }

    async fn create_temporary_endpoint(&self, endpoint: Endpoint, secret: SigningSecret) -> Result<()> {
        self.write(move |tx| {
            create(tx, &endpoint, secret)?;
            let insert = query("insert into temporary_endpoints (endpoint, read_at) values (?, ?)");
            insert.bind(key(endpoint.id)).bind(tx.now().as_millis()).run(tx)?;
            Ok(())
        })
        .await
    }

    async fn note_read(&self, id: EndpointId) -> Result<()> {
        // Few endpoints are temporary, and few of the times they are read need be written down.
        let old = (self.now() - READ_ACCURACY).as_millis();
        let stale = query(READ_BEFORE).bind(key(id)).bind(old);
        if stale.read_first(&self.readers).await?.is_none() {
            return Ok(());
        }
        self.write(move |tx| {
            let update = query("update temporary_endpoints set read_at = ?2 where endpoint = ?1");
            update.bind(key(id)).bind(tx.now().as_millis()).run(tx)?;
            Ok(())
        })
        .await
    }

    async fn delete_unread_endpoints(&self, before: Timestamp, limit: u32) -> Result<u32> {
        let unread = query(UNREAD).bind(before.as_millis()).bind(limit);
        if unread.read_first(&self.readers).await?.is_none() {
            return Ok(0);
        }
        self.write(move |tx| {
            // One that was read since then stays.
            let unread = query(UNREAD).bind(before.as_millis()).bind(limit).all(tx)?;
            for row in &unread {
                delete(tx, rows::id(row, "account")?, rows::id(row, "id")?)?;
            }
            Ok(u32::try_from(unread.len()).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn endpoint_for(&self, wanted: JobEndpoint) -> Result<Endpoint> {
        if let Some(row) = by_url(&wanted).read_first(&self.readers).await? {
            let endpoint = rows::endpoint(&row, &self.vault)?;
            if is_as_wanted(&endpoint, &wanted) {
                return Ok(endpoint);
            }
        }
        self.write(|tx| endpoint_for(tx, wanted)).await
    }

    async fn endpoint(&self, account: AccountId, id: EndpointId) -> Result<Endpoint> {
        let found = query(BY_ID).bind(key(id)).read_first(&self.readers).await?;
        let endpoint = rows::endpoint(&found.ok_or(StoreError::NotFound)?, &self.vault)?;
        if endpoint.account == account { Ok(endpoint) } else { Err(StoreError::NotFound) }
    }

    async fn endpoint_filters(&self, account: AccountId) -> Result<Vec<EventFilter>> {
        let found = query(FILTERS).bind(key(account)).read_all(&self.readers).await?;
        found.iter().map(|row| rows::read(row, "events")).collect()
    }

    async fn list_endpoints(&self, account: AccountId) -> Result<Vec<Endpoint>> {
        let found = query(REGISTERED).bind(key(account)).read_all(&self.readers).await?;
        found.iter().map(|row| rows::endpoint(row, &self.vault)).collect()
    }

    async fn endpoints_by_id(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>> {
        let found = query(BY_IDS).bind(hexes(ids.iter().copied())).read_all(&self.readers).await?;
        found.iter().map(|row| rows::endpoint(row, &self.vault)).collect()
    }

    async fn count_endpoints(&self) -> Result<Vec<(EndpointState, u64)>> {
        let row = query(COUNTS).read_one(&self.readers).await?;
        let states = [(EndpointState::Enabled, "enabled"), (EndpointState::Disabled, "disabled")];
        states.into_iter().map(|(state, name)| Ok((state, rows::count(&row, name)?))).collect()
    }

    async fn change_endpoint(&self, account: AccountId, id: EndpointId, change: EndpointChange) -> Result<Endpoint> {
        self.write(move |tx| change_endpoint(tx, account, id, change)).await
    }

    async fn delete_endpoint(&self, account: AccountId, id: EndpointId) -> Result<()> {
        self.write(move |tx| delete(tx, account, id)).await
    }

    async fn add_secret(&self, secret: SigningSecret, overlap_until: Timestamp) -> Result<()> {
        self.write(move |tx| add_secret(tx, secret, overlap_until)).await
    }

    async fn revoke_secret(&self, account: AccountId, id: SecretId) -> Result<()> {
        self.write(move |tx| revoke_secret(tx, account, id)).await
    }

    async fn secrets(&self, owner: SealedFor) -> Result<Vec<SigningSecret>> {
        let (endpoint, account) = columns(owner);
        let found = query(SECRETS).bind(endpoint).bind(account).bind(self.now().as_millis());
        found.read_all(&self.readers).await?.iter().map(|row| rows::secret(row, owner, &self.vault)).collect()
    }
}

fn by_url(wanted: &JobEndpoint) -> Query<'static> {
    query(BY_URL)
        .bind(key(wanted.account))
        .bind(wanted.role.as_str())
        .bind(wanted.url.to_string())
        .bind(wanted.dialect.as_str())
}

/// Whether an endpoint that was found has what is asked for.
fn is_as_wanted(endpoint: &Endpoint, wanted: &JobEndpoint) -> bool {
    wanted.headers.as_ref().is_none_or(|headers| *headers == endpoint.headers)
        && wanted.tls.as_ref().is_none_or(|tls| *tls == endpoint.tls)
}

fn create(tx: &mut Tx, endpoint: &Endpoint, secret: SigningSecret) -> Result<()> {
    quotas::check(tx, Quota::Endpoints, endpoint.account, 1)?;
    quotas::check(tx, Quota::Secrets, endpoint.account, 1)?;
    insert(tx, endpoint)?;
    insert_secret(tx, secret)?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(())
}

fn endpoint_for(tx: &mut Tx, wanted: JobEndpoint) -> Result<Endpoint> {
    // Somebody else may have made it since we looked.
    if let Some(row) = by_url(&wanted).first(tx)? {
        let mut endpoint = rows::endpoint(&row, tx.vault())?;
        if !is_as_wanted(&endpoint, &wanted) {
            endpoint.headers = wanted.headers.unwrap_or(endpoint.headers);
            endpoint.tls = wanted.tls.unwrap_or(endpoint.tls);
            save(tx, &endpoint)?;
            tx.wake(Topic::Endpoint);
            tx.wake(Topic::Delivery);
        }
        return Ok(endpoint);
    }
    let JobEndpoint { account, role, url, dialect, timeout_ms, headers, tls } = wanted;
    // Those of jobs are bounded by the jobs.
    if role == EndpointRole::Default {
        quotas::check(tx, Quota::Endpoints, account, 1)?;
    }
    let endpoint = Endpoint {
        id: tx.ambient().id(),
        account,
        role,
        url,
        events: EventFilter::default(),
        dialect,
        description: String::new(),
        headers: headers.unwrap_or_default(),
        retry: None,
        rate: None,
        timeout_ms,
        state: EndpointState::Enabled,
        disabled_reason: None,
        circuit: Circuit::default(),
        tls: tls.unwrap_or_default(),
        failing: None,
        created_at: tx.now(),
    };
    insert(tx, &endpoint)?;
    Ok(endpoint)
}

fn insert(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    let insert = query(
        "insert into endpoints (id, url, events, description, headers, tls, retry, rate, timeout_ms, state, disabled_reason,
            circuit, failing_since, failing_attempts, account, role, dialect, created_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    bind_changeable(insert, endpoint, tx.vault())
        .bind(key(endpoint.account))
        .bind(endpoint.role.as_str())
        .bind(endpoint.dialect.as_str())
        .bind(endpoint.created_at.as_millis())
        .run(tx)?;
    Ok(())
}

/// Writes all of an endpoint that can change.
fn save(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    let update = query(
        "update endpoints set url = ?2, events = ?3, description = ?4, headers = ?5, tls = ?6, retry = ?7, rate = ?8, timeout_ms = ?9,
            state = ?10, disabled_reason = ?11, circuit = ?12, failing_since = ?13, failing_attempts = ?14
        where id = ?1",
    );
    bind_changeable(update, endpoint, tx.vault()).run(tx)?;
    Ok(())
}

/// The id, then all that can change, in the order of the columns above.
fn bind_changeable<'q>(query: Query<'q>, endpoint: &Endpoint, vault: &Vault) -> Query<'q> {
    let seal = |text: String| vault.seal(&endpoint.id.to_bytes(), &text);
    let headers = (!endpoint.headers.is_empty()).then(|| seal(rows::json(&endpoint.headers)));
    let tls = (!endpoint.tls.is_usual()).then(|| seal(rows::json(&endpoint.tls)));
    query
        .bind(key(endpoint.id))
        .bind(endpoint.url.to_string())
        .bind(rows::json(&endpoint.events))
        .bind(endpoint.description.clone())
        .bind(headers)
        .bind(tls)
        .bind(endpoint.retry.as_ref().map(rows::json))
        .bind(endpoint.rate.as_ref().map(rows::json))
        .bind(endpoint.timeout_ms)
        .bind(endpoint.state.as_str())
        .bind(endpoint.disabled_reason.clone())
        .bind(rows::json(&endpoint.circuit))
        .bind(endpoint.failing.map(|failing| failing.since.as_millis()))
        .bind(endpoint.failing.map(|failing| failing.attempts))
}

/// An endpoint of whatever account; `None` when it was deleted.
fn load(tx: &mut Tx, id: EndpointId) -> Result<Option<Endpoint>> {
    let found = query(BY_ID).bind(key(id)).first(tx)?;
    found.map(|row| rows::endpoint(&row, tx.vault())).transpose()
}

fn load_owned(tx: &mut Tx, account: AccountId, id: EndpointId) -> Result<Endpoint> {
    load(tx, id)?.filter(|endpoint| endpoint.account == account).ok_or(StoreError::NotFound)
}

fn change_endpoint(tx: &mut Tx, account: AccountId, id: EndpointId, change: EndpointChange) -> Result<Endpoint> {
    let mut endpoint = load_owned(tx, account, id)?;
    let EndpointChange { url, events, description, headers, tls, retry, rate, timeout_ms, state } = change;
    endpoint.url = url.unwrap_or(endpoint.url);
    endpoint.events = events.unwrap_or(endpoint.events);
    endpoint.description = description.unwrap_or(endpoint.description);
    endpoint.headers = headers.unwrap_or(endpoint.headers);
    endpoint.tls = match tls {
        None => endpoint.tls,
        Some(None) => EndpointTls::default(),
        Some(Some(change)) => change.apply(endpoint.tls),
    };
    endpoint.retry = retry.unwrap_or(endpoint.retry);
    endpoint.rate = rate.unwrap_or(endpoint.rate);
    endpoint.timeout_ms = timeout_ms.unwrap_or(endpoint.timeout_ms);
    match state {
        Some((EndpointState::Disabled, reason)) if endpoint.state == EndpointState::Enabled => {
            disable(tx, &mut endpoint, reason)?;
        }
        Some((EndpointState::Enabled, _)) if endpoint.state == EndpointState::Disabled => enable(tx, &mut endpoint)?,
        Some(_) | None => {}
    }
    save(tx, &endpoint)?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(endpoint)
}

/// Disables an endpoint that is still enabled, for a reason that its attempts gave.
pub(super) fn disable_by_id(tx: &mut Tx, id: EndpointId, reason: &str) -> Result<()> {
    let Some(mut endpoint) = load(tx, id)? else { return Ok(()) };
    if endpoint.state == EndpointState::Enabled {
        disable(tx, &mut endpoint, Some(reason.to_owned()))?;
        save(tx, &endpoint)?;
    }
    Ok(())
}

/// Holds what is scheduled. What is being sent ends by itself, and is held by `settle` should it have to wait.
fn disable(tx: &mut Tx, endpoint: &mut Endpoint, reason: Option<String>) -> Result<()> {
    let now = tx.now();
    endpoint.state = EndpointState::Disabled;
    endpoint.disabled_reason = reason;
    let held = step(DeliveryState::Scheduled { due: now }, Signal::Hold)?;
    query(
        "update deliveries set state = ?, due_at = null, waiting_reason = null, token = token + 1
        where endpoint = ? and due_at is not null and state = 'scheduled'",
    )
    .bind(held.name())
    .bind(key(endpoint.id))
    .run(tx)?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    tell(tx, endpoint, EventType::ENDPOINT_DISABLED)
}

/// Offers what is held, due now, with a clean sheet: old failures say nothing about an endpoint that was repaired.
fn enable(tx: &mut Tx, endpoint: &mut Endpoint) -> Result<()> {
    let now = tx.now();
    endpoint.state = EndpointState::Enabled;
    endpoint.disabled_reason = None;
    endpoint.circuit = Circuit::default();
    endpoint.failing = None;
    let offered = step(DeliveryState::Held, Signal::Offer { due: now })?;
    query(
        "update deliveries set state = ?1, due_at = ?2, waits_since = ?2, token = token + 1
        where endpoint = ?3 and state = 'held'",
    )
    .bind(offered.name())
    .bind(now.as_millis())
    .bind(key(endpoint.id))
    .run(tx)?;
    tell(tx, endpoint, EventType::ENDPOINT_ENABLED)
}

fn tell(tx: &mut Tx, endpoint: &Endpoint, kind: &'static str) -> Result<()> {
    let data = json!({ "endpoint": endpoint.id, "url": endpoint.url, "reason": endpoint.disabled_reason });
    let id = tx.ambient().id();
    let event = NewEvent { id, account: endpoint.account, kind: EventType::ours(kind), data: data.into(), only: None };
    events::write(tx, event, None)
}

fn delete(tx: &mut Tx, account: AccountId, id: EndpointId) -> Result<()> {
    let now = tx.now();
    load_owned(tx, account, id)?;
    let canceled = canceled(DeliveryState::Scheduled { due: now })?;
    debug_assert_eq!(canceled, self::canceled(DeliveryState::Sending { until: now })?);
    query(
        "update deliveries set state = ?, due_at = null, lease_until = null, waiting_reason = null, token = token + 1,
            finished_at = ?
        where endpoint = ? and state in ('scheduled', 'sending', 'held')",
    )
    .bind(canceled.name())
    .bind(now.as_millis())
    .bind(key(id))
    .run(tx)?;
    query("delete from endpoints where id = ?").bind(key(id)).run(tx)?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(())
}

/// What a delivery becomes whose endpoint is deleted: held first, so that whoever is sending it loses it, then canceled.
fn canceled(state: DeliveryState) -> Result<DeliveryState> {
    Ok(step(step(state, Signal::Hold)?, Signal::Cancel)?)
}

/// The owner of a secret as the two columns keep it.
const fn columns(owner: SealedFor) -> (Option<[u8; 16]>, Option<[u8; 16]>) {
    match owner {
        SealedFor::Endpoint(id) => (Some(key(id)), None),
        SealedFor::Account(id) => (None, Some(key(id))),
    }
}

/// Whose a secret is; none where its endpoint was deleted.
fn account_of(tx: &mut Tx, owner: SealedFor) -> Result<Option<AccountId>> {
    match owner {
        SealedFor::Account(account) => Ok(Some(account)),
        SealedFor::Endpoint(id) => Ok(load(tx, id)?.map(|endpoint| endpoint.account)),
    }
}

fn add_secret(tx: &mut Tx, secret: SigningSecret, overlap_until: Timestamp) -> Result<()> {
    let (endpoint, account) = columns(secret.owner);
    query("delete from secrets where (endpoint = ? or account = ?) and until <= ?")
        .bind(endpoint)
        .bind(account)
        .bind(tx.now().as_millis())
        .run(tx)?;
    if let Some(account) = account_of(tx, secret.owner)? {
        quotas::check(tx, Quota::Secrets, account, 1)?;
    }
    refuse_too_many(tx, &secret, overlap_until)?;
    query(
        "update secrets set until = ?1
        where (endpoint = ?2 or account = ?3) and scheme = ?4 and (until is null or until > ?1)",
    )
    .bind(overlap_until.as_millis())
    .bind(endpoint)
    .bind(account)
    .bind(secret.scheme.clone())
    .run(tx)?;
    insert_secret(tx, secret)?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(())
}

/// Holds the old secrets of one owner and scheme to their number, unless all of them end at once.
fn refuse_too_many(tx: &mut Tx, secret: &SigningSecret, overlap_until: Timestamp) -> Result<()> {
    let now = tx.now();
    if overlap_until <= now {
        return Ok(());
    }
    let (endpoint, account) = columns(secret.owner);
    let row = query(
        "select count(*) as signing, min(until) as soonest from secrets
        where (endpoint = ?1 or account = ?2) and scheme = ?3 and (until is null or until > ?4)",
    )
    .bind(endpoint)
    .bind(account)
    .bind(secret.scheme.clone())
    .bind(now.as_millis())
    .one(tx)?;
    let soonest: Option<i64> = column(&row, "soonest")?;
    match soonest {
        Some(soonest) if rows::count::<usize>(&row, "signing")? > MOST_OLD_SECRETS => {
            Err(StoreError::TooManySecrets { until: Timestamp::from_millis(soonest) })
        }
        Some(_) | None => Ok(()),
    }
}

fn revoke_secret(tx: &mut Tx, account: AccountId, id: SecretId) -> Result<()> {
    let gone = query("delete from secrets where id = ? and account = ?").bind(key(id)).bind(key(account));
    if gone.run(tx)? == 0 {
        return Err(StoreError::NotFound);
    }
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(())
}

fn insert_secret(tx: &mut Tx, secret: SigningSecret) -> Result<()> {
    let (endpoint, account) = columns(secret.owner);
    let owner = endpoint.or(account).unwrap_or_default();
    let sealed = tx.vault().seal(&owner, &secret.text);
    query(
        "insert into secrets (id, endpoint, account, scheme, sealed, created_at, until) values (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key(secret.id))
    .bind(endpoint)
    .bind(account)
    .bind(secret.scheme)
    .bind(sealed)
    .bind(secret.created_at.as_millis())
    .bind(secret.until.map(Timestamp::as_millis))
    .run(tx)?;
    Ok(())
}
