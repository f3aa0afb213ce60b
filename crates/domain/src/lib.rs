//! Nouns and rules, pure: no async, no I/O, no clock, no dice.
//!
//! Everything that Reelhook talks about is named here once, and every decision that can be made without touching the
//! machine is made here: what a request may say ([`form`], [`recipe`]), how a job and a delivery may change
//! ([`job::step`], [`delivery::step`]), when a webhook is tried again ([`retry`]) and when an endpoint is left
//! alone ([`circuit`]). Time and randomness come in as arguments, through [`ambient::Ambient`].

#![warn(clippy::wildcard_enum_match_arm)]

pub mod ambient;
pub mod circuit;
pub mod command;
pub mod credit;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod failure;
pub mod form;
pub mod id;
pub mod job;
pub mod measure;
pub mod media;
pub mod nearest;
pub mod object_path;
pub mod origin;
pub mod outline;
pub mod price;
pub mod quota;
pub mod recipe;
pub mod retry;
pub mod seldom;
pub mod time;
pub mod tls;
pub mod trace;
