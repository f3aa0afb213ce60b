//! Secrets at rest: sealed under a master key that is not in the database.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use reelhook_domain::ambient::Ambient;

use crate::{Result, StoreError};

/// The 32 bytes that seal all secrets, and the number that says which key it is.
#[derive(Clone)]
pub struct MasterKey {
    id: u32,
    bytes: [u8; 32],
}

impl MasterKey {
    /// The key of that number.
    pub const fn new(id: u32, bytes: [u8; 32]) -> Self {
        Self { id, bytes }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Seals and opens secrets.
///
/// A sealed secret is the key's number (4 bytes, big endian), a nonce (24 bytes), and XChaCha20-Poly1305 of the text with
/// the owner's bytes as associated data, so that a sealed secret cannot be moved to another owner.
#[derive(Debug, Clone)]
pub struct Vault {
    key: MasterKey,
    ambient: Ambient,
}

const NONCE: usize = 24;

impl Vault {
    /// A vault under that key.
    pub const fn new(key: MasterKey, ambient: Ambient) -> Self {
        Self { key, ambient }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.key.bytes))
    }

    /// Seals `text` for `owner`.
    pub fn seal(&self, owner: &[u8], text: &str) -> Vec<u8> {
        let nonce: [u8; NONCE] = self.ambient.random();
        let payload = Payload { msg: text.as_bytes(), aad: owner };
        let sealed =
            self.cipher().encrypt(&XNonce::from(nonce), payload).expect("a secret is far below the cipher's limit");
        [&self.key.id.to_be_bytes()[..], &nonce, &sealed].concat()
    }

    /// Opens what was sealed for `owner`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it was sealed under another key, for another owner, or is damaged.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<String> {
        let corrupt = |why: &str| StoreError::Corrupt { what: "secret", why: why.to_owned() };
        let Some((id, rest)) = sealed.split_first_chunk::<4>() else { return Err(corrupt("too short")) };
        if u32::from_be_bytes(*id) != self.key.id {
            return Err(corrupt("sealed under another master key"));
        }
        let Some((nonce, text)) = rest.split_first_chunk::<NONCE>() else { return Err(corrupt("too short")) };
        let payload = Payload { msg: text, aad: owner };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| corrupt("the master key does not open it"))?;
        String::from_utf8(opened).map_err(|_| corrupt("not text"))
    }
}
