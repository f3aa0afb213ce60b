//! The headers of a delivery of Clipzy, when it is tried again, and how long an attempt may take.
//!
//! The service signs nothing and describes no header of its own. It documents an exponential backoff and an end of it, and
//! no numbers: those are ours.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reelhook_domain::retry::RetrySchedule;

use crate::Stamp;

/// One deadline from DNS to the last byte kept.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Waits before each attempt, in seconds: nearly eight hours in all.
const WAITS: &[u64] = &[0, 30, 2 * 60, 10 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600];

/// The headers of one attempt.
pub fn of(_stamp: &Stamp<'_>) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// When it is tried again.
pub fn schedule() -> RetrySchedule {
    RetrySchedule::exact_millis(&WAITS.iter().map(|seconds| seconds * 1000).collect::<Vec<_>>())
}
