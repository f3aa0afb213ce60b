//! Verbs of endpoints, of the default webhook, and of the secrets that sign.

use std::time::Duration;

use reelhook_dialects::native::reply::{EndpointReply, PULL_SCHEME};
use reelhook_dialects::native::request::NEEDS_HTTPS;
use reelhook_dialects::{EndpointAddress, EndpointPatch, EndpointRequest, SettingsRequest};
use reelhook_domain::circuit::Circuit;
use reelhook_domain::endpoint::{Endpoint, EndpointRole, EndpointState};
use reelhook_domain::id::EndpointId;
use reelhook_domain::job::Dialect;
use reelhook_signature::{Secret, SigningKey};
use reelhook_store::{DefaultWebhook, EndpointChange, JobEndpoint, SealedFor, SigningSecret};
use serde_json::Value;
use url::Url;

use super::{Caller, Desk, all_right};
use crate::problem::{Problem, missing};

/// How long an old secret goes on signing beside a new one, where the caller does not say.
pub(crate) const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// How a secret of ours is used; those of services are named after these.
pub(crate) const HMAC: &str = "hmac";

/// How long an endpoint stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Until a request deletes it.
    UntilDeleted,
    /// As long as it is read.
    WhileRead,
}

impl Desk {
    /// Registers an endpoint; the answer has its secret, which is not shown again.
    pub(crate) async fn create_endpoint(
        &self,
        caller: Caller,
        request: EndpointRequest,
        stay: Stay,
    ) -> Result<EndpointReply, Problem> {
        let id: EndpointId = self.ambient().id();
        let (url, pull) = match request.address {
            EndpointAddress::Push(url) => {
                all_right(self.judge("url", &url))?;
                (url, false)
            }
            EndpointAddress::Pull => (pull_url(id), true),
        };
        if stay == Stay::WhileRead && !pull {
            return Err(Problem::violation("?temporary", true.into(), "goes with \"pull\": true, not with a URL"));
        }
        self.ensure_account_secrets(caller).await?;
        let endpoint = Endpoint {
            id,
            account: caller.account,
            role: EndpointRole::Registered,
            url,
            events: request.events,
            dialect: request.dialect,
            description: request.description,
            headers: request.headers,
            retry: request.retry,
            rate: request.rate,
            timeout_ms: request.timeout_ms,
            // Deliveries to an endpoint that asks for its events itself are made and numbered, but never sent: the same as
            // held, so the delivery engine needs no second notion.
            state: if pull { EndpointState::Disabled } else { EndpointState::Enabled },
            disabled_reason: pull.then(|| PULL_SCHEME.to_owned()),
            circuit: Circuit::default(),
            tls: request.tls,
            failing: None,
            created_at: self.ambient().now(),
        };
        let secret = self.secret_of(SealedFor::Endpoint(id), request.secret);
        let text = secret.text.clone();
        match stay {
            Stay::UntilDeleted => self.store().create_endpoint(endpoint.clone(), secret).await?,
            Stay::WhileRead => self.store().create_temporary_endpoint(endpoint.clone(), secret).await?,
        }
        Ok(EndpointReply::of(&endpoint, Some(text)))
    }

    /// Changes an endpoint.
    pub(crate) async fn patch_endpoint(
        &self,
        caller: Caller,
        id: EndpointId,
        patch: EndpointPatch,
    ) -> Result<EndpointReply, Problem> {
        if let Some(url) = &patch.url {
            all_right(self.judge("url", url))?;
        }
        if patch.url.is_some() || matches!(patch.tls, Some(Some(_))) {
            refuse_tls_without_https(self.called_endpoint(caller, id).await?, &patch)?;
        }
        let timeout_ms = match patch.timeout_ms {
            None => None,
            Some(Some(timeout_ms)) => Some(timeout_ms),
            Some(None) => {
                let endpoint = self.store().endpoint(caller.account, id).await.map_err(missing("endpoint"))?;
                Some(timeout_ms(endpoint.dialect))
            }
        };
        let change = EndpointChange {
            url: patch.url,
            events: patch.events.map(Option::unwrap_or_default),
            description: patch.description.map(Option::unwrap_or_default),
            headers: patch.headers.map(Option::unwrap_or_default),
            tls: patch.tls,
            retry: patch.retry,
            rate: patch.rate,
            timeout_ms,
            state: None,
        };
        let endpoint = self.store().change_endpoint(caller.account, id, change).await.map_err(missing("endpoint"))?;
        Ok(EndpointReply::of(&endpoint, None))
    }

    /// Turns an endpoint on or off by hand.
    pub(crate) async fn switch_endpoint(
        &self,
        caller: Caller,
        id: EndpointId,
        state: EndpointState,
    ) -> Result<EndpointReply, Problem> {
        self.called_endpoint(caller, id).await?;
        let reason = (state == EndpointState::Disabled).then(|| "by_hand".to_owned());
        let change = EndpointChange { state: Some((state, reason)), ..EndpointChange::default() };
        let endpoint = self.store().change_endpoint(caller.account, id, change).await.map_err(missing("endpoint"))?;
        Ok(EndpointReply::of(&endpoint, None))
    }

