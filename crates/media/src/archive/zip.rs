//! Reading ZIP files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use ::zip::{CompressionMethod, ZipArchive};

use super::{Modified, Taking, broken, over, refused, unsafe_member};
use crate::error::MediaError;

/// The bits of a Unix mode that say what a file is, and the two kinds that are taken.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

pub(super) fn read(path: &Path, taking: &mut Taking<'_>) -> Result<(), MediaError> {
    let file = File::open(path)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(&error))?;
    no_name_twice(path, &archive, taking)?;
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|error| broken(&error))?;
        let name = member.name().map_err(|error| broken(&error))?.into_owned();
        let kind = member.unix_mode().map_or(0, |mode| mode & KIND);
        if member.is_symlink() || !matches!(kind, 0 | REGULAR | FOLDER) {
            return Err(unsafe_member(&name, "is a link or a special file"));
        }
        if member.encrypted() {
            return Err(unsafe_member(&name, "is encrypted"));
        }
        let (is_folder, modified, mode) =
            (member.is_dir(), Modified::Zip(member.last_modified()), member.unix_mode().map(|mode| mode & 0o777));
        let method = member.compression();
        drop(member);
        taking.admit(&name, is_folder)?;
        if is_folder {
            taking.folder(name, modified, mode);
            continue;
        }
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            let message = format!(
                "the member {} is compressed by {method}; stored and deflate are read",
                super::name::shown(&name)
            );
            return Err(refused("archive_not_supported", message));
        }
        let mut bytes = archive.by_index(index).map_err(|error| super::damaged(&name, &error))?;
        taking.file(name, &mut bytes, modified, mode, method == CompressionMethod::Stored)?;
    }
    Ok(())
}

/// The library keeps one member of each name; which one others would unpack, nobody knows.
fn no_name_twice(path: &Path, archive: &ZipArchive<BufReader<File>>, taking: &Taking<'_>) -> Result<(), MediaError> {
    let mut file = BufReader::new(File::open(path)?);
    file.seek(SeekFrom::Start(archive.central_directory_start()))?;
    let mut names = HashSet::new();
    loop {
        let mut head = [0; 46];
        // Whatever stands where no further header is, ends the list.
        if file.read_exact(&mut head).is_err() || head[..4] != *b"PK\x01\x02" {
            return Ok(());
        }
        let length = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let mut name = Vec::new();
        file.by_ref().take(length(28)).read_to_end(&mut name)?;
        let skipped = i64::try_from(length(30) + length(32)).expect("two 16-bit numbers fit");
        file.seek_relative(skipped)?;
        let shown = String::from_utf8_lossy(&name).into_owned();
        if !names.insert(name) {
            return Err(unsafe_member(&shown, "is there twice"));
        }
        if names.len() > taking.limits.entries {
            return Err(over(format!("the archive has more than {} members", taking.limits.entries)));
        }
    }
}
