//! Certificates that are read from PEM: roots to trust, and the client certificate that is shown.
//!
//! # Source
//! RFC 7468 for the text; private keys as PKCS#8, PKCS#1 or SEC 1.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// PEM that certificates or a key cannot be read from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The text is not PEM.
    #[error("it is not PEM: {0}")]
    NotPem(#[source] rustls::pki_types::pem::Error),
    /// The text has no certificate.
    #[error("it has no certificate (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    /// One of the certificates cannot be read.
    #[error("certificate {number} in it cannot be read")]
    NotACertificate {
        /// Counted from 1.
        number: usize,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The text has no private key.
    #[error("it has no private key (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// The private key is encrypted.
    #[error("the private key is encrypted; write it without a passphrase (`openssl pkey -in KEY -out PLAIN`)")]
    EncryptedKey,
    /// The private key is of an algorithm that TLS here does not sign with.
    #[error("the private key cannot be used; RSA, ECDSA (P-256, P-384) and Ed25519 keys can")]
    UnusableKey(#[source] rustls::Error),
    /// The private key is not that of the certificate.
    #[error("the private key is not the key of the first certificate")]
    OtherKey,
}

/// All certificates of a PEM text, each of which can be trusted as a root.
///
/// # Errors
/// The text is not PEM, has no certificate, or has one that cannot be read.
pub fn roots_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let roots = certificates(pem)?;
    let mut scratch = RootCertStore::empty();
    for (index, root) in roots.iter().enumerate() {
        let added = scratch.add(root.clone());
        added.map_err(|source| PemError::NotACertificate { number: index + 1, source })?;
    }
    Ok(roots)
}

pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(PemError::NotPem)?;
    if found.is_empty() { Err(PemError::NoCertificate) } else { Ok(found) }
}

/// Whether a PEM text has a private key that TLS here signs with.
///
/// # Errors
/// The text is not PEM, or its key is missing, encrypted, or of another algorithm.
pub fn check_private_key(pem: &[u8]) -> Result<(), PemError> {
    signing_key(pem).map(drop)
}

/// A client certificate with its private key, shown to servers that demand one. Cheap to clone.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<CertifiedKey>);

impl Identity {
    /// Reads the certificate, followed by its chain if it has one, and its private key; both may be of one text.
    ///
    /// # Errors
    /// [`IdentityError`] says which of the two texts is wrong, and why.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(certificate).map_err(IdentityError::Certificate)?;
        let key = signing_key(key).map_err(IdentityError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(certified)))
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(IdentityError::Key(PemError::OtherKey)),
            Err(source) => Err(IdentityError::Certificate(PemError::NotACertificate { number: 1, source })),
        }
    }
}

fn signing_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, PemError> {
    let provider = rustls::crypto::ring::default_provider();
    provider.key_provider.load_private_key(private_key(pem)?).map_err(PemError::UnusableKey)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    match PrivateKeyDer::pem_slice_iter(pem).next() {
        Some(Ok(key)) => Ok(key),
        Some(Err(error)) => Err(PemError::NotPem(error)),
        None if pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) => Err(PemError::EncryptedKey),
        None => Err(PemError::NoKey),
    }
}

const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// A certificate and a key that are not a client certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate is wrong.
    #[error("{0}")]
    Certificate(#[source] PemError),
    /// The key is wrong.
    #[error("{0}")]
    Key(#[source] PemError),
}

/// How TLS with one receiver differs from TLS with all others. Connections made with one profile are not used with another.
pub struct TlsProfile {
    /// Distinct within the process, so that two profiles never share a connection.
    pub(crate) number: u64,
    /// Shown in place of the client's own.
    pub(crate) identity: Option<Identity>,
    /// Trusted in place of the client's own, where there are any.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) connector: OnceCell<TlsConnector>,
}

impl TlsProfile {
    /// A profile like no other: keep it as long as its connections shall be used again. Where `identity` is none, the
    /// client's own is shown; where `roots` is empty, the client's own are trusted.
    #[must_use]
    pub fn new(identity: Option<Identity>, roots: Vec<CertificateDer<'static>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { number, identity, roots, connector: OnceCell::new() }
    }
}

impl fmt::Debug for TlsProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsProfile").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_client_certificate_is_named() {
        let made = rcgen::generate_simple_self_signed(["client.example".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let told = |certificate: &str, key: &str| match Identity::from_pem(certificate.as_bytes(), key.as_bytes()) {
            Ok(_) => "good".to_owned(),
            Err(IdentityError::Certificate(why)) => format!("certificate: {why}"),
            Err(IdentityError::Key(why)) => format!("key: {why}"),
        };
        assert_eq!(told(&certificate, &key), "good");
        let both = format!("{key}{certificate}");
        assert_eq!(told(&both, &both), "good");
        for (certificate, key, expected) in [
            (certificate.as_str(), other.as_str(), "key: the private key is not the key"),
            (&certificate, encrypted, "key: the private key is encrypted"),
            (&certificate, &certificate, "key: it has no private key"),
            (&key, &key, "certificate: it has no certificate"),
            ("", &key, "certificate: it has no certificate"),
            (&certificate[..certificate.len() - 30], &key, "certificate: it is not PEM"),
        ] {
            assert!(told(certificate, key).starts_with(expected), "{}", told(certificate, key));
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        let roots = format!("{certificate}{broken}");
        assert!(matches!(roots_from_pem(roots.as_bytes()), Err(PemError::NotACertificate { number: 2, .. })));
        assert_eq!(roots_from_pem(certificate.repeat(2).as_bytes()).unwrap().len(), 2);
    }
}
