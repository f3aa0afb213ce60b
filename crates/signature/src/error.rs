//! What can be wrong with a key, and which check a received webhook did not pass.

use std::error::Error;
use std::fmt;

/// A text that is not a key of the wanted kind. It never repeats the text, which may be a secret with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The prefix that names the kind of key is missing.
    Prefix {
        /// The prefix the key must start with.
        expected: &'static str,
    },
    /// What follows the prefix is not base64.
    Base64,
    /// The key is too short or too long.
    Length {
        /// How many bytes there were, once decoded.
        actual: usize,
        /// How many bytes are allowed.
        allowed: &'static str,
    },
    /// The bytes are not a point of the curve, or the two halves of a key pair do not belong together.
    Curve,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix { expected } => write!(f, "the key does not start with `{expected}`"),
            Self::Base64 => write!(f, "the key is not valid base64 after its prefix"),
            Self::Length { actual, allowed } => {
                write!(f, "the key is {actual} bytes long; it must be {allowed} bytes")
            }
            Self::Curve => write!(f, "the key is not a valid ed25519 key"),
        }
    }
}

impl Error for KeyError {}

/// The check that a received webhook did not pass. Safe to show to the sender: it holds no key and no signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// A header is not there.
    MissingHeader(&'static str),
    /// The id is empty or contains a full stop, which would let bytes move between the id, the time and the body.
    BadId,
    /// The time is not a whole number of Unix seconds in decimal digits.
    BadTimestamp,
    /// The header with the time of a service's own scheme does not hold a time as that service writes it.
    BadTime {
        /// The header.
        header: &'static str,
    },
    /// The webhook was sent longer ago than the tolerance: a replay, or a clock that is wrong.
    TimestampTooOld {
        /// Seconds between the signing and now.
        age_seconds: u64,
        /// Seconds allowed.
        tolerance_seconds: u64,
    },
    /// The webhook claims to be from the future by more than the tolerance: one of the two clocks is wrong.
    TimestampTooNew {
        /// Seconds between now and the signing.
        ahead_seconds: u64,
        /// Seconds allowed.
        tolerance_seconds: u64,
    },
    /// The header lists more signatures than are ever looked at.
    TooManySignatures {
        /// The most that is allowed.
        limit: usize,
    },
    /// No signature is of a version for which a key was given.
    NoKnownVersion,
    /// There are signatures of a known version, and none is right: another secret, or a body that was changed.
    NoMatchingSignature,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingHeader(name) => write!(f, "the header `{name}` is missing"),
            Self::BadId => write!(f, "the header `webhook-id` is empty or contains a full stop"),
            Self::BadTimestamp => write!(f, "the header `webhook-timestamp` is not a time in Unix seconds"),
            Self::BadTime { header } => write!(f, "the header `{header}` is not a time as the service writes it"),
            Self::TimestampTooOld { age_seconds, tolerance_seconds } => {
                write!(f, "the webhook was signed {age_seconds} s ago; the limit is {tolerance_seconds} s")
            }
            Self::TimestampTooNew { ahead_seconds, tolerance_seconds } => {
                write!(f, "the webhook was signed {ahead_seconds} s in the future; the limit is {tolerance_seconds} s")
            }
            Self::TooManySignatures { limit } => {
                write!(f, "the header `webhook-signature` lists more than {limit} signatures")
            }
            Self::NoKnownVersion => {
                write!(f, "the header `webhook-signature` has no signature of a version that a given key can check")
            }
            Self::NoMatchingSignature => {
                write!(f, "no signature matches: the secret is another one, or the body was changed")
            }
        }
    }
}

impl Error for VerifyError {}
