//! From a URL to a connection: resolve, judge every answer, dial the very addresses that were judged, shake hands.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use crate::connection::Connection;
use crate::failure::{Failure, FailureKind, Phase};
use crate::fault::{self, Fault};
use crate::identity::TlsProfile;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::resolver::Resolver;
use crate::tls::Tls;
use crate::wire::{Socket, Wire};

/// The most addresses of one name that are tried; a name may list thousands.
const MAX_ADDRESSES: usize = 8;

pub(crate) struct Connector {
    pub(crate) policy: Policy,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) tls: Tls,
}

impl Connector {
    pub(crate) async fn dial(
        &self,
        url: &Url,
        profile: Option<&TlsProfile>,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Box<Connection>, Failure> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(progress.fail(FailureKind::UrlNotAllowed, "the URL has no host".to_owned()));
        };
        let addresses = self.addresses(&host, port, progress).await?;
        progress.enter(Phase::Connect);
        let (socket, address) = connect(&addresses, deadline, progress).await?;
        // A request is written at once and whole; waiting to fill a packet only adds a round trip.
        let _ = socket.set_nodelay(true);
        let socket = if url.scheme() == "https" {
            progress.enter(Phase::Tls);
            let stream = self.tls.handshake(&host, socket, profile).await;
            let (stream, shown) = stream
                .map_err(|(fault, error)| progress.fail(fault, format!("TLS with {host} at {address}: {error}")))?;
            Socket::Tls { stream: Box::new(stream), shown }
        } else {
            Socket::Plain(socket)
        };
        match Connection::new(Wire::new(socket), address, profile.map(|profile| profile.number)).await {
            Ok(connection) => Ok(Box::new(connection)),
            Err(error) => Err(progress.fail(FailureKind::Protocol, format!("{host} at {address}: {error}"))),
        }
    }

    /// All addresses of a host, each of them allowed.
    async fn addresses(
        &self,
        host: &Host<&str>,
        port: u16,
        progress: &mut Progress,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut addresses = match host {
            Host::Ipv4(address) => vec![SocketAddr::new((*address).into(), port)],
            Host::Ipv6(address) => vec![SocketAddr::new((*address).into(), port)],
            Host::Domain(name) => {
                progress.enter(Phase::Dns);
                self.resolver.resolve(name, port).await.map_err(|error| {
                    let kind = if fault::is_shortage(&error) { FailureKind::OutOfResources } else { FailureKind::Dns };
                    progress.fail(kind, format!("resolving {name}: {error}"))
                })?
            }
        };
        for address in &mut addresses {
            // The port is the URL's, whatever a resolver says.
            address.set_port(port);
            if let Err(refusal) = self.policy.judge_address(*address) {
                progress.address = Some(*address);
                let detail = format!("{host} leads to {address}, which the rule `{}` refuses", refusal.rule);
                return Err(progress.fail(FailureKind::AddressNotAllowed, detail));
            }
        }
        if addresses.is_empty() {
            return Err(progress.fail(FailureKind::Dns, format!("{host} has no address")));
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }
}

/// Tries one address after another. Each gets an equal share of the time left, so that a first one that swallows
/// packets leaves the others their chance.
async fn connect(
    addresses: &[SocketAddr],
    deadline: Instant,
    progress: &mut Progress,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut last = (Fault::from(FailureKind::Unreachable), "there is no address to dial".to_owned());
    for (index, &address) in addresses.iter().enumerate() {
        progress.address = Some(address);
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match connect_one(address, share).await {
            Ok(socket) => return Ok((socket, address)),
            // Without what it takes here, no address was tried.
            Err(_) if last.0.kind == FailureKind::OutOfResources => {}
            Err(error) => last = (kind_of(&error, address), format!("connecting to {address}: {error}")),
        }
    }
    let (fault, detail) = last;
    Err(progress.fail(fault, detail))
}

/// What a failed connect means. A machine without addresses of that family says the same as one without free ports; a
/// socket without a connection, which sends nothing, tells which it is.
fn kind_of(error: &io::Error, address: SocketAddr) -> Fault {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let has_route = || UdpSocket::bind(any).and_then(|socket| socket.connect(address)).is_ok();
    match error.kind() {
        io::ErrorKind::AddrNotAvailable if !has_route() => FailureKind::Unreachable.into(),
        _ => fault::of_connect(error),
    }
}

async fn connect_one(address: SocketAddr, share: Duration) -> io::Result<TcpStream> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that dials, and only what was judged")]
    let connecting = TcpStream::connect(address);
    timeout(share, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
