//! The master key: 32 random bytes in a file beside the database, from which everything secret hangs.
//!
//! It seals the signing secrets in the database, and the key of download links is derived from it. The file holds one
//! line, `ID:HEX`; the number tells which key sealed a secret. It is made once, readable by its owner alone, and appears
//! whole or not at all: two programs that start at once on an empty folder agree on the same key.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use reelhook_domain::ambient::Ambient;
use reelhook_signature::hmac_sha256;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "master.key";

/// The key, as read from its file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MasterKey {
    id: u32,
    bytes: [u8; 32],
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl MasterKey {
    /// The key of that data folder, made when there is none.
    pub(crate) fn load_or_create(folder: &Path, ambient: &Ambient) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        if let Some(key) = Self::load(&path)? {
            return Ok(key);
        }
        let key = Self { id: 1, bytes: ambient.random() };
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
                "the master key {} is damaged: it must be one line, a number, a colon and 64 hexadecimal digits; \
                 bring it back from a copy, for the secrets in the database open with nothing else",
                path.display()
            ),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, digits) = text.trim_end().split_once(':')?;
        let bytes = hex::decode(digits).ok()?.try_into().ok()?;
        Some(Self { id: id.parse().ok()?, bytes })
    }

    fn create(&self, folder: &Path, path: &Path) -> io::Result<()> {
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{}:{}", self.id, hex::encode(self.bytes))?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
        fs::File::open(folder)?.sync_all()
    }

    /// The same key in the words of the store.
    pub(crate) fn for_store(&self) -> reelhook_store::MasterKey {
        reelhook_store::MasterKey::new(self.id, self.bytes)
    }

    /// A key for one other purpose, from which the master key cannot be found.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        hmac_sha256(&self.bytes, &[purpose.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
    fn derived_keys_differ_by_purpose_and_debug_shows_none() {
        let key = MasterKey { id: 1, bytes: [7; 32] };
        assert_ne!(key.derive("links"), key.derive("other"));
        assert_eq!(format!("{key:?}"), "MasterKey { id: 1, .. }");
    }
}
