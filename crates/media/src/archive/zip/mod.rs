//! ZIP files: read, and their names written as they were.
//!
//! The library finds the members; the list of them is read by [`directory`], for names are bytes in an unknown code page
//! unless bit 11 says that they are UTF-8. Who makes them UTF-8 on the way garbles them for good: a guess at the code page
//! that is wrong cannot be seen any more, while the bytes as they were still come out right on a machine of their country.

mod directory;
mod write;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use ::zip::ZipArchive;
use ::zip::result::ZipError;

use super::name::Name;
use super::{Modified, Taking, Traits, broken, coding, damaged, over, refused, too_much_memory, unsafe_member};
use crate::error::MediaError;

pub(super) use directory::Header;
pub(super) use write::write;

/// The bits of a Unix mode that say what a file is, and the two kinds that are taken.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// How far before the end of a file its last record may begin: a comment is 64 KiB at most.
const TAIL: u64 = 22 + 65_535;

/// Whether a file ends as a ZIP file does, whatever it begins with.
pub(super) fn ends_as_zip(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    let is_end = |at: usize| {
        let comment = |at: usize| Some(usize::from(u16::from_le_bytes([*tail.get(at + 20)?, *tail.get(at + 21)?])));
        tail[at..].starts_with(b"PK\x05\x06") && comment(at).is_some_and(|comment| at + 22 + comment == tail.len())
    };
    Ok((0..tail.len()).rev().any(is_end))
}

pub(super) fn read(path: &Path, taking: &mut Taking<'_>) -> Result<(), MediaError> {
    let most = 2 * taking.limits.memory_of_names() as u64;
    let left = Rc::new(Cell::new(most));
    let rationed = Rationed { file: File::open(path)?, left: Rc::clone(&left) };
    let mut archive = ZipArchive::new(BufReader::new(rationed)).map_err(|error| match error {
        ZipError::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            over(format!("the list of the archive's members has more than {most} bytes"))
        }
        error => broken(&error),
    })?;
    left.set(u64::MAX);
    taking.before = archive.offset();
    taking.comment = archive.comment().to_vec();
    let list = directory::list(path, archive.central_directory_start(), taking)?;
    for (index, listed) in list.into_iter().enumerate() {
        let member = archive.by_index_raw(index).map_err(|error| broken(&error))?;
        let text = member.name().map_err(|error| broken(&error))?.into_owned();
        // Two names that a Unicode field makes one are one member to the library.
        if member.central_header_start() != listed.at {
            return Err(unsafe_member(&text, "appears twice"));
        }
        let name = match listed.unicode() {
            Some(unicode) => Name::with_unicode(listed.name, unicode),
            None => Name::of(listed.name, |_| text),
        };
        let kinds = [member.unix_mode().unwrap_or(0), listed.header.attributes >> 16].map(|mode| mode & KIND);
        if member.is_symlink() || !kinds.iter().all(|kind| matches!(*kind, 0 | REGULAR | FOLDER)) {
            return Err(unsafe_member(&name.shown, "is a link or a special file"));
        }
        if member.encrypted() {
            return Err(unsafe_member(&name.shown, "is encrypted"));
        }
        let is_folder = name.is_folder();
        let traits = Traits {
            modified: Modified::Zip(member.last_modified()),
            mode: member.unix_mode().map(|mode| mode & 0o777),
            stored: listed.method == 0,
            zip: Some(listed.header),
        };
        taking.admit(&name, is_folder)?;
        if is_folder {
            taking.folder(name, traits);
            continue;
        }
        let (size, crc) = (member.size(), member.crc32());
        let unpacked = coding::member(listed.method, BufReader::new(member), size);
        let Some(bytes) = unpacked.map_err(|error| unreadable(&name, &error))? else {
            let message = format!(
                "the member {} is compressed by {}; stored, deflate, deflate64, bzip2, LZMA, Zstandard and XZ are read",
                super::name::shown(&name.shown),
                coding::method_name(listed.method)
            );
            return Err(refused("archive_not_supported", message));
        };
        taking.file(name, &mut Checked { bytes, left: size, crc, seen: flate2::Crc::new() }, traits)?;
    }
    Ok(())
}

/// A file of which so many bytes may be read: the library holds the whole list of members before any of it can be judged.
struct Rationed {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Rationed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}

impl Seek for Rationed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Why a member cannot be unpacked.
fn unreadable(name: &Name, error: &io::Error) -> MediaError {
    match error.kind() {
        io::ErrorKind::OutOfMemory => too_much_memory(&format!("the member {}", super::name::shown(&name.shown))),
        _ => damaged(&name.shown, error),
    }
}

/// The bytes of a member, held against what its header says of them: a size that is not believed, and a checksum.
struct Checked<R> {
    bytes: R,
    left: u64,
    crc: u32,
    seen: flate2::Crc,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let read = self.bytes.read(buffer)?;
        self.seen.update(&buffer[..read]);
        let Some(left) = self.left.checked_sub(read as u64) else { return wrong("it is larger than its header says") };
        self.left = left;
        match read {
            0 if self.left > 0 && !buffer.is_empty() => wrong("it is smaller than its header says"),
            0 if self.seen.sum() != self.crc => wrong("its checksum is not the one in its header"),
            _ => Ok(read),
        }
    }
}
