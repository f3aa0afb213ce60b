//! Archives: taken apart, and put together again with other contents under the same names.
//!
//! ```text
//! archive --open (every trap is looked for)--> files in a folder of ours --(each made smaller)--> pack --> archive
//! ```
//!
//! # Theory of operation
//! [`open`] streams every member once into a numbered file: no name of an archive ever becomes a path of ours. It refuses
//! the whole archive, and names the member, when a member could harm whoever unpacks it (absolute, `..`, links, devices,
//! two names that are one on some machine) or could not be carried over (encrypted, an unknown method). Sizes that headers
//! claim are never believed: bytes are counted as they come, against [`ArchiveLimits`]. An archive within an archive is a
//! file like any other and stays closed.
//!
//! [`pack`] writes the members in their order, with their names, times and permissions. Both block: call them where
//! blocking is allowed.
//!
//! # Source
//! ZIP: PKWARE's APPNOTE 6.3.10. tar: POSIX.1-2017 `pax`, and GNU tar's manual for long names.

mod name;
mod pack;
mod tar;
mod zip;

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::Format;
use tokio_util::sync::CancellationToken;

use crate::error::MediaError;

pub use pack::pack;

/// What is said of an input that is none of ours.
pub const NOT_OPENED: &str = "the input is no archive that is opened here (zip, tar.gz, tar.zst)";

/// How much an archive may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Most members, folders included.
    pub entries: usize,
    /// Most bytes of all members together.
    pub bytes: u64,
    /// Most bytes that come out for each byte that went in, once more than `ratio_floor` came out.
    pub ratio: u64,
    /// How many bytes may come out of whatever went in.
    pub ratio_floor: u64,
    /// Most folders above a member.
    pub depth: usize,
    /// Longest name, in bytes.
    pub name: usize,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 4 << 30, ratio: 200, ratio_floor: 64 << 20, depth: 32, name: 1024 }
    }
}

/// An archive that was taken apart.
#[derive(Debug)]
pub struct Opened {
    /// What it is: [`Format::Zip`], [`Format::TarGz`] or [`Format::TarZst`].
    pub format: Format,
    /// Its members, in its order.
    pub members: Vec<Member>,
}

/// A member of an archive.
#[derive(Debug)]
pub struct Member {
    /// Its name, exactly.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// When it was changed, in the archive's own words.
    modified: Modified,
    /// Its permissions, where the archive tells them.
    mode: Option<u32>,
    /// Whether it lay in the archive as it is, which some readers of ZIP files insist on.
    stored: bool,
}

/// What a member is.
#[derive(Debug)]
pub enum MemberKind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Where its bytes lie.
        path: PathBuf,
        /// How many there are.
        size_bytes: u64,
    },
}

/// When a member was changed.
#[derive(Debug, Clone, Copy)]
enum Modified {
    /// As ZIP tells it: without a time zone.
    Zip(Option<::zip::DateTime>),
    /// As tar tells it: seconds since 1970.
    Unix(u64),
}

/// Whether a file is an archive that we open, told from its bytes. A compressed file without a tar in it is none.
///
/// # Errors
/// Those of the operating system.
pub fn kind(path: &Path) -> io::Result<Option<Format>> {
    let mut head = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut head)?;
    let holds_tar = |decoder: &mut dyn Read| {
        let mut first = Vec::new();
        // What cannot be read is no archive; why is told by whoever reads it next.
        let _ = decoder.take(512).read_to_end(&mut first);
        first.get(257..262) == Some(b"ustar")
    };
    Ok(match head.as_slice() {
        b"PK\x03\x04" | b"PK\x05\x06" => Some(Format::Zip),
        [0x1F, 0x8B, ..] => holds_tar(&mut tar::gz(path)?).then_some(Format::TarGz),
        [0x28, 0xB5, 0x2F, 0xFD] => holds_tar(&mut tar::zst(path)?).then_some(Format::TarZst),
        _ => None,
    })
}

