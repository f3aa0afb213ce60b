//! Events: something that happened, once, for ever.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::id::{AccountId, EventId, JobId};
use crate::job::JobState;
use crate::time::Timestamp;

/// The type of an event: ours, or a caller's own.
///
/// A type is 1 to 128 characters: words of letters, digits, `_` and `-`, joined by dots.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(String);

/// The words that types of ours begin with.
const RESERVED: [&str; 3] = ["job", "endpoint", "webhook"];

impl EventType {
    /// A job was accepted.
    pub const JOB_CREATED: &'static str = "job.created";
    /// Processing began: the input was fetched and probed.
    pub const JOB_STARTED: &'static str = "job.started";
    /// A job moved on; opt-in, the latest wins.
    pub const JOB_PROGRESS: &'static str = "job.progress";
    /// A job waits for its caller's word.
    pub const JOB_AWAITING_CONFIRMATION: &'static str = "job.awaiting_confirmation";
    /// Every output was made and verified.
    pub const JOB_COMPLETED: &'static str = "job.completed";
    /// Some outputs were made, some failed.
    pub const JOB_PARTIAL: &'static str = "job.partial";
    /// No output was made.
    pub const JOB_FAILED: &'static str = "job.failed";
    /// Refused after acceptance, before processing.
    pub const JOB_REJECTED: &'static str = "job.rejected";
    /// Ended by its caller.
    pub const JOB_CANCELED: &'static str = "job.canceled";
    /// An endpoint was disabled, by us or by hand.
    pub const ENDPOINT_DISABLED: &'static str = "endpoint.disabled";
    /// An endpoint was enabled again.
    pub const ENDPOINT_ENABLED: &'static str = "endpoint.enabled";
    /// Somebody asked for a sample.
    pub const WEBHOOK_TEST: &'static str = "webhook.test";

    /// Most characters of a type.
    pub const LONGEST: usize = 128;

