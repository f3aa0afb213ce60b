//! The headers of a delivery of Transcodely, when it is tried again, and how long an attempt may take.
//!
//! The signature covers `{timestamp}.{body}`; its key is the secret's text as it is shown, prefix included, which is what
//! the guide's receivers pass to their HMAC. There is room for one signature only, so while an old and a new secret both
//! stand the attempts take turns: a receiver that has either one accepts the first or the second attempt.
//!
//! # Source
//! Transcodely, "Webhook integration": verification and retry policy.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reelhook_domain::retry::RetrySchedule;
use reelhook_signature::scheme::TRANSCODELY as SCHEME;

use crate::Stamp;

/// One deadline from DNS to the last byte kept.
pub const TIMEOUT: Duration = Duration::from_secs(30);

const SIGNATURE: HeaderName = HeaderName::from_static(SCHEME.signature_header);
const TIMESTAMP: HeaderName = HeaderName::from_static(SCHEME.timestamp_header);
const DELIVERY: HeaderName = HeaderName::from_static("x-transcodely-delivery-id");

/// The headers of one attempt.
pub fn of(stamp: &Stamp<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    let mut put = |name, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).expect("ids, numbers and digits are visible ASCII"));
    };
    let timestamp = stamp.at.as_seconds().to_string();
    put(CONTENT_TYPE, "application/json");
    put(DELIVERY, &stamp.delivery.to_string());
    if let Some(secret) = secret(stamp) {
        put(SIGNATURE, &SCHEME.sign(&secret, &timestamp, stamp.body.as_bytes()));
    }
    put(TIMESTAMP, &timestamp);
    headers
}

/// The text that signs this attempt: a secret of the service's own, or the account's where it has none of these.
fn secret(stamp: &Stamp<'_>) -> Option<String> {
    let theirs = stamp.turn(stamp.service_secrets).map(ToString::to_string);
    theirs.or_else(|| stamp.turn(stamp.secrets).map(reelhook_signature::Secret::reveal))
}

/// When it is tried again: at once, then 1 min, 5 min, 30 min, 2 h and 12 h after the attempt before.
pub fn schedule() -> RetrySchedule {
    const MINUTE: u64 = 60_000;
    RetrySchedule::exact_millis(&[0, MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 720 * MINUTE])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reelhook_domain::id::{DeliveryId, EventId};
    use reelhook_domain::time::Timestamp;
    use reelhook_signature::Secret;

    use super::*;

    fn stamp<'a>(attempt: u32, secrets: &'a [Secret], service_secrets: &'a [Arc<str>]) -> Stamp<'a> {
        Stamp {
            event: EventId::from_bits(1),
            event_type: "job.completed",
            delivery: DeliveryId::from_bits(2),
            sequence: 3,
            attempt,
            at: Timestamp::from_millis(1_772_355_690_999),
            body: "{\"event\":\"job.completed\"}",
            secrets,
            signing_keys: &[],
            service_secrets,
        }
    }

    #[test]
    fn the_headers_are_those_of_the_guide() {
        let headers = of(&stamp(1, &[], &["whsec_test".into()]));
        let shown: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn the_whole_text_of_the_secret_is_the_key_and_both_of_two_take_their_turn() {
        let signature = |stamp: &Stamp<'_>| of(stamp)[&SIGNATURE].to_str().unwrap().to_owned();
        let both: [Arc<str>; 2] = ["whsec_new".into(), "whsec_old".into()];
        let (new, old) = (signature(&stamp(1, &[], &both[..1])), signature(&stamp(1, &[], &both[1..])));
        assert_ne!(new, old);
        let turns: Vec<_> = (1..=4).map(|attempt| signature(&stamp(attempt, &[], &both))).collect();
        assert_eq!(turns, [new.clone(), old.clone(), new, old]);

        let account = Secret::generate([7; 32]);
        let text: [Arc<str>; 1] = [account.reveal().into()];
        assert!(text[0].starts_with("whsec_"));
        assert_eq!(
            signature(&stamp(1, &[account], &[])),
            signature(&stamp(1, &[], &text)),
            "nothing goes out unsigned"
        );
    }

    #[test]
    fn six_attempts_take_fourteen_hours_and_thirty_six_minutes() {
        let schedule = schedule();
        assert_eq!(schedule.attempts(), 6);
        assert_eq!(schedule.waits_ms().iter().sum::<u64>(), (14 * 60 + 36) * 60_000);
        assert_eq!(schedule.wait_after(5, 0.9), Some(Duration::from_secs(12 * 3600)));
    }
}
