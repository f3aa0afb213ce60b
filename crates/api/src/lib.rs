//! The HTTP face: routes, the desk, auth, errors and the OpenAPI document.
//!
//! A request is authenticated ([`auth`]), read into a request of `dialects` (which names everything that is wrong with it),
//! and handed to the [`Desk`], which has the verbs that native routes and dialects share. The desk talks to the store and
//! to `files`, and to nobody else: it knows neither worker nor delivery engine, which learn of new work from the store.

mod auth;
mod body;
mod content;
mod desk;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hosts;
mod idempotency;
mod json;
mod known_keys;
mod linger;
mod metrics;
mod multipart;
mod openapi;
mod problem;
mod range;
mod reference;
mod room;
mod routes;
mod server;
mod socket;
mod throttle;

pub use desk::{Caller, Desk, Limits, Lookout, Parts, Planner, Probe, Services};
pub use hosts::Hosts;
pub use metrics::Measures;
pub use openapi::document as openapi_document;
pub use problem::Problem;
pub use routes::Face;
pub use server::serve;
pub use socket::Listener;
pub use throttle::ByHandRates;
