//! Reading what strangers send with our own code: in a sandboxed child, never in the server.
//!
//! Decoders of pictures and archives are code that meets hostile bytes. They run where ffmpeg runs: in a child of this
//! program behind the sandbox, which reads the inputs of one job and writes to its scratch folder. A crash, a stack that
//! overflows or memory that runs out there costs one step.
//!
//! ```text
//! Readers --for a job--> Reader --starts, at its first task--> child: sandbox::enter --> serve
//! ```
//!
//! A child goes on to the next task of its job, so that a picture that is looked at and then made takes one start. It is
//! killed when its [`Reader`] is dropped, when the future of a task is dropped, and when it breaks the rules of the talk
//! ([`task`]).
//!
//! **Memory.** All pictures in work share one budget, [`ImageLimits::memory_bytes`]. A child claims what its picture will
//! take once it has read the header, and waits; claims are served in their order, so that a large picture is not passed by
//! small ones for ever.
//!
//! **Trust.** What a child says is checked for its form alone: a child that an input took over can lie about its own
//! picture, and no more. Paths are never taken from it.

mod serve;
mod task;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::MediaInfo;
use reelhook_domain::recipe::{Format, Thumbnail};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::task::{Said, Task};
use crate::archive::{ArchiveLimits, Contents, Listing};
use crate::error::MediaError;
use crate::image::{ImageLimits, Made, Origin, Wish};
use crate::promise::Promise;
use crate::run::process::{self, Ended, Ending, Ends, Listener, Most, Order, Spawner};
use crate::sandbox::{LAUNCH_FAILED, SandboxMode};
use crate::settings::ToolSettings;
use crate::verify::{Expectation, Receipt};

pub(crate) use self::serve::serve;

/// What memory is counted in.
const MEBIBYTE: u64 = 1 << 20;
/// Longest line of a reader, in bytes, beside the names of an archive.
const LONGEST_LINE: usize = 4 << 20;
/// What a child does, in the words of its failures.
const READING: &str = "reading the input";
/// How long a child that says no more may take to end.
const LAST_MOMENTS: Duration = Duration::from_secs(3);

/// Starts readers. Cheap to clone; clones share one budget of memory.
#[derive(Debug, Clone)]
pub struct Readers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tools: ToolSettings,
    image: ImageLimits,
    archive: ArchiveLimits,
    spawner: Spawner,
    memory: Budget,
}

impl Readers {
    /// Readers in the sandbox of these settings, with these limits.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn new(tools: ToolSettings, image: ImageLimits, archive: ArchiveLimits) -> io::Result<Self> {
        Ok(Self::with(Spawner::start()?, tools, image, archive))
    }

    /// The same, started by a thread that there is already.
    pub(crate) fn with(spawner: Spawner, tools: ToolSettings, image: ImageLimits, archive: ArchiveLimits) -> Self {
        let image = ImageLimits { memory_bytes: image.memory(), ..image };
        let memory = Budget::of(image.memory_bytes);
        Self { inner: Arc::new(Inner { tools, image, archive, spawner, memory }) }
    }

    /// How much a picture may be and take.
    pub fn image_limits(&self) -> &ImageLimits {
        &self.inner.image
    }

    /// A reader of these files and of what lies in `scratch`, which it may also write to. It is started by its first task.
    pub fn reader(&self, inputs: Vec<PathBuf>, scratch: &Path) -> Reader {
        Reader { readers: self.clone(), inputs, scratch: scratch.to_owned(), child: Mutex::default() }
    }
}

/// Memory that is shared out.
#[derive(Debug)]
struct Budget {
    left: Arc<Semaphore>,
    all: u32,
}

impl Budget {
    fn of(bytes: u64) -> Self {
        let all = u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32);
        Self { left: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits for its turn and for that much.
    async fn claim(&self, bytes: u64) -> io::Result<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX).min(self.all);
        Arc::clone(&self.left).acquire_many_owned(wanted).await.map_err(io::Error::other)
    }
}

