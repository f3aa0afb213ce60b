//! Tests only: a clock that moves when told, dice that repeat, a scripted receiver, an origin with bad manners, tiny media,
//! addresses that nobody may reach.
//!
//! Everything that waits here waits for a signal, with a deadline only to turn a hang into a failure.

pub mod addresses;
mod ambient;
pub mod clips;
mod contract;
mod field;
mod json;
mod origin;
mod receiver;
mod reply;
mod serve;

pub use ambient::{MovedClock, SeededDice, ambient, system_ambient};
pub use contract::Contract;
pub use field::{Verdict, field, verdict};
pub use json::any_json;
pub use origin::{Manners, Origin};
pub use receiver::{Received, Receiver};
pub use reply::Reply;
