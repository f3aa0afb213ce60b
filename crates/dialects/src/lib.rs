//! Phrasebooks: bytes to requests, replies to bytes, events to payloads and headers.
//!
//! Pure: golden files test a dialect without a server. Each dialect is a folder with the same file names:
//! `request.rs` (what a caller may say), `reply.rs` (what we answer), `error.rs` (how we refuse), `event.rs` (the body of
//! a webhook), `headers.rs` (its headers and signature, made anew for each attempt, and its schedule). To add one, copy a
//! folder and add its line to each `match` below.

pub mod clipzy;
pub mod compressor;
pub mod native;
pub mod removebgvideo;
mod request;
pub mod transcodely;
pub mod xora;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use reelhook_domain::endpoint::DEFAULT_TIMEOUT;
use reelhook_domain::event::Event;
use reelhook_domain::form::Violation;
use reelhook_domain::id::{DeliveryId, EventId, JobId, RequestId, UploadId};
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::RetrySchedule;
use reelhook_domain::time::Timestamp;
use reelhook_signature::{Secret, SigningKey};
use serde_json::Value;

pub use native::judge::{Judge, Unjudged};
pub use request::{
    BelievedPlace, DestinationPaths, DestinationRequest, EndpointAddress, EndpointPatch, EndpointRequest, InputRequest,
    JobRequest, NamedInput, OriginRequest, OutputRequest, PublishRequest, SecretRequest, SettingsRequest,
    WebhookRequest,
};

/// A place that a link leads to. Links to files need no key: they carry their own proof and expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link<'a> {
    /// An output as the native API shows it: `/v1/jobs/{job}/outputs/{name}?...`.
    Output {
        /// Of which job.
        job: JobId,
        /// The output's name.
        name: &'a str,
    },
    /// A file of an output under its own name: `/files/{proof}/{job}/{output}/{path}`. The proof covers the whole output,
    /// so that a playlist can name its segments by paths relative to its own.
    File {
        /// Of which job.
        job: JobId,
        /// The output's name.
        output: &'a str,
        /// The file's name, or its path within a package.
        path: &'a str,
    },
    /// The same file as a service spells it that dates its links: `/{service}/{expires}/{job as UUID}/{name}?signature=...`.
    Dated {
        /// Below whose path.
        service: Dialect,
        /// Of which job.
        job: JobId,
        /// The output's name.
        output: &'a str,
        /// The name that the file is shown under.
        name: &'a str,
    },
    /// A file that a caller sent: `/uploads/{proof}/{upload}/{name}`.
    Upload {
        /// Which.
        upload: UploadId,
        /// Its name.
        name: &'a str,
    },
}

/// Spells links.
pub type LinkTo<'a> = &'a (dyn Fn(Link<'_>) -> String + Send + Sync);

/// A stored event whose data is not what its type promises.
#[derive(Debug, thiserror::Error)]
#[error("the data of event {event} cannot be read: {source}")]
pub struct PayloadError {
    /// Which event.
    pub event: EventId,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

/// The body of a webhook, rendered once for all attempts and all endpoints of that dialect; none for an event that the
/// dialect does not tell of.
///
/// # Errors
/// [`PayloadError`] when the event was written by a newer version or is damaged.
pub fn payload(dialect: Dialect, event: &Event, link: LinkTo<'_>) -> Result<Option<String>, PayloadError> {
    match dialect {
        Dialect::Native => native::event::payload(event, link).map(Some),
        Dialect::Compressor => compressor::event::payload(event, link),
        Dialect::Transcodely => transcodely::event::payload(event, link),
        Dialect::Xora => xora::event::payload(event, link),
        Dialect::Clipzy => clipzy::event::payload(event, link),
        Dialect::RemoveBgVideo => removebgvideo::event::payload(event, link),
    }
}

/// What the headers of one attempt are made of.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The event: stable over retries and resends.
    pub event: EventId,
    /// Its type.
    pub event_type: &'a str,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its place among the deliveries to its endpoint.
    pub sequence: i64,
    /// 1, 2, ...
    pub attempt: u32,
    /// The time of this attempt.
    pub at: Timestamp,
    /// The exact body.
    pub body: &'a str,
    /// Secrets that sign now, newest first.
    pub secrets: &'a [Secret],
    /// Asymmetric keys that sign now.
    pub signing_keys: &'a [SigningKey],
    /// Secrets of the service's own scheme that sign now: texts, used as keys as they are, newest first.
    pub service_secrets: &'a [Arc<str>],
}

impl Stamp<'_> {
    /// The one of `keys` that signs this attempt where there is room for one signature: the attempts take turns, so that a
    /// receiver that knows either of two accepts the first or the second. None where there are none.
    fn turn<'k, K>(&self, keys: &'k [K]) -> Option<&'k K> {
        keys.iter().cycle().nth(self.attempt.max(1) as usize - 1)
    }
}

