//! The one thread that writes: group commit.
//!
//! # Theory of operation
//! Callers send work by a bounded channel. The thread, which has the connection to itself, takes all that waits (up to
//! [`BATCH`]), opens one transaction, runs each piece between savepoints so that one that fails takes back only its own
//! changes, and commits once. Once that is on the disk ([`Syncs`]), those who listen are woken and the callers answered.
//! While a commit waits for the disk the next one is made, and then a batch gathers: the slower the disk, the larger the
//! groups. Events that callers publish, which is what there is most of, become one piece, however many callers they are of.
//!
//! The bad day: when the commit or its sync fails, or SQLite gives up the transaction midway (a full disk), every piece of
//! the batch that did well so far is told that it did not, because nothing of it was kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use reelhook_domain::ambient::Ambient;
use reelhook_domain::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::asked::Partners;
use super::checkpoints::Checkpoints;
use super::meter::Meter;
use super::publish;
use super::syncs::{Commit, OnDisk, Syncs};
use crate::vault::Vault;
use crate::wakes::{Topic, Wakes};
use crate::{NewEvent, Result, StoreError};

/// Most pieces of work in one transaction.
const BATCH: usize = 256;
/// Events enough for one transaction: the next begins while these are on their way.
const EVENTS: usize = 256;
/// Most pieces that wait; more callers wait to send.
const WAITING: usize = 1024;

/// An open transaction of the writer.
pub(super) struct Tx {
    connection: Connection,
    ambient: Ambient,
    vault: Vault,
    partners: Partners,
    topics: Vec<Topic>,
    afterwards: Vec<Box<dyn FnOnce() + Send>>,
    on_disk: Arc<OnDisk>,
    /// The commit that was begun last, until it is taken.
    begun: Option<Commit>,
}

impl Tx {
    pub(super) const fn new(
        connection: Connection,
        ambient: Ambient,
        vault: Vault,
        partners: Partners,
        on_disk: Arc<OnDisk>,
    ) -> Self {
        Self { connection, ambient, vault, partners, topics: Vec::new(), afterwards: Vec::new(), on_disk, begun: None }
    }

    /// Where SQL is sent.
    pub(super) const fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(super) const fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    pub(super) const fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    pub(super) const fn partners(&self) -> &Partners {
        &self.partners
    }

    /// Notes what shall be done once this is on the disk, before anybody is answered.
    pub(super) fn after_commit(&mut self, act: impl FnOnce() + Send + 'static) {
        self.afterwards.push(Box::new(act));
    }

    /// Notes who shall be woken once this is on the disk.
    pub(super) fn wake(&mut self, topic: Topic) {
        if !self.topics.contains(&topic) {
            self.topics.push(topic);
        }
    }

    /// What is deleted from now on shall not be found in pages that are free.
    pub(super) fn forget_for_good(&mut self) -> Result<()> {
        self.command("pragma secure_delete = on")
    }

