//! Addresses that are no public host, and the ways to write an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The special-purpose address registries of IANA, whole, and multicast and site-local, which stand elsewhere.
///
/// Left out are the two ranges that write a v4 address inside a v6 one, and are judged by it: `::ffff:0:0/96` and
/// `64:ff9b::/96`.
///
/// # Source
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>.
pub const SPECIAL_PURPOSE: &[&str] = &[
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// The first and the last address of a range.
///
/// # Panics
/// When it is not written as an address, a slash and a number of bits.
#[must_use]
pub fn ends(range: &str) -> [IpAddr; 2] {
    let (address, bits) = range.split_once('/').expect("a range has a slash");
    let bits: u32 = bits.parse().expect("a range has a number of bits");
    match address.parse().expect("a range begins with an address") {
        IpAddr::V4(first) => [first.into(), Ipv4Addr::from(u32::from(first) | host_mask_v4(bits)).into()],
        IpAddr::V6(first) => [first.into(), Ipv6Addr::from(u128::from(first) | host_mask_v6(bits)).into()],
    }
}

fn host_mask_v4(bits: u32) -> u32 {
    u32::MAX.checked_shr(bits).unwrap_or(0)
}

fn host_mask_v6(bits: u32) -> u128 {
    u128::MAX.checked_shr(bits).unwrap_or(0)
}

/// Every way in which a URL can write that address as its host, all of them the same host to a browser.
#[must_use]
pub fn spellings(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(address) => v4_spellings(address),
        IpAddr::V6(address) => v6_spellings(address),
    }
}

fn v4_spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let number = u32::from(address);
    let dotted = address.to_string();
    let in_digits = |first: u32| -> String {
        let digit = |char: char| char.to_digit(10).and_then(|digit| char::from_u32(first + digit));
        dotted.chars().map(|char| digit(char).unwrap_or(char)).collect()
    };
    let [high, low] = [number >> 16, number & 0xffff].map(|half| format!("{half:x}"));
    vec![
        dotted.clone(),
        format!("{dotted}."),
        // One number, two, three: what is left out belongs to the last one.
        number.to_string(),
        format!("{a}.{}", number & 0xff_ffff),
        format!("{a}.{b}.{}", number & 0xffff),
        format!("0x{number:x}"),
        format!("0X{number:08X}"),
        format!("0{number:o}"),
        format!("00000{number:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0{a:o}.{b}.0x{:x}", number & 0xffff),
        // IDNA makes plain digits and full stops of these.
        in_digits(0xff10),
        in_digits(0x1d7ce),
        in_digits(0x1d7f6),
        dotted.replace('.', "\u{3002}"),
        dotted.replace('.', "\u{ff0e}"),
        dotted.replace('.', "\u{ff61}"),
        dotted.replace('.', "%2e"),
        dotted.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        // v4 inside v6: mapped, and translated.
        format!("[::ffff:{dotted}]"),
        format!("[::FFFF:{high}:{low}]"),
        format!("[0:0:0:0:0:ffff:{high}:{low}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b::{high}:{low}]"),
        format!("[0064:ff9b:0000:0000:0000:0000:{high}:{low}]"),
    ]
}

fn v6_spellings(address: Ipv6Addr) -> Vec<String> {
    let full: Vec<_> = address.segments().iter().map(|segment| format!("{segment:04x}")).collect();
    let plain: Vec<_> = address.segments().iter().map(|segment| format!("{segment:x}")).collect();
    let [.., a, b, c, d] = address.octets();
    vec![
        format!("[{address}]"),
        format!("[{}]", address.to_string().to_uppercase()),
        format!("[{}]", full.join(":")),
        format!("[{}]", plain.join(":")),
        format!("[{}:{a}.{b}.{c}.{d}]", plain[..6].join(":")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_of_that_address() {
        for text in ["127.0.0.1", "8.8.8.8", "0.0.0.0", "255.255.255.255", "169.254.169.254", "100.64.0.9"] {
            let address: Ipv4Addr = text.parse().unwrap();
            for spelling in spellings(address.into()) {
                let url = url::Url::parse(&format!("https://{spelling}/"))
                    .unwrap_or_else(|error| panic!("{spelling}: {error}"));
                match url.host().unwrap() {
                    url::Host::Ipv4(read) => assert_eq!(read, address, "{spelling}"),
                    url::Host::Ipv6(read) => assert_eq!(read.octets()[12..], address.octets(), "{spelling}"),
                    url::Host::Domain(name) => panic!("{spelling} is the name {name}"),
                }
            }
        }
        for text in ["::", "::1", "fe80::1", "2001:db8::ffff", "fd00:ec2::254"] {
            let address: Ipv6Addr = text.parse().unwrap();
            for spelling in spellings(address.into()) {
                let url = url::Url::parse(&format!("https://{spelling}/")).unwrap();
                assert_eq!(url.host(), Some(url::Host::Ipv6(address)), "{spelling}");
            }
        }
    }

    #[test]
    fn a_range_has_two_ends() {
        let of = |range| ends(range).map(|address| address.to_string());
        assert_eq!(of("10.0.0.0/8"), ["10.0.0.0", "10.255.255.255"]);
        assert_eq!(of("255.255.255.255/32"), ["255.255.255.255", "255.255.255.255"]);
        assert_eq!(of("::/128"), ["::", "::"]);
        assert_eq!(of("fc00::/7"), ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
    }
}
