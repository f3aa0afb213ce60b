//! Jobs: what the server adds to the wall time of ffmpeg and ffprobe, and what three outputs in one job cost.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use reelhook_dialects::native;
use reelhook_domain::time::Timestamp;
use reelhook_media::image::{self, Wish};
use reelhook_media::{Damage, Toolbox, plan};
use serde_json::{Value, json};
use tokio::process::Command;

use super::page::{Figure, Section, Target, median};
use super::subject::{self, Subject, Took};
use super::{Effort, pictures, scenes};
use crate::client::Api;
use crate::commands::submit;
use crate::follow;
use crate::output::Bars;
use crate::settings::Settings;
use crate::wiring;

const SMALL: (&str, u32) = ("640x360", 2);
const LARGE: (&str, u32) = ("1280x720", 10);
/// Photographs of which a thumbnail is made.
const PHOTOS: [(u32, u32); 2] = [(1920, 1080), (4032, 3024)];
/// Most of the time of ffprobe, ffmpeg and ffprobe that such a job may take.
const THUMBNAIL: f64 = 0.6;

/// Everything that the measurements share.
#[derive(Clone, Copy)]
struct Bench<'a> {
    server: &'a Subject,
    api: &'a Api,
    tools: &'a Settings,
    folder: &'a Path,
}

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let folder = tempfile::tempdir()?;
    let mut server = Subject::start(&folder.path().join("data")).await?;
    let mut careless = Subject::start_with(&folder.path().join("careless"), &["media.compare=false"]).await?;
    let (api, careless_api) = (api(&server)?, api(&careless)?);
    let tools = Settings::default();
    let bench = Bench { server: &server, api: &api, tools: &tools, folder: folder.path() };
    let without = Bench { server: &careless, api: &careless_api, ..bench };
    let small = bench.clip("small.mp4", SMALL).await?;
    let large = bench.clip("large.mp4", LARGE).await?;
    let (jobs, times) = (effort.pick(3, 5), effort.pick(2, 3));
    let mut figures = bench.overhead(&small, jobs).await?;
    figures.extend(bench.three_outputs(&without, &large, times).await?);
    for size in PHOTOS {
        figures.push(bench.thumbnail(size, jobs).await?);
    }
    let photos = effort.pick(5, 15);
    for size in PHOTOS {
        figures.extend(bench.reader(size, photos).await?);
    }
    server.stop().await?;
    careless.stop().await?;
    let method = vec![
        format!(
            "The time the server adds is `finished_at - created_at` of the job, without ffmpeg's `wall_ms` of the \
             receipt and without ffprobe's time over the input and both outputs, which is measured by hand with the \
             same arguments and the same low priority right after each job; the median of {jobs} jobs one after \
             another (compress and thumbnail of {} s of {}). The receipt's `wall_ms` begins before the sandbox is put \
             on, so the cost of the sandbox is measured by itself and counts, for all four starts of a tool, as the server's. \
             So does comparing the outputs with their source, one more run of ffmpeg.",
            SMALL.1, SMALL.0
        ),
        format!(
            "Three outputs: {} s of {} become MP4 (compress), WebM (convert, 720p, economy) and JPEG in one job. CPU is \
             user and system time of the job's ffmpeg (`cpu_ms`, counted once for all three) and of ffmpeg started by \
             hand without a sandbox, at the same low priority; in turns, {times} times, the least of each. The exact \
             command is the plan's own; the natural one has the same encoders and settings and none of our checks. \
             With all probes and checks, CPU is that of every tool that the server ran for the job: it probes the input and \
             the products, and decodes of all what it compares. What comparing costs is the difference to a server with \
             `media.compare = false`.",
            LARGE.1, LARGE.0
        ),
        format!(
            "A thumbnail is 640 pixels wide. The job's time is `finished_at - created_at`, all commits and checks \
             included; the median of {jobs} jobs and of as many runs by hand, in turns."
        ),
        format!(
            "A photograph is looked at and made smaller (jpg, high) {photos} times by a reader, a sandboxed child that is \
             started for it, and as often by the same code in this process, in turns. Time is the median, CPU that of all \
             of them together, of this process and its children."
        ),
    ];
    Ok(Section { title: "Media", figures, method })
}

