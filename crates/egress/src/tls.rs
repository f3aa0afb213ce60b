//! Whom we believe: the system's trust store, Mozilla's where the system has none, and the operator's own roots.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::fault::{self, Fault};
use crate::identity::{Identity, TlsProfile};
use crate::tls_fault::{Shown, TlsFault};

/// How many receivers' TLS sessions are remembered, so that a new connection to one costs less.
const SESSIONS: usize = 1024;
/// The same of one profile, which is for one receiver.
const PROFILE_SESSIONS: usize = 8;

/// Makes TLS handshakes. Reads the trust store on the first one, because it takes tens of milliseconds that a server
/// need not spend at its start.
pub(crate) struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    roots: OnceCell<Arc<RootCertStore>>,
    connector: OnceCell<TlsConnector>,
}

tokio::task_local! {
    /// What the handshake that runs in this task answered to a demand for a client certificate: the resolver is shared
    /// by all handshakes, for a session is only resumed with the resolver that it was made with.
    static SHOWN: Cell<Shown>;
}

impl Tls {
    /// # Errors
    /// One of the extra roots is not a certificate that could be a trust anchor.
    pub(crate) fn new(
        extra_roots: Vec<CertificateDer<'static>>,
        identity: Option<Identity>,
    ) -> Result<Self, rustls::Error> {
        let mut scratch = RootCertStore::empty();
        for root in &extra_roots {
            scratch.add(root.clone())?;
        }
        Ok(Self { extra_roots, identity, roots: OnceCell::new(), connector: OnceCell::new() })
    }

    /// A connection, and what was shown for it.
    ///
    /// # Errors
    /// The handshake failed: why, and in the operator's words.
    pub(crate) async fn handshake(
        &self,
        host: &Host<&str>,
        socket: TcpStream,
        profile: Option<&TlsProfile>,
    ) -> Result<(TlsStream<TcpStream>, Shown), (Fault, io::Error)> {
        let local = |error| (TlsFault::Local.into(), error);
        let name = server_name(host).map_err(local)?;
        let connector = match profile {
            None => self.connector.get_or_try_init(|| self.connector_with(self.identity.clone(), &[], SESSIONS)).await,
            Some(profile) => {
                let identity = profile.identity.clone().or_else(|| self.identity.clone());
                let made = || self.connector_with(identity, &profile.roots, PROFILE_SESSIONS);
                profile.connector.get_or_try_init(made).await
            }
        };
        let connector = connector.map_err(local)?;
        let shaking = async {
            let result = connector.connect(name, socket).await;
            let shown = SHOWN.with(Cell::get);
            result.map(|stream| (stream, shown)).map_err(|error| (fault::of_handshake(&error, shown), error))
        };
        SHOWN.scope(Cell::default(), shaking).await
    }

    async fn connector_with(
        &self,
        identity: Option<Identity>,
        own_roots: &[CertificateDer<'static>],
        sessions: usize,
    ) -> io::Result<TlsConnector> {
        let roots = if own_roots.is_empty() {
            Arc::clone(self.roots().await?)
        } else {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(own_roots.iter().cloned());
            Arc::new(roots)
        };
        let config = config(roots, identity, sessions).map_err(io::Error::other)?;
        Ok(TlsConnector::from(Arc::new(config)))
    }

    async fn roots(&self) -> io::Result<&Arc<RootCertStore>> {
        self.roots
            .get_or_try_init(|| async {
                let extra_roots = self.extra_roots.clone();
                let roots = tokio::task::spawn_blocking(|| roots(extra_roots)).await.map_err(io::Error::other)?;
                Ok(Arc::new(roots))
            })
            .await
    }
}

fn config(
    roots: Arc<RootCertStore>,
    identity: Option<Identity>,
    sessions: usize,
) -> Result<ClientConfig, rustls::Error> {
    // The provider is named here, because a process-wide default would be a setting nobody sees.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Resolver { identity }));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(sessions);
    Ok(config)
}

/// Shows the client certificate that there is, and notes that one was demanded.
#[derive(Debug)]
struct Resolver {
    identity: Option<Identity>,
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let shown = if self.has_certs() { Shown::Certificate } else { Shown::Nothing };
        // Outside of a handshake of ours nobody reads it.
        let _ = SHOWN.try_with(|cell| cell.set(shown));
        self.identity.as_ref().map(|identity| Arc::clone(&identity.0))
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

fn roots(extra_roots: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?system.errors, "the system has no trust store; using Mozilla's");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(extra_roots);
    roots
}

fn server_name(host: &Host<&str>) -> io::Result<ServerName<'static>> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress((*address).into())),
        // Certificates and SNI know no trailing dot (RFC 6066 section 3).
        Host::Domain(name) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(|error| io::Error::other(rustls::Error::General(error.to_string()))),
    }
}
