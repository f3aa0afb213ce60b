//! How the program ends: one exit code for each kind of end, and an error told in one sentence.

use std::fmt::Display;
use std::process::ExitCode;

use http::StatusCode;
use reelhook_egress::Failure;

use crate::client::Problem;

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    failed: a job, a check, or something on this machine
  2    wrong usage: an argument, a setting, or a data folder without server data
  3    refused by the server
  4    not signed in: no API key, or one that the server does not accept
  5    the server, or the receiver of `trigger --to`, cannot be reached
  130  interrupted";

/// A kind of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A job, a check, or something on this machine failed.
    Failed,
    /// The command line, a setting or a folder is not what it must be.
    Usage,
    /// The server said no.
    Refused,
    /// There is no key, or the server does not take it.
    NotSignedIn,
    /// Nothing answers there.
    Unreachable,
    /// A signal ended it: 128 and the number of SIGINT.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotSignedIn => 4,
            Self::Unreachable => 5,
            Self::Interrupted => 130,
        }
    }

    /// The kind of end that an error is.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if let Some(Told { exit, .. }) = error.downcast_ref::<Told>() {
            return *exit;
        }
        // The connection broke off in the middle of an answer.
        if error.is::<Failure>() {
            return Self::Unreachable;
        }
        match error.downcast_ref::<Problem>().map(|problem| problem.status) {
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Self::NotSignedIn,
            // A proxy says these of a server that it cannot reach.
            Some(StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => Self::Unreachable,
            Some(_) => Self::Refused,
            None => Self::Failed,
        }
    }

    /// An error of this kind.
    pub(crate) fn error(self, text: impl Display) -> anyhow::Error {
        Told { exit: self, text: text.to_string() }.into()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// An error whose kind of end is known where it is made.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Told {
    exit: Exit,
    text: String,
}

/// An error and its causes, none of which repeats what was said before it.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_kind_is_known_under_any_context() {
        let failed: anyhow::Result<()> = Err(Exit::Unreachable.error("cannot reach x"));
        assert_eq!(Exit::of(&failed.context("the server made no endpoint").unwrap_err()), Exit::Unreachable);
        assert_eq!(Exit::of(&anyhow::anyhow!("anything else")), Exit::Failed);
    }

    #[test]
    fn nothing_is_said_twice() {
        let inner = std::io::Error::other("no such file");
        let error = anyhow::Error::new(inner).context("clip.mov cannot be read: no such file").context("upload");
        assert_eq!(sentence(&error), "upload: clip.mov cannot be read: no such file");
    }
}