impl Bench<'_> {
    async fn clip(&self, name: &str, (size, seconds): (&str, u32)) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        let line = format!(
            "-nostdin -hide_banner -v error -f lavfi -i testsrc2=size={size}:rate=30:duration={seconds} \
             -f lavfi -i sine=frequency=440:sample_rate=48000:duration={seconds} \
             -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -c:a aac -b:a 160k -movflags +faststart"
        );
        let mut ffmpeg = self.ffmpeg();
        ffmpeg.args(line.split_whitespace()).arg(&path);
        subject::run(ffmpeg).await.context("ffmpeg made no clip")?;
        Ok(path)
    }

    fn ffmpeg(&self) -> Command {
        tool(&self.tools.media.ffmpeg)
    }

    async fn job(&self, clip: &Path, outputs: &Value) -> anyhow::Result<Value> {
        job(self.api, clip, outputs).await
    }

    async fn overhead(&self, clip: &Path, jobs: usize) -> anyhow::Result<Vec<Figure>> {
        let outputs = json!([{"name": "web", "recipe": "compress"}, {"name": "still", "recipe": "thumbnail"}]);
        self.job(clip, &outputs).await.context("the first job, which is not counted")?;
        let by_hand = self.folder.join("hand");
        self.exact(clip, &outputs, &by_hand).await?;
        let sandbox = self.sandbox(jobs * 2).await?;
        let (mut added, mut tools) = (Vec::new(), Vec::new());
        for _ in 0..jobs {
            let job = self.job(clip, &outputs).await?;
            let mut spent = ffmpeg_ms(&job, "wall_ms")?;
            for file in [clip, &by_hand.join("out-0.mp4"), &by_hand.join("out-1.jpg")] {
                spent += milliseconds(self.probe(file).await?.wall);
            }
            added.push(between(&job)? - spent + sandbox);
            tools.push(spent - sandbox);
        }
        let name = "Time the server adds to a job of two outputs";
        let figures = vec![
            Figure::new(name, median(added), "ms", "ffmpeg and ffprobe themselves", median(tools)),
            Figure::new(
                "of that, the sandbox of one tool",
                sandbox,
                "ms",
                "`ffprobe -version`",
                self.bare(jobs).await?,
            ),
        ];
        Ok(figures)
    }

    /// ffprobe as the server starts it, without the sandbox.
    async fn probe(&self, file: &Path) -> anyhow::Result<Took> {
        let demuxer = if file.extension().is_some_and(|extension| extension == "jpg") { "jpeg_pipe" } else { "mov" };
        let mut ffprobe = tool(&self.tools.media.ffprobe);
        ffprobe.args("-hide_banner -v error -of json -show_format -show_streams -show_chapters".split(' '));
        ffprobe.args(["-protocol_whitelist", "file", "-f", demuxer, "-i"]).arg(operand(file));
        subject::run(ffprobe).await
    }

    /// Milliseconds of `ffprobe -version`.
    async fn bare(&self, times: usize) -> anyhow::Result<f64> {
        let mut walls = Vec::new();
        for _ in 0..times {
            let mut ffprobe = tool(&self.tools.media.ffprobe);
            ffprobe.arg("-version");
            walls.push(milliseconds(subject::run(ffprobe).await?.wall));
        }
        Ok(median(walls))
    }

    /// Milliseconds that the sandbox adds to the start of a tool: the launcher reports its layers and ends.
    async fn sandbox(&self, times: usize) -> anyhow::Result<f64> {
        let mut walls = Vec::new();
        for _ in 0..times {
            let mut launcher = subject::command(&std::env::current_exe()?);
            let parent = std::process::id().to_string();
            launcher.args(["sandbox-exec", "--mode", "auto", "--parent", &parent, "--report"]);
            walls.push(milliseconds(subject::run(launcher).await?.wall));
        }
        Ok(median(walls))
    }

    /// `without` is a server that does not compare.
    async fn three_outputs(&self, without: &Bench<'_>, clip: &Path, times: usize) -> anyhow::Result<Vec<Figure>> {
        let outputs = json!([
            {"name": "web", "recipe": "compress", "format": "mp4"},
            {"name": "hd", "recipe": "convert", "format": "webm", "resolution": "720p", "quality": "economy"},
            {"name": "still", "recipe": "thumbnail", "at_seconds": 1.0, "width": 640},
        ]);
        let [mut job, mut with_checks, mut uncompared, mut exact, mut natural] = [f64::MAX; 5];
        for time in 0..times {
            let (ended, all) = self.counted(clip, &outputs).await?;
            let shared = ended["outputs"].as_array().into_iter().flatten();
            let mut shared = shared.map(|output| output["receipt"]["shared_by"].as_u64());
            ensure!(shared.all(|count| count == Some(3)), "the three outputs did not share one ffmpeg");
            let encoding = ffmpeg_ms(&ended, "cpu_ms")?;
            job = job.min(encoding);
            // Counted without encoding, which varies by more than the checks take.
            with_checks = with_checks.min(all - encoding);
            let (ended, all) = without.counted(clip, &outputs).await?;
            uncompared = uncompared.min(all - ffmpeg_ms(&ended, "cpu_ms")?);
            let by_hand = self.folder.join(format!("three-{time}"));
            exact = exact.min(milliseconds(self.exact(clip, &outputs, &by_hand).await?.cpu));
            natural = natural.min(milliseconds(self.natural(clip).await?.cpu));
        }
        let name = "CPU of three outputs in one job";
        let all = job + with_checks;
        Ok(vec![
            Figure::new(name, job, "ms", "the exact command by hand", exact).target(Target::Ratio(1.05)),
            Figure::new(name, job, "ms", "a natural command by hand", natural).target(Target::Ratio(1.05)),
            Figure::new("the same with all probes and checks", all, "ms", "a natural command by hand", natural)
                .target(Target::Ratio(1.05)),
            Figure::new("of that, comparing with the source", with_checks - uncompared, "ms", "all of the job", all)
                .target(Target::Ratio(0.05)),
        ])
    }

    /// A job, and the milliseconds of CPU of all tools that the server ran for it.
    async fn counted(&self, clip: &Path, outputs: &Value) -> anyhow::Result<(Value, f64)> {
        let before = self.server.tools_cpu()?;
        let ended = self.job(clip, outputs).await?;
        Ok((ended, milliseconds(self.server.tools_cpu()?.saturating_sub(before))))
    }

    /// A thumbnail of a photograph, which we decode ourselves, beside the tools that would do it.
    async fn thumbnail(&self, (width, height): (u32, u32), jobs: usize) -> anyhow::Result<Figure> {
        let photo = self.folder.join(format!("photo-{width}.jpg"));
        pictures::write(&scenes::photo(7, (width, height)), (width, height), &["-q:v", "2"], &photo).await?;
        let outputs = json!([{"recipe": "thumbnail", "width": 640}]);
        self.job(&photo, &outputs).await.context("the first job, which is not counted")?;
        let by_hand = self.folder.join("by-hand.jpg");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..jobs {
            ours.push(between(&self.job(&photo, &outputs).await?)?);
            let mut ffmpeg = self.ffmpeg();
            ffmpeg.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(&photo);
            ffmpeg.args(["-vf", "scale=640:-2", "-frames:v", "1", "-q:v", "3"]).arg(&by_hand);
            let before = milliseconds(self.probe(&photo).await?.wall);
            let made = milliseconds(subject::run(ffmpeg).await?.wall);
            theirs.push(before + made + milliseconds(self.probe(&by_hand).await?.wall));
        }
        let name = format!("Thumbnail of a photograph of {width} x {height}, a whole job");
        let figure = Figure::new(name, median(ours), "ms", "ffprobe, ffmpeg and ffprobe by hand", median(theirs));
        Ok(figure.target(Target::Ratio(THUMBNAIL)))
    }

    /// A photograph that a sandboxed child reads, beside the same in this process.
    async fn reader(&self, size: (u32, u32), photos: usize) -> anyhow::Result<Vec<Figure>> {
        let readers = wiring::readers(self.tools)?;
        let (photo, made) = (self.folder.join("photo.jpg"), self.folder.join("made"));
        pictures::write(&scenes::photo(8, size), size, &["-y", "-q:v", "2"], &photo).await?;
        let (mut walls, mut cpus) = ([Vec::new(), Vec::new()], [Duration::ZERO; 2]);
        for photo_number in 0..=photos {
            for (place, in_child) in [true, false].into_iter().enumerate() {
                let (cpu, began) = (subject::all_cpu()?, Instant::now());
                if in_child {
                    let reader = readers.reader(vec![photo.clone()], self.folder);
                    reader.inspect(&photo).await?;
                    reader.make(&photo, &Wish::default(), &made).await?;
                } else {
                    let (photo, made, limits) = (photo.clone(), made.clone(), *readers.image_limits());
                    let work = move || {
                        image::inspect(&photo, &limits)?;
                        image::make(&photo, &Wish::default(), &made, &limits, &image::unclaimed)
                    };
                    tokio::task::spawn_blocking(work).await??;
                }
                let wall = began.elapsed();
                // A reader that was dropped is killed and counted a moment later.
                tokio::time::sleep(Duration::from_millis(100)).await;
                // The first of each is not counted.
                if photo_number > 0 {
                    walls[place].push(milliseconds(wall));
                    cpus[place] += subject::all_cpu()?.saturating_sub(cpu);
                }
            }
        }
        let [[child, here], [child_cpu, here_cpu]] = [walls.map(median), cpus.map(milliseconds)];
        let name = format!("A photograph of {} x {} through a reader", size.0, size.1);
        Ok(vec![
            Figure::new(&name, child, "ms", "in this process", here),
            Figure::new("of that, the reader", child - here, "ms", "the 5 ms that it may take", 5.0)
                .target(Target::Ratio(1.0)),
            Figure::new(format!("CPU of {photos} such photographs"), child_cpu, "ms", "in this process", here_cpu)
                .target(Target::Ratio(1.05)),
        ])
    }

    /// Runs by hand, in a folder of its own, the single command that the plan makes of these outputs.
    async fn exact(&self, clip: &Path, outputs: &Value, folder: &Path) -> anyhow::Result<Took> {
        std::fs::create_dir_all(folder)?;
        let toolbox = Toolbox::detect(wiring::tool_settings(self.tools)?).await?;
        let source = toolbox.probe(clip, folder).await?;
        let request = json!({"input": {"url": "https://example.com/clip.mp4"}, "outputs": outputs});
        let request = native::request::job(request, native::request::Bytes::Named, &reelhook_dialects::Unjudged)
            .map_err(|violations| anyhow!("{violations:?}"))?;
        let recipes: Vec<_> = request.outputs.iter().map(|output| &output.recipe).collect();
        let planned = plan(&source, &[], &recipes, toolbox.capabilities(), Damage::Strict);
        let [step] = planned.steps.as_slice() else { anyhow::bail!("the plan has more than one step") };
        let arguments: Vec<OsString> = step.arguments(clip, &[]);
        let mut ffmpeg = self.ffmpeg();
        ffmpeg.args(arguments).current_dir(folder);
        subject::run(ffmpeg).await
    }

    /// What somebody would type for the same three files.
    async fn natural(&self, clip: &Path) -> anyhow::Result<Took> {
        let mut ffmpeg = self.ffmpeg();
        ffmpeg.args("-nostdin -v error -y -i".split(' ')).arg(clip);
        let graph = "[0:v]split=3[a][b][c];[c]trim=start=1,scale=640:-2[still]";
        ffmpeg.args(["-filter_complex", graph]);
        let web = "-map [a] -map 0:a -c:v libx264 -preset medium -crf 28 -c:a copy -movflags +faststart natural.mp4";
        let hd = "-map [b] -map 0:a -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -crf 50 -b:v 0 \
                  -c:a libopus -b:a 64k natural.webm";
        let still = "-map [still] -frames:v 1 -q:v 3 natural.jpg";
        ffmpeg.args([web, hd, still].iter().flat_map(|part| part.split_whitespace())).current_dir(self.folder);
        subject::run(ffmpeg).await
    }
}

