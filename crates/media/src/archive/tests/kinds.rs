//! Each kind of archive is read, is written again in its own kind, and has the same bounds.

use bzip2::write::BzEncoder;
use lzma_rust2::{LzmaOptions, LzmaWriter, XzOptions, XzWriter};
use reelhook_testkit::verdict;

use super::*;

const TARS: [Format; 5] = [Format::Tar, Format::TarGz, Format::TarBz2, Format::TarXz, Format::TarZst];

fn xz_of(bytes: &[u8]) -> Vec<u8> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(6)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn bz2_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar in its compression.
fn packed_as(format: Format, tar: &[u8]) -> Vec<u8> {
    match format {
        Format::Tar => tar.to_vec(),
        Format::TarGz => gz_of(tar),
        Format::TarBz2 => bz2_of(tar),
        Format::TarXz => xz_of(tar),
        _ => zstd::encode_all(tar, 3).unwrap(),
    }
}

/// The methods of ZIP members by number and name.
const METHODS: [(u16, &str); 6] =
    [(8, "deflate"), (9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (95, "XZ")];

/// How many zeros [`deflate64_zeros`] holds for each of its matches, which deflate cannot write.
const LONGEST: usize = 65_538;

/// Zeros as only deflate64 packs them: one, and then matches of the greatest length, by the fixed codes of RFC 1951.
fn deflate64_zeros(matches: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    let code = |code: u32, length: u32| (0..length).rev().map(move |bit| code >> bit & 1 == 1);
    bits.extend(code(0x30, 8));
    for _ in 0..matches {
        bits.extend(code(0xC5, 8).chain([true; 16]).chain([false; 5]));
    }
    bits.extend([false; 7]);
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, &bit| sum << 1 | u8::from(bit))).collect()
}

/// Bytes as a member is packed by that method.
fn packed_by(method: u16, bytes: &[u8]) -> Vec<u8> {
    match method {
        9 if bytes.len() > LONGEST => deflate64_zeros(bytes.len() / LONGEST),
        // What deflate writes without its longest match means the same in both.
        8 | 9 => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        12 => bz2_of(bytes),
        14 => {
            let options = LzmaOptions::with_preset(6);
            let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, true).unwrap();
            writer.write_all(bytes).unwrap();
            let head = [&[9, 20, 5, 0, options.get_props()][..], &options.dict_size.to_le_bytes()].concat();
            [head, writer.finish().unwrap()].concat()
        }
        93 => zstd::encode_all(bytes, 3).unwrap(),
        _ => xz_of(bytes),
    }
}

/// A ZIP file of one member, packed by hand: the library is asked to store it, and its headers are changed then.
fn zip_by(method: u16, name: &str, bytes: &[u8]) -> Vec<u8> {
    let packed = packed_by(method, bytes);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored);
    writer.start_file(name, stored).unwrap();
    writer.write_all(&packed).unwrap();
    let mut zip = writer.finish().unwrap().into_inner();
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let list = zip.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    for at in [8, list + 10] {
        zip[at..at + 2].copy_from_slice(&method.to_le_bytes());
        zip[at + 6..at + 10].copy_from_slice(&crc.sum().to_le_bytes());
        zip[at + 14..at + 18].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    zip
}

fn words() -> Vec<u8> {
    (0..400).flat_map(|n: u32| format!("line {n} of some words\n").into_bytes()).collect()
}

#[test]
fn each_kind_of_tar_is_read_and_written_again() {
    let contents = words();
    let long = "d/".repeat(20) + &"n".repeat(120);
    let tar = tar_of(&[("d/", EntryType::Directory, b""), ("d/a.txt", EntryType::Regular, &contents)]);
    let long_tar = tar_of(&[
        ("././@LongLink", EntryType::GNULongName, &[long.as_bytes(), &[0]].concat()),
        ("d/cut", EntryType::Regular, b"long"),
    ]);
    // Two tars are one where the first has no end.
    let tar = [&tar[..tar.len() - 1024], &long_tar].concat();
    for format in TARS {
        let source = packed_as(format, &tar);
        let (first, folder) = opened(&source).unwrap();
        let out = folder.path().join("out");
        pack(&first, &[], first.format, &out).unwrap();
        let (second, _folder) = opened(&std::fs::read(&out).unwrap()).unwrap();
        let names = ["d/", "d/a.txt", long.as_str()];
        let right = first.format == format
            && second.format == format
            && listed(&second) == listed(&first)
            && listed(&second).iter().map(|(name, _)| name).eq(names)
            && listed(&second)[1].1 == Some(contents.clone());
        verdict(
            "MG13 kinds of archives",
            format!("a {format}, read and written again"),
            format!("{format}, 3 members"),
            format!("{}, {} members", second.format, second.members.len()),
            right,
        );
    }
}

