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

/// The master key that seals, and older ones that only open: more than one while a rotation is under way.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    current: MasterKey,
    older: Vec<MasterKey>,
}

impl MasterKeys {
    /// Keys with numbers of their own.
    pub const fn new(current: MasterKey, older: Vec<MasterKey>) -> Self {
        Self { current, older }
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self { current, older: Vec::new() }
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
    keys: MasterKeys,
    ambient: Ambient,
}

const NONCE: usize = 24;

fn cipher(key: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(key.bytes))
}

impl Vault {
    /// A vault under those keys.
    pub fn new(keys: impl Into<MasterKeys>, ambient: Ambient) -> Self {
        Self { keys: keys.into(), ambient }
    }

    /// The number of the key that seals.
    pub(crate) const fn current_id(&self) -> u32 {
        self.keys.current.id
    }

    /// Whether that was sealed under the key that seals now.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.first_chunk::<4>().is_some_and(|id| u32::from_be_bytes(*id) == self.current_id())
    }

    /// Seals `text` for `owner`.
    pub fn seal(&self, owner: &[u8], text: &str) -> Vec<u8> {
        let nonce: [u8; NONCE] = self.ambient.random();
        let payload = Payload { msg: text.as_bytes(), aad: owner };
        let sealed = cipher(&self.keys.current)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is far below the cipher's limit");
        [&self.current_id().to_be_bytes()[..], &nonce, &sealed].concat()
    }

    /// Opens what was sealed for `owner`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it was sealed under another key, for another owner, or is damaged.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> Result<String> {
        let corrupt = |why: &str| StoreError::Corrupt { what: "secret", why: why.to_owned() };
        let Some((id, rest)) = sealed.split_first_chunk::<4>() else { return Err(corrupt("too short")) };
        let id = u32::from_be_bytes(*id);
        let mut known = std::iter::once(&self.keys.current).chain(&self.keys.older);
        let Some(key) = known.find(|key| key.id == id) else {
            return Err(corrupt("sealed under another master key"));
        };
        let Some((nonce, text)) = rest.split_first_chunk::<NONCE>() else { return Err(corrupt("too short")) };
        let payload = Payload { msg: text, aad: owner };
        let opened = cipher(key).decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| corrupt("the master key does not open it"))?;
        String::from_utf8(opened).map_err(|_| corrupt("not text"))
    }
}
