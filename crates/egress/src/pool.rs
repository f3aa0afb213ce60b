//! Connections at rest, ready for the next request to the same origin.
//!
//! The newest is taken first, so that in quiet times the old ones age out. A connection's health is looked at when it is
//! taken. While connections rest, a task closes the aged ones; it ends with the last of them. A connection that the other
//! side closed may hold its descriptor until then; [`MAX_IDLE`] bounds how many.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;

/// The most connections at rest over all origins.
pub(crate) const MAX_IDLE: usize = 1024;

/// How often a full pool is swept: a sweep looks at every origin.
const FULL_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Pool {
    idle_timeout: Duration,
    max_idle_per_host: usize,
    max_idle: usize,
    shelves: Mutex<Shelves>,
}

struct Shelves {
    /// By origin as it is written in a URL, `https://example.com:8443`, and TLS profile.
    by_origin: HashMap<Box<str>, VecDeque<Idle>>,
    count: usize,
    swept: Instant,
    /// Whether a task sweeps from time to time.
    is_watched: bool,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(idle_timeout: Duration, max_idle_per_host: usize, max_idle: usize) -> Self {
        let shelves = Shelves { by_origin: HashMap::new(), count: 0, swept: Instant::now(), is_watched: false };
        Self { idle_timeout, max_idle_per_host, max_idle, shelves: Mutex::new(shelves) }
    }

    /// The newest connection to an origin, made with that TLS profile, that is neither aged nor, as far as can be seen, closed.
    pub(crate) fn take(&self, origin: &str, profile: Option<u64>) -> Option<Box<Connection>> {
        let shelf = shelf(origin, profile);
        let now = Instant::now();
        loop {
            let mut idle = self.lock().pop(&shelf)?;
            // Outside the lock: looking reads the socket, and dropping closes it.
            if now - idle.since < self.idle_timeout && idle.connection.is_alive() {
                return Some(idle.connection);
            }
        }
    }

    /// Puts a connection to rest, and closes what has no place.
    pub(crate) fn put(self: &Arc<Self>, origin: &str, connection: Box<Connection>) {
        if self.max_idle_per_host == 0 || self.idle_timeout.is_zero() {
            return;
        }
        let now = Instant::now();
        let shelf = shelf(origin, connection.profile);
        let idle = Idle { connection, since: now };
        let mut shelves = self.lock();
        let mut discarded = Vec::new();
        if shelves.count >= self.max_idle && now - shelves.swept >= FULL_PAUSE {
            discarded = shelves.sweep(now, self.idle_timeout);
        }
        if shelves.count >= self.max_idle {
            discarded.push(idle);
        } else {
            discarded.extend(shelves.push(&shelf, idle, self.max_idle_per_host));
        }
        if !shelves.is_watched {
            shelves.is_watched = true;
            tokio::spawn(Self::watch(Arc::downgrade(self), self.idle_timeout / 2));
        }
        drop(shelves);
        // Sockets are closed here, with the lock released.
        drop(discarded);
    }

    /// Closes what has aged from time to time, until nothing rests or the pool is gone.
    async fn watch(pool: Weak<Self>, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            if !pool.upgrade().is_some_and(|pool| pool.close_aged()) {
                return;
            }
        }
    }

    /// Closes what has aged; whether something still rests.
    fn close_aged(&self) -> bool {
        let mut shelves = self.lock();
        let aged = shelves.sweep(Instant::now(), self.idle_timeout);
        let rests = shelves.count > 0;
        shelves.is_watched = rests;
        drop(shelves);
        drop(aged);
        rests
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // No code that can panic runs under the lock; if it did, a list of idle connections is still a list.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What connections lie under: the origin, and the TLS profile where there is one. No origin has a space.
fn shelf(origin: &str, profile: Option<u64>) -> Cow<'_, str> {
    match profile {
        None => Cow::Borrowed(origin),
        Some(number) => Cow::Owned(format!("{origin} {number}")),
    }
}

impl Shelves {
    fn pop(&mut self, origin: &str) -> Option<Idle> {
        let idle = self.by_origin.get_mut(origin)?.pop_back()?;
        self.count -= 1;
        Some(idle)
    }

