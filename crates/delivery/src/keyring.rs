//! Endpoints and secrets as they were last read, so that a busy lane does not ask the store for each attempt.
//!
//! # Theory of operation
//! What is remembered carries the generation and the time it was read in. A wake-up of `Topic::Endpoint` (an endpoint or
//! what signs for it changed) begins a new generation; time takes care of changes by other processes. A value of an older
//! generation, or too old a value, is read again by whoever asks next; those who ask meanwhile wait for that one read.
//! Secrets that end are left out on time even while they are remembered.
//!
//! The bad day: a secret that cannot be read (sealed under another master key) is an error of the store, and the delivery
//! is given back without an attempt; a secret that can be read but is no key is reported and passed over.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::endpoint::{Endpoint, EndpointRole};
use reelhook_domain::id::EndpointId;
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;
use reelhook_signature::{KeyError, Secret, SigningKey};
use reelhook_store::{SealedFor, SigningSecret, Store, StoreError, Topic};
use tokio::sync::OnceCell;
use tracing::error;

/// Most values remembered of one kind; beyond that all are forgotten and read again as needed.
const MOST: usize = 16 * 1024;

/// When something was read.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    generation: u64,
    at: Timestamp,
}

#[derive(Debug)]
struct Slot<V> {
    stamp: Stamp,
    value: Arc<OnceCell<Arc<V>>>,
}

/// Values by key, each read once at a time.
#[derive(Debug)]
struct Cache<K, V> {
    ttl: Duration,
    slots: Mutex<HashMap<K, Slot<V>>>,
}

impl<K: Eq + Hash + Copy, V> Cache<K, V> {
    fn new(ttl: Duration) -> Self {
        Self { ttl, slots: Mutex::new(HashMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Slot<V>>> {
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a value that is fresh, or is to be read.
    fn slot(&self, key: K, now: Stamp) -> Arc<OnceCell<Arc<V>>> {
        let mut slots = self.lock();
        if slots.len() >= MOST {
            slots.clear();
        }
        let slot = slots.entry(key).or_insert_with(|| Slot { stamp: now, value: Arc::default() });
        if slot.stamp.generation != now.generation || now.at.since(slot.stamp.at) >= self.ttl {
            *slot = Slot { stamp: now, value: Arc::default() };
        }
        Arc::clone(&slot.value)
    }

    fn put(&self, key: K, value: Arc<V>, read: Stamp) {
        self.lock().insert(key, Slot { stamp: read, value: Arc::new(OnceCell::new_with(Some(value))) });
    }

    async fn get(
        &self,
        key: K,
        now: Stamp,
        read: impl Future<Output = Result<V, StoreError>>,
    ) -> Result<Arc<V>, StoreError> {
        let slot = self.slot(key, now);
        slot.get_or_try_init(|| async { read.await.map(Arc::new) }).await.cloned()
    }
}

/// A key, and when it stops signing.
type Until<K> = (K, Option<Timestamp>);

/// The keys of one owner.
#[derive(Debug, Default)]
struct Signers {
    secrets: Vec<Until<Secret>>,
    signing_keys: Vec<Until<SigningKey>>,
    service_secrets: Vec<Until<ServiceSecret>>,
}

/// A text that signs in a service's own scheme.
#[derive(Clone)]
struct ServiceSecret {
    service: Dialect,
    text: Arc<str>,
}

impl std::fmt::Debug for ServiceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceSecret").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Signers {
    fn read(sealed: &[SigningSecret]) -> Self {
        let mut signers = Self::default();
        for secret in sealed {
            let read = match secret.scheme.as_str() {
                "hmac" => Secret::parse(&secret.text).map(|key| signers.secrets.push((key, secret.until))),
                "ed25519" => SigningKey::parse(&secret.text).map(|key| signers.signing_keys.push((key, secret.until))),
                scheme if let Some(service) = Dialect::from_word(scheme) => {
                    let text = secret.text.as_str().into();
                    signers.service_secrets.push((ServiceSecret { service, text }, secret.until));
                    Ok(())
                }
                scheme => {
                    error!(secret.id = %secret.id, scheme, "a signing secret is of an unknown scheme");
                    Ok(())
                }
            };
            if let Err(error) = read {
                let error: KeyError = error;
                error!(secret.id = %secret.id, %error, "a signing secret cannot be read and does not sign");
            }
        }
        signers
    }
}

fn active<K: Clone>(keys: &[Until<K>], now: Timestamp) -> Vec<K> {
    keys.iter().filter(|(_, until)| until.is_none_or(|until| until > now)).map(|(key, _)| key.clone()).collect()
}

/// What signs one attempt.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) secrets: Vec<Secret>,
    pub(crate) signing_keys: Vec<SigningKey>,
    pub(crate) service_secrets: Vec<Arc<str>>,
}

impl Keys {
    /// Whether no secret would sign. A key pair alone is not enough: most receivers know nothing but their secret.
    pub(crate) const fn lack_secrets(&self) -> bool {
        self.secrets.is_empty() && self.service_secrets.is_empty()
    }
}

/// Endpoints and secrets as they were last read.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: Arc<dyn Store>,
    ambient: Ambient,
    endpoints: Cache<EndpointId, Option<Arc<Endpoint>>>,
    signers: Cache<SealedFor, Signers>,
}

impl Keyring {
    pub(crate) fn new(store: Arc<dyn Store>, ambient: Ambient, ttl: Duration) -> Self {
        Self { store, ambient, endpoints: Cache::new(ttl), signers: Cache::new(ttl) }
    }

