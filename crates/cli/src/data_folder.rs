//! The data folder: everything the server keeps, in one place that only its owner may enter.
//!
//! It holds the database, the master key, the files, and a lock that is held as long as a server runs on it: two servers
//! would void each other's leases. Commands that only read or add a row go without the lock.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reelhook_domain::ambient::Ambient;
use reelhook_store::sqlite::SqliteStore;

use crate::exit::Exit;
use crate::master_key::{self, MasterKey};
use crate::output;

/// The file of the database, in the folder.
const DATABASE: &str = "reelhook.db";

/// How long the lock of a folder is waited for, and how long before it is tried again.
const DYING: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(20);

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder(PathBuf);

/// Which data folder a command works on, and how it answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The data folder of the server
    #[arg(long, env = "REELHOOK_DATA", hide_env_values = true, value_name = "DIR", default_value = "./reelhook-data")]
    data: PathBuf,
    /// Print JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl Place {
    /// The folder. One without a server's data is an error: a mistyped folder should not look like an empty server.
    pub(crate) fn folder(&self) -> anyhow::Result<DataFolder> {
        let folder = DataFolder::at(&self.data).ok().filter(|folder| folder.database().is_file());
        folder.ok_or_else(|| {
            Exit::Usage.error(format_args!(
                "there is no server data in {} (no {DATABASE}): give the data folder of the server with --data or \
                 REELHOOK_DATA. `reelhook serve --data DIR` creates one",
                self.data.display()
            ))
        })
    }

    /// Opens what is kept there.
    pub(crate) async fn open(&self, ambient: &Ambient) -> anyhow::Result<Arc<SqliteStore>> {
        Ok(self.folder()?.open(ambient).await?.0)
    }

    /// What names the folder in a command that is printed, as a shell reads it.
    pub(crate) fn flag(&self) -> String {
        flag(&self.data)
    }
}

/// `--data` with that folder, as a shell reads it from wherever it is.
pub(crate) fn flag(data: &Path) -> String {
    let path = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    format!("--data {}", output::shell_word(&path.to_string_lossy()))
}

/// Proof that no other server uses the folder; until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "holding the file is holding the lock")] File);

impl DataFolder {
    /// The folder at that path, made (for its owner alone) when it is missing.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("the data folder {} cannot be created", path.display()))?;
        Self::at(path)
    }

    /// The folder at that path.
    pub(crate) fn at(path: &Path) -> anyhow::Result<Self> {
        let path =
            fs::canonicalize(path).with_context(|| format!("the data folder {} does not exist", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// Whether there is a database. An empty file is what a start leaves that ended early.
    pub(crate) fn has_database(&self) -> bool {
        fs::metadata(self.database()).is_ok_and(|found| found.len() > 0)
    }

    /// The files of jobs and uploads.
    pub(crate) fn files(&self) -> PathBuf {
        self.0.join("files")
    }

    /// The file of the master key.
    pub(crate) fn master_key(&self) -> PathBuf {
        self.0.join(master_key::FILE)
    }

    /// Takes the lock of the folder.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.0.join("reelhook.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("the lock {} cannot be opened", path.display()))?;
        let end = Instant::now() + DYING;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                // A child that a killed server was about to start holds the lock too, until it runs its program or dies.
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(AGAIN),
                Err(TryLockError::WouldBlock) => bail!(
                    "another server runs on {}; stop it first, or give this one a folder of its own with --data",
                    self.0.display()
                ),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("the lock {} cannot be taken", path.display()));
                }
            }
        }
    }

    /// Opens the database, made with its master key when there is none.
    pub(crate) async fn open(&self, ambient: &Ambient) -> anyhow::Result<(Arc<SqliteStore>, MasterKey)> {
        if !self.master_key().exists() && self.has_database() {
            bail!(
                "{} is missing; restore it from a backup: without it, the secrets in the database {} cannot be decrypted",
                self.master_key().display(),
                self.database().display()
            );
        }
        let key = MasterKey::load_or_create(&self.0, ambient)?;
        Ok((self.open_with(&key, ambient).await?, key))
    }

    /// Opens the database with that master key.
    pub(crate) async fn open_with(&self, key: &MasterKey, ambient: &Ambient) -> anyhow::Result<Arc<SqliteStore>> {
        let database = self.database();
        let store = SqliteStore::open(&database, key.for_store(), ambient.clone()).await;
        store.with_context(|| format!("the database {} cannot be opened", database.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_master_key_that_is_missing_beside_a_database_is_named_and_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::at(parent.path()).unwrap();
        fs::write(folder.database(), "something").unwrap();
        let error = folder.open(&crate::ambient::system()).await.unwrap_err().to_string();
        assert!(error.contains("master.key is missing; restore it"), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "nothing was written");
        assert_eq!(fs::read_to_string(folder.database()).unwrap(), "something");
    }

    #[test]
    fn a_folder_is_its_owners_and_one_servers() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = DataFolder::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let lock = folder.lock().unwrap();
        assert!(folder.lock().unwrap_err().to_string().contains("another server"));
        drop(lock);
        folder.lock().unwrap();
    }
}
