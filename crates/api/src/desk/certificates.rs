//! What is judged of a request while it is read: URLs by the policy, certificates and keys by what TLS makes of them.

use std::fmt::Display;

use reelhook_dialects::Judge;
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::CertificateFacts;
use reelhook_egress::{
    CertificateSummary, Identity, PemError, certificates_from_pem, check_private_key, roots_from_pem,
};
use url::Url;

use super::Desk;

/// Most roots of one endpoint.
const MOST_ROOTS: usize = 20;
/// Most certificates of a chain, the client certificate among them.
const LONGEST_CHAIN: usize = 10;

impl Judge for Desk {
    fn url(&self, url: &Url) -> Result<(), String> {
        self.inner.parts.policy.judge_url(url).map_err(|refusal| refusal.message)
    }

    fn roots(&self, pem: &str) -> Result<Vec<CertificateFacts>, String> {
        roots_from_pem(pem.as_bytes()).map_err(|error| unusable(&error))?;
        bounded(certificates_from_pem(pem.as_bytes()).map_err(|error| unusable(&error))?, MOST_ROOTS)
    }

    fn client_certificate(&self, pem: &str) -> Result<CertificateFacts, String> {
        let chain = bounded(certificates_from_pem(pem.as_bytes()).map_err(|error| unusable(&error))?, LONGEST_CHAIN)?;
        let now = self.ambient().now();
        if let Some((place, expired)) = chain.iter().enumerate().find(|(_, one)| one.expires_at <= now) {
            let (number, at) = (place + 1, expired.expires_at);
            return Err(format!("cannot be used: certificate {number} in it expired at {at}; send one that is valid"));
        }
        chain.into_iter().next().ok_or_else(|| unusable(&PemError::NoCertificate))
    }

    fn client_key(&self, pem: &str, certificate: Option<&str>) -> Result<(), String> {
        check_private_key(pem.as_bytes()).map_err(|error| unusable(&error))?;
        let Some(certificate) = certificate else { return Ok(()) };
        let pair = Identity::from_pem(certificate.as_bytes(), pem.as_bytes());
        pair.map(drop).map_err(|error| unusable(&error))
    }
}

fn unusable(error: &dyn Display) -> String {
    format!("cannot be used: {error}")
}

fn bounded(found: Vec<CertificateSummary>, most: usize) -> Result<Vec<CertificateFacts>, String> {
    if found.len() > most {
        return Err(format!("has {} certificates; the limit is {most}", found.len()));
    }
    Ok(found.into_iter().map(facts).collect())
}

fn facts(summary: CertificateSummary) -> CertificateFacts {
    let CertificateSummary { subject, fingerprint, expires } = summary;
    CertificateFacts { subject, fingerprint, expires_at: Timestamp::from_millis(expires.saturating_mul(1000)) }
}