    fn command(&mut self, sql: &'static str) -> Result<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// Takes back what failed work changed. When SQLite gave up the whole transaction before, as it does on a full disk,
    /// there is nothing to go back to: then the work's error is everybody's.
    fn take_back(&mut self, sql: &'static str, error: StoreError) -> Result<()> {
        self.command(sql).map_err(|_| error)
    }

    /// Runs work whose failure is its own: what it changed is taken back then, and the rest goes on.
    ///
    /// # Errors
    /// SQLite gave up the whole transaction.
    pub(super) fn apart<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<Result<T>> {
        let (topics, afterwards) = (self.topics.len(), self.afterwards.len());
        self.command("savepoint apart")?;
        match work(self) {
            Ok(done) => self.command("release apart").map(|()| Ok(done)),
            Err(error) => {
                self.forget_promises(topics, afterwards);
                self.take_back("rollback to apart; release apart", error.shared())?;
                Ok(Err(error))
            }
        }
    }

    /// Keeps so many of what is to be told and done after the commit.
    fn forget_promises(&mut self, topics: usize, afterwards: usize) {
        self.topics.truncate(topics);
        self.afterwards.truncate(afterwards);
    }

    /// Runs a batch in one transaction. An error means that nothing of it was kept.
    fn commit(&mut self, batch: &mut [Box<dyn Work>]) -> Result<()> {
        self.forget_promises(0, 0);
        let done = self.on_disk.check().and_then(|()| self.attempt(batch));
        if done.is_err() {
            self.forget_promises(0, 0);
            // SQLite may have given up the transaction by itself; then there is nothing to roll back.
            self.command("rollback").ok();
        }
        done
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Work>]) -> Result<()> {
        let changes = self.connection.total_changes();
        if let [only] = batch {
            self.command("begin immediate")?;
            if let Err(error) = only.run(self) {
                self.forget_promises(0, 0);
                return self.take_back("rollback", error);
            }
        } else {
            self.command("begin immediate; savepoint work")?;
            for work in batch {
                let (topics, afterwards) = (self.topics.len(), self.afterwards.len());
                match work.run(self) {
                    Ok(()) => self.command("release work; savepoint work")?,
                    Err(error) => {
                        self.forget_promises(topics, afterwards);
                        self.take_back("rollback to work", error)?;
                    }
                }
            }
        }
        fail::fail_point!("store.before_commit");
        let is_empty = self.connection.total_changes() == changes;
        self.begun = Some(self.on_disk.begin(is_empty));
        self.command("commit")?;
        fail::fail_point!("store.after_commit");
        Ok(())
    }
}

/// A piece of work and whoever waits for its end.
trait Work: Send {
    /// How many wait for it.
    fn callers(&self) -> usize;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Runs it. An error, which its caller is told too, means that its changes shall be taken back.
    fn run(&mut self, tx: &mut Tx) -> Result<()>;
    /// Tells its caller, after the commit: `Err` when the commit failed.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

/// Events that one caller publishes.
struct Publication {
    events: Vec<NewEvent>,
    reply: oneshot::Sender<Result<()>>,
}

/// All that is published with one commit.
struct Publishing {
    publications: Vec<Publication>,
    /// Why they could not be written.
    error: Option<StoreError>,
}

impl Work for Publishing {
    fn callers(&self) -> usize {
        self.publications.len()
    }

    fn is_abandoned(&self) -> bool {
        self.publications.is_empty()
    }

    fn run(&mut self, tx: &mut Tx) -> Result<()> {
        let mut events = Vec::with_capacity(self.publications.iter().map(|one| one.events.len()).sum());
        self.publications.iter_mut().for_each(|one| events.append(&mut one.events));
        publish::publish(tx, events).inspect_err(|error| self.error = Some(error.shared()))
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        for publication in self.publications {
            let result = match (committed, &self.error) {
                (Ok(()), None) => Ok(()),
                (_, Some(error)) | (Err(error), None) => Err(error.shared()),
            };
            // Nobody to tell: the caller went away, which changes nothing.
            publication.reply.send(result).ok();
        }
    }
}

/// What the writer is sent.
enum Order {
    Work(Box<dyn Work>),
    Publish(Publication),
}

struct Piece<T, F> {
    work: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Work for Piece<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx) -> Result<T> + Send,
{
    fn callers(&self) -> usize {
        1
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, tx: &mut Tx) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let result = work(tx);
        let run = result.as_ref().map(drop).map_err(StoreError::shared);
        self.result = Some(result);
        run
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) | (Err(_), Some(result @ Err(_))) => result,
            (Err(error), _) => Err(error.shared()),
            (Ok(()), None) => Err(StoreError::Database("the work was not run".into())),
        };
        // Nobody to tell: the caller went away, which changes nothing.
        self.reply.send(result).ok();
    }
}

