//! Receivers over TLS, with certificates that are good or not.

use std::sync::Arc;

use reelhook_egress::CertificateDer;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::scripts::{Scripted, welcome};

/// What is particular about a receiver's TLS.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Certificate {
    pub(crate) name: &'static str,
    pub(crate) is_expired: bool,
    /// The protocols it insists on, if any.
    pub(crate) protocols: &'static [&'static str],
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
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
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
