//! Names in code pages: the bytes that went in come out, and none of them leads anywhere.

use reelhook_testkit::{field, verdict};

use super::*;

/// A member as it is written byte by byte: what the library would not write.
#[derive(Clone, Default)]
struct Raw<'a> {
    name: &'a [u8],
    flags: u16,
    made_by: u8,
    attributes: u32,
    extra: Vec<u8>,
    comment: &'a [u8],
}

/// A ZIP file of them, each with the same few stored bytes.
fn raw_zip(members: &[Raw<'_>]) -> Vec<u8> {
    const CONTENTS: &[u8] = b"contents";
    let (mut file, mut list) = (Vec::new(), Vec::new());
    for member in members {
        let contents: &[u8] = if member.name.ends_with(b"/") { b"" } else { CONTENTS };
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let at = file.len() as u32;
        let short = |value: usize| (value as u16).to_le_bytes();
        let mut shared = [20_u16.to_le_bytes(), member.flags.to_le_bytes(), [0; 2], [0; 2], [0x21, 0x50]].concat();
        shared.extend(crc.sum().to_le_bytes());
        shared.extend([(contents.len() as u32).to_le_bytes(); 2].concat());
        shared.extend([short(member.name.len()), short(member.extra.len())].concat());
        file.extend([b"PK\x03\x04", &shared[..], member.name, &member.extra, contents].concat());
        list.extend([b"PK\x01\x02", &[20, member.made_by][..], &shared, &short(member.comment.len())].concat());
        list.extend([0; 4]);
        list.extend([member.attributes.to_le_bytes(), at.to_le_bytes()].concat());
        list.extend([member.name, &member.extra, member.comment].concat());
    }
    let (start, count) = (file.len() as u32, (members.len() as u16).to_le_bytes());
    file.extend(&list);
    file.extend([b"PK\x05\x06", &[0; 4][..], &count, &count].concat());
    file.extend([(list.len() as u32).to_le_bytes(), start.to_le_bytes()].concat());
    file.extend(b"\x04\x00\x95\x5C\x8E\x86");
    file
}

/// What stands in a header: name, whether it is said to be UTF-8, who made it, and the comment.
type Seen = (Vec<u8>, bool, u8, Vec<u8>);

/// The headers of the list, each held against that of its member.
fn headers(zip: &[u8]) -> Vec<Seen> {
    let short = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let long = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    let end = zip.windows(4).rposition(|four| four == b"PK\x05\x06").unwrap();
    let (mut at, mut seen) = (long(end + 16), Vec::new());
    while zip[at..].starts_with(b"PK\x01\x02") {
        let (name, extra, comment) = (short(at + 28), short(at + 30), short(at + 32));
        let listed = (&zip[at + 46..at + 46 + name], short(at + 8) & 1 << 11 != 0);
        let local = long(at + 42);
        assert!(zip[local..].starts_with(b"PK\x03\x04"));
        assert_eq!((&zip[local + 30..local + 30 + short(local + 26)], short(local + 6) & 1 << 11 != 0), listed);
        let after = at + 46 + name + extra;
        seen.push((listed.0.to_vec(), listed.1, zip[at + 5], zip[after..after + comment].to_vec()));
        at = after + comment;
    }
    seen
}

/// The archive that is made of another one, in a format.
fn repacked(archive: &[u8], format: Format) -> Vec<u8> {
    let (first, folder) = opened(archive).unwrap();
    let packed = folder.path().join("packed");
    pack(&first, &[], format, &packed).unwrap();
    let bytes = std::fs::read(&packed).unwrap();
    let (second, _kept) = opened(&bytes).unwrap();
    let named = |opened: &Opened| -> Vec<Vec<u8>> {
        opened.members.iter().map(|member| member.name_in(format).to_owned()).collect()
    };
    assert_eq!(named(&first), named(&second), "{format}");
    bytes
}

fn unicode_path(name: &[u8], unicode: &str) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    let length = (5 + unicode.len() as u16).to_le_bytes();
    [&b"\x75\x70"[..], &length, &[1], &crc.sum().to_le_bytes(), unicode.as_bytes()].concat()
}

