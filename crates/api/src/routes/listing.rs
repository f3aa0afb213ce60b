//! Query parameters: ids in paths, cursors, limits, filters.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use reelhook_domain::form::{Violation, hint, unknown};
use reelhook_domain::id::{Id, Kind};
use reelhook_store::Page;
use serde_json::Value;

use crate::problem::Problem;

/// Most items of a page, and how many there are where the caller says nothing.
pub(crate) const PAGE: (u32, u32) = (100, 20);

/// Reads an id from a path; whatever is not one names nothing.
pub(super) fn id<K: Kind>(text: &str, what: &str) -> Result<Id<K>, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// The query parameters of a request, each taken once; those nobody took are refused by name.
#[derive(Debug)]
pub(super) struct Query {
    pairs: BTreeMap<String, String>,
    known: Vec<&'static str>,
    violations: Vec<Violation>,
}

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let mut query = Self { pairs: BTreeMap::new(), known: Vec::new(), violations: Vec::new() };
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned() {
            let name: String = name.chars().take(120).collect();
            match query.pairs.entry(name) {
                Entry::Vacant(free) => drop(free.insert(value)),
                Entry::Occupied(taken) => {
                    let name = taken.key().clone();
                    query.refuse(&name, &value, "must be there once".to_owned());
                }
            }
        }
        query
    }

    fn refuse(&mut self, name: &str, value: &str, message: String) {
        let value = Value::String(value.chars().take(120).collect());
        self.violations.push(Violation { path: format!("?{name}"), value, message });
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.pairs.remove(name).filter(|value| !value.is_empty())
    }

    pub(super) fn parsed<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(name)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.refuse(name, &text, error.to_string());
                None
            }
        }
    }

    pub(super) fn integer(&mut self, name: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        self.known.push(name);
        // Other than a text, a number that is empty is none.
        let text = self.pairs.remove(name)?;
        match text.parse() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                self.refuse(name, &text, format!("must be a whole number, {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    /// Takes all parameters that begin so: what comes after it, and their values.
    pub(super) fn pairs(&mut self, begin: &str, known: &'static str) -> Vec<(String, String)> {
        self.known.push(known);
        let names: Vec<_> = self.pairs.keys().filter(|name| name.starts_with(begin)).cloned().collect();
        let value = |name: &String| self.pairs.remove(name).unwrap_or_default();
        names
            .iter()
            .map(value)
            .collect::<Vec<_>>()
            .into_iter()
            .zip(&names)
            .map(|(value, name)| (name[begin.len()..].to_owned(), value))
            .collect()
    }

    /// Takes one of these words.
    pub(super) fn word(&mut self, name: &'static str, allowed: &[&str]) -> Option<String> {
        let word = self.text(name)?;
        if !allowed.contains(&word.as_str()) {
            self.refuse(name, &word, format!("must be one of {}", allowed.join(", ")));
        }
        Some(word)
    }

    /// Takes one or more words, separated by commas.
    pub(super) fn words(&mut self, name: &'static str, allowed: &[&str]) -> Vec<String> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let words: Vec<_> = text.split(',').map(|word| word.trim().to_owned()).collect();
        if let Some(wrong) = words.iter().find(|word| !allowed.contains(&word.as_str())) {
            let hint = hint(wrong, allowed.iter().copied());
            let message = format!("must be one or more of {}, separated by commas{hint}", allowed.join(", "));
            self.refuse(name, wrong, message);
        }
        words
    }

    /// Takes `cursor` and `limit`.
    pub(super) fn page(&mut self) -> Page {
        let limit = self.integer("limit", 1..=u64::from(PAGE.0)).map_or(PAGE.1, |limit| limit as u32);
        let before = self.text("cursor").and_then(|cursor| {
            let bytes = URL_SAFE_NO_PAD.decode(&cursor).ok().and_then(|bytes| bytes.try_into().ok());
            if bytes.is_none() {
                self.refuse("cursor", &cursor, "must be the next_cursor of an earlier response".to_owned());
            }
            bytes.map(u128::from_be_bytes)
        });
        Page { before, limit }
    }

    /// Ends the reading.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for (name, value) in std::mem::take(&mut self.pairs) {
            let message = unknown(&name, &self.known);
            let name: String = name.chars().take(64).collect();
            self.refuse(&name, &value, message);
        }
        if self.violations.is_empty() { Ok(()) } else { Err(Problem::invalid(self.violations)) }
    }
}

/// The cursor after a page that is full; none after the last.
pub(super) fn next_cursor<K>(page: Page, count: usize, last: Option<Id<K>>) -> Option<String> {
    let full = u32::try_from(count).is_ok_and(|count| count >= page.limit);
    last.filter(|_| full).map(|id| URL_SAFE_NO_PAD.encode(id.to_bytes()))
}
