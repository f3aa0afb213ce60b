//! The value of the `webhook-signature` header.

use base64::Engine as _;

use crate::Secret;
#[cfg(feature = "ed25519")]
use crate::SigningKey;
use crate::hmac_sha256::hmac_sha256;
use crate::secret::BASE64;

/// The keys that sign one webhook: every active secret, newest first, then every signing key.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys<'a> {
    secrets: &'a [Secret],
    #[cfg(feature = "ed25519")]
    signing_keys: &'a [SigningKey],
}

impl<'a> Keys<'a> {
    /// The active secrets, newest first. Their order is the order of the signatures.
    #[must_use]
    pub fn secrets(secrets: &'a [Secret]) -> Self {
        Self {
            secrets,
            #[cfg(feature = "ed25519")]
            signing_keys: &[],
        }
    }

    /// Signs with these private keys as well.
    #[cfg(feature = "ed25519")]
    #[must_use]
    pub fn with_signing_keys(self, signing_keys: &'a [SigningKey]) -> Self {
        Self { signing_keys, ..self }
    }
}

/// The value of the `webhook-signature` header: `v1,...` for each secret, then `v1a,...` for each signing key,
/// separated by spaces. Without keys it is empty.
///
/// `timestamp_seconds` is the Unix time of this attempt, and must be sent as it is in `webhook-timestamp`.
/// The id must not contain a full stop: [`crate::verify()`] refuses such an id.
///
/// # Source
/// Standard Webhooks, "Signature scheme".
#[must_use]
pub fn sign(id: &str, timestamp_seconds: i64, body: &[u8], keys: Keys<'_>) -> String {
    let timestamp = timestamp_seconds.to_string();
    // "v1," and 44 characters and a space, or "v1a," and 88 and a space.
    let mut value = String::with_capacity(48 * keys.secrets.len() + 93);
    for secret in keys.secrets {
        let mac = hmac_sha256(secret.as_bytes(), &signed_parts(id, &timestamp, body));
        append(&mut value, "v1,", &mac);
    }
    #[cfg(feature = "ed25519")]
    if !keys.signing_keys.is_empty() {
        let message = signed_parts(id, &timestamp, body).concat();
        for key in keys.signing_keys {
            append(&mut value, "v1a,", &key.sign(&message));
        }
    }
    value
}

/// What is signed, in pieces, so that the body is not copied.
pub(crate) fn signed_parts<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

fn append(value: &mut String, version: &str, signature: &[u8]) {
    if !value.is_empty() {
        value.push(' ');
    }
    value.push_str(version);
    BASE64.encode_string(signature, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_vector_of_the_standard_comes_out() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(sign(ID, TIME, BODY, Keys::secrets(&[secret])), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[cfg(feature = "ed25519")]
    #[test]
    fn the_ed25519_vector_of_svix_comes_out() {
        let key = SigningKey::parse(
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
        )
        .unwrap();
        assert_eq!(key.public_key().to_string(), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
        assert_eq!(
            sign(ID, TIME, BODY, Keys::default().with_signing_keys(&[key])),
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        );
    }

    #[test]
    fn every_active_secret_signs_in_the_given_order() {
        let newest = Secret::generate([1; 32]);
        let older = Secret::generate([2; 32]);
        let alone = |secret: &Secret| sign(ID, TIME, BODY, Keys::secrets(std::slice::from_ref(secret)));
        let expected = format!("{} {}", alone(&newest), alone(&older));
        assert_eq!(sign(ID, TIME, BODY, Keys::secrets(&[newest, older])), expected);
    }

    #[test]
    fn without_keys_there_is_no_signature() {
        assert_eq!(sign(ID, TIME, BODY, Keys::default()), "");
    }
}
