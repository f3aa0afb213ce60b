//! Putting an archive together.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ::tar::{Builder, EntryType, Header};
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, DateTime, ZipWriter};
use reelhook_domain::recipe::Format;
use tokio_util::sync::CancellationToken;

use super::{Member, MemberKind, Modified, Opened};
use crate::error::MediaError;

/// How hard members are packed. Time matters less than size here, and most of it goes to the members themselves.
const GZIP_LEVEL: u32 = 9;
const ZSTD_LEVEL: i32 = 15;
/// From here on a ZIP needs its long form.
const LONG: u64 = u32::MAX as u64;

/// Writes the members of an archive in their order, with their names, times and permissions, to `output` in `format`.
/// `instead` has a file for each member whose contents are others now, by its place. Blocks.
///
/// # Errors
/// [`MediaError::Io`]; [`MediaError::Canceled`] soon after `cancel` was canceled.
pub fn pack(
    opened: &Opened,
    instead: &[Option<PathBuf>],
    format: Format,
    output: &Path,
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    let file = BufWriter::new(File::create_new(output)?);
    let members =
        || opened.members.iter().enumerate().map(|(at, member)| (member, instead.get(at).and_then(Option::as_deref)));
    match format {
        Format::Zip => {
            let mut writer = ZipWriter::new(file);
            for (member, instead) in members() {
                zip_member(&mut writer, member, instead, cancel)?;
            }
            writer.finish().map_err(io::Error::other)?.flush()?;
        }
        Format::TarGz => {
            let mut builder = Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL)));
            for (member, instead) in members() {
                tar_member(&mut builder, member, instead, cancel)?;
            }
            builder.into_inner()?.finish()?.flush()?;
        }
        _ => {
            let mut builder = Builder::new(zstd::stream::write::Encoder::new(file, ZSTD_LEVEL)?);
            for (member, instead) in members() {
                tar_member(&mut builder, member, instead, cancel)?;
            }
            builder.into_inner()?.finish()?.flush()?;
        }
    }
    Ok(())
}

/// The file that a member's bytes are read from, and their number.
fn contents(
    member: &Member,
    instead: Option<&Path>,
    cancel: &CancellationToken,
) -> Result<Option<(impl Read, u64)>, MediaError> {
    let MemberKind::File { path, .. } = &member.kind else { return Ok(None) };
    if cancel.is_cancelled() {
        return Err(MediaError::Canceled);
    }
    let file = File::open(instead.unwrap_or(path))?;
    let size = file.metadata()?.len();
    Ok(Some((file, size)))
}

fn zip_member<W: Write + io::Seek>(
    writer: &mut ZipWriter<W>,
    member: &Member,
    instead: Option<&Path>,
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    let modified = match member.modified {
        Modified::Zip(modified) => modified.filter(DateTime::is_valid),
        Modified::Unix(_) => None,
    };
    let mut options = SimpleFileOptions::default().last_modified_time(modified.unwrap_or_default());
    if let Some(mode) = member.mode {
        options = options.unix_permissions(mode);
    }
    let Some((mut file, size)) = contents(member, instead, cancel)? else {
        return Ok(writer.add_directory(member.name.as_str(), options).map_err(io::Error::other)?);
    };
    // What was made smaller is packed already.
    let method =
        if member.stored || instead.is_some() { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    let level = (method == CompressionMethod::Deflated).then_some(i64::from(GZIP_LEVEL));
    options = options.compression_method(method).compression_level(level).large_file(size >= LONG);
    writer.start_file(member.name.as_str(), options).map_err(io::Error::other)?;
    io::copy(&mut file, writer)?;
    Ok(())
}

fn tar_member<W: Write>(
    builder: &mut Builder<W>,
    member: &Member,
    instead: Option<&Path>,
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    let mut header = Header::new_gnu();
    let folder = matches!(member.kind, MemberKind::Folder);
    header.set_mode(member.mode.unwrap_or(if folder { 0o755 } else { 0o644 }));
    if let Modified::Unix(seconds) = member.modified {
        header.set_mtime(seconds);
    }
    named(builder, &mut header, &member.name)?;
    match contents(member, instead, cancel)? {
        None => {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, io::empty())?;
        }
        Some((file, size)) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            header.set_cksum();
            builder.append(&header, file.take(size))?;
        }
    }
    Ok(())
}

/// Writes a name as it is: the library would tidy it.
///
/// # Source
/// GNU tar's manual, "Standard": a name that is too long for the header goes before it, in a member of type `L`.
fn named<W: Write>(builder: &mut Builder<W>, header: &mut Header, name: &str) -> io::Result<()> {
    let bytes = name.as_bytes();
    let room = &mut header.as_old_mut().name;
    let fits = bytes.len().min(room.len());
    room[..fits].copy_from_slice(&bytes[..fits]);
    if bytes.len() > room.len() {
        let mut long = Header::new_gnu();
        let mark = b"././@LongLink";
        long.as_old_mut().name[..mark.len()].copy_from_slice(mark);
        long.set_entry_type(EntryType::GNULongName);
        long.set_mode(0o644);
        long.set_size(bytes.len() as u64 + 1);
        long.set_cksum();
        builder.append(&long, bytes.chain(&[0][..]))?;
    }
    Ok(())
}
