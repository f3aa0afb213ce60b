//! The headers of a delivery of Compressor, when it is tried again, and how long an attempt may take.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reelhook_domain::retry::RetrySchedule;

use crate::Stamp;

/// How the service names itself, to receivers and to origins.
///
/// # Source
/// The service's page on webhooks, to the letter.
pub const AGENT: &str = "Compressor/1.0 (+https://compressor.app)";

/// One deadline from DNS to the last byte kept. "A short time window" is all that the service says.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The headers of one attempt: the two that the service lists. Nothing is signed.
pub fn of(_stamp: &Stamp<'_>) -> HeaderMap {
    HeaderMap::from_iter([
        (USER_AGENT, HeaderValue::from_static(AGENT)),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ])
}

/// When it is tried again: eight attempts over a day and a half. The service only says that it "may" be.
pub fn schedule() -> RetrySchedule {
    const HOUR: u64 = 3600;
    RetrySchedule::seconds(&[0, 10, 60, 300, 1800, 2 * HOUR, 8 * HOUR, 24 * HOUR])
}
