//! Where a caller's URL may lead. Pure: no DNS, no sockets; the same rules judge a URL when it is written and every
//! concrete address when it is dialled.
//!
//! A URL that passes [`Policy::judge_url`] is not yet safe: its name may resolve to anything, and to something else a
//! minute later. [`Policy::judge_address`] on each address that is about to be dialled is what protects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use url::{Host, Url};

use crate::{ports, special_purpose};

/// The rules of one client: schemes, ports, and addresses.
#[derive(Debug, Clone)]
pub struct Policy {
    http: bool,
    reach: Reach,
    allowed: Vec<Allowance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    Anywhere,
}

/// An exception the operator made: these addresses at these ports.
#[derive(Debug, Clone)]
struct Allowance {
    net: IpNet,
    ports: RangeInclusive<u16>,
}

/// Why a URL or an address may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The rule, for the operator: `scheme`, `userinfo`, `port`, `host`, or the name of an address range.
    pub rule: &'static str,
    /// What is wrong and what is allowed. Safe for the caller: it tells nothing that DNS told us.
    pub message: String,
}

impl Refusal {
    /// Whether it is the address that is refused, rather than how the URL is written.
    pub(crate) fn concerns_address(&self) -> bool {
        !matches!(self.rule, "scheme" | "userinfo" | "port" | "host")
    }
}

impl Policy {
    /// For tenants' URLs: https only, public addresses only, no ports of well-known other services.
    #[must_use]
    pub fn public() -> Self {
        Self { http: false, reach: Reach::Public, allowed: Vec::new() }
    }