pub(super) fn api(server: &Subject) -> anyhow::Result<Api> {
    Api::new(server.base.clone(), server.key.as_deref().context("the server created no key")?)
}

/// Submits a job and follows it to its end.
pub(super) async fn job(api: &Api, input: &Path, outputs: &Value) -> anyhow::Result<Value> {
    let upload = submit::upload(api, input, &Bars::new()).await?;
    let job = api.post(&["jobs"], &json!({"input": {"upload": upload}, "outputs": outputs})).await?;
    let id = job["id"].as_str().context("the server returned no job")?;
    let ended = follow::to_the_end(api, id, |_| {}).await?;
    ensure!(ended["state"] == "completed", "the job did not complete: {}", super::super::jobs::summary(&ended));
    Ok(ended)
}

/// Milliseconds of all runs of ffmpeg of a job; runs that outputs share are counted once.
fn ffmpeg_ms(job: &Value, field: &str) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for receipt in job["outputs"].as_array().into_iter().flatten().map(|output| &output["receipt"]) {
        let value = receipt[field].as_f64().with_context(|| format!("a receipt lacks {field}"))?;
        sum += value / receipt["shared_by"].as_f64().context("a receipt lacks shared_by")?;
    }
    Ok(sum)
}

/// Milliseconds from the acceptance of a job to its end.
pub(super) fn between(job: &Value) -> anyhow::Result<f64> {
    let time = |field: &str| -> anyhow::Result<Timestamp> {
        let text = job[field].as_str().with_context(|| format!("the job has no {field}"))?;
        text.parse().map_err(|_| anyhow!("{field} is {text}, which is not a time"))
    };
    let (created, finished) = (time("created_at")?, time("finished_at")?);
    Ok((finished.as_millis() - created.as_millis()) as f64)
}

/// A tool by hand, at the lowest priority: jobs run theirs so, and on a busy machine it makes a difference.
pub(super) fn tool(program: &str) -> Command {
    let mut command = subject::command(Path::new("nice"));
    command.args(["-n", "19", program]);
    command
}

fn operand(file: &Path) -> OsString {
    let mut operand = OsString::from("file:");
    operand.push(file);
    operand
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