/// A child that reads the files of one job.
///
/// # Errors
/// Of all tasks: [`MediaError::Rejected`] and [`MediaError::Failed`] as the work itself says;
/// [`MediaError::Failed`] with `input_damaged` for a child that crashed over its input, with `over_memory`, `stalled` or
/// `timed_out`; [`MediaError::Sandbox`].
///
/// # Cancel safety
/// Dropping the future of a task kills the child; the next task starts another.
#[derive(Debug)]
pub struct Reader {
    readers: Readers,
    inputs: Vec<PathBuf>,
    scratch: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Reader {
    /// What the picture at `picture` is, by its header.
    ///
    /// # Errors
    /// Those of [`image::inspect`](crate::image::inspect).
    pub async fn inspect(&self, picture: &Path) -> Result<MediaInfo, MediaError> {
        let task = Task::Inspect { picture: picture.to_owned(), limits: self.image() };
        self.ask(Stage::Probing, &task).await
    }

    /// Makes a picture: [`image::make`](crate::image::make).
    ///
    /// # Errors
    /// The same.
    pub async fn make(&self, input: &Path, wish: &Wish, output: &Path) -> Result<Made, MediaError> {
        let (input, output) = (input.to_owned(), output.to_owned());
        self.ask(Stage::Encoding, &Task::Make { input, wish: *wish, output, limits: self.image() }).await
    }

    /// Makes a small picture: [`image::thumbnail`](crate::image::thumbnail).
    ///
    /// # Errors
    /// The same.
    pub async fn thumbnail(
        &self,
        input: &Path,
        wish: &Thumbnail,
        origin: Option<Origin>,
        output: &Path,
    ) -> Result<Made, MediaError> {
        let (input, wish, output) = (input.to_owned(), wish.clone(), output.to_owned());
        self.ask(Stage::Encoding, &Task::Thumbnail { input, wish, origin, output, limits: self.image() }).await
    }

    /// Writes what stands in for a picture: [`image::stand_in`](crate::image::stand_in).
    ///
    /// # Errors
    /// The same.
    pub async fn stand_in(&self, input: &Path, output: &Path) -> Result<Option<MediaInfo>, MediaError> {
        let (input, output) = (input.to_owned(), output.to_owned());
        self.ask(Stage::Probing, &Task::StandIn { input, output, limits: self.image() }).await
    }

    /// Whether there is a tar in a file that is compressed as one of that format is.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn holds_tar(&self, path: &Path, format: Format) -> Result<bool, MediaError> {
        self.ask(Stage::Probing, &Task::HoldsTar { path: path.to_owned(), format }).await
    }

    /// Takes an archive apart into `folder`, which is empty: [`archive::open`](crate::archive::open).
    ///
    /// # Errors
    /// The same.
    pub async fn open(&self, archive: &Path, folder: &Path) -> Result<Contents, MediaError> {
        let limits = self.readers.inner.archive.clone();
        let task = Task::Open { archive: archive.to_owned(), folder: folder.to_owned(), limits };
        let listing: Listing = self.ask(Stage::Probing, &task).await?;
        Ok(listing.within(folder))
    }

    /// Puts the archive that this reader opened together again at `output`, with a file for each member whose contents are
    /// others now, and takes the result apart in `again`, an empty folder, to see that every member is in it.
    ///
    /// # Errors
    /// `output_invalid` where a member is not.
    pub async fn pack(
        &self,
        instead: Vec<Option<PathBuf>>,
        format: Format,
        output: &Path,
        again: &Path,
    ) -> Result<(), MediaError> {
        let (output, again) = (output.to_owned(), again.to_owned());
        // What was let in may be let out: packing again may only have made it denser.
        let limits = ArchiveLimits { ratio: u64::MAX, ..self.readers.inner.archive.clone() };
        self.ask(Stage::Verifying, &Task::Pack { instead, format, output, again, limits }).await
    }

