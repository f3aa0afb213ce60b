//! Reading tar files.
//!
//! They are read twice. Extensions (long names, PAX records) are read into memory by whoever interprets them, so the first
//! walk looks at the raw headers alone: none of them may be large, and none may say another size for the file that follows,
//! which would make the two walks see different members.

use std::io::{self, Read};

use ::tar::{Archive, EntryType};

use super::name::Name;
use super::{Modified, Taking, Traits, broken, over, refused, too_much_memory, unsafe_member};
use crate::error::MediaError;

/// Most bytes of one extension.
const LARGEST_EXTENSION: u64 = 64 * 1024;

/// Whether a tar begins with these bytes. From before POSIX there is no mark in them, but there is a checksum.
pub(super) fn begins(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let sum: u32 =
        header.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u32::from(byte) }).sum();
    let digits: String = header[148..156].iter().map(|&byte| char::from(byte)).filter(char::is_ascii_digit).collect();
    header[0] != 0 && u32::from_str_radix(&digits, 8).is_ok_and(|said| said == sum)
}

pub(super) fn read(open: impl Fn() -> io::Result<Box<dyn Read>>, taking: &mut Taking<'_>) -> Result<(), MediaError> {
    survey(open().map_err(|error| stopped(&error))?, taking)?;
    let mut archive = Archive::new(open()?);
    for entry in archive.entries().map_err(|error| broken(&error))? {
        let mut entry = entry.map_err(|error| broken(&error))?;
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let name = Name::of(entry.path_bytes().into_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let traits = Traits {
            modified: Modified::Unix(entry.header().mtime().unwrap_or(0)),
            mode: entry.header().mode().ok().map(|mode| mode & 0o777),
            stored: false,
            zip: None,
        };
        match kind {
            EntryType::Directory => {
                taking.admit(&name, true)?;
                taking.folder(name, traits);
            }
            EntryType::Regular | EntryType::Continuous => {
                taking.admit(&name, false)?;
                taking.file(name, &mut entry, traits)?;
            }
            _ => return Err(unsafe_member(&name.shown, "is a link or a special file")),
        }
    }
    Ok(())
}

/// Walks the raw headers, and refuses what must not be interpreted.
fn survey(decoder: Box<dyn Read>, taking: &Taking<'_>) -> Result<(), MediaError> {
    let mut total = 0;
    let counted = Counted { inner: decoder, total: &mut total, most: most(taking) };
    let mut archive = Archive::new(counted);
    let mut members = 0;
    for entry in archive.entries().map_err(|error| broken(&error))?.raw(true) {
        let mut entry = entry.map_err(|error| stopped(&error))?;
        let kind = entry.header().entry_type();
        let is_extension = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        members += 1;
        if members > 3 * taking.limits.entries {
            return Err(over(format!("the archive has more than {} members", taking.limits.entries)));
        }
        if kind == EntryType::GNUSparse {
            return Err(unsafe_member(&String::from_utf8_lossy(&entry.path_bytes()), "is a sparse file"));
        }
        if !is_extension {
            continue;
        }
        let size = entry.header().entry_size().map_err(|error| broken(&error))?;
        if size > LARGEST_EXTENSION {
            return Err(over(format!("the archive has a header of {size} bytes; the limit is {LARGEST_EXTENSION}")));
        }
        let mut records = Vec::new();
        entry.read_to_end(&mut records).map_err(|error| stopped(&error))?;
        let sizes = |key: &[u8]| key == b"size" || key.starts_with(b"GNU.sparse");
        let is_pax = kind.is_pax_local_extensions() || kind.is_pax_global_extensions();
        if is_pax && ::tar::PaxExtensions::new(&records).flatten().any(|record| sizes(record.key_bytes())) {
            return Err(refused(
                "archive_not_supported",
                "the archive stores sizes outside its headers, which is not supported",
            ));
        }
    }
    Ok(())
}

/// Most bytes that the whole of it may unpack to: the members, and a header for each.
fn most(taking: &Taking<'_>) -> u64 {
    let limits = taking.limits;
    let by_ratio = taking.archive_bytes.saturating_mul(limits.ratio).max(limits.ratio_floor);
    limits.bytes.min(by_ratio).saturating_add(4096 * (limits.entries as u64 + 1))
}

/// What ended a walk: too many bytes, or bytes that are no archive.
fn stopped(error: &io::Error) -> MediaError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => over("the archive unpacks to more than the limit".to_owned()),
        io::ErrorKind::OutOfMemory => too_much_memory("the archive"),
        _ => broken(error),
    }
}

/// Counts what comes out of a decoder, and stops it in time.
struct Counted<'a> {
    inner: Box<dyn Read>,
    total: &'a mut u64,
    most: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        *self.total += read as u64;
        if *self.total > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}