/// The same name in the code pages of some countries, as their Windows writes it.
const CODE_PAGES: [(&str, &[u8]); 8] = [
    ("Shift-JIS, a backslash in a letter", b"\x95\x5C\x8E\x86\x83\x5C.jpg"),
    ("GBK", b"\xD5\xD5\xC6\xAC.jpg"),
    ("Big5, a backslash in a letter", b"\xA5\x5C\xAF\xE0.jpg"),
    ("EUC-KR", b"\xBB\xE7\xC1\xF8.jpg"),
    ("code page 866", b"\x94\xAE\xE2\xAE.jpg"),
    ("code page 1253", b"\xF6\xF9\xF4\xEF.jpg"),
    ("code page 850", b"Gr\x94\xE1e.txt"),
    ("half of a letter at the end", b"\x95"),
];

#[test]
fn a_name_in_a_code_page_keeps_its_bytes() {
    for (page, bytes) in CODE_PAGES {
        let zip = raw_zip(&[Raw { name: bytes, comment: b"\x95\x5C", ..Raw::default() }]);
        let (made, source) = (repacked(&zip, Format::Zip), headers(&zip));
        let right = headers(&made) == source && made.ends_with(b"\x04\x00\x95\x5C\x8E\x86");
        let said = |seen: &[Seen]| format!("{:02X?}, bit 11 {}", seen[0].0, if seen[0].1 { "set" } else { "clear" });
        verdict(
            "M20 names in a code page",
            format!("zip with a name in {page}"),
            said(&source),
            said(&headers(&made)),
            right,
        );
        for format in [Format::Tar, Format::TarGz] {
            let (tar, _folder) = opened(&repacked(&zip, format)).unwrap();
            assert_eq!(tar.members[0].name_in(format), bytes, "a tar has no flag; the bytes are as they were");
        }
    }
    for name in ["zip_sjis.zip", "zip_cp866.zip"] {
        let zip = std::fs::read(field(name)).unwrap();
        let (made, source) = (headers(&repacked(&zip, Format::Zip)), headers(&zip));
        let said = |seen: &[Seen]| format!("{:02X?}, bit 11 {}", seen[0].0, if seen[0].1 { "set" } else { "clear" });
        verdict("M20 names in a code page", name, said(&source), said(&made), made == source);
    }
}

#[test]
fn what_is_said_of_a_name_is_said_again() {
    let text = "写真 é.jpg".as_bytes();
    let sjis = b"\x8E\xCA\x90\x5E.jpg";
    let members = [
        Raw { name: b"plain.txt", made_by: 3, attributes: 0o100_644 << 16, ..Raw::default() },
        // As Windows and most others write it; as macOS and old Info-ZIP do; with the bit though there is no need; and
        // with the bit though it is not true.
        Raw { name: text, flags: 1 << 11, made_by: 10, ..Raw::default() },
        Raw { name: &[b"mac/", text].concat(), made_by: 3, attributes: 0o100_600 << 16, ..Raw::default() },
        Raw { name: b"ascii.txt", flags: 1 << 11, comment: "é".as_bytes(), ..Raw::default() },
        Raw { name: b"\xFF\xFE.txt", flags: 1 << 11, ..Raw::default() },
        Raw { name: sjis, extra: unicode_path(sjis, "写真.jpg"), made_by: 11, ..Raw::default() },
        Raw { name: b"\x8E\xCA/", attributes: 0x10, ..Raw::default() },
    ];
    let zip = raw_zip(&members);
    let made = repacked(&zip, Format::Zip);
    assert_eq!(headers(&made), headers(&zip));
    let (seen, _folder) = opened(&made).unwrap();
    let kept = |at: usize| (seen.members[at].traits.zip.as_ref().unwrap(), seen.members[at].name());
    assert_eq!(kept(5).0.extra, [(0x7075, members[5].extra[4..].to_vec())], "Info-ZIP's field is kept");
    assert_eq!((kept(5).1, kept(2).1), ("写真.jpg", "mac/写真 é.jpg"));
    assert_eq!([0, 2, 6].map(|at| kept(at).0.attributes), [0o100_644 << 16, 0o100_600 << 16, 0x10]);
    verdict(
        "M20 names in a code page",
        "zip with UTF-8, with and without bit 11, and Info-ZIP's Unicode field",
        "each name, flag, comment and field as it was",
        "each name, flag, comment and field as it was",
        headers(&made) == headers(&zip),
    );
    let (tar, _folder) = opened(&repacked(&raw_zip(&members[5..6]), Format::Tar)).unwrap();
    assert_eq!(tar.members[0].name(), "写真.jpg", "a tar gets the Unicode name");
}

