//! Connections at rest, ready for the next request to the same origin.
//!
//! The newest is taken first, so that in quiet times the old ones age out. Nothing runs in the background: a
//! connection's health is looked at when it is taken, and whoever gives one back sweeps out the aged from time to
//! time. A connection that the other side closed may thus hold its descriptor until then; `MAX_IDLE` bounds how many.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;

/// The most connections at rest over all origins.
const MAX_IDLE: usize = 1024;

/// How often a full pool is swept: a sweep looks at every origin.
const FULL_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Pool {
    idle_timeout: Duration,
    max_idle_per_host: usize,
    shelves: Mutex<Shelves>,
}

struct Shelves {
    /// By origin as it is written in a URL: `https://example.com:8443`.
    by_origin: HashMap<Box<str>, VecDeque<Idle>>,
    count: usize,
    swept: Instant,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(idle_timeout: Duration, max_idle_per_host: usize) -> Self {
        let shelves = Shelves { by_origin: HashMap::new(), count: 0, swept: Instant::now() };
        Self { idle_timeout, max_idle_per_host, shelves: Mutex::new(shelves) }
    }

    /// The newest connection to an origin that is neither aged nor, as far as can be seen, closed.
    pub(crate) fn take(&self, origin: &str) -> Option<Box<Connection>> {
        let now = Instant::now();
        loop {
            let mut idle = self.lock().pop(origin)?;
            // Outside the lock: looking reads the socket, and dropping closes it.
            if now - idle.since < self.idle_timeout && idle.connection.is_alive() {
                return Some(idle.connection);
            }
        }
    }

    /// Puts a connection to rest, and closes what has no place.
    pub(crate) fn put(&self, origin: &str, connection: Box<Connection>) {
        if self.max_idle_per_host == 0 || self.idle_timeout.is_zero() {
            return;
        }
        let now = Instant::now();
        let idle = Idle { connection, since: now };
        let mut shelves = self.lock();
        let mut discarded = shelves.sweep(now, self.idle_timeout);
        if shelves.count >= MAX_IDLE {
            discarded.push(idle);
        } else {
            discarded.extend(shelves.push(origin, idle, self.max_idle_per_host));
        }
        drop(shelves);
        // Sockets are closed here, with the lock released.
        drop(discarded);
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // No code that can panic runs under the lock; if it did, a list of idle connections is still a list.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes out what is too old, at most once in half the idle timeout or when there is no place left.
    fn sweep(&mut self, now: Instant, idle_timeout: Duration) -> Vec<Idle> {
        let mut aged = Vec::new();
        let pause = if self.count >= MAX_IDLE { FULL_PAUSE } else { idle_timeout / 2 };
        if now - self.swept < pause {
            return aged;
        }
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
