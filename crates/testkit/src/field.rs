//! Inputs as people really have them, and the table of what becomes of them.
//!
//! Each file in `crates/testkit/field` was made by hand (with ffmpeg, an image library, or byte by byte) to show one kind
//! of input that once came out wrong. `docs/media.md` is the table of all of them, made of the [`Verdict`]s that the tests
//! leave behind.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a file in `crates/testkit/field`. Must not be changed.
///
/// # Panics
/// When there is no such file.
pub fn field(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("field").join(name);
    assert!(path.is_file(), "crates/testkit/field has no file {name}");
    path
}

/// One row of the table in `docs/media.md`: what a kind of input should become and what it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The area and the kind, such as `orientation: a portrait photo as a thumbnail`.
    pub kind: String,
    /// The input and the recipe, in words.
    pub source: String,
    /// What is right.
    pub expected: String,
    /// What was measured.
    pub measured: String,
    /// Whether the two agree.
    pub holds: bool,
}

/// Leaves a row for the table behind, and fails the test where it does not hold.
///
/// # Panics
/// Where `holds` is false.
pub fn verdict(kind: impl Display, source: impl Display, expected: impl Display, measured: impl Display, holds: bool) {
    let verdict = Verdict {
        kind: kind.to_string(),
        source: source.to_string(),
        expected: expected.to_string(),
        measured: measured.to_string(),
        holds,
    };
    verdict.leave_behind();
    let Verdict { kind, source, expected, measured, .. } = verdict;
    assert!(holds, "{kind}: {source}: expected {expected}, measured {measured}");
}

impl Verdict {
    /// Writes it as one line of fields separated by tabs, in a file of its own: tests run in processes of their own.
    fn leave_behind(&self) {
        let folder = super::clips::folder().with_file_name("verdicts");
        fs::create_dir_all(&folder).expect("the target folder can be written to");
        let plain = |text: &str| text.replace(['\t', '\n'], " ");
        let holds = if self.holds { "right" } else { "wrong" };
        let fields = [&self.kind, &self.source, &self.expected, &self.measured].map(|text| plain(text));
        let name: String = format!("{} {}", self.kind, self.source)
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let name: String = name.chars().take(200).collect();
        let line = format!("{}\t{holds}\n", fields.join("\t"));
        fs::write(folder.join(format!("{name}.tsv")), line).expect("the target folder can be written to");
    }
}
