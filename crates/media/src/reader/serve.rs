//! The life of a reader: it does one task after another until its standard input ends.

use std::cell::RefCell;
use std::io::{self, BufRead as _, StdinLock, Write as _};

use serde::Serialize;
use serde_json::value::to_raw_value;

use super::task::{Said, Task};
use crate::archive::{self, Opened};
use crate::error::MediaError;
use crate::image;
use crate::verify;

/// Does what it is asked on standard input, a task a line, and says on standard output what came of it.
///
/// # Errors
/// When the server is gone or says what is no task.
pub(crate) fn serve() -> io::Result<()> {
    let talk = RefCell::new(Talk { input: io::stdin().lock(), line: String::new() });
    let mut opened = None;
    loop {
        let task: Task = match talk.borrow_mut().next()? {
            Some(line) => serde_json::from_str(line)?,
            None => return Ok(()),
        };
        let said = match work(task, &talk, &mut opened) {
            Ok(said) => said,
            Err(error) => Said::Refused(error.into()),
        };
        say(&said)?;
    }
}

/// The lines that come in.
struct Talk {
    input: StdinLock<'static>,
    line: String,
}

impl Talk {
    fn next(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        Ok((self.input.read_line(&mut self.line)? > 0).then_some(&*self.line))
    }
}

fn say(said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    io::stdout().write_all(&line)?;
    io::stdout().flush()
}

fn work(task: Task, talk: &RefCell<Talk>, opened: &mut Option<Opened>) -> Result<Said, MediaError> {
    let claim = |bytes| {
        say(&Said::Claim(bytes))?;
        let granted = talk.borrow_mut().next()?.is_some();
        granted.then_some(()).ok_or(MediaError::Canceled)
    };
    match task {
        Task::Inspect { picture, limits } => done(&image::inspect(&picture, &limits)?.info()),
        Task::Make { input, wish, output, limits } => done(&image::make(&input, &wish, &output, &limits, &claim)?),
        Task::Thumbnail { input, wish, origin, output, limits } => {
            done(&image::thumbnail(&input, &wish, origin, &output, &limits, &claim)?)
        }
        Task::StandIn { input, output, limits } => {
            done(&image::stand_in(&input, &output, &limits, &claim)?.map(|found| found.info()))
        }
        Task::HoldsTar { path, format } => done(&archive::holds_tar(format, &path)?),
        Task::Open { archive, folder, limits } => {
            let opened = opened.insert(archive::open(&archive, &folder, &limits)?);
            done(&opened.listing())
        }
        Task::Pack { instead, format, output, again, limits } => {
            let opened = opened.as_ref().ok_or_else(|| io::Error::other("no archive was opened"))?;
            archive::pack_and_compare(opened, &instead, format, &output, &again, &limits)?;
            done(&())
        }
        Task::Measure { expect, promise, product } => done(&promise.measure(&expect, &product)?),
        Task::MeasurePictures { format, product } => done(&verify::read_pictures(format, &product)?),
    }
}

fn done(answer: &impl Serialize) -> Result<Said, MediaError> {
    Ok(Said::Done(to_raw_value(answer).map_err(io::Error::from)?))
}
