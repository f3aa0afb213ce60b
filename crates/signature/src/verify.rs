//! The check a receiver makes: is it from who holds the key, unchanged, and of now.

use std::time::Duration;

use base64::Engine as _;
use subtle::{Choice, ConstantTimeEq as _};

#[cfg(feature = "ed25519")]
use crate::PublicKey;
use crate::hmac_sha256::hmac_sha256;
use crate::secret::BASE64;
use crate::sign::signed_parts;
use crate::{ID_HEADER, SIGNATURE_HEADER, Secret, TIMESTAMP_HEADER, VerifyError};

/// How far the time of a webhook may be from the receiver's, either way: five minutes.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// The most signatures one header may list; more would let a sender make the receiver work.
pub const MAX_SIGNATURES: usize = 32;

/// The three headers of a webhook, as received.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

impl<'a> Headers<'a> {
    /// Takes the headers with a function from a lower-case name to a value.
    pub fn read(lookup: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self { id: lookup(ID_HEADER), timestamp: lookup(TIMESTAMP_HEADER), signature: lookup(SIGNATURE_HEADER) }
    }
}

/// Whom a receiver believes: any one of these keys is enough.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    secrets: &'a [Secret],
    #[cfg(feature = "ed25519")]
    public_keys: &'a [PublicKey],
    tolerance: Duration,
}

impl<'a> Trust<'a> {
    /// Believes the holders of these secrets; during a rotation give the old one and the new one.
    #[must_use]
    pub fn secrets(secrets: &'a [Secret]) -> Self {
        Self {
            secrets,
            #[cfg(feature = "ed25519")]
            public_keys: &[],
            tolerance: DEFAULT_TOLERANCE,
        }
    }

    /// Believes the holders of these keys' private halves as well.
    #[cfg(feature = "ed25519")]
    #[must_use]
    pub fn with_public_keys(self, public_keys: &'a [PublicKey]) -> Self {
        Self { public_keys, ..self }
    }

    /// How far the time of the webhook may be from now, either way; whole seconds count.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }
}

/// Checks a webhook: its headers, its **raw** body, the time now in Unix seconds, and whom to believe.
///
/// Signatures are compared in constant time, and all of them are compared. Versions it does not know are passed over.
/// A webhook seen before still verifies within the tolerance: drop repeats by `webhook-id`.
///
/// # Errors
/// The first check that failed: a header missing or malformed, the time too far off, no signature that matches.
pub fn verify(headers: Headers<'_>, body: &[u8], now_seconds: i64, trust: Trust<'_>) -> Result<(), VerifyError> {
    let id = headers.id.ok_or(VerifyError::MissingHeader(ID_HEADER))?;
    let timestamp = headers.timestamp.ok_or(VerifyError::MissingHeader(TIMESTAMP_HEADER))?;
    let signatures = headers.signature.ok_or(VerifyError::MissingHeader(SIGNATURE_HEADER))?;
    if id.is_empty() || id.contains('.') {
        return Err(VerifyError::BadId);
    }
    check_time(timestamp, now_seconds, trust.tolerance)?;
    check_signatures(signatures, &signed_parts(id, timestamp, body), trust)
}

fn check_time(timestamp: &str, now_seconds: i64, tolerance: Duration) -> Result<(), VerifyError> {
    check_distance(unix_seconds(timestamp).ok_or(VerifyError::BadTimestamp)?, now_seconds, tolerance)
}

/// Whole seconds in decimal digits; nothing for anything else, a sign included, which `parse` alone would take.
pub(crate) fn unix_seconds(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Whether the time of a webhook is near enough to now.
pub(crate) fn check_distance(signed_at: i64, now_seconds: i64, tolerance: Duration) -> Result<(), VerifyError> {
    let tolerance_seconds = tolerance.as_secs();
    let distance = now_seconds.abs_diff(signed_at);
    if distance <= tolerance_seconds {
        return Ok(());
    }
    if signed_at < now_seconds {
        return Err(VerifyError::TimestampTooOld { age_seconds: distance, tolerance_seconds });
    }
    Err(VerifyError::TimestampTooNew { ahead_seconds: distance, tolerance_seconds })
}

fn check_signatures(signatures: &str, parts: &[&[u8]; 5], trust: Trust<'_>) -> Result<(), VerifyError> {
    if signatures.split_ascii_whitespace().nth(MAX_SIGNATURES).is_some() {
        return Err(VerifyError::TooManySignatures { limit: MAX_SIGNATURES });
    }
    let macs: Vec<[u8; 32]> = trust.secrets.iter().map(|secret| hmac_sha256(secret.as_bytes(), parts)).collect();
    let mut known = false;
    let mut matched = Choice::from(0);
    for entry in signatures.split_ascii_whitespace() {
        match entry.split_once(',') {
            Some(("v1", encoded)) if !macs.is_empty() => {
                known = true;
                matched |= matches_mac(encoded, &macs);
            }
            #[cfg(feature = "ed25519")]
            Some(("v1a", encoded)) if !trust.public_keys.is_empty() => {
                known = true;
                matched |= matches_public_key(encoded, parts, trust.public_keys);
            }
            _ => {}
        }
    }
    match (known, bool::from(matched)) {
        (_, true) => Ok(()),
        (true, false) => Err(VerifyError::NoMatchingSignature),
        (false, false) => Err(VerifyError::NoKnownVersion),
    }
}

fn matches_mac(encoded: &str, macs: &[[u8; 32]]) -> Choice {
    let Ok(given) = BASE64.decode(encoded) else {
        return Choice::from(0);
    };
    macs.iter().fold(Choice::from(0), |matched, mac| matched | mac.as_slice().ct_eq(&given))
}

#[cfg(feature = "ed25519")]
fn matches_public_key(encoded: &str, parts: &[&[u8]; 5], keys: &[PublicKey]) -> Choice {
    let Some(given) = BASE64.decode(encoded).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok()) else {
        return Choice::from(0);
    };
    let message = parts.concat();
    Choice::from(u8::from(keys.iter().any(|key| key.matches(&message, &given))))
}
