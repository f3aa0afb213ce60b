//! Events that a caller publishes, read without taking their payloads apart.
//!
//! Most requests of a busy server are these, and nearly all of them are well formed. [`read`] takes such a request as it
//! stands: a payload stays the text that its sender wrote, numbers of any length included. Whatever it does not know at
//! once, it leaves to [`super::request::publish`], which says what is wrong, or takes it all the same.

use std::borrow::Cow;
use std::fmt;

use reelhook_domain::event::{Data, EventType};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::request::{LARGEST_PAYLOAD, MOST_EVENTS};
use crate::request::PublishRequest;

/// `POST /v1/events`: one event, or several.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Publications<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    events: Option<Vec<Publication<'a>>>,
    #[serde(borrow, default, deserialize_with = "there", rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "there")]
    payload: Option<&'a RawValue>,
}

/// A field that is there has a value: null is none of these, and takes a closer look.
fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Reads a request that is well formed; none where that takes a closer look.
pub fn read(bytes: &[u8]) -> Option<Vec<PublishRequest>> {
    let events = match serde_json::from_slice(bytes).ok()? {
        Publications { events: Some(events), kind: None, payload: None } => events,
        Publications { events: None, kind: Some(kind), payload: Some(payload) } => vec![Publication { kind, payload }],
        Publications { .. } => return None,
    };
    if !(1..=MOST_EVENTS).contains(&events.len()) {
        return None;
    }
    events.into_iter().map(event).collect()
}

fn event(Publication { kind, payload }: Publication<'_>) -> Option<PublishRequest> {
    let text = payload.get();
    let is_fit = text.len() <= LARGEST_PAYLOAD && text != "null" && serde_json::from_str::<Sound>(text).is_ok();
    is_fit.then_some(())?;
    let kind = kind.parse().ok().filter(|kind: &EventType| !kind.is_reserved())?;
    Some(PublishRequest { kind, payload: Data::from_json(text) })
}

/// JSON that can be read whole, of which nothing is kept. A [`RawValue`] is only known to begin and to end: its texts may
/// hold half a character, and it may be nested deeper than anybody reads.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reelhook_testkit::any_json;
    use serde_json::{Value, json};

    use super::super::request::publish;
    use super::*;

    proptest! {
        #[test]
        fn whatever_is_read_at_once_is_what_a_closer_look_sees(
            fields in prop::collection::vec((prop_oneof!["type", "payload", "events", ".*"], any_json()), 0..4),
            kind in prop_oneof!["[a-z]{1,9}\\.[a-z]{1,9}", "(job|webhook|endpoint)(\\.[a-z]{1,9})?", ".*"],
            payloads in prop::collection::vec(any_json(), 0..4),
            many in any::<bool>(),
        ) {
            let events: Vec<_> = payloads.iter().map(|payload| json!({"type": kind, "payload": payload})).collect();
            let mut request = if many { json!({"events": events}) } else { events.first().cloned().unwrap_or(json!({})) };
            let fields_were_added = fields.len() == 3;
            if fields_were_added {
                request.as_object_mut().unwrap().extend(fields);
            }
            for text in [request.to_string(), serde_json::to_string_pretty(&request).unwrap()] {
                let closer = publish(request.clone()).ok();
                let at_once = read(text.as_bytes());
                prop_assert!(at_once.is_none() || closer.is_some(), "{}", text);
                prop_assert!(at_once.is_some() || closer.is_none() || fields_were_added, "{}", text);
                for (one, other) in at_once.into_iter().flatten().zip(closer.into_iter().flatten()) {
                    prop_assert_eq!(one.kind, other.kind);
                    prop_assert_eq!(one.payload.read::<Value>().unwrap(), other.payload.read::<Value>().unwrap());
                }
            }
        }
    }

    #[test]
    fn a_payload_stays_as_it_was_written() {
        let payload = r#"{ "price": 1.50, "number": 123456789012345678901234567890, "a": 1,  "é": "\u00e9" }"#;
        let request = format!(r#"{{"payload": {payload}, "type": "invoice.paid"}}"#);
        let read = read(request.as_bytes()).unwrap();
        assert_eq!((read[0].kind.as_str(), read[0].payload.as_str()), ("invoice.paid", payload));
    }

    #[test]
    fn a_field_that_is_null_is_left_to_a_closer_look() {
        for request in [
            r#"{"events":null,"payload":false,"type":"a.a"}"#,
            r#"{"events":[{"type":"a.a","payload":1}],"payload":null}"#,
            r#"{"events":[{"type":"a.a","payload":1}],"type":null}"#,
        ] {
            assert!(read(request.as_bytes()).is_none(), "{request}");
        }
    }

    #[test]
    fn what_nobody_could_read_is_left_to_a_closer_look() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let large = format!("[{}1]", " ".repeat(LARGEST_PAYLOAD));
        for payload in [r#""\ud800""#, r#"{"\udead": 1}"#, "1e999", "null", &deep, &large, "[1,]", "01", "\"\u{1}\""] {
            let request = format!(r#"{{"type":"a","payload":{payload}}}"#);
            assert!(read(request.as_bytes()).is_none(), "{payload}");
        }
        for request in [
            r#"{"type":"a","payload":1,"payload":2}"#,
            r#"{"type":"a","payload":1,"more":2}"#,
            r#"{"events":[]}"#,
            r#"{"events":[{"type":"a","payload":1}],"type":"a","payload":1}"#,
            r#"{"type":"a.","payload":1}"#,
            r#"{"type":"job.completed","payload":1}"#,
            r#"{"type":"a","payload":1,"sample":true}"#,
            r#"{"type":"a","payload":1} 2"#,
            r#"[]"#,
        ] {
            assert!(read(request.as_bytes()).is_none(), "{request}");
        }
        assert!(read(b"{\"type\":\"a\",\"payload\":\"\xff\"}").is_none());
    }
}
