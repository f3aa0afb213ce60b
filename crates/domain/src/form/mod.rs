//! Reading JSON that a stranger wrote, and naming everything that is wrong with it at once.
//!
//! A [`Form`] is one JSON object on its way into a typed value. Each field is taken by name with its limits; what does
//! not fit becomes a [`Violation`] with the path, the value and what is allowed, and reading goes on. Fields that
//! nobody took are violations too, so a misspelt option is never silently ignored.
//!
//! The same reader tells what it takes: [`Form::shape`] lets it read a form that has no fields and notes what it asks for.

#![expect(clippy::wildcard_enum_match_arm, reason = "JSON has six kinds of values and gets no seventh")]

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod shape;

pub use shape::Shape;

use crate::nearest::nearest;

/// A violation: one reason why a request is not valid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Violation {
    /// Path of the field, such as `outputs[0].crf`; empty for the whole document.
    pub path: String,
    /// The value; long values are cut. Null if the field is missing.
    pub value: Value,
    /// What is allowed, worded to follow the path: `must be 0 to 51`.
    pub message: String,
}

/// Longest text of a value that is repeated in a violation.
const SHOWN: usize = 120;

/// A text without NUL, as a regular expression of ECMA-262.
const NO_NUL: &str = r"^[^\u0000]*$";

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
    /// Of those, the ones that were there.
    given: Vec<&'static str>,
    violations: Rc<RefCell<Vec<Violation>>>,
    /// Whether its values are secrets, which no violation repeats.
    is_secret: bool,
    /// Where it is noted what is taken; then there are no fields, and nothing is refused.
    shape: Option<Rc<RefCell<Shape>>>,
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

    /// What `read` takes, whether or not it is there.
    pub fn shape<T>(read: impl FnOnce(&mut Self) -> Option<T>) -> Shape {
        let shape = Rc::new(RefCell::new(Shape::default()));
        let mut form = Self {
            path: String::new(),
            fields: Map::new(),
            known: Vec::new(),
            given: Vec::new(),
            violations: Rc::default(),
            is_secret: false,
            shape: Some(Rc::clone(&shape)),
        };
        read(&mut form);
        drop(form);
        shape.take()
    }

    /// Notes what is taken, where that is wanted.
    fn note(&self, name: &'static str, schema: impl FnOnce() -> Value) {
        if let Some(shape) = &self.shape {
            shape.borrow_mut().note(name, schema());
        }
    }

    fn of(path: String, value: Value, violations: &Rc<RefCell<Vec<Violation>>>, is_secret: bool) -> Option<Self> {
        match value {
            Value::Object(fields) => {
                let violations = Rc::clone(violations);
                Some(Self { path, fields, known: Vec::new(), given: Vec::new(), violations, is_secret, shape: None })
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
        if self.shape.is_some() {
            return;
        }
        let value = if self.is_secret { Value::Null } else { shown(value) };
        self.violations.borrow_mut().push(Violation { path, value, message });
    }

    /// Notes that something is wrong with the object as a whole.
    pub fn refuse_whole(&self, message: impl Display) {
        if self.shape.is_some() {
            return;
        }
        let violation = Violation { path: self.path.clone(), value: Value::Null, message: message.to_string() };
        self.violations.borrow_mut().push(violation);
    }

    /// Whether the field is there and not null. Does not take it.
    pub fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether the field was taken and not null.
    pub fn was_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// Takes a field of any type; null counts as absent.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.note(name, || json!({}));
        let value = self.fields.remove(name).filter(|value| !value.is_null());
        if value.is_some() {
            self.given.push(name);
        }
        value
    }

    /// Takes a field that null clears.
    pub fn clearable<T>(&mut self, name: &'static str, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.fields.get(name).is_some_and(Value::is_null) {
            self.value(name);
            return Some(None);
        }
        if let Some(shape) = &self.shape {
            shape.borrow_mut().clear(name);
        }
        take(self).map(Some)
    }

    /// Whether the field is there and null, where that means "clear". Does not take it.
    pub fn is_null(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_null)
    }

    /// Takes a text of at most `longest` characters without NUL.
    pub fn text(&mut self, name: &'static str, longest: usize) -> Option<String> {
        self.note(name, || json!({"type": "string", "maxLength": longest}));
        if let Some(shape) = &self.shape {
            shape.borrow_mut().note_pattern(name, NO_NUL);
        }
        match self.value(name)? {
            Value::String(text) if is_longer(&text, longest) => {
                self.refuse(name, Value::String(text), format_args!("must be at most {longest} characters long"));
                None
            }
            Value::String(text) if text.contains('\0') => {
                self.refuse(name, Value::String(text), "must not contain a NUL character");
                None
            }
            Value::String(text) => Some(text),
            other => {
                self.refuse(name, other, "must be a string");
                None
            }
        }
    }

    /// Takes a text that `pattern`, a regular expression of ECMA-262, describes and `fits` judges. `allowed` is what is
    /// said of others: `must be ...`.
    pub fn text_like(
        &mut self,
        name: &'static str,
        longest: usize,
        pattern: &'static str,
        allowed: &str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        self.note(name, || json!({"type": "string", "maxLength": longest, "pattern": pattern}));
        match self.value(name)? {
            Value::String(text) if !is_longer(&text, longest) && fits(&text) => Some(text),
            other => {
                self.refuse(name, other, allowed);
                None
            }
        }
    }

    /// Takes fields that are secrets, which no refusal repeats.
    pub fn secretly<T>(&mut self, take: impl FnOnce(&mut Self) -> T) -> T {
        let outside = std::mem::replace(&mut self.is_secret, true);
        let taken = take(self);
        self.is_secret = outside;
        taken
    }

    /// Notes the pattern of the texts of an array that was taken, a regular expression of ECMA-262.
    pub fn items(&self, name: &'static str, pattern: &str) {
        self.note(name, || json!({"items": {"type": "string", "pattern": pattern}}));
    }

    /// Notes the patterns of names and texts in an object of pairs.
    pub fn pair_patterns(&self, name: &'static str, names: &str, texts: &str) {
        self.note(name, || {
            json!({"propertyNames": {"pattern": names}, "additionalProperties": {"type": "string", "pattern": texts}})
        });
    }

    /// Notes of what form a text is that is parsed: a format of JSON Schema.
    pub fn format(&self, name: &'static str, format: &'static str) {
        self.note(name, || json!({"format": format}));
    }

    /// Notes the pattern of a text that is parsed, a regular expression of ECMA-262.
    pub fn pattern(&self, name: &'static str, pattern: &str) {
        self.note(name, || json!({"pattern": pattern}));
    }

    /// Refuses null for a field of any other type. Does not take it.
    pub fn not_null(&self, name: &'static str) {
        self.note(name, || json!({"not": {"type": "null"}}));
        if self.is_null(name) {
            self.refuse(name, Value::Null, "must not be null");
        }
    }

    /// Notes that a field is not null, which is seen to elsewhere.
    pub fn note_not_null(&self, name: &'static str) {
        self.note(name, || json!({"not": {"type": "null"}}));
    }

    /// Notes that a text is not empty, which is seen to elsewhere.
    pub fn not_empty(&self, name: &'static str) {
        self.note(name, || json!({"minLength": 1}));
    }

    /// Notes how many characters a text has at most that is parsed.
    pub fn longest(&self, name: &'static str, longest: usize) {
        self.note(name, || json!({"maxLength": longest}));
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
        self.note(name, || json!({"type": "integer", "minimum": range.start(), "maximum": range.end()}));
        let value = self.value(name)?;
        match whole(&value).filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
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
        self.note(name, || json!({"type": "number", "minimum": range.start(), "maximum": range.end()}));
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
        self.note(name, || json!({"type": "boolean"}));
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
        self.choice_where(name, |_| true)
    }

    /// Takes one of those words of a closed list that fit.
    pub fn choice_where<T: Choice>(&mut self, name: &'static str, fits: impl Fn(T) -> bool) -> Option<T> {
        let allowed = || T::ALL.iter().copied().filter(|choice| fits(*choice));
        let words = || allowed().map(Choice::word).collect::<Vec<_>>();
        self.note(name, || json!({"type": "string", "enum": words()}));
        let value = self.value(name)?;
        if let Some(choice) = value.as_str().and_then(|text| allowed().find(|choice| choice.word() == text)) {
            return Some(choice);
        }
        let hint = hint(value.as_str().unwrap_or_default(), words());
        self.refuse(name, value, format_args!("must be one of {}{hint}", words().join(", ")));
        None
    }

    /// Gives what was taken, or what stands for it where it is absent.
    pub fn or<T: Serialize>(&self, name: &'static str, taken: Option<T>, default: T) -> T {
        self.note(name, || json!({"default": default}));
        taken.unwrap_or(default)
    }

    /// Takes one of a closed list of words; `default` where it is absent.
    pub fn choice_or<T: Choice + Serialize>(&mut self, name: &'static str, default: T) -> T {
        let taken = self.choice(name);
        self.or(name, taken, default)
    }

    /// Takes true or false; `default` where it is absent.
    pub fn boolean_or(&mut self, name: &'static str, default: bool) -> bool {
        let taken = self.boolean(name);
        self.or(name, taken, default)
    }

    /// Takes a number within `range`; `default` where it is absent.
    pub fn number_or(&mut self, name: &'static str, range: RangeInclusive<f64>, default: f64) -> f64 {
        let taken = self.number(name, range);
        self.or(name, taken, default)
    }

    /// Takes a whole number within `range` that fits 32 bits; `default` where it is absent.
    pub fn integer32_or(&mut self, name: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let taken = self.integer32(name, range);
        self.or(name, taken, default)
    }

    /// Which one of these fields is there. Where it is none, or several, that is refused and all are taken.
    pub fn exactly_one(&mut self, names: &[&'static str]) -> Option<&'static str> {
        if let Some(shape) = &self.shape {
            shape.borrow_mut().exactly_one(names);
        }
        let mut given = names.iter().copied().filter(|name| self.has(name));
        let only = given.next().filter(|_| given.next().is_none());
        drop(given);
        if only.is_none() {
            for name in names {
                self.value(name);
            }
            let (last, others) = names.split_last()?;
            self.refuse_whole(format_args!("needs exactly one of {} and {last}", others.join(", ")));
        }
        only
    }

    /// Refuses more than one of these fields.
    pub fn at_most_one(&self, names: &[&'static str]) {
        if let Some(shape) = &self.shape {
            shape.borrow_mut().at_most_one(names);
        }
        if names.iter().filter(|name| self.given.contains(*name)).count() > 1
            && let Some((last, others)) = names.split_last()
        {
            self.refuse_whole(format_args!("takes only one of {} and {last}", others.join(", ")));
        }
    }

    /// Takes a word that says what the other fields are, and reads those.
    pub fn variant<T>(
        &mut self,
        name: &'static str,
        words: &'static [&'static str],
        mut read: impl FnMut(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if let Some(shape) = self.shape.clone() {
            let variants = words.iter().map(|word| (*word, Self::shape(|form| read(form, word)))).collect();
            shape.borrow_mut().vary(name, variants);
            return None;
        }
        let given = self.text(name, 64);
        let given = self.require(name, given)?;
        match words.iter().find(|word| **word == given) {
            Some(word) => read(self, word),
            None => {
                let hint = hint(&given, words.iter().copied());
                self.refuse(name, given.into(), format_args!("must be one of {}{hint}", words.join(", ")));
                // Which other fields there are depends on the word that was meant.
                self.ignore_rest();
                None
            }
        }
    }

    /// Takes an object and reads it.
    pub fn object<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.shape.is_some() {
            self.note(name, || Self::shape(read).schema());
            return None;
        }
        let value = self.value(name)?;
        let mut form = Self::of(self.path_of(name), value, &self.violations, self.is_secret)?;
        let made = read(&mut form);
        form.finish();
        made
    }

    /// Takes an object of secrets and reads it: what is wrong with them is named like everything else, but never repeated.
    pub fn secrets<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.secretly(|form| form.object(name, read))
    }

    /// Takes an array of objects, reading each. `None` when any of them cannot be read, or their number is out of range.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        mut read: impl FnMut(&mut Self, usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        if self.shape.is_some() {
            self.note(name, || list(&count, &Self::shape(|form| read(form, 0)).schema()));
            return None;
        }
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
        self.note(name, || list(&count, &json!({"type": "string"})));
        let items = self.array(name, count)?;
        let expected = items.len();
        let mut made = Vec::with_capacity(expected);
        for (index, item) in items.into_iter().enumerate() {
            let parsed = match &item {
                Value::String(text) => parse(text).map_err(|error| error.to_string()),
                _ => Err("must be a string".to_owned()),
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

    /// Takes an array of whole numbers within `range`.
    pub fn integers(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        range: RangeInclusive<u64>,
    ) -> Option<Vec<u64>> {
        self.note(name, || list(&count, &json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})));
        let items = self.array(name, count)?;
        let expected = items.len();
        let mut made = Vec::with_capacity(expected);
        for (index, item) in items.into_iter().enumerate() {
            match whole(&item).filter(|number| range.contains(number)) {
                Some(number) => made.push(number),
                None => {
                    let message = format!("must be a whole number, {} to {}", range.start(), range.end());
                    self.complain(format!("{}[{index}]", self.path_of(name)), item, message);
                }
            }
        }
        (made.len() == expected).then_some(made)
    }

    /// Takes an object of at most `most` pairs of texts, such as metadata or headers.
    pub fn pairs(&mut self, name: &'static str, most: usize, longest: usize) -> Option<Vec<(String, String)>> {
        self.note(name, || {
            let text = json!({"type": "string", "maxLength": longest});
            json!({"type": "object", "maxProperties": most, "propertyNames": text, "additionalProperties": text})
        });
        let pairs = match self.value(name)? {
            Value::Object(pairs) if pairs.len() <= most => pairs,
            Value::Object(pairs) => {
                let message = format!("must have at most {most} pairs, has {}", pairs.len());
                self.refuse(name, Value::Object(pairs), message);
                return None;
            }
            other => {
                self.refuse(name, other, "must be an object of strings");
                return None;
            }
        };
        let mut made = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match value {
                Value::String(text) if !is_longer(&text, longest) && !is_longer(&key, longest) => {
                    made.push((key, text))
                }
                other => {
                    let shown_key: String = key.chars().take(SHOWN).collect();
                    let path = format!("{}.{shown_key}", self.path_of(name));
                    let message = format!("must be a string of at most {longest} characters, and so must its name");
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
        if let Some(shape) = &self.shape {
            shape.borrow_mut().require(name);
            return taken;
        }
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

    /// The same where the field `other` is there; without it the field is refused.
    pub fn require_with<T>(&self, name: &'static str, other: &'static str, taken: Option<T>) -> Option<T> {
        if let Some(shape) = &self.shape {
            shape.borrow_mut().depend(name, other);
            return taken;
        }
        if self.given.contains(&other) {
            return self.require(name, taken);
        }
        if self.given.contains(&name) {
            self.refuse(name, Value::Null, format_args!("is allowed only with {other}"));
        }
        None
    }

    /// Notes every field that nobody took.
    fn finish(&mut self) {
        let mut known = std::mem::take(&mut self.known);
        known.sort_unstable();
        known.dedup();
        for (name, value) in std::mem::take(&mut self.fields) {
            let name: String = name.chars().take(SHOWN).collect();
            self.refuse(&name, value, unknown(&name, &known));
        }
    }
}

/// A number without a fraction. 720.0 is one too: JSON has only one kind of number.
fn whole(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
}

/// Whether a text has more characters. One of at most so many bytes need not be counted.
fn is_longer(text: &str, longest: usize) -> bool {
    text.len() > longest && text.chars().count() > longest
}

/// The schema of an array.
fn list(count: &RangeInclusive<usize>, items: &Value) -> Value {
    json!({"type": "array", "minItems": count.start(), "maxItems": count.end(), "items": items})
}

/// `; did you mean crf?` where one of the known words is near; else nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!("; did you mean {known}?"))
}

/// `is unknown; did you mean crf? Allowed are codec, crf`.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let hint = hint(name, known.iter().copied());
    let allowed = if hint.is_empty() { "; allowed are" } else { " Allowed are" };
    format!("is unknown{hint}{allowed} {}", known.join(", "))
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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
        // Written out: what is derived would take the names of Rust for the words, which the macro hands over.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($word),+]))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
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
                "name must be a string",
                "list[1].x must be a whole number, 0 to 9",
                "list[2] must be an object",
                "must is required",
                "extra is unknown; allowed are list, must, name, width",
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
