//! The headers of a delivery of Xora, when it is tried again, and how long an attempt may take.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reelhook_domain::retry::RetrySchedule;

use crate::Stamp;

/// One deadline from DNS to the last byte kept.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The headers of one attempt.
pub fn of(_stamp: &Stamp<'_>) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// When it is tried again.
pub fn schedule() -> RetrySchedule {
    RetrySchedule::default()
}
