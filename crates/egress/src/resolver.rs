//! From a name to addresses. A resolver only answers; the client judges what it answered.

use std::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::fault;
use crate::lookups::{Lookups, Share};

/// Something that turns names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync + Debug {
    /// All addresses of a name, the preferred one first. Asked on every new dial, never for a literal address.
    ///
    /// # Errors
    /// The name does not exist, or nobody who knows could be asked.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// All lookups at once in the whole process: half of the threads that tokio has for what blocks, so that names whose
/// servers do not answer leave room for files and media.
const SHARE: Share = Share { all: 256, unproven: 192, slow: 64, slow_after: Duration::from_secs(2) };

static LOOKUPS: LazyLock<Arc<Lookups>> = LazyLock::new(|| Lookups::new(SHARE));

/// The resolver of the operating system (`getaddrinfo`), with its hosts file, its search domains and its cache.
///
/// Each lookup occupies a thread of the runtime's blocking pool until the system answers, even when the caller's
/// deadline has passed: the system offers no way to stop it. At most 256 are under way in the process; more wait for their
/// turn, within their deadlines. Of these, 64 are kept for names that answered the last time, and names that took longer
/// than 2 s have no more than 64, so that healthy names are found whatever other names do.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        let name = host.clone();
        let look_up = move || match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(shortage().unwrap_or(error)),
        };
        LOOKUPS.run(&name, look_up).await
    }
}

/// Whether this process has no descriptor left. The system then knows no name, and does not say why.
fn shortage() -> Option<io::Error> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err().filter(|error| fault::is_shortage(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_itself() {
        let addresses = SystemResolver.resolve("localhost", 80).await.expect("localhost is known");
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{addresses:?}");
    }
}