#[test]
fn a_unicode_field_of_another_name_is_not_believed() {
    let renamed = Raw { name: b"new.txt", extra: unicode_path(b"old.txt", "alt.txt"), ..Raw::default() };
    let (seen, _folder) = opened(&raw_zip(&[renamed])).unwrap();
    assert_eq!(seen.members[0].name(), "new.txt");
}

#[test]
fn a_tar_keeps_names_that_are_not_utf_8_and_a_zip_of_it_does_not_call_them_so() {
    let name = "caf\u{FFFD}.txt";
    let mut tar = tar_of(&[("cafE.txt", EntryType::Regular, b"x"), ("é.txt", EntryType::Regular, b"x")]);
    tar[3] = 0xE9;
    // The checksum of the header follows the byte.
    let sum: u32 =
        tar[..512].iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) }).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    for format in [Format::Tar, Format::TarXz, Format::TarBz2, Format::TarGz, Format::TarZst] {
        let (seen, _folder) = opened(&repacked(&tar, format)).unwrap();
        assert_eq!((seen.members[0].name(), seen.members[0].name_in(format)), (name, &b"caf\xE9.txt"[..]));
    }
    let seen = headers(&repacked(&tar, Format::Zip));
    let right = seen[0].0 == b"caf\xE9.txt" && !seen[0].1 && seen[1].0 == "é.txt".as_bytes() && seen[1].1;
    verdict(
        "M20 names in a code page",
        "tar with a name in Latin-1, to tar and to zip",
        "63 61 66 E9, in a zip without bit 11",
        format!("{:02X?}, bit 11 {}", &seen[0].0[..4], if seen[0].1 { "set" } else { "clear" }),
        right,
    );
}

#[test]
fn a_name_that_leads_out_in_any_reading_is_refused() {
    let leading_out: [&[u8]; 9] = [
        b"\x8E\xCA/../../up",
        // To a Japanese reader a letter and a name that goes on; to any other a way out.
        b"\x95\x5C..\x5C..\x5Cup",
        b"\x83\x5C../up",
        b"/\x8E\xCA",
        b"\x5C\x5C\x8E\xCA\x5Cx",
        b"C:\x5C\x8E\xCA",
        b"..\x5C\x8E\xCA",
        b"\x8E\xCA\x00.txt",
        b"\x8E\xCA\x1B.txt",
    ];
    for name in leading_out {
        let said = refusal(&raw_zip(&[Raw { name, ..Raw::default() }]));
        assert!(said.starts_with("archive_not_safe: "), "{name:02X?}: {said}");
    }
    for unicode in ["../up", "/etc/passwd", "a\\..\\..\\up"] {
        let raw = Raw { name: b"x", extra: unicode_path(b"x", unicode), ..Raw::default() };
        let said = refusal(&raw_zip(&[raw]));
        assert!(said.starts_with("archive_not_safe: "), "{unicode}: {said}");
    }
}