/// The headers of one attempt, its signature among them.
///
/// A `User-Agent` among them is sent in place of ours.
pub fn headers(dialect: Dialect, stamp: &Stamp<'_>) -> HeaderMap {
    match dialect {
        Dialect::Native => native::headers::of(stamp),
        Dialect::Compressor => compressor::headers::of(stamp),
        Dialect::Transcodely => transcodely::headers::of(stamp),
        Dialect::Xora => xora::headers::of(stamp),
        Dialect::Clipzy => clipzy::headers::of(stamp),
        Dialect::RemoveBgVideo => removebgvideo::headers::of(stamp),
    }
}

/// Whether the service lists every header of a delivery, so that none is added beside those that frame the message.
pub const fn lists_all_headers(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Compressor | Dialect::Clipzy)
}

/// When a delivery of that dialect is tried again, unless its endpoint says otherwise.
pub fn schedule(dialect: Dialect) -> RetrySchedule {
    match dialect {
        Dialect::Native => RetrySchedule::default(),
        Dialect::Compressor => compressor::headers::schedule(),
        Dialect::Transcodely => transcodely::headers::schedule(),
        Dialect::Xora => xora::headers::schedule(),
        Dialect::Clipzy => clipzy::headers::schedule(),
        Dialect::RemoveBgVideo => removebgvideo::headers::schedule(),
    }
}

/// Whether an endpoint's failures count against it beyond the delivery that failed: a native one is disabled when it says
/// that it is gone (410), or fails for days. The services' documented rule is another: every answer but a 2xx is tried
/// again, and the next job's webhook is sent as if nothing had been.
pub fn disables_endpoints(dialect: Dialect) -> bool {
    dialect == Dialect::Native
}

/// How long an attempt may take, from DNS to the last byte kept, unless its endpoint says otherwise.
pub fn timeout(dialect: Dialect) -> Duration {
    match dialect {
        Dialect::Native => DEFAULT_TIMEOUT,
        Dialect::Compressor => compressor::headers::TIMEOUT,
        Dialect::Transcodely => transcodely::headers::TIMEOUT,
        Dialect::Xora => xora::headers::TIMEOUT,
        Dialect::Clipzy => clipzy::headers::TIMEOUT,
        Dialect::RemoveBgVideo => removebgvideo::headers::TIMEOUT,
    }
}

/// Whether webhooks of that dialect are signed with a secret of the service's own scheme.
pub fn has_own_secrets(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Transcodely | Dialect::RemoveBgVideo)
}

/// Whether its receivers refuse what is not signed, so that nothing is sent when nothing can sign it.
pub const fn is_always_signed(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Native | Dialect::Transcodely)
}

/// Why a request is refused, before a dialect puts it into its words.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// HTTP status that the native API answers with.
    pub status: u16,
    /// Stable code of the native API.
    pub code: &'a str,
    /// What was wrong and what is allowed.
    pub detail: &'a str,
    /// Each thing that is wrong with the request, by the dialect's own paths.
    pub violations: &'a [Violation],
    /// Names the request in the log.
    pub request: RequestId,
}

/// Status and body of a refusal; none for the native one, which is `application/problem+json`.
pub fn refusal(dialect: Dialect, refusal: &Refusal<'_>) -> Option<(u16, Value)> {
    let said = match dialect {
        Dialect::Native => return None,
        Dialect::Compressor => compressor::error::of(refusal),
        Dialect::Transcodely => transcodely::error::of(refusal),
        Dialect::Xora => xora::error::of(refusal),
        Dialect::Clipzy => clipzy::error::of(refusal),
        Dialect::RemoveBgVideo => removebgvideo::error::of(refusal),
    };
    Some(said)
}
