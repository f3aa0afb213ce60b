//! `/v1/endpoints/{id}/events`: events for receivers that ask, page by page or as a stream.
//!
//! # Theory of operation
//! The numbers of an endpoint's deliveries are given out by one writer, in the transaction that makes them, so whoever has
//! read up to a number has seen everything below it. A reader arms its wake-up, reads what comes after its number, sends
//! it, and waits; it reads the store and not a queue, so one that falls behind, or comes back, misses nothing. Signatures
//! are made when something is sent, with the secrets of that moment.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::response::sse::Event as Frame;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::HeaderMap;
use reelhook_dialects::Stamp;
use reelhook_domain::delivery::Delivery;
use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::id::EndpointId;
use reelhook_signature::{Secret, SigningKey};
use reelhook_store::{READ_ACCURACY, SealedFor, StoreError, Topic, Wake};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::jobs::wants_stream;
use super::listing::{Query, id};
use super::stream::{self as sse, FrameNames};
use crate::desk::{Caller, Desk, HMAC};
use crate::openapi;
use crate::problem::{Problem, missing};

/// What is looked for without having been woken: deliveries that are sent as soon as they are made wake nobody.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many events a stream reads at once: what it holds in memory.
const STREAM_BATCH: u32 = 32;

/// Most events of one answer, and how many there are where nothing is asked.
pub(crate) const PULLED: (u32, u32) = (500, 100);

/// Pull events
///
/// Returns the signed headers and bodies as they would be sent, in order, after the given sequence number. With `wait` the
/// response is sent as soon as there is an event, or when the time is up. With `Accept: text/event-stream` events are sent
/// as they happen: the id of each is its sequence number, and `Last-Event-ID` resumes after it. Frames of the types `error`
/// and `open`, which an `EventSource` uses itself, have no name.
#[utoipa::path(get, path = "/v1/endpoints/{id}/events", tag = "Webhooks",
    params(("id" = String, Path), ("after" = Option<i64>, Query, description = "Only events after this sequence number; 0 by default"),
        ("limit" = Option<u32>, Query, description = "1 to 500, 100 by default; not for streams"),
        ("wait" = Option<String>, Query, description = "How long to wait for an event, such as `30s`; at most 60 seconds, or less if `api.longest_wait_seconds` of the server says so"),
        ("names" = Option<String>, Query, description = "For streams: `types` (the default) names each frame after the type of its event; with `none` no frame has a name, so that an `EventSource` gets all of them in `onmessage`"),
        ("Last-Event-ID" = Option<i64>, Header, description = "For streams: only events after this sequence number")),
    responses((status = 200, body = openapi::PulledEvents), (status = 404, body = Problem)))]
pub(crate) async fn pull_events(
    State(desk): State<Desk>,
    caller: Caller,
    Path(endpoint): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let endpoint: EndpointId = id(&endpoint, "endpoint")?;
    let mut query = Query::of(&uri);
    let after = query.integer("after", 0..=i64::MAX as u64).unwrap_or(0) as i64;
    let limit = query.integer("limit", 1..=u64::from(PULLED.0)).map_or(PULLED.1, |limit| limit as u32);
    let wait = query.parsed::<Wait>("wait").map_or(Duration::ZERO, |wait| wait.0);
    let names = query.parsed("names").unwrap_or(FrameNames::Types);
    query.finish()?;
    let mut puller = Puller::of(&desk, caller, endpoint, after, names).await?;
    if wants_stream(&headers) {
        puller.after = last_event_id(&headers)?.unwrap_or(after);
        return follow(puller);
    }
    let deadline = tokio::time::Instant::now() + wait.min(desk.limits().longest_wait);
    let pulled = puller.next(limit, Some(deadline)).await?;
    let signers = signers(&desk, caller, &puller.endpoint).await?;
    let events: Vec<_> = pulled.iter().map(|(delivery, body)| puller.show(&signers, delivery, body)).collect();
    Ok(Json(json!({"events": events, "last_sequence": puller.after})).into_response())
}

/// The number that a stream resumes after.
fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|number| *number >= 0);
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Problem::violation("Last-Event-ID", Value::Null, "must be the id of an event of this stream")),
    }
}

/// One who asks, and how far they are.
struct Puller {
    desk: Desk,
    caller: Caller,
    endpoint: Endpoint,
    after: i64,
    names: FrameNames,
    wake: Wake,
    /// When it was last noted that the endpoint is read.
    noted: Option<Instant>,
}

impl Puller {
    async fn of(
        desk: &Desk,
        caller: Caller,
        endpoint: EndpointId,
        after: i64,
        names: FrameNames,
    ) -> Result<Self, Problem> {
        let endpoint = desk.store().endpoint(caller.account, endpoint).await.map_err(missing("endpoint"))?;
        let wake = desk.store().wakes().listen(Topic::Delivery);
        Ok(Self { desk: desk.clone(), caller, endpoint, after, names, wake, noted: None })
    }

