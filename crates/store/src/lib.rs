//! Durable state: one trait per noun; each method is one transaction and one transition.
//!
//! # Theory of operation
//! A caller gets `Ok` from a writing method only after its transaction is on the disk. Writers that arrive together
//! share one commit (group commit), so a busy server pays one fsync for many changes; each still succeeds or fails by
//! itself.
//!
//! Work is taken by claim: a claim names the row, and carries a fencing token that changes with every claim. Every later
//! write of the worker says which token it holds, and changes exactly one row or fails with [`StoreError::LeaseLost`],
//! so a worker that was thought dead cannot overwrite what its successor did. A lease ends by time; a server that
//! restarts voids its own leases at once ([`Jobs::void_job_leases`], [`Deliveries::void_delivery_leases`]).
//!
//! The end of a job and the event that tells of it are written together, and the events table is the outbox that
//! `delivery` reads from. Wake-ups ([`Wakes`]) only say "look again"; losing one costs time, never work.

mod accounts;
mod credits;
mod deliveries;
mod endpoints;
mod error;
mod events;
mod jobs;
mod origins;
mod retention;
mod rotation;
mod settings;
pub mod sqlite;
mod uploads;
mod vault;
mod wakes;

pub use accounts::{Account, Accounts, ApiKey, KEY_PREFIX, KeyHash, NewApiKey, key_hash};
pub use credits::{Charge, Credits, JobUse};
pub use deliveries::{
    Body, ClaimedDelivery, Deliveries, DeliveryFilter, DeliveryRecord, FanOut, NewDelivery, Settlement, Span, Start,
    Then,
};
pub use endpoints::{
    EndpointChange, Endpoints, JobEndpoint, MOST_OLD_SECRETS, READ_ACCURACY, SealedFor, SigningSecret,
};
pub use error::StoreError;
pub use events::{Events, HandOff, NewEvent, Outbox, OutboxEvent, Planned, Published};
pub use jobs::{
    ClaimedJob, FetchHeaders, Idempotency, JobEnd, JobFilter, JobTaker, Jobs, Lease, OutputEnd, Page, ProgressUpdate,
    Queue, Retry, Slot, Submission, Submitted,
};
pub use origins::{OriginChange, Origins};
pub use retention::{Erased, Over, Retention, Walked};
pub use rotation::{Place, Resealed, Rotation};
pub use settings::{DefaultWebhook, Settings};
pub use uploads::{Upload, Uploads};
pub use vault::{MasterKey, MasterKeys, Vault};
pub use wakes::{Topic, Wake, Wakes};

use reelhook_domain::measure::Family;

/// All that is kept, behind one handle.
pub trait Store:
    Accounts
    + Credits
    + Jobs
    + Events
    + Endpoints
    + Deliveries
    + Uploads
    + Origins
    + Settings
    + Retention
    + Rotation
    + std::fmt::Debug
{
    /// Where to learn that something changed in this process.
    fn wakes(&self) -> &Wakes;
    /// What is counted of this process's use of the store.
    fn families(&self) -> Vec<Family>;
}

/// What every method answers.
pub type Result<T> = std::result::Result<T, StoreError>;
