//! How TLS with each endpoint differs, ready for its connections.
//!
//! An endpoint's profile stays the same as long as what was said of its TLS does, so that its connections are used again;
//! no other endpoint has it, so that none of them is ever used for another. A change begins a new one, and the connections
//! of the old one age out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reelhook_domain::endpoint::Endpoint;
use reelhook_domain::id::EndpointId;
use reelhook_domain::tls::EndpointTls;
use reelhook_egress::{Identity, IdentityError, PemError, TlsProfile, roots_from_pem};

/// Most profiles remembered; beyond that all are forgotten and made again as needed.
const MOST: usize = 16 * 1024;

/// Stored certificates or a stored key that TLS cannot use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableTls {
    /// The roots.
    #[error("roots: {0}")]
    Roots(#[from] PemError),
    /// The client certificate or its key.
    #[error("client certificate: {0}")]
    Client(#[from] IdentityError),
}

struct Known {
    tls: EndpointTls,
    profile: Arc<TlsProfile>,
}

/// The profiles of endpoints that have one.
#[derive(Default)]
pub(crate) struct Profiles {
    known: Mutex<HashMap<EndpointId, Known>>,
}

impl Profiles {
    /// The endpoint's profile; none where TLS with it is as with all others.
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Result<Option<Arc<TlsProfile>>, UnusableTls> {
        if endpoint.tls.is_usual() {
            return Ok(None);
        }
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.get(&endpoint.id).filter(|known| known.tls == endpoint.tls) {
            return Ok(Some(Arc::clone(&same.profile)));
        }
        let profile = Arc::new(profile(&endpoint.tls)?);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(endpoint.id, Known { tls: endpoint.tls.clone(), profile: Arc::clone(&profile) });
        Ok(Some(profile))
    }
}

fn profile(tls: &EndpointTls) -> Result<TlsProfile, UnusableTls> {
    let roots = match &tls.roots {
        Some(roots) => roots_from_pem(roots.pem.as_bytes())?,
        None => Vec::new(),
    };
    let identity = match &tls.client {
        Some(client) => Some(Identity::from_pem(client.pem.as_bytes(), client.key.as_bytes())?),
        None => None,
    };
    Ok(TlsProfile::new(identity, roots))
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiles").finish_non_exhaustive()
    }
}
