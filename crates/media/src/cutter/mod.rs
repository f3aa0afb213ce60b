//! Cutting a subject out of frames with a model: in a sandboxed child, never in the server.
//!
//! ```text
//! ffmpeg decodes --rgb24, a pipe--> child: sandbox::enter --> serve --rgba, a pipe--> ffmpeg encodes
//! ```
//!
//! A model is a file that the operator took from somewhere, run by an interpreter that takes what memory the file asks for.
//! The child may read the folder of models and nothing else, and write nothing but its two pipes: a crash, memory that runs
//! out, or a model that is hostile costs one step, and calling it off is killing.
//!
//! At its end it says on standard error, as one line of JSON, what it saw ([`MatteReport`](crate::matte::MatteReport)) or why
//! it stopped ([`Refusal`]); its exit code says which.

mod serve;

use std::io;
use std::path::{Path, PathBuf};

use reelhook_domain::recipe::Refine;
use serde::{Deserialize, Serialize};

pub(crate) use self::serve::serve;
use crate::error::MachineError;
use crate::matte::ModelError;

/// What a cutter is asked to do, as JSON on its command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The folder of models.
    pub(crate) folder: PathBuf,
    pub(crate) model: String,
    pub(crate) refine: Refine,
    /// Width and height of the frames, in pixels.
    pub(crate) size: (u32, u32),
}

/// Exit code of a cutter that says why it stopped.
pub(crate) const REFUSED: i32 = 3;
/// Exit code of a cutter after the encoder stopped reading its frames.
pub(crate) const UNREAD: i32 = 4;

/// Why a cutter stopped.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// No model of that name is installed.
    Missing,
    /// It cannot be used, in words.
    Broken(String),
    /// The operating system said no.
    Machine(MachineError),
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Missing(_) => Self::Missing,
            ModelError::Io(error) => error.into(),
            broken => Self::Broken(broken.to_string()),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Machine(error.into())
    }
}

/// The folder as a rule of the sandbox can name it, and what its links lead to, which a rule does not cover.
pub(crate) fn reads(folder: &Path) -> io::Result<(PathBuf, Vec<PathBuf>)> {
    let folder = match folder.canonicalize() {
        // The cutter reports the missing model.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((std::path::absolute(folder)?, Vec::new())),
        other => other?,
    };
    let mut reads = vec![folder.clone()];
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.is_symlink()
            && let Ok(target) = path.canonicalize()
        {
            reads.push(target);
        }
    }
    Ok((folder, reads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_links_lead_to_may_be_read_too() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = elsewhere.path().canonicalize().unwrap().join("shared.onnx");
        std::fs::write(&target, b"x").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("linked.onnx")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.onnx")).unwrap();
        let own = folder.path().canonicalize().unwrap();
        assert_eq!(reads(folder.path()).unwrap(), (own.clone(), vec![own, target]));
        assert!(reads(&folder.path().join("none")).unwrap().1.is_empty());
    }
}
