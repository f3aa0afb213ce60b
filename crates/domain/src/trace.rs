//! What a job went through, as spans of one trace: for operators who collect traces.
//!
//! # Theory of operation
//! Ids are not carried along, they follow from ids that are kept anyway, so a trace survives the store, a crash and a
//! change of machine without a column of its own, and every part can name its parent without being told it:
//!
//! * the trace id is the 128 bits of the job's id, or of the event's, for an event that no job raised;
//! * the id of a span that stands for something with an id is the lower 64 bits of that id, which are random;
//! * the stages of a job have random ids, for a job that is begun again goes through them again.
//!
//! Engines describe what happened once it is over; who listens is decided where the program is wired. Where nobody
//! listens, nothing is described.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{EventId, Id, JobId, Kind};
use crate::time::Timestamp;

/// A piece of a trace that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace it belongs to.
    pub trace: u128,
    /// Its own id within the trace.
    pub id: u64,
    /// The span that it is a part of; none for the whole.
    pub parent: Option<u64>,
    /// What happened, one of few words.
    pub name: &'static str,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What went wrong, as a code.
    pub error: Option<String>,
    /// Ids, names and numbers. Never a URL, a header or a body.
    pub tags: Vec<(&'static str, Tag)>,
}

/// What a tag says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// An id or a name.
    Text(String),
    /// A number.
    Number(i64),
}

impl<K: Kind> From<Id<K>> for Tag {
    fn from(id: Id<K>) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Tag {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl Span {
    /// A span of what `job` went through, beginning at `began`; its parent is the span of the whole job.
    pub fn of_job(job: JobId, id: u64, name: &'static str, began: Timestamp, took: Duration) -> Self {
        let (trace, parent) = (job.bits(), Some(span_id(job)));
        Self { trace, id, parent, name, began, took, error: None, tags: vec![("job.id", job.into())] }
    }

    /// The span of what stands at the beginning of its trace and has nobody above it.
    pub fn whole<K: Kind>(of: Id<K>, name: &'static str, began: Timestamp, took: Duration) -> Self {
        let (trace, id) = (of.bits(), span_id(of));
        Self { trace, id, parent: None, name, began, took, error: None, tags: Vec::new() }
    }

    /// With one more tag.
    #[must_use]
    pub fn with(mut self, name: &'static str, tag: impl Into<Tag>) -> Self {
        self.tags.push((name, tag.into()));
        self
    }
}

/// The id of the span that stands for what has that id.
pub const fn span_id<K: Kind>(id: Id<K>) -> u64 {
    id.bits() as u64
}

/// The trace of an event: its job's, where it has one.
pub fn trace_id(job: Option<JobId>, event: EventId) -> u128 {
    job.map_or(event.bits(), Id::bits)
}

/// Where spans go, if they go anywhere. Cheap to clone; must not wait and cannot fail.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<dyn Fn(Span) + Send + Sync>>);

impl Tracer {
    /// Spans go there.
    pub fn new(listener: impl Fn(Span) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Whether anybody listens.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of a span, which is described only if somebody listens.
    pub fn tell(&self, describe: impl FnOnce() -> Span) {
        if let Some(listener) = &self.0 {
            listener(describe());
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.is_on()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_trace_follow_from_those_of_the_job_and_its_events() {
        let job = JobId::from_bits(7 << 64 | 9);
        let event = EventId::from_bits(11);
        assert_eq!((trace_id(Some(job), event), trace_id(None, event)), (job.bits(), 11));
        let whole = Span::whole(job, "job", Timestamp::from_millis(0), Duration::ZERO);
        let part = Span::of_job(job, 3, "fetch", Timestamp::from_millis(0), Duration::ZERO);
        assert_eq!((whole.trace, whole.id, whole.parent), (job.bits(), 9, None));
        assert_eq!((part.trace, part.parent), (whole.trace, Some(whole.id)));
    }

    #[test]
    fn nothing_is_described_where_nobody_listens() {
        Tracer::default().tell(|| unreachable!("nobody listens"));
    }
}
