//! Pictures: how long they take and how large they become, beside tools that are run once a file.
//!
//! Both sides get the same files and the same settings, as many files at once as there are cores, in turns; the median
//! of each counts, of the time and of what it cost the processor, which others on the machine disturb less. A tool that
//! is not on this machine is left out, and the page says so.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reelhook_domain::id::JobId;
use reelhook_media::image::{Fit, ImageFormat, ImageLimits, Level, Wish, make, unclaimed};
use tokio::process::Command;

use super::Effort;
use super::page::{Figure, Section, Target, median};
use super::scenes::{drawing, photo};
use super::subject::{self, Subject, Took};
use crate::client::Api;
use crate::output;

const KB: f64 = 1e3;
/// Larger results than the tool's are a miss beyond this.
const SIZES: f64 = 1.02;
const PHOTO: (u32, u32) = (2000, 1500);
const DRAWING: (u32, u32) = (1280, 800);
/// Of the photograph whose request is timed, in bytes.
const USUAL: u64 = 500_000;
/// Most milliseconds of that request that are neither decoding nor encoding.
const ASIDE: f64 = 10.0;
const BOUNDARY: &str = "boundary-of-the-benchmark";

/// A set of files that both sides make smaller.
struct Contest {
    name: &'static str,
    /// As the page calls the other side.
    tool: String,
    /// Whether the tool is one to be held against: no slower and, within bounds, no larger. One that does less for a
    /// larger result is shown for what it is.
    rival: bool,
    wish: Wish,
    sources: Vec<PathBuf>,
    /// The commands for one file, each reading what the one before writes to stdout.
    commands: fn(&Path, &Path) -> Vec<Command>,
}

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let folder = tempfile::tempdir()?;
    let (count, times) = (effort.pick(4, 8), effort.pick(3, 5));
    output::note(format_args!("drawing {count} photographs and {count} screens"));
    let photos = pictures(folder.path(), "photo", count, PHOTO, photo, &["-q:v", "2"], "jpg").await?;
    let drawings =
        pictures(folder.path(), "screen", count, DRAWING, drawing, &["-compression_level", "6"], "png").await?;
    let mut figures = Vec::new();
    let mut method = vec![format!(
        "{count} photographs of {} x {} (JPEG) and {count} screens of {} x {} (PNG), drawn by the benchmark from fixed \
         seeds; {} files at once on both sides, in turns, {times} times, the median of each. Tools are started once a \
         file, as in a shell loop. CPU is user and system time, to a hundredth of a second over all files.",
        PHOTO.0,
        PHOTO.1,
        DRAWING.0,
        DRAWING.1,
        cores()
    )];
    let (contests, absent) = contests(&photos, &drawings).await;
    for contest in contests {
        figures.extend(contest.hold(folder.path(), times).await?);
    }
    method.extend(absent);
    let jobs = effort.pick(5, 15);
    figures.push(aside(folder.path(), jobs).await?);
    method.push(format!(
        "The time beside is that of a whole `POST /compressor/1.0/upload`, from before the client connects to the last \
         byte of the result's JSON, without `decode_ms` and `encode_ms` of its receipt; the median of {jobs} requests one \
         after another, after one that is not counted."
    ));
    Ok(Section { title: "Pictures", figures, method })
}

/// What can be held on this machine, and a sentence on each that cannot.
async fn contests(photos: &[PathBuf], drawings: &[PathBuf]) -> (Vec<Contest>, Vec<String>) {
    let (mut contests, mut absent) = (Vec::new(), Vec::new());
    let mut skip = |tool: &str| {
        let sentence = format!("`{tool}` is not on this machine; what it does was not compared.");
        output::note(format_args!("{sentence}"));
        absent.push(sentence);
    };
    let high = |format, fit| Wish { level: Level::High, format: Some(format), fit, ..Wish::default() };
    if let Some(version) = version("cjpeg", "-version").await {
        let rival = version.contains("mozjpeg");
        let tool = if rival { "`djpeg`, then `cjpeg` (mozjpeg)" } else { "`djpeg`, then `cjpeg` (libjpeg-turbo)" };
        contests.push(Contest {
            name: "JPEG, quality 75",
            tool: tool.to_owned(),
            rival,
            wish: high(ImageFormat::Jpeg, None),
            sources: photos.to_vec(),
            commands: cjpeg,
        });
    } else {
        skip("cjpeg");
    }
    if version("oxipng", "--version").await.is_some() {
        contests.push(Contest {
            name: "PNG, exact, preset 2",
            tool: "`oxipng`".to_owned(),
            rival: true,
            wish: Wish { level: Level::Medium, ..high(ImageFormat::Png, None) },
            sources: drawings.to_vec(),
            commands: oxipng,
        });
    } else {
        skip("oxipng");
    }
    if version("vipsthumbnail", "--version").await.is_some() {
        let fit = Some(Fit { width: Some(800), height: Some(800) });
        for (name, format, commands) in [
            ("JPEG, quality 75, fitted to 800 x 800", ImageFormat::Jpeg, vipsthumbnail_jpeg as fn(&Path, &Path) -> _),
            ("JPEG to WebP, quality 75, fitted to 800 x 800", ImageFormat::Webp, vipsthumbnail_webp),
        ] {
            let (tool, wish, sources) = ("`vipsthumbnail`".to_owned(), high(format, fit), photos.to_vec());
            contests.push(Contest { name, tool, rival: true, wish, sources, commands });
        }
    } else {
        skip("vipsthumbnail");
    }
    (contests, absent)
}

