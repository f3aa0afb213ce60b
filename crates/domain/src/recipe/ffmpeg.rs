//! The recipe `ffmpeg`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::form::Form;

/// `ffmpeg`: a command of the caller's own, of options on a list.
///
/// Arguments are those of the ffmpeg program without the program's name; `{{input}}` and `{{in_x}}` stand for inputs,
/// `{{output}}` for this output. `media` reads them into typed options and refuses what is not on its list, so that no
/// argument can read or write elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ffmpeg {
    /// The arguments.
    pub args: Vec<String>,
    /// What it writes.
    pub format: Format,
}

/// Most arguments of a command.
pub const MOST_ARGS: usize = 200;
/// Longest argument, in bytes.
pub const LONGEST_ARG: usize = 8192;

impl Ffmpeg {
    pub(super) fn read(form: &mut Form) -> Option<Self> {
        let fits = |text: &str| {
            if text.len() <= LONGEST_ARG && !text.contains('\0') {
                Ok(text.to_owned())
            } else {
                Err(format!("must be at most {LONGEST_ARG} bytes, without NUL"))
            }
        };
        let args = form.texts("args", 1..=MOST_ARGS, fits);
        let format = form.choice("format");
        let (args, format) = (form.require("args", args), form.require("format", format));
        Some(Self { args: args?, format: format? })
    }
}
