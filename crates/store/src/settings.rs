//! What an account has set.

use async_trait::async_trait;
use reelhook_domain::event::EventFilter;
use reelhook_domain::id::{AccountId, EndpointId, OriginId};
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;

use crate::Result;

/// Where the events of jobs go that bring no webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultWebhook {
    /// The endpoint of role `Default`.
    pub endpoint: EndpointId,
    /// Which events go there.
    pub events: EventFilter,
}

/// Settings of accounts.
#[async_trait]
pub trait Settings: Send + Sync {
    /// The default webhook for jobs of that dialect; nobody else's stands in for it.
    async fn default_webhook(&self, account: AccountId, dialect: Dialect) -> Result<Option<DefaultWebhook>>;
    /// Sets or clears the default webhook for jobs of that dialect.
    async fn set_default_webhook(
        &self,
        account: AccountId,
        dialect: Dialect,
        webhook: Option<DefaultWebhook>,
    ) -> Result<()>;
    /// Where outputs of jobs of that dialect are written that name no place.
    async fn default_origin(&self, account: AccountId, dialect: Dialect) -> Result<Option<OriginId>>;
    /// Sets or clears where outputs of jobs of that dialect are written.
    async fn set_default_origin(&self, account: AccountId, dialect: Dialect, origin: Option<OriginId>) -> Result<()>;
    /// When the account last set or cleared something for jobs of that dialect; when it was made, before that.
    async fn settings_changed_at(&self, account: AccountId, dialect: Dialect) -> Result<Timestamp>;
}
