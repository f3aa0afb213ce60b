//! Waiting for the disk, beside the thread that writes.
//!
//! # Theory of operation
//! A commit appends to the write-ahead log; it can be promised to nobody before the log is on the disk. SQLite would wait
//! for that within the commit, and the thread that writes with it. Here the log is synced by a thread of its own while
//! the next transaction runs, and only then is anybody told of the first: its callers are answered, its deliveries sent,
//! its listeners woken, in the order of the commits. One transaction may be ahead of the disk, not more: then work
//! gathers, as it did before, and groups stay large. Where nothing else is to be done the thread that writes waits for the
//! disk itself, which saves two switches between threads.
//!
//! Readers see a transaction once it is committed. So that they tell nobody of what a power cut could still undo, a read
//! is answered when all that it may have seen is on the disk ([`OnDisk`]).
//!
//! The bad day: a disk that cannot sync may have dropped what it was given, and says so once. From then on nothing is
//! promised, and nothing written, until the server is started again and reads from the disk what there is.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::{Result, StoreError};

/// What is told of a transaction once it is known whether it is on the disk.
pub(super) type Tell = Box<dyn FnOnce(Result<()>) + Send>;

/// A commit on its way to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Commit {
    number: u64,
    /// Whether there is nothing of it to sync, only what it may have seen.
    is_empty: bool,
}

/// How far the log is on the disk.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    /// Transactions whose commit began.
    begun: AtomicU64,
    /// Those of which it is known how they ended: the first so many.
    ended: watch::Sender<u64>,
    /// Whether the disk failed to sync.
    is_broken: AtomicBool,
}

impl OnDisk {
    /// A commit begins: readers may see it from now on.
    pub(super) fn begin(&self, is_empty: bool) -> Commit {
        Commit { number: self.begun.fetch_add(1, Ordering::AcqRel) + 1, is_empty }
    }

    /// Nothing more will come of that transaction, and of those before.
    fn end(&self, number: u64) {
        self.ended.send_replace(number);
    }

    /// Waits until all that could be read before is on the disk.
    ///
    /// # Errors
    /// It is not known whether it is.
    pub(super) async fn reached(&self) -> Result<()> {
        let seen = self.begun.load(Ordering::Acquire);
        if *self.ended.borrow() < seen {
            // The sender is ours.
            self.ended.subscribe().wait_for(|ended| *ended >= seen).await.ok();
        }
        self.check()
    }

    /// # Errors
    /// The disk failed to sync.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_broken.load(Ordering::Acquire) {
            return Err(StoreError::Database("the disk failed to sync; restart once it is mended".into()));
        }
        Ok(())
    }
}

/// A transaction that is committed, as far as SQLite knows.
struct Committed {
    commit: Commit,
    tell: Tell,
}

/// The log, and what waits for it.
struct Log {
    file: File,
    on_disk: Arc<OnDisk>,
}

impl Log {
    /// Syncs the log and tells of one transaction.
    fn sync(&self, Committed { commit, tell }: Committed) {
        let mut synced = self.on_disk.check();
        if !commit.is_empty {
            synced = synced.and_then(|()| self.file.sync_data().map_err(|error| self.fail(&error)));
        }
        // Before anybody is told: who is told and reads waits for nothing.
        self.on_disk.end(commit.number);
        tell(synced);
    }

    fn fail(&self, error: &io::Error) -> StoreError {
        self.on_disk.is_broken.store(true, Ordering::Release);
        tracing::error!(%error, "the disk failed to sync; nothing is written any more until the server is started again");
        StoreError::Database(error.to_string().into())
    }
}

