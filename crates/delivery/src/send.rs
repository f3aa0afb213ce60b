//! One attempt: sign, send, look at what came back.
//!
//! The body was rendered when the event was fanned out and is sent as it is; headers and signature are made here, anew for
//! each attempt, with the time of this attempt. Redirects are not followed. One deadline covers everything from DNS to
//! the last byte kept.
//!
//! The bad day: the endpoint was disabled or deleted since the claim, or its secrets cannot be read. Then nothing is sent
//! and no attempt is counted. Nothing native is ever sent unsigned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fail::fail_point;
use http::{HeaderMap, HeaderName, HeaderValue};
use reelhook_dialects::Stamp;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::delivery::{Attempt, Outcome};
use reelhook_domain::endpoint::{Endpoint, EndpointState};
use reelhook_domain::retry::Verdict;
use reelhook_domain::seldom::Seldom;
use reelhook_domain::time::Timestamp;
use reelhook_domain::trace::Tracer;
use reelhook_egress::{Client, Failure, FailureKind, Request, TlsProfile, Usual};
use reelhook_store::{ClaimedDelivery, StoreError};
use tracing::{debug, error, info, warn};

use crate::keyring::{Keyring, Keys};
use crate::meter::Meter;
use crate::profiles::Profiles;
use crate::{outcome, trace};

/// How long a delivery rests when the store could not say how to send it.
const STORE_REST: Duration = Duration::from_secs(5);
/// How long a delivery rests that this process had no descriptors, memory or ports for.
const SHORTAGE_REST: Duration = Duration::from_secs(2);
/// How long a delivery rests that cannot be sent before a person looks.
const LONG_REST: Duration = Duration::from_secs(60);

/// What came of a delivery that was let go.
#[derive(Debug)]
pub(crate) enum Tried {
    /// An attempt was made, with the endpoint as it was then.
    Attempt {
        /// The attempt.
        attempt: Box<Attempt>,
        /// The endpoint.
        endpoint: Arc<Endpoint>,
    },
    /// None was made, because the endpoint is disabled.
    Disabled,
    /// None was made; what follows.
    Not(Verdict),
}

/// What an attempt is made with.
struct Prepared {
    endpoint: Arc<Endpoint>,
    keys: Keys,
    tls: Option<Arc<TlsProfile>>,
}

/// Makes attempts.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) profiles: Profiles,
    pub(crate) egress: Client,
    pub(crate) ambient: Ambient,
    /// Most bytes of a response that are read and kept.
    pub(crate) response_cap: u64,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tracer: Tracer,
    pub(crate) short: Seldom,
}

