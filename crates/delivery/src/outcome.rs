//! What an exchange looked like from outside, in the words that are kept.
//!
//! Everything here came from a stranger: text is made of whatever bytes came, and every length is bounded.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use reelhook_domain::delivery::{AttemptTimings, Outcome};
use reelhook_domain::time::Timestamp;
use reelhook_egress::{Exchange, Failure, FailureKind, Timings};

/// Most bytes of response headers that are kept, names and values.
const HEADERS_CAP: usize = 16 * 1024;

/// The outcome of an exchange that came to its end.
pub(crate) fn of_exchange(exchange: &Exchange, now: Timestamp) -> Outcome {
    let retry_after = retry_after(&exchange.headers, now);
    Outcome::Status {
        status: exchange.status.as_u16(),
        retry_after_ms: retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// The outcome of an exchange that did not.
pub(crate) fn of_failure(failure: &Failure) -> Outcome {
    Outcome::Failed {
        phase: failure.phase.as_str().to_owned(),
        kind: failure.kind.as_str().to_owned(),
        reason: failure.tls.map(|why| why.as_str().to_owned()),
    }
}

/// Whether the receiver has more than it bears: then its lane narrows.
pub(crate) fn is_overload(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Status { status, .. } => matches!(status, 429 | 502..=504),
        Outcome::Failed { kind, .. } => {
            [FailureKind::Timeout, FailureKind::Stalled].iter().any(|overload| overload.as_str() == kind)
        }
    }
}

/// What `Retry-After` asks for, in seconds or as a date; zero for a date that has passed. Anything else is ignored.
///
/// # Source
/// RFC 9110 section 10.2.3; the three spellings of a date are those of section 5.6.7.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are as good as for ever; the schedule caps them.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Some((Timestamp::from_millis(0) + since_epoch).since(now))
}

/// The headers of a response as text.
pub(crate) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut room = HEADERS_CAP;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let (name, value) = (name.as_str().to_owned(), text(value.as_bytes(), usize::MAX));
        let Some(rest) = room.checked_sub(name.len() + value.len()) else { break };
        room = rest;
        kept.push((name, value));
    }
    kept
}

/// Bytes as text of at most `cap` bytes. What is not UTF-8 is replaced, and so is NUL, which not every database holds.
pub(crate) fn text(bytes: &[u8], cap: usize) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    // Replacements are longer than what they replace.
    let end = text.floor_char_boundary(cap.min(text.len()));
    text.truncate(end);
    text
}

/// How long each phase took, in milliseconds to the microsecond.
pub(crate) fn timings(timings: Timings) -> AttemptTimings {
    let millis = |duration: Duration| duration.as_micros() as f64 / 1000.0;
    AttemptTimings {
        dns: millis(timings.dns),
        connect: millis(timings.connect),
        tls: millis(timings.tls),
        first_byte: millis(timings.first_byte),
        total: millis(timings.total),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// 1994-11-06T08:49:37Z, the example of RFC 9110.
    const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let table = [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers, NOW), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn only_signs_of_overload_narrow_a_lane() {
        let status = |status| Outcome::Status { status, retry_after_ms: None };
        let failed =
            |kind: &str| Outcome::Failed { phase: "first_byte".to_owned(), kind: kind.to_owned(), reason: None };
        for (outcome, expected) in [
            (status(429), true),
            (status(503), true),
            (status(500), false),
            (status(404), false),
            (failed("timeout"), true),
            (failed("refused"), false),
        ] {
            assert_eq!(is_overload(&outcome), expected, "{outcome:?}");
        }
    }

    #[test]
    fn headers_beyond_the_cap_are_not_kept() {
        let mut all = HeaderMap::new();
        for _ in 0..40 {
            all.append("x-long", HeaderValue::from_str(&"v".repeat(1000)).unwrap());
        }
        assert_eq!(headers(&all).len(), HEADERS_CAP / 1006);
    }

    proptest! {
        #[test]
        fn any_bytes_become_text_within_the_cap_and_without_nul(bytes: Vec<u8>, cap in 0usize..200) {
            let text = text(&bytes, cap);
            prop_assert!(text.len() <= cap);
            prop_assert!(!text.contains('\0'));
        }
    }
}
