//! The table of address ranges that are not a public host, and the spellings of v4 inside v6.
//!
//! The tables are the IANA special-purpose registries with what they leave out because it is not an
//! assignment: multicast, deprecated ranges, and the metadata services of clouds, some of which sit at addresses that
//! look public. Ranges the registries call globally reachable (AS112, AMT, PCP anycast) are in as well:
//! they are infrastructure, and no receiver or media file lives there.
//!
//! v6 is judged the other way round: only `2000::/3` has been given out as global unicast, so whatever lies outside
//! is refused whether the table names it or not.
//!
//! # Source
//! <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>,
//! <https://www.iana.org/assignments/ipv6-address-space>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// A range and the name of the rule that refuses it. The first range that contains an address names the rule, so
/// narrow ranges stand before the wide ones around them.
type V4 = (Ipv4Net, &'static str);
type V6 = (Ipv6Net, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8, rule: &'static str) -> V4 {
    (Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix), rule)
}

const fn v6(segments: [u16; 8], prefix: u8, rule: &'static str) -> V6 {
    let [a, b, c, d, e, f, g, h] = segments;
    (Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix), rule)
}

const V4_RANGES: &[V4] = &[
    v4(169, 254, 169, 254, 32, "metadata"),      // AWS, GCP, Azure, most others
    v4(169, 254, 170, 2, 32, "metadata"),        // AWS ECS task credentials
    v4(168, 63, 129, 16, 32, "metadata"),        // Azure wire server
    v4(100, 100, 100, 200, 32, "metadata"),      // Alibaba Cloud
    v4(192, 0, 0, 192, 32, "metadata"),          // Oracle Cloud, first generation
    v4(0, 0, 0, 0, 8, "this_network"),           // RFC 791; Linux routes 0.0.0.0 to loopback
    v4(10, 0, 0, 0, 8, "private"),               // RFC 1918
    v4(100, 64, 0, 0, 10, "shared"),             // RFC 6598
    v4(127, 0, 0, 0, 8, "loopback"),             // RFC 1122
    v4(169, 254, 0, 0, 16, "link_local"),        // RFC 3927
    v4(172, 16, 0, 0, 12, "private"),            // RFC 1918
    v4(192, 0, 0, 0, 24, "protocol_assignment"), // RFC 6890, and all inside: DS-Lite, PCP, NAT64 discovery
    v4(192, 0, 2, 0, 24, "documentation"),       // RFC 5737
    v4(192, 31, 196, 0, 24, "as112"),            // RFC 7535
    v4(192, 52, 193, 0, 24, "amt"),              // RFC 7450
    v4(192, 88, 99, 0, 24, "six_to_four"),       // RFC 7526, deprecated relay anycast
    v4(192, 168, 0, 0, 16, "private"),           // RFC 1918
    v4(192, 175, 48, 0, 24, "as112"),            // RFC 7534
    v4(198, 18, 0, 0, 15, "benchmarking"),       // RFC 2544
    v4(198, 51, 100, 0, 24, "documentation"),    // RFC 5737
    v4(203, 0, 113, 0, 24, "documentation"),     // RFC 5737
    v4(224, 0, 0, 0, 4, "multicast"),            // RFC 5771
    v4(255, 255, 255, 255, 32, "broadcast"),     // RFC 919
    v4(240, 0, 0, 0, 4, "reserved"),             // RFC 1112
];

const V6_RANGES: &[V6] = &[
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, "metadata"), // AWS
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, "metadata"),  // GCP
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),           // RFC 4291
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),              // RFC 4291
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local_translation"), // RFC 8215
    v6([0, 0, 0, 0, 0, 0, 0, 0], 8, "reserved"),                // RFC 4291, v4-compatible among it
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard"),            // RFC 6666
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy"),              // RFC 9780
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "teredo"),            // RFC 4380
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking"),      // RFC 5180
    v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, "amt"),               // RFC 7450
    v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, "as112"),         // RFC 7535
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, "orchid"),         // RFC 4843, deprecated
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "orchid"),         // RFC 7343
    v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, "drone_remote_id"), // RFC 9374
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol_assignment"), // RFC 2928
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"), // RFC 3849
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "six_to_four"),       // RFC 3056
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "as112"),     // RFC 7534
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),     // RFC 9637
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment_routing"),   // RFC 9602
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique_local"),       // RFC 4193
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link_local"),        // RFC 4291
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site_local"),        // RFC 3879, deprecated
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),          // RFC 4291
];

