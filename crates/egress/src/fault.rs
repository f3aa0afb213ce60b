//! Which kind of failure an error of the socket, of TLS or of HTTP is. By type, never by text.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::failure::FailureKind;

pub(crate) fn kind_of_connect(error: &io::Error) -> FailureKind {
    match error.kind() {
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
