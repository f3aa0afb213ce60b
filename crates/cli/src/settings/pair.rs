//! `original=chroma`: a name, and what it stands for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A name with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair<T> {
    /// The name.
    pub(crate) name: String,
    /// What it stands for.
    pub(crate) value: T,
}

impl<T> Pair<T> {
    /// That name with that value.
    pub(crate) fn new(name: &str, value: T) -> Self {
        Self { name: name.to_owned(), value }
    }
}

/// The text is no pair.
#[derive(Debug, thiserror::Error)]
#[error("must be a name, an equals sign and a value, such as original=60")]
pub(crate) struct NotAPair;

impl<T: FromStr> FromStr for Pair<T> {
    type Err = NotAPair;

    fn from_str(text: &str) -> Result<Self, NotAPair> {
        let (name, value) = text.split_once('=').ok_or(NotAPair)?;
        let (name, value) = (name.trim(), value.trim());
        let value = value.parse().ok().filter(|_| !name.is_empty() && !value.is_empty()).ok_or(NotAPair)?;
        Ok(Self::new(name, value))
    }
}

impl<T: fmt::Display> Serialize for Pair<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}={}", self.name, self.value))
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Pair<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Pair;

    #[test]
    fn pairs_are_read() {
        assert_eq!("original = chroma".parse::<Pair<String>>().unwrap(), Pair::new("original", "chroma".to_owned()));
        assert_eq!("pro=180".parse::<Pair<u32>>().unwrap(), Pair::new("pro", 180));
        for text in ["", "pro", "=1", "pro=", "pro=many", "pro=-1"] {
            assert!(text.parse::<Pair<u32>>().is_err(), "{text}");
        }
    }
}
