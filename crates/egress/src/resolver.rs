//! From a name to addresses. A resolver only answers; the client judges what it answered.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Something that turns names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync + Debug {
    /// All addresses of a name, the preferred one first. Asked on every new dial, never for a literal address.
    ///
    /// # Errors
    /// The name does not exist, or nobody who knows could be asked.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the operating system (`getaddrinfo`), with its hosts file, its search domains and its cache.
///
/// Each lookup occupies a thread of the runtime's blocking pool until the system answers, even when the caller's
/// deadline has passed: the system offers no way to stop it. A pool of threads therefore bounds lookups in flight.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
