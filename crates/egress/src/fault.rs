//! Which kind of failure an error of the socket, of TLS or of HTTP is. By type, never by text.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

use crate::failure::FailureKind;

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

pub(crate) fn kind_of_connect(error: &io::Error) -> FailureKind {
    match error.kind() {
        _ if is_short(error) => FailureKind::OutOfResources,
        ErrorKind::ConnectionRefused => FailureKind::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => FailureKind::Reset,
        ErrorKind::TimedOut => FailureKind::Timeout,
        _ => FailureKind::Unreachable,
    }
}

pub(crate) fn kind_of_tls(error: &io::Error) -> FailureKind {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    match error.kind() {
        _ if is_tls => FailureKind::Tls,
        _ if is_short(error) => FailureKind::OutOfResources,
        ErrorKind::TimedOut => FailureKind::Timeout,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => FailureKind::Reset,
        _ => FailureKind::Tls,
    }
}

/// What an error of the HTTP layer means before the response's head is there.
pub(crate) fn kind_of_head(error: &hyper::Error) -> FailureKind {
    if error.is_parse_too_large() {
        return FailureKind::TooLarge;
    }
    // A body of ours that failed is `is_user`.
    if error.is_parse() || error.is_user() {
        return FailureKind::Protocol;
    }
    match socket_error(error).map(kind_of_socket) {
        // The other side closed: under TLS without saying so, which before a response is no lie about its length.
        Some(FailureKind::Protocol) | None => FailureKind::Reset,
        Some(kind) => kind,
    }
}

/// What an error of the HTTP layer means while the body is read.
pub(crate) fn kind_of_body(error: &hyper::Error) -> FailureKind {
    if error.is_parse() || error.is_user() || error.is_incomplete_message() {
        return FailureKind::Protocol;
    }
    socket_error(error).map_or(FailureKind::Reset, kind_of_socket)
}

fn kind_of_socket(error: &io::Error) -> FailureKind {
    match error.kind() {
        _ if is_short(error) => FailureKind::OutOfResources,
        ErrorKind::TimedOut => FailureKind::Timeout,
        // hyper's decoders report a body shorter than announced, and chunks that are none, as these.
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => FailureKind::Protocol,
        _ => FailureKind::Reset,
    }
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
            assert_eq!(kind_of_connect(&error), FailureKind::OutOfResources, "{errno:?}");
            assert_eq!(kind_of_socket(&error), FailureKind::OutOfResources, "{errno:?}");
            assert!(is_shortage(&io::Error::other(io::Error::other(error))), "{errno:?}, within others");
        }
        for errno in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::NOSPC, Errno::ACCESS] {
            let error = io::Error::from(errno);
            assert_ne!(kind_of_connect(&error), FailureKind::OutOfResources, "{errno:?}");
            assert!(!is_shortage(&io::Error::other(error)), "{errno:?}");
        }
    }
}
