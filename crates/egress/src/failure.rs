//! How an exchange can fail: where, how, and in whose words.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::tls_fault::TlsFault;

/// How far an exchange had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Judging the URL.
    Url,
    /// Resolving the name, and judging the answers.
    Dns,
    /// Opening a TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// The request is sent; waiting for the head of the response.
    FirstByte,
    /// Reading the body of the response.
    Body,
}

impl Phase {
    /// The stable spelling, in JSON, SQL and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }
}

/// What went wrong, by what one would do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The policy refuses how the URL is written: scheme, userinfo, port.
    UrlNotAllowed,
    /// The policy refuses an address, written out or resolved.
    AddressNotAllowed,
    /// The name does not resolve.
    Dns,
    /// Nothing listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// The other side closed or reset the connection before the exchange was over.
    Reset,
    /// TLS failed: certificate, name, version, or a client certificate that is missing. [`TlsFault`] says which.
    Tls,
    /// The deadline passed.
    Timeout,
    /// No byte of the body arrived for too long.
    Stalled,
    /// What was sent is not HTTP, or not as long as announced. Also a body of ours that could not be read.
    Protocol,
    /// The head is larger than any sane one, or the body larger than the cap.
    TooLarge,
    /// More redirects than were allowed.
    TooManyRedirects,
    /// A redirect leads where the policy does not, or cannot be followed.
    RedirectNotAllowed,
    /// This process lacks what a connection takes: descriptors, memory, local ports. It tells nothing of the other side.
    OutOfResources,
}

impl FailureKind {
    /// The stable spelling, in JSON, SQL and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UrlNotAllowed => "url_not_allowed",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::TooManyRedirects => "too_many_redirects",
            Self::RedirectNotAllowed => "redirect_not_allowed",
            Self::OutOfResources => "out_of_resources",
        }
    }
}

/// How long each part of an exchange took; zero for a part that did not happen, as on a reused connection.
///
/// Over several dials or redirects the parts add up, except `first_byte`, which is of the last request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving the name.
    pub dns: Duration,
    /// Opening TCP connections, those that failed included.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From a connection being ready to the head of the response.
    pub first_byte: Duration,
    /// From the start to the end, or to now while a body is still being read.
    pub total: Duration,
}

/// An exchange that did not come to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Failure {
    /// Where it happened.
    pub phase: Phase,
    /// What happened.
    pub kind: FailureKind,
    /// Why TLS failed, where `kind` is [`FailureKind::Tls`].
    pub tls: Option<TlsFault>,
    /// The operator's voice: hosts, addresses and causes, but no query string, header or body. Not for tenants.
    pub detail: String,
    /// The address that was being used or was refused.
    pub address: Option<SocketAddr>,
    /// How long it took.
    pub timings: Timings,
    /// Whether any byte of the request may have reached the other side: if not, it certainly saw nothing.
    pub sent_bytes: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in phase {}: {}", self.kind.as_str(), self.phase.as_str(), self.detail)
    }
}

impl Failure {
    /// The tenant's voice: coarse, stable, and without anything about our network.
    #[must_use]
    pub fn public_reason(&self) -> &'static str {
        match self.kind {
            FailureKind::UrlNotAllowed => "the URL is not allowed",
            FailureKind::AddressNotAllowed => "the host does not resolve to an allowed address",
            FailureKind::Dns => "the name of the host could not be resolved",
            FailureKind::Refused => "the connection was refused",
            FailureKind::Unreachable => "the host could not be reached",
            FailureKind::Reset => "the connection was closed before the response was complete",
            FailureKind::Tls => self.tls.unwrap_or(TlsFault::Peer).public_reason(),
            FailureKind::Timeout => "no complete response arrived in time",
            FailureKind::Stalled => "the response stopped arriving",
            FailureKind::Protocol => "the response is not valid HTTP",
            FailureKind::TooLarge => "the response is too large",
            FailureKind::TooManyRedirects => "there were too many redirects",
            FailureKind::RedirectNotAllowed => "the redirect may not be followed",
            FailureKind::OutOfResources => "the server has no free connection",
        }
    }
}
