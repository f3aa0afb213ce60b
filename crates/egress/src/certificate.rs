//! What a certificate says of itself, to be shown to people.
//!
//! # Source
//! RFC 5280.

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::identity::{PemError, certificates};

/// Longest subject that is shown, in characters.
const LONGEST_SUBJECT: usize = 200;

/// What is shown of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Its subject, such as `CN=hooks.example.com, O=Example`; its first alternative name where the subject is empty.
    /// Without control characters, at most 200 characters.
    pub subject: String,
    /// SHA-256 of the whole certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

/// What the certificates of a PEM text say of themselves, in the order they stand there.
///
/// # Errors
/// The text is not PEM, has no certificate, or has one that cannot be read.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateSummary>, PemError> {
    let found = certificates(pem)?;
    let numbered = found.iter().enumerate();
    numbered.map(|(index, certificate)| summary(certificate).ok_or_else(|| unreadable(index + 1))).collect()
}

fn unreadable(number: usize) -> PemError {
    PemError::NotACertificate { number, source: CertificateError::BadEncoding.into() }
}

fn summary(certificate: &CertificateDer<'_>) -> Option<CertificateSummary> {
    let (rest, read) = X509Certificate::from_der(certificate).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let subject = read.subject().to_string();
    let subject = if subject.is_empty() { alternative_name(&read).unwrap_or_default() } else { subject };
    let shown = subject.chars().filter(|character| !character.is_control()).take(LONGEST_SUBJECT).collect();
    let fingerprint = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(CertificateSummary { subject: shown, fingerprint, expires: read.validity().not_after.timestamp() })
}

fn alternative_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(change: impl FnOnce(&mut rcgen::CertificateParams)) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["first.example".to_owned()]).unwrap();
        change(&mut params);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_certificate_is_shown_by_its_subject_fingerprint_and_end() {
        let named = certificate(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, "client\u{7}.example");
            params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
            params.not_after = rcgen::date_time_ymd(2040, 2, 3);
        });
        let nameless = certificate(|params| params.distinguished_name = rcgen::DistinguishedName::new());
        let told = certificates_from_pem(format!("{named}{nameless}").as_bytes()).unwrap();
        assert_eq!(told[0].subject, "CN=client.example, O=Example");
        assert_eq!(told[0].expires, 2_211_840_000);
        assert_eq!(told[1].subject, "first.example");
        let der = certificates(named.as_bytes()).unwrap();
        let digest: String = Sha256::digest(&der[0]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(told[0].fingerprint, digest);
    }

    #[test]
    fn what_is_no_certificate_is_named_by_its_place() {
        let good = certificate(|_| ());
        let broken = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        let told = certificates_from_pem(format!("{good}{broken}").as_bytes());
        assert!(matches!(told, Err(PemError::NotACertificate { number: 2, .. })), "{told:?}");
        assert!(matches!(certificates_from_pem(b""), Err(PemError::NoCertificate)));
    }
}
