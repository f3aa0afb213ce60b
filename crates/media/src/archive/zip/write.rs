//! Writing ZIP files: names and what is told of them as bytes, where the library knows text alone.
//!
//! The library takes a name of any bytes, but says of each one that happens to be UTF-8 that it is (bit 11), and takes
//! comments as text. So the file is written with comments of the right length, and mended when all is in its place: no
//! byte moves.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use ::zip::write::{FullFileOptions, SimpleFileOptions};
use ::zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

use super::super::pack::contents;
use super::super::{Member, MemberKind, Modified, Opened, coding};
use super::{FOLDER, KIND, REGULAR};
use crate::error::MediaError;

/// From here on a ZIP needs its long form.
const LONG: u64 = u32::MAX as u64;
/// Bit 11 of a member's flags: its name and comment are UTF-8.
const UTF8: u16 = 1 << 11;
/// Where the flags stand in the header of a member, and in that of the list.
const LOCAL_FLAGS: u64 = 6;
const LISTED_FLAGS: u64 = 8;
/// How long the latter is, without name, extra fields and comment.
const LISTED_LENGTH: u64 = 46;

/// Writes the members to a file that is made for it; `instead` has a file for each whose contents are others now.
pub(in super::super) fn write(
    opened: &Opened,
    instead: &[Option<std::path::PathBuf>],
    output: &Path,
) -> Result<(), MediaError> {
    let mut writer = ZipWriter::new(BufWriter::new(File::create_new(output)?));
    writer.set_raw_comment(opened.comment.clone().into_boxed_slice()).map_err(io::Error::other)?;
    for (at, member) in opened.members.iter().enumerate() {
        write_member(&mut writer, member, instead.get(at).and_then(Option::as_deref))?;
    }
    writer.finish().map_err(io::Error::other)?.flush()?;
    Ok(mend(output, &opened.members)?)
}

fn write_member<W: Write + io::Seek>(
    writer: &mut ZipWriter<W>,
    member: &Member,
    instead: Option<&Path>,
) -> Result<(), MediaError> {
    let options = options(member).map_err(io::Error::other)?;
    let name = folder_name(member);
    let Some((mut file, size)) = contents(member, instead)? else {
        let options = options.compression_method(CompressionMethod::Stored).name(&name);
        return Ok(writer.start_file_with_options(options).map_err(io::Error::other)?);
    };
    // What was made smaller is packed already.
    let is_packed = member.traits.stored || instead.is_some();
    let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    let level = (method == CompressionMethod::Deflated).then_some(i64::from(coding::GZIP_LEVEL));
    let options = options.compression_method(method).compression_level(level).large_file(size >= LONG).name(&name);
    writer.start_file_with_options(options).map_err(io::Error::other)?;
    io::copy(&mut file, writer)?;
    Ok(())
}

/// A folder's name ends with a slash here, which tar does not ask for.
fn folder_name(member: &Member) -> Vec<u8> {
    let mut name = member.name.bytes.clone();
    if matches!(member.kind, MemberKind::Folder) && !member.name.is_folder() {
        name.push(b'/');
    }
    name
}

/// All that is told of a member but its name and contents.
fn options(member: &Member) -> ::zip::result::ZipResult<FullFileOptions<'static, 'static>> {
    let modified = match member.traits.modified {
        Modified::Zip(modified) => modified.filter(DateTime::is_valid),
        Modified::Unix(_) => None,
    };
    let (kind, default) = match member.kind {
        MemberKind::Folder => (FOLDER, 0o755),
        MemberKind::File { .. } => (REGULAR, 0o644),
    };
    let options = SimpleFileOptions::default().last_modified_time(modified.unwrap_or_default());
    let mut options = options.into_full_options().unix_permissions(member.traits.mode.unwrap_or(default));
    let Some(header) = &member.traits.zip else {
        return Ok(options.external_attributes((kind | member.traits.mode.unwrap_or(default)) << 16));
    };
    // No sticky bits, and nothing that some system other than the one that is named would take for a link.
    let mode = (header.attributes >> 16) & (KIND | 0o777);
    options = options.system(System::from(header.made_by)).external_attributes(mode << 16 | header.attributes & 0xFF);
    for (number, field) in &header.extra {
        options.add_extra_field(*number, field, false)?;
    }
    Ok(options.with_file_comment(" ".repeat(header.comment.len())))
}

/// Says of each name whether it is UTF-8 as it was said before, and puts the comments in.
fn mend(path: &Path, members: &[Member]) -> io::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(path)?)).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    for (index, member) in members.iter().enumerate() {
        let Some(header) = &member.traits.zip else { continue };
        let written = archive.by_index_raw(index).map_err(io::Error::other)?;
        let (local, listed) = (written.header_start(), written.central_header_start());
        for at in [local + LOCAL_FLAGS, listed + LISTED_FLAGS] {
            let mut flags = [0; 2];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut flags)?;
            let said = u16::from_le_bytes(flags);
            let right = if header.utf8 { said | UTF8 } else { said & !UTF8 };
            if said != right {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(&right.to_le_bytes())?;
            }
        }
        if header.comment.is_empty() {
            continue;
        }
        // Of the list: the lengths of name and extra fields, then these, then the comment.
        let mut lengths = [0; 4];
        file.seek(SeekFrom::Start(listed + 28))?;
        file.read_exact(&mut lengths)?;
        let before = [[lengths[0], lengths[1]], [lengths[2], lengths[3]]].map(|two| u64::from(u16::from_le_bytes(two)));
        file.seek(SeekFrom::Start(listed + LISTED_LENGTH + before[0] + before[1]))?;
        file.write_all(&header.comment)?;
    }
    file.sync_data()
}
