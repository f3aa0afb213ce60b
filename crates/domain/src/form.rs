//! Reading JSON that a stranger wrote, and naming everything that is wrong with it at once.
//!
//! A [`Form`] is one JSON object on its way into a typed value. Each field is taken by name with its limits; what does
//! not fit becomes a [`Violation`] with the path, the value and what is allowed, and reading goes on. Fields that
//! nobody took are violations too, so a misspelt option is never silently ignored.

#![expect(clippy::wildcard_enum_match_arm, reason = "JSON has six kinds of values and gets no seventh")]

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::nearest::nearest;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Violation {
    /// Where, such as `outputs[0].crf`; empty for the document itself.
    pub path: String,
    /// What was there; long values are cut. Null when the field is missing.
    pub value: Value,
    /// What is allowed, to be read after the path: `must be 0 to 51`.
    pub message: String,
}

/// Longest text of a value that is repeated in a violation.
const SHOWN: usize = 120;

/// A value short enough to repeat to its sender.
fn shown(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > SHOWN => {
            Value::String(text.chars().take(SHOWN).chain("...".chars()).collect())
        }
        Value::Array(items) => Value::String(format!("an array of {} items", items.len())),
        Value::Object(fields) => Value::String(format!("an object of {} fields", fields.len())),
        short => short,
    }
}

/// A JSON object being read. Take every field, then call [`Form::finish`].
#[derive(Debug)]
pub struct Form {
    path: String,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
    violations: Rc<RefCell<Vec<Violation>>>,
    /// Whether its values are secrets, which no violation repeats.
    is_secret: bool,
}

impl Form {
    /// Reads `value` with `read`, and gives what it made, or all that is wrong.
    ///
    /// # Errors
    /// All violations, in the order found.
    pub fn read<T>(value: Value, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Vec<Violation>> {
        let violations = Rc::new(RefCell::new(Vec::new()));
        let made = Self::of(String::new(), value, &violations, false).and_then(|mut form| {
            let made = read(&mut form);
            form.finish();
            made
        });
        let violations = violations.take();
        match made {
            Some(made) if violations.is_empty() => Ok(made),
            None if violations.is_empty() => {
                Err(vec![Violation { path: String::new(), value: Value::Null, message: "cannot be read".to_owned() }])
            }
            _ => Err(violations),
        }
    }

    fn of(path: String, value: Value, violations: &Rc<RefCell<Vec<Violation>>>, is_secret: bool) -> Option<Self> {
        match value {
            Value::Object(fields) => {
                let violations = Rc::clone(violations);
                Some(Self { path, fields, known: Vec::new(), violations, is_secret })
            }
            other => {
                let value = if is_secret { Value::Null } else { shown(other) };
                violations.borrow_mut().push(Violation { path, value, message: "must be an object".to_owned() });
                None
            }
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Notes that the field `name` holds something it must not.
    pub fn refuse(&self, name: &str, value: Value, message: impl Display) {
        self.complain(self.path_of(name), value, message.to_string());
    }

    fn complain(&self, path: String, value: Value, message: String) {
        let value = if self.is_secret { Value::Null } else { shown(value) };
        self.violations.borrow_mut().push(Violation { path, value, message });
    }

    /// Notes that something is wrong with the object as a whole.
    pub fn refuse_whole(&self, message: impl Display) {
        let violation = Violation { path: self.path.clone(), value: Value::Null, message: message.to_string() };
        self.violations.borrow_mut().push(violation);
    }

    /// Whether the field is there and not null. Does not take it.
    pub fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field of any type; null counts as absent.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there and null, where that means "clear". Does not take it.
    pub fn is_null(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_null)
    }

    /// Takes a text of at most `longest` bytes, without NUL.
    pub fn text(&mut self, name: &'static str, longest: usize) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.len() > longest => {
                self.refuse(name, Value::String(text), format_args!("must be at most {longest} bytes long"));
                None
            }
            Value::String(text) if text.contains('\0') => {
                self.refuse(name, Value::String(text), "must not contain a NUL character");
                None
            }
            Value::String(text) => Some(text),
            other => {
                self.refuse(name, other, "must be a text");
                None
            }
        }
    }

