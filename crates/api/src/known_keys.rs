//! API keys as they were last read, so that a busy caller does not cost a look at the store with each request.
//!
//! A key that this process revokes is unknown at once; one that another process revokes, within [`TTL`]. Only keys that are
//! good are remembered: what is made up is looked up each time, and fills nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reelhook_domain::time::Timestamp;
use reelhook_store::{KeyHash, Store, StoreError, Topic};

use crate::desk::Caller;

/// How long a key is believed.
const TTL: Duration = Duration::from_secs(1);
/// Most keys that are remembered; beyond that all are forgotten and read again as needed.
const MOST: usize = 4096;

/// When something was read.
#[derive(Debug, Clone, Copy)]
struct Read {
    /// How many keys had been revoked.
    revoked: u64,
    at: Timestamp,
}

/// The keys that were shown lately.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(Mutex<HashMap<KeyHash, (Caller, Read)>>);

impl KnownKeys {
    /// Whose key that is; none when it is unknown or was revoked.
    pub(crate) async fn caller(
        &self,
        store: &dyn Store,
        hash: KeyHash,
        now: Timestamp,
    ) -> Result<Option<Caller>, StoreError> {
        // Before the key is read: what is revoked meanwhile is read again.
        let read = Read { revoked: store.wakes().count(Topic::Key), at: now };
        if let Some((caller, then)) = self.lock().get(&hash)
            && then.revoked == read.revoked
            && now.since(then.at) < TTL
            && then.at <= now
        {
            return Ok(Some(*caller));
        }
        let found = store.find_key(&hash).await?.map(|key| Caller { account: key.account, key: key.id });
        let mut known = self.lock();
        match found {
            Some(caller) => {
                if known.len() >= MOST {
                    known.clear();
                }
                known.insert(hash, (caller, read));
            }
            None => drop(known.remove(&hash)),
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, (Caller, Read)>> {
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