impl Sender {
    /// Makes one attempt, if the endpoint still wants it.
    ///
    /// # Cancel safety
    /// The receiver may have seen the request.
    pub(crate) async fn send(&self, work: &ClaimedDelivery) -> Tried {
        let delivery = &work.delivery;
        let Prepared { endpoint, keys, tls } = match self.prepare(work).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(untried)) => return untried,
            Err(error) => {
                error!(delivery.id = %delivery.id, endpoint.id = %delivery.endpoint, %error, "cannot read how to send");
                return self.rest(STORE_REST, "store_unavailable");
            }
        };
        let at = self.ambient.now();
        let number = delivery.attempts.saturating_add(1);
        let request = Request { tls, ..self.request(work, &endpoint, &keys, number, at) };
        fail_point!("delivery.before_send");
        let (attempt, detail) = match self.exchange(request, number, at).await {
            Ok(made) => made,
            Err(failure) => {
                // Said once a minute: it concerns every delivery at once.
                if let Some(times) = self.short.tells(at) {
                    warn!(error = %failure, times, "this process lacks descriptors, memory or ports; webhooks wait");
                }
                return self.rest(SHORTAGE_REST, "out_of_resources");
            }
        };
        fail_point!("delivery.after_send");
        note(work, &attempt, detail.as_deref());
        trace::attempted(&self.tracer, work, &endpoint, &attempt);
        Tried::Attempt { attempt: Box::new(attempt), endpoint }
    }

    /// How to send it; or what follows when nothing shall be sent.
    async fn prepare(&self, work: &ClaimedDelivery) -> Result<Result<Prepared, Tried>, StoreError> {
        let delivery = &work.delivery;
        let Some(endpoint) = self.keyring.endpoint(delivery.endpoint).await? else {
            debug!(delivery.id = %delivery.id, endpoint.id = %delivery.endpoint, "the endpoint was deleted");
            return Ok(Err(self.rest(LONG_REST, "endpoint_deleted")));
        };
        if endpoint.state == EndpointState::Disabled {
            return Ok(Err(Tried::Disabled));
        }
        let keys = self.keyring.keys(&endpoint).await?;
        if keys.lack_secrets() && reelhook_dialects::is_always_signed(endpoint.dialect) {
            error!(endpoint.id = %endpoint.id, account.id = %endpoint.account, "no secret signs for the endpoint; nothing is sent");
            return Ok(Err(self.rest(LONG_REST, "no_signing_secret")));
        }
        match self.profiles.of(&endpoint) {
            Ok(tls) => Ok(Ok(Prepared { endpoint, keys, tls })),
            Err(error) => {
                error!(endpoint.id = %endpoint.id, account.id = %endpoint.account, %error, "the endpoint's TLS cannot be used; nothing is sent");
                Ok(Err(self.rest(LONG_REST, "unusable_tls")))
            }
        }
    }

    fn rest(&self, rest: Duration, reason: &'static str) -> Tried {
        Tried::Not(Verdict::Retry { at: self.ambient.now() + rest, reason })
    }

    fn request(&self, work: &ClaimedDelivery, endpoint: &Endpoint, keys: &Keys, number: u32, at: Timestamp) -> Request {
        let delivery = &work.delivery;
        let stamp = Stamp {
            event: delivery.event,
            event_type: &delivery.event_type,
            delivery: delivery.id,
            sequence: delivery.sequence,
            attempt: number,
            at,
            body: &work.body,
            secrets: &keys.secrets,
            signing_keys: &keys.signing_keys,
            service_secrets: &keys.service_secrets,
        };
        let mut headers = custom_headers(&endpoint.headers);
        // Ours win, should a name that is reserved today have been written yesterday.
        for (name, value) in &reelhook_dialects::headers(endpoint.dialect, &stamp) {
            headers.insert(name, value.clone());
        }
        let usual = if reelhook_dialects::lists_all_headers(endpoint.dialect) { Usual::LeftOut } else { Usual::Added };
        Request {
            headers,
            usual,
            deadline: endpoint.timeout(),
            response_cap: self.response_cap,
            redirects: 0,
            ..Request::post(endpoint.url.clone(), Bytes::from_owner(Shared(Arc::clone(&work.body))))
        }
    }

    /// The attempt, and what went wrong in the operator's words. A failure is what this process lacked, which is not an
    /// attempt.
    async fn exchange(
        &self,
        request: Request,
        number: u32,
        at: Timestamp,
    ) -> Result<(Attempt, Option<String>), Failure> {
        let result = self.egress.send(request).await;
        let id = self.ambient.id();
        let cap = usize::try_from(self.response_cap).unwrap_or(usize::MAX);
        let attempt = match &result {
            Ok(exchange) => Attempt {
                id,
                number,
                at,
                outcome: outcome::of_exchange(exchange, self.ambient.now()),
                address: Some(exchange.address.to_string()),
                timings_ms: outcome::timings(exchange.timings),
                response_headers: outcome::headers(&exchange.headers),
                response_body: outcome::text(&exchange.body, cap),
            },
            Err(failure) if failure.kind == FailureKind::OutOfResources => return Err(failure.clone()),
            Err(failure) => Attempt {
                id,
                number,
                at,
                outcome: outcome::of_failure(failure),
                address: failure.address.map(|address| address.to_string()),
                timings_ms: outcome::timings(failure.timings),
                response_headers: Vec::new(),
                response_body: String::new(),
            },
        };
        Ok((attempt, result.err().map(|failure| failure.detail)))
    }
}

/// A body shared by the attempts of many endpoints, sent without a copy.
struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The caller's own headers. They were checked when they were written; what is no header all the same is left out.
fn custom_headers(written: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(written.len() + 8);
    for (name, value) in written {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                headers.insert(name, value);
            }
            (Ok(_) | Err(_), _) => warn!(name, "a custom header cannot be sent"),
        }
    }
    headers
}

/// Logs an attempt. A receiver's failure is none of ours.
fn note(work: &ClaimedDelivery, attempt: &Attempt, detail: Option<&str>) {
    let delivery = &work.delivery;
    let job = delivery.job.map(tracing::field::display);
    let (status, failure) = match &attempt.outcome {
        Outcome::Status { status, .. } => (Some(*status), None),
        Outcome::Failed { phase, kind, reason: None } => (None, Some(format!("{kind} in {phase}"))),
        Outcome::Failed { phase, kind, reason: Some(reason) } => (None, Some(format!("{kind} in {phase}: {reason}"))),
    };
    if attempt.outcome.is_success() {
        debug!(
            delivery.id = %delivery.id, event.id = %delivery.event, job.id = job, endpoint.id = %delivery.endpoint,
            account.id = %delivery.account, delivery.attempt = attempt.number, status,
            total_ms = attempt.timings_ms.total, "delivered"
        );
    } else {
        info!(
            delivery.id = %delivery.id, event.id = %delivery.event, job.id = job, endpoint.id = %delivery.endpoint,
            account.id = %delivery.account, delivery.attempt = attempt.number, status, failure, detail,
            total_ms = attempt.timings_ms.total, "an attempt failed"
        );
    }
}
