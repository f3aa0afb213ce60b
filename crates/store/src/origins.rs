//! Origins and what opens them.

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, OriginId};
use reelhook_domain::origin::{Credentials, Origin, Validation};

use crate::{Page, Result};

/// How an origin changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginChange {
    /// It was checked; its status is what came of it.
    Validated(Validation),
    /// Its owner said it anew; its place in time stays.
    Said(Box<Origin>, Credentials),
    /// Its owner took it away: its credentials are erased, and nothing of it changes any more.
    Archived,
}

/// Origins. Their credentials are sealed by the vault.
#[async_trait]
pub trait Origins: Send + Sync {
    /// Keeps an origin and seals its credentials.
    async fn create_origin(&self, origin: Origin, credentials: Credentials) -> Result<()>;
    /// One origin of the account, an archived one included: jobs of old name it.
    async fn origin(&self, account: AccountId, id: OriginId) -> Result<Origin>;
    /// What opens an origin of the account; none for one that is archived.
    async fn origin_credentials(&self, account: AccountId, id: OriginId) -> Result<Credentials>;
    /// Origins of the account that are not archived, newest first.
    async fn list_origins(&self, account: AccountId, page: Page) -> Result<Vec<Origin>>;
    /// Changes an origin that is not archived.
    async fn change_origin(&self, account: AccountId, id: OriginId, change: OriginChange) -> Result<Origin>;
}
