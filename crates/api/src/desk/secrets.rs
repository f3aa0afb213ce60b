//! Verbs of the secrets that sign for services.
//!
//! A service whose deliveries carry one signature signs, during the overlap of a rotation, with each of its secrets in turn
//! (`dialects::Stamp::service_secrets`), so that a receiver that knows either gets every event.

use std::time::Duration;

use reelhook_dialects::{SecretRequest, has_own_secrets};
use reelhook_domain::id::SecretId;
use reelhook_domain::job::Dialect;
use reelhook_signature::Secret;
use reelhook_store::{SealedFor, SigningSecret};

use super::{Caller, Desk};
use crate::problem::{Problem, missing};

impl Desk {
    /// The secrets that sign for services now, newest first.
    pub(crate) async fn service_secrets(&self, caller: Caller) -> Result<Vec<SigningSecret>, Problem> {
        let mut secrets = self.store().secrets(SealedFor::Account(caller.account)).await?;
        secrets.retain(|secret| Dialect::from_word(&secret.scheme).is_some_and(has_own_secrets));
        Ok(secrets)
    }

    /// Makes the first secret of a service.
    pub(crate) async fn create_secret(&self, caller: Caller, request: SecretRequest) -> Result<SigningSecret, Problem> {
        let service = request.service.as_str();
        if self.service_secrets(caller).await?.iter().any(|secret| secret.scheme == service) {
            let detail = format!("{service} already has a secret; rotate it with POST /v1/secrets/{service}/rotate");
            return Err(Problem::conflict("secret_exists", detail));
        }
        self.add_service_secret(caller, request, Duration::ZERO).await
    }

    /// Adds a secret of a service; those before it sign for `overlap` longer.
    pub(crate) async fn add_service_secret(
        &self,
        caller: Caller,
        request: SecretRequest,
        overlap: Duration,
    ) -> Result<SigningSecret, Problem> {
        let now = self.ambient().now();
        let text = request.text.unwrap_or_else(|| Secret::generate(self.ambient().random()).reveal());
        let secret = SigningSecret {
            id: self.ambient().id(),
            owner: SealedFor::Account(caller.account),
            scheme: request.service.as_str().to_owned(),
            text,
            created_at: now,
            until: None,
        };
        self.store().add_secret(secret.clone(), now + overlap).await?;
        Ok(secret)
    }

    /// Ends a secret of a service at once.
    pub(crate) async fn revoke_secret(&self, caller: Caller, id: SecretId) -> Result<(), Problem> {
        // The native secrets have the same owner, and no way to be without one.
        if !self.service_secrets(caller).await?.iter().any(|secret| secret.id == id) {
            return Err(Problem::not_found("secret"));
        }
        self.store().revoke_secret(caller.account, id).await.map_err(missing("secret"))
    }
}
