//! Rows of tables, turned into what they mean.

use std::collections::BTreeMap;

use reelhook_domain::delivery::{Attempt, Delivery, DeliveryState};
use reelhook_domain::endpoint::{Endpoint, EndpointState, Failing};
use reelhook_domain::event::{Data, Event};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::form::Choice;
use reelhook_domain::id::Id;
use reelhook_domain::job::{Job, JobSpec, JobState, Output, OutputState, Priority};
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::EndpointTls;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sql::{Column, Row};
use crate::endpoints::{SealedFor, SigningSecret};
use crate::vault::Vault;
use crate::{Account, ApiKey, Result, StoreError, Upload};

/// An id as a parameter.
pub(super) const fn key<K>(id: Id<K>) -> [u8; 16] {
    id.to_bytes()
}

/// An id within a JSON parameter; `unhex` reads it.
pub(super) fn hex<K>(id: Id<K>) -> String {
    format!("{:032x}", id.bits())
}

/// A list of ids as a JSON parameter.
pub(super) fn hexes<K>(ids: impl IntoIterator<Item = Id<K>>) -> String {
    json(&ids.into_iter().map(hex).collect::<Vec<_>>())
}

/// A value as a JSON parameter.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types have text keys and finite numbers only")
}

/// A size or count as SQL keeps it.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column of a row.
pub(super) fn column<'r, T: Column<'r>>(row: &'r Row, name: &'static str) -> Result<T> {
    row.column(name)
}

/// A size or count.
pub(super) fn count<N: TryFrom<i64>>(row: &Row, name: &'static str) -> Result<N> {
    N::try_from(column::<i64>(row, name)?).map_err(|_| StoreError::corrupt(name, &"out of range"))
}

/// An id that may be absent.
pub(super) fn maybe_id<K>(row: &Row, name: &'static str) -> Result<Option<Id<K>>> {
    let Some(bytes) = column::<Option<&[u8]>>(row, name)? else { return Ok(None) };
    let bytes = bytes.try_into().map_err(|_| StoreError::corrupt(name, &"an id has 16 bytes"))?;
    Ok(Some(Id::from_bytes(bytes)))
}

/// An id.
pub(super) fn id<K>(row: &Row, name: &'static str) -> Result<Id<K>> {
    maybe_id(row, name)?.ok_or_else(|| missing(name))
}

/// A time that may be absent.
pub(super) fn maybe_time(row: &Row, name: &'static str) -> Result<Option<Timestamp>> {
    Ok(column::<Option<i64>>(row, name)?.map(Timestamp::from_millis))
}

/// A time.
pub(super) fn time(row: &Row, name: &'static str) -> Result<Timestamp> {
    maybe_time(row, name)?.ok_or_else(|| missing(name))
}

/// One of a closed list of words.
fn word<T: Choice>(row: &Row, name: &'static str) -> Result<T> {
    read_word(column(row, name)?, name)
}

fn read_word<T: Choice>(text: &str, name: &'static str) -> Result<T> {
    let known = T::ALL.iter().copied().find(|choice| choice.word() == text);
    known.ok_or_else(|| StoreError::corrupt(name, &format_args!("{text:?} is not known")))
}

/// A value kept as JSON that may be absent.
fn maybe_read<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<Option<T>> {
    column::<Option<&str>>(row, name)?.map(|text| parse(text, name)).transpose()
}

/// A value kept as JSON.
pub(super) fn read<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<T> {
    parse(column(row, name)?, name)
}

pub(super) fn parse<T: DeserializeOwned>(text: &str, name: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(name, &error))
}

fn missing(name: &'static str) -> StoreError {
    StoreError::corrupt(name, &"it is missing")
}

/// A job's rank in the queue as SQL keeps it: higher goes first.
pub(super) const fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Economy => 0,
        Priority::Standard => 1,
        Priority::Premium => 2,
    }
}

