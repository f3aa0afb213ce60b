//! Places for lookups that block a thread each, and who may have how many.
//!
//! # Theory of operation
//! Whoever names a host decides who answers for it, and nobody else's webhooks may wait for servers that never do. So a
//! name has a standing, by how its last lookup went, and the places are shared by standing: a name that answered may have
//! any place, one that nobody knows yet all but a reserve, one that was slow only a few. Names of one standing wait for
//! each other in turn.
//!
//! # The bad day
//! * Hundreds of fresh names hang at once: they take what is not reserved, once; a moment
//!   later they are known to be slow, and when their lookups end they share the few.
//! * Names that answered hang from now on: the same, but for the reserve, which they hold until their lookups end.
//! * More names come than are remembered: all are forgotten and begin as unknown.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Most names whose standing is remembered.
const MOST_NAMES: usize = 16 * 1024;

/// How the last lookup of a name went. A name that is not known has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It answered in good time.
    Answered,
    /// It did not.
    Slow,
}

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// In all.
    pub(crate) all: usize,
    /// For names that did not answer the last time, or were never asked for.
    pub(crate) unproven: usize,
    /// For names that were slow.
    pub(crate) slow: usize,
    /// What takes longer is slow.
    pub(crate) slow_after: Duration,
}

/// Places for lookups.
#[derive(Debug)]
pub(crate) struct Lookups {
    all: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    share: Share,
    standings: Mutex<HashMap<String, Standing>>,
}

/// One place, held until the lookup has ended.
#[derive(Debug)]
struct Place {
    _permits: [Option<OwnedSemaphorePermit>; 3],
}

impl Lookups {
    pub(crate) fn new(share: Share) -> Arc<Self> {
        let places = |count| Arc::new(Semaphore::new(count));
        Arc::new(Self {
            all: places(share.all),
            unproven: places(share.unproven),
            slow: places(share.slow),
            share,
            standings: Mutex::default(),
        })
    }

