//! Names of files: made from ids, never from what a caller wrote.

use std::fmt;
use std::str::FromStr;

use object_store::path::Path;
use reelhook_domain::id::{JobId, OutputId, UploadId};

/// The name under which a file is kept. Only ids are in it, so no caller can choose where something is written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// A file that a caller sent.
    pub fn upload(id: UploadId) -> Self {
        Self(format!("uploads/{id}"))
    }

    /// What was downloaded for a job.
    pub fn input(job: JobId) -> Self {
        Self(format!("jobs/{job}/input"))
    }

    /// What a job made.
    pub fn output(job: JobId, output: OutputId) -> Self {
        Self(format!("jobs/{job}/{output}"))
    }

    /// One of the files that an output names, such as a segment: its place among them, from 0.
    pub fn part(job: JobId, output: OutputId, number: u32) -> Self {
        Self(format!("jobs/{job}/{output}.{number}"))
    }

    /// The spelling, as the store keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn path(&self) -> Path {
        Path::from(self.0.as_str())
    }
}

/// Every upload lies below this.
pub(crate) fn uploads_prefix() -> Path {
    Path::from("uploads")
}

/// Everything that is kept of a job lies below this.
pub(crate) fn job_prefix(job: JobId) -> Path {
    Path::from(format!("jobs/{job}"))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a key that this crate made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key of a file")]
pub struct NotAKey;

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let parts: Vec<_> = text.split('/').collect();
        match parts.as_slice() {
            ["uploads", id] => id.parse().map(Self::upload).map_err(|_| NotAKey),
            ["jobs", job, "input"] => job.parse().map(Self::input).map_err(|_| NotAKey),
            ["jobs", job, output] => {
                let job = job.parse().map_err(|_| NotAKey)?;
                match output.split_once('.') {
                    None => output.parse().map(|output| Self::output(job, output)).map_err(|_| NotAKey),
                    Some((output, number)) => match (output.parse(), number.parse()) {
                        (Ok(output), Ok(number)) => Ok(Self::part(job, output, number)),
                        _ => Err(NotAKey),
                    },
                }
            }
            _ => Err(NotAKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_survives_its_spelling() {
        let job = JobId::from_bits(1);
        for key in [Key::upload(UploadId::from_bits(2)), Key::input(job), Key::output(job, OutputId::from_bits(3))] {
            assert_eq!(key.as_str().parse(), Ok(key));
        }
    }

    #[test]
    fn what_is_not_made_of_ids_is_no_key() {
        let job = JobId::from_bits(1);
        let texts = ["", "/", "uploads/..", "uploads/../../etc/passwd", "jobs/x/input", "scratch/1"];
        for text in texts.into_iter().map(str::to_owned).chain([format!("jobs/{job}"), format!("jobs/{job}/..")]) {
            assert_eq!(text.parse::<Key>(), Err(NotAKey), "{text}");
        }
    }
}