    /// Measures a product by what was promised of it.
    pub(crate) async fn measure(
        &self,
        expect: &Expectation,
        promise: &Promise,
        product: &Path,
    ) -> Result<Receipt, MediaError> {
        let (expect, promise, product) = (Box::new(expect.clone()), promise.clone(), product.to_owned());
        self.ask(Stage::Verifying, &Task::Measure { expect, promise, product }).await
    }

    /// Measures a file of many pictures, where `format` is one.
    pub(crate) async fn measure_pictures(
        &self,
        format: Format,
        product: &Path,
    ) -> Result<Option<(MediaInfo, u64)>, MediaError> {
        self.ask(Stage::Verifying, &Task::MeasurePictures { format, product: product.to_owned() }).await
    }

    fn image(&self) -> ImageLimits {
        self.readers.inner.image
    }

    async fn ask<T: DeserializeOwned>(&self, stage: Stage, task: &Task) -> Result<T, MediaError> {
        let mut place = self.child.lock().await;
        // Taken out while it works, so that it is killed when this future is dropped.
        let mut child = match place.take() {
            Some(child) => child,
            None => self.start().await?,
        };
        let wall = self.readers.inner.tools.limits.wall_cap;
        match tokio::time::timeout(wall, child.ask(task, &self.readers.inner.memory)).await {
            Err(_) => {
                let message = format!("reading the input took longer than {} seconds", wall.as_secs());
                Err(MediaError::Failed(JobFailure::server(stage, "timed_out", message)))
            }
            Ok(Ok(Said::Done(answer))) => {
                *place = Some(child);
                Ok(serde_json::from_str(answer.get()).map_err(io::Error::from)?)
            }
            Ok(Ok(Said::Refused(refusal))) => {
                *place = Some(child);
                Err(refusal.into())
            }
            Ok(Ok(Said::Claim(_)) | Err(_)) => Err(self.blame(stage, child.end().await?)),
        }
    }

    async fn start(&self) -> Result<Child, MediaError> {
        let Inner { tools, archive, spawner, .. } = &*self.readers.inner;
        let scratch = std::path::absolute(&self.scratch)?;
        let inputs = self.inputs.iter().map(std::path::absolute).collect::<io::Result<Vec<_>>>()?;
        let inputs: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
        let mut line = tools.launch(&inputs, tools.limits.wall_cap);
        process::option(&mut line, "--write", &scratch);
        line.push("--no-processes".into());
        line.push("--reader".into());
        // The watch over the disk looks after the folder of the job as a whole.
        let is_alone = tools.sandbox != SandboxMode::Off;
        let most = Most { files_bytes: u64::MAX, ..tools.most(is_alone) };
        let order = Order { line, scratch, wall: Duration::MAX, stall: tools.stall, most, is_asked: true, pulse: None };
        let mut started = process::start(spawner, &order, Ends::default()).await?;
        let to = started.stdin()?;
        let (lines, from) = mpsc::channel(1);
        let is_busy = Arc::new(AtomicBool::new(false));
        let longest = LONGEST_LINE.saturating_add(archive.memory_of_names().saturating_mul(2));
        let mut ear = Ear {
            lines: Some(lines),
            partial: Vec::new(),
            longest,
            is_busy: Arc::clone(&is_busy),
            heard: 0,
            idle: AtomicU64::new(0),
        };
        let life = async move { process::stay(started, &order, &mut ear, &CancellationToken::new()).await };
        Ok(Child { to, from, is_busy, life: AbortOnDropHandle::new(tokio::spawn(life)) })
    }

