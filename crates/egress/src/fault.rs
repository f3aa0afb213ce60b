//! Which kind of failure an error of the socket, of TLS or of HTTP is. By type, never by text.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

use crate::failure::FailureKind;
use crate::tls_fault::{Shown, Stage, TlsFault};

/// What the operating system answers to a process that has none left: descriptors, memory, buffers, processes or threads,
/// local ports.
const SHORTAGES: [Errno; 6] =
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN, Errno::ADDRNOTAVAIL];

/// Whether somewhere in the chain of causes the operating system says that this process, or the machine, has none left of
/// what the call takes. Then the failure tells nothing of what the call was for, and the same may go well a little later.
#[must_use]
pub fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_short) {
            return true;
        }
        // An error that wraps another shows that one's own source as its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    false
}

fn is_short(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| SHORTAGES.contains(&errno))
}

/// The kind of a failure, and for TLS why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FailureKind,
    pub(crate) tls: Option<TlsFault>,
}

impl From<FailureKind> for Fault {
    fn from(kind: FailureKind) -> Self {
        Self { kind, tls: None }
    }
}

impl From<TlsFault> for Fault {
    fn from(why: TlsFault) -> Self {
        Self { kind: FailureKind::Tls, tls: Some(why) }
    }
}

pub(crate) fn of_connect(error: &io::Error) -> Fault {
    let kind = match error.kind() {
        _ if is_short(error) => FailureKind::OutOfResources,
        ErrorKind::ConnectionRefused => FailureKind::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => FailureKind::Reset,
        ErrorKind::TimedOut => FailureKind::Timeout,
        _ => FailureKind::Unreachable,
    };
    kind.into()
}

pub(crate) fn of_handshake(error: &io::Error, shown: Shown) -> Fault {
    if let Some(why) = tls_error(error) {
        return TlsFault::of(why, Stage::Handshake, shown).into();
    }
    let kind = match error.kind() {
        _ if is_short(error) => FailureKind::OutOfResources,
        ErrorKind::TimedOut => FailureKind::Timeout,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => FailureKind::Reset,
        _ => return TlsFault::Local.into(),
    };
    kind.into()
}

/// What an error of the HTTP layer means before the response's head is there.
pub(crate) fn of_head(error: &hyper::Error, shown: Shown) -> Fault {
    if error.is_parse_too_large() {
        return FailureKind::TooLarge.into();
    }
    // A body of ours that failed is `is_user`.
    if error.is_parse() || error.is_user() {
        return FailureKind::Protocol.into();
    }
    let fault = socket_error(error).map(|error| of_socket(error, shown));
    match fault {
        // The other side closed: under TLS without saying so, which before a response is no lie about its length.
        Some(Fault { kind: FailureKind::Protocol, .. }) | None => FailureKind::Reset.into(),
        Some(fault) => fault,
    }
}

/// What an error of the HTTP layer means while the body is read.
pub(crate) fn of_body(error: &hyper::Error, shown: Shown) -> Fault {
    if error.is_parse() || error.is_user() || error.is_incomplete_message() {
        return FailureKind::Protocol.into();
    }
    socket_error(error).map_or(FailureKind::Reset.into(), |error| of_socket(error, shown))
}

/// An error of the socket after the handshake. TLS may still fail then: an alert can come at any time.
fn of_socket(error: &io::Error, shown: Shown) -> Fault {
    if let Some(why) = tls_error(error) {
        return TlsFault::of(why, Stage::Established, shown).into();
    }
    let kind = match error.kind() {
        _ if is_short(error) => FailureKind::OutOfResources,
        ErrorKind::TimedOut => FailureKind::Timeout,
        // hyper's decoders report a body shorter than announced, and chunks that are none, as these.
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => FailureKind::Protocol,
        _ => FailureKind::Reset,
    };
    kind.into()
}

/// The error of TLS in an error of the socket, however deep.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let mut inner: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = inner {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // The source of an error of I/O is not what it holds but the source of that.
        inner = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held as _),
            None => error.source(),
        };
    }
    None
}

fn socket_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref::<io::Error>() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_lacks_is_not_the_other_sides_failure() {
        for errno in SHORTAGES {
            let error = io::Error::from(errno);
            assert_eq!(of_connect(&error).kind, FailureKind::OutOfResources, "{errno:?}");
            assert_eq!(of_socket(&error, Shown::NotAsked).kind, FailureKind::OutOfResources, "{errno:?}");
            assert!(is_shortage(&io::Error::other(io::Error::other(error))), "{errno:?}, within others");
        }
        for errno in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::NOSPC, Errno::ACCESS] {
            let error = io::Error::from(errno);
            assert_ne!(of_connect(&error).kind, FailureKind::OutOfResources, "{errno:?}");
            assert!(!is_shortage(&io::Error::other(error)), "{errno:?}");
        }
    }

    #[test]
    fn an_error_of_tls_is_found_however_deep_it_is_wrapped() {
        let tls = || rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let once = io::Error::new(ErrorKind::InvalidData, tls());
        let twice = io::Error::other(io::Error::new(ErrorKind::ConnectionReset, tls()));
        for error in [once, twice] {
            assert_eq!(of_socket(&error, Shown::NotAsked), TlsFault::ClientCertificate.into());
        }
        assert_eq!(of_socket(&ErrorKind::InvalidData.into(), Shown::NotAsked), FailureKind::Protocol.into());
    }
}
