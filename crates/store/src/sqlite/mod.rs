//! SQLite: everything in one file, for one machine.
//!
//! # Theory of operation
//! One task owns the only connection that writes (`writer`); everybody else sends it closures and waits. It runs all
//! that are waiting in one transaction and commits once, so that many callers share one fsync, and it answers only
//! after the commit. A few connections that can only read serve the rest; thanks to the write-ahead log they never
//! wait for the writer.
//!
//! Another process may have the same file open (`reelhook keys create` beside a running server): every transaction
//! begins with the write lock (`begin immediate`), waits for it, and so reads what the other one wrote.
//!
//! The bad day: a process that dies before the commit has changed nothing and answered nobody; one that dies after
//! it has changed everything, and whoever asks again is told so by the row's state, token or idempotency key.

mod accounts;
mod confirm;
mod credits;
mod deliveries;
mod endpoints;
mod erasure;
mod events;
mod fanout;
mod jobs;
mod many;
mod meter;
mod origins;
#[cfg(test)]
mod plans;
mod publish;
mod recover;
mod retention;
mod rotation;
mod rows;
mod sending;
mod settings;
mod submit;
mod uploads;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::measure::Family;
use reelhook_domain::time::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use crate::vault::{MasterKeys, Vault};
use crate::wakes::Wakes;
use crate::{Result, Store, StoreError};

use meter::Meter;
use writer::{Tx, Writer};

/// How long a connection waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many rows a connection's thread may be ahead of whoever reads them: as many as the largest batch has, because each
/// time it has to wait costs two switches between threads.
const ROWS_ON_THE_WAY: usize = 1024;
/// Most connections that read at once.
const READERS: u32 = 4;
/// Memory for pages of the writer and of each reader, in KiB.
const WRITER_CACHE_KIB: u32 = 4096;
const READER_CACHE_KIB: u32 = 1024;
/// Pages in the write-ahead log before it is copied into the file: 16 MiB, so that a busy server pays the copy's fsync
/// once for some thousand changes.
const CHECKPOINT_PAGES: &str = "4096";
/// What is sealed to tell a wrong master key, and for whom.
const SEAL_TEXT: &str = "reelhook";
const SEAL_OWNER: &[u8] = b"keeper";

/// All that is kept, in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    ambient: Ambient,
    vault: Vault,
    wakes: Wakes,
    meter: Arc<Meter>,
}

impl SqliteStore {
    /// Opens the database at `path`, which is made (readable by its owner alone) when there is none, and brings its
    /// tables up to date. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when none of `keys` is the one of the database, or a newer version made it.
    pub async fn open(path: &Path, keys: impl Into<MasterKeys>, ambient: Ambient) -> Result<Arc<Self>> {
        create_private(path).map_err(|error| StoreError::Database(Box::new(error)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_ON_THE_WAY)
            .pragma("temp_store", "memory")
            .disable_statement_logging();
        let vault = Vault::new(keys, ambient.clone());

        let writing = options
            .clone()
            .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let mut connection = SqliteConnection::connect_with(&writing).await?;
        prepare(&mut connection, &vault).await?;

        let reading = options.pragma("cache_size", format!("-{READER_CACHE_KIB}")).pragma("query_only", "on");
        // Opened when somebody reads, closed when nobody did for a while: an idle server holds one connection.
        let readers = SqlitePoolOptions::new()
            .min_connections(0)
            .max_connections(READERS)
            .idle_timeout(Duration::from_secs(60))
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(reading);

        let wakes = Wakes::default();
        let meter = Arc::new(Meter::default());
        let tx = Tx::new(connection, ambient.clone(), vault.clone());
        let writer = Writer::start(tx, wakes.clone(), Arc::clone(&meter));
        Ok(Arc::new(Self { writer, readers, ambient, vault, wakes, meter }))
    }

    /// Waits until all that was accepted is written, then closes the file. Whoever writes afterwards gets an error.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    /// Runs `work` in a transaction that other callers may share, and answers after its commit.
    ///
    /// # Cancel safety
    /// When the future is dropped, the work is done in whole or not at all.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writer.write(work).await
    }

    fn now(&self) -> Timestamp {
        self.ambient.now()
    }
}

impl Store for SqliteStore {
    fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    fn families(&self) -> Vec<Family> {
        self.meter.families()
    }
}

/// Makes the file where there is none, for its owner's eyes only; SQLite gives its companions the same rights.
///
/// A file that exists is not opened here: closing it again would end the locks that this process holds on it.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// Brings the tables up to date and checks the master key, under one lock: two processes may start at once.
async fn prepare(connection: &mut SqliteConnection, vault: &Vault) -> Result<()> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let migrated = sqlx::migrate!("./migrations/sqlite").run_direct(None, &mut *transaction, false).await;
    migrated.map_err(|error| match error {
        error @ (sqlx::migrate::MigrateError::VersionMissing(_) | sqlx::migrate::MigrateError::VersionMismatch(_)) => {
            StoreError::corrupt("schema", &format_args!("it was made by another version of Reelhook ({error})"))
        }
        error => StoreError::from(sqlx::Error::from(error)),
    })?;
    let seal: Option<Vec<u8>> = sqlx::query_scalar("select seal from keeper").fetch_optional(&mut *transaction).await?;
    match seal {
        Some(seal) => {
            vault.open(SEAL_OWNER, &seal).map_err(|_| {
                StoreError::corrupt("secrets", &"the master key given is not the one that this database was made with")
            })?;
        }
        None => {
            let seal = vault.seal(SEAL_OWNER, SEAL_TEXT);
            sqlx::query("insert into keeper (one, seal) values (1, ?)").bind(seal).execute(&mut *transaction).await?;
        }
    }
    Ok(transaction.commit().await?)
}