#[test]
fn a_tar_from_before_posix_and_a_compressed_file_of_two_parts_are_read() {
    let mut tar = tar_of(&[("old.txt", EntryType::Regular, b"old")]);
    tar[257..265].fill(0);
    let sum: u32 =
        tar[..512].iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) }).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(listed(&opened(&tar).unwrap().0), [("old.txt".to_owned(), Some(b"old".to_vec()))]);
    let (one, two) = tar.split_at(700);
    for format in [Format::TarGz, Format::TarBz2, Format::TarXz, Format::TarZst] {
        let parts = [packed_as(format, one), packed_as(format, two)].concat();
        assert_eq!(listed(&opened(&parts).unwrap().0).len(), 1, "{format}");
    }
}

#[test]
fn each_method_of_a_zip_is_read() {
    // Matches that are short and near, so that deflate64 means the same.
    let contents: Vec<u8> = words();
    for (method, name) in METHODS {
        let (seen, _folder) = opened(&zip_by(method, "a.txt", &contents)).unwrap();
        let right = listed(&seen) == [("a.txt".to_owned(), Some(contents.clone()))];
        verdict(
            "MG13 kinds of archives",
            format!("a zip with a member by {name}"),
            "read",
            if right { "read" } else { "garbled" },
            right,
        );
        let zeros = vec![0; 1 + 3 * LONGEST];
        let (long, _folder) = opened(&zip_by(method, "zeros", &zeros)).unwrap();
        assert_eq!(listed(&long)[0].1, Some(zeros), "{name}");
        let (empty, _folder) = opened(&zip_by(method, "empty", b"")).unwrap();
        assert_eq!(listed(&empty)[0].1, Some(Vec::new()), "{name}");
    }
    let mut unknown = zip_by(8, "a.txt", b"x");
    let list = unknown.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    for (method, said) in [(98_u16, "PPMd"), (6, "implode"), (77, "method 77")] {
        unknown[8..10].copy_from_slice(&method.to_le_bytes());
        unknown[list + 10..list + 12].copy_from_slice(&method.to_le_bytes());
        let refused = refusal(&unknown);
        assert!(
            refused.starts_with(&format!("archive_not_supported: the member \"a.txt\" is compressed by {said};")),
            "{refused}"
        );
    }
}

#[test]
fn a_wrong_checksum_or_size_is_damage_in_each_method() {
    for (method, name) in METHODS {
        let zip = zip_by(method, "a.txt", &words());
        let list = zip.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
        for (at, what) in [(list + 16, "checksum"), (list + 24, "size")] {
            let mut wrong = zip.clone();
            wrong[at] ^= 1;
            let said = refusal(&wrong);
            assert!(said.starts_with("input_damaged: "), "{name}, {what}: {said}");
        }
    }
}

#[test]
fn a_zip_behind_a_program_is_read_and_the_program_is_told_of() {
    let zip = zip_of(&[("a.txt", b"words"), ("b/c.txt", b"more")]);
    let programs: [&[u8]; 4] = [b"MZ\x90\x00", b"\x7FELF\x02", b"#!/bin/sh\nexit 0\n", b"\x01\x02\x03"];
    for program in programs {
        let before = [program, &vec![7; 3000][..]].concat();
        let (seen, folder) = opened(&[&before, &zip[..]].concat()).unwrap();
        assert_eq!(
            (seen.format, seen.before, seen.members.len()),
            (Format::Zip, before.len() as u64, 2),
            "{program:?}"
        );
        let out = folder.path().join("out");
        pack(&seen, &[], Format::Zip, &out).unwrap();
        assert_eq!(kind(&out).unwrap(), Some(Format::Zip));
    }
    verdict(
        "MG13 kinds of archives",
        "a zip behind a program that unpacks it",
        "zip, 2 members",
        "zip, 2 members",
        true,
    );
    let split = [&b"PK\x07\x08"[..], &zip].concat();
    assert_eq!(opened(&split).unwrap().0.members.len(), 2, "the mark of a split archive in one part");
    for not in [&b"\xFF\xD8\xFF\xE0 a picture"[..], b"%PDF-1.7 a document", b"<html>a page</html>"] {
        let said = refusal(&[not, &zip].concat());
        assert!(said.starts_with("unsupported_media: "), "{said}");
    }
}

#[test]
fn what_is_not_opened_is_refused_by_its_name() {
    let cases: [(&[u8], &str); 9] = [
        (b"7z\xBC\xAF\x27\x1C\x00\x04", "a 7-zip archive, which is not supported"),
        (b"Rar!\x1A\x07\x00", "a RAR archive, which is not supported"),
        (b"Rar!\x1A\x07\x01\x00", "a RAR archive, which is not supported"),
        (b"MSCF\0\0\0\0", "a cabinet archive, which is not supported"),
        (b"!<arch>\ndebian-binary", "an ar archive, which is not supported"),
        (&bz2_of(b"words"), "bzip2 data, not media"),
        (&xz_of(b"words"), "xz data, not media"),
        (&gz_of(b"words"), "gzip data, not media"),
        (b"plain words", "a text, not media"),
    ];
    for (bytes, said) in cases {
        let refused = refusal(bytes);
        let taken = "supported archives are zip, tar, tar.gz, tar.bz2, tar.xz and tar.zst";
        assert_eq!(refused, format!("unsupported_media: the input is {said}; {taken}"));
    }
    for (bytes, name) in [(cases[0].0, "7z"), (cases[1].0, "rar")] {
        verdict("MG13 kinds of archives", name, "refused by its name", refusal(bytes), true);
    }
}

