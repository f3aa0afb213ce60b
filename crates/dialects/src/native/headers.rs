//! The headers of a native delivery: Standard Webhooks, and what helps to debug.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reelhook_signature::{ID_HEADER, Keys, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

use crate::Stamp;

/// Names the delivery: `dlv_...`.
pub const DELIVERY: HeaderName = HeaderName::from_static("reelhook-delivery");
/// Counts its attempts: 1, 2, ...
pub const ATTEMPT: HeaderName = HeaderName::from_static("reelhook-attempt");
/// Its place among the deliveries to its endpoint, without gaps.
pub const SEQUENCE: HeaderName = HeaderName::from_static("reelhook-sequence");

/// The headers of one attempt.
///
/// # Source
/// Standard Webhooks: the id is that of the event, the timestamp is that of the attempt.
pub fn of(stamp: &Stamp<'_>) -> HeaderMap {
    let id = stamp.event.to_string();
    let seconds = stamp.at.as_seconds();
    let keys = Keys::secrets(stamp.secrets).with_signing_keys(stamp.signing_keys);
    let mut headers = HeaderMap::with_capacity(7);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DELIVERY, text(&stamp.delivery.to_string()));
    headers.insert(ATTEMPT, HeaderValue::from(stamp.attempt));
    headers.insert(SEQUENCE, HeaderValue::from(stamp.sequence));
    headers.insert(ID_HEADER, text(&id));
    headers.insert(TIMESTAMP_HEADER, HeaderValue::from(seconds));
    headers.insert(SIGNATURE_HEADER, text(&sign(&id, seconds, stamp.body.as_bytes(), keys)));
    headers
}

fn text(ascii: &str) -> HeaderValue {
    HeaderValue::from_str(ascii).expect("ids and signatures are visible ASCII")
}