    /// All types that we raise.
    pub const OURS: &'static [&'static str] = &[
        Self::JOB_CREATED,
        Self::JOB_STARTED,
        Self::JOB_PROGRESS,
        Self::JOB_AWAITING_CONFIRMATION,
        Self::JOB_COMPLETED,
        Self::JOB_PARTIAL,
        Self::JOB_FAILED,
        Self::JOB_REJECTED,
        Self::JOB_CANCELED,
        Self::ENDPOINT_DISABLED,
        Self::ENDPOINT_ENABLED,
        Self::WEBHOOK_TEST,
    ];

    /// One of our own types, which is known to be well formed.
    pub fn ours(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// Whether it is one of ours, or could become one: callers' own types begin with another word.
    pub fn is_reserved(&self) -> bool {
        let first = self.0.split('.').next().unwrap_or_default();
        RESERVED.iter().any(|word| first.eq_ignore_ascii_case(word))
    }

    /// The event that tells of a job having come to `state`; none for states that are not told.
    pub fn of_job(state: &JobState) -> Option<Self> {
        let name = match state {
            JobState::Queued => Self::JOB_CREATED,
            JobState::Processing => Self::JOB_STARTED,
            JobState::AwaitingConfirmation { .. } => Self::JOB_AWAITING_CONFIRMATION,
            JobState::Completed => Self::JOB_COMPLETED,
            JobState::Partial { .. } => Self::JOB_PARTIAL,
            JobState::Failed { .. } => Self::JOB_FAILED,
            JobState::Rejected { .. } => Self::JOB_REJECTED,
            JobState::Canceled => Self::JOB_CANCELED,
            JobState::Draft | JobState::Probing => return None,
        };
        Some(Self::ours(name))
    }

    /// The spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an event type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 characters: words of letters, digits, _ and -, joined by dots")]
pub struct NotAnEventType;

/// Whether `word` can stand between the dots of an event type.
fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl FromStr for EventType {
    type Err = NotAnEventType;

    fn from_str(text: &str) -> Result<Self, NotAnEventType> {
        if text.len() <= Self::LONGEST && text.split('.').all(is_word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnEventType)
        }
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Which events somebody wants: a list of types and globs such as `job.*` or `*`. A star stands for any rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventFilter(Vec<String>);

impl Default for EventFilter {
    /// Everything but progress, which is opt-in.
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl EventFilter {
    /// Most patterns in one filter.
    pub const MOST: usize = 50;

    /// A filter of those patterns; an empty list wants all but progress.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Checks one pattern of a request.
    ///
    /// # Errors
    /// [`NotAnEventType`] unless it is a type, `*`, or words joined by dots with `*` as the last.
    pub fn check_pattern(pattern: &str) -> Result<String, NotAnEventType> {
        let words = pattern.strip_suffix(".*").unwrap_or(pattern);
        if pattern == "*" || words.parse::<EventType>().is_ok() { Ok(pattern.to_owned()) } else { Err(NotAnEventType) }
    }

    /// Whether this filter wants events of that type.
    pub fn wants(&self, event: &EventType) -> bool {
        let name = event.as_str();
        // Progress comes only to those who name it, so that a `*` does not turn one job into a hundred requests.
        if name == EventType::JOB_PROGRESS || self.0.is_empty() {
            return name != EventType::JOB_PROGRESS || self.0.iter().any(|pattern| pattern == name);
        }
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
    }

    /// The patterns.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }
}

/// JSON as text: written once, and read only by whoever needs what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data(Arc<str>);

impl Data {
    /// A value's JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::from_json(serde_json::to_string(value).expect("our own types have text keys and finite numbers only"))
    }

    /// A text that is JSON, as whoever wrote it knows.
    pub fn from_json(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is in it.
    ///
    /// # Errors
    /// It is something else.
    pub fn read<'d, T: Deserialize<'d>>(&'d self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Self::from_json(value.to_string())
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: &RawValue = self.read().map_err(serde::ser::Error::custom)?;
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self::from_json(text.get()))
    }
}

/// An event as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id; also the `webhook-id` of its deliveries.
    pub id: EventId,
    /// Its place among all events of this server, from 1.
    pub sequence: i64,
    /// Whose it is.
    pub account: AccountId,
    /// What happened.
    pub kind: EventType,
    /// When.
    pub at: Timestamp,
    /// The job it happened to; absent for events that are not of a job.
    pub job: Option<JobId>,
    /// For an event of a job: the [`crate::job::Job`] as it was then, in JSON. Otherwise the payload itself.
    pub data: Data,
}

impl Event {
    /// Its data in an [`envelope`].
    #[must_use]
    pub fn envelope(&self) -> String {
        envelope(self.kind.as_str(), self.at, self.sequence, self.data.as_str())
    }
}

/// The body of a native webhook: what happened, with that JSON.
///
/// Of an event that is not of a job the data is what was published, and stores do not keep its body: they put it
/// together again for every later attempt. So it must come out the same, byte for byte, for as long as there are deliveries
/// that were made with it.
#[must_use]
pub fn envelope(kind: &str, at: Timestamp, sequence: i64, data: &str) -> String {
    // Types need no escaping: see [`EventType`].
    format!(r#"{{"type":"{kind}","timestamp":"{at}","sequence":{sequence},"data":{data}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_for_ever() {
        let at = Timestamp::from_millis(1_780_567_200_007);
        assert_eq!(
            envelope("invoice.paid", at, 42, r#"{"b": [1.50], "a":"\u00e9"}"#),
            r#"{"type":"invoice.paid","timestamp":"2026-06-04T10:00:00.007Z","sequence":42,"data":{"b": [1.50], "a":"\u00e9"}}"#
        );
    }

    fn wants(patterns: &[&str], event: &str) -> bool {
        let patterns = patterns.iter().map(|pattern| EventFilter::check_pattern(pattern).unwrap()).collect();
        EventFilter::new(patterns).wants(&event.parse().unwrap())
    }

    #[test]
    fn a_filter_wants_what_it_names() {
        assert!(wants(&[], "job.completed"));
        assert!(wants(&["*"], "invoice.paid"));
        assert!(wants(&["job.*"], "job.failed"));
        assert!(!wants(&["job.*"], "jobs.failed"));
        assert!(!wants(&["job.failed"], "job.completed"));
    }

    #[test]
    fn progress_comes_only_when_named() {
        assert!(!wants(&[], "job.progress"));
        assert!(!wants(&["*"], "job.progress"));
        assert!(!wants(&["job.*"], "job.progress"));
        assert!(wants(&["job.progress"], "job.progress"));
    }

    #[test]
    fn odd_types_and_patterns_are_refused() {
        for text in ["", ".", "job.", ".job", "job..x", "job *", "ж", "a\nb", &"x".repeat(129)] {
            assert!(text.parse::<EventType>().is_err(), "{text:?}");
            assert!(EventFilter::check_pattern(text).is_err(), "{text:?}");
        }
        assert!(EventFilter::check_pattern("job.*.x").is_err());
        assert!(EventFilter::check_pattern("job*").is_err());
    }
}
