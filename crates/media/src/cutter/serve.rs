//! The life of a cutter: frames in, frames out, until the first pipe ends.
//!
//! Reading and writing have a thread each, so that the tools on both sides work while the model does.

use std::io::{self, Read as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use serde::Serialize;

use super::{REFUSED, Refusal, Task, UNREAD};
use crate::matte::Matting;

/// Frames that wait on each side.
const WAITING: usize = 1;

/// Cuts the subject out of the frames on standard input, writes them to standard output, and says on standard error what
/// came of it. Gives the exit code.
pub(crate) fn serve(task: &str) -> u8 {
    let ended = serde_json::from_str(task).map_err(io::Error::from).map_err(Stop::from).and_then(|task| work(&task));
    match ended {
        Ok(matting) => say(&matting.report(), 0),
        Err(Stop::Unread) => UNREAD as u8,
        Err(Stop::Refused(refusal)) => say(&refusal, REFUSED as u8),
    }
}

/// Why no more is done.
enum Stop {
    /// Who reads the frames is gone.
    Unread,
    Refused(Refusal),
}

impl<E: Into<Refusal>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

fn say(said: &impl Serialize, code: u8) -> u8 {
    let line = serde_json::to_string(said).unwrap_or_default();
    // After a line of its own: whatever a library said before may not have ended its last one.
    match writeln!(io::stderr(), "\n{line}") {
        Ok(()) => code,
        Err(_) => u8::MAX,
    }
}

fn work(task: &Task) -> Result<Matting, Stop> {
    let mut matting = Matting::load(&task.folder, &task.model, task.refine, task.size)?;
    let pixels = task.size.0 as usize * task.size.1 as usize;
    let (sender, frames) = sync_channel(WAITING);
    let reading = thread::Builder::new().name("reading".to_owned()).spawn(move || read(pixels * 3, &sender))?;
    let (results, receiver) = sync_channel::<Vec<u8>>(WAITING);
    let writing = thread::Builder::new().name("writing".to_owned()).spawn(move || write(&receiver))?;
    for frame in frames {
        let mut cut_out = vec![0; pixels * 4];
        matting.frame(&frame, &mut cut_out)?;
        if results.send(cut_out).is_err() {
            // The thread that writes says why.
            break;
        }
    }
    drop(results);
    let joined = |_| io::Error::other("a thread came to no good end");
    match writing.join().map_err(joined)? {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Stop::Unread),
        written => written?,
    }
    reading.join().map_err(joined)??;
    Ok(matting)
}

/// Reads whole frames; a part of one, with which a tool ended that failed, is none.
fn read(bytes: usize, frames: &SyncSender<Vec<u8>>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    loop {
        let mut frame = Vec::with_capacity(bytes);
        (&mut input).take(bytes as u64).read_to_end(&mut frame)?;
        if frame.len() < bytes || frames.send(frame).is_err() {
            return Ok(());
        }
    }
}

fn write(frames: &Receiver<Vec<u8>>) -> io::Result<()> {
    // What is written in lines would be looked through for their ends.
    let mut output = std::fs::File::from(rustix::io::dup(io::stdout())?);
    for frame in frames {
        output.write_all(&frame)?;
    }
    Ok(())
}
