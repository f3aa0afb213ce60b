//! The shared secret of one endpoint, and how keys are written as text.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq as _;

use crate::KeyError;

/// Standard base64: written with padding, read with or without it, because people lose the `=` when they copy.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the bytes of a key written as a prefix and base64.
pub(crate) fn decode(text: &str, prefix: &'static str) -> Result<Vec<u8>, KeyError> {
    let encoded = text.trim().strip_prefix(prefix).ok_or(KeyError::Prefix { expected: prefix })?;
    BASE64.decode(encoded).map_err(|_| KeyError::Base64)
}

/// Writes the bytes of a key as a prefix and base64.
pub(crate) fn encode(bytes: &[u8], prefix: &str) -> String {
    let mut text = String::from(prefix);
    BASE64.encode_string(bytes, &mut text);
    text
}

/// A shared secret for HMAC signatures: 24 to 64 bytes, written `whsec_` and base64.
///
/// Its `Debug` shows no byte of it; only [`Secret::reveal`] does. Two secrets are compared in constant time.
///
/// # Source
/// Standard Webhooks, "Signature scheme".
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What the text of a secret starts with.
    pub const PREFIX: &str = "whsec_";

    /// Reads `whsec_` and base64. White space around it is ignored.
    ///
    /// # Errors
    /// Another prefix, text that is not base64, or fewer than 24 or more than 64 bytes.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&decode(text, Self::PREFIX)?)
    }

    /// A secret of these bytes. They must come from a source of randomness made for secrets; 32 are customary.
    ///
    /// # Errors
    /// Fewer than 24 or more than 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.len() {
            24..=64 => Ok(Self(bytes.to_vec())),
            actual => Err(KeyError::Length { actual, allowed: "24 to 64" }),
        }
    }

    /// A secret of the customary size from 32 random bytes, which the caller takes from the operating system.
    #[must_use]
    pub fn generate(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// The secret as text. Show it once, to its owner; never log it.
    #[must_use]
    pub fn reveal(&self) -> String {
        encode(&self.0, Self::PREFIX)
    }

    /// The raw bytes: what HMAC takes as its key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(redacted, {} bytes)", self.0.len())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_written_alike() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let secret = Secret::parse(text).unwrap();
        assert_eq!(secret.as_bytes().len(), 24);
        assert_eq!(secret.reveal(), text);
        assert_eq!(Secret::parse(&Secret::generate([7; 32]).reveal()).unwrap(), Secret::generate([7; 32]));
    }

    #[test]
    fn lost_padding_and_white_space_are_forgiven() {
        let whole = Secret::generate([9; 32]);
        let copied = format!(" {}\n", whole.reveal().trim_end_matches('='));
        assert_eq!(Secret::parse(&copied).unwrap(), whole);
    }

    #[test]
    fn what_is_not_a_secret_is_refused() {
        assert_eq!(Secret::parse("whpk_AAAA"), Err(KeyError::Prefix { expected: "whsec_" }));
        assert_eq!(Secret::parse("whsec_not base64"), Err(KeyError::Base64));
        for (length, allowed) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = encode(&vec![1; length], Secret::PREFIX);
            assert_eq!(Secret::parse(&text).is_ok(), allowed, "{length} bytes");
        }
    }

    #[test]
    fn debug_shows_no_byte_of_it() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(redacted, 24 bytes)");
    }
}