    /// Takes a text and parses it.
    pub fn parsed<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: Display,
    {
        let text = self.text(name, 8192)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.refuse(name, Value::String(text), error);
                None
            }
        }
    }

    /// Takes a whole number within `range`.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        // 720.0 is a whole number too: JSON has only one kind of number.
        let whole = value
            .as_u64()
            .or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64));
        match whole {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let message = format!("must be a whole number, {} to {}", range.start(), range.end());
                self.refuse(name, value, message);
                None
            }
        }
    }

    /// Takes a whole number within `range` that fits 32 bits.
    pub fn integer32(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(name, wide).and_then(|number| u32::try_from(number).ok())
    }

    /// Takes a number within `range`.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(name)?;
        match value.as_f64() {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                self.refuse(name, value, format_args!("must be a number, {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    /// Takes true or false.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(boolean) => Some(boolean),
            other => {
                self.refuse(name, other, "must be true or false");
                None
            }
        }
    }

    /// Takes one of a closed list of words.
    pub fn choice<T: Choice>(&mut self, name: &'static str) -> Option<T> {
        let value = self.value(name)?;
        if let Some(choice) = value.as_str().and_then(|text| T::ALL.iter().find(|choice| choice.word() == text)) {
            return Some(*choice);
        }
        let allowed: Vec<_> = T::ALL.iter().map(|choice| choice.word()).collect();
        let hint = hint(value.as_str().unwrap_or_default(), allowed.iter().copied());
        self.refuse(name, value, format_args!("must be one of {}{hint}", allowed.join(", ")));
        None
    }

    /// Takes an object and reads it.
    pub fn object<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let value = self.value(name)?;
        let mut form = Self::of(self.path_of(name), value, &self.violations, self.is_secret)?;
        let made = read(&mut form);
        form.finish();
        made
    }

    /// Takes an object of secrets and reads it: what is wrong with them is named like everything else, but never repeated.
    pub fn secrets<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let outside = std::mem::replace(&mut self.is_secret, true);
        let made = self.object(name, read);
        self.is_secret = outside;
        made
    }

    /// Takes an array of objects, reading each. `None` when any of them cannot be read, or their number is out of range.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        mut read: impl FnMut(&mut Self, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.array(name, count)?;
        let mut made = Vec::with_capacity(items.len());
        let expected = items.len();
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(name));
            let Some(mut form) = Self::of(path, item, &self.violations, self.is_secret) else { continue };
            made.extend(read(&mut form, index));
            form.finish();
        }
        (made.len() == expected).then_some(made)
    }

    /// Takes an array of texts, parsing each with `parse`, whose error says what is allowed.
    pub fn texts<T, E: Display>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = self.array(name, count)?;
        let expected = items.len();
        let mut made = Vec::with_capacity(expected);
        for (index, item) in items.into_iter().enumerate() {
            let parsed = match &item {
                Value::String(text) => parse(text).map_err(|error| error.to_string()),
                _ => Err("must be a text".to_owned()),
            };
            match parsed {
                Ok(parsed) => made.push(parsed),
                Err(message) => {
                    let path = format!("{}[{index}]", self.path_of(name));
                    self.complain(path, item, message);
                }
            }
        }
        (made.len() == expected).then_some(made)
    }

    fn array(&mut self, name: &'static str, count: RangeInclusive<usize>) -> Option<Vec<Value>> {
        match self.value(name)? {
            Value::Array(items) if count.contains(&items.len()) => Some(items),
            Value::Array(items) => {
                let message = format!("must have {} to {} items, has {}", count.start(), count.end(), items.len());
                self.refuse(name, Value::Array(items), message);
                None
            }
            other => {
                self.refuse(name, other, "must be an array");
                None
            }
        }
    }

    /// Takes an object of at most `most` pairs of texts, such as metadata or headers.
    pub fn pairs(&mut self, name: &'static str, most: usize, longest: usize) -> Option<Vec<(String, String)>> {
        let pairs = match self.value(name)? {
            Value::Object(pairs) if pairs.len() <= most => pairs,
            Value::Object(pairs) => {
                let message = format!("must have at most {most} pairs, has {}", pairs.len());
                self.refuse(name, Value::Object(pairs), message);
                return None;
            }
            other => {
                self.refuse(name, other, "must be an object of texts");
                return None;
            }
        };
        let mut made = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match value {
                Value::String(text) if text.len() <= longest && key.len() <= longest => made.push((key, text)),
                other => {
                    let shown_key: String = key.chars().take(SHOWN).collect();
                    let path = format!("{}.{shown_key}", self.path_of(name));
                    let message = format!("must be a text of at most {longest} bytes, its name too");
                    self.complain(path, other, message);
                }
            }
        }
        Some(made)
    }

    /// Passes over every field that nobody took, where a service does so.
    pub fn ignore_rest(&mut self) {
        self.fields.clear();
    }

    /// Notes that a required field is missing, when it is `None` for want of the field.
    pub fn require<T>(&self, name: &'static str, taken: Option<T>) -> Option<T> {
        let path = self.path_of(name);
        let complained = || {
            self.violations.borrow().iter().any(|violation| {
                violation.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        if taken.is_none() && !complained() {
            self.refuse(name, Value::Null, "is required");
        }
        taken
    }

    /// Notes every field that nobody took.
    fn finish(&mut self) {
        let mut known = std::mem::take(&mut self.known);
        known.sort_unstable();
        known.dedup();
        for (name, value) in std::mem::take(&mut self.fields) {
            let name: String = name.chars().take(SHOWN).collect();
            let hint = hint(&name, known.iter().copied());
            self.refuse(&name, value, format_args!("is not known here{hint}; known are {}", known.join(", ")));
        }
    }
}

/// `; did you mean crf?` where one of the known words is near; else nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!("; did you mean {known}?"))
}

/// A closed list of words.
pub trait Choice: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// The spelling.
    fn word(self) -> &'static str;
}

