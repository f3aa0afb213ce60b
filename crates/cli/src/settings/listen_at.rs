//! `127.0.0.1:8080` or `unix:/run/reelhook/api.sock`: where callers connect to.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The longest path of a socket.
///
/// # Source
/// unix(7): `sun_path` is of 108 bytes, the last of which is zero.
const LONGEST_PATH: usize = 107;

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenAt {
    /// A port of an address.
    Address(SocketAddr),
    /// A socket in the file system.
    Socket(PathBuf),
}

/// The text is no place to listen at.
#[derive(Debug, thiserror::Error)]
#[error("must be {ALLOWED}")]
pub(crate) struct NotAPlace;

/// What it may be, in words.
pub(crate) const ALLOWED: &str = "an address and a port such as 127.0.0.1:8080, [::1]:8080, localhost:8080 or :8080 (every \
                                  address), or a socket such as unix:/run/reelhook/api.sock";

impl ListenAt {
    /// The address, unless it is a socket in the file system.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Socket(_) => None,
        }
    }

    /// Whether only programs on this machine can connect to it.
    pub(crate) fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.ip().is_loopback())
    }

    /// The same port of loopback, in words that can be typed.
    pub(crate) fn on_loopback(&self) -> String {
        format!("127.0.0.1:{}", self.address().map_or(0, |address| address.port()))
    }
}

impl From<SocketAddr> for ListenAt {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl FromStr for ListenAt {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path);
            let is_path = path.is_absolute() && path.file_name().is_some() && path.as_os_str().len() <= LONGEST_PATH;
            return if is_path && !text.contains('\0') { Ok(Self::Socket(path.to_owned())) } else { Err(NotAPlace) };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Address(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAPlace)?;
        let host = match host {
            "" | "*" => Ipv4Addr::UNSPECIFIED,
            host if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST,
            _ => return Err(NotAPlace),
        };
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number).ok_or(NotAPlace)?;
        Ok(Self::Address((host, port).into()))
    }
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for ListenAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListenAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAt;

    #[test]
    fn places_are_read() {
        for (text, spelled) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            (" [::]:0 ", "[::]:0"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LOCALHOST:1", "127.0.0.1:1"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(text.parse::<ListenAt>().unwrap().to_string(), spelled);
        }
        let long = format!("unix:/{}", "x".repeat(107));
        for text in [
            "",
            "8080",
            "localhost",
            ":",
            ":x",
            ":+1",
            ":65536",
            "example.com:80",
            "::1:80",
            "http://localhost:80",
            "unix:",
            "unix:a",
            "unix:/",
            &long,
        ] {
            assert!(text.parse::<ListenAt>().is_err(), "{text}");
        }
    }
}
