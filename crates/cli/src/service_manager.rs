//! What systemd, or another service manager, and this program tell each other: readiness, signs of life, and sockets.
//!
//! # Source
//! sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). Without their variables in the environment nothing is said.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use listenfd::ListenFd;
use reelhook_api::{Face, Listener};
use reelhook_domain::job::Dialect;
use reelhook_store::Store;
use sd_notify::NotifyState;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::settings::ListenAt;

/// Sockets that the service manager opened.
#[derive(Debug, Default)]
pub(crate) struct Given {
    sockets: Vec<(String, Socket)>,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// One of them, ready for the runtime.
#[derive(Debug)]
pub(crate) struct GivenListener {
    /// What is served there: the service of its name (`FileDescriptorName=`), or everything.
    pub(crate) face: Face,
    pub(crate) listener: Listener,
    /// Where it listens.
    pub(crate) at: ListenAt,
}

impl Given {
    /// Takes them. To be called before there are threads, since the variables are removed.
    ///
    /// # Errors
    /// A descriptor is not a listening socket.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for place in 0..given.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = match given.take_tcp_listener(place) {
                Ok(socket) => socket.map(Socket::Tcp),
                Err(_) => given
                    .take_unix_listener(place)
                    .with_context(|| format!("socket {place} of LISTEN_FDS cannot be listened on"))?
                    .map(Socket::Unix),
            };
            sockets.extend(socket.map(|socket| (name, socket)));
        }
        Ok(Self { sockets })
    }

    /// Hands them to the runtime.
    pub(crate) fn listeners(self) -> anyhow::Result<Vec<GivenListener>> {
        self.sockets.into_iter().map(|(name, socket)| listener(&name, socket)).collect()
    }
}

fn listener(name: &str, socket: Socket) -> anyhow::Result<GivenListener> {
    let service = Dialect::from_word(name).filter(|service| *service != Dialect::Native);
    let face = service.map_or(Face::All, Face::Service);
    let (listener, at) = match socket {
        Socket::Tcp(socket) => {
            socket.set_nonblocking(true)?;
            let at = ListenAt::Address(socket.local_addr()?);
            (Listener::Tcp(TcpListener::from_std(socket)?), at)
        }
        Socket::Unix(socket) => {
            socket.set_nonblocking(true)?;
            let path = socket.local_addr()?.as_pathname().map(ToOwned::to_owned).unwrap_or_default();
            (Listener::Unix(UnixListener::from_std(socket)?), ListenAt::Socket(path))
        }
    };
    Ok(GivenListener { face, listener, at })
}

/// Says that callers can connect.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Says that the server is on its way down.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be notified");
    }
}

/// Gives signs of life for as long as the runtime and the store answer, where the service manager waits for them.
pub(crate) async fn beat(store: Arc<dyn Store>) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else { return };
    let pace = (patience / 3).max(Duration::from_millis(1));
    let mut beats = interval(pace);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        match timeout(patience, store.last_sequence()).await {
            Ok(Ok(_)) => notify(&[NotifyState::Watchdog]),
            Ok(Err(error)) => tracing::error!(%error, "the database does not respond; the watchdog is not notified"),
            Err(_) => tracing::error!("the database does not respond in time; the watchdog is not notified"),
        }
    }
}
