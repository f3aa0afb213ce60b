//! The toolbox: ffmpeg and ffprobe as found on this machine, with the settings under which they run.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::archive::ArchiveLimits;
use crate::beside::{self, Compared};
use crate::capabilities::{self, Capabilities};
use crate::cutter::{self, Task};
use crate::error::MediaError;
use crate::further::Further;
use crate::heif::{self, HeifTool};
use crate::image::ImageLimits;
use crate::probe::{self, Source};
use crate::reader::{Reader, Readers};
use crate::report::Report;
use crate::run::process::{
    self, Collector, Ended, Ending, Ends, Listener, Most, Order, Pulse, Spawner, Started, option,
};
use crate::run::{self, StepReport, Watch};
use crate::sandbox::{LAUNCH_FAILED, Layers, SandboxMode};
use crate::settings::ToolSettings;
use crate::step::Step;
use crate::survey::Survey;
use crate::verify::{self, Expectation, Receipt};

/// What a tool reads and writes.
pub(crate) struct Errand<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    /// What it reads, besides what is in the scratch folder.
    pub(crate) inputs: Vec<&'a Path>,
    /// Where it runs.
    pub(crate) scratch: &'a Path,
    pub(crate) writes: Writes,
    pub(crate) wall: Duration,
    pub(crate) stall: Duration,
}

/// What a tool may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    Nothing,
    /// What is read again at once: a sample, a measure, a picture.
    Scratch,
    /// So many outputs, besides what leads to them.
    Outputs(usize),
}

/// The tools of this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Toolbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: ToolSettings,
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    heif: Option<HeifTool>,
    capabilities: Capabilities,
    spawner: Spawner,
    readers: Readers,
}

/// What a tool may say about itself or about an input, in bytes.
const MOST_SAID: usize = 16 << 20;

/// How long a tool may take to say what it is, or what an input is.
const ASKED: Duration = Duration::from_secs(120);

/// How long it may take to read an input through, where only that tells how long it is.
const READ_THROUGH: Duration = Duration::from_secs(600);

