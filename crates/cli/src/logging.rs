//! Log lines to stderr, as text or JSON.
//!
//! # Theory of operation
//! Whoever logs puts the line into a queue ([`Queue`]) and goes on; one thread ([`drain`]) writes to stderr. So a reader
//! that does not read holds up that thread and nothing else, and a line that cannot be written costs that line: the disk of
//! the log is full, the reader of the pipe is gone. Lines for which the queue has no room, and lines that could not be
//! written, are counted; the count is written before the next line that can be.
//!
//! A program that ends waits a moment for what is queued ([`flush`]), but for no reader.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::ambient;
use crate::settings::LogFormat;

/// Most bytes of lines that wait to be written.
const MOST_QUEUED: usize = 1 << 20;

/// How long a program that ends waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Starts the log. `filter` is a level or levels by part, as `RUST_LOG` has them.
pub(crate) fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("log is {filter:?}; it must be a level (error, warn, info, debug, trace) or levels by part, such as info,reelhook_worker=debug")
    })?;
    let queue = Arc::clone(QUEUE.get_or_init(Arc::default));
    let drained = Arc::clone(&queue);
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || drain(&drained, format));
    thread.context("the thread that writes the log cannot be started")?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lines(queue)).log_internal_errors(false);
    let started = match format {
        LogFormat::Text => subscriber.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
    // The standard hook writes to stderr by itself, and waits for a reader that does not read.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(tracing::field::display);
        tracing::error!(place, "a panic: {}", panic.payload_as_str().unwrap_or("without words"));
    }));
    Ok(())
}

/// Queues a remark for stderr, after the lines before it; false where no log was started.
pub(crate) fn note(text: &str) -> bool {
    QUEUE.get().map(|queue| queue.put(format!("{text}\n").as_bytes())).is_some()
}

/// Waits until all that was logged is written, but not for long.
pub(crate) fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let waiting = queue.lock();
    let is_busy = |state: &mut State| !state.lines.is_empty() || state.is_writing;
    drop(queue.written.wait_timeout_while(waiting, LAST_LINES, is_busy));
}

/// Lines that wait to be written.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Lines that were lost and that no line tells of yet.
    lost: u64,
    is_writing: bool,
}

impl Queue {
    fn put(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > MOST_QUEUED {
            state.lost += count(line);
            return;
        }
        state.lines.extend_from_slice(line);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole at each step, so a panic elsewhere leaves it so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes each event, which comes in one piece, to the queue.
#[derive(Debug, Clone)]
struct Lines(Arc<Queue>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Writes what is queued for as long as the program lives.
fn drain(queue: &Queue, format: LogFormat) {
    let mut is_torn = false;
    loop {
        let mut state = queue.lock();
        state.is_writing = false;
        queue.written.notify_all();
        let mut state =
            queue.filled.wait_while(state, |state| state.lines.is_empty()).unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        let (lines, lost) = (std::mem::take(&mut state.lines), state.lost);
        drop(state);

        let written = tell_loss(lost, is_torn, format).and_then(|told| {
            queue.lock().lost -= told;
            is_torn = false;
            write(&lines)
        });
        if let Err(written) = written {
            // A line that was cut off is ended before the next one.
            is_torn |= written > 0 && lines.get(written - 1) != Some(&b'\n');
            queue.lock().lost += count(&lines[written..]);
        }
    }
}

/// Says how many lines were lost, if any were, and how many it told of.
fn tell_loss(lost: u64, is_torn: bool, format: LogFormat) -> Result<u64, usize> {
    let end = if is_torn { "\n" } else { "" };
    let now = ambient::system().now();
    let text = match format {
        _ if lost == 0 => end.to_owned(),
        LogFormat::Text => {
            format!("{end}{now}  WARN reelhook: log lines could not be written and are lost lines={lost}\n")
        }
        LogFormat::Json => {
            let message = "log lines could not be written and are lost";
            let line =
                json!({"timestamp": now, "level": "WARN", "message": message, "lines": lost, "target": "reelhook"});
            format!("{end}{line}\n")
        }
    };
    // Nothing of the lines that follow was written.
    write(text.as_bytes()).map(|()| lost).map_err(|_| 0)
}

/// How many lines those bytes are, the rest of one that was cut off included.
fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// Writes all of it to stderr, or says how much was written before it failed.
fn write(bytes: &[u8]) -> Result<(), usize> {
    let stderr = io::stderr();
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::write(stderr.as_fd(), &bytes[done..]) {
            Ok(0) => return Err(done),
            Ok(written) => done += written,
            Err(Errno::INTR) => {}
            // Another program may have set the pipe so, which it shares with this one.
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None).map_err(|_| done)?;
            }
            Err(_) => return Err(done),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_queue_has_no_room_for_is_counted_and_nobody_waits() {
        let queue = Queue::default();
        let line = [vec![b'x'; MOST_QUEUED / 4 - 1], vec![b'\n']].concat();
        for _ in 0..7 {
            queue.put(&line);
        }
        let state = queue.lock();
        assert_eq!((state.lines.len(), state.lost), (MOST_QUEUED, 3));
    }
}
