//! How TLS with one receiver differs from TLS with all others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What is shown of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Its subject, such as `CN=hooks.example.com, O=Example`.
    pub subject: String,
    /// SHA-256 of the whole certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The only root certificates that a receiver's certificate may lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedRoots {
    /// The certificates as PEM.
    pub pem: String,
    /// What is shown of each.
    pub facts: Vec<CertificateFacts>,
}

/// The certificate that is shown to a receiver that demands one, with its private key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The certificate as PEM, followed by its chain.
    pub pem: String,
    /// Its private key as PEM.
    pub key: String,
    /// What is shown of the certificate.
    pub facts: CertificateFacts,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// TLS of an endpoint. What is absent is as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointTls {
    /// Whom the endpoint's certificate must come from.
    pub roots: Option<TrustedRoots>,
    /// What it is shown.
    pub client: Option<ClientCertificate>,
}

impl EndpointTls {
    /// Whether it is TLS as with all others.
    pub const fn is_usual(&self) -> bool {
        self.roots.is_none() && self.client.is_none()
    }
}

/// A change of an endpoint's TLS: absent fields stay; `Some(None)` is as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsChange {
    /// Other roots.
    pub roots: Option<Option<TrustedRoots>>,
    /// Another client certificate.
    pub client: Option<Option<ClientCertificate>>,
}

impl TlsChange {
    /// What comes of that.
    pub fn apply(self, before: EndpointTls) -> EndpointTls {
        EndpointTls { roots: self.roots.unwrap_or(before.roots), client: self.client.unwrap_or(before.client) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_it_names_and_no_key_is_printed() {
        let facts = CertificateFacts {
            subject: "CN=a".to_owned(),
            fingerprint: "00".to_owned(),
            expires_at: Timestamp::from_millis(0),
        };
        let roots = TrustedRoots { pem: "roots".to_owned(), facts: vec![facts.clone()] };
        let client = ClientCertificate { pem: "chain".to_owned(), key: "the-key".to_owned(), facts };
        let both = EndpointTls { roots: Some(roots), client: Some(client) };
        assert!(!format!("{both:?}").contains("the-key"));
        assert_eq!(TlsChange::default().apply(both.clone()), both);
        let without = TlsChange { client: Some(None), roots: None }.apply(both.clone());
        assert_eq!(without, EndpointTls { client: None, ..both });
        assert!(TlsChange { client: None, roots: Some(None) }.apply(without).is_usual());
    }
}