    /// What the caller is told of a child that ended before it answered.
    fn blame(&self, stage: Stage, ended: Option<Ended>) -> MediaError {
        let Some(ended) = ended else { return crashed(stage) };
        let said = ended.stderr.last_line();
        tracing::info!(ending = ?ended.ending, said, "a reader ended in the middle of a task");
        let tools = &self.readers.inner.tools;
        MediaError::Failed(match ended.ending {
            Ending::Exited(LAUNCH_FAILED) => return MediaError::Sandbox { reason: said },
            Ending::Stalled => {
                let seconds = tools.stall.as_secs_f64();
                let message = format!("reading the input made no progress for {seconds} seconds");
                JobFailure::server(stage, "stalled", message)
            }
            Ending::TimedOut | Ending::Killed(libc::SIGXCPU) => {
                let message = "reading the input took more time than the server allows (media.max_wall_seconds)";
                JobFailure::server(stage, "timed_out", message)
            }
            Ending::Killed(libc::SIGXFSZ) | Ending::OverSize => tools.limits.over_size(stage),
            Ending::OverMemory | Ending::OverProcesses => tools.limits.over_memory(stage, READING),
            Ending::Killed(libc::SIGKILL) => {
                let message = "the program that reads the input was killed, probably because memory ran out";
                JobFailure::server(stage, "server_failed", message)
            }
            _ if ended.stderr.text().contains("memory allocation of") => tools.limits.over_memory(stage, READING),
            Ending::Killed(_) | Ending::Exited(_) | Ending::Canceled => return crashed(stage),
        })
    }
}

fn crashed(stage: Stage) -> MediaError {
    let message = "the input is damaged: the program that reads it crashed";
    MediaError::Failed(JobFailure::input(stage, "input_damaged", message))
}

/// A child that runs. Dropping it kills it.
#[derive(Debug)]
struct Child {
    to: Sender,
    from: mpsc::Receiver<Vec<u8>>,
    is_busy: Arc<AtomicBool>,
    life: AbortOnDropHandle<io::Result<Ended>>,
}

impl Child {
    /// Asks for a task and gives what was said of it. An error means that the child is gone, or broke the rules.
    async fn ask(&mut self, task: &Task, memory: &Budget) -> io::Result<Said> {
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        let mut held = None;
        loop {
            self.is_busy.store(true, Ordering::Relaxed);
            self.to.write_all(&line).await?;
            let said = self.from.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
            self.is_busy.store(false, Ordering::Relaxed);
            match serde_json::from_slice(&said)? {
                Said::Claim(bytes) if held.is_none() => held = Some(memory.claim(bytes).await?),
                said => return Ok(said),
            }
            line = b"\n".to_vec();
        }
    }

    /// How it ended; `None` for one that has not, and is killed.
    async fn end(self) -> io::Result<Option<Ended>> {
        match tokio::time::timeout(LAST_MOMENTS, self.life).await {
            Ok(ended) => Ok(Some(ended.map_err(io::Error::other)??)),
            Err(_) => Ok(None),
        }
    }
}

/// Hears the lines of a child.
#[derive(Debug)]
struct Ear {
    /// Absent once the child broke the rules: a line for which nobody waits, or one that is too long.
    lines: Option<mpsc::Sender<Vec<u8>>>,
    partial: Vec<u8>,
    longest: usize,
    is_busy: Arc<AtomicBool>,
    heard: u64,
    /// A child that waits for a task is alive.
    idle: AtomicU64,
}

impl Listener for Ear {
    fn hear(&mut self, said: &[u8]) {
        self.heard += said.len() as u64;
        let Some(lines) = &self.lines else { return };
        let mut rest = said;
        let mut is_heard = true;
        while let Some(at) = rest.iter().position(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            is_heard &= lines.try_send(std::mem::take(&mut self.partial)).is_ok();
        }
        self.partial.extend_from_slice(rest);
        if !is_heard || self.partial.len() > self.longest {
            self.lines = None;
            self.partial = Vec::new();
        }
    }

    fn mark(&self) -> [u64; 3] {
        let idle = u64::from(!self.is_busy.load(Ordering::Relaxed));
        [self.heard, self.idle.fetch_add(idle, Ordering::Relaxed) + idle, 0]
    }
}