/// Takes an archive apart into `folder`, which is empty. Blocks.
///
/// # Errors
/// [`MediaError::Rejected`] with `archive_not_safe`, `archive_not_supported` or `over_limit` and the member named;
/// [`MediaError::Failed`] with `input_damaged`; [`MediaError::Canceled`].
pub fn open(
    path: &Path,
    folder: &Path,
    limits: &ArchiveLimits,
    cancel: &CancellationToken,
) -> Result<Opened, MediaError> {
    let Some(format) = kind(path)? else {
        return Err(refused("unsupported_media", NOT_OPENED));
    };
    let size = std::fs::metadata(path)?.len();
    let mut taking = Taking {
        folder,
        limits,
        cancel,
        archive_bytes: size,
        total: 0,
        names: name::Names::default(),
        members: Vec::new(),
    };
    match format {
        Format::Zip => zip::read(path, &mut taking)?,
        Format::TarGz => tar::read(|| tar::gz(path), &mut taking)?,
        _ => tar::read(|| tar::zst(path), &mut taking)?,
    }
    Ok(Opened { format, members: taking.members })
}

/// An archive on its way into a folder.
struct Taking<'a> {
    folder: &'a Path,
    limits: &'a ArchiveLimits,
    cancel: &'a CancellationToken,
    archive_bytes: u64,
    /// Bytes that came out so far.
    total: u64,
    names: name::Names,
    members: Vec<Member>,
}

impl Taking<'_> {
    /// Judges the name of the next member.
    fn admit(&mut self, name: &str, is_folder: bool) -> Result<(), MediaError> {
        if self.members.len() >= self.limits.entries {
            return Err(over(format!("the archive has more than {} members", self.limits.entries)));
        }
        self.names.admit(name, is_folder, self.limits)
    }

    /// Notes a folder.
    fn folder(&mut self, name: String, modified: Modified, mode: Option<u32>) {
        self.members.push(Member { name, kind: MemberKind::Folder, modified, mode, stored: true });
    }

    /// Writes the bytes of a member to a file of ours.
    fn file(
        &mut self,
        name: String,
        bytes: &mut dyn Read,
        modified: Modified,
        mode: Option<u32>,
        stored: bool,
    ) -> Result<(), MediaError> {
        let path = self.folder.join(format!("member-{}", self.members.len()));
        let mut file = File::create_new(&path)?;
        let mut size_bytes = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(&name, &error)),
            };
            self.count(read as u64, &name)?;
            size_bytes += read as u64;
            file.write_all(&buffer[..read])?;
        }
        self.members.push(Member { name, kind: MemberKind::File { path, size_bytes }, modified, mode, stored });
        Ok(())
    }

    fn count(&mut self, bytes: u64, name: &str) -> Result<(), MediaError> {
        if self.cancel.is_cancelled() {
            return Err(MediaError::Canceled);
        }
        self.total += bytes;
        let ArchiveLimits { bytes: most, ratio, ratio_floor, .. } = *self.limits;
        let name = name::shown(name);
        if self.total > most {
            return Err(over(format!("the archive holds more than {most} bytes; that is reached at {name}")));
        }
        if self.total > ratio_floor && self.total > self.archive_bytes.saturating_mul(ratio) {
            let message = format!("the archive unpacks to more than {ratio} times its size; that is reached at {name}");
            return Err(over(message));
        }
        Ok(())
    }
}

fn refused(code: &str, message: impl Into<String>) -> MediaError {
    MediaError::Rejected(JobFailure::input(Stage::Probing, code, message))
}

fn over(message: String) -> MediaError {
    refused("over_limit", message)
}

/// A member that would harm whoever unpacks the archive.
fn unsafe_member(name: &str, why: &str) -> MediaError {
    refused("archive_not_safe", format!("the member {} {why}", name::shown(name)))
}

fn damaged(name: &str, error: &dyn std::fmt::Display) -> MediaError {
    let message = format!("the member {} of the archive cannot be read: {error}", name::shown(name));
    MediaError::Failed(JobFailure::input(Stage::Probing, "input_damaged", message))
}

fn broken(error: &dyn std::fmt::Display) -> MediaError {
    let message = format!("the archive cannot be read: {error}");
    MediaError::Failed(JobFailure::input(Stage::Probing, "input_damaged", message))
}

#[cfg(test)]
mod tests;
