//! Making the matte of a step: ffmpeg decodes and scales, a model looks at frame after frame.
//!
//! Frames come through a pipe with a name in the scratch folder, so that ffmpeg waits when the model is slow and nothing
//! is kept that was looked at. The pipe is open on our side for writing too: then it does not end before ffmpeg has
//! opened it, and the end of ffmpeg is the end of the frames. The matte is a YUV4MPEG file of grey pictures in the model's
//! own size, which the step reads beside the input.
//!
//! The model itself runs in a thread. What it is in the middle of when the work is called off, it finishes: one frame.
//!
//! # Source
//! YUV4MPEG2 as in mjpegtools' `yuv4mpeg(5)`: a line of the stream's size and rate, then `FRAME` and the samples of each.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use rustix::fs::{CWD, Mode, mkfifoat};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::process::{Ended, Ending, Listener};
use super::progress::Meter;
use super::{Job, remove};
use crate::error::MediaError;
use crate::matte::{Grey, Model, ModelError};
use crate::plain;
use crate::plan::Rate;
use crate::spell::MATTE;
use crate::step::Step;
use crate::tools::{Errand, Writes};

/// The pipe, in the scratch folder.
const FRAMES: &str = "frames.rgb";
/// Frames that wait for the model.
const WAITING: usize = 2;

impl Job<'_> {
    /// Makes the matte of a step, which is the first `share` of its work. Gives the CPU time of ffmpeg.
    pub(super) async fn matte(&self, step: &Step, model: &str, rate: Rate, share: f64) -> Result<Duration, MediaError> {
        let (folder, name) = (self.toolbox.settings().models.clone(), model.to_owned());
        let model = blocking(move || Model::load(&folder, &name)).await?.map_err(failed)?;
        let (pipe, file) = (self.scratch.join(FRAMES), self.scratch.join(MATTE));
        remove(&pipe)?;
        remove(&file)?;
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
        let frames = OpenOptions::new().read_write(true).open_receiver(&pipe)?;

        let (width, height) = model.size();
        let arguments = step.matte_arguments(self.input, (width, height), FRAMES);
        let bytes = width as usize * height as usize * 3;
        let (sender, waiting) = mpsc::channel(WAITING);
        let stop = self.watch.cancel.child_token();
        let done = Arc::new(AtomicU64::new(0));
        let writer = Writer { file: None, rate, bytes: 0, cap: self.toolbox.settings().limits.output_bytes };
        let work = Work { model, writer, done: Arc::clone(&done), stop: stop.clone() };
        let looking = tokio::task::spawn_blocking(move || work.work(waiting, &file));

        let over = CancellationToken::new();
        let decoding = async {
            let ended = self.decode(step, arguments, share, &done, &stop).await;
            over.cancel();
            ended
        };
        let reading = async {
            let read = read(frames, bytes, sender, &over).await;
            if read.is_err() {
                stop.cancel();
            }
            read
        };
        let (ended, read) = tokio::join!(decoding, reading);
        let looked = looking.await.map_err(io::Error::other)?;
        let ended = ended?;
        // The model's own trouble ends ffmpeg too, and is the reason then.
        let count = match looked {
            Err(Trouble::Model(error)) => return Err(failed(error)),
            Err(Trouble::TooLarge) => return Err(self.too_large()),
            Err(Trouble::Io(error)) => return Err(error.into()),
            Ok(count) => count,
        };
        if ended.ending != Ending::Exited(0) {
            return Err(self.blame(step, &ended).await);
        }
        read?;
        remove(&pipe)?;
        if count == 0 {
            let message = "the input has no frame that can be decoded";
            return Err(MediaError::Failed(JobFailure::input(Stage::Encoding, "input_damaged", message)));
        }
        Ok(ended.cpu)
    }

    async fn decode(
        &self,
        step: &Step,
        arguments: Vec<OsString>,
        share: f64,
        done: &AtomicU64,
        stop: &CancellationToken,
    ) -> Result<Ended, MediaError> {
        let meter = Meter::new(step.timeline, (0.0, share), self.watch.progress);
        let errand = Errand {
            program: self.toolbox.ffmpeg(),
            arguments,
            inputs: vec![self.input],
            scratch: self.scratch,
            writes: Writes::Scratch,
            wall: self.wall(step),
            stall: self.toolbox.settings().stall,
        };
        self.toolbox.start(errand, &mut Pulse { meter, done }, stop).await
    }
}

