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
//! [`pack()`] writes the members in their order, with their names (as bytes: what code page they are in, an archive does not
//! say), times and permissions. The server calls neither: a sandboxed child does, a [`Reader`](crate::Reader).
//!
//! # Source
//! ZIP: PKWARE's APPNOTE 6.3.10. tar: POSIX.1-2017 `pax`, and GNU tar's manual for long names.

mod coding;
mod name;
mod pack;
mod tar;
mod zip;

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::recipe::Format;
use serde::{Deserialize, Serialize};

use self::name::Name;
use crate::error::MediaError;
use crate::sniff::{self, Sniffed};

pub use pack::{pack, pack_and_compare};

/// What is taken apart here.
const TAKEN: &str = "supported archives are zip, tar, tar.gz, tar.bz2, tar.xz and tar.zst";

/// How much an archive may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl ArchiveLimits {
    /// Most bytes of memory for the names of all members and for what is told of them.
    pub(crate) fn memory_of_names(&self) -> usize {
        self.entries.saturating_mul(800)
    }
}

/// An archive that was taken apart.
#[derive(Debug)]
pub struct Opened {
    /// What it is: [`Format::Zip`] or one of the tars.
    pub format: Format,
    /// Its members, in its order.
    pub members: Vec<Member>,
    /// How many bytes there were before its first member: a program that unpacks itself, which is not kept.
    pub before: u64,
    /// The comment on the whole, in whatever code page; only a ZIP file has one.
    comment: Vec<u8>,
}

impl Opened {
    /// What is told of it to those who do not open it themselves.
    pub(crate) fn listing(&self) -> Listing {
        let listed = |member: &Member| ListedMember {
            name: member.name().to_owned(),
            size_bytes: match member.kind {
                MemberKind::Folder => None,
                MemberKind::File { size_bytes, .. } => Some(size_bytes),
            },
        };
        Listing { format: self.format, before: self.before, members: self.members.iter().map(listed).collect() }
    }
}

/// What is told of an archive that was taken apart elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    format: Format,
    before: u64,
    members: Vec<ListedMember>,
}

/// The same of a member.
#[derive(Debug, Serialize, Deserialize)]
struct ListedMember {
    name: String,
    /// Absent for a folder.
    size_bytes: Option<u64>,
}

impl Listing {
    /// The same, with the places where the files lie in the folder that they were taken apart into.
    pub(crate) fn within(self, folder: &Path) -> Contents {
        let content = |(number, member): (usize, ListedMember)| Content {
            name: member.name,
            kind: member.size_bytes.map_or(MemberKind::Folder, |size_bytes| MemberKind::File {
                path: member_path(folder, number),
                size_bytes,
            }),
        };
        let members = self.members.into_iter().enumerate().map(content).collect();
        Contents { format: self.format, before: self.before, members }
    }
}

/// An archive that a reader has taken apart.
#[derive(Debug)]
pub struct Contents {
    /// What it is: [`Format::Zip`] or one of the tars.
    pub format: Format,
    /// How many bytes there were before its first member.
    pub before: u64,
    /// Its members, in its order.
    pub members: Vec<Content>,
}

/// One of them.
#[derive(Debug)]
pub struct Content {
    /// Its name as it can be shown.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
}

/// Where the bytes of a member lie.
fn member_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("member-{number}"))
}

/// A member of an archive.
#[derive(Debug)]
pub struct Member {
    name: Name,
    /// What it is.
    pub kind: MemberKind,
    traits: Traits,
}

impl Member {
    /// Its name as it can be shown. Where the bytes are not UTF-8, they are read as the format says that they be read: a
    /// ZIP file's in code page 437, as other programs list them.
    pub fn name(&self) -> &str {
        &self.name.shown
    }

    /// The bytes of its name in an archive of that format.
    pub fn name_in(&self, format: Format) -> &[u8] {
        // Every reader takes the names in a tar for UTF-8, and it has no second place for them.
        if format == Format::Zip { &self.name.bytes } else { self.name.best() }
    }
}

/// What an archive says about a member beside its name and contents.
#[derive(Debug)]
struct Traits {
    /// When it was changed, in the archive's own words.
    modified: Modified,
    /// Its permissions, where the archive tells them.
    mode: Option<u32>,
    /// Whether it lay in the archive as it is, which some readers of ZIP files insist on.
    stored: bool,
    /// What only a ZIP file tells.
    zip: Option<zip::Header>,
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

/// What a file is among archives, as far as its first and last bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// An archive that we open.
    Archive(Format),
    /// Something compressed: an archive of that format if there is a tar in it.
    Compressed(Format),
    /// None of both.
    Other,
}

/// Looks at the first and last bytes of a file; nothing is unpacked.
///
/// # Errors
/// Those of the operating system.
pub fn look(path: &Path) -> io::Result<Look> {
    let mut head = Vec::new();
    let mut file = File::open(path)?;
    Read::by_ref(&mut file).take(sniff::HEAD as u64).read_to_end(&mut head)?;
    Ok(match head.as_slice() {
        // An archive in one part may begin with the mark of one in several.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, b'P', b'K', 3, 4, ..] => {
            Look::Archive(Format::Zip)
        }
        [b'P', b'K', b'0', b'0', b'P', b'K', 3, 4, ..] => Look::Archive(Format::Zip),
        _ if head.starts_with(b"\x1F\x8B") => Look::Compressed(Format::TarGz),
        _ if head.starts_with(b"BZh") => Look::Compressed(Format::TarBz2),
        _ if head.starts_with(b"\xFD7zXZ\0") => Look::Compressed(Format::TarXz),
        _ if head.starts_with(b"\x28\xB5\x2F\xFD") => Look::Compressed(Format::TarZst),
        _ if tar::begins(&head) => Look::Archive(Format::Tar),
        // A program or a script that unpacks itself, or bytes that mean nothing to us. A picture that has an archive at
        // its end is a picture.
        _ if may_be_before(&head) && zip::ends_as_zip(&mut file)? => Look::Archive(Format::Zip),
        _ => Look::Other,
    })
}

