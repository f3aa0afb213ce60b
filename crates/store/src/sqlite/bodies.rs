//! What a delivery sends: a text of its own, kept beside the event, or the event itself in its envelope.
//!
//! The envelope is not kept: of an event that many publish it is all but the same text again, and writing that costs more
//! than anything else that is written of a delivery.

use std::sync::Arc;

use reelhook_domain::event::envelope;

use super::rows::{column, time};
use super::sql::Row;
use crate::{Result, StoreError};

/// Joined to `deliveries`: where its body is. There is neither once it is kept no longer.
macro_rules! join {
    () => {
        "left join bodies on bodies.event = deliveries.event and bodies.dialect = deliveries.dialect
        left join events as enveloped on bodies.event is null and deliveries.job is null
            and deliveries.dialect = 'native' and enveloped.id = deliveries.event"
    };
}

/// What [`read`] wants of that join.
macro_rules! columns {
    () => {
        "bodies.body, enveloped.sequence as event_sequence, enveloped.at as event_at, enveloped.data as event_data"
    };
}

/// Whether that join found one.
macro_rules! is_kept {
    () => {
        "(bodies.event is not null or enveloped.id is not null)"
    };
}

/// Whether a row of `deliveries` has one, without the join.
macro_rules! exists {
    () => {
        "(exists (select 1 from bodies where bodies.event = deliveries.event and bodies.dialect = deliveries.dialect)
        or (deliveries.job is null and deliveries.dialect = 'native'
            and exists (select 1 from events where events.id = deliveries.event)))"
    };
}

pub(super) use {columns, exists, is_kept, join};

/// What a delivery sends, if it is still kept.
pub(super) fn read(row: &Row) -> Result<Option<Arc<str>>> {
    if let Some(body) = column::<Option<&str>>(row, "body")? {
        return Ok(Some(body.into()));
    }
    let Some(data) = column::<Option<&str>>(row, "event_data")? else { return Ok(None) };
    let (kind, sequence) = (column(row, "event_type")?, column(row, "event_sequence")?);
    Ok(Some(envelope(kind, time(row, "event_at")?, sequence, data).into()))
}

/// What a delivery sends that was found with it.
pub(super) fn found(row: &Row) -> Result<Arc<str>> {
    read(row)?.ok_or_else(|| StoreError::corrupt("body", &"there is none"))
}
