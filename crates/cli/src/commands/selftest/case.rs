//! What a case is: an input, what is asked of it, and what is right.

use super::seen::Seen;
use super::workshop::Workshop;

/// One input, and what must become of it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) group: &'static str,
    /// What it is about, as a sentence.
    pub(super) name: &'static str,
    /// The name that the input is sent under.
    pub(super) file: &'static str,
    pub(super) input: Input,
    /// The output that is asked for, in JSON.
    pub(super) recipe: &'static str,
    pub(super) right: Right,
}

/// How an input is made.
#[derive(Debug)]
pub(super) enum Input {
    /// By ffmpeg with these arguments, into a file of the case's name. `{patches}` stands for a picture of four colours:
    /// red and green above blue and yellow.
    Ffmpeg(&'static str),
    /// By our own hands, where ffmpeg writes no such file.
    Built(fn(&Workshop) -> anyhow::Result<Vec<u8>>),
}

/// What is right.
#[derive(Debug)]
pub(super) enum Right {
    /// It is made, and what is measured of it reads as expected.
    Made { expected: &'static str, by: &'static str, got: fn(&Seen) -> anyhow::Result<String> },
    /// It is refused with this code, and the message has these words in it.
    Refused { code: &'static str, says: &'static str },
}

impl Case {
    /// Whether it is asked for; all are where nothing is.
    pub(super) fn is_among(&self, words: &[String]) -> bool {
        let asked = |word: &String| self.group == word || self.name.to_lowercase().contains(&word.to_lowercase());
        words.is_empty() || words.iter().any(asked)
    }

    pub(super) fn expected(&self) -> String {
        match &self.right {
            Right::Made { expected, .. } => (*expected).to_owned(),
            Right::Refused { code, .. } => (*code).to_owned(),
        }
    }

    /// How what came of it was looked at.
    pub(super) const fn check(&self) -> &'static str {
        match &self.right {
            Right::Made { by, .. } => by,
            Right::Refused { .. } => "the job's error, and no file",
        }
    }
}
