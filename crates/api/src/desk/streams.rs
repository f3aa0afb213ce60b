//! Streams of events that are open: how many an account has, and until when their key is good.
//!
//! A request is authenticated once, and a stream may go on for days. So an open stream looks again whether its key was
//! revoked: at once when this process revoked one, and otherwise every few seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use http::StatusCode;
use reelhook_domain::id::AccountId;
use reelhook_store::{StoreError, Topic, Wake};
use tokio::time::Instant;

use super::{Caller, Desk};
use crate::problem::Problem;

/// How often a stream looks whether its key is still good, where nothing says that it is not.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How many streams each account has open.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<HashMap<AccountId, usize>>);

impl Streams {
    fn change(&self, account: AccountId, change: impl FnOnce(&mut usize) -> bool) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(account).or_default();
        let changed = change(count);
        if *count == 0 {
            open.remove(&account);
        }
        changed
    }
}

/// A stream that is open, and its key.
struct Standing {
    desk: Desk,
    caller: Caller,
    wake: Wake,
    /// How many keys had been revoked at the last look, and when the next one is due.
    revoked: u64,
    due: Instant,
}

impl Desk {
    /// The same stream for as long as the caller's key is good. It counts among those of the account until it is dropped.
    ///
    /// # Errors
    /// 429 where the account has as many open as it may.
    pub(crate) fn attended<S>(
        &self,
        caller: Caller,
        stream: S,
    ) -> Result<impl Stream<Item = S::Item> + Send + use<S>, Problem>
    where
        S: Stream + Send,
        S::Item: Send,
    {
        let most = self.limits().streams_of_account;
        let is_in = self.streams().change(caller.account, |count| {
            let has_room = *count < most;
            *count += usize::from(has_room);
            has_room
        });
        if !is_in {
            let detail =
                format!("the account has {most} streams of events open, which is the limit; close one of them");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail).retry_after(LOOK_AGAIN));
        }
        let wake = self.store().wakes().listen(Topic::Key);
        let revoked = self.store().wakes().count(Topic::Key);
        let standing = Standing { desk: self.clone(), caller, wake, revoked, due: Instant::now() };
        let state = (standing, Box::pin(stream));
        Ok(futures::stream::unfold(state, |(mut standing, mut stream)| async move {
            loop {
                if !standing.is_good().await {
                    return None;
                }
                let due = standing.due;
                tokio::select! {
                    item = stream.next() => return item.map(|item| (item, (standing, stream))),
                    () = standing.wake.wait() => {}
                    () = tokio::time::sleep_until(due) => {}
                }
            }
        }))
    }
}

impl Standing {
    /// Whether the key is good, as far as was looked.
    async fn is_good(&mut self) -> bool {
        let revoked = self.desk.store().wakes().count(Topic::Key);
        if revoked == self.revoked && Instant::now() < self.due {
            return true;
        }
        match self.look().await {
            Ok(is_good) => {
                (self.revoked, self.due) = (revoked, Instant::now() + LOOK_AGAIN);
                is_good
            }
            Err(error) => {
                tracing::warn!(error = %error, key.id = %self.caller.key, "a stream of events ended early");
                false
            }
        }
    }

    async fn look(&self) -> Result<bool, StoreError> {
        let keys = self.desk.store().list_keys(self.caller.account).await?;
        Ok(keys.iter().any(|key| key.id == self.caller.key && key.revoked_at.is_none()))
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.desk.streams().change(self.caller.account, |count| {
            *count = count.saturating_sub(1);
            true
        });
    }
}
