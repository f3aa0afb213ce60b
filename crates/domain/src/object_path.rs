//! Names of objects in an origin: what a caller may write, and the templates that make them.
//!
//! A path that a caller wrote becomes part of a URL that is signed with somebody's credentials, so it is plain: no
//! spelling in it means anything but itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::time::Timestamp;

/// Longest path, base path included, in bytes.
///
/// # Source
/// Amazon S3 and Google Cloud Storage: an object's key has at most 1024 bytes of UTF-8.
pub const LONGEST_PATH: usize = 1024;
/// Longest template and base path, in bytes: what they become has to stay below [`LONGEST_PATH`].
pub const LONGEST_TEMPLATE: usize = 500;
/// What a template is where nobody says.
pub const DEFAULT_TEMPLATE: &str = "{job_id}/{output_id}";

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPath {
    /// There is nothing in it.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("must be at most {0} bytes long")]
    TooLong(usize),
    /// It begins at a root that origins do not have.
    #[error("must not start with '/'")]
    Absolute,
    /// It names a folder, or has two slashes in a row.
    #[error("must not have empty segments: no '//' and no '/' at its end")]
    EmptySegment,
    /// It leads upwards, or nowhere.
    #[error("must not have '.' or '..' as a segment")]
    DotSegment,
    /// It has a character that cannot be seen, or a backslash, which some servers take for a slash.
    #[error("must not have control characters or backslashes")]
    Character,
}

