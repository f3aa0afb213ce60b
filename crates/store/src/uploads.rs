//! Uploads: files that callers sent.

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, UploadId};
use reelhook_domain::time::Timestamp;

use crate::Result;

/// A file that a caller sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id; `files` keeps it under the key made of it.
    pub id: UploadId,
    /// Whose it is.
    pub account: AccountId,
    /// The caller's name for it; safe to show, never used as a path.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// SHA-1 of its bytes, in lower-case hexadecimal; empty for one that an older version took.
    pub sha1: String,
    /// What its sender said that only the dialect understands that it was sent in. Never a secret.
    pub said: serde_json::Value,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it is removed.
    pub expires_at: Timestamp,
}

/// Uploads.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Notes an upload whose bytes are kept.
    async fn create_upload(&self, upload: Upload) -> Result<()>;
    /// One upload of the account that has not expired.
    async fn upload(&self, account: AccountId, id: UploadId) -> Result<Upload>;
    /// One upload of whatever account, for a request that a signed link vouches for.
    async fn upload_by_id(&self, id: UploadId) -> Result<Upload>;
    /// Those of `ids` that are not noted: their bytes came, and the server died before it noted them.
    async fn unknown_uploads(&self, ids: &[UploadId]) -> Result<Vec<UploadId>>;
    /// Removes and answers uploads that expired and that no job in work reads, at most `limit`.
    async fn take_expired_uploads(&self, limit: u32) -> Result<Vec<Upload>>;
}