/// A meter that takes the model's progress for a sign of life: ffmpeg itself may wait for it.
struct Pulse<'a> {
    meter: Meter<'a>,
    done: &'a AtomicU64,
}

impl Listener for Pulse<'_> {
    fn hear(&mut self, said: &[u8]) {
        self.meter.hear(said);
    }

    fn mark(&self) -> [u64; 3] {
        let [seconds, frames, _] = self.meter.mark();
        [seconds, frames, self.done.load(Ordering::Relaxed)]
    }
}

/// Reads frames until ffmpeg is over and the pipe is empty.
async fn read(
    mut pipe: Receiver,
    bytes: usize,
    sender: mpsc::Sender<Vec<u8>>,
    over: &CancellationToken,
) -> io::Result<()> {
    let mut frame = Vec::with_capacity(bytes);
    loop {
        let room = bytes - frame.len();
        let mut part = (&mut pipe).take(room as u64);
        tokio::select! {
            biased;
            read = part.read_buf(&mut frame) => {
                read?;
            }
            () = over.cancelled() => return Ok(()),
        }
        if frame.len() == bytes {
            let whole = std::mem::replace(&mut frame, Vec::with_capacity(bytes));
            sender.send(whole).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
    }
}

/// Why no matte was made.
enum Trouble {
    Model(ModelError),
    TooLarge,
    Io(io::Error),
}

/// The thread of a model.
struct Work {
    model: Model,
    writer: Writer,
    done: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Work {
    fn work(mut self, mut frames: mpsc::Receiver<Vec<u8>>, file: &Path) -> Result<u64, Trouble> {
        let mut count = 0;
        while let Some(frame) = frames.blocking_recv() {
            if self.stop.is_cancelled() {
                break;
            }
            let grey = self.model.matte(&frame).map_err(Trouble::Model)?;
            self.writer.write(file, &grey)?;
            count += 1;
            self.done.store(count, Ordering::Relaxed);
        }
        self.writer.finish().map_err(Trouble::Io)?;
        Ok(count)
    }
}

/// Writes grey pictures as YUV4MPEG.
struct Writer {
    file: Option<BufWriter<File>>,
    rate: Rate,
    bytes: u64,
    cap: u64,
}

impl Writer {
    fn write(&mut self, path: &Path, grey: &Grey) -> Result<(), Trouble> {
        self.bytes += grey.pixels.len() as u64;
        if self.bytes > self.cap {
            return Err(Trouble::TooLarge);
        }
        self.append(path, grey).map_err(Trouble::Io)
    }

    fn append(&mut self, path: &Path, grey: &Grey) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = BufWriter::with_capacity(1 << 16, plain::create(path)?);
                let (width, height, rate) = (grey.width, grey.height, self.rate.y4m());
                writeln!(file, "YUV4MPEG2 W{width} H{height} F{rate} Ip A1:1 Cmono XCOLORRANGE=FULL")?;
                none.insert(file)
            }
        };
        file.write_all(b"FRAME\n")?;
        file.write_all(&grey.pixels)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

fn failed(error: ModelError) -> MediaError {
    match error {
        ModelError::Io(error) => MediaError::Io(error),
        ModelError::Missing(name) => {
            let message = format!("the model {name} is not installed on this server");
            MediaError::Failed(JobFailure::request(Stage::Planning, "model_not_installed", message))
        }
        ModelError::Broken { .. } => {
            tracing::error!(%error, "a model cannot be used");
            let message = error.to_string();
            MediaError::Failed(JobFailure {
                retryable: false,
                ..JobFailure::server(Stage::Encoding, "model_failed", message)
            })
        }
    }
}
