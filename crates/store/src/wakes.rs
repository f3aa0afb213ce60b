//! Wake-ups within this process: "look again", without data.

use tokio::sync::watch;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A job can be claimed.
    JobQueued,
    /// A job changed in any way, its progress included.
    JobChanged,
    /// A job was taken from whoever may work on it.
    JobTaken,
    /// An event was written: the outbox has something.
    Event,
    /// A delivery waits to be claimed, or is held.
    Delivery,
    /// An endpoint or what signs for it changed.
    Endpoint,
    /// An attempt was settled.
    Settled,
    /// An API key was revoked.
    Key,
}

const TOPICS: usize = 8;

/// The wake-ups of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wakes {
    senders: std::sync::Arc<[watch::Sender<u64>; TOPICS]>,
}

impl Default for Wakes {
    fn default() -> Self {
        Self { senders: std::sync::Arc::new(std::array::from_fn(|_| watch::Sender::new(0))) }
    }
}

impl Wakes {
    /// Tells all who listen.
    pub fn wake(&self, topic: Topic) {
        self.senders[topic as usize].send_modify(|count| *count = count.wrapping_add(1));
    }

    /// How often that was told so far: what was read before it grew may be out of date.
    pub fn count(&self, topic: Topic) -> u64 {
        *self.senders[topic as usize].borrow()
    }

    /// Starts to listen. Arm it before looking, so that nothing slips between the look and the wait.
    pub fn listen(&self, topic: Topic) -> Wake {
        Wake { receiver: self.senders[topic as usize].subscribe() }
    }
}

/// One listener.
#[derive(Debug)]
pub struct Wake {
    receiver: watch::Receiver<u64>,
}

impl Wake {
    /// Waits until something changed since this listener was made or last waited. Never ends once the store is gone.
    ///
    /// # Cancel safety
    /// A wake-up is not lost when the future is dropped before it ended.
    pub async fn wait(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