fn cjpeg(input: &Path, output: &Path) -> Vec<Command> {
    let mut decode = subject::command(Path::new("djpeg"));
    decode.arg("-ppm").arg(input);
    let mut encode = subject::command(Path::new("cjpeg"));
    encode.args("-quality 75 -sample 2x2 -optimize -progressive -outfile".split(' ')).arg(output);
    vec![decode, encode]
}

fn oxipng(input: &Path, output: &Path) -> Vec<Command> {
    let mut command = subject::command(Path::new("oxipng"));
    command.args("--quiet --opt 2 --strip safe --force --out".split(' ')).arg(output).arg(input);
    vec![command]
}

fn vipsthumbnail_jpeg(input: &Path, output: &Path) -> Vec<Command> {
    vipsthumbnail(input, output, "Q=75,optimize_coding,interlace,strip")
}

fn vipsthumbnail_webp(input: &Path, output: &Path) -> Vec<Command> {
    vipsthumbnail(input, output, "Q=75,effort=4,strip")
}

fn vipsthumbnail(input: &Path, output: &Path, settings: &str) -> Vec<Command> {
    let mut command = subject::command(Path::new("vipsthumbnail"));
    let options = format!("{}[{settings}]", output.display());
    command.arg(input).args(["--size", "800x800", "-o", &options]);
    vec![command]
}

impl Contest {
    async fn hold(&self, folder: &Path, times: usize) -> anyhow::Result<[Figure; 3]> {
        output::note(format_args!("{} beside {}", self.name, self.tool));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (own, other) = (folder.join("own"), folder.join("other"));
        for _ in 0..times {
            theirs.push(self.race(&other, |input, output| run((self.commands)(&input, &output))).await?);
            let wish = self.wish;
            ours.push(self.race(&own, |input, output| here(input, wish, output)).await?);
        }
        let each = |all: &[Took], took: fn(&Took) -> Duration| {
            median(all.iter().map(|all| milliseconds(took(all))).collect()) / self.sources.len() as f64
        };
        let time = |what: &str, took| {
            let name = format!("{}: {what}", self.name);
            Figure::new(name, each(&ours, took), "ms", &self.tool, each(&theirs, took))
        };
        let size = Figure::new(
            format!("{}: size of one", self.name),
            self.bytes(&own)? / KB,
            "KB",
            &self.tool,
            self.bytes(&other)? / KB,
        );
        let figures = [time("time for one", |took| took.wall), time("CPU for one", |took| took.cpu), size];
        if !self.rival {
            return Ok(figures);
        }
        let [wall, cpu, size] = figures;
        Ok([wall.target(Target::Ratio(1.0)), cpu.target(Target::Ratio(1.0)), size.target(Target::Ratio(SIZES))])
    }

    /// All files of the set, as many at once as there are cores.
    async fn race<F: Future<Output = anyhow::Result<()>>>(
        &self,
        folder: &Path,
        work: impl Fn(PathBuf, PathBuf) -> F,
    ) -> anyhow::Result<Took> {
        std::fs::create_dir_all(folder)?;
        let (before, begun) = (subject::all_cpu()?, Instant::now());
        let all = self.sources.iter().map(|source| work(source.clone(), self.output(folder, source)));
        stream::iter(all).buffer_unordered(cores()).try_collect::<()>().await?;
        let wall = begun.elapsed();
        Ok(Took { wall, cpu: subject::all_cpu()?.saturating_sub(before) })
    }

    fn output(&self, folder: &Path, source: &Path) -> PathBuf {
        let extension = self.wish.format.map_or("out", ImageFormat::extension);
        folder.join(source.file_name().unwrap_or_default()).with_extension(extension)
    }

    /// Of one result, in the mean.
    fn bytes(&self, folder: &Path) -> anyhow::Result<f64> {
        let mut sum = 0;
        for source in &self.sources {
            sum += std::fs::metadata(self.output(folder, source))?.len();
        }
        Ok(sum as f64 / self.sources.len() as f64)
    }
}

/// One picture as the server makes it, without the server.
async fn here(input: PathBuf, wish: Wish, output: PathBuf) -> anyhow::Result<()> {
    let limits = ImageLimits { threads: 1, ..ImageLimits::default() };
    let work = move || make(&input, &wish, &output, &limits, &unclaimed);
    tokio::task::spawn_blocking(work).await??;
    Ok(())
}