    /// Runs a lookup of that name, which blocks, once there is a place. The place is free again when the lookup has ended,
    /// and not when its caller gave up.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let place = self.place(name).await?;
        let (lookups, theirs, begun) = (Arc::clone(self), name.to_owned(), Instant::now());
        let mut looking = tokio::task::spawn_blocking(move || {
            let _place = place;
            let found = lookup();
            let standing = if begun.elapsed() > lookups.share.slow_after {
                Some(Standing::Slow)
            } else {
                found.is_ok().then_some(Standing::Answered)
            };
            lookups.note(&theirs, standing);
            found
        });
        let found = match timeout(self.share.slow_after, &mut looking).await {
            Ok(found) => found,
            Err(_) => {
                // The system may take long to say so.
                self.note(name, Some(Standing::Slow));
                looking.await
            }
        };
        found.map_err(io::Error::other)?
    }

    /// Waits for a place that a name of that standing may have.
    async fn place(&self, name: &str) -> io::Result<Place> {
        loop {
            let standing = self.standing(name);
            let is_slow = standing == Some(Standing::Slow);
            // Always in this order, so that nobody holds what another waits for who holds what he waits for.
            let slow = take(&self.slow, is_slow).await?;
            let unproven = take(&self.unproven, standing != Some(Standing::Answered)).await?;
            let all = take(&self.all, true).await?;
            // It may have turned out meanwhile, for another caller.
            if is_slow || self.standing(name) != Some(Standing::Slow) {
                return Ok(Place { _permits: [slow, unproven, all] });
            }
        }
    }

    fn standing(&self, name: &str) -> Option<Standing> {
        self.standings().get(name).copied()
    }

    fn note(&self, name: &str, standing: Option<Standing>) {
        let mut standings = self.standings();
        let Some(standing) = standing else {
            standings.remove(name);
            return;
        };
        if standings.len() >= MOST_NAMES && !standings.contains_key(name) {
            standings.clear();
        }
        standings.insert(name.to_owned(), standing);
    }

    fn standings(&self) -> MutexGuard<'_, HashMap<String, Standing>> {
        // Every change of the map is one call, so a panic elsewhere leaves it whole.
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(places: &Arc<Semaphore>, wanted: bool) -> io::Result<Option<OwnedSemaphorePermit>> {
    if !wanted {
        return Ok(None);
    }
    Arc::clone(places).acquire_owned().await.map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;

    const SLOW_AFTER: Duration = Duration::from_secs(2);

    fn lookups(all: usize, unproven: usize, slow: usize) -> Arc<Lookups> {
        Lookups::new(Share { all, unproven, slow, slow_after: SLOW_AFTER })
    }

    /// A lookup that ends when the sender is dropped.
    fn hanging() -> (mpsc::Sender<()>, impl FnOnce() -> io::Result<u8> + Send + 'static) {
        let (end, wait) = mpsc::channel::<()>();
        (end, move || {
            let _ = wait.recv();
            Ok(0)
        })
    }

    #[tokio::test]
    async fn a_lookup_that_hangs_keeps_its_place_after_its_caller_gave_up_and_no_more_than_that() {
        let lookups = lookups(2, 2, 2);
        let mut ends = Vec::new();
        for name in ["a.example", "b.example"] {
            let (end, hang) = hanging();
            // The caller looks once and gives up.
            assert!(lookups.run(name, hang).now_or_never().is_none());
            ends.push(end);
        }
        assert_eq!(lookups.all.available_permits(), 0);
        let mut third = Box::pin(lookups.run("c.example", || Ok(3)));
        assert!(third.as_mut().now_or_never().is_none(), "it waits for its turn");
        assert_eq!(tokio::task::spawn_blocking(|| 4).await.expect("it does not panic"), 4, "other work goes on");
        ends.clear();
        assert_eq!(third.await.expect("a place is free"), 3);
    }

    #[tokio::test]
    async fn a_name_that_answered_does_not_wait_for_any_number_that_hang() {
        let lookups = lookups(4, 3, 1);
        lookups.run("good.example", || Ok(1)).await.expect("it answers");
        let mut ends = Vec::new();
        for number in 0..10 {
            let (end, hang) = hanging();
            assert!(lookups.run(&format!("{number}.silent.example"), hang).now_or_never().is_none());
            ends.push(end);
        }
        assert!(lookups.run("new.example", || Ok(2)).now_or_never().is_none());
        assert_eq!(lookups.unproven.available_permits(), 0);
        for _ in 0..10 {
            assert_eq!(lookups.run("good.example", || Ok(1)).await.expect("it answers"), 1);
        }
    }

    #[tokio::test]
    async fn names_that_were_slow_leave_places_to_those_that_nobody_knows() {
        tokio::time::pause();
        let lookups = lookups(4, 3, 1);
        let names = ["a.silent.example", "b.silent.example", "c.silent.example"];
        let mut waves = Vec::new();
        for name in names {
            let (end, hang) = hanging();
            let lookups = Arc::clone(&lookups);
            waves.push((end, tokio::spawn(async move { lookups.run(name, hang).await })));
        }
        tokio::task::yield_now().await;
        assert_eq!(lookups.unproven.available_permits(), 0);
        // Another caller of one of them, and one of a name that is new, wait while they hang.
        let again = lookups.run(names[0], || Ok(7));
        let new = lookups.run("new.example", || Ok(8));
        let (mut again, mut new) = (Box::pin(again), Box::pin(new));
        assert!(again.as_mut().now_or_never().is_none() && new.as_mut().now_or_never().is_none());
        tokio::time::advance(SLOW_AFTER + Duration::from_millis(1)).await;
        for (end, run) in waves {
            drop(end);
            run.await.expect("it does not panic").expect("it ends");
        }
        assert_eq!((again.await.expect("it has its turn"), new.await.expect("it has its turn")), (7, 8));

        let mut ends = Vec::new();
        for name in [names[1], names[2], names[1]] {
            let (end, hang) = hanging();
            assert!(lookups.run(name, hang).now_or_never().is_none());
            ends.push(end);
        }
        assert_eq!((lookups.slow.available_permits(), lookups.unproven.available_permits()), (0, 2));
        assert_eq!(lookups.run("newer.example", || Ok(9)).await.expect("there is room"), 9);
    }

    #[tokio::test]
    async fn a_name_that_failed_at_once_is_unknown() {
        let lookups = lookups(4, 3, 1);
        lookups.run("gone.example", || Ok(1)).await.expect("it answers");
        assert_eq!(lookups.standing("gone.example"), Some(Standing::Answered));
        let gone = lookups.run("gone.example", || Err::<(), _>(io::ErrorKind::NotFound.into())).await;
        assert_eq!(gone.expect_err("it failed").kind(), io::ErrorKind::NotFound);
        assert_eq!(lookups.standing("gone.example"), None);
    }

    #[tokio::test]
    async fn no_more_names_are_remembered_than_may_be() {
        let lookups = lookups(4, 3, 1);
        for number in 0..=MOST_NAMES {
            lookups.note(&number.to_string(), Some(Standing::Answered));
        }
        assert_eq!(lookups.standings().len(), 1);
    }
}
