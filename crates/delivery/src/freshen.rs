//! Links that work in what is sent late.
//!
//! A body is rendered once, when its event is fanned out, and its links end some time after that. What is sent again by
//! hand, offered after its endpoint was disabled, or tried for the last time days later would carry dead links to files
//! that are there. So the body of a delivery that is sent late is rendered from its event once more: the event's own data,
//! the links of this moment.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::delivery::Delivery;
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;
use reelhook_store::{ClaimedDelivery, Store};
use tracing::warn;

use crate::engine::LinkTo;

/// Renders anew what needs it, each in the dialect that `dialect` tells. What cannot be rendered is sent as it was.
pub(crate) async fn freshen(
    store: &dyn Store,
    link: &LinkTo,
    (now, links_keep): (Timestamp, Duration),
    claimed: &mut [ClaimedDelivery],
    dialect: impl Fn(&Delivery) -> Option<Dialect>,
) {
    let mut rendered: HashMap<_, Option<Arc<str>>> = HashMap::new();
    for work in claimed.iter_mut().filter(|work| work.delivery.needs_fresh_links(now, links_keep)) {
        let Some(dialect) = dialect(&work.delivery) else { continue };
        let known = (work.delivery.event, dialect.as_str());
        let body = match rendered.entry(known) {
            Entry::Occupied(body) => body.into_mut(),
            Entry::Vacant(place) => place.insert(render(store, link, &work.delivery, dialect).await),
        };
        if let Some(body) = body {
            work.body = Arc::clone(body);
        }
    }
}

async fn render(store: &dyn Store, link: &LinkTo, delivery: &Delivery, dialect: Dialect) -> Option<Arc<str>> {
    let event = match store.event(delivery.account, delivery.event).await {
        Ok(event) => event,
        Err(error) => {
            warn!(%error, delivery.id = %delivery.id, "the event of a late delivery cannot be read; its body goes as it was");
            return None;
        }
    };
    match reelhook_dialects::payload(dialect, &event, &**link) {
        Ok(body) => body.map(Into::into),
        Err(error) => {
            warn!(%error, delivery.id = %delivery.id, "a late delivery cannot be rendered; its body goes as it was");
            None
        }
    }
}
