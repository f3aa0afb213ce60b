//! Why TLS failed, in a word that tells what to mend. By type, never by text.
//!
//! # Source
//! Alerts: RFC 8446 section 6.2, and RFC 5246 section 7.2.2 for those that TLS 1.3 no longer sends.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why TLS failed, by what one would mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// The certificate, or one of its chain, has expired.
    Expired,
    /// The certificate, or one of its chain, is not valid yet.
    NotYetValid,
    /// The certificate is for other names.
    Name,
    /// The certificate does not lead to a root that is trusted: self-signed, a private root or another
    /// one of its name, or a missing intermediate.
    Issuer,
    /// The certificate was revoked.
    Revoked,
    /// The certificate is not meant for a server.
    Purpose,
    /// The certificate cannot be read or verified.
    Certificate,
    /// The other side demands a client certificate and was shown none.
    ClientCertificate,
    /// The other side does not accept the client certificate that it was shown.
    ClientCertificateRefused,
    /// There is no cipher, group or signature that both sides have.
    Cipher,
    /// There is no version of TLS that both sides have.
    Version,
    /// The other side does not speak HTTP/1.1 over TLS.
    ApplicationProtocol,
    /// The other side has no server of that name.
    ServerName,
    /// What the other side speaks is not TLS.
    NotTls,
    /// The other side ended TLS for another reason, or broke its rules.
    Peer,
    /// The reason is on this side.
    Local,
}

impl TlsFault {
    /// The stable spelling, in JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Name => "name",
            Self::Issuer => "issuer",
            Self::Revoked => "revoked",
            Self::Purpose => "purpose",
            Self::Certificate => "certificate",
            Self::ClientCertificate => "client_certificate",
            Self::ClientCertificateRefused => "client_certificate_refused",
            Self::Cipher => "cipher",
            Self::Version => "version",
            Self::ApplicationProtocol => "application_protocol",
            Self::ServerName => "server_name",
            Self::NotTls => "not_tls",
            Self::Peer => "peer",
            Self::Local => "local",
        }
    }

    /// The tenant's voice.
    pub(crate) fn public_reason(self) -> &'static str {
        match self {
            Self::Expired => "no secure connection could be made; the certificate has expired",
            Self::NotYetValid => "no secure connection could be made; the certificate is not valid yet",
            Self::Name => "no secure connection could be made; the certificate is for another name",
            Self::Issuer => "no secure connection could be made; the certificate does not lead to a trusted root",
            Self::Revoked => "no secure connection could be made; the certificate was revoked",
            Self::Purpose => "no secure connection could be made; the certificate is not meant for a server",
            Self::Certificate => "no secure connection could be made; the certificate cannot be read or verified",
            Self::ClientCertificate => "no secure connection could be made; the host requires a client certificate",
            Self::ClientCertificateRefused => {
                "no secure connection could be made; the host does not accept the client certificate"
            }
            Self::Cipher => "no secure connection could be made; both sides have no cipher in common",
            Self::Version => "no secure connection could be made; TLS 1.2 or 1.3 is required",
            Self::ApplicationProtocol => "no secure connection could be made; HTTP/1.1 is required",
            Self::ServerName => "no secure connection could be made; the host does not serve that name",
            Self::NotTls => "no secure connection could be made; the host does not speak TLS at that port",
            Self::Peer | Self::Local => "no secure connection could be made",
        }
    }

    /// What an error of the TLS library means.
    pub(crate) fn of(error: &Error, stage: Stage, shown: Shown) -> Self {
        match error {
            Error::InvalidCertificate(error) => of_certificate(error),
            Error::NoCertificatesPresented | Error::UnsupportedNameType => Self::Certificate,
            Error::InvalidCertRevocationList(_) => Self::Revoked,
            Error::AlertReceived(alert) => of_alert(*alert, stage, shown),
            Error::PeerIncompatible(why) => of_incompatible(why),
            Error::NoApplicationProtocol => Self::ApplicationProtocol,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) if stage == Stage::Handshake => Self::NotTls,
            Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::HandshakeNotComplete
            | Error::BadMaxFragmentSize
            | Error::InconsistentKeys(_)
            | Error::EncryptError
            | Error::General(_)
            | Error::Other(_) => Self::Local,
            _ => Self::Peer,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When an error came, as far as it bears on what an alert means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the handshake.
    Handshake,
    /// After it. Under TLS 1.3 the other side judges the client certificate only then.
    Established,
}

