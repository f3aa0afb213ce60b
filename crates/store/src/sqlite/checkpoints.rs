//! Copying the write-ahead log into the file, beside the thread that writes.
//!
//! # Theory of operation
//! What is committed is in the log; sooner or later it must be copied into the file, so that the log can begin anew. Left
//! to the connection that writes, that happens within a commit, and all who wait for it wait for the copy and its fsync.
//! A thread with a connection of its own does it meanwhile, as far as the log goes. When nobody writes at its end, the next
//! commit begins a new log. On a server that never rests it never gets to the end; when the log has grown to [`MOST`], the
//! writer itself copies what is left, which is little.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;

use crate::{Result, StoreError};

/// Pages of the log from one copy to the next: 16 MiB.
const STEP: i32 = 4096;
/// Pages of the log at which the writer copies the rest: 64 MiB.
const MOST: i32 = 4 * STEP;

/// The thread that copies. It ends when the writer's connection no longer tells it of commits.
#[derive(Debug)]
pub(super) struct Checkpoints(JoinHandle<()>);

impl Checkpoints {
    /// Starts the thread, with `own` to copy by, told of the commits of `writer`.
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
        writer.wal_hook(Some(hook(ask)))?;
        Ok(Self(thread))
    }

    /// Ends the thread, after which `writer` is the only connection of the two.
    pub(super) fn end(self, writer: &mut Connection) {
        let none: Option<fn(&mut Wal, i32) -> rusqlite::Result<()>> = None;
        if writer.wal_hook(none).is_ok() && self.0.join().is_err() {
            tracing::warn!("the thread that copies the log failed");
        }
    }
}

/// What the writer does after a commit that made the log so many pages long.
fn hook(ask: SyncSender<()>) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send + 'static {
    let mut asked_at = 0;
    move |wal, pages| {
        if pages < asked_at {
            asked_at = 0;
        }
        if pages >= MOST {
            // Where somebody else copies at this moment, the next commit tries again. The commit was made either way.
            wal.checkpoint().ok();
        } else if pages - asked_at >= STEP {
            asked_at = pages;
            // When it is still busy, it is asked again after the next step.
            ask.try_send(()).ok();
        }
        Ok(())
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
        let checkpoints = Checkpoints::start(&mut writer, own).unwrap();
        writer.execute_batch("create table t (x blob)").unwrap();
        for _ in 0..40 {
            // 1,000 pages each, 160 MiB in all.
            writer.execute_batch("insert into t values (zeroblob(4096000))").unwrap();
        }
        let log = std::fs::metadata(folder.path().join("c.db-wal")).unwrap().len();
        assert!(log < 100 << 20, "{log} bytes");
        checkpoints.end(&mut writer);
        let (pages, copied) = log_pages(&writer);
        assert_eq!(pages, copied);
        let rows: i64 = writer.query_row("select count(*) from t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 40);
    }
}