const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const TRANSLATION: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// The address a packet really reaches: v4-mapped (`::ffff:a.b.c.d`) and NAT64 (`64:ff9b::/96`) spellings
/// become the v4 address inside them, everything else stays.
///
/// # Source
/// RFC 4291 section 2.5.5.2; RFC 6052 section 2.1.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    if TRANSLATION.contains(&six) {
        let [.., a, b, c, d] = six.octets();
        return Ipv4Addr::new(a, b, c, d).into();
    }
    six.to_ipv4_mapped().map_or(address, IpAddr::V4)
}

/// The rule that says why a [`canonical`] address is not a public host, or nothing if it is one.
pub(crate) fn rule(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(four) => V4_RANGES.iter().find(|(net, _)| net.contains(&four)).map(|(_, rule)| *rule),
        IpAddr::V6(six) => match V6_RANGES.iter().find(|(net, _)| net.contains(&six)) {
            Some((_, rule)) => Some(rule),
            None if GLOBAL_UNICAST.contains(&six) => None,
            None => Some("unallocated"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Option<&str>) {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(rule(canonical(address)), expected, "{address}");
    }

    #[test]
    fn both_ends_of_every_v4_range_are_refused() {
        for (net, _) in V4_RANGES {
            for address in [net.network(), net.broadcast()] {
                assert!(rule(address.into()).is_some(), "{address} of {net}");
                check(&format!("::ffff:{address}"), rule(address.into()));
                check(&format!("64:ff9b::{address}"), rule(address.into()));
            }
        }
    }

    #[test]
    fn both_ends_of_every_v6_range_are_refused() {
        for (net, _) in V6_RANGES {
            for address in [net.network(), net.broadcast()] {
                // The wide `::/8` ends are themselves neither mapped nor translated.
                assert!(rule(canonical(address.into())).is_some(), "{address} of {net}");
            }
        }
    }

    #[test]
    fn no_range_is_hidden_behind_a_wider_one_before_it() {
        for (index, (net, _)) in V4_RANGES.iter().enumerate() {
            assert!(!V4_RANGES[..index].iter().any(|(earlier, _)| earlier.contains(net)), "{net}");
        }
        for (index, (net, _)) in V6_RANGES.iter().enumerate() {
            assert!(!V6_RANGES[..index].iter().any(|(earlier, _)| earlier.contains(net)), "{net}");
        }
    }

    #[test]
    fn neighbours_of_refused_ranges_are_public() {
        for address in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700:4700::1111",
            "2a00::1",
            "3ffe::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            check(address, None);
        }
    }

    #[test]
    fn the_rule_has_the_narrowest_name() {
        for (address, name) in [
            ("127.0.0.1", "loopback"),
            ("169.254.169.254", "metadata"),
            ("169.254.1.1", "link_local"),
            ("100.100.100.200", "metadata"),
            ("100.100.100.201", "shared"),
            ("168.63.129.16", "metadata"),
            ("255.255.255.255", "broadcast"),
            ("255.255.255.254", "reserved"),
            ("224.0.0.1", "multicast"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::127.0.0.1", "reserved"),
            ("::2", "reserved"),
            ("64:ff9b::127.0.0.1", "loopback"),
            ("64:ff9b:1::8.8.8.8", "local_translation"),
            ("64:ff9b:2::1", "reserved"),
            ("::ffff:0:8.8.8.8", "reserved"),
            ("fd00:ec2::254", "metadata"),
            ("fd00:ec2::253", "unique_local"),
            ("fe80::1", "link_local"),
            ("fec0::1", "site_local"),
            ("ff02::1", "multicast"),
            ("2001::1", "teredo"),
            ("2001:1::1", "protocol_assignment"),
            ("2001:20::1", "orchid"),
            ("2001:10::1", "orchid"),
            ("2002:7f00:1::1", "six_to_four"),
            ("4000::1", "unallocated"),
            ("fe00::1", "unallocated"),
            ("1fff::1", "unallocated"),
            ("100::1", "discard"),
            ("3fff:fff::1", "documentation"),
            ("5f00::1", "segment_routing"),
        ] {
            check(address, Some(name));
        }
    }
}
