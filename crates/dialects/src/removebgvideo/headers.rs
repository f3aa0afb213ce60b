//! The headers of a delivery of RemoveBGVideo, when it is tried again, and how long an attempt may take.
//!
//! The signature is `sha256=` and the lower-case hexadecimal HMAC-SHA256 of the timestamp header as it is sent, a full
//! stop and the body, keyed with the text of the secret. It is there only where the account has a secret for the service.
//! The service says neither when it tries again nor for how long; what is said here is ours.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reelhook_domain::retry::RetrySchedule;
use reelhook_signature::scheme::REMOVEBGVIDEO as SCHEME;

use super::reply::event_name;
use crate::Stamp;

/// One deadline from DNS to the last byte kept.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Waits before each attempt, in seconds: over half a day in all.
const WAITS: &[u64] = &[0, 10, 60, 5 * 60, 30 * 60, 2 * 3600, 4 * 3600, 8 * 3600];

const EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const DELIVERY: HeaderName = HeaderName::from_static("x-webhook-delivery-id");
const TIMESTAMP: HeaderName = HeaderName::from_static(SCHEME.timestamp_header);
const SIGNATURE: HeaderName = HeaderName::from_static(SCHEME.signature_header);

/// The headers of one attempt.
pub fn of(stamp: &Stamp<'_>) -> HeaderMap {
    let timestamp = stamp.at.to_string();
    let text = |text: &str| HeaderValue::from_str(text).expect("names, ids, times and digits are visible ASCII");
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (EVENT, text(event_name(stamp.event_type).unwrap_or(stamp.event_type))),
        (DELIVERY, text(&stamp.delivery.to_string())),
        (TIMESTAMP, text(&timestamp)),
    ]);
    // One header carries one signature: while two secrets sign, they take turns.
    if let Some(secret) = stamp.turn(stamp.service_secrets) {
        headers.insert(SIGNATURE, text(&SCHEME.sign(secret, &timestamp, stamp.body.as_bytes())));
    }
    headers
}

/// When it is tried again.
pub fn schedule() -> RetrySchedule {
    RetrySchedule::exact_millis(&WAITS.iter().map(|seconds| seconds * 1000).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reelhook_domain::id::{DeliveryId, EventId};
    use reelhook_domain::time::Timestamp;

    use super::*;

    fn stamped(attempt: u32, secrets: &[Arc<str>]) -> HeaderMap {
        of(&Stamp {
            event: EventId::from_bits(1),
            event_type: "job.partial",
            delivery: DeliveryId::from_bits(2),
            sequence: 3,
            attempt,
            at: Timestamp::from_millis(1_750_000_000_123),
            body: r#"{"event":"job.completed"}"#,
            secrets: &[],
            signing_keys: &[],
            service_secrets: secrets,
        })
    }

    #[test]
    fn the_headers_are_the_four_and_the_signature_only_with_a_secret() {
        let mut said = String::new();
        for secrets in [&[][..], &["top secret".into()][..]] {
            for (name, value) in &stamped(1, secrets) {
                said += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            said += "\n";
        }
        insta::assert_snapshot!(said);
    }

    #[test]
    fn the_signature_is_what_other_software_computes() {
        // printf '%s' '2025-06-15T15:06:40.123Z.{"event":"job.completed"}' | openssl dgst -sha256 -hmac 'top secret'
        let expected = "sha256=870e5b0383d936b82651454b5f309266789267bddd10017a36284b9f3a61f44c";
        assert_eq!(stamped(1, &["top secret".into()])[SIGNATURE], expected);
    }

    #[test]
    fn while_two_secrets_sign_they_take_turns() {
        let both: &[Arc<str>] = &["new".into(), "old".into()];
        let signature = |attempt, secrets| stamped(attempt, secrets)[SIGNATURE].clone();
        assert_eq!(signature(1, both), signature(1, &both[..1]));
        assert_eq!(signature(2, both), signature(1, &both[1..]));
        assert_eq!(signature(3, both), signature(1, &both[..1]));
    }

    #[test]
    fn the_schedule_is_the_documented_one() {
        let documented = [0, 10_000, 60_000, 300_000, 1_800_000, 7_200_000, 14_400_000, 28_800_000];
        assert_eq!(schedule(), RetrySchedule::exact_millis(&documented));
    }
}