    /// What comes next; nothing when it did not come until the deadline, or the server stops.
    async fn next(&mut self, limit: u32, deadline: Option<Instant>) -> Result<Vec<(Delivery, Arc<str>)>, StoreError> {
        let (store, stop) = (self.desk.store(), self.desk.stop());
        loop {
            if self.noted.is_none_or(|noted| noted.elapsed() > READ_ACCURACY) {
                store.note_read(self.endpoint.id).await?;
                self.noted = Some(Instant::now());
            }
            let pulled = store.pull(self.caller.account, self.endpoint.id, self.after, limit).await?;
            if let Some((last, _)) = pulled.last() {
                self.after = last.sequence;
                return self.with_fresh_links(pulled).await;
            }
            let now = Instant::now();
            if stop.is_cancelled() || deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(pulled);
            }
            let look_again = now + LOOK_AGAIN;
            tokio::select! {
                () = self.wake.wait() => {}
                () = tokio::time::sleep_until(deadline.map_or(look_again, |deadline| deadline.min(look_again))) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// The same, with links of this moment in what is asked for late, as the delivery engine would send it.
    async fn with_fresh_links(
        &self,
        mut pulled: Vec<(Delivery, Arc<str>)>,
    ) -> Result<Vec<(Delivery, Arc<str>)>, StoreError> {
        let (now, links_keep) = (self.desk.ambient().now(), self.desk.limits().links_keep);
        for (delivery, body) in pulled.iter_mut().filter(|(delivery, _)| delivery.needs_fresh_links(now, links_keep)) {
            let event = self.desk.store().event(delivery.account, delivery.event).await?;
            match reelhook_dialects::payload(self.endpoint.dialect, &event, self.desk.link_to()) {
                Ok(Some(fresh)) => *body = fresh.into(),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = %error, delivery.id = %delivery.id, "a late delivery cannot be rendered")
                }
            }
        }
        Ok(pulled)
    }

    /// A delivery as it would be sent now.
    fn show(&self, signers: &Signers, delivery: &Delivery, body: &str) -> Value {
        let stamp = Stamp {
            event: delivery.event,
            event_type: &delivery.event_type,
            delivery: delivery.id,
            sequence: delivery.sequence,
            attempt: 1,
            at: self.desk.ambient().now(),
            body,
            secrets: &signers.secrets,
            signing_keys: &signers.signing_keys,
            service_secrets: &signers.service_secrets,
        };
        let headers = reelhook_dialects::headers(self.endpoint.dialect, &stamp);
        let headers: serde_json::Map<String, Value> = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().into()))
            .collect();
        json!({"sequence": delivery.sequence, "headers": headers, "body": body})
    }

    /// The next frames of a stream; none when it ends.
    async fn frames(&mut self) -> Option<Vec<Frame>> {
        let pulled = match self.next(STREAM_BATCH, None).await {
            Ok(pulled) if pulled.is_empty() => return None,
            Ok(pulled) => pulled,
            // It was deleted.
            Err(StoreError::NotFound) => return None,
            Err(error) => {
                tracing::warn!(error = %error, endpoint.id = %self.endpoint.id, "a stream of events ended early");
                return None;
            }
        };
        let signers = signers(&self.desk, self.caller, &self.endpoint).await.ok()?;
        let frame = |(delivery, body): &(Delivery, Arc<str>)| {
            let shown = self.show(&signers, delivery, body);
            self.names.frame(&delivery.event_type).id(delivery.sequence.to_string()).data(shown.to_string())
        };
        Some(pulled.iter().map(frame).collect())
    }
}

/// Streams what comes until the server stops, the endpoint is deleted, the key is revoked, or the caller leaves.
fn follow(puller: Puller) -> Result<Response, Problem> {
    let (desk, caller) = (puller.desk.clone(), puller.caller);
    let frames = stream::unfold(puller, |mut puller| async move {
        let frames = puller.frames().await?;
        Some((stream::iter(frames.into_iter().map(Ok::<_, Infallible>)), puller))
    });
    let frames = desk.attended(caller, futures::StreamExt::flatten(frames))?;
    Ok(sse::answer(frames))
}

/// What signs for an endpoint.
struct Signers {
    secrets: Vec<Secret>,
    signing_keys: Vec<SigningKey>,
    service_secrets: Vec<Arc<str>>,
}

/// The endpoint's own secrets, the account's asymmetric key, and the account's secrets of the endpoint's service.
async fn signers(desk: &Desk, caller: Caller, endpoint: &Endpoint) -> Result<Signers, Problem> {
    let own = desk.store().secrets(SealedFor::Endpoint(endpoint.id)).await?;
    let account = desk.ensure_account_secrets(caller).await?;
    let unreadable = |error| {
        tracing::error!(error = %error, endpoint.id = %endpoint.id, "a stored secret cannot be read");
        Problem::internal()
    };
    let secrets: Result<_, _> =
        own.iter().filter(|secret| secret.scheme == HMAC).map(|secret| Secret::parse(&secret.text)).collect();
    let keys: Result<_, _> = account
        .iter()
        .filter(|secret| secret.scheme == "ed25519")
        .map(|secret| SigningKey::parse(&secret.text))
        .collect();
    let of_service = account.iter().filter(|secret| secret.scheme == endpoint.dialect.as_str());
    let service_secrets = of_service.map(|secret| secret.text.as_str().into()).collect();
    Ok(Signers { secrets: secrets.map_err(unreadable)?, signing_keys: keys.map_err(unreadable)?, service_secrets })
}

/// A span such as `30s` or `1500ms` or `30`.
struct Wait(Duration);

impl std::str::FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(number), _) => (number, 1),
            (None, Some(number)) => (number, 1000),
            (None, None) => (text, 1000),
        };
        let millis =
            number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).filter(|millis| *millis <= 60_000);
        millis
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or("must be a duration of at most 60 seconds, such as 30s")
    }
}
