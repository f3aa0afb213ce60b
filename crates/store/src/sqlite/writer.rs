//! The one task that writes: group commit.
//!
//! # Theory of operation
//! Callers send work by a bounded channel. The task takes all that waits (up to [`BATCH`]), opens one transaction, runs
//! each piece between savepoints so that one that fails takes back only its own changes, commits once, wakes those
//! who listen, and answers. While a commit waits for the disk the next batch gathers: the slower the disk, the larger
//! the groups. Events that callers publish, which is what there is most of, become one piece, however many callers they
//! are of.
//!
//! The bad day: when the commit fails, or SQLite gives up the transaction midway (a full disk), every piece of the batch
//! that did well so far is told that it did not, because nothing of it was kept.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::future::BoxFuture;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::time::Timestamp;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::events;
use super::meter::Meter;
use crate::vault::Vault;
use crate::wakes::{Topic, Wakes};
use crate::{NewEvent, Result, StoreError};

/// Most pieces of work in one transaction.
const BATCH: usize = 256;
/// Most pieces that wait; more callers wait to send.
const WAITING: usize = 1024;

/// An open transaction of the writer.
#[derive(Debug)]
pub(super) struct Tx {
    connection: SqliteConnection,
    ambient: Ambient,
    vault: Vault,
    topics: Vec<Topic>,
}

impl Tx {
    pub(super) const fn new(connection: SqliteConnection, ambient: Ambient, vault: Vault) -> Self {
        Self { connection, ambient, vault, topics: Vec::new() }
    }