    /// An endpoint that the server calls; a pull endpoint is refused.
    pub(crate) async fn called_endpoint(&self, caller: Caller, id: EndpointId) -> Result<Endpoint, Problem> {
        let endpoint = self.store().endpoint(caller.account, id).await.map_err(missing("endpoint"))?;
        if endpoint.url.scheme() == PULL_SCHEME {
            return Err(Problem::conflict("pull_endpoint", "this is a pull endpoint; it has no URL to call"));
        }
        Ok(endpoint)
    }

    /// Replaces an endpoint's secret, or the account's; the old one signs beside it for `overlap`.
    pub(crate) async fn rotate_secret(
        &self,
        owner: SealedFor,
        text: Option<Secret>,
        overlap: Duration,
    ) -> Result<String, Problem> {
        let secret = self.secret_of(owner, text);
        let text = secret.text.clone();
        self.store().add_secret(secret, self.ambient().now() + overlap).await?;
        Ok(text)
    }

    /// Sets or clears the default webhook for jobs of that dialect.
    pub(crate) async fn change_settings(
        &self,
        caller: Caller,
        dialect: Dialect,
        request: SettingsRequest,
    ) -> Result<(), Problem> {
        let webhook = match request.default_webhook {
            None => None,
            Some(webhook) => {
                all_right(self.judge("default_webhook.url", &webhook.url))?;
                self.ensure_account_secrets(caller).await?;
                let wanted = JobEndpoint {
                    account: caller.account,
                    role: EndpointRole::Default,
                    url: webhook.url,
                    dialect,
                    timeout_ms: timeout_ms(dialect),
                    // What is set is set whole; only the native API can set headers and TLS.
                    headers: (dialect == Dialect::Native).then(|| webhook.headers.unwrap_or_default()),
                    tls: (dialect == Dialect::Native).then(|| webhook.tls.unwrap_or_default()),
                };
                let endpoint = self.store().endpoint_for(wanted).await?;
                Some(DefaultWebhook { endpoint: endpoint.id, events: webhook.events })
            }
        };
        Ok(self.store().set_default_webhook(caller.account, dialect, webhook).await?)
    }

    /// The secrets of the account: its own are made when there are none. Those of services do not stand in for them.
    pub(crate) async fn ensure_account_secrets(&self, caller: Caller) -> Result<Vec<SigningSecret>, Problem> {
        let owner = SealedFor::Account(caller.account);
        let has_own = |secrets: &[SigningSecret]| secrets.iter().any(|secret| secret.scheme == HMAC);
        let known = self.store().secrets(owner).await?;
        if has_own(&known) {
            return Ok(known);
        }
        let _first = self.inner.first_secrets.lock().await;
        let known = self.store().secrets(owner).await?;
        if has_own(&known) {
            return Ok(known);
        }
        let now = self.ambient().now();
        let key = SigningKey::from_seed(self.ambient().random());
        let asymmetric = SigningSecret { scheme: "ed25519".to_owned(), text: key.reveal(), ..self.new_secret(owner) };
        // The one that is looked for comes last: after a crash between them both are made again.
        self.store().add_secret(asymmetric, now).await?;
        self.store().add_secret(self.new_secret(owner), now).await?;
        Ok(self.store().secrets(owner).await?)
    }

    fn new_secret(&self, owner: SealedFor) -> SigningSecret {
        self.secret_of(owner, None)
    }

    /// A secret of that text, or a new one.
    fn secret_of(&self, owner: SealedFor, text: Option<Secret>) -> SigningSecret {
        SigningSecret {
            id: self.ambient().id(),
            owner,
            scheme: HMAC.to_owned(),
            text: text.unwrap_or_else(|| Secret::generate(self.ambient().random())).reveal(),
            created_at: self.ambient().now(),
            until: None,
        }
    }
}

/// How long an attempt of that dialect may take where nobody says otherwise.
pub(super) fn timeout_ms(dialect: Dialect) -> u32 {
    u32::try_from(reelhook_dialects::timeout(dialect).as_millis()).unwrap_or(u32::MAX)
}

/// Refuses a change that would leave an endpoint with TLS that is never spoken.
fn refuse_tls_without_https(endpoint: Endpoint, patch: &EndpointPatch) -> Result<(), Problem> {
    let tls = match patch.tls.clone() {
        None => endpoint.tls,
        Some(None) => return Ok(()),
        Some(Some(change)) => change.apply(endpoint.tls),
    };
    let url = patch.url.as_ref().unwrap_or(&endpoint.url);
    if url.scheme() == "https" || tls.is_usual() {
        return Ok(());
    }
    if patch.tls.is_some() {
        return Err(Problem::violation("tls", Value::Null, NEEDS_HTTPS));
    }
    let message = "must begin with https:// while the endpoint has tls; \"tls\": null removes it";
    Err(Problem::violation("url", url.as_str().into(), message))
}

/// The URL of an endpoint that has none: names it, so that two are not one.
fn pull_url(id: EndpointId) -> Url {
    Url::parse(&format!("{PULL_SCHEME}:{id}")).expect("a scheme and an id are a URL")
}