    /// For `--dev`: http too, and this machine's loopback at any port; otherwise as [`Policy::public`].
    #[must_use]
    pub fn development() -> Self {
        Self::public()
            .allow_http()
            .allow(IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), 1..=u16::MAX)
            .allow(IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128), 1..=u16::MAX)
    }

    /// For a command-line client that talks to its operator's own server: http too, any address, any port.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self { http: true, reach: Reach::Anywhere, allowed: Vec::new() }
    }

    /// Allows plain http.
    #[must_use]
    pub fn allow_http(self) -> Self {
        Self { http: true, ..self }
    }

    /// Allows these addresses at these ports, whatever the other rules say about either.
    #[must_use]
    pub fn allow(mut self, net: IpNet, ports: RangeInclusive<u16>) -> Self {
        self.allowed.push(Allowance { net, ports });
        self
    }

    /// Judges what can be seen in a URL: scheme, userinfo, port, and an address written out.
    ///
    /// Odd spellings (`http://0x7f.1`, `http://2130706433`, full-width digits) are addresses by the time they are here:
    /// the parser that made the [`Url`] follows the WHATWG rules, and what it made is what is dialled.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn judge_url(&self, url: &Url) -> Result<(), Refusal> {
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            "http" => return Err(refuse("scheme", "the URL must start with https://".to_owned())),
            other => {
                let schemes = if self.http { "http or https" } else { "https" };
                return Err(refuse("scheme", format!("the scheme {other} is not allowed; it must be {schemes}")));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("userinfo", "the URL must not contain a user name or a password".to_owned()));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(refuse("host", "the URL has no host".to_owned()));
        };
        match literal(&host) {
            Some(address) => self.judge_address(SocketAddr::new(address, port)).map_err(|refusal| {
                if refusal.concerns_address() {
                    let rule = refusal.rule.replace('_', " ");
                    refuse(refusal.rule, format!("the host {host} is not a public address ({rule})"))
                } else {
                    refusal
                }
            }),
            // A name may yet resolve into an allowance; which, is seen when it is dialled.
            None if self.allowed.iter().any(|allowance| allowance.ports.contains(&port)) => Ok(()),
            None => self.judge_port(port),
        }
    }

    /// Judges an address that is about to be dialled.
    ///
    /// # Errors
    /// The name of the range that is not public, or a port that is not allowed there.
    pub fn judge_address(&self, address: SocketAddr) -> Result<(), Refusal> {
        let reached = special_purpose::canonical(address.ip());
        let port = address.port();
        let is_allowed = |allowance: &Allowance| {
            allowance.ports.contains(&port)
                && (allowance.net.contains(&reached) || allowance.net.contains(&address.ip()))
        };
        if self.reach == Reach::Anywhere || self.allowed.iter().any(is_allowed) {
            return Ok(());
        }
        if let Some(rule) = special_purpose::rule(reached) {
            return Err(refuse(rule, "the host does not resolve to a public address".to_owned()));
        }
        self.judge_port(port)
    }

    fn judge_port(&self, port: u16) -> Result<(), Refusal> {
        match ports::refusal(port) {
            Some(message) if self.reach == Reach::Public => Err(refuse("port", message)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The address that is written out in a URL. `localhost` counts: it never means another machine (RFC 6761 section 6.3).
fn literal(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let is_local = name == "localhost" || name.ends_with(".localhost");
            is_local.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
    }
}

fn refuse(rule: &'static str, message: String) -> Refusal {
    Refusal { rule, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule_of(policy: &Policy, url: &str) -> Option<&'static str> {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        policy.judge_url(&url).err().map(|refusal| refusal.rule)
    }

    #[test]
    fn ordinary_https_urls_are_allowed() {
        for url in [
            "https://example.com/hook",
            "https://example.com.:8443/",
            "https://b\u{fc}cher.example/",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/",
            "https://example.com:80/",
            "https://localhost.example.com/",
        ] {
            assert_eq!(rule_of(&Policy::public(), url), None, "{url}");
        }
    }

    #[test]
    fn every_spelling_of_loopback_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0x7f.0x0.0x0.0x1",
            "127.0.0.1.",
            "127.255.255.254",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "\u{2460}\u{2461}\u{2466}.0.0.1",
            "%31%32%37.0.0.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.b.localhost",
            "l\u{24de}calhost",
        ] {
            assert_eq!(rule_of(&Policy::public(), &format!("https://{host}/")), Some("loopback"), "{host}");
        }
    }

    #[test]
    fn every_special_purpose_range_is_refused_in_every_spelling() {
        for (address, rule) in [
            ("0.0.0.0", "this_network"),
            ("10.0.0.1", "private"),
            ("100.64.0.1", "shared"),
            ("169.254.169.254", "metadata"),
            ("169.254.0.1", "link_local"),
            ("168.63.129.16", "metadata"),
            ("100.100.100.200", "metadata"),
            ("172.16.0.1", "private"),
            ("192.0.0.1", "protocol_assignment"),
            ("192.0.2.1", "documentation"),
            ("192.88.99.1", "six_to_four"),
            ("192.168.0.1", "private"),
            ("198.18.0.1", "benchmarking"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("224.0.0.1", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "broadcast"),
        ] {
            let number = u32::from(address.parse::<Ipv4Addr>().unwrap());
            for host in [
                address.to_owned(),
                format!("{number}"),
                format!("0x{number:x}"),
                format!("0{number:o}"),
                format!("{address}."),
                format!("[::ffff:{address}]"),
                format!("[64:ff9b::{address}]"),
            ] {
                assert_eq!(rule_of(&Policy::public(), &format!("https://{host}/")), Some(rule), "{host}");
            }
        }
        for (address, rule) in [
            ("::", "unspecified"),
            ("fc00::1", "unique_local"),
            ("fd00:ec2::254", "metadata"),
            ("fe80::1", "link_local"),
            ("fec0::1", "site_local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "documentation"),
            ("2002:7f00:1::", "six_to_four"),
            ("2001::1", "teredo"),
            ("2001:20::1", "orchid"),
            ("64:ff9b:1::1", "local_translation"),
            ("100::1", "discard"),
            ("::8.8.8.8", "reserved"),
        ] {
            assert_eq!(rule_of(&Policy::public(), &format!("https://[{address}]/")), Some(rule), "{address}");
        }
    }

    #[test]
    fn other_schemes_and_userinfo_are_refused() {
        for (url, rule) in [
            ("http://example.com/", "scheme"),
            ("ftp://example.com/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("gopher://example.com:70/_x", "scheme"),
            ("data:text/plain,x", "scheme"),
            ("unix:/run/x", "scheme"),
            ("https://user@example.com/", "userinfo"),
            ("https://:pass@example.com/", "userinfo"),
            ("https://8.8.8.8@127.0.0.1/", "userinfo"),
        ] {
            assert_eq!(rule_of(&Policy::public(), url), Some(rule), "{url}");
        }
        assert_eq!(rule_of(&Policy::public().allow_http(), "http://example.com/"), None);
        assert_eq!(rule_of(&Policy::unrestricted(), "file:///etc/passwd"), Some("scheme"));
    }

    #[test]
    fn ports_of_other_services_are_refused_for_names_and_addresses() {
        for url in ["https://example.com:22/", "https://8.8.8.8:6379/", "https://[2606:4700::1]:25/"] {
            assert_eq!(rule_of(&Policy::public(), url), Some("port"), "{url}");
        }
    }

    #[test]
    fn an_allowance_opens_its_addresses_at_its_ports_only() {
        let policy = Policy::public().allow("10.1.0.0/16".parse().unwrap(), 8000..=8010);
        let judge = |address: &str| policy.judge_address(address.parse().unwrap()).is_ok();
        assert!(judge("10.1.2.3:8000") && judge("10.1.2.3:8010"));
        assert!(judge("[::ffff:10.1.2.3]:8000") && judge("[64:ff9b::10.1.2.3]:8000"));
        assert!(!judge("10.1.2.3:8011") && !judge("10.2.0.1:8000") && !judge("127.0.0.1:8000"));
    }

    #[test]
    fn development_opens_loopback_and_nothing_else_inside() {
        let policy = Policy::development();
        for url in ["http://localhost:3000/", "http://127.0.0.1:5432/", "http://[::1]:1/", "http://example.com/"] {
            assert_eq!(rule_of(&policy, url), None, "{url}");
        }
        assert_eq!(rule_of(&policy, "http://10.0.0.1/"), Some("private"));
        assert_eq!(rule_of(&policy, "http://169.254.169.254/"), Some("metadata"));
    }

    #[test]
    fn unrestricted_reaches_everything() {
        for url in ["http://10.0.0.1:22/", "https://[::1]/", "http://192.168.1.1:6379/"] {
            assert_eq!(rule_of(&Policy::unrestricted(), url), None, "{url}");
        }
    }

    #[test]
    fn a_refused_answer_of_dns_is_not_told_to_the_caller() {
        let refusal = Policy::public().judge_address("10.9.8.7:443".parse().unwrap()).unwrap_err();
        assert_eq!(refusal.rule, "private");
        assert!(!refusal.message.contains("10.9") && !refusal.message.contains("private"));
    }

    proptest! {
        #[test]
        fn all_spellings_of_a_v4_address_agree(bits in any::<u32>(), port in any::<u16>()) {
            let four = Ipv4Addr::from(bits);
            let mapped = four.to_ipv6_mapped();
            let translated: Ipv6Addr = format!("64:ff9b::{four}").parse().unwrap();
            for policy in [Policy::public(), Policy::development(), Policy::unrestricted()] {
                let expected = policy.judge_address(SocketAddr::new(four.into(), port));
                prop_assert_eq!(&policy.judge_address(SocketAddr::new(mapped.into(), port)), &expected);
                prop_assert_eq!(&policy.judge_address(SocketAddr::new(translated.into(), port)), &expected);
            }
        }

        #[test]
        fn a_url_with_an_address_and_the_address_itself_agree(bits in any::<u32>(), port in 1_u16..) {
            let four = Ipv4Addr::from(bits);
            let policy = Policy::public();
            let url = Url::parse(&format!("https://0x{bits:x}:{port}/")).unwrap();
            let by_url = policy.judge_url(&url).map_err(|refusal| refusal.rule);
            let by_address = policy.judge_address(SocketAddr::new(four.into(), port)).map_err(|refusal| refusal.rule);
            prop_assert_eq!(by_url, by_address);
        }

        #[test]
        fn whatever_the_standard_library_calls_local_is_refused(bits in any::<u128>()) {
            let six = Ipv6Addr::from(bits);
            if six.is_loopback() || six.is_multicast() || six.is_unspecified() || six.is_unique_local() || six.is_unicast_link_local() {
                prop_assert!(Policy::public().judge_address(SocketAddr::new(six.into(), 443)).is_err());
            }
        }
    }
}
