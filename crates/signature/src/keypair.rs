//! Key pairs for `v1a` signatures: the sender keeps the private half, anyone may check with the public half.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::KeyError;
use crate::secret::{decode, encode};

/// A private ed25519 key, written `whsk_` and base64. Its `Debug` shows the public half only.
///
/// # Source
/// RFC 8032; Standard Webhooks, "Asymmetric signatures".
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    signer: Arc<Signer>,
}

impl SigningKey {
    /// What the text of a private key starts with.
    pub const PREFIX: &str = "whsk_";

    /// Reads `whsk_` and the base64 of a 32-byte seed, or of the seed and its public key (64 bytes).
    ///
    /// # Errors
    /// Another prefix, text that is not base64, another length, or two halves that do not belong together.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = decode(text, Self::PREFIX)?;
        if let Ok(seed) = <[u8; 32]>::try_from(bytes.as_slice()) {
            return Ok(Self::from_seed(seed));
        }
        let pair = <[u8; 64]>::try_from(bytes.as_slice())
            .map_err(|_| KeyError::Length { actual: bytes.len(), allowed: "32 or 64" })?;
        ed25519_dalek::SigningKey::from_keypair_bytes(&pair).map(Self::new).map_err(|_| KeyError::Curve)
    }

    /// A key from 32 random bytes, which the caller takes from the operating system.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::new(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    fn new(key: ed25519_dalek::SigningKey) -> Self {
        let signer = Arc::new(Signer::new(&key));
        Self { key, signer }
    }

    /// The private key as text: seed and public key, the form other libraries of the standard read. Never log it.
    #[must_use]
    pub fn reveal(&self) -> String {
        encode(&self.key.to_keypair_bytes(), Self::PREFIX)
    }

    /// The half that may be shown to everyone.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(message)
    }
}

/// Makes the signatures of one key.
struct Signer {
    #[cfg(not(feature = "aws-lc"))]
    key: ed25519_dalek::SigningKey,
    #[cfg(feature = "aws-lc")]
    key: aws_lc_rs::signature::Ed25519KeyPair,
    /// What was signed last: one event that goes to many endpoints within a second is one message.
    last: Mutex<Option<(Vec<u8>, [u8; 64])>>,
}

impl Signer {
    fn new(key: &ed25519_dalek::SigningKey) -> Self {
        #[cfg(not(feature = "aws-lc"))]
        let key = key.clone();
        #[cfg(feature = "aws-lc")]
        let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(key.as_bytes())
            .expect("every 32 bytes are the seed of a key");
        Self { key, last: Mutex::default() }
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, signature)) = last().as_ref().filter(|(known, _)| known == message) {
            return *signature;
        }
        let signature = self.make(message);
        *last() = Some((message.to_vec(), signature));
        signature
    }

    #[cfg(not(feature = "aws-lc"))]
    fn make(&self, message: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer as _;
        self.key.sign(message).to_bytes()
    }

    #[cfg(feature = "aws-lc")]
    fn make(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.key.sign(message);
        signature.as_ref().try_into().expect("an ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(redacted, of {})", self.public_key())
    }
}

/// A public ed25519 key, written (`Display`) `whpk_` and base64 of 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// What the text of a public key starts with.
    pub const PREFIX: &str = "whpk_";

    /// Reads `whpk_` and base64.
    ///
    /// # Errors
    /// Another prefix, text that is not base64, another length, or bytes that are no point of the curve.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = decode(text, Self::PREFIX)?;
        let bytes = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| KeyError::Length { actual: bytes.len(), allowed: "32" })?;
        ed25519_dalek::VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError::Curve)
    }

    /// Strict verification: weak keys and second spellings of a signature are refused.
    pub(crate) fn matches(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(self.0.as_bytes(), Self::PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_written_alike() {
        let key = SigningKey::from_seed([3; 32]);
        assert_eq!(SigningKey::parse(&key.reveal()).unwrap().reveal(), key.reveal());
        assert_eq!(SigningKey::parse(&encode(&[3; 32], "whsk_")).unwrap().reveal(), key.reveal());
        assert_eq!(PublicKey::parse(&key.public_key().to_string()).unwrap(), key.public_key());
        assert!(!format!("{key:?}").contains("whsk_"));
    }

    #[test]
    fn signatures_are_those_of_another_library_whatever_was_signed_before() {
        use ed25519_dalek::Signer as _;
        for seed in 0..8 {
            let (ours, theirs) =
                (SigningKey::from_seed([seed; 32]), ed25519_dalek::SigningKey::from_bytes(&[seed; 32]));
            for length in [0, 1, 1000, 1000, 1, 70_000] {
                let message = vec![seed ^ 5; length];
                assert_eq!(ours.sign(&message), theirs.sign(&message).to_bytes());
                assert!(ours.public_key().matches(&message, &ours.clone().sign(&message)));
            }
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        assert_eq!(SigningKey::parse("whsec_AAAA").unwrap_err(), KeyError::Prefix { expected: "whsk_" });
        assert_eq!(
            SigningKey::parse(&encode(&[1; 33], "whsk_")).unwrap_err(),
            KeyError::Length { actual: 33, allowed: "32 or 64" }
        );
        assert_eq!(SigningKey::parse(&encode(&[1; 64], "whsk_")).unwrap_err(), KeyError::Curve);
        assert_eq!(PublicKey::parse("whpk_AAAA").unwrap_err(), KeyError::Length { actual: 3, allowed: "32" });
    }
}
