//! Connections that can only read.
//!
//! # Theory of operation
//! A read runs whole on a thread where it may wait for the disk; what it found comes back in one piece, once all that it
//! may have seen is on the disk. A connection is opened when somebody reads and none is free, so an idle server that nobody
//! asks holds none.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::sql::{Query, Row};
use super::syncs::OnDisk;
use crate::{Result, StoreError};

/// Opens one more connection.
type Open = dyn Fn() -> rusqlite::Result<Connection> + Send + Sync;

/// The connections of one store that read.
pub(super) struct Readers {
    open: Arc<Open>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
    most: usize,
    on_disk: Arc<OnDisk>,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("free", &self.places.available_permits()).finish_non_exhaustive()
    }
}

impl Readers {
    /// At most `most` at once, each made by `open`.
    pub(super) fn new(
        most: usize,
        on_disk: Arc<OnDisk>,
        open: impl Fn() -> rusqlite::Result<Connection> + Send + Sync + 'static,
    ) -> Self {
        Self { open: Arc::new(open), idle: Arc::default(), places: Arc::new(Semaphore::new(most)), most, on_disk }
    }

    /// At most so many rows of a query.
    pub(super) async fn fetch(&self, query: Query<'static>, most: usize) -> Result<Vec<Row>> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        let (open, idle) = (Arc::clone(&self.open), Arc::clone(&self.idle));
        let read = tokio::task::spawn_blocking(move || {
            let free = lock(&idle).pop();
            let connection = match free {
                Some(connection) => connection,
                None => open().map_err(|error| shortage().unwrap_or_else(|| error.into()))?,
            };
            let rows = query.fetch(&connection, most);
            lock(&idle).push(connection);
            drop(place);
            rows
        });
        let rows = read.await.map_err(|error| StoreError::Database(Box::new(error)))?;
        self.on_disk.reached().await?;
        rows
    }

    /// Waits for those who read, and closes all connections.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // An error means that they are closed already.
        if let Ok(all) = self.places.acquire_many(all).await {
            lock(&self.idle).clear();
            all.forget();
        }
        self.places.close();
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    // Every change of the list is one call, so a panic elsewhere leaves it whole.
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this process lacks at the moment, if it lacks something: SQLite says that it could not open a file, and not why.
fn shortage() -> Option<StoreError> {
    File::open("/dev/null").err().map(StoreError::OutOfResources)
}

fn closed() -> StoreError {
    StoreError::Database("the database is closed".into())
}