    fn stamp(&self) -> Stamp {
        Stamp { generation: self.store.wakes().count(Topic::Endpoint), at: self.ambient.now() }
    }

    /// One endpoint; none when it was deleted.
    pub(crate) async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Endpoint>>, StoreError> {
        let read = async { Ok(self.store.endpoints_by_id(&[id]).await?.into_iter().next().map(Arc::new)) };
        Ok(self.endpoints.get(id, self.stamp(), read).await?.as_ref().clone())
    }

    /// Many endpoints, those not remembered read at once; deleted ones are left out.
    pub(crate) async fn endpoints(
        &self,
        ids: impl IntoIterator<Item = EndpointId>,
    ) -> Result<HashMap<EndpointId, Arc<Endpoint>>, StoreError> {
        let stamp = self.stamp();
        let mut known = HashMap::new();
        let mut unknown = Vec::new();
        for id in ids {
            match self.endpoints.slot(id, stamp).get() {
                Some(endpoint) => known.extend(endpoint.as_ref().clone().map(|endpoint| (id, endpoint))),
                None => unknown.push(id),
            }
        }
        if unknown.is_empty() {
            return Ok(known);
        }
        unknown.sort_unstable();
        unknown.dedup();
        for endpoint in self.store.endpoints_by_id(&unknown).await? {
            let endpoint = Arc::new(endpoint);
            self.endpoints.put(endpoint.id, Arc::new(Some(Arc::clone(&endpoint))), stamp);
            known.insert(endpoint.id, endpoint);
        }
        Ok(known)
    }

    /// What signs for an endpoint now: its own secrets, or its account's; and the account's key pair, natively.
    pub(crate) async fn keys(&self, endpoint: &Endpoint) -> Result<Keys, StoreError> {
        let account = SealedFor::Account(endpoint.account);
        let owner = match endpoint.role {
            EndpointRole::Registered => SealedFor::Endpoint(endpoint.id),
            EndpointRole::Default | EndpointRole::Job => account,
        };
        let now = self.ambient.now();
        let secrets = active(&self.signers(owner).await?.secrets, now);
        let has_key_pairs = endpoint.dialect == Dialect::Native;
        let signing_keys =
            if has_key_pairs { active(&self.signers(account).await?.signing_keys, now) } else { Vec::new() };
        let theirs = active(&self.signers(owner).await?.service_secrets, now);
        let theirs = theirs.into_iter().filter(|secret| secret.service == endpoint.dialect);
        let service_secrets = theirs.map(|secret| secret.text).collect();
        Ok(Keys { secrets, signing_keys, service_secrets })
    }

    async fn signers(&self, owner: SealedFor) -> Result<Arc<Signers>, StoreError> {
        let read = async { Ok(Signers::read(&self.store.secrets(owner).await?)) };
        self.signers.get(owner, self.stamp(), read).await
    }
}
