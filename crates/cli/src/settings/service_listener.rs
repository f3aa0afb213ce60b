//! `xora=127.0.0.1:9001`: an address at which one service is served at the root.

use std::fmt;
use std::str::FromStr;

use reelhook_domain::form::Choice;
use reelhook_domain::job::Dialect;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::ListenAt;

/// One service at the root of its own listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceListener {
    /// Which.
    pub(crate) service: Dialect,
    /// Where.
    pub(crate) at: ListenAt,
}

/// The text is no service listener.
#[derive(Debug, thiserror::Error)]
#[error("must be a service, an equals sign and an address with its port, such as xora=127.0.0.1:9001; services are {}", services().join(", "))]
pub(crate) struct NotAServiceListener;

fn services() -> Vec<&'static str> {
    Dialect::ALL.iter().filter(|dialect| **dialect != Dialect::Native).map(|dialect| dialect.as_str()).collect()
}

impl FromStr for ServiceListener {
    type Err = NotAServiceListener;

    fn from_str(text: &str) -> Result<Self, NotAServiceListener> {
        let (service, at) = text.trim().split_once('=').ok_or(NotAServiceListener)?;
        let service = Dialect::from_word(service.trim()).filter(|service| *service != Dialect::Native);
        let at = at.parse().map_err(|_| NotAServiceListener)?;
        Ok(Self { service: service.ok_or(NotAServiceListener)?, at })
    }
}

impl fmt::Display for ServiceListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.service, self.at)
    }
}

impl Serialize for ServiceListener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServiceListener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceListener;

    #[test]
    fn a_service_listener_names_both_parts() {
        for text in ["xora=127.0.0.1:9001", "compressor=[::1]:0", "clipzy=unix:/run/clipzy.sock"] {
            assert_eq!(text.parse::<ServiceListener>().unwrap().to_string(), text);
        }
        for text in ["", "xora", "xora=9001", "native=127.0.0.1:1", "zora=127.0.0.1:1", "=127.0.0.1:1"] {
            let error = text.parse::<ServiceListener>().unwrap_err().to_string();
            assert!(error.contains("compressor, transcodely, xora, clipzy, removebgvideo"), "{text}: {error}");
        }
    }
}
