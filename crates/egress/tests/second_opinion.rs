//! The address policy beside another implementation of the same registries: Python's `ipaddress`. Where the two differ is
//! listed here, with the reason; a difference that is not listed fails.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};

use ipnet::IpNet;
use reelhook_egress::Policy;
use reelhook_testkit::addresses::{SPECIAL_PURPOSE, ends};

/// Which of the two is the stricter one in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stricter {
    /// We refuse what every Python calls public.
    Us,
    /// We refuse what some Python calls public; others agree with us.
    UsThanSome,
    /// We allow what Python does not call public.
    Python,
}

/// The same list, with more words, is in docs/security.md; a test below compares them.
const DIFFERENCES: &[(&str, Stricter)] = &[
    ("168.63.129.16/32", Stricter::Us),
    ("192.0.0.0/24", Stricter::Us),
    ("192.31.196.0/24", Stricter::Us),
    ("192.52.193.0/24", Stricter::Us),
    ("192.88.99.0/24", Stricter::Us),
    ("192.175.48.0/24", Stricter::Us),
    ("2620:4f:8000::/48", Stricter::Us),
    ("2001:1::1/128", Stricter::UsThanSome),
    ("2001:1::2/128", Stricter::UsThanSome),
    ("2001:1::3/128", Stricter::UsThanSome),
    ("2001:3::/32", Stricter::UsThanSome),
    ("2001:4:112::/48", Stricter::UsThanSome),
    ("2001:20::/28", Stricter::UsThanSome),
    ("2001:30::/28", Stricter::UsThanSome),
    ("2002::/16", Stricter::UsThanSome),
    ("3fff::/20", Stricter::UsThanSome),
    ("::ffff:0.0.0.0/96", Stricter::Python),
    ("64:ff9b::/96", Stricter::Python),
];

/// A sequence without end that is the same on every run.
///
/// # Source
/// SplitMix64, Steele and others, 2014.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

fn address_of(is_v4: bool, bits: u128) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::from(bits as u32).into(),
        false => Ipv6Addr::from(bits).into(),
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Both ends of every special range and their neighbours outside, addresses within each, and addresses of anywhere.
fn addresses() -> BTreeSet<IpAddr> {
    let mut dice = Dice(2026);
    let mut all = BTreeSet::new();
    let ours = ["168.63.129.16/32", "169.254.169.254/32", "2000::/3", "::ffff:0:0/96", "64:ff9b::/96", "::/8", "::/96"];
    for range in SPECIAL_PURPOSE.iter().chain(&ours) {
        let [first, last] = ends(range);
        let (is_v4, from, to) = (first.is_ipv4(), bits_of(first), bits_of(last));
        let most = if is_v4 { u128::from(u32::MAX) } else { u128::MAX };
        for bits in [from.saturating_sub(1), from, to, to.saturating_add(1).min(most)] {
            all.insert(address_of(is_v4, bits));
        }
        for _ in 0..50 {
            all.insert(address_of(is_v4, from | (dice.wide() & (to - from))));
        }
    }
    for _ in 0..20_000 {
        let bits = dice.wide();
        all.insert(address_of(true, bits & u128::from(u32::MAX)));
        all.insert(address_of(false, bits));
        // Where nearly all assignments of v6 are, and their special neighbours.
        all.insert(address_of(false, 0x2000 << 112 | bits >> 3));
        all.insert(address_of(false, 0x2001 << 112 | bits >> 16));
    }
    // Each v4 address inside v6, in the ways that reach it and in those that do not.
    let four: Vec<u128> = all.iter().filter(|address| address.is_ipv4()).map(|address| bits_of(*address)).collect();
    for bits in four {
        for prefix in [0xffff << 32, 0x0064_ff9b << 96, 0, 0xffff_0000 << 32] {
            all.insert(address_of(false, prefix | bits));
        }
        all.insert(address_of(false, 0x2002 << 112 | bits << 80));
    }
    all
}

/// What Python says of each, in order.
#[expect(clippy::disallowed_methods, reason = "the second opinion is no child of a job")]
fn python_says(addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/second_opinion.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    let mut child =
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the tests need python3");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let lines: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("python ends");
    writing.join().expect("no panic").expect("python reads all");
    assert!(output.status.success(), "python failed");
    let said: Vec<_> = String::from_utf8(output.stdout).expect("ASCII").lines().map(str::to_owned).collect();
    assert_eq!(said.len(), addresses.len());
    said
}

#[test]
fn python_agrees_but_for_what_is_listed() {
    let listed: Vec<(IpNet, Stricter)> =
        DIFFERENCES.iter().map(|(range, stricter)| (range.parse().expect("a range"), *stricter)).collect();
    let mut seen = vec![false; listed.len()];
    let policy = Policy::public();
    let addresses = addresses();
    let mut unlisted = Vec::new();
    for (address, said) in addresses.iter().zip(python_says(&addresses)) {
        let ours = policy.judge_address(SocketAddr::new(*address, 443));
        let stricter = match (&ours, said.as_str()) {
            (Ok(()), "public") => continue,
            (Err(_), "public") => [Stricter::Us, Stricter::UsThanSome],
            (Err(_), _) => continue,
            (Ok(()), _) => [Stricter::Python; 2],
        };
        let found = listed.iter().position(|(range, known)| range.contains(address) && stricter.contains(known));
        match found {
            Some(at) => seen[at] = true,
            None => unlisted.push(format!("{address}: we say {ours:?}, Python says {said}")),
        }
    }
    assert!(
        unlisted.is_empty(),
        "{} differences are not listed:\n{}",
        unlisted.len(),
        unlisted[..unlisted.len().min(40)].join("\n")
    );
    for ((range, stricter), seen) in listed.iter().zip(seen) {
        assert!(seen || *stricter == Stricter::UsThanSome, "{range} is listed and no difference");
    }
}

#[test]
fn a_translated_or_mapped_address_is_allowed_only_where_its_v4_is() {
    let policy = Policy::public();
    let judge = |address: IpAddr| policy.judge_address(SocketAddr::new(address, 443));
    for address in addresses().iter().filter(|address| address.is_ipv4()) {
        for prefix in [0xffff << 32, 0x0064_ff9b_u128 << 96] {
            assert_eq!(judge(address_of(false, prefix | bits_of(*address))), judge(*address), "{address}");
        }
        // Compatible, translated in the way of old, 6to4: no way to reach anything.
        for bits in [bits_of(*address), 0xffff_0000 << 32 | bits_of(*address), 0x2002 << 112 | bits_of(*address) << 80]
        {
            assert!(judge(address_of(false, bits)).is_err(), "{address}");
        }
    }
}

#[test]
fn the_documentation_lists_the_differences() {
    let page = include_str!("../../../docs/security.md");
    let (_, table) = page.split_once("| Range | Stricter | Why |\n| --- | --- | --- |\n").expect("the table is there");
    let listed: Vec<(&str, &str)> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.split(" | ");
            let range = cells.next().expect("a row has cells").trim_start_matches("| ").trim_matches('`');
            (range, cells.next().expect("a row has cells"))
        })
        .collect();
    let expected: Vec<_> = DIFFERENCES
        .iter()
        .map(|(range, stricter)| {
            let words = match stricter {
                Stricter::Us => "Reelhook",
                Stricter::UsThanSome => "Reelhook, than some versions",
                Stricter::Python => "Python",
            };
            (*range, words)
        })
        .collect();
    assert_eq!(listed, expected);
}