/// Makes an enum whose spelling in JSON, SQL and text is one closed list of words.
#[macro_export]
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }
        impl $crate::form::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn word(self) -> &'static str {
                self.as_str()
            }
        }
        impl $name {
            /// The spelling in JSON and SQL.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// The one of that spelling.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let value = json!({"width": 9000, "name": 7, "list": [{"x": 1}, {"x": "a"}, 3], "extra": true});
        let violations = Form::read(value, |form| {
            let width = form.integer("width", 2..=7680);
            let name = form.text("name", 10);
            let list = form.objects("list", 1..=5, |item, _| item.integer("x", 0..=9));
            let missing = form.boolean("must");
            form.require("must", missing)?;
            Some((width?, name?, list?))
        })
        .unwrap_err();
        let seen: Vec<_> = violations.iter().map(|v| format!("{} {}", v.path, v.message)).collect();
        assert_eq!(
            seen,
            [
                "width must be a whole number, 2 to 7680",
                "name must be a text",
                "list[1].x must be a whole number, 0 to 9",
                "list[2] must be an object",
                "must is required",
                "extra is not known here; known are list, must, name, width",
            ]
        );
    }

    #[test]
    fn a_field_that_was_refused_is_not_called_missing_as_well() {
        let violations = Form::read(json!({"a": 1}), |form| {
            let taken = form.text("a", 5);
            form.require("a", taken)
        })
        .unwrap_err();
        assert_eq!(violations.len(), 1);
    }

    #[test]
    fn secrets_are_not_repeated_whatever_is_wrong_with_them() {
        for secrets in [
            json!({"key": "x".repeat(50), "pairs": {"a": 1, "b": "clear"}, "kee": "clear", "inner": {"k": "clear"}}),
            json!({"key": ["clear"], "pairs": "clear", "inner": "clear"}),
            json!("clear"),
            json!(["clear"]),
        ] {
            let violations = Form::read(json!({"secrets": secrets}), |form| {
                form.secrets("secrets", |form| {
                    form.text("key", 5);
                    form.pairs("pairs", 1, 3);
                    form.object("inner", |inner| inner.integer("k", 0..=1))
                })
            })
            .unwrap_err();
            assert!(!violations.is_empty());
            for violation in violations {
                assert_eq!(violation.value, Value::Null, "{violation:?}");
                assert!(!violation.message.contains("clear"), "{violation:?}");
            }
        }
    }

    #[test]
    fn long_values_are_cut_before_they_are_repeated() {
        let violations = Form::read(json!({"a": "x".repeat(100_000)}), |form| form.text("a", 5)).unwrap_err();
        assert!(violations[0].value.as_str().unwrap().len() <= SHOWN + 3);
    }
}
