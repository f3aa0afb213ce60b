//! Inputs of a job beside its main one: a picture to put behind, a clip to join on.

use std::path::PathBuf;

use crate::probe::Source;

/// An input beside the main one. Plans look at its name and at what it holds; only a run touches the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Further {
    /// What the job calls it.
    pub name: String,
    /// Where it lies; absolute.
    pub path: PathBuf,
    /// What it holds.
    pub source: Source,
}
