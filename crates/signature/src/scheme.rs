//! The signature schemes of other services, as plain values: which headers, how the time is written, and from there one
//! rule for all of them.
//!
//! Each signs `{timestamp}.{raw body}` with HMAC-SHA256 and writes `sha256=` and lower-case hexadecimal digits. The key is
//! the text of the secret as it is shown, prefix included, and not what its base64 would decode to. One header carries one
//! signature, so while two secrets stand the sender's attempts take turns, and a receiver that has either one accepts the
//! first or the second.

use subtle::{Choice, ConstantTimeEq as _};

use crate::hmac_sha256::hmac_sha256_hex;
use crate::verify::{DEFAULT_TOLERANCE, check_distance, unix_seconds};
use crate::{VerifyError, civil};

/// How one service signs its webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The service.
    pub service: &'static str,
    /// Name of the header with the time of this attempt, in lower case.
    pub timestamp_header: &'static str,
    /// Name of the header with the signature, in lower case.
    pub signature_header: &'static str,
    /// How the time is written.
    pub time: TimeSpelling,
}

/// How a service writes the time that it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSpelling {
    /// Whole seconds since 1970, in decimal digits.
    UnixSeconds,
    /// ISO 8601 in UTC, such as `2026-01-02T03:04:05.678Z`.
    Iso8601,
}

/// Transcodely.
pub const TRANSCODELY: Scheme = Scheme {
    service: "transcodely",
    timestamp_header: "x-transcodely-timestamp",
    signature_header: "x-transcodely-signature",
    time: TimeSpelling::UnixSeconds,
};

/// RemoveBGVideo.
pub const REMOVEBGVIDEO: Scheme = Scheme {
    service: "removebgvideo",
    timestamp_header: "x-webhook-timestamp",
    signature_header: "x-webhook-signature",
    time: TimeSpelling::Iso8601,
};

/// Every scheme of another service. Services that sign nothing have none.
pub const SCHEMES: [Scheme; 2] = [TRANSCODELY, REMOVEBGVIDEO];

impl Scheme {
    /// The value of the signature's header, under the text of a secret. The timestamp is what its header says.
    #[must_use]
    pub fn sign(&self, secret: &str, timestamp: &str, body: &[u8]) -> String {
        format!("sha256={}", hmac_sha256_hex(secret.as_bytes(), &[timestamp.as_bytes(), b".", body]))
    }