fn check(text: &str, longest: usize) -> Result<(), NotAPath> {
    if text.is_empty() {
        return Err(NotAPath::Empty);
    }
    if text.len() > longest {
        return Err(NotAPath::TooLong(longest));
    }
    if text.starts_with('/') {
        return Err(NotAPath::Absolute);
    }
    if text.contains(|letter: char| letter.is_control() || letter == '\\') {
        return Err(NotAPath::Character);
    }
    for segment in text.split('/') {
        match segment {
            "" => return Err(NotAPath::EmptySegment),
            "." | ".." => return Err(NotAPath::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

/// The name of one object: segments joined by slashes, none of them empty, `.` or `..`. At most [`LONGEST_PATH`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectPath(String);

impl ObjectPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// What follows the last slash.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for ObjectPath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        check(text, LONGEST_PATH).map(|()| Self(text.to_owned()))
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of an origin that all of its paths lie in, as its caller wrote it; empty for all of the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct BasePath(String);

impl BasePath {
    /// The text, with the slash at its end if there was one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// That path below this folder.
    ///
    /// # Errors
    /// [`NotAPath::TooLong`] when both together are.
    pub fn join(&self, path: &ObjectPath) -> Result<ObjectPath, NotAPath> {
        match self.0.trim_end_matches('/') {
            "" => Ok(path.clone()),
            base => format!("{base}/{path}").parse(),
        }
    }
}

impl FromStr for BasePath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        if !text.is_empty() {
            check(text.strip_suffix('/').unwrap_or(text), LONGEST_TEMPLATE)?;
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATemplate {
    /// What it makes would be no path.
    #[error(transparent)]
    Path(#[from] NotAPath),
    /// There is no such variable.
    #[error(
        "has the variable {{{0}}}, which is unknown; the variables are {{date}}, {{job_id}}, {{output_id}}, {{codec}} and {{resolution}}"
    )]
    Unknown(String),
    /// A brace stands alone.
    #[error("has a brace that is not part of a variable; variables are written as in {{job_id}}")]
    Brace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Date,
    JobId,
    OutputId,
    Codec,
    Resolution,
}

impl Variable {
    fn of(name: &str) -> Result<Self, NotATemplate> {
        match name {
            "date" => Ok(Self::Date),
            "job_id" => Ok(Self::JobId),
            "output_id" => Ok(Self::OutputId),
            "codec" => Ok(Self::Codec),
            "resolution" => Ok(Self::Resolution),
            other => Err(NotATemplate::Unknown(other.chars().take(32).collect())),
        }
    }
}

/// What the variables of a template stand for.
#[derive(Debug, Clone, Copy)]
pub struct PathFacts<'a> {
    /// When the job was made: `{date}` is its day in UTC, such as `2026-03-01`.
    pub at: Timestamp,
    /// The job's id as its dialect spells it.
    pub job_id: &'a str,
    /// The output's id as its dialect spells it.
    pub output_id: &'a str,
    /// Such as `h264`; [`NOTHING`] where the output has none.
    pub codec: Option<&'a str>,
    /// Such as `1080p`; [`NOTHING`] where the output has none.
    pub resolution: Option<&'a str>,
}

/// What stands in a path for a codec or a resolution that an output does not have.
pub const NOTHING: &str = "none";

/// A template of paths, such as `{date}/{job_id}/{resolution}`. Kept and shown as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathTemplate(String);

impl PathTemplate {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether outputs of one job get different paths whatever they are.
    pub fn tells_outputs_apart(&self) -> bool {
        self.0.contains("{output_id}")
    }

    /// The path of one output. The extension (without a dot; none when empty) is added unless it is there already.
    ///
    /// # Errors
    /// [`NotAPath::TooLong`]; the template was checked, and the values are made plain.
    pub fn path(&self, facts: &PathFacts<'_>, extension: &str) -> Result<ObjectPath, NotAPath> {
        let mut path = String::with_capacity(self.0.len() + 32);
        // A template is checked when it is made, so none of its parts can be refused here.
        for part in parts(&self.0).into_iter().flatten() {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Variable(Variable::Date) => path.extend(facts.at.to_string().chars().take("2026-03-01".len())),
                Part::Variable(Variable::JobId) => push_plain(&mut path, facts.job_id),
                Part::Variable(Variable::OutputId) => push_plain(&mut path, facts.output_id),
                Part::Variable(Variable::Codec) => push_plain(&mut path, facts.codec.unwrap_or(NOTHING)),
                Part::Variable(Variable::Resolution) => push_plain(&mut path, facts.resolution.unwrap_or(NOTHING)),
            }
        }
        let ends_so = path.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case(extension));
        if !extension.is_empty() && !ends_so {
            path.push('.');
            push_plain(&mut path, extension);
        }
        path.parse()
    }
}

impl Default for PathTemplate {
    fn default() -> Self {
        Self(DEFAULT_TEMPLATE.to_owned())
    }
}

/// A value must not change the shape of its path: neither by what it holds, nor by being empty.
fn push_plain(path: &mut String, value: &str) {
    let value = if value.is_empty() { NOTHING } else { value };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    path.extend(value.chars().map(|letter| if is_plain(letter) { letter } else { '-' }));
}

enum Part<'a> {
    Text(&'a str),
    Variable(Variable),
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, NotATemplate> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(NotATemplate::Brace)?;
        if before.contains('}') || name.contains('{') {
            return Err(NotATemplate::Brace);
        }
        parts.push(Part::Text(before));
        parts.push(Part::Variable(Variable::of(name)?));
        rest = after;
    }
    if rest.contains('}') {
        return Err(NotATemplate::Brace);
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

impl FromStr for PathTemplate {
    type Err = NotATemplate;

    fn from_str(text: &str) -> Result<Self, NotATemplate> {
        check(text, LONGEST_TEMPLATE)?;
        parts(text)?;
        Ok(Self(text.to_owned()))
    }
}

macro_rules! spelled {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
spelled! { ObjectPath BasePath PathTemplate }

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> PathFacts<'static> {
        PathFacts {
            at: Timestamp::from_millis(1_772_355_600_000),
            job_id: "job_m3n4o5p6q7r8",
            output_id: "out_k1l2",
            codec: Some("h264"),
            resolution: Some("1080p"),
        }
    }

    fn made(template: &str, extension: &str) -> String {
        template.parse::<PathTemplate>().unwrap().path(&facts(), extension).unwrap().to_string()
    }

    #[test]
    fn templates_become_paths_with_their_extension() {
        for (template, extension, expected) in [
            (DEFAULT_TEMPLATE, "mp4", "job_m3n4o5p6q7r8/out_k1l2.mp4"),
            ("{date}/{job_id}/{resolution}", "mp4", "2026-03-01/job_m3n4o5p6q7r8/1080p.mp4"),
            ("a/{codec}_{resolution}", "webm", "a/h264_1080p.webm"),
            ("fixed/name.MP4", "mp4", "fixed/name.MP4"),
            ("fixed/name.mov", "mp4", "fixed/name.mov.mp4"),
            ("folders/{output_id}", "", "folders/out_k1l2"),
        ] {
            assert_eq!(made(template, extension), expected, "{template}");
        }
    }

    #[test]
    fn what_an_output_does_not_have_is_named_so() {
        let facts = PathFacts { codec: None, resolution: None, ..facts() };
        let template: PathTemplate = "{codec}/{resolution}".parse().unwrap();
        assert_eq!(template.path(&facts, "jpg").unwrap().as_str(), "none/none.jpg");
    }

    #[test]
    fn values_cannot_change_the_shape_of_a_path() {
        let facts = PathFacts { codec: Some("../../x"), resolution: Some("a/b\n"), ..facts() };
        let template: PathTemplate = "{codec}/{resolution}".parse().unwrap();
        assert_eq!(template.path(&facts, "jpg").unwrap().as_str(), "------x/a-b-.jpg");
        let facts = PathFacts { codec: Some(""), ..facts };
        let template: PathTemplate = "..{codec}/x".parse().unwrap();
        assert_eq!(template.path(&facts, "jpg").unwrap().as_str(), "..none/x.jpg");
    }

    #[test]
    fn templates_that_make_no_path_are_refused_with_the_reason() {
        for (template, expected) in [
            ("", "must not be empty"),
            ("/{job_id}", "must not start with '/'"),
            ("{job_id}/../x", "must not have '.' or '..' as a segment"),
            ("{job_id}//x", "must not have empty segments: no '//' and no '/' at its end"),
            ("{job_id}/", "must not have empty segments: no '//' and no '/' at its end"),
            ("a\\b", "must not have control characters or backslashes"),
            ("a\nb", "must not have control characters or backslashes"),
            (
                "{job}/x",
                "has the variable {job}, which is unknown; the variables are {date}, {job_id}, {output_id}, {codec} and {resolution}",
            ),
            ("{job_id", "has a brace that is not part of a variable; variables are written as in {job_id}"),
            ("job_id}", "has a brace that is not part of a variable; variables are written as in {job_id}"),
            ("{{job_id}}", "has a brace that is not part of a variable; variables are written as in {job_id}"),
        ] {
            assert_eq!(template.parse::<PathTemplate>().unwrap_err().to_string(), expected, "{template:?}");
        }
        let long = "a".repeat(LONGEST_TEMPLATE + 1).parse::<PathTemplate>();
        assert_eq!(long, Err(NotATemplate::Path(NotAPath::TooLong(LONGEST_TEMPLATE))));
    }

    #[test]
    fn a_base_path_is_always_in_front() {
        let path: ObjectPath = "a/b.mp4".parse().unwrap();
        for (base, expected) in [("", "a/b.mp4"), ("videos", "videos/a/b.mp4"), ("videos/in/", "videos/in/a/b.mp4")] {
            let base: BasePath = base.parse().unwrap();
            assert_eq!(base.join(&path).unwrap().as_str(), expected);
        }
        for wrong in ["/", "/videos", "..", "a/../b", "a//", "a//b", "a\0"] {
            assert!(wrong.parse::<BasePath>().is_err(), "{wrong:?}");
        }
        let long: ObjectPath = "x".repeat(LONGEST_PATH).parse().unwrap();
        let base: BasePath = "videos".parse().unwrap();
        assert_eq!(base.join(&long), Err(NotAPath::TooLong(LONGEST_PATH)));
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_its_base(base in "[a-z./]{0,12}", path in "[a-z./\\\\]{0,16}") {
            if let (Ok(base), Ok(path)) = (base.parse::<BasePath>(), path.parse::<ObjectPath>()) {
                let joined = base.join(&path).unwrap();
                prop_assert!(joined.as_str().starts_with(base.as_str()));
                prop_assert!(joined.segments().all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }

        #[test]
        fn every_template_that_is_taken_makes_a_path(text in "[a-z{}_./]{0,24}", codec in "\\PC{0,8}") {
            if let Ok(template) = text.parse::<PathTemplate>() {
                let facts = PathFacts { codec: Some(&codec), ..facts() };
                prop_assert!(template.path(&facts, "mp4").is_ok());
            }
        }
    }
}
