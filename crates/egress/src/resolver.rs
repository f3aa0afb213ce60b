//! From a name to addresses. A resolver only answers; the client judges what it answered.

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Something that turns names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync + Debug {
    /// All addresses of a name, the preferred one first. Asked on every new dial, never for a literal address.
    ///
    /// # Errors
    /// The name does not exist, or nobody who knows could be asked.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// Most lookups at once in the whole process: half of the threads that tokio has for what blocks, so that names whose
/// servers do not answer leave room for files and media.
const LOOKUPS: usize = 256;

static PLACES: Semaphore = Semaphore::const_new(LOOKUPS);

/// The resolver of the operating system (`getaddrinfo`), with its hosts file, its search domains and its cache.
///
/// Each lookup occupies a thread of the runtime's blocking pool until the system answers, even when the caller's
/// deadline has passed: the system offers no way to stop it. At most 256 are under way in the process; more wait for their
/// turn, within their deadlines.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        look_up(&PLACES, move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
    }
}

/// Runs a lookup, which blocks, in one of these places. The place is free again when the lookup has ended, and not when
/// its caller gave up.
async fn look_up<T: Send + 'static>(
    places: &'static Semaphore,
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let place = places.acquire().await.map_err(io::Error::other)?;
    let looking = tokio::task::spawn_blocking(move || {
        let _place = place;
        lookup()
    });
    looking.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    static TWO: Semaphore = Semaphore::const_new(2);

    #[tokio::test]
    async fn a_lookup_that_hangs_keeps_its_place_after_its_caller_gave_up_and_no_more_than_that() {
        let (answer, wait) = mpsc::channel::<()>();
        let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
        for _ in 0..2 {
            let wait = std::sync::Arc::clone(&wait);
            let hanging = look_up(&TWO, move || {
                let _ = wait.lock().expect("nobody panics").recv();
                Ok(())
            });
            // The caller looks once and gives up.
            assert!(hanging.now_or_never().is_none());
        }
        assert_eq!(TWO.available_permits(), 0);
        let mut third = Box::pin(look_up(&TWO, || Ok(3)));
        assert!(third.as_mut().now_or_never().is_none(), "it waits for its turn");
        assert_eq!(tokio::task::spawn_blocking(|| 4).await.expect("it does not panic"), 4, "other work goes on");
        drop(answer);
        assert_eq!(third.await.expect("a place is free"), 3);
    }

    #[tokio::test]
    async fn the_system_knows_itself() {
        let addresses = SystemResolver.resolve("localhost", 80).await.expect("localhost is known");
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{addresses:?}");
    }
}
