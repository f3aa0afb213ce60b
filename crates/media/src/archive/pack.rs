//! Putting an archive together.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ::tar::{Builder, EntryType, Header};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::Format;

use super::coding::TarOut;
use super::{ArchiveLimits, Member, MemberKind, Modified, Opened, open, zip};
use crate::error::MediaError;

/// Writes the members of an archive in their order, with their names, times and permissions, to `output` in `format`.
/// `instead` has a file for each member whose contents are others now, by its place. Blocks.
///
/// # Errors
/// [`MediaError::Io`].
pub fn pack(opened: &Opened, instead: &[Option<PathBuf>], format: Format, output: &Path) -> Result<(), MediaError> {
    if format == Format::Zip {
        return zip::write(opened, instead, output);
    }
    let mut builder = Builder::new(TarOut::new(format, BufWriter::new(File::create_new(output)?))?);
    for (at, member) in opened.members.iter().enumerate() {
        tar_member(&mut builder, member, instead.get(at).and_then(Option::as_deref))?;
    }
    Ok(builder.into_inner()?.finish()?)
}

/// The same, and takes the result apart in `again`, an empty folder, to see that every member is in it. Blocks.
///
/// # Errors
/// Also `output_invalid` where one is not.
pub fn pack_and_compare(
    opened: &Opened,
    instead: &[Option<PathBuf>],
    format: Format,
    output: &Path,
    again: &Path,
    limits: &ArchiveLimits,
) -> Result<(), MediaError> {
    pack(opened, instead, format, output)?;
    let seen = open(output, again, limits)?;
    let size = |member: &Member, instead: Option<&PathBuf>| match (&member.kind, instead) {
        (_, Some(path)) => std::fs::metadata(path).map_or(0, |file| file.len()),
        (MemberKind::File { size_bytes, .. }, None) => *size_bytes,
        (MemberKind::Folder, None) => 0,
    };
    let told = |member: &Member, instead| (member.name_in(format).to_owned(), size(member, instead));
    let instead = instead.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let expected = opened.members.iter().zip(instead).map(|(member, file)| told(member, file));
    if seen.members.iter().map(|member| told(member, None)).eq(expected) {
        return Ok(());
    }
    let message = "the output's members are not those of the input";
    Err(MediaError::Failed(JobFailure::server(Stage::Verifying, "output_invalid", message)))
}

/// The file that a member's bytes are read from, and their number.
pub(super) fn contents(member: &Member, instead: Option<&Path>) -> Result<Option<(impl Read, u64)>, MediaError> {
    let MemberKind::File { path, .. } = &member.kind else { return Ok(None) };
    let file = File::open(instead.unwrap_or(path))?;
    let size = file.metadata()?.len();
    Ok(Some((file, size)))
}

fn tar_member<W: Write>(builder: &mut Builder<W>, member: &Member, instead: Option<&Path>) -> Result<(), MediaError> {
    let mut header = Header::new_gnu();
    let folder = matches!(member.kind, MemberKind::Folder);
    header.set_mode(member.traits.mode.unwrap_or(if folder { 0o755 } else { 0o644 }));
    let modified = match (member.traits.modified, &member.traits.zip) {
        (Modified::Unix(seconds), _) => Some(seconds),
        (Modified::Zip(_), header) => header.as_ref().and_then(zip::Header::modified),
    };
    if let Some(seconds) = modified {
        header.set_mtime(seconds);
    }
    named(builder, &mut header, member.name.best())?;
    match contents(member, instead)? {
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
fn named<W: Write>(builder: &mut Builder<W>, header: &mut Header, bytes: &[u8]) -> io::Result<()> {
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