/// The way to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    // Taken when closed, which ends the thread once it did what was sent before.
    inbox: std::sync::Mutex<Option<mpsc::Sender<Order>>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Writer {
    /// Starts the thread. It ends when this is closed or dropped.
    pub(super) fn start(
        tx: Tx,
        checkpoints: Checkpoints,
        syncs: Syncs,
        wakes: Wakes,
        meter: Arc<Meter>,
    ) -> Result<Self> {
        let (inbox, work) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("store-writer".into());
        let body = move || {
            let connection = run(tx, work, &syncs, &wakes, &meter);
            syncs.end();
            close(connection, checkpoints);
            // Nobody may wait for it.
            end.send(()).ok();
        };
        thread.spawn(body).map_err(|error| StoreError::Database(Box::new(error)))?;
        Ok(Self { inbox: std::sync::Mutex::new(Some(inbox)), ended: Mutex::new(Some(ended)) })
    }

    /// Sends work and waits for its commit.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    {
        self.send(|reply| Order::Work(Box::new(Piece { work: Some(work), result: None, reply }))).await
    }

    /// Writes events that are not the change of a job, together with those of other callers.
    pub(super) async fn publish(&self, events: Vec<NewEvent>) -> Result<()> {
        self.send(|reply| Order::Publish(Publication { events, reply })).await
    }

    async fn send<T>(&self, order: impl FnOnce(oneshot::Sender<Result<T>>) -> Order) -> Result<T> {
        let stopped = || StoreError::Database("the database is closed".into());
        let inbox = self.inbox.lock().map_err(|_| stopped())?.clone().ok_or_else(stopped)?;
        let (reply, answer) = oneshot::channel();
        inbox.send(order(reply)).await.map_err(|_| stopped())?;
        drop(inbox);
        answer.await.map_err(|_| stopped())?
    }

    /// Waits until all that was sent is written, then ends the thread.
    pub(super) async fn close(&self) {
        if let Ok(mut inbox) = self.inbox.lock() {
            inbox.take();
        }
        if let Some(ended) = self.ended.lock().await.take() {
            ended.await.ok();
        }
    }
}

fn run(mut tx: Tx, mut inbox: mpsc::Receiver<Order>, syncs: &Syncs, wakes: &Wakes, meter: &Arc<Meter>) -> Connection {
    let mut orders = VecDeque::new();
    let mut came = Vec::with_capacity(BATCH);
    while !orders.is_empty() || inbox.blocking_recv_many(&mut came, BATCH) > 0 {
        orders.extend(came.drain(..));
        while orders.len() < BATCH
            && let Ok(order) = inbox.try_recv()
        {
            orders.push_back(order);
        }
        let mut batch = pieces(&mut orders);
        if batch.is_empty() {
            continue;
        }
        let began = Instant::now();
        let committed = tx.commit(&mut batch);
        if let Err(error) = &committed {
            tracing::error!(error = %error, work = batch.len(), "nothing of a batch was written");
        }
        let is_alone =
            batch.iter().map(|work| work.callers()).sum::<usize>() == 1 && orders.is_empty() && inbox.is_empty();
        let (wakes, meter, begun) = (wakes.clone(), Arc::clone(meter), tx.begun.take());
        let (topics, afterwards) = (std::mem::take(&mut tx.topics), std::mem::take(&mut tx.afterwards));
        let tell = move |synced: Result<()>| {
            let written = committed.and(synced);
            meter.wrote(batch.len(), began.elapsed(), written.is_ok());
            if written.is_ok() {
                for act in afterwards {
                    act();
                }
                // Before the answers: whoever was told that something changed finds everybody else told as well.
                for topic in topics {
                    wakes.wake(topic);
                }
            }
            for work in batch {
                work.answer(&written);
            }
        };
        match begun {
            Some(commit) => syncs.sync(commit, is_alone, Box::new(tell)),
            // It came to no commit.
            None => tell(Ok(())),
        }
    }
    tx.connection
}

/// Closes the connection as the last of the two, which leaves the file without a log.
fn close(mut connection: Connection, checkpoints: Checkpoints) {
    checkpoints.end(&mut connection);
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database was not closed in order");
    }
}