/// Whether a file is an archive that we open, told from its bytes. A compressed file without a tar in it is none.
fn kind(path: &Path) -> io::Result<Option<Format>> {
    Ok(match look(path)? {
        Look::Archive(format) => Some(format),
        Look::Compressed(format) => holds_tar(format, path)?.then_some(format),
        Look::Other => None,
    })
}

/// Whether there is a tar in a file that is compressed as one of that format is.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn holds_tar(format: Format, path: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    let read = coding::tar_in(format, path).and_then(|bytes| bytes.take(512).read_to_end(&mut first));
    match read {
        // It says what it is; why it is not unpacked is told by `open`.
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Ok(true),
        // What cannot be read is not an archive; the next reader says why.
        _ => Ok(tar::begins(&first)),
    }
}

/// Whether these may be the first bytes of something that has a ZIP file at its end.
fn may_be_before(head: &[u8]) -> bool {
    let programs: [&[u8]; 6] =
        [b"MZ", b"\x7FELF", b"#!", b"\xCF\xFA\xED\xFE", b"\xCE\xFA\xED\xFE", b"\xCA\xFE\xBA\xBE"];
    programs.iter().any(|program| head.starts_with(program)) || sniff::sniff(head) == Sniffed::Other(sniff::UNKNOWN)
}

/// What is said of an input that is not an archive that we open.
///
/// # Errors
/// Those of the operating system.
pub fn not_opened(path: &Path) -> io::Result<String> {
    let mut head = Vec::new();
    File::open(path)?.take(sniff::HEAD as u64).read_to_end(&mut head)?;
    Ok(match sniff::sniff(&head) {
        Sniffed::Other(what) => format!("the input is {what}; {TAKEN}"),
        Sniffed::Media(_) | Sniffed::Empty => format!("the input is not an archive; {TAKEN}"),
    })
}

/// Takes an archive apart into `folder`, which is empty. Blocks.
///
/// # Errors
/// [`MediaError::Rejected`] with `archive_not_safe`, `archive_not_supported` or `over_limit` and the member named;
/// [`MediaError::Failed`] with `input_damaged`.
pub fn open(path: &Path, folder: &Path, limits: &ArchiveLimits) -> Result<Opened, MediaError> {
    let Some(format) = kind(path)? else {
        return Err(refused("unsupported_media", not_opened(path)?));
    };
    let size = std::fs::metadata(path)?.len();
    let mut taking = Taking {
        folder,
        limits,
        archive_bytes: size,
        total: 0,
        names: name::Names::default(),
        members: Vec::new(),
        before: 0,
        comment: Vec::new(),
    };
    match format {
        Format::Zip => zip::read(path, &mut taking)?,
        _ => tar::read(|| coding::tar_in(format, path), &mut taking)?,
    }
    Ok(Opened { format, members: taking.members, before: taking.before, comment: taking.comment })
}

/// An archive on its way into a folder.
struct Taking<'a> {
    folder: &'a Path,
    limits: &'a ArchiveLimits,
    archive_bytes: u64,
    /// Bytes that came out so far.
    total: u64,
    names: name::Names,
    members: Vec<Member>,
    before: u64,
    comment: Vec<u8>,
}

impl Taking<'_> {
    /// Judges the name of the next member.
    fn admit(&mut self, name: &Name, is_folder: bool) -> Result<(), MediaError> {
        if self.members.len() >= self.limits.entries {
            return Err(over(format!("the archive has more than {} members", self.limits.entries)));
        }
        self.names.admit(name, is_folder, self.limits)
    }

    /// Notes a folder.
    fn folder(&mut self, name: Name, traits: Traits) {
        self.members.push(Member { name, kind: MemberKind::Folder, traits });
    }

    /// Writes the bytes of a member to a file of ours.
    fn file(&mut self, name: Name, bytes: &mut dyn Read, traits: Traits) -> Result<(), MediaError> {
        let path = member_path(self.folder, self.members.len());
        let mut file = File::create_new(&path)?;
        let mut size_bytes = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    return Err(too_much_memory(&format!("the member {}", name::shown(&name.shown))));
                }
                Err(error) => return Err(damaged(&name.shown, &error)),
            };
            self.count(read as u64, &name.shown)?;
            size_bytes += read as u64;
            file.write_all(&buffer[..read])?;
        }
        self.members.push(Member { name, kind: MemberKind::File { path, size_bytes }, traits });
        Ok(())
    }

    fn count(&mut self, bytes: u64, name: &str) -> Result<(), MediaError> {
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

/// Something that only a decoder with a great deal of memory can unpack.
fn too_much_memory(what: &str) -> MediaError {
    over(format!("{what} needs more than {} MiB of memory to unpack, which is the limit", coding::MEMORY >> 20))
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
