//! Whom we believe: the system's trust store, Mozilla's where the system has none, and the operator's own roots.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

/// How many receivers' TLS sessions are remembered, so that a new connection to one costs less.
const SESSIONS: usize = 1024;

/// Makes TLS handshakes. Reads the trust store on the first one, because it takes tens of milliseconds that a server
/// need not spend at its start.
pub(crate) struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    /// # Errors
    /// One of the extra roots is not a certificate that could be a trust anchor.
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Result<Self, rustls::Error> {
        let mut scratch = RootCertStore::empty();
        for root in &extra_roots {
            scratch.add(root.clone())?;
        }
        Ok(Self { extra_roots, connector: OnceCell::new() })
    }

    /// # Errors
    /// The handshake failed; a `rustls::Error` is inside where it was not the socket.
    pub(crate) async fn handshake(
        &self,
        host: &Host<&str>,
        socket: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = server_name(host)?;
        self.connector().await?.connect(name, socket).await
    }

    async fn connector(&self) -> std::io::Result<&TlsConnector> {
        self.connector
            .get_or_try_init(|| async {
                let extra_roots = self.extra_roots.clone();
                let config =
                    tokio::task::spawn_blocking(|| config(extra_roots)).await.map_err(std::io::Error::other)?;
                config.map(|config| TlsConnector::from(Arc::new(config))).map_err(std::io::Error::other)
            })
            .await
    }
}

fn config(extra_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    // The provider is named here, because a process-wide default would be a setting nobody sees.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(extra_roots))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
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

fn server_name(host: &Host<&str>) -> std::io::Result<ServerName<'static>> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress((*address).into())),
        // Certificates and SNI know no trailing dot (RFC 6066 section 3).
        Host::Domain(name) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(|error| std::io::Error::other(rustls::Error::General(error.to_string()))),
    }
}
