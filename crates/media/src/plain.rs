//! Opening what a tool may have written: as a plain file, or not at all.
//!
//! A tool that an input took over leaves in its folder what it likes, so nothing there is followed: no symbolic link, no
//! pipe on which the server would wait, no second name of a file that lies elsewhere. A file is opened by its name in its
//! folder (`openat` with `O_NOFOLLOW` and `O_NONBLOCK`), and what was opened is looked at, never the path again. The
//! folder itself was made by the server, in a place where tools make nothing. Files of a step lie directly in its folder,
//! so that no folder in between can be a link.
//!
//! When the server reads, no process of the tool is alive any more, and none can have made a link (see
//! [`sandbox`](crate::sandbox)). So a path that was opened here may be given to the next tool: nobody is left to put
//! another file there.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, open as open_path, openat};
use rustix::io::Errno;

/// Most bytes of a list that a tool writes, such as a playlist: twelve hours of segments are a twentieth of it.
pub(crate) const LIST: u64 = 64 << 20;
/// Most bytes of frames and sounds that are taken to be looked at by the server: all samples are much smaller.
pub(crate) const SAMPLE: u64 = 64 << 20;

/// What is not a plain file, or is larger than it may be: the work of a tool that did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPlain {
    #[error("it is not a regular file")]
    Kind,
    #[error("it has {0} names; a file that was made for this has one")]
    Names(u64),
    #[error("it has {size} bytes; at most {most} are expected")]
    Size { size: u64, most: u64 },
}

impl From<NotPlain> for io::Error {
    fn from(reason: NotPlain) -> Self {
        Self::new(io::ErrorKind::InvalidData, reason)
    }
}

/// Opens a regular file to be read, without following a link.
///
/// # Errors
/// `InvalidData` for what is not a regular file; what the operating system says.
pub fn open(path: &Path) -> io::Result<File> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(NotPlain::Kind.into());
    };
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let opened = if folder.as_os_str().is_empty() {
        openat(CWD, name, how, Mode::empty())
    } else {
        let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open_path(folder, place, Mode::empty()).and_then(|folder| openat(folder, name, how, Mode::empty()))
    };
    let file = match opened {
        Ok(file) => File::from(file),
        // A symbolic link, and a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Err(NotPlain::Kind.into()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(NotPlain::Kind.into()) }
}

/// Opens a file that a tool, or the server, made for this: it has no other name.
///
/// # Errors
/// As [`open`], and `InvalidData` for a file with more than one name.
pub fn open_made(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    match file.metadata()?.nlink() {
        1 => Ok(file),
        names => Err(NotPlain::Names(names).into()),
    }
}

/// All bytes of a file that was made for this, at most `most`. Blocks.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_made(path)?;
    let size = file.metadata()?.len();
    if size > most {
        return Err(NotPlain::Size { size, most }.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same, as text. Blocks.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The size of a file that was made for this, in bytes.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    Ok(open_made(path)?.metadata()?.len())
}

/// A new file in the place of what a tool may have left there.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    crate::run::remove(path)?;
    // Makes the file itself: a link that came in between is not followed.
    File::options().read(true).write(true).create_new(true).open(path)
}

/// Writes a file in the place of what a tool may have left there.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    io::Write::write_all(&mut create(path)?, bytes.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "content").unwrap();
        std::fs::write(at("twice"), "content").unwrap();
        std::fs::hard_link(at("twice"), at("again")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("nothing", at("loose")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        folder
    }

    #[test]
    fn only_a_plain_file_is_opened_and_nothing_is_waited_for() {
        let folder = names();
        assert_eq!(read(&folder.path().join("file"), 7).unwrap(), b"content");
        for name in ["link", "loose", "zero", "folder", "pipe", "socket", "again", "twice"] {
            let error = open_made(&folder.path().join(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
            assert!(read(&folder.path().join(name), LIST).is_err(), "{name}");
        }
        assert_eq!(open_made(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read(&folder.path().join("file"), 6).unwrap_err().to_string().contains("7 bytes"));
    }

    #[test]
    fn what_is_written_goes_through_no_link() {
        let folder = names();
        for name in ["link", "loose", "pipe", "again", "socket"] {
            write(&folder.path().join(name), "new").unwrap();
            assert_eq!(read(&folder.path().join(name), 3).unwrap(), b"new", "{name}");
        }
        assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"content");
        assert_eq!(std::fs::read(folder.path().join("twice")).unwrap(), b"content");
        assert!(!folder.path().join("nothing").exists());
    }
}
