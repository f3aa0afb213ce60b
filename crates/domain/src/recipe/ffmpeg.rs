//! The recipe `ffmpeg`.

use serde::{Deserialize, Serialize};

use super::format::*;
use crate::command::Command;
use crate::form::Form;

/// `ffmpeg`: a command of the caller's own, checked against an allow-list.
///
/// Arguments are those of the ffmpeg program without the program's name. `{{input}}` and `{{in_x}}` stand for inputs of the
/// job, `{{output}}` and `{{out_x}}` for its outputs. [`Command`] parses them and refuses everything that is not on its
/// list, so that no argument can read or write elsewhere. Outputs of one job with the same arguments are created by one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ffmpeg {
    /// The arguments.
    pub args: Vec<String>,
    /// Format of the output.
    pub format: Format,
    /// The output of the command that this output is: the name between the braces.
    #[serde(skip_serializing_if = "is_only_output", default = "only_output")]
    pub output: String,
}

fn only_output() -> String {
    ONLY_OUTPUT.to_owned()
}

fn is_only_output(name: &str) -> bool {
    name == ONLY_OUTPUT
}

/// The output of a command that has one.
pub const ONLY_OUTPUT: &str = "output";
/// Most arguments of a command.
pub const MOST_ARGS: usize = 200;
/// Longest argument, in bytes.
pub const LONGEST_ARG: usize = 8192;
/// What a command may write.
const WRITTEN: &str = "mp4, webm, mkv, mov, gif, mp3, aac, adts, wav, flac, opus, ogg, jpg, png, webp";

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
        let format = form.choice_where("format", Self::writes);
        let output = form.text("output", 64);
        let output = form.or("output", output, only_output());
        let (args, format) = (form.require("args", args), form.require("format", format));
        let ffmpeg = Self { args: args?, format: format?, output };
        match ffmpeg.check() {
            Ok(_) => Some(ffmpeg),
            Err((field, message)) => {
                form.refuse(field, serde_json::Value::Null, message);
                None
            }
        }
    }

    /// Whether a command can write that format.
    pub const fn writes(format: Format) -> bool {
        let still = matches!(format, Format::Jpg | Format::Png | Format::Webp);
        still || format.is_video() || format.is_audio() || matches!(format, Format::Gif)
    }

    /// The command, and the output that this is of it.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub fn check(&self) -> Result<Command, (&'static str, String)> {
        if !Self::writes(self.format) {
            return Err(("format", format!("must be one of {WRITTEN}")));
        }
        let command = Command::parse(&self.args).map_err(|refused| ("args", format!("are refused: {refused}")))?;
        let Some(output) = command.outputs.iter().find(|output| output.name == self.output) else {
            return Err((
                "output",
                format!("must be an output of the command, which does not write {{{{{}}}}}", self.output),
            ));
        };
        if !output.goes_with(self.format) {
            return Err(("format", format!("is {}, which contradicts the -f of the command", self.format)));
        }
        Ok(command)
    }
}