/// Runs commands side by side, each reading what the one before writes.
async fn run(commands: Vec<Command>) -> anyhow::Result<()> {
    let last = commands.len().saturating_sub(1);
    let mut running = Vec::new();
    let mut said = None;
    for (number, mut command) in commands.into_iter().enumerate() {
        if let Some(said) = said.take() {
            command.stdin(said);
        }
        if number < last {
            command.stdout(Stdio::piped());
        }
        let mut child = command.spawn().with_context(|| format!("{:?}", command.as_std()))?;
        if let Some(stdout) = child.stdout.take() {
            said = Some(TryInto::<Stdio>::try_into(stdout)?);
        }
        running.push((command, child));
    }
    for (command, mut child) in running {
        let ended = child.wait().await?;
        ensure!(ended.success(), "{:?} ended with {ended}", command.as_std());
    }
    Ok(())
}

/// What a tool says of itself; `None` where it is not here.
async fn version(program: &str, flag: &str) -> Option<String> {
    let mut command = subject::command(Path::new(program));
    command.arg(flag).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = command.spawn().ok()?.wait_with_output().await.ok()?;
    Some([said.stdout, said.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat())
}

/// Draws pictures and has ffmpeg write them.
async fn pictures(
    folder: &Path,
    name: &str,
    count: usize,
    size: (u32, u32),
    draw: fn(u32, (u32, u32)) -> Vec<u8>,
    settings: &[&str],
    extension: &str,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for number in 0..count {
        let path = folder.join(format!("{name}-{number}.{extension}"));
        write(&draw(number as u32 + 1, size), size, settings, &path).await?;
        all.push(path);
    }
    Ok(all)
}

/// Writes red, green and blue as a file of the kind that `path` ends in.
pub(super) async fn write(
    rgb: &[u8],
    (width, height): (u32, u32),
    settings: &[&str],
    path: &Path,
) -> anyhow::Result<()> {
    let raw = path.with_extension("rgb");
    std::fs::write(&raw, rgb)?;
    let mut ffmpeg = subject::command(Path::new("ffmpeg"));
    ffmpeg.args("-nostdin -v error -y -f rawvideo -pix_fmt rgb24 -s".split(' ')).arg(format!("{width}x{height}"));
    ffmpeg.arg("-i").arg(&raw).args(settings).arg(path);
    subject::run(ffmpeg).await.context("ffmpeg made no picture")?;
    std::fs::remove_file(raw)?;
    Ok(())
}

/// What a synchronous request for one photograph takes beside decoding and encoding it.
async fn aside(folder: &Path, requests: usize) -> anyhow::Result<Figure> {
    let photo = usual(folder).await?;
    let mut server = Subject::start(&folder.join("data")).await?;
    let api = Api::new(server.base.clone(), server.key.as_deref().context("the server created no key")?)?;
    let body = multipart(&std::fs::read(&photo)?);
    compressed(&api, &body).await.context("the first request, which is not counted")?;
    let (mut beside, mut within) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        let (whole, worked) = compressed(&api, &body).await?;
        beside.push(whole - worked);
        within.push(worked);
    }
    server.stop().await?;
    let size = std::fs::metadata(&photo)?.len() as f64 / KB;
    let name = format!("A synchronous request for a JPEG of {size:.0} KB: time beside decoding and encoding");
    let baseline = "decoding and encoding it";
    Ok(Figure::new(name, median(beside), "ms", baseline, median(within)).target(Target::Value(ASIDE)))
}

/// Milliseconds that one request to Compressor's API took, and of those the ones of the codecs.
async fn compressed(api: &Api, body: &Bytes) -> anyhow::Result<(f64, f64)> {
    let begun = Instant::now();
    let result = api.post_form(&["compressor", "1.0", "upload"], BOUNDARY, body.clone()).await?;
    let whole = milliseconds(begun.elapsed());
    ensure!(result["url"].is_string(), "the request was not answered with its result: {result}");
    let id = result["id"].as_str().and_then(JobId::from_hyphenated).context("the result names no job")?;
    let job = api.get(&["jobs", &id.to_string()], &[]).await?;
    let receipt = &job["outputs"][0]["receipt"];
    let took = |name: &str| receipt[name].as_f64().with_context(|| format!("a receipt lacks {name}"));
    Ok((whole, took("decode_ms")? + took("encode_ms")?))
}

/// The body of an upload with that file and nothing else.
fn multipart(file: &[u8]) -> Bytes {
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg";
    let (begin, end) = (format!("--{BOUNDARY}\r\n{head}\r\n\r\n"), format!("\r\n--{BOUNDARY}--\r\n"));
    [begin.as_bytes(), file, end.as_bytes()].concat().into()
}

/// A photograph of about 500 KB.
async fn usual(folder: &Path) -> anyhow::Result<PathBuf> {
    let (size, path) = ((2800, 2100), folder.join("usual.jpg"));
    let rgb = photo(99, size);
    for quality in ["2", "3", "4", "5", "6", "8", "10", "14"] {
        write(&rgb, size, &["-q:v", quality], &path).await?;
        if std::fs::metadata(&path)?.len() < USUAL * 11 / 10 {
            break;
        }
    }
    Ok(path)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