/// The way of commits to the disk.
pub(super) struct Syncs {
    log: Arc<Log>,
    /// Takes the next one when the one before is on the disk.
    turn: SyncSender<Committed>,
    /// How many the thread has not told of yet.
    under_way: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Syncs {
    /// Starts the thread.
    pub(super) fn start(file: File, on_disk: Arc<OnDisk>) -> Result<Self> {
        let (turn, turns) = sync_channel(0);
        let (log, under_way) = (Arc::new(Log { file, on_disk }), Arc::new(AtomicUsize::new(0)));
        let (own, count) = (Arc::clone(&log), Arc::clone(&under_way));
        let thread = std::thread::Builder::new().name("store-sync".into());
        let thread = thread.spawn(move || run(&own, &turns, &count));
        let thread = thread.map_err(|error| StoreError::Database(Box::new(error)))?;
        Ok(Self { log, turn, under_way, thread })
    }

    /// Tells of a transaction once it is on the disk. `is_alone` when nothing else is to be done meanwhile.
    pub(super) fn sync(&self, commit: Commit, is_alone: bool, tell: Tell) {
        let committed = Committed { commit, tell };
        if is_alone && self.under_way.load(Ordering::Acquire) == 0 {
            self.log.sync(committed);
            return;
        }
        self.under_way.fetch_add(1, Ordering::AcqRel);
        if let Err(refused) = self.turn.send(committed) {
            // Only when the thread panicked.
            self.log.sync(refused.0);
        }
    }

    /// Waits until everything is on the disk and told.
    pub(super) fn end(self) {
        drop(self.turn);
        if self.thread.join().is_err() {
            tracing::warn!("the thread that syncs the log failed");
        }
    }
}

fn run(log: &Log, turns: &Receiver<Committed>, under_way: &AtomicUsize) {
    while let Ok(committed) = turns.recv() {
        log.sync(committed);
        under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::*;

    /// A file that cannot be synced.
    fn broken() -> File {
        let (_, end) = std::io::pipe().unwrap();
        File::from(std::os::fd::OwnedFd::from(end))
    }

    fn start(file: File) -> (Syncs, Arc<OnDisk>) {
        let on_disk = Arc::<OnDisk>::default();
        (Syncs::start(file, Arc::clone(&on_disk)).unwrap(), on_disk)
    }

    #[test]
    fn commits_are_told_in_their_order() {
        let (syncs, on_disk) = start(tempfile::tempfile().unwrap());
        let told = Arc::<Mutex<Vec<(u64, bool)>>>::default();
        for turn in 0..100 {
            let (commit, told) = (on_disk.begin(turn % 5 == 0), Arc::clone(&told));
            let tell = move |synced: Result<()>| told.lock().unwrap().push((commit.number, synced.is_ok()));
            syncs.sync(commit, turn % 3 == 0, Box::new(tell));
        }
        syncs.end();
        assert_eq!(*told.lock().unwrap(), (1..=100).map(|number| (number, true)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_reads_waits_for_what_may_have_been_seen() {
        let (syncs, on_disk) = start(tempfile::tempfile().unwrap());
        on_disk.reached().await.unwrap();
        let commit = on_disk.begin(false);
        let reached = on_disk.reached();
        futures::pin_mut!(reached);
        assert!(reached.as_mut().now_or_never().is_none());
        syncs.sync(commit, false, Box::new(|_| ()));
        reached.await.unwrap();
    }

    #[tokio::test]
    async fn after_a_failure_nothing_is_promised_any_more() {
        let (syncs, on_disk) = start(broken());
        syncs.sync(on_disk.begin(true), true, Box::new(|synced| synced.unwrap()));
        on_disk.reached().await.unwrap();
        for is_alone in [true, false] {
            let (commit, told) = (on_disk.begin(false), Arc::<Mutex<Option<bool>>>::default());
            let tell = Arc::clone(&told);
            syncs.sync(commit, is_alone, Box::new(move |synced| *tell.lock().unwrap() = Some(synced.is_ok())));
            assert!(on_disk.reached().await.is_err());
            assert!(on_disk.check().is_err());
            while told.lock().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            assert_eq!(*told.lock().unwrap(), Some(false));
        }
        syncs.end();
    }
}
