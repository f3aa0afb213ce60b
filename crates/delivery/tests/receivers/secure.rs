//! Receivers over TLS, with certificates that are good or not.

use std::sync::Arc;

use reelhook_egress::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::scripts::{Scripted, welcome};

/// What is particular about a receiver's TLS.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Certificate {
    pub(crate) name: &'static str,
    pub(crate) is_expired: bool,
    /// The protocols it insists on, if any.
    pub(crate) protocols: &'static [&'static str],
    /// The version of TLS in which it demands a client certificate, if it does: one that it issued itself.
    pub(crate) demands: Option<&'static SupportedProtocolVersion>,
}

/// A receiver that answers 200 over TLS, and its certificate, to be trusted or not.
pub(crate) async fn start(certificate: Certificate) -> (Scripted, CertificateDer<'static>) {
    let mut params = rcgen::CertificateParams::new([certificate.name.to_owned()]).unwrap();
    if certificate.is_expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = certificate.demands.map_or(rustls::ALL_VERSIONS.to_vec(), |version| vec![version]);
    let building =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions).unwrap();
    let building = match certificate.demands {
        None => building.with_no_client_auth(),
        Some(_) => {
            let mut roots = RootCertStore::empty();
            roots.add(made.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            building.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        building.with_single_cert(vec![made.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
    config.alpn_protocols = certificate.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Scripted::start(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(socket) = acceptor.accept(socket).await {
                welcome(socket).await;
            }
        }
    })
    .await;
    (server, made)
}
