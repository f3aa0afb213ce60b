//! What an account has set.

use async_trait::async_trait;
use reelhook_domain::event::EventFilter;
use reelhook_domain::id::{AccountId, EndpointId};

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
    /// The default webhook.
    async fn default_webhook(&self, account: AccountId) -> Result<Option<DefaultWebhook>>;
    /// Sets or clears the default webhook.
    async fn set_default_webhook(&self, account: AccountId, webhook: Option<DefaultWebhook>) -> Result<()>;
}
