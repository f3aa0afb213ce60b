//! TLS of an endpoint: what callers of the native API may say of it, and what it answers. A private key is never shown.

use reelhook_domain::form::Form;
use reelhook_domain::tls::{CertificateFacts, ClientCertificate, EndpointTls, TlsChange, TrustedRoots};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::judge::Judge;
use super::request::MASK;

/// Longest PEM text of roots: some twenty certificates with what tools write between them.
const LONGEST_ROOTS: usize = 64 * 1024;
/// Longest PEM text of a certificate with its chain.
const LONGEST_CHAIN: usize = 32 * 1024;
/// Longest PEM text of a private key: one of RSA with 8,192 bits has some 6,400 characters.
const LONGEST_KEY: usize = 16 * 1024;

const CERTIFICATE_PATTERN: &str = "-----BEGIN CERTIFICATE-----";
const KEY_PATTERN: &str = "-----BEGIN (RSA |EC )?PRIVATE KEY-----";

/// Takes `tls`. Null inside it is as the server has it.
pub(super) fn tls(form: &mut Form, judge: &dyn Judge) -> Option<TlsChange> {
    form.secrets("tls", |form| {
        let roots = form.clearable("roots", |form| roots(form, judge));
        let client = client(form, judge);
        Some(TlsChange { roots, client })
    })
}

fn roots(form: &mut Form, judge: &dyn Judge) -> Option<TrustedRoots> {
    form.pattern("roots", CERTIFICATE_PATTERN);
    let pem = form.text("roots", LONGEST_ROOTS)?;
    match judge.roots(&pem) {
        Ok(facts) => Some(TrustedRoots { pem, facts }),
        Err(message) => {
            form.refuse("roots", Value::Null, message);
            None
        }
    }
}

/// Takes the certificate and its key, which go together: both, or null for either.
fn client(form: &mut Form, judge: &dyn Judge) -> Option<Option<ClientCertificate>> {
    let is_cleared = form.is_null("client_certificate") || form.is_null("client_key");
    let certificate = form.clearable("client_certificate", |form| certificate(form, judge)).flatten();
    let chain = certificate.as_ref().map(|(pem, _)| pem.as_str());
    let key = form.clearable("client_key", |form| key(form, judge, chain)).flatten();
    let was_given = form.was_given("client_certificate") || form.was_given("client_key");
    let key = form.require_with("client_key", "client_certificate", key);
    match (certificate, key) {
        (Some((pem, facts)), Some(key)) => Some(Some(ClientCertificate { pem, key, facts })),
        _ => (is_cleared && !was_given).then_some(None),
    }
}

fn certificate(form: &mut Form, judge: &dyn Judge) -> Option<(String, CertificateFacts)> {
    form.pattern("client_certificate", CERTIFICATE_PATTERN);
    let pem = form.text("client_certificate", LONGEST_CHAIN)?;
    match judge.client_certificate(&pem) {
        Ok(facts) => Some((pem, facts)),
        Err(message) => {
            form.refuse("client_certificate", Value::Null, message);
            None
        }
    }
}

fn key(form: &mut Form, judge: &dyn Judge, certificate: Option<&str>) -> Option<String> {
    form.pattern("client_key", KEY_PATTERN);
    let pem = form.text("client_key", LONGEST_KEY)?;
    let judged = match pem.as_str() {
        MASK => Err("is what the API shows in place of the key: send the key itself, or leave out \
                     client_certificate and client_key to keep both"
            .to_owned()),
        pem => judge.client_key(pem, certificate),
    };
    match judged {
        Ok(()) => Some(pem),
        Err(message) => {
            form.refuse("client_key", Value::Null, message);
            None
        }
    }
}

/// TLS of an endpoint. What is null is as the server has it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EndpointTls)]
pub struct TlsReply {
    /// The only roots that the endpoint's certificate may lead to; null for those that the server trusts.
    pub roots: Option<Vec<CertificateReply>>,
    /// What the endpoint is shown when it demands a client certificate; null for the server's own, if it has one.
    pub client_certificate: Option<CertificateReply>,
    /// `****` where there is one: the key is never shown.
    pub client_key: Option<&'static str>,
}

/// A certificate.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Certificate)]
pub struct CertificateReply {
    /// Its subject, such as `CN=hooks.example.com, O=Example`; its first alternative name where the subject is empty.
    pub subject: String,
    /// SHA-256 of the whole certificate, in hexadecimal digits.
    pub fingerprint_sha256: String,
    /// When it expires.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

impl TlsReply {
    /// TLS of an endpoint, without its key; none where it is TLS as with all others.
    pub fn of(tls: &EndpointTls) -> Option<Self> {
        if tls.is_usual() {
            return None;
        }
        let client = tls.client.as_ref();
        Some(Self {
            roots: tls.roots.as_ref().map(|roots| roots.facts.iter().map(CertificateReply::of).collect()),
            client_certificate: client.map(|client| CertificateReply::of(&client.facts)),
            client_key: client.map(|_| MASK),
        })
    }
}

impl CertificateReply {
    fn of(facts: &CertificateFacts) -> Self {
        Self {
            subject: facts.subject.clone(),
            fingerprint_sha256: facts.fingerprint.clone(),
            expires_at: facts.expires_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::Unjudged;
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<TlsChange, Vec<String>> {
        let read = Form::read(json!({ "tls": value }), |form| tls(form, &Unjudged));
        read.map_err(|wrong| wrong.into_iter().map(|one| format!("{} {}", one.path, one.message)).collect())
    }

    #[test]
    fn a_certificate_and_its_key_go_together_and_null_for_either_clears_both() {
        let given = read(&json!({"client_certificate": "a", "client_key": "b"})).unwrap();
        assert_eq!(given.client.unwrap().unwrap().key, "b");
        assert_eq!(read(&json!({})), Ok(TlsChange::default()));
        let cleared = Ok(TlsChange { roots: None, client: Some(None) });
        for value in [
            json!({"client_certificate": null}),
            json!({"client_key": null}),
            json!({"client_certificate": null, "client_key": null}),
        ] {
            assert_eq!(read(&value), cleared, "{value}");
        }
        for (value, expected) in [
            (json!({"client_certificate": "a"}), "tls.client_key is required"),
            (json!({"client_certificate": "a", "client_key": null}), "tls.client_key is required"),
            (json!({"client_key": "b"}), "tls.client_key is allowed only with client_certificate"),
            (
                json!({"client_key": "b", "client_certificate": null}),
                "tls.client_key is allowed only with client_certificate",
            ),
            (json!({"verify": false}), "tls.verify is unknown; allowed are client_certificate, client_key, roots"),
        ] {
            assert_eq!(read(&value), Err(vec![expected.to_owned()]), "{value}");
        }
        let mask = read(&json!({"client_certificate": "a", "client_key": MASK})).unwrap_err();
        assert!(mask.len() == 1 && mask[0].starts_with("tls.client_key is what the API shows"), "{mask:?}");
    }
}
