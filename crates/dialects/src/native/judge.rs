//! What only the server can say of a request, without a look-up.

use reelhook_domain::tls::CertificateFacts;
use url::Url;

/// Says what is wrong with what a request names. A message is read after the path of its field.
pub trait Judge {
    /// Whether a URL may be reached, as far as the URL itself tells.
    ///
    /// # Errors
    /// Why not.
    fn url(&self, url: &Url) -> Result<(), String>;

    /// The root certificates of a PEM text.
    ///
    /// # Errors
    /// Why it has none that can be trusted.
    fn roots(&self, pem: &str) -> Result<Vec<CertificateFacts>, String>;

    /// The client certificate that a PEM text begins with.
    ///
    /// # Errors
    /// Why it cannot be shown.
    fn client_certificate(&self, pem: &str) -> Result<CertificateFacts, String>;

    /// Whether a PEM text is a private key, and that of `certificate` where there is one.
    ///
    /// # Errors
    /// Why not.
    fn client_key(&self, pem: &str, certificate: Option<&str>) -> Result<(), String>;
}

/// Takes any URL, for requests whose URLs are judged later, and any certificate, of which it can say nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unjudged;

impl Judge for Unjudged {
    fn url(&self, _: &Url) -> Result<(), String> {
        Ok(())
    }

    fn roots(&self, _: &str) -> Result<Vec<CertificateFacts>, String> {
        Ok(Vec::new())
    }

    fn client_certificate(&self, _: &str) -> Result<CertificateFacts, String> {
        let never = reelhook_domain::time::Timestamp::from_millis(0);
        Ok(CertificateFacts { subject: String::new(), fingerprint: String::new(), expires_at: never })
    }

    fn client_key(&self, _: &str, _: Option<&str>) -> Result<(), String> {
        Ok(())
    }
}
