//! A scratch folder that belongs to one process, and is known to be free once that process is gone.
//!
//! The owner makes `ID.lock`, locks it, and only then makes the folder `ID`. The lock ends with the process, however it
//! ends. Whoever can take the lock may remove the folder, and then the lock file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use reelhook_domain::ambient::Ambient;
use tempfile::TempPath;

const LOCK: &str = "lock";

/// The scratch folder of this process. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    parent: PathBuf,
    folder: PathBuf,
    lock: PathBuf,
    _held: File,
}

/// Makes a folder, and those above it, that only this user may enter. One that exists stays as it is.
pub(crate) fn create_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl Scratch {
    /// Takes a new folder below `parent`.
    pub(crate) fn take(parent: &Path, ambient: &Ambient) -> io::Result<Self> {
        create_private(parent)?;
        loop {
            let name = format!("{:016x}", u64::from_le_bytes(ambient.random()));
            let lock = parent.join(&name).with_extension(LOCK);
            let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            // A sweep of another process may see the file before it is locked, and take it for left behind.
            if file.try_lock().is_err() || !lock.exists() {
                continue;
            }
            let folder = parent.join(&name);
            create_private(&folder)?;
            return Ok(Self { parent: parent.to_owned(), folder, lock, _held: file });
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder that nobody uses, removed when dropped unless it was moved away.
    pub(crate) fn fresh(&self, ambient: &Ambient) -> io::Result<TempPath> {
        let name = format!("{:032x}", u128::from_le_bytes(ambient.random()));
        TempPath::try_from_path(self.folder.join(name))
    }

    /// Removes the folders of processes that are gone, each after `end` was called with it. Answers how many.
    pub(crate) fn sweep(&self, end: impl Fn(&Path)) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.parent)? {
            let path = entry?.path();
            let is_lock = path.extension().is_some_and(|extension| extension == LOCK);
            if is_lock && path != self.lock && remove_abandoned(&path, &end)? {
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// Removes the folder of that lock if no process holds the lock.
fn remove_abandoned(lock: &Path, end: impl Fn(&Path)) -> io::Result<bool> {
    let held = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if held.try_lock().is_err() {
        return Ok(false);
    }
    let folder = lock.with_extension("");
    end(&folder);
    remove(&folder, lock)?;
    Ok(true)
}

fn remove(folder: &Path, lock: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(lock)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder, &self.lock) {
            tracing::warn!(folder = %self.folder.display(), %error, "scratch folder was not removed; the next start will");
        }
    }
}
