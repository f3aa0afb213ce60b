//! Copying the write-ahead log into the file, beside the thread that writes.
//!
//! # Theory of operation
//! What is committed is in the log; sooner or later it must be copied into the file, so that the log can begin anew. Left
//! to the connection that writes, that happens within a commit, and all who wait for it wait for the copy and its fsync.
//! A thread with a connection of its own does it meanwhile, as far as the log goes: soon and in small pieces when the
//! writer has nothing else to do, and in larger ones, which are cheaper, when it has. When nobody writes at its end, the
//! next commit begins a new log. On a server that never rests it never gets to the end; when the log has grown to
//! [`MOST`], the writer itself copies what is left, which is little.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;

use crate::{Result, StoreError};

/// Pages of the log from one copy to the next while the writer is idle: 1 MiB.
const SMALL_STEP: i32 = 256;
/// The same while it is busy: 16 MiB.
const STEP: i32 = 4096;
/// Pages of the log at which the writer copies the rest: 64 MiB.
const MOST: i32 = 4 * STEP;

/// The thread that copies.
#[derive(Debug)]
pub(super) struct Checkpoints {
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
    /// How long the log was after the last commit.
    pages: Arc<AtomicI32>,
    /// How long it was when the thread was last asked.
    asked_at: i32,
}

impl Checkpoints {
    /// Starts the thread, with `own` to copy by. It copies the log of `writer`.
    pub(super) fn start(writer: &mut Connection, own: Connection) -> Result<Self> {
        let (ask, asked) = sync_channel(1);
        let body = move || {
            while asked.recv().is_ok() {
                if let Err(error) = own.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
                    tracing::warn!(%error, "the log was not copied into the database; trying again later");
                }
            }
        };
        let thread = std::thread::Builder::new().name("store-checkpoint".into());
        let thread = thread.spawn(body).map_err(|error| StoreError::Database(Box::new(error)))?;
        let pages = Arc::new(AtomicI32::new(0));
        let noted = Arc::clone(&pages);
        writer.wal_hook(Some(move |wal: &mut Wal, pages: i32| {
            noted.store(pages, Ordering::Relaxed);
            if pages >= MOST {
                // Where somebody else copies at this moment, the next commit tries again. The commit was made either way.
                wal.checkpoint().ok();
            }
            Ok(())
        }))?;
        Ok(Self { ask, thread, pages, asked_at: 0 })
    }

    /// Has the thread copy what there is, if that is enough to be worth it.
    pub(super) fn after_commit(&mut self, is_idle: bool) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.asked_at {
            self.asked_at = 0;
        }
        let step = if is_idle { SMALL_STEP } else { STEP };
        if pages - self.asked_at >= step {
            self.asked_at = pages;
            // When it is still busy, it is asked again after the next step.
            self.ask.try_send(()).ok();
        }
    }

    /// Ends the thread, after which `writer` is the only connection of the two.
    pub(super) fn end(self) {
        drop(self.ask);
        if self.thread.join().is_err() {
            tracing::warn!("the thread that copies the log failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_pages(connection: &Connection) -> (i32, i32) {
        connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE).unwrap()
    }

    #[test]
    fn the_log_is_copied_beside_the_writer_and_never_grows_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.db");
        let mut writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        let own = Connection::open(&path).unwrap();
        let mut checkpoints = Checkpoints::start(&mut writer, own).unwrap();
        writer.execute_batch("create table t (x blob)").unwrap();
        for number in 0..40 {
            // 1,000 pages each, 160 MiB in all.
            writer.execute_batch("insert into t values (zeroblob(4096000))").unwrap();
            checkpoints.after_commit(number % 2 == 0);
        }
        let log = std::fs::metadata(folder.path().join("c.db-wal")).unwrap().len();
        assert!(log < 100 << 20, "{log} bytes");
        checkpoints.end();
        let (pages, copied) = log_pages(&writer);
        assert_eq!(pages, copied);
        let rows: i64 = writer.query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 40);
    }
}