/// The pieces of one transaction: what somebody still waits for, up to the events that are enough for one.
fn pieces(orders: &mut VecDeque<Order>) -> Vec<Box<dyn Work>> {
    let mut pieces: Vec<Box<dyn Work>> = Vec::with_capacity(orders.len());
    let mut publications = Vec::new();
    let mut events = 0;
    while events < EVENTS
        && let Some(order) = orders.pop_front()
    {
        match order {
            Order::Work(work) => pieces.push(work),
            Order::Publish(publication) if publication.reply.is_closed() => {}
            Order::Publish(publication) => {
                events += publication.events.len();
                publications.push(publication);
            }
        }
    }
    pieces.push(Box::new(Publishing { publications, error: None }));
    pieces.retain(|work| !work.is_abandoned());
    pieces
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use futures::future::join_all;
    use reelhook_domain::ambient::{Clock, Dice};

    use super::*;
    use crate::MasterKey;
    use crate::sqlite::SqliteStore;
    use crate::sqlite::sql::query;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }
    }

    impl Dice for Still {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(4);
        }
    }

    async fn store() -> (tempfile::TempDir, Arc<SqliteStore>) {
        let folder = tempfile::tempdir().unwrap();
        let ambient = Ambient::new(Arc::new(Still), Arc::new(Still));
        let store = SqliteStore::open(&folder.path().join("w.db"), MasterKey::new(1, [1; 32]), ambient).await.unwrap();
        (folder, store)
    }

    /// Writes an account with a name of that many letters, then fails if asked to.
    async fn write(store: &SqliteStore, id: u8, letters: i64, then: Result<()>) -> Result<()> {
        let work = move |tx: &mut Tx| {
            let insert = query("insert into accounts (id, name, created_at) values (?, hex(zeroblob(? / 2)), 0)");
            insert.bind([id; 16]).bind(letters).run(tx)?;
            tx.wake(Topic::Event);
            then
        };
        store.write(work).await
    }

    /// Holds the writer up while `others` send their work, so that all of it goes together.
    async fn together<T>(store: &SqliteStore, others: impl Future<Output = T>) -> T {
        let (begun, has_begun) = oneshot::channel();
        let (go, gate) = std::sync::mpsc::channel();
        let first = store.write(move |_| {
            begun.send(()).ok();
            gate.recv().ok();
            Ok(())
        });
        let rest = async {
            has_begun.await.unwrap();
            // Polled in this order.
            futures::join!(others, async move { go.send(()).unwrap() }).0
        };
        let (first, others) = futures::join!(first, rest);
        first.unwrap();
        others
    }

    async fn accounts(store: &SqliteStore) -> i64 {
        query("select count(*) from accounts").read_one(&store.readers).await.unwrap().only().unwrap()
    }

    async fn limit_pages(store: &SqliteStore, sql: &'static str) {
        store.write(move |tx| tx.command(sql)).await.unwrap();
    }

    #[tokio::test]
    async fn of_a_batch_only_what_failed_is_taken_back() {
        let (_folder, store) = store().await;
        let results = join_all((0..100).map(|id| {
            let then = if id % 3 == 0 { Err(StoreError::NotFound) } else { Ok(()) };
            write(&store, id, 10, then)
        }));
        let results = together(&store, results).await;
        assert!(results.iter().enumerate().all(|(id, result)| result.is_err() == (id % 3 == 0)));
        assert_eq!(accounts(&store).await, 66);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let (_folder, store) = store().await;
        together(&store, async {
            let write = write(&store, 1, 10, Ok(()));
            futures::pin_mut!(write);
            assert!(futures::poll!(write).is_pending());
        })
        .await;
        write(&store, 2, 10, Ok(())).await.unwrap();
        assert_eq!(accounts(&store).await, 1);
    }

    #[tokio::test]
    async fn a_full_disk_is_told_apart_and_changes_nothing() {
        let (_folder, store) = store().await;
        limit_pages(&store, "pragma max_page_count = 1").await;
        let mut wake = store.wakes.listen(Topic::Event);
        assert!(matches!(write(&store, 0, 1_000_000, Ok(())).await, Err(StoreError::Full)));
        // SQLite gives up the whole transaction, so those who shared it are told the same.
        let results = join_all((1..20).map(|id| write(&store, id, if id == 10 { 1_000_000 } else { 10 }, Ok(()))));
        let results = together(&store, results).await;
        assert!(results.iter().all(|result| matches!(result, Err(StoreError::Full))), "{results:?}");
        assert_eq!(accounts(&store).await, 0);
        assert!(wake.wait().now_or_never().is_none(), "nobody is woken for nothing");

        limit_pages(&store, "pragma max_page_count = 100000").await;
        write(&store, 0, 1_000_000, Ok(())).await.unwrap();
        assert_eq!(accounts(&store).await, 1);
    }
}