    /// Returns the connection that had to make room.
    fn push(&mut self, origin: &str, idle: Idle, limit: usize) -> Option<Idle> {
        // Looked up twice on the first visit only: an entry would need an owned key every time.
        if !self.by_origin.contains_key(origin) {
            self.by_origin.insert(origin.into(), VecDeque::new());
        }
        let shelf = self.by_origin.get_mut(origin)?;
        shelf.push_back(idle);
        self.count += 1;
        if shelf.len() <= limit {
            return None;
        }
        self.count -= 1;
        shelf.pop_front()
    }

    /// Takes out what is too old.
    fn sweep(&mut self, now: Instant, idle_timeout: Duration) -> Vec<Idle> {
        let mut aged = Vec::new();
        self.swept = now;
        self.by_origin.retain(|_, shelf| {
            while shelf.front().is_some_and(|idle| now - idle.since >= idle_timeout) {
                aged.extend(shelf.pop_front());
            }
            !shelf.is_empty()
        });
        self.count -= aged.len();
        aged
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::wire::{Socket, Wire};

    /// Connections to a listener that accepts nothing: open, and at rest.
    async fn connections(listener: &TcpListener, count: usize) -> Vec<Box<Connection>> {
        let address = listener.local_addr().unwrap();
        let mut made = Vec::new();
        for _ in 0..count {
            let socket = std::net::TcpStream::connect(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            let socket = Socket::Plain(TcpStream::from_std(socket).unwrap());
            let mut connection = Connection::new(Wire::new(socket), address, None).await.unwrap();
            // The work must have waited for a request once before the connection counts as ready for one.
            assert!(connection.is_alive());
            made.push(Box::new(connection));
        }
        made
    }

    fn count(pool: &Pool) -> usize {
        let shelves = pool.lock();
        assert_eq!(shelves.by_origin.values().map(VecDeque::len).sum::<usize>(), shelves.count);
        shelves.count
    }

    #[tokio::test]
    async fn no_more_rest_in_all_than_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Arc::new(Pool::new(Duration::from_secs(30), 2, 3));
        for (index, connection) in connections(&listener, 5).await.into_iter().enumerate() {
            pool.put(&format!("http://{index}.example"), connection);
        }
        assert_eq!(count(&pool), 3);
        assert!(pool.take("http://0.example", None).is_some());
        assert!(pool.take("http://4.example", None).is_none());
    }

    #[tokio::test]
    async fn the_aged_are_swept_out_to_make_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Arc::new(Pool::new(Duration::from_secs(30), 2, 3));
        let mut made = connections(&listener, 4).await;
        let last = made.pop().unwrap();
        for (index, connection) in made.into_iter().enumerate() {
            pool.put(&format!("http://{index}.example"), connection);
        }
        tokio::time::pause();
        // No task runs between these lines.
        tokio::time::advance(Duration::from_secs(31)).await;
        pool.put("http://last.example", last);
        assert_eq!(count(&pool), 1);
        let last = pool.take("http://last.example", None).expect("it is new");
        pool.put("http://last.example", last);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(pool.take("http://last.example", None).is_none(), "too old to be used");
    }

    #[tokio::test]
    async fn what_nobody_takes_is_closed_and_then_nothing_runs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Arc::new(Pool::new(Duration::from_secs(30), 2, 3));
        let mut made = connections(&listener, 3).await;
        let last = made.pop().unwrap();
        for connection in made {
            pool.put("http://a.example", connection);
        }
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(46)).await;
        assert_eq!((count(&pool), pool.lock().is_watched), (0, false));
        // The next one is watched again.
        pool.put("http://a.example", last);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!((count(&pool), pool.lock().is_watched), (1, true));
        tokio::time::sleep(Duration::from_secs(26)).await;
        assert_eq!((count(&pool), pool.lock().is_watched), (0, false));
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_is_not_given_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Arc::new(Pool::new(Duration::from_secs(30), 2, 3));
        let connection = connections(&listener, 1).await.pop().unwrap();
        pool.put("http://a.example", connection);
        drop(listener.accept().await.unwrap());
        // Closing is seen once the reactor has been told of it.
        while pool.take("http://a.example", None).map(|open| pool.put("http://a.example", open)).is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(count(&pool), 0);
    }
}
