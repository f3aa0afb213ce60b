//! Webhooks as callers and operators use them, with the real program: publishing, sending again, pulling, keeping and
//! forgetting, and the key that seals.

#![allow(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

#[allow(dead_code, reason = "shared with the end to end tests")]
#[path = "../end_to_end/inbox.rs"]
mod inbox;
#[allow(dead_code, reason = "shared with the end to end tests")]
#[path = "../end_to_end/world.rs"]
mod world;

mod listen;
mod publish;
mod pull;
mod recover;
mod retention;
mod rotation;
mod secure;
mod waiting;
