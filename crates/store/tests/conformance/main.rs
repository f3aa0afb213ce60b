//! What every backend of the store does, written once against the traits.
//!
//! To add a backend: a maker of [`world::World`] beside [`world::sqlite`], and a module of tests in [`conformance`].

#![allow(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

mod accounts;
mod confirm;
mod credits;
mod deliveries;
mod endpoints;
mod erasure;
mod events;
mod hand_off;
mod jobs;
mod origins;
mod quotas;
mod recover;
mod retention;
mod rotation;
mod sending;
mod sqlite_file;
mod taking;
mod turns;
mod two_processes;
mod uploads;
mod wakes;
mod work;
mod world;

/// Turns cases into one test for each backend.
macro_rules! conformance {
    ($(async fn $case:ident($world:ident: &World) $body:block)*) => {
        $(async fn $case($world: &World) $body)*

        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::world::sqlite().await).await;
            })*
        }
    };
}
use conformance;