/// What was answered to a demand for a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shown {
    /// None was demanded.
    #[default]
    NotAsked,
    /// There is none.
    Nothing,
    /// The one there is.
    Certificate,
}

fn of_certificate(error: &CertificateError) -> TlsFault {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsFault::Name,
        // The second is what a root of the same name but of another key leads to.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::Issuer,
        CertificateError::Revoked
        | CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => TlsFault::Revoked,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => TlsFault::Purpose,
        _ => TlsFault::Certificate,
    }
}

fn of_alert(alert: AlertDescription, stage: Stage, shown: Shown) -> TlsFault {
    match (alert, shown) {
        (AlertDescription::CertificateRequired, _) => TlsFault::ClientCertificate,
        // Servers of TLS 1.2 have no word of their own for a certificate that is missing.
        (
            AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
            Shown::Nothing,
        ) => TlsFault::ClientCertificate,
        (
            AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
            _,
        ) => TlsFault::ClientCertificateRefused,
        // A signature that does not verify, and what some send for any certificate that they do not take.
        (AlertDescription::DecryptError | AlertDescription::HandshakeFailure, Shown::Certificate) => {
            TlsFault::ClientCertificateRefused
        }
        (AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity, _)
            if stage == Stage::Handshake =>
        {
            TlsFault::Cipher
        }
        (AlertDescription::ProtocolVersion, _) => TlsFault::Version,
        (AlertDescription::UnrecognisedName, _) => TlsFault::ServerName,
        (AlertDescription::NoApplicationProtocol, _) => TlsFault::ApplicationProtocol,
        _ => TlsFault::Peer,
    }
}

fn of_incompatible(why: &PeerIncompatible) -> TlsFault {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic => TlsFault::Version,
        _ => TlsFault::Cipher,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_means_what_can_still_be_meant_by_it_then() {
        use AlertDescription as Alert;
        use Shown::{Certificate, NotAsked, Nothing};
        use Stage::{Established, Handshake};
        for (alert, stage, shown, expected) in [
            (Alert::CertificateRequired, Established, Nothing, "client_certificate"),
            (Alert::CertificateRequired, Handshake, Nothing, "client_certificate"),
            (Alert::CertificateRequired, Established, NotAsked, "client_certificate"),
            (Alert::HandshakeFailure, Handshake, Nothing, "client_certificate"),
            (Alert::HandshakeFailure, Established, Nothing, "client_certificate"),
            (Alert::BadCertificate, Handshake, Nothing, "client_certificate"),
            (Alert::BadCertificate, Established, Nothing, "client_certificate"),
            (Alert::HandshakeFailure, Handshake, NotAsked, "cipher"),
            (Alert::HandshakeFailure, Established, NotAsked, "peer"),
            (Alert::HandshakeFailure, Handshake, Certificate, "client_certificate_refused"),
            (Alert::HandshakeFailure, Established, Certificate, "client_certificate_refused"),
            (Alert::DecryptError, Established, Certificate, "client_certificate_refused"),
            (Alert::DecryptError, Established, NotAsked, "peer"),
            (Alert::UnknownCA, Established, Certificate, "client_certificate_refused"),
            (Alert::CertificateExpired, Handshake, Certificate, "client_certificate_refused"),
            (Alert::InsufficientSecurity, Handshake, NotAsked, "cipher"),
            (Alert::ProtocolVersion, Handshake, NotAsked, "version"),
            (Alert::UnrecognisedName, Handshake, NotAsked, "server_name"),
            (Alert::NoApplicationProtocol, Handshake, NotAsked, "application_protocol"),
            (Alert::InternalError, Established, NotAsked, "peer"),
        ] {
            let found = TlsFault::of(&Error::AlertReceived(alert), stage, shown);
            assert_eq!(found.as_str(), expected, "{alert:?} {stage:?} {shown:?}");
        }
    }

    #[test]
    fn a_certificate_is_refused_for_what_is_wrong_with_it() {
        for (error, expected) in [
            (CertificateError::Expired, "expired"),
            (CertificateError::NotValidYet, "not_yet_valid"),
            (CertificateError::NotValidForName, "name"),
            (CertificateError::UnknownIssuer, "issuer"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::InvalidPurpose, "purpose"),
            (CertificateError::BadSignature, "issuer"),
            (CertificateError::BadEncoding, "certificate"),
        ] {
            let error = Error::InvalidCertificate(error);
            assert_eq!(TlsFault::of(&error, Stage::Handshake, Shown::NotAsked).as_str(), expected);
        }
    }
}
