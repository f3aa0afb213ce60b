//! The headers of a delivery of Xora, when it is tried again, and how long an attempt may take.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reelhook_domain::retry::RetrySchedule;

use crate::Stamp;

/// One deadline from DNS to the last byte kept. The service does not name one.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The headers of one attempt: the service describes no signature, no id and no name of the event.
pub fn of(_stamp: &Stamp<'_>) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// Three attempts: at once, 500 ms after the first failure, one second after the second.
pub fn schedule() -> RetrySchedule {
    RetrySchedule::exact_millis(&[0, 500, 1000])
}
