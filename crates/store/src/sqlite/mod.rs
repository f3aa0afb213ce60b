//! SQLite: everything in one file, for one machine.
//!
//! # Theory of operation
//! One thread owns the only connection that writes (`writer`); everybody else sends it closures and waits. It runs all
//! that are waiting in one transaction and commits once, so that many callers share one fsync, and nobody is answered
//! before that (`syncs`). A few connections that can only read serve the rest; thanks to the write-ahead log they never
//! wait for the writer.
//!
//! Another process may have the same file open (`reelhook keys create` beside a running server): every transaction
//! begins with the write lock (`begin immediate`), waits for it, and so reads what the other one wrote.
//!
//! The bad day: a process that dies before the commit has changed nothing and answered nobody; one that dies after
//! it has changed everything, and whoever asks again is told so by the row's state, token or idempotency key.

mod accounts;
mod asked;
mod bodies;
mod checkpoints;
mod confirm;
mod credits;
mod deliveries;
mod endpoints;
mod erasure;
mod events;
mod fanout;
mod jobs;
#[cfg(test)]
mod list_plans;
mod lists;
mod meter;
mod migrations;
mod origins;
#[cfg(test)]
mod plans;
mod publish;
mod quotas;
mod readers;
mod recover;
mod retention;
mod rotation;
mod rows;
mod sending;
mod settings;
mod sql;
mod submit;
mod syncs;
mod uploads;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use reelhook_domain::ambient::Ambient;
use reelhook_domain::measure::Family;
use reelhook_domain::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use crate::vault::{MasterKeys, Vault};
use crate::wakes::Wakes;
use crate::{Result, Store, StoreError};

use asked::Partners;
use checkpoints::Checkpoints;
use meter::Meter;
use readers::Readers;
use syncs::{OnDisk, Syncs};
use writer::{Tx, Writer};

/// How long a connection waits for another process's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Most connections that read at once.
const READERS: usize = 4;
/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;
/// Memory for pages of the writer and of each reader, in KiB.
const WRITER_CACHE_KIB: u32 = 4096;
const READER_CACHE_KIB: u32 = 1024;
/// What is sealed to tell a wrong master key, and for whom.
const SEAL_TEXT: &str = "reelhook";
const SEAL_OWNER: &[u8] = b"keeper";

/// All that is kept, in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    ambient: Ambient,
    vault: Vault,
    wakes: Wakes,
    partners: Partners,
    meter: Arc<Meter>,
    /// When it was last looked for what is due, in milliseconds; at first in the far future, so that the first look takes the
    /// clock for one that was put back while no process ran.
    looked: AtomicI64,
}

impl SqliteStore {
    /// Opens the database at `path`, which is made (readable by its owner alone) when there is none, and brings its
    /// tables up to date. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when none of `keys` is the one of the database, or a newer version made it.
    pub async fn open(path: &Path, keys: impl Into<MasterKeys>, ambient: Ambient) -> Result<Arc<Self>> {
        let vault = Vault::new(keys, ambient.clone());
        let (file, sealing) = (path.to_owned(), vault.clone());
        // Whoever waits for another process's lock waits here.
        let opened = tokio::task::spawn_blocking(move || -> Result<_> {
            create_private(&file).map_err(|error| StoreError::Database(Box::new(error)))?;
            let mut connection = connect(&file)?;
            use_log(&connection)?;
            connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
            prepare(&mut connection, &sealing)?;
            // From here on the log is synced beside the commits.
            connection.pragma_update(None, "synchronous", "normal")?;
            let log = open_log(&file).map_err(|error| StoreError::Database(Box::new(error)))?;
            let checkpoints = Checkpoints::start(&mut connection, connect(&file)?)?;
            Ok((connection, checkpoints, log))
        });
        let (connection, checkpoints, log) = opened.await.map_err(|error| StoreError::Database(Box::new(error)))??;

        let file = path.to_owned();
        let on_disk = Arc::new(OnDisk::default());
        let readers = Readers::new(READERS, Arc::clone(&on_disk), move || {
            let connection = connect(&file)?;
            connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE_KIB))?;
            connection.pragma_update(None, "query_only", "on")?;
            Ok(connection)
        });
        let wakes = Wakes::default();
        let meter = Arc::new(Meter::default());
        let partners = Partners::default();
        let tx = Tx::new(connection, ambient.clone(), vault.clone(), partners.clone(), Arc::clone(&on_disk));
        let syncs = Syncs::start(log, on_disk)?;
        let writer = Writer::start(tx, checkpoints, syncs, wakes.clone(), Arc::clone(&meter))?;
        Ok(Arc::new(Self { writer, readers, ambient, vault, wakes, partners, meter, looked: AtomicI64::new(i64::MAX) }))
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
        F: FnOnce(&mut Tx) -> Result<T> + Send + 'static,
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
        let mut families = self.meter.families();
        families.push(self.partners.limits.family());
        families
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

/// The write-ahead log of the file, to be synced. It is there as long as a connection is.
fn open_log(path: &Path) -> std::io::Result<std::fs::File> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::File::open(log)
}

/// A connection to the file, with what all of them have in common.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

/// Switches to the write-ahead log. Where another process does so at this moment SQLite gives up at once, whatever the
/// timeout says.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Brings the tables up to date and checks the master key, under one lock: two processes may start at once.
fn prepare(connection: &mut Connection, vault: &Vault) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrations::run(&transaction)?;
    let seal = transaction.query_row("select seal from keeper", [], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    match seal {
        Some(seal) => {
            vault.open(SEAL_OWNER, &seal).map_err(|_| {
                StoreError::corrupt("secrets", &"the master key given is not the one that this database was made with")
            })?;
        }
        None => {
            let seal = vault.seal(SEAL_OWNER, SEAL_TEXT);
            transaction.execute("insert into keeper (one, seal) values (1, ?)", [seal])?;
        }
    }
    Ok(transaction.commit()?)
}
