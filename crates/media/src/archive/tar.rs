//! Reading compressed tar files.
//!
//! They are read twice. Extensions (long names, PAX records) are read into memory by whoever interprets them, so the first
//! walk looks at the raw headers alone: none of them may be large, and none may say another size for the file that follows,
//! which would make the two walks see different members.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ::tar::{Archive, EntryType};

use super::{Modified, Taking, broken, over, refused, unsafe_member};
use crate::error::MediaError;

/// Most bytes of one extension.
const LARGEST_EXTENSION: u64 = 64 * 1024;

pub(super) fn gz(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(File::open(path)?))))
}

pub(super) fn zst(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(zstd::stream::read::Decoder::new(File::open(path)?)?))
}

pub(super) fn read(open: impl Fn() -> io::Result<Box<dyn Read>>, taking: &mut Taking<'_>) -> Result<(), MediaError> {
    survey(open()?, taking)?;
    let mut archive = Archive::new(open()?);
    for entry in archive.entries().map_err(|error| broken(&error))? {
        let mut entry = entry.map_err(|error| broken(&error))?;
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|error| {
            unsafe_member(&String::from_utf8_lossy(error.as_bytes()), "has a name that is not UTF-8")
        })?;
        let modified = Modified::Unix(entry.header().mtime().unwrap_or(0));
        let mode = entry.header().mode().ok().map(|mode| mode & 0o777);
        match kind {
            EntryType::Directory => {
                taking.admit(&name, true)?;
                taking.folder(name, modified, mode);
            }
            EntryType::Regular | EntryType::Continuous => {
                taking.admit(&name, false)?;
                taking.file(name, &mut entry, modified, mode, false)?;
            }
            _ => return Err(unsafe_member(&name, "is a link or a special file")),
        }
    }
    Ok(())
}

/// Walks the raw headers, and refuses what must not be interpreted.
fn survey(decoder: Box<dyn Read>, taking: &Taking<'_>) -> Result<(), MediaError> {
    let mut total = 0;
    let counted = Counted { inner: decoder, total: &mut total, most: most(taking), cancel: taking.cancel };
    let mut archive = Archive::new(counted);
    let mut members = 0;
    for entry in archive.entries().map_err(|error| broken(&error))?.raw(true) {
        let mut entry =
            entry.map_err(|error| if taking.cancel.is_cancelled() { MediaError::Canceled } else { stopped(&error) })?;
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
                "the archive tells sizes beside its headers, which is not read here",
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
        io::ErrorKind::FileTooLarge => over("the archive unpacks to more than is taken".to_owned()),
        _ => broken(error),
    }
}

/// Counts what comes out of a decoder, and stops it in time.
struct Counted<'a> {
    inner: Box<dyn Read>,
    total: &'a mut u64,
    most: u64,
    cancel: &'a tokio_util::sync::CancellationToken,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("canceled"));
        }
        let read = self.inner.read(buffer)?;
        *self.total += read as u64;
        if *self.total > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}
