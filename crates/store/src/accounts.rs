//! Accounts and their API keys.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::id::{AccountId, KeyId};
use reelhook_domain::quota::{Quota, Quotas};
use reelhook_domain::time::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::Result;

/// Owner of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// A name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// SHA-256 of an API key: the key itself is never kept.
pub type KeyHash = [u8; 32];

/// An API key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub account: AccountId,
    /// A name for people.
    pub name: String,
    /// The first characters, to tell keys apart.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped working, where it did.
    pub revoked_at: Option<Timestamp>,
}

/// A key to be kept.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub account: AccountId,
    /// A name for people.
    pub name: String,
    /// The first characters, to tell keys apart.
    pub hint: String,
    /// Its hash.
    pub hash: KeyHash,
}

/// How every key starts.
pub const KEY_PREFIX: &str = "rh_";
/// How many characters of a key are kept to tell keys apart.
const HINT: usize = 7;

impl NewApiKey {
    /// Makes a key: its text, which is shown once and which nobody can find again, and what is kept of it.
    pub fn generate(account: AccountId, name: &str, ambient: &Ambient) -> (String, Self) {
        let text = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(ambient.random::<32>()));
        let hint = text.chars().take(HINT).collect();
        let kept = Self { id: ambient.id(), account, name: name.to_owned(), hint, hash: key_hash(&text) };
        (text, kept)
    }
}

/// What is kept of a key. It has 256 bits of randomness, so a plain hash cannot be turned back.
pub fn key_hash(text: &str) -> KeyHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Accounts and keys.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The first account, which is made when there is none.
    async fn first_account(&self) -> Result<Account>;
    /// Makes an account. The first one is made before it where there is none, and stays the first. `AlreadyExists` when
    /// the name is taken.
    async fn create_account(&self, name: &str) -> Result<Account>;
    /// All accounts, the first one first.
    async fn list_accounts(&self) -> Result<Vec<Account>>;
    /// Keeps a key.
    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey>;
    /// The keys of an account, newest first, revoked ones included.
    async fn list_keys(&self, account: AccountId) -> Result<Vec<ApiKey>>;
    /// Ends a key; does nothing when it has ended. `NotFound` when the account has no such key.
    async fn revoke_key(&self, account: AccountId, id: KeyId) -> Result<ApiKey>;
    /// The working key of that hash.
    async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>>;
    /// Whether there is any key at all.
    async fn has_keys(&self) -> Result<bool>;
    /// From now on no account gets more than `quotas` say. Without this call nothing is limited.
    fn set_quotas(&self, quotas: Quotas);
    /// What the quotas say.
    fn quotas(&self) -> Quotas;
    /// What the account has of these, as far as it is counted here; [`Quota::EventDeliveries`] is not.
    async fn quota_use(&self, account: AccountId, of: &[Quota]) -> Result<Vec<(Quota, u64)>>;
    /// Checks a quota outside of a transaction, against a number that the caller knows, and counts a refusal.
    ///
    /// # Errors
    /// [`StoreError::Quota`](crate::StoreError::Quota) when the quota would be exceeded.
    fn check_quota(&self, quota: Quota, present: u64, more: u64) -> Result<()>;
}
