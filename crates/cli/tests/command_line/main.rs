//! The command line as a person types it, with the real program: how it ends, what it says, where its key goes.

#![allow(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

#[allow(dead_code, reason = "shared with the end to end tests")]
#[path = "../end_to_end/world.rs"]
mod world;

mod exits;
mod first_steps;
mod listening;
mod strangers;
mod waiting;
