//! What deliveries wait for that the lanes of this process have: asked by whoever shows them, answered by the lanes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reelhook_domain::delivery::Wait;
use reelhook_domain::id::{DeliveryId, EndpointId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::dispatcher::Message;

/// How long whoever asks waits for an answer: the lanes may be waiting for the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks into the lanes of an engine, once it runs.
#[derive(Debug, Default)]
pub struct Lookout {
    /// Weak, because the lanes end when nobody can send them work any more.
    lanes: Mutex<Option<mpsc::WeakSender<Message>>>,
}

impl Lookout {
    pub(crate) fn open(&self, lanes: &mpsc::Sender<Message>) {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        *self.lanes.lock().unwrap_or_else(PoisonError::into_inner) = Some(lanes.downgrade());
    }

    /// What each of these deliveries waits for; nothing of those that no lane has, or where the lanes do not answer.
    ///
    /// # Cancel safety
    /// Nothing changes by it.
    pub async fn waits(&self, asked: Vec<(EndpointId, DeliveryId)>) -> HashMap<DeliveryId, Wait> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(lanes) = lanes.and_then(|lanes| lanes.upgrade()).filter(|_| !asked.is_empty()) else {
            return HashMap::new();
        };
        let (answer, waits) = oneshot::channel();
        let ask = async {
            lanes.send(Message::Waits { asked, answer }).await.ok()?;
            waits.await.ok()
        };
        timeout(PATIENCE, ask).await.ok().flatten().unwrap_or_default()
    }
}