    /// Checks a webhook: its headers, found by their lower-case names, its **raw** body, the time now in Unix seconds, and
    /// the texts of the secrets of which any one is enough.
    ///
    /// The time may be five minutes off, either way. Signatures are compared in constant time.
    ///
    /// # Errors
    /// The first check that failed: a header missing or malformed, the time too far off, no signature that matches.
    pub fn verify<'a>(
        &self,
        lookup: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
        now_seconds: i64,
        secrets: &[&str],
    ) -> Result<(), VerifyError> {
        let timestamp = lookup(self.timestamp_header).ok_or(VerifyError::MissingHeader(self.timestamp_header))?;
        let signature = lookup(self.signature_header).ok_or(VerifyError::MissingHeader(self.signature_header))?;
        let signed_at = match self.time {
            TimeSpelling::UnixSeconds => unix_seconds(timestamp),
            TimeSpelling::Iso8601 => civil::unix_seconds(timestamp),
        };
        let signed_at = signed_at.ok_or(VerifyError::BadTime { header: self.timestamp_header })?;
        check_distance(signed_at, now_seconds, DEFAULT_TOLERANCE)?;
        let matched = secrets.iter().fold(Choice::from(0), |matched, secret| {
            matched | self.sign(secret, timestamp, body).as_bytes().ct_eq(signature.as_bytes())
        });
        if bool::from(matched) { Ok(()) } else { Err(VerifyError::NoMatchingSignature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"event":"job.completed"}"#;
    const NOW: i64 = 1_750_000_000;
    const SECRET: &str = "top secret";

    /// Computed by other software: `printf '%s' "$timestamp.$body" | openssl dgst -sha256 -hmac "$secret"`.
    const SIGNED: [(Scheme, &str, &str); 2] = [
        (TRANSCODELY, "1750000000", "sha256=825fab16d420e4a316dee336c81d59cd61694677a8742cbd47011f28c0ddb068"),
        (
            REMOVEBGVIDEO,
            "2025-06-15T15:06:40.123Z",
            "sha256=870e5b0383d936b82651454b5f309266789267bddd10017a36284b9f3a61f44c",
        ),
    ];

    fn check(
        scheme: Scheme,
        timestamp: &str,
        signature: &str,
        body: &[u8],
        secrets: &[&str],
    ) -> Result<(), VerifyError> {
        let lookup = |name: &str| match name {
            _ if name == scheme.timestamp_header => Some(timestamp),
            _ if name == scheme.signature_header => Some(signature),
            _ => None,
        };
        scheme.verify(lookup, body, NOW, secrets)
    }

    #[test]
    fn what_other_software_signed_is_made_and_believed() {
        for (scheme, timestamp, signature) in SIGNED {
            assert_eq!(scheme.sign(SECRET, timestamp, BODY), signature);
            assert_eq!(check(scheme, timestamp, signature, BODY, &["newer", SECRET]), Ok(()), "{}", scheme.service);
        }
    }

    #[test]
    fn what_was_changed_is_refused() {
        let none = Err(VerifyError::NoMatchingSignature);
        for (scheme, timestamp, signature) in SIGNED {
            assert_eq!(check(scheme, timestamp, signature, b"{}", &[SECRET]), none);
            assert_eq!(check(scheme, timestamp, signature, BODY, &["another"]), none);
            assert_eq!(check(scheme, timestamp, signature, BODY, &[]), none);
            assert_eq!(check(scheme, timestamp, &signature.to_uppercase(), BODY, &[SECRET]), none);
            assert_eq!(check(scheme, timestamp, &signature[..20], BODY, &[SECRET]), none);
        }
        assert_eq!(check(TRANSCODELY, "1750000001", SIGNED[0].2, BODY, &[SECRET]), none);
        assert_eq!(check(REMOVEBGVIDEO, "2025-06-15T15:06:40.124Z", SIGNED[1].2, BODY, &[SECRET]), none);
    }

    #[test]
    fn the_time_is_within_five_minutes_and_spelled_as_the_service_does() {
        let sign = |scheme: Scheme, timestamp: &str| {
            let signature = scheme.sign(SECRET, timestamp, BODY);
            check(scheme, timestamp, &signature, BODY, &[SECRET])
        };
        assert_eq!(sign(TRANSCODELY, "1749999700"), Ok(()));
        let old = VerifyError::TimestampTooOld { age_seconds: 301, tolerance_seconds: 300 };
        assert_eq!(sign(TRANSCODELY, "1749999699"), Err(old.clone()));
        assert_eq!(sign(REMOVEBGVIDEO, "2025-06-15T15:01:40Z"), Ok(()));
        assert_eq!(sign(REMOVEBGVIDEO, "2025-06-15T15:01:39.999Z"), Err(old));
        let bad = |scheme: Scheme| Err(VerifyError::BadTime { header: scheme.timestamp_header });
        for text in ["", "soon", "+1750000000", "1750000000.5", "2025-06-15T15:06:40Z"] {
            assert_eq!(sign(TRANSCODELY, text), bad(TRANSCODELY), "{text:?}");
        }
        for text in
            ["", "soon", "1750000000", "2025-06-15T15:06:40", "2025-06-15 15:06:40Z", "2025-06-15T15:06:40+00:00"]
        {
            assert_eq!(sign(REMOVEBGVIDEO, text), bad(REMOVEBGVIDEO), "{text:?}");
        }
    }

    #[test]
    fn a_header_that_is_missing_is_named() {
        for scheme in SCHEMES {
            for name in [scheme.timestamp_header, scheme.signature_header] {
                let seen = scheme.verify(|asked| (asked != name).then_some("1750000000"), BODY, NOW, &[SECRET]);
                assert_eq!(seen, Err(VerifyError::MissingHeader(name)));
            }
        }
    }
}
