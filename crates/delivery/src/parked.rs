//! Which lanes give back what is fanned out to them, for the fan-out to know beforehand.
//!
//! The [lanes](crate::lanes) write it, the [fan-out](crate::fanout) reads it. What it reads may be out of date: then a
//! delivery takes the long way, through its lane and back, and nothing is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reelhook_domain::id::EndpointId;
use reelhook_domain::time::Timestamp;

/// Until when, and why, deliveries to an endpoint wait in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Not to be claimed before then.
    pub(crate) until: Timestamp,
    /// A word of `waiting_reason`.
    pub(crate) reason: &'static str,
}

/// The lanes that are parked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parked(Arc<Mutex<HashMap<EndpointId, Waits>>>);

impl Parked {
    /// Whether deliveries to that endpoint wait in the store, and how.
    pub(crate) fn waits(&self, endpoint: EndpointId) -> Option<Waits> {
        self.lock().get(&endpoint).copied()
    }

    pub(crate) fn set(&self, endpoint: EndpointId, waits: Waits) {
        self.lock().insert(endpoint, waits);
    }

    /// Keeps those of which `keep` says so.
    pub(crate) fn retain(&self, mut keep: impl FnMut(EndpointId) -> bool) {
        self.lock().retain(|&endpoint, _| keep(endpoint));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EndpointId, Waits>> {
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
