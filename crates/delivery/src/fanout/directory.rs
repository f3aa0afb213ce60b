//! Who is there, as far as fan-out needs to know.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::event::{Event, EventType};
use reelhook_domain::id::{AccountId, EndpointId};
use reelhook_domain::job::Dialect;
use reelhook_store::{DefaultWebhook, Outbox, OutboxEvent, Store, StoreError};
use serde_json::Value;

/// Most endpoints that are remembered from one batch to the next.
const MOST_REMEMBERED: usize = 16 * 1024;

/// Who is there, as far as batches of events need to know: remembered for as long as nobody changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    /// Under which number of the store's it was read.
    pub(super) version: i64,
    pub(super) registered: HashMap<AccountId, Vec<Arc<Endpoint>>>,
    /// Of the accounts and dialects of jobs that bring no webhook; none where there is none.
    pub(super) defaults: HashMap<(AccountId, Dialect), Option<DefaultWebhook>>,
    pub(super) by_id: HashMap<EndpointId, Arc<Endpoint>>,
}

impl Directory {
    /// Reads what the batch needs and is not known: once per account, and all single endpoints together.
    pub(super) async fn learn(&mut self, store: &dyn Store, outbox: &Outbox) -> Result<(), StoreError> {
        if self.version != outbox.endpoints_version || self.by_id.len() >= MOST_REMEMBERED {
            *self = Self { version: outbox.endpoints_version, ..Self::default() };
        }
        let mut single: HashSet<EndpointId> = HashSet::new();
        for outgoing in &outbox.events {
            let account = outgoing.event.account;
            if let Some(only) = outgoing.only {
                single.insert(only);
                continue;
            }
            if let Entry::Vacant(place) = self.registered.entry(account) {
                let all: Vec<_> = store.list_endpoints(account).await?.into_iter().map(Arc::new).collect();
                self.by_id.extend(all.iter().map(|endpoint| (endpoint.id, Arc::clone(endpoint))));
                place.insert(all);
            }
            match (&outgoing.webhook, outgoing.event.job) {
                (Some(webhook), _) => drop(single.insert(webhook.endpoint)),
                (None, Some(_)) => {
                    if let Entry::Vacant(place) = self.defaults.entry((account, outgoing.dialect)) {
                        place.insert(store.default_webhook(account, outgoing.dialect).await?);
                    }
                    let known = self.defaults.get(&(account, outgoing.dialect)).and_then(Option::as_ref);
                    single.extend(known.map(|webhook| webhook.endpoint));
                }
                (None, None) => {}
            }
        }
        single.retain(|id| !self.by_id.contains_key(id));
        if !single.is_empty() {
            let single: Vec<_> = single.into_iter().collect();
            let found = store.endpoints_by_id(&single).await?;
            self.by_id.extend(found.into_iter().map(|endpoint| (endpoint.id, Arc::new(endpoint))));
        }
        Ok(())
    }

    /// Whether nothing must be read to say who wants these events.
    pub(super) fn knows(&self, outbox: &Outbox) -> bool {
        self.version == outbox.endpoints_version && outbox.events.iter().all(|outgoing| self.knows_of(outgoing))
    }

    fn knows_of(&self, outgoing: &OutboxEvent) -> bool {
        let account = outgoing.event.account;
        let endpoint = match (outgoing.only, &outgoing.webhook, outgoing.event.job) {
            (Some(only), ..) => return self.by_id.contains_key(&only),
            (None, Some(webhook), _) => Some(webhook.endpoint),
            (None, None, Some(_)) => match self.defaults.get(&(account, outgoing.dialect)) {
                Some(default) => default.as_ref().map(|webhook| webhook.endpoint),
                None => return false,
            },
            (None, None, None) => None,
        };
        self.registered.contains_key(&account) && endpoint.is_none_or(|id| self.by_id.contains_key(&id))
    }

    /// Who wants that event, nobody twice.
    pub(super) fn interested(&self, outgoing: &OutboxEvent) -> Vec<&Arc<Endpoint>> {
        let event = &outgoing.event;
        if let Some(only) = outgoing.only {
            return self.endpoint_of(event.account, only).into_iter().collect();
        }
        let registered = self.registered.get(&event.account).map(Vec::as_slice).unwrap_or_default();
        let concerned = concerned(event);
        let mut interested: Vec<_> = registered
            .iter()
            .filter(|endpoint| endpoint.events.wants(&event.kind) && Some(endpoint.id) != concerned)
            .collect();
        let webhook = match (&outgoing.webhook, event.job) {
            (Some(webhook), _) => Some((webhook.endpoint, &webhook.events)),
            (None, Some(_)) => {
                let default = self.defaults.get(&(event.account, outgoing.dialect)).and_then(Option::as_ref);
                default.map(|webhook| (webhook.endpoint, &webhook.events))
            }
            (None, None) => None,
        };
        if let Some((id, events)) = webhook
            && events.wants(&event.kind)
            && !interested.iter().any(|endpoint| endpoint.id == id)
        {
            interested.extend(self.endpoint_of(event.account, id));
        }
        interested
    }

    fn endpoint_of(&self, account: AccountId, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.by_id.get(&id).filter(|endpoint| endpoint.account == account)
    }
}

/// The endpoint that was disabled, for the event that tells of it: that goes to the others.
fn concerned(event: &Event) -> Option<EndpointId> {
    if event.kind.as_str() != EventType::ENDPOINT_DISABLED {
        return None;
    }
    event.data.read::<Value>().ok()?.get("endpoint")?.as_str()?.parse().ok()
}