#[test]
fn names_that_are_one_are_found_in_bytes_and_in_unicode() {
    let plain = |name| Raw { name, ..Raw::default() };
    let with = |name, unicode| Raw { name, extra: unicode_path(name, unicode), ..Raw::default() };
    let twice: [[Raw<'_>; 2]; 6] = [
        [plain(b"\x8E\xCA.TXT"), plain(b"\x8E\xCA.txt")],
        [plain(b"\x8E\xCA"), plain(b"\x8E\xCA/x")],
        [plain(b"a/\x8E\xCA"), plain(b"A\x5C\x8E\xCA")],
        [plain(b"a"), with(b"b", "A")],
        [with(b"a", "x"), with(b"b", "X")],
        [with(b"a", "x"), with(b"A", "y")],
    ];
    for pair in twice {
        let said = refusal(&raw_zip(&pair));
        assert!(said.starts_with("archive_not_safe: "), "{:02X?} {:02X?}: {said}", pair[0].name, pair[1].name);
    }
    // Letters whose second halves are an A and an a, or a backslash: two names to all who can read them.
    for names in
        [[&b"\x83\x41.txt"[..], b"\x83\x61.txt"], [b"\x95\x5C", b"\x95\x5C\x8E\x86"], [b"\x82\x9F", b"\x90\x9F"]]
    {
        assert!(opened(&raw_zip(&names.map(plain))).is_ok(), "{names:02X?}");
    }
}

#[test]
fn names_that_are_long_when_spelled_out_are_refused() {
    let letters = "\u{FDFA}".repeat(60);
    let said = refusal(&zip_of(&[(letters.as_str(), b"")]));
    assert!(said.starts_with("over_limit: ") && said.ends_with("more than 1024 letters when spelled out"), "{said}");
    let folders = vec!["\u{FDFA}"; 31].join("/");
    assert!(opened(&zip_of(&[(folders.as_str(), b"")])).is_ok());
    // A letter of a code page is one letter, though it takes more bytes where it is remembered.
    let name = b"\x8E\xCA".repeat(500);
    assert!(opened(&raw_zip(&[Raw { name: &name, ..Raw::default() }])).is_ok());
}

#[test]
fn all_names_together_have_a_budget() {
    let limits = ArchiveLimits { entries: 100, ..ArchiveLimits::default() };
    // Each has folders of its own, so that none of them is shared.
    let deep = |at: usize| (0..32).map(|part| format!("{at}-{part}")).collect::<Vec<_>>().join("/");
    let names: Vec<_> = (0..100).map(deep).collect();
    let members: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let regular: Vec<_> = members.iter().map(|(name, _)| (*name, EntryType::Regular, &b""[..])).collect();
    let mut tar = Builder::new(Vec::new());
    for (name, kind, bytes) in &regular {
        tar.append_data(&mut tar_header("x", *kind, bytes.len()), name, *bytes).unwrap();
    }
    for archive in [zip_of(&members), gz_of(&tar.into_inner().unwrap())] {
        let said = refusal_within(&archive, &limits);
        assert_eq!(said, "over_limit: the names of the members need more than 80000 bytes of memory");
    }
    let shared: Vec<_> = (0..100).map(|at| format!("{}/{at}", vec!["folder"; 31].join("/"))).collect();
    let shared: Vec<_> = shared.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(opened_within(&zip_of(&shared), &limits).is_ok());
}

#[test]
fn what_the_list_of_a_zip_file_tells_of_its_members_has_a_budget() {
    let limits = ArchiveLimits { entries: 100, ..ArchiveLimits::default() };
    let long = vec![b'x'; 60_000];
    for count in [3, 30] {
        let names: Vec<_> = (0..count).map(|at: u32| at.to_string().into_bytes()).collect();
        let members = names.iter().map(|name| Raw { name, comment: &long, ..Raw::default() });
        let said = refusal_within(&raw_zip(&members.collect::<Vec<_>>()), &limits);
        assert!(said.starts_with("over_limit: the list of the archive's members has more than "), "{said}");
    }
}

#[test]
fn a_link_is_seen_whatever_system_it_says_it_is_from() {
    for made_by in [0, 3, 10, 19] {
        let said = refusal(&raw_zip(&[Raw { name: b"x", made_by, attributes: 0o120_777 << 16, ..Raw::default() }]));
        assert_eq!(said, "archive_not_safe: the member \"x\" is a link or a special file", "{made_by}");
    }
}

proptest::proptest! {
    #[test]
    fn any_name_that_is_let_in_comes_out(names in proptest::collection::vec(proptest::collection::vec(1u8.., 1..12), 1..4), utf8: bool) {
        let members: Vec<_> = names.iter().map(|name| Raw { name, flags: u16::from(utf8) << 11, ..Raw::default() }).collect();
        let zip = raw_zip(&members);
        if opened(&zip).is_ok() {
            proptest::prop_assert_eq!(headers(&repacked(&zip, Format::Zip)), headers(&zip));
            repacked(&zip, Format::Tar);
        }
    }
}
