//! Archives made here, good ones and every kind of trap.

use std::io::{Cursor, Write as _};

use ::tar::{Builder, EntryType, Header};
use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use tempfile::TempDir;

use super::*;

mod kinds;
mod names;

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default()
            .last_modified_time(::zip::DateTime::from_date_and_time(2020, 2, 3, 4, 5, 6).unwrap())
            .unix_permissions(0o640);
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn tar_header(name: &str, kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o640);
    header.set_mtime(1_580_702_706);
    header.set_cksum();
    header
}

fn tar_of(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        builder.append(&tar_header(name, *kind, bytes.len()), *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gz_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn opened_within(bytes: &[u8], limits: &ArchiveLimits) -> Result<(Opened, TempDir), MediaError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    std::fs::write(&path, bytes).unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    open(&path, &inside, limits).map(|opened| (opened, folder))
}

fn opened(bytes: &[u8]) -> Result<(Opened, TempDir), MediaError> {
    opened_within(bytes, &ArchiveLimits::default())
}

/// Code and message of a refusal.
fn refusal(bytes: &[u8]) -> String {
    refusal_within(bytes, &ArchiveLimits::default())
}

fn refusal_within(bytes: &[u8], limits: &ArchiveLimits) -> String {
    match opened_within(bytes, limits) {
        Err(MediaError::Rejected(failure) | MediaError::Failed(failure)) => {
            format!("{}: {}", failure.code, failure.message)
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn listed(opened: &Opened) -> Vec<(String, Option<Vec<u8>>)> {
    let bytes = |kind: &MemberKind| match kind {
        MemberKind::Folder => None,
        MemberKind::File { path, .. } => Some(std::fs::read(path).unwrap()),
    };
    opened.members.iter().map(|member| (member.name().to_owned(), bytes(&member.kind))).collect()
}

#[test]
fn names_order_times_and_permissions_survive_and_contents_may_change() {
    let long = format!("./deep/{}/é.txt", "x".repeat(150));
    let mut builder = Builder::new(Vec::new());
    builder.append(&tar_header("./deep/", EntryType::Directory, 0), &[][..]).unwrap();
    builder.append(&tar_header("./z.txt", EntryType::Regular, 3), &b"one"[..]).unwrap();
    builder
        .append(
            &tar_header("././@LongLink", EntryType::GNULongName, long.len() + 1),
            [long.as_bytes(), &[0]].concat().as_slice(),
        )
        .unwrap();
    builder.append(&tar_header("cut", EntryType::Regular, 3), &b"two"[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    let zst = zstd::encode_all(&tar[..], 3).unwrap();
    let zip = zip_of(&[("deep/", b""), ("z.txt", b"one"), ("deep/é.txt", b"two")]);
    for (archive, format) in [(gz_of(&tar), Format::TarGz), (zst, Format::TarZst), (zip, Format::Zip)] {
        let (first, folder) = opened(&archive).unwrap();
        assert_eq!(first.format, format);
        let other = folder.path().join("other");
        std::fs::write(&other, b"three").unwrap();
        let packed = folder.path().join("packed");
        pack(&first, &[None, Some(other), None], format, &packed).unwrap();
        let (second, _kept) = opened(&std::fs::read(&packed).unwrap()).unwrap();
        let mut expected = listed(&first);
        expected[1].1 = Some(b"three".to_vec());
        assert_eq!(listed(&second), expected, "{format}");
        for (one, two) in first.members.iter().zip(&second.members) {
            let (one, two) = (&one.traits, &two.traits);
            assert_eq!(format!("{:?} {:?}", one.modified, one.mode), format!("{:?} {:?}", two.modified, two.mode));
        }
    }
}

#[test]
fn names_that_harm_are_refused_and_named() {
    for name in ["/etc/passwd", "../up", "a/../../up", "C:\\x", "\\\\host\\x", "a\\..\\..\\up", "a\nb"] {
        let shown = name.replace('\n', "\u{FFFD}");
        for archive in [
            zip_of(&[("ok", b"x"), (name, b"x")]),
            gz_of(&tar_of(&[("ok", EntryType::Regular, b"x"), (name, EntryType::Regular, b"x")])),
        ] {
            let said = refusal(&archive);
            assert!(said.starts_with("archive_not_safe: ") && said.contains(&shown), "{name:?}: {said}");
        }
    }
}

#[test]
fn two_names_that_are_one_somewhere_are_refused() {
    for (one, two) in [
        ("a.txt", "A.TXT"),
        ("é", "e\u{301}"),
        ("a", "a/b"),
        ("a/b", "A"),
        ("a/b", "a//b"),
        ("a/b", "./a/b"),
        ("a/b", "a\\b"),
        ("ﬁle", "file"),
    ] {
        let said = refusal(&zip_of(&[(one, b"x"), (two, b"x")]));
        assert!(said.starts_with("archive_not_safe: "), "{one:?} {two:?}: {said}");
    }
    let twice = tar_of(&[("a", EntryType::Regular, b"x"), ("a", EntryType::Regular, b"y")]);
    assert!(refusal(&gz_of(&twice)).contains("\"a\""));
    assert!(opened(&zip_of(&[("a/b", b"x"), ("a/", b""), ("a/c", b"x"), ("b", b"x")])).is_ok());
}

#[test]
fn the_same_name_twice_in_a_zip_is_seen_though_the_library_hides_it() {
    let mut zip = zip_of(&[("aa", b"x"), ("ab", b"y")]);
    while let Some(at) = zip.windows(2).position(|pair| pair == b"ab") {
        zip[at + 1] = b'a';
    }
    let said = refusal(&zip);
    assert!(said.contains("\"aa\" appears twice"), "{said}");
}

#[test]
fn links_and_special_files_are_refused_and_named() {
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let said = refusal(&gz_of(&tar_of(&[("innocent", kind, b"")])));
        assert_eq!(said, "archive_not_safe: the member \"innocent\" is a link or a special file");
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("innocent", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let said = refusal(&writer.finish().unwrap().into_inner());
    assert_eq!(said, "archive_not_safe: the member \"innocent\" is a link or a special file");
}

#[test]
fn an_encrypted_member_is_refused_and_named() {
    let mut zip = zip_of(&[("secret", b"x")]);
    // The lowest bit of the flags, in the header of the member and in that of the list.
    for (signature, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = zip.windows(4).position(|four| four == signature).unwrap();
        zip[at + flags] |= 1;
    }
    assert_eq!(refusal(&zip), "archive_not_safe: the member \"secret\" is encrypted");
}

#[test]
fn every_limit_is_reached() {
    let limits = ArchiveLimits { entries: 2, bytes: 1000, depth: 2, name: 20, ..ArchiveLimits::default() };
    let over = |members: &[(&str, &[u8])]| {
        let zip = refusal_within(&zip_of(members), &limits);
        let tar: Vec<_> = members.iter().map(|(name, bytes)| (*name, EntryType::Regular, *bytes)).collect();
        let tar = refusal_within(&gz_of(&tar_of(&tar)), &limits);
        assert!(zip.starts_with("over_limit: ") && tar.starts_with("over_limit: "), "{zip} / {tar}");
    };
    over(&[("a", b"x"), ("b", b"x"), ("c", b"x")]);
    over(&[("a", &[7; 600]), ("b", &[7; 600])]);
    over(&[("a/b/c", b"x")]);
    over(&[("abcdefghijklmnopqrstuvwxyz", b"x")]);
    let limits = ArchiveLimits { ratio: 10, ratio_floor: 10_000, ..ArchiveLimits::default() };
    let zeros = vec![0; 200_000];
    let said = refusal_within(&zip_of(&[("bomb", &zeros)]), &limits);
    assert!(said.starts_with("over_limit: ") && said.contains("\"bomb\""), "{said}");
    assert!(
        refusal_within(&gz_of(&tar_of(&[("bomb", EntryType::Regular, &zeros)])), &limits).starts_with("over_limit: ")
    );
    assert!(opened(&zip_of(&[("zeros", &zeros)])).is_ok(), "within the floor");
}

#[test]
fn a_size_in_a_header_is_not_believed() {
    let mut zip = zip_of(&[("liar", &[7; 5000])]);
    let at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    zip[at + 24..at + 28].copy_from_slice(&1_u32.to_le_bytes());
    let limits = ArchiveLimits { bytes: 1000, ..ArchiveLimits::default() };
    assert!(opened_within(&zip, &limits).is_err(), "more bytes come than the header says");
}

#[test]
fn large_or_lying_extensions_of_tar_are_refused_before_they_are_read() {
    let large = vec![b'x'; 1 << 20];
    let said =
        refusal(&gz_of(&tar_of(&[("././@LongLink", EntryType::GNULongName, &large), ("a", EntryType::Regular, b"x")])));
    assert!(said.starts_with("over_limit: the archive has a header of 1048576 bytes"), "{said}");
    let said =
        refusal(&gz_of(&tar_of(&[("p", EntryType::XHeader, b"12 size=512\n"), ("a", EntryType::Regular, b"x")])));
    assert!(said.starts_with("archive_not_supported: "), "{said}");
}

#[test]
fn an_archive_in_an_archive_stays_closed() {
    let inner = zip_of(&[("../up", b"x")]);
    let (outer, _folder) = opened(&zip_of(&[("inner.zip", &inner)])).unwrap();
    assert_eq!(listed(&outer), [("inner.zip".to_owned(), Some(inner))]);
}

#[test]
fn what_is_damaged_fails_and_what_is_no_archive_is_refused() {
    let zip = zip_of(&[("a", &[7; 5000])]);
    let mut flipped = zip.clone();
    flipped[40] ^= 0xFF;
    for bytes in [&zip[..zip.len() / 2], &flipped] {
        assert!(refusal(bytes).starts_with("input_damaged: "), "{}", refusal(bytes));
    }
    let tar = gz_of(&tar_of(&[("a", EntryType::Regular, &[7; 50_000])]));
    assert!(refusal(&tar[..tar.len() - 20]).starts_with("input_damaged: "));
    for bytes in [&gz_of(b"words")[..], b"words", b"\x1F\x8B", b""] {
        assert!(refusal(bytes).starts_with("unsupported_media: "));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(noise in proptest::collection::vec(proptest::num::u8::ANY, 0..600), at in 0usize..400) {
        let mut zip = zip_of(&[("a", b"some words"), ("b/c", b"more words")]);
        let at = at.min(zip.len());
        zip.splice(at..at, noise.iter().copied().take(8));
        let _ = opened(&zip);
        let mut tar = tar_of(&[("a", EntryType::Regular, b"some words")]);
        tar.splice(at..at, noise.iter().copied().take(8));
        let _ = opened(&gz_of(&tar));
        let _ = opened(&[&b"PK\x03\x04"[..], &noise].concat());
    }
}
