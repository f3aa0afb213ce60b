//! `10.0.0.0/8:8000-9000`: addresses and ports that the operator lets webhooks and downloads reach.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A block of addresses, at a range of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// The addresses.
    pub(crate) net: IpNet,
    /// The ports.
    pub(crate) ports: RangeInclusive<u16>,
}

/// The text is no allowance.
#[derive(Debug, thiserror::Error)]
#[error("must be a block of addresses, a colon and a port or a range of ports, such as 10.0.0.0/8:8000-9000")]
pub(crate) struct NotAnAllowance;

impl FromStr for Allowance {
    type Err = NotAnAllowance;

    fn from_str(text: &str) -> Result<Self, NotAnAllowance> {
        // The last colon: an IPv6 address has its own.
        let (net, ports) = text.trim().rsplit_once(':').ok_or(NotAnAllowance)?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse::<u16>().ok().filter(|&port| port > 0).ok_or(NotAnAllowance);
        let ports = port(first)?..=port(last)?;
        let net = net.parse().map_err(|_| NotAnAllowance)?;
        if ports.is_empty() { Err(NotAnAllowance) } else { Ok(Self { net, ports }) }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.net, self.ports.start(), self.ports.end())
    }
}

impl Serialize for Allowance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allowance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Allowance;

    #[test]
    fn allowances_are_read() {
        for (text, spelled) in [
            ("10.0.0.0/8:8000-9000", "10.0.0.0/8:8000-9000"),
            ("192.168.1.7/32:443", "192.168.1.7/32:443-443"),
            ("fd00::/8:1-65535", "fd00::/8:1-65535"),
        ] {
            assert_eq!(text.parse::<Allowance>().unwrap().to_string(), spelled);
        }
        for text in ["", "10.0.0.0/8", "10.0.0.0:80", "10.0.0.0/33:80", "10.0.0.0/8:0", "10.0.0.0/8:9-8", "fd00::/8"] {
            assert!(text.parse::<Allowance>().is_err(), "{text}");
        }
    }
}