    /// Where SQL is sent.
    pub(super) const fn sql(&mut self) -> &mut SqliteConnection {
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

    /// Notes who shall be woken once this is committed.
    pub(super) fn wake(&mut self, topic: Topic) {
        if !self.topics.contains(&topic) {
            self.topics.push(topic);
        }
    }

    async fn command(&mut self, sql: &'static str) -> Result<()> {
        sqlx::raw_sql(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Takes back what failed work changed. When SQLite gave up the whole transaction before, as it does on a full disk,
    /// there is nothing to go back to: then the work's error is everybody's.
    async fn take_back(&mut self, sql: &'static str, error: StoreError) -> Result<()> {
        self.command(sql).await.map_err(|_| error)
    }

    /// Runs a batch in one transaction. An error means that nothing of it was kept.
    async fn commit(&mut self, batch: &mut [Box<dyn Work>]) -> Result<()> {
        self.topics.clear();
        let done = self.attempt(batch).await;
        if done.is_err() {
            self.topics.clear();
            // SQLite may have given up the transaction by itself; then there is nothing to roll back.
            self.command("rollback").await.ok();
        }
        done
    }

    async fn attempt(&mut self, batch: &mut [Box<dyn Work>]) -> Result<()> {
        if let [only] = batch {
            self.command("begin immediate").await?;
            if let Err(error) = only.run(self).await {
                self.topics.clear();
                return self.take_back("rollback", error).await;
            }
        } else {
            self.command("begin immediate; savepoint work").await?;
            for work in batch {
                let topics = self.topics.clone();
                match work.run(self).await {
                    Ok(()) => self.command("release work; savepoint work").await?,
                    Err(error) => {
                        self.topics = topics;
                        self.take_back("rollback to work", error).await?;
                    }
                }
            }
        }
        fail::fail_point!("store.before_commit");
        self.command("commit").await?;
        fail::fail_point!("store.after_commit");
        Ok(())
    }
}

/// A piece of work and whoever waits for its end.
#[async_trait]
trait Work: Send {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Runs it. An error, which its caller is told too, means that its changes shall be taken back.
    async fn run(&mut self, tx: &mut Tx) -> Result<()>;
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

#[async_trait]
impl Work for Publishing {
    fn is_abandoned(&self) -> bool {
        self.publications.iter().all(|publication| publication.reply.is_closed())
    }

    async fn run(&mut self, tx: &mut Tx) -> Result<()> {
        let events: Vec<_> = self.publications.iter_mut().flat_map(|one| std::mem::take(&mut one.events)).collect();
        events::publish(tx, &events).await.inspect_err(|error| self.error = Some(error.shared()))
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

#[async_trait]
impl<T, F> Work for Piece<T, F>
where
    T: Send,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    async fn run(&mut self, tx: &mut Tx) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let result = work(tx).await;
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

/// The way to the writing task.
#[derive(Debug)]
pub(super) struct Writer {
    // Taken when closed, which ends the task once it did what was sent before.
    inbox: std::sync::Mutex<Option<mpsc::Sender<Order>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task. It ends when this is closed or dropped.
    pub(super) fn start(tx: Tx, wakes: Wakes, meter: Arc<Meter>) -> Self {
        let (inbox, work) = mpsc::channel(WAITING);
        let task = tokio::spawn(run(tx, work, wakes, meter));
        Self { inbox: std::sync::Mutex::new(Some(inbox)), task: Mutex::new(Some(task)) }
    }

    /// Sends work and waits for its commit.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
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

    /// Waits until all that was sent is written, then ends the task.
    pub(super) async fn close(&self) {
        if let Ok(mut inbox) = self.inbox.lock() {
            inbox.take();
        }
        if let Some(task) = self.task.lock().await.take() {
            task.await.ok();
        }
    }
}

async fn run(mut tx: Tx, mut inbox: mpsc::Receiver<Order>, wakes: Wakes, meter: Arc<Meter>) {
    let mut orders = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut orders, BATCH).await > 0 {
        let mut batch = pieces(&mut orders);
        if batch.is_empty() {
            continue;
        }
        let began = Instant::now();
        let committed = tx.commit(&mut batch).await;
        meter.wrote(batch.len(), began.elapsed(), committed.is_ok());
        if let Err(error) = &committed {
            tracing::error!(error = %error, work = batch.len(), "nothing of a batch was written");
        }
        // Before the answers: whoever was told that something changed finds everybody else told as well.
        for topic in tx.topics.drain(..) {
            wakes.wake(topic);
        }
        for work in batch {
            work.answer(&committed);
        }
    }
    if let Err(error) = tx.connection.close().await {
        tracing::warn!(%error, "the database was not closed in order");
    }
}

/// The pieces of one transaction: all that somebody still waits for.
fn pieces(orders: &mut Vec<Order>) -> Vec<Box<dyn Work>> {
    let mut pieces: Vec<Box<dyn Work>> = Vec::with_capacity(orders.len());
    let mut publications = Vec::new();
    for order in orders.drain(..) {
        match order {
            Order::Work(work) => pieces.push(work),
            Order::Publish(publication) => publications.push(publication),
        }
    }
    publications.retain(|publication| !publication.reply.is_closed());
    if !publications.is_empty() {
        pieces.push(Box::new(Publishing { publications, error: None }));
    }
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
        async fn work(tx: &mut Tx, id: u8, letters: i64, then: Result<()>) -> Result<()> {
            let insert = sqlx::query("insert into accounts (id, name, created_at) values (?, hex(zeroblob(? / 2)), 0)");
            insert.bind(vec![id; 16]).bind(letters).execute(tx.sql()).await?;
            tx.wake(Topic::Event);
            then
        }
        store.write(move |tx| work(tx, id, letters, then).boxed()).await
    }

    async fn accounts(store: &SqliteStore) -> i64 {
        sqlx::query_scalar("select count(*) from accounts").fetch_one(&store.readers).await.unwrap()
    }

    async fn limit_pages(store: &SqliteStore, sql: &'static str) {
        store.write(move |tx| tx.command(sql).boxed()).await.unwrap();
    }

    #[tokio::test]
    async fn of_a_batch_only_what_failed_is_taken_back() {
        let (_folder, store) = store().await;
        let results = join_all((0..100).map(|id| {
            let then = if id % 3 == 0 { Err(StoreError::NotFound) } else { Ok(()) };
            write(&store, id, 10, then)
        }));
        let results = results.await;
        assert!(results.iter().enumerate().all(|(id, result)| result.is_err() == (id % 3 == 0)));
        assert_eq!(accounts(&store).await, 66);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let (_folder, store) = store().await;
        {
            let write = write(&store, 1, 10, Ok(()));
            futures::pin_mut!(write);
            assert!(futures::poll!(write).is_pending());
        }
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
        let results =
            join_all((1..20).map(|id| write(&store, id, if id == 10 { 1_000_000 } else { 10 }, Ok(())))).await;
        assert!(results.iter().all(|result| matches!(result, Err(StoreError::Full))), "{results:?}");
        assert_eq!(accounts(&store).await, 0);
        assert!(wake.wait().now_or_never().is_none(), "nobody is woken for nothing");

        limit_pages(&store, "pragma max_page_count = 100000").await;
        write(&store, 0, 1_000_000, Ok(())).await.unwrap();
        assert_eq!(accounts(&store).await, 1);
    }
}
