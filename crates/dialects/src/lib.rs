//! Phrasebooks: bytes to requests, replies to bytes, events to payloads and headers.
//!
//! Pure: golden files test a dialect without a server. Each dialect is a folder with the same file names:
//! `request.rs` (what a caller may say), `reply.rs` (what we answer), `event.rs` (the body of a webhook), `headers.rs`
//! (its headers and signature, made anew for each attempt). To add one, copy a folder and add its line to each `match`
//! below.

pub mod native;
mod request;

use http::HeaderMap;
use reelhook_domain::event::Event;
use reelhook_domain::id::{DeliveryId, EventId, JobId};
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::RetrySchedule;
use reelhook_domain::time::Timestamp;
use reelhook_signature::{Secret, SigningKey};

pub use request::{
    EndpointAddress, EndpointPatch, EndpointRequest, InputRequest, JobRequest, OutputRequest, PublishRequest,
    SettingsRequest, WebhookRequest,
};

/// Makes the link to an output of a job by the output's name.
pub type LinkTo<'a> = &'a (dyn Fn(JobId, &str) -> String + Send + Sync);

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

/// The body of a webhook, rendered once for all attempts and all endpoints of that dialect.
///
/// # Errors
/// [`PayloadError`] when the event was written by a newer version or is damaged.
pub fn payload(dialect: Dialect, event: &Event, link: LinkTo<'_>) -> Result<String, PayloadError> {
    match dialect {
        Dialect::Native => native::event::payload(event, link),
    }
}

/// What the headers of one attempt are made of.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The event: stable over retries and resends.
    pub event: EventId,
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
}

/// The headers of one attempt, its signature among them.
pub fn headers(dialect: Dialect, stamp: &Stamp<'_>) -> HeaderMap {
    match dialect {
        Dialect::Native => native::headers::of(stamp),
    }
}

/// When a delivery of that dialect is tried again, unless its endpoint says otherwise.
pub fn schedule(dialect: Dialect) -> RetrySchedule {
    match dialect {
        Dialect::Native => RetrySchedule::default(),
    }
}