/// Every kind with the same members in it.
fn every_kind(members: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let tar: Vec<_> = members.iter().map(|(name, bytes)| (*name, EntryType::Regular, *bytes)).collect();
    let tar = tar_of(&tar);
    let tars = TARS.map(|format| (format.to_string(), packed_as(format, &tar)));
    tars.into_iter().chain([("zip".to_owned(), zip_of(members))]).collect()
}

#[test]
fn every_limit_is_reached_in_every_kind() {
    let limits = ArchiveLimits { entries: 2, bytes: 1000, depth: 2, name: 20, ..ArchiveLimits::default() };
    let beyond: [&[(&str, &[u8])]; 4] = [
        &[("a", b"x"), ("b", b"x"), ("c", b"x")],
        &[("a", &[7; 600]), ("b", &[7; 600])],
        &[("a/b/c", b"x")],
        &[("abcdefghijklmnopqrstuvwxyz", b"x")],
    ];
    for members in beyond {
        for (kind, bytes) in every_kind(members) {
            let said = refusal_within(&bytes, &limits);
            assert!(said.starts_with("over_limit: "), "{kind}: {said}");
        }
    }
}

#[test]
fn a_bomb_of_every_kind_is_stopped() {
    let limits = ArchiveLimits { ratio: 10, ratio_floor: 100_000, ..ArchiveLimits::default() };
    let zeros = vec![0; 1 + 30 * LONGEST];
    let tar = tar_of(&[("bomb", EntryType::Regular, &zeros)]);
    for format in [Format::TarGz, Format::TarBz2, Format::TarXz, Format::TarZst] {
        let bomb = packed_as(format, &tar);
        let said = refusal_within(&bomb, &limits);
        verdict(
            "MG13 bombs",
            format!("zeros as {format}"),
            "over_limit",
            said.split(':').next().unwrap(),
            said.starts_with("over_limit: "),
        );
        // One in another is a file like any other, and one around another is stopped at the outer.
        assert!(opened_within(&zip_of(&[("inner", &bomb)]), &limits).is_ok(), "{format}");
        let nested = packed_as(format, &tar_of(&[("inner", EntryType::Regular, &tar)]));
        assert!(refusal_within(&nested, &limits).starts_with("over_limit: "), "{format}");
    }
    for (method, name) in METHODS {
        let said = refusal_within(&zip_by(method, "bomb", &zeros), &limits);
        let right = said.starts_with("over_limit: ");
        verdict(
            "MG13 bombs",
            format!("zeros as a zip member by {name}"),
            "over_limit",
            said.split(':').next().unwrap(),
            right,
        );
    }
}

#[test]
fn a_decoder_that_wants_too_much_memory_is_not_given_it() {
    let tar = tar_of(&[("a", EntryType::Regular, b"x")]);
    let mut options = XzOptions::with_preset(6);
    options.lzma_options.dict_size = 512 << 20;
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(&tar).unwrap();
    let xz = writer.finish().unwrap();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(30).unwrap();
    encoder.write_all(&tar).unwrap();
    let zst = encoder.finish().unwrap();
    let mut lzma = zip_by(14, "a", b"words");
    let at = lzma.windows(4).position(|four| four == [9, 20, 5, 0]).unwrap();
    lzma[at + 5..at + 9].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    for (kind, bytes) in [("tar.xz", xz), ("tar.zst", zst), ("zip with LZMA", lzma)] {
        let said = refusal(&bytes);
        verdict(
            "MG13 bombs",
            format!("a {kind} that wants too much memory"),
            "over_limit",
            &said,
            said.starts_with("over_limit: ") && said.contains("128 MiB"),
        );
    }
    // What the highest ordinary levels write is read.
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(9)).unwrap();
    writer.write_all(&tar).unwrap();
    assert!(opened(&writer.finish().unwrap()).is_ok());
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 19).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&tar).unwrap();
    assert!(opened(&encoder.finish().unwrap()).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(noise in proptest::collection::vec(proptest::num::u8::ANY, 0..300), at in 0usize..300, which in 0usize..10) {
        let tar = tar_of(&[("a", EntryType::Regular, b"some words")]);
        let mut bytes = match which {
            0..=4 => packed_as(TARS[which], &tar),
            _ => zip_by(METHODS[which - 4].0, "a", b"some words"),
        };
        let at = at.min(bytes.len());
        let end = (at + 8).min(bytes.len());
        bytes.splice(at..end, noise.iter().copied().take(12));
        let _ = opened(&bytes);
    }
}
