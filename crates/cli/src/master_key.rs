//! The master key: 32 random bytes in a file beside the database, from which everything secret hangs.
//!
//! It seals the secrets in the database, the key of links among them. The file holds a line `ID:HEX`; the number tells which key sealed a
//! secret. It is made once, readable by its owner alone, and appears whole or not at all: two programs that start at once
//! on an empty folder agree on the same key.
//!
//! While the key is rotated the file holds two lines: the new key, which seals, and below it the old one, which still
//! opens what was not sealed anew yet. A file with two lines is as good as one with one, for as long as need be.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use reelhook_domain::ambient::Ambient;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "master.key";

/// The permissions of that file, where others than its owner have any.
pub(crate) fn open_to_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// One line of the file.
#[derive(Clone, PartialEq, Eq)]
struct Line {
    id: u32,
    bytes: [u8; 32],
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let (id, digits) = text.split_once(':')?;
        let bytes = hex::decode(digits).ok()?.try_into().ok()?;
        Some(Self { id: id.parse().ok()?, bytes })
    }

    fn for_store(&self) -> reelhook_store::MasterKey {
        reelhook_store::MasterKey::new(self.id, self.bytes)
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The key, as read from its file, and the old one while it is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MasterKey {
    current: Line,
    older: Vec<Line>,
}

impl MasterKey {
    /// The key of that data folder, made when there is none.
    pub(crate) fn load_or_create(folder: &Path, ambient: &Ambient) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        if let Some(key) = Self::load(&path)? {
            return Ok(key);
        }
        let key = Self { current: Line { id: 1, bytes: ambient.random() }, older: Vec::new() };
        key.create(folder, &path).with_context(|| format!("the master key {} cannot be written", path.display()))?;
        // Read back: another program may have been first.
        Self::load(&path)?.with_context(|| format!("the master key {} vanished", path.display()))
    }

    /// The key in that file, if the file is there.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("the master key {} cannot be read", path.display()));
            }
        };
        match Self::parse(&text) {
            Some(key) => Ok(Some(key)),
            None => bail!(
                "the master key {} is damaged: it must be a line of a number, a colon and 64 hexadecimal digits (and one \
                 more while it is rotated); restore it from a backup; without it, the secrets in the database cannot be decrypted",
                path.display()
            ),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.trim_end().lines().map(|line| Line::parse(line.trim_end()));
        let current = lines.next()??;
        let older = lines.collect::<Option<Vec<_>>>()?;
        let ids: std::collections::BTreeSet<_> = older.iter().chain([&current]).map(|line| line.id).collect();
        (ids.len() == older.len() + 1).then_some(Self { current, older })
    }

    /// The file, written and synced but not yet in its place.
    fn written(&self, folder: &Path) -> io::Result<tempfile::NamedTempFile> {
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        for Line { id, bytes } in std::iter::once(&self.current).chain(&self.older) {
            writeln!(file, "{id}:{}", hex::encode(bytes))?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn create(&self, folder: &Path, path: &Path) -> io::Result<()> {
        match self.written(folder)?.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
        fs::File::open(folder)?.sync_all()
    }

    /// Puts this into the place of the key of that folder, in one step.
    pub(crate) fn replace(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        let replaced = self.written(folder).and_then(|file| {
            file.persist(&path).map_err(|error| error.error)?;
            fs::File::open(folder)?.sync_all()
        });
        replaced.with_context(|| format!("the master key {} cannot be written", path.display()))
    }

    /// The number of the key that seals.
    pub(crate) const fn id(&self) -> u32 {
        self.current.id
    }

    /// Whether an old key is still needed.
    pub(crate) fn is_rotating(&self) -> bool {
        !self.older.is_empty()
    }

    /// A new key, with this one below it.
    pub(crate) fn rotated(self, ambient: &Ambient) -> Self {
        let Self { current, mut older } = self;
        let id = older.iter().map(|line| line.id).fold(current.id, u32::max).saturating_add(1);
        older.insert(0, current);
        Self { current: Line { id, bytes: ambient.random() }, older }
    }

    /// The same without the old keys.
    pub(crate) fn alone(self) -> Self {
        Self { older: Vec::new(), ..self }
    }

    /// The same keys in the words of the store.
    pub(crate) fn for_store(&self) -> reelhook_store::MasterKeys {
        reelhook_store::MasterKeys::new(self.current.for_store(), self.older.iter().map(Line::for_store).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let key = MasterKey::load_or_create(folder.path(), &ambient::system()).unwrap();
        assert_eq!(MasterKey::load_or_create(folder.path(), &ambient::system()).unwrap(), key);
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let path = folder.path().join(FILE);
        assert_eq!(open_to_others(&path), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(open_to_others(&path), Some(0o640));
    }

    #[test]
    fn a_damaged_key_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "1:beef\n").unwrap();
        let error = MasterKey::load_or_create(folder.path(), &ambient::system()).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "1:beef\n");
    }

    #[test]
    fn debug_shows_no_key() {
        let key = MasterKey { current: Line { id: 1, bytes: [7; 32] }, older: Vec::new() };
        assert_eq!(format!("{key:?}"), "MasterKey { current: Line { id: 1, .. }, older: [] }");
    }

    #[test]
    fn a_key_that_is_rotated_lies_above_the_old_one_until_it_is_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let old = MasterKey::load_or_create(folder.path(), &ambient::system()).unwrap();
        let both = old.clone().rotated(&ambient::system());
        both.replace(folder.path()).unwrap();
        let read = MasterKey::load(&path).unwrap().unwrap();
        assert_eq!((read.id(), read.is_rotating(), &read.older[0]), (2, true, &old.current));
        assert_eq!(read, both);
        both.clone().alone().replace(folder.path()).unwrap();
        let read = MasterKey::load(&path).unwrap().unwrap();
        assert_eq!((read.id(), read.is_rotating()), (2, false));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, fs::read_dir(folder.path()).unwrap().count()), (0o600, 1));
        let twice = fs::read_to_string(&path).unwrap().repeat(2);
        assert_eq!(MasterKey::parse(&twice), None, "two keys of one number are none");
    }
}