/// A job with its outputs, of a row of [`super::jobs::select_jobs`].
pub(super) fn job(row: &Row) -> Result<Job> {
    let spec: JobSpec = read(row, "spec")?;
    let outputs = outputs(&spec, column(row, "outputs")?)?;
    Ok(Job {
        id: id(row, "id")?,
        account: id(row, "account")?,
        state: job_state(row)?,
        stage: column::<Option<&str>>(row, "stage")?.map(stage).transpose()?,
        progress: count(row, "progress")?,
        inputs: maybe_read(row, "inputs")?.unwrap_or_default(),
        estimate: maybe_read(row, "estimate")?,
        cost: maybe_read(row, "cost")?,
        confirmed_at: maybe_time(row, "confirmed_at")?,
        created_at: time(row, "created_at")?,
        started_at: maybe_time(row, "started_at")?,
        finished_at: maybe_time(row, "finished_at")?,
        spec,
        outputs,
    })
}

fn job_state(row: &Row) -> Result<JobState> {
    let error = || read::<JobFailure>(row, "error");
    Ok(match column(row, "state")? {
        "draft" => JobState::Draft,
        "queued" => JobState::Queued,
        "probing" => JobState::Probing,
        "awaiting_confirmation" => JobState::AwaitingConfirmation { until: time(row, "confirm_until")? },
        "processing" => JobState::Processing,
        "completed" => JobState::Completed,
        "partial" => JobState::Partial { error: error()? },
        "failed" => JobState::Failed { error: error()? },
        "rejected" => JobState::Rejected { error: error()? },
        "canceled" => JobState::Canceled,
        other => return Err(StoreError::corrupt("state", &format_args!("{other:?} is not known"))),
    })
}

fn stage(text: &str) -> Result<Stage> {
    serde_json::from_value(text.into()).map_err(|error| StoreError::corrupt("stage", &error))
}

/// State, progress, file, plan, receipt and error of one output, as `select_jobs` lists them.
type OutputRow = (String, u8, Option<String>, String, String, Option<String>);

fn outputs(spec: &JobSpec, text: &str) -> Result<Vec<Output>> {
    let rows: Vec<OutputRow> = parse(text, "outputs")?;
    if rows.len() != spec.outputs.len() {
        return Err(StoreError::corrupt(
            "outputs",
            &format_args!("{} of {} are there", rows.len(), spec.outputs.len()),
        ));
    }
    let output = |(spec, (state, progress, file, plan, receipt, error)): (_, OutputRow)| {
        Ok(Output {
            spec,
            state: read_word::<OutputState>(&state, "output state")?,
            progress,
            file: file.map(|text| parse(&text, "output file")).transpose()?,
            plan: parse(&plan, "output plan")?,
            receipt: parse(&receipt, "output receipt")?,
            error: error.map(|text| parse(&text, "output error")).transpose()?,
        })
    };
    spec.outputs.iter().cloned().zip(rows).map(output).collect()
}

/// An event.
pub(super) fn event(row: &Row) -> Result<Event> {
    let kind: &str = column(row, "kind")?;
    Ok(Event {
        id: id(row, "id")?,
        sequence: column(row, "sequence")?,
        account: id(row, "account")?,
        kind: kind.parse().map_err(|error| StoreError::corrupt("event type", &error))?,
        at: time(row, "at")?,
        job: maybe_id(row, "job")?,
        data: Data::from_json(column::<&str>(row, "data")?),
    })
}

/// An endpoint, its headers and its TLS opened.
pub(super) fn endpoint(row: &Row, vault: &Vault) -> Result<Endpoint> {
    let id = id(row, "id")?;
    let url: &str = column(row, "url")?;
    let headers = match column::<Option<&[u8]>>(row, "headers")? {
        Some(sealed) => parse(&vault.open(&id.to_bytes(), sealed)?, "headers")?,
        None => BTreeMap::new(),
    };
    let tls = match column::<Option<&[u8]>>(row, "tls")? {
        Some(sealed) => parse(&vault.open(&id.to_bytes(), sealed)?, "tls")?,
        None => EndpointTls::default(),
    };
    let failing = match (maybe_time(row, "failing_since")?, column::<Option<u32>>(row, "failing_attempts")?) {
        (Some(since), Some(attempts)) => Some(Failing { since, attempts }),
        _ => None,
    };
    Ok(Endpoint {
        id,
        account: self::id(row, "account")?,
        role: word(row, "role")?,
        url: url.parse().map_err(|error| StoreError::corrupt("url", &error))?,
        events: read(row, "events")?,
        dialect: word(row, "dialect")?,
        description: column(row, "description")?,
        headers,
        tls,
        retry: maybe_read(row, "retry")?,
        rate: maybe_read(row, "rate")?,
        timeout_ms: column(row, "timeout_ms")?,
        state: word(row, "state")?,
        disabled_reason: column(row, "disabled_reason")?,
        circuit: read(row, "circuit")?,
        failing,
        created_at: time(row, "created_at")?,
    })
}

