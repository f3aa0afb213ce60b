//! Putting an archive together.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ::tar::{Builder, EntryType, Header};
use reelhook_domain::recipe::Format;
use tokio_util::sync::CancellationToken;

use super::coding::TarOut;
use super::{Member, MemberKind, Modified, Opened, zip};
use crate::error::MediaError;

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
    if format == Format::Zip {
        return zip::write(opened, instead, output, cancel);
    }
    let mut builder = Builder::new(TarOut::new(format, BufWriter::new(File::create_new(output)?))?);
    for (at, member) in opened.members.iter().enumerate() {
        tar_member(&mut builder, member, instead.get(at).and_then(Option::as_deref), cancel)?;
    }
    Ok(builder.into_inner()?.finish()?)
}

/// The file that a member's bytes are read from, and their number.
pub(super) fn contents(
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

fn tar_member<W: Write>(
    builder: &mut Builder<W>,
    member: &Member,
    instead: Option<&Path>,
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
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