impl Toolbox {
    /// Finds the tools and asks them what they can do.
    ///
    /// # Errors
    /// [`MediaError::ToolMissing`] when a program is not there or too old, [`MediaError::Sandbox`] when the sandbox is
    /// required and a layer is missing, or the launcher does not work.
    pub async fn detect(settings: ToolSettings) -> Result<Self, MediaError> {
        let found = |program: &Path, option: &str| {
            process::find(program).ok_or_else(|| MediaError::ToolMissing {
                program: program.display().to_string(),
                hint: format!("install ffmpeg {} or newer, or set its path with {option}", capabilities::OLDEST),
            })
        };
        let (ffmpeg, ffprobe) = (found(&settings.ffmpeg, "ffmpeg")?, found(&settings.ffprobe, "ffprobe")?);
        let spawner = Spawner::start()?;
        let capabilities = Capabilities::default();
        let (image, archive) = (ImageLimits::default(), ArchiveLimits::default());
        let readers = Readers::with(spawner.clone(), settings.clone(), image, archive);
        let mut inner = Inner { settings, ffmpeg, ffprobe, heif: None, capabilities, spawner, readers };
        inner.capabilities = inner.ask().await?;
        inner.heif = inner.find_heif().await?;
        inner.capabilities.heif = inner.heif.as_ref().map(|tool| tool.version.clone());
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the tools can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// Looks at an input. `scratch` is a folder that the tool may write to.
    ///
    /// # Errors
    /// [`MediaError::Rejected`] for what is not media, is empty or is over a limit; [`MediaError::Failed`] for media
    /// that cannot be read. Media that is cut short but can be read is no error here: see [`Source::damage`].
    pub async fn probe(&self, input: &Path, scratch: &Path) -> Result<Source, MediaError> {
        probe::probe(self, input, scratch).await
    }

    /// Does a step with the inputs that its plan was made with: its products are in `scratch` afterwards, under their file names, and are to be verified.
    ///
    /// # Errors
    /// [`MediaError::Failed`] with what went wrong, [`MediaError::Canceled`] when `watch.cancel` was canceled.
    ///
    /// # Cancel safety
    /// Dropping the future kills the tool; half-made files stay in `scratch`.
    pub async fn run(
        &self,
        step: &Step,
        input: &Path,
        further: &[Further],
        scratch: &Path,
        source: &Source,
        watch: Watch<'_>,
    ) -> Result<StepReport, MediaError> {
        run::run(self, step, input, further, scratch, source, watch).await
    }

    /// Measures a product against what the plan expects of it.
    ///
    /// # Errors
    /// [`MediaError::Failed`] with `output_invalid` and the checks that did not pass.
    pub async fn verify(&self, expect: &Expectation, file: &Path, scratch: &Path) -> Result<Receipt, MediaError> {
        verify::verify(self, expect, file, scratch).await
    }

    /// Decodes the HEIF picture at `input` into a PNG in `scratch`, a folder that the tool may write to, and gives its path.
    ///
    /// # Errors
    /// [`MediaError::Rejected`] for what is over a limit, and where the decoder is not installed; [`MediaError::Failed`]
    /// for what cannot be decoded; [`MediaError::Canceled`] when `cancel` was canceled.
    pub async fn decode_heif(
        &self,
        input: &Path,
        scratch: &Path,
        limits: &ImageLimits,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, MediaError> {
        heif::decode(self, input, scratch, limits, cancel).await
    }

    /// A reader of a product in `scratch`.
    pub(crate) fn reader(&self, product: &Path, scratch: &Path) -> Reader {
        self.inner.readers.reader(vec![product.to_owned()], scratch)
    }

    pub(crate) fn heif(&self) -> Option<&HeifTool> {
        self.inner.heif.as_ref()
    }

    /// Measures a product against what the plan expects of it and against the source that it was made of.
    ///
    /// # Errors
    /// [`MediaError::Failed`] with `output_invalid` and the checks that did not pass.
    pub async fn verify_beside(
        &self,
        expect: &Expectation,
        file: &Path,
        scratch: &Path,
        compared: Compared<'_>,
    ) -> Result<Receipt, MediaError> {
        let receipt = beside::verify_all(self, &[(expect, file)], scratch, compared).await.pop();
        receipt.unwrap_or_else(|| Err(verify::broken("it was not measured")))
    }

    /// The same of several products of one source; the answers are in the order of the products.
    pub async fn verify_all(
        &self,
        products: &[(&Expectation, &Path)],
        scratch: &Path,
        compared: Compared<'_>,
    ) -> Vec<Result<Receipt, MediaError>> {
        beside::verify_all(self, products, scratch, compared).await
    }

    pub(crate) fn settings(&self) -> &ToolSettings {
        &self.inner.settings
    }

    pub(crate) fn ffmpeg(&self) -> &Path {
        &self.inner.ffmpeg
    }

    /// Runs ffprobe, forced to `demuxer`. `None` when it cannot make sense of the file.
    pub(crate) async fn report(
        &self,
        input: &Path,
        scratch: &Path,
        demuxer: &str,
        more: &[&str],
    ) -> Result<Option<Report>, MediaError> {
        let asked = ["-of", "json", "-show_format", "-show_streams", "-show_chapters", "-show_data_hash", "sha256"];
        let mut said = Collector::new(MOST_SAID);
        let ended = self.look(input, scratch, demuxer, &[&asked[..], more].concat(), &mut said, ASKED).await?;
        if ended.ending != Ending::Exited(0) || said.overflowed() {
            tracing::info!(ending = ?ended.ending, said = ended.stderr.last_line(), "ffprobe could not read a file");
            return Ok(None);
        }
        Ok(serde_json::from_slice(&said.bytes).ok())
    }

    /// Reads the packets of a file, forced to `demuxer`: all, or as many as `more` allows. `None` when that takes too
    /// long or fails.
    pub(crate) async fn survey(
        &self,
        input: &Path,
        scratch: &Path,
        demuxer: &str,
        more: &[&str],
    ) -> Result<Option<Survey>, MediaError> {
        let mut survey = Survey::new(demuxer);
        let words = [&Survey::ENTRIES[..], more].concat();
        let ended = self.look(input, scratch, demuxer, &words, &mut survey, READ_THROUGH).await?;
        if ended.ending != Ending::Exited(0) {
            tracing::info!(ending = ?ended.ending, said = ended.stderr.last_line(), "a file could not be read through");
            return Ok(None);
        }
        Ok(Some(survey))
    }

    /// Runs ffprobe, forced to `demuxer`.
    async fn look(
        &self,
        input: &Path,
        scratch: &Path,
        demuxer: &str,
        words: &[&str],
        listener: &mut dyn Listener,
        wall: Duration,
    ) -> Result<Ended, MediaError> {
        let input = std::path::absolute(input)?;
        let mut arguments: Vec<OsString> = ["-hide_banner", "-v", "error"].map(Into::into).into();
        arguments.extend(words.iter().map(Into::into));
        option(&mut arguments, "-protocol_whitelist", "file");
        option(&mut arguments, "-f", demuxer);
        let mut operand = OsString::from("file:");
        operand.push(&input);
        option(&mut arguments, "-i", operand);
        let errand = Errand {
            program: &self.inner.ffprobe,
            arguments,
            inputs: vec![&input],
            scratch,
            writes: Writes::Nothing,
            wall,
            stall: ASKED,
        };
        self.inner.start(errand, listener, &CancellationToken::new()).await
    }

    pub(crate) async fn start(
        &self,
        errand: Errand<'_>,
        listener: &mut dyn Listener,
        cancel: &CancellationToken,
    ) -> Result<Ended, MediaError> {
        self.inner.start(errand, listener, cancel).await
    }

    /// Starts a tool, or what `order` is for, with other ends than the usual.
    pub(crate) async fn start_between(&self, order: &Order, ends: Ends) -> Result<Started, MediaError> {
        Ok(process::start(&self.inner.spawner, order, ends).await?)
    }

    /// The order for a tool that works with others.
    pub(crate) fn order(&self, errand: Errand<'_>, pulse: Pulse) -> io::Result<Order> {
        Ok(Order { pulse: Some(pulse), ..self.inner.order(errand)? })
    }

    /// The order for a cutter. It reads the folder of models, and writes nothing but its pipe.
    pub(crate) fn cutter(&self, mut task: Task, scratch: &Path, wall: Duration, pulse: Pulse) -> io::Result<Order> {
        let settings = self.settings();
        let reads;
        (task.folder, reads) = cutter::reads(&task.folder)?;
        let mut line = settings.launch(&reads.iter().map(PathBuf::as_path).collect::<Vec<_>>(), wall);
        line.push("--no-processes".into());
        option(&mut line, "--cutter", serde_json::to_string(&task)?);
        let is_alone = settings.sandbox != SandboxMode::Off;
        let most = Most { files_bytes: u64::MAX, ..settings.most(is_alone) };
        let scratch = std::path::absolute(scratch)?;
        Ok(Order { line, scratch, wall, stall: settings.stall, most, is_asked: false, pulse: Some(pulse) })
    }
}

impl Inner {
    /// The order to run a tool through the launcher.
    fn order(&self, errand: Errand<'_>) -> io::Result<Order> {
        let scratch = std::path::absolute(errand.scratch)?;
        let mut line = self.settings.launch(&errand.inputs, errand.wall);
        let files = match errand.writes {
            Writes::Nothing => 0,
            Writes::Scratch => 1,
            Writes::Outputs(count) => count as u64,
        };
        if errand.writes != Writes::Nothing {
            option(&mut line, "--write", &scratch);
        }
        let is_alone = is_compiled(errand.program) && self.settings.sandbox != SandboxMode::Off;
        if is_alone {
            line.push("--no-processes".into());
        }
        line.push("--".into());
        line.push(errand.program.into());
        line.extend(errand.arguments);
        // What comes before an output (frames, logs, the parts of a package) may lie beside it for a while.
        let files_bytes = self.settings.limits.output_bytes.saturating_mul(files + 2);
        let most = Most { files_bytes, ..self.settings.most(is_alone) };
        let Errand { wall, stall, .. } = errand;
        Ok(Order { line, scratch, wall, stall, most, is_asked: false, pulse: None })
    }

    /// Runs a tool through the launcher.
    async fn start(
        &self,
        errand: Errand<'_>,
        listener: &mut dyn Listener,
        cancel: &CancellationToken,
    ) -> Result<Ended, MediaError> {
        let order = self.order(errand)?;
        let ended = process::run(&self.spawner, &order, listener, cancel).await?;
        if ended.ending == Ending::Exited(LAUNCH_FAILED) {
            return Err(MediaError::Sandbox { reason: ended.stderr.last_line() });
        }
        Ok(ended)
    }

    async fn ask(&self) -> Result<Capabilities, MediaError> {
        let layers = self.layers().await?;
        let (version, encoders, decoders, muxers, filters) = tokio::try_join!(
            self.answer(&self.ffmpeg, "-version"),
            self.answer(&self.ffmpeg, "-encoders"),
            self.answer(&self.ffmpeg, "-decoders"),
            self.answer(&self.ffmpeg, "-muxers"),
            self.answer(&self.ffmpeg, "-filters"),
        )?;
        self.answer(&self.ffprobe, "-version").await?;
        let unusable = |hint: String| MediaError::ToolMissing { program: self.ffmpeg.display().to_string(), hint };
        let (version, number) =
            capabilities::version(&version).ok_or_else(|| unusable("it is not ffmpeg".to_owned()))?;
        if number.is_some_and(|number| number < capabilities::OLDEST) {
            return Err(unusable(format!("it is version {version}; install {} or newer", capabilities::OLDEST)));
        }
        let [encoders, decoders, muxers, filters] =
            [encoders, decoders, muxers, filters].map(|said| capabilities::names(&said));
        let heif = None;
        let threads = self.settings.threads;
        Ok(Capabilities { version, encoders, decoders, muxers, filters, heif, layers, threads })
    }

    /// What the launcher says of the sandbox.
    async fn layers(&self) -> Result<Layers, MediaError> {
        let folder = tempfile::tempdir()?;
        let mut line = self.settings.launch(&[], ASKED);
        line.push("--report".into());
        let most = self.settings.most(true);
        let order = Order {
            line,
            scratch: folder.path().to_owned(),
            wall: ASKED,
            stall: ASKED,
            most,
            is_asked: false,
            pulse: None,
        };
        let mut said = Collector::new(4096);
        let ended =
            process::run(&self.spawner, &order, &mut said, &CancellationToken::new()).await.map_err(|error| {
                let reason =
                    format!("the launcher {} cannot be started: {error}", self.settings.launcher.program.display());
                MediaError::Sandbox { reason }
            })?;
        if ended.ending != Ending::Exited(0) {
            return Err(MediaError::Sandbox { reason: ended.stderr.last_line() });
        }
        Ok(Layers::parse(&String::from_utf8_lossy(&said.bytes)))
    }

    /// Looks for the decoder of HEIC, which has two names. One that does not say what it is is left alone.
    async fn find_heif(&self) -> Result<Option<HeifTool>, MediaError> {
        let wanted = self.settings.heif_convert.as_path();
        let usual = Path::new("heif-convert");
        let names = if wanted == usual { vec![usual, Path::new("heif-dec")] } else { vec![wanted] };
        for program in names.into_iter().filter_map(process::find) {
            let folder = tempfile::tempdir()?;
            let errand = Errand {
                program: &program,
                arguments: vec!["--help".into()],
                inputs: Vec::new(),
                scratch: folder.path(),
                writes: Writes::Nothing,
                wall: ASKED,
                stall: ASKED,
            };
            let mut said = Collector::new(MOST_SAID);
            let ended = self.start(errand, &mut said, &CancellationToken::new()).await?;
            let said = format!("{}\n{}", ended.stderr.text(), String::from_utf8_lossy(&said.bytes));
            if let Some(version) = capabilities::heif_version(&said) {
                return Ok(Some(HeifTool { program, version }));
            }
            tracing::warn!(program = %program.display(), "a program is not the decoder of HEIC");
        }
        Ok(None)
    }

    /// What a tool answers to a question about itself.
    async fn answer(&self, program: &Path, question: &str) -> Result<String, MediaError> {
        let folder = tempfile::tempdir()?;
        let arguments = vec!["-hide_banner".into(), question.into()];
        let errand = Errand {
            program,
            arguments,
            inputs: Vec::new(),
            scratch: folder.path(),
            writes: Writes::Nothing,
            wall: ASKED,
            stall: ASKED,
        };
        let mut said = Collector::new(MOST_SAID);
        let ended = self.start(errand, &mut said, &CancellationToken::new()).await?;
        if ended.ending != Ending::Exited(0) {
            let hint = format!("{question} ended with {:?}: {}", ended.ending, ended.stderr.last_line());
            return Err(MediaError::ToolMissing { program: program.display().to_string(), hint });
        }
        Ok(String::from_utf8_lossy(&said.bytes).into_owned())
    }
}

/// Whether a program is compiled, not a script: then it does its work without other processes.
fn is_compiled(program: &Path) -> bool {
    let mut head = [0; 4];
    let read = std::fs::File::open(program).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head));
    read.is_ok() && &head == b"\x7fELF"
}