/// The state of an endpoint.
pub(super) fn endpoint_state(row: &Row) -> Result<EndpointState> {
    word(row, "state")
}

/// A delivery, without its body.
pub(super) fn delivery(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        id: id(row, "id")?,
        account: id(row, "account")?,
        event: id(row, "event")?,
        event_type: column(row, "event_type")?,
        job: maybe_id(row, "job")?,
        endpoint: id(row, "endpoint")?,
        sequence: column(row, "sequence")?,
        state: delivery_state(row)?,
        attempts: column(row, "attempts")?,
        schedule_offset: column(row, "schedule_offset")?,
        waiting_reason: column(row, "waiting_reason")?,
        created_at: time(row, "created_at")?,
        finished_at: maybe_time(row, "finished_at")?,
    })
}

/// The state of a delivery.
pub(super) fn delivery_state(row: &Row) -> Result<DeliveryState> {
    Ok(match column(row, "state")? {
        "scheduled" => DeliveryState::Scheduled { due: time(row, "due_at")? },
        "sending" => DeliveryState::Sending { until: time(row, "lease_until")? },
        "delivered" => DeliveryState::Delivered,
        "exhausted" => DeliveryState::Exhausted,
        "canceled" => DeliveryState::Canceled,
        "held" => DeliveryState::Held,
        other => return Err(StoreError::corrupt("state", &format_args!("{other:?} is not known"))),
    })
}

/// An attempt.
pub(super) fn attempt(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        id: id(row, "id")?,
        number: column(row, "number")?,
        at: time(row, "at")?,
        outcome: read(row, "outcome")?,
        address: column(row, "address")?,
        timings_ms: read(row, "timings_ms")?,
        response_headers: read(row, "response_headers")?,
        response_body: column(row, "response_body")?,
    })
}

/// An account.
pub(super) fn account(row: &Row) -> Result<Account> {
    Ok(Account { id: id(row, "id")?, name: column(row, "name")?, created_at: time(row, "created_at")? })
}

/// An API key.
pub(super) fn api_key(row: &Row) -> Result<ApiKey> {
    Ok(ApiKey {
        id: id(row, "id")?,
        account: id(row, "account")?,
        name: column(row, "name")?,
        hint: column(row, "hint")?,
        created_at: time(row, "created_at")?,
        revoked_at: maybe_time(row, "revoked_at")?,
    })
}

/// A signing secret, opened.
pub(super) fn secret(row: &Row, owner: SealedFor, vault: &Vault) -> Result<SigningSecret> {
    let bytes = match owner {
        SealedFor::Endpoint(id) => id.to_bytes(),
        SealedFor::Account(id) => id.to_bytes(),
    };
    Ok(SigningSecret {
        id: id(row, "id")?,
        owner,
        scheme: column(row, "scheme")?,
        text: vault.open(&bytes, column(row, "sealed")?)?,
        created_at: time(row, "created_at")?,
        until: maybe_time(row, "until")?,
    })
}

/// An upload.
pub(super) fn upload(row: &Row) -> Result<Upload> {
    Ok(Upload {
        id: id(row, "id")?,
        account: id(row, "account")?,
        name: column(row, "name")?,
        size_bytes: count(row, "size_bytes")?,
        sha256: column(row, "sha256")?,
        sha1: column(row, "sha1")?,
        said: read(row, "said")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
    })
}
