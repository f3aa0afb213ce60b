//! Fan-out, lanes, send, settle: how events reach endpoints.
//!
//! # Theory of operation
//! Four tasks, which meet in channels and in the store:
//!
//! 1. [`fanout`] reads the outbox, decides who is interested, renders each body once, and writes the deliveries, already
//!    claimed by this process.
//! 2. [`due`] claims what is due later: retries, what lanes had no room for, what a process left behind that died.
//! 3. [`dispatcher`] owns the [`lanes`], one [`lane`] for each endpoint, and the requests that are out ([`send`]).
//! 4. [`settle`] writes what became of attempts, many in one transaction.
//!
//! Work arrives from 1 and 2 at 3, and leaves through 4. Every channel is bounded; when the store does not write, 4
//! stops 3, and 3 stops 1 and 2. A receiver stops nobody but its own lane.
//!
//! # The bad day
//! The process may die at any instant: an event is in the outbox until its deliveries are written, a delivery is claimed
//! until its end is written, and a claim ends by itself. What was in flight is sent again, with the same id and bytes.
//! Two processes may run on one database: fan-out is unique per event and endpoint, claims are fenced by tokens.

#![warn(clippy::wildcard_enum_match_arm)]

mod adaptive;
mod bucket;
mod dispatcher;
mod due;
mod engine;
mod fanout;
mod freshen;
mod job_order;
mod keyring;
mod lane;
mod lanes;
mod lookout;
mod meter;
mod outcome;
mod pace;
mod parked;
mod profiles;
mod queue;
mod retention;
mod send;
mod settings;
mod settle;
mod trace;

pub use engine::{Engine, LinkTo};
pub use lookout::Lookout;
pub use meter::Meter;
pub use retention::{Retention, RetentionSettings, Swept, UNREAD};
pub use settings::Settings;
