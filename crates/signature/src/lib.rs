//! Make and check webhook signatures.
//!
//! A receiver of Reelhook's webhooks depends on this crate and on nothing else of ours. It follows
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
//! three headers (`webhook-id`, `webhook-timestamp`, `webhook-signature`) and a signature over
//! `{id}.{timestamp}.{raw body}`. The signature header holds several signatures, separated by spaces, so that a
//! secret can be changed while both the old and the new one are accepted:
//!
//! * `v1,` and the base64 of HMAC-SHA256 under a shared [`Secret`] (`whsec_...`);
//! * `v1a,` and the base64 of an ed25519 signature, checked with a `PublicKey` (`whpk_...`); feature `ed25519`.
//!
//! Check the **raw** bytes of the body, before any JSON parser touched them, and treat a refusal as an answer of 400.
//! There is no clock in here: the time is an argument.
//!
//! How other services sign, whose webhooks Reelhook sends too, is in [`scheme`].
//!
//! ```
//! use reelhook_signature::{Headers, Secret, Trust, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Once, at start: the secret that was shown when the endpoint was made.
//! let secrets = [Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?];
//!
//! // For each request: the three headers, the raw body, and the time in Unix seconds.
//! let received = [
//!     ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
//!     ("webhook-timestamp", "1614265330"),
//!     ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
//! ];
//! let headers = Headers::read(|name| received.iter().find(|(n, _)| *n == name).map(|(_, value)| *value));
//! let body = br#"{"test": 2432232314}"#;
//! let now_seconds = 1_614_265_331;
//!
//! verify(headers, body, now_seconds, Trust::secrets(&secrets))?;
//! # Ok(())
//! # }
//! ```

mod civil;
mod error;
mod hmac_sha256;
#[cfg(feature = "ed25519")]
mod keypair;
pub mod scheme;
mod secret;
mod sign;
mod verify;

pub use error::{KeyError, VerifyError};
pub use hmac_sha256::{hmac_sha256, hmac_sha256_hex};
#[cfg(feature = "ed25519")]
pub use keypair::{PublicKey, SigningKey};
pub use secret::Secret;
pub use sign::{Keys, sign};
pub use verify::{DEFAULT_TOLERANCE, Headers, MAX_SIGNATURES, Trust, verify};

/// Name of the header with the id of the event: the same for every retry, so a receiver can drop what it has seen.
pub const ID_HEADER: &str = "webhook-id";

/// Name of the header with the time of this attempt, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// Name of the header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The examples of the README are run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
