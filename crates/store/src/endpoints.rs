//! Endpoints and the secrets that sign for them.

use std::time::Duration;

use async_trait::async_trait;
use reelhook_domain::endpoint::{Endpoint, EndpointRole, EndpointState};
use reelhook_domain::event::EventFilter;
use reelhook_domain::id::{AccountId, EndpointId, SecretId};
use reelhook_domain::job::Dialect;
use reelhook_domain::retry::RetrySchedule;
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::{EndpointTls, TlsChange};

use crate::Result;

/// A change of an endpoint: absent fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointChange {
    /// Another URL.
    pub url: Option<url::Url>,
    /// Another filter.
    pub events: Option<EventFilter>,
    /// Other words.
    pub description: Option<String>,
    /// Other headers.
    pub headers: Option<std::collections::BTreeMap<String, String>>,
    /// How TLS with it differs from now on, field by field; `Some(None)` for not at all.
    pub tls: Option<Option<TlsChange>>,
    /// Another schedule; `Some(None)` for the default one.
    pub retry: Option<Option<RetrySchedule>>,
    /// Another rate; `Some(None)` for none.
    pub rate: Option<Option<reelhook_domain::endpoint::Rate>>,
    /// Another deadline.
    pub timeout_ms: Option<u32>,
    /// On or off, with the reason for off. Off holds its scheduled deliveries; on offers held ones, due now. A change
    /// of state writes `endpoint.disabled` or `endpoint.enabled` (data: `{"endpoint": id, "url": url, "reason": ...}`).
    pub state: Option<(EndpointState, Option<String>)>,
}

/// An endpoint found by its URL, or made: a job's own, or the account's default.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEndpoint {
    /// Whose it is.
    pub account: AccountId,
    /// `Default` or `Job`.
    pub role: EndpointRole,
    /// Where it is.
    pub url: url::Url,
    /// Whose shapes it gets.
    pub dialect: Dialect,
    /// How long an attempt may take where the endpoint is made.
    pub timeout_ms: u32,
    /// Its extra request headers from now on; those that it has where it is none.
    pub headers: Option<std::collections::BTreeMap<String, String>>,
    /// How TLS with it differs from now on; as it has it where it is none.
    pub tls: Option<EndpointTls>,
}

/// What a secret signs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SealedFor {
    /// One registered endpoint.
    Endpoint(EndpointId),
    /// The account's default webhook and the webhooks of its jobs.
    Account(AccountId),
}

/// A signing secret, in the clear, on its way to or from the vault.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    /// Its id.
    pub id: SecretId,
    /// What it signs for.
    pub owner: SealedFor,
    /// `hmac` for `whsec_...`, `ed25519` for `whsk_...`, or the word of the dialect whose scheme it is.
    pub scheme: String,
    /// The text: `whsec_...`, `whsk_...`, or whatever the service takes.
    pub text: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops signing; never when absent.
    pub until: Option<Timestamp>,
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningSecret").field("id", &self.id).field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Most old secrets that sign beside a new one: each makes every request longer.
pub const MOST_OLD_SECRETS: usize = 4;

/// How much earlier than it was an endpoint may be said to have been read: not each time is written down.
pub const READ_ACCURACY: Duration = Duration::from_secs(30);

/// Endpoints and secrets.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Keeps a registered endpoint with its first secret.
    async fn create_endpoint(&self, endpoint: Endpoint, secret: SigningSecret) -> Result<()>;
    /// Keeps a registered endpoint that is there only while it is read, which counts as read now.
    async fn create_temporary_endpoint(&self, endpoint: Endpoint, secret: SigningSecret) -> Result<()>;
    /// Notes that the endpoint is read now, where it is a temporary one. Accurate to [`READ_ACCURACY`].
    async fn note_read(&self, id: EndpointId) -> Result<()>;
    /// Deletes at most `limit` temporary endpoints that were last read before that time. Answers how many.
    async fn delete_unread_endpoints(&self, before: Timestamp, limit: u32) -> Result<u32>;
    /// The endpoint of that account, role, URL and dialect; made when there is none.
    async fn endpoint_for(&self, wanted: JobEndpoint) -> Result<Endpoint>;
    /// One endpoint of the account.
    async fn endpoint(&self, account: AccountId, id: EndpointId) -> Result<Endpoint>;
    /// Which events the registered endpoints of the account want, one filter for each.
    async fn endpoint_filters(&self, account: AccountId) -> Result<Vec<EventFilter>>;
    /// Registered endpoints of the account, newest first.
    async fn list_endpoints(&self, account: AccountId) -> Result<Vec<Endpoint>>;
    /// Endpoints by id, of whatever account, for the delivery engine. Missing ones are left out.
    async fn endpoints_by_id(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>>;
    /// How many endpoints there are of each state, over all accounts, for operators.
    async fn count_endpoints(&self) -> Result<Vec<(EndpointState, u64)>>;
    /// Changes an endpoint.
    async fn change_endpoint(&self, account: AccountId, id: EndpointId, change: EndpointChange) -> Result<Endpoint>;
    /// Deletes an endpoint; its deliveries that have not ended are canceled.
    async fn delete_endpoint(&self, account: AccountId, id: EndpointId) -> Result<()>;
    /// Adds a secret; those of the same owner and scheme stop signing at `overlap_until`. `TooManySecrets` where more than
    /// [`MOST_OLD_SECRETS`] would sign beside it.
    async fn add_secret(&self, secret: SigningSecret, overlap_until: Timestamp) -> Result<()>;
    /// Ends a secret of the account at once. `NotFound` when it has none of that id.
    async fn revoke_secret(&self, account: AccountId, id: SecretId) -> Result<()>;
    /// The secrets that sign for that owner now, newest first.
    async fn secrets(&self, owner: SealedFor) -> Result<Vec<SigningSecret>>;
}
