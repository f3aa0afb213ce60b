//! `reelhook submit`: a file or a URL becomes a job, and, with `--wait`, its results come back.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::{Map, Value, json};
use tokio_util::io::ReaderStream;
use url::Url;

use self::outputs::Outputs;
use super::jobs;
use crate::address;
use crate::args::Connect;
use crate::client::{Api, Outbound};
use crate::download::{self, Existing};
use crate::exit::Exit;
use crate::follow::{self, JobBars};
use crate::output::{self, Bars};
use crate::signals::Signals;

mod outputs;

const EXAMPLES: &str = "\
Examples:
  reelhook submit clip.mov --wait                         a smaller file of the same kind
  reelhook submit clip.mov --recipe compress --set crf=30 \\
      --recipe thumbnail --set at_seconds=2 --wait --out results
  reelhook submit https://example.com/clip.mp4 --output hd=convert,format=webm,resolution=720p \\
      --webhook https://example.com/hook --metadata order=1234

With --wait it exits with 0 if the job completed, and with 1 if it ended in any other way.";

/// Submit a file or a URL as a job; with --wait, follow it and save its outputs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file on this machine, or an http(s) URL that the server downloads
    #[arg(value_name = "FILE|URL")]
    input: String,
    #[command(flatten)]
    outputs: Outputs,
    /// Follow the job to its end and save its outputs
    #[arg(long)]
    wait: bool,
    /// The folder to save outputs in
    #[arg(long, value_name = "DIR", default_value = ".", requires = "wait")]
    out: PathBuf,
    /// Replace existing files
    #[arg(long, requires = "wait")]
    force: bool,
    /// Send the events of this job to this URL
    #[arg(long, value_name = "URL", value_parser = address::read)]
    webhook: Option<Url>,
    /// Metadata to keep with the job; may repeat
    #[arg(long, value_name = "KEY=VALUE", value_parser = read_metadata)]
    metadata: Vec<(String, String)>,
    /// The priority among your jobs
    #[arg(long, default_value = "standard", value_parser = ["economy", "standard", "premium"])]
    priority: String,
    #[command(flatten)]
    connect: Connect,
}

fn read_metadata(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "must be KEY=VALUE".to_owned())
}

/// Submits, and waits where asked.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let api = Api::connect(&args.connect).await?;
    Signals::take()?.unless(submit(&api, &args)).await
}

async fn submit(api: &Api, args: &Args) -> anyhow::Result<ExitCode> {
    if args.wait {
        // Before the work, so that its result has a place.
        let made = std::fs::create_dir_all(&args.out);
        made.with_context(|| format!("the folder {} cannot be created", args.out.display()))?;
    }
    let bars = Bars::new();
    let input = match read_url(&args.input) {
        Some(url) => json!({"url": url}),
        None => json!({"upload": upload(api, Path::new(&args.input), &bars).await?}),
    };
    let job = api.post(&["jobs"], &request(args, &input)).await?;
    let id = job["id"].as_str().context("the server returned no job id")?;
    if !args.wait {
        if args.connect.json {
            output::json(&job)?
        } else {
            output::line(id)?
        }
        return Ok(ExitCode::SUCCESS);
    }
    bars.note(format_args!("{id} is accepted"));
    let mut shown = JobBars::new(bars.clone());
    let ended = follow::to_the_end(api, id, |job| shown.show(job)).await?;
    shown.finish();
    let saved = save(api, &ended, args, &bars).await?;
    report(&ended, &saved, args.connect.json)?;
    Ok(jobs::exit_code(&ended))
}

/// An input with a scheme is a URL, for the server to judge; everything else is a file.
fn read_url(input: &str) -> Option<Url> {
    let url = Url::parse(input).ok()?;
    (url.has_host() && !Path::new(input).exists()).then_some(url)
}

fn request(args: &Args, input: &Value) -> Value {
    let mut job = json!({"input": input, "outputs": args.outputs.0, "priority": args.priority});
    if let Some(url) = &args.webhook {
        job["webhook"] = json!({"url": url});
    }
    if !args.metadata.is_empty() {
        job["metadata"] =
            args.metadata.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into();
    }
    job
}

/// Why a file cannot be read. What looks like a URL without its scheme is one that was meant.
fn unreadable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let text = path.to_string_lossy();
    let host = text.split('/').next().filter(|host| text.contains('/') && host.contains(['.', ':']) && *host != "..");
    let hint = match host {
        Some(host) if host != "." => "; a URL begins with http:// or https://",
        _ => "",
    };
    Exit::Usage.error(format_args!("{text} cannot be read: {error}{hint}"))
}

/// Sends a file; answers the id of the upload.
pub(crate) async fn upload(api: &Api, path: &Path, bars: &Bars) -> anyhow::Result<String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, &error))?;
    let about = file.metadata().await?;
    if about.is_dir() {
        return Err(Exit::Usage.error(format_args!("{} is a folder; give a file", path.display())));
    }
    // The length of a pipe is not known before its end.
    let length = about.is_file().then_some(about.len());
    let bar = bars.bytes("upload", length.unwrap_or(0));
    let counter = bar.clone();
    let stream = ReaderStream::with_capacity(file, 256 * 1024);
    let stream = stream.inspect(move |piece| counter.inc(piece.as_ref().map_or(0, |piece| piece.len() as u64)));
    let name = path.file_name().map_or_else(|| "input".to_owned(), |name| name.to_string_lossy().into_owned());
    let answer = api.upload(Outbound { name, length, stream: stream.boxed() }).await?;
    bar.finish_and_clear();
    Ok(answer["id"].as_str().context("the server returned no upload id")?.to_owned())
}

async fn save(api: &Api, job: &Value, args: &Args, bars: &Bars) -> anyhow::Result<Vec<PathBuf>> {
    let id = job["id"].as_str().unwrap_or_default();
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let mut saved = Vec::new();
    for made in job["outputs"].as_array().into_iter().flatten().filter(|output| output["file"].is_object()) {
        saved.push(download::save(api, id, made, &args.out, existing, bars).await?);
    }
    Ok(saved)
}

fn report(job: &Value, saved: &[PathBuf], json: bool) -> anyhow::Result<()> {
    if json {
        let mut job = job.clone();
        job["saved"] = saved.iter().map(|path| path.display().to_string()).collect();
        return output::json(&job);
    }
    let made = job["outputs"].as_array().into_iter().flatten().filter(|output| output["file"].is_object());
    for (path, made) in saved.iter().zip(made) {
        let gain = gain(job, made);
        // A person reads both in one line; a program reads paths alone.
        if std::io::stdout().is_terminal() {
            output::line(format_args!("{}  {gain}", path.display()))?;
        } else {
            output::note(format_args!("{}  {gain}", path.file_name().unwrap_or_default().to_string_lossy()));
            output::line(path.display())?;
        }
    }
    let completed = job["state"] == "completed";
    if !completed {
        output::note(jobs::summary(job));
        for failed in job["outputs"].as_array().into_iter().flatten().filter(|output| output["error"].is_object()) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (name, error) = (text(&failed["name"]), &failed["error"]);
            output::note(format_args!("  {name}: {}: {}", text(&error["code"]), text(&error["message"])));
        }
    }
    Ok(())
}

/// What was won: `1.7 MB -> 834 kB (-51 %)  checked 7 of 7  11 s`.
pub(crate) fn gain(job: &Value, made: &Value) -> String {
    let after = made["file"]["size_bytes"].as_u64().unwrap_or(0);
    let inputs = job["inputs"].as_array().map_or_else(|| std::slice::from_ref(&job["input"]), Vec::as_slice);
    let before: Option<u64> = inputs.iter().map(|input| input["size_bytes"].as_u64()).sum();
    let mut parts = vec![match before.filter(|before| *before > 0) {
        Some(before) => {
            let change = (after as f64 / before as f64 - 1.0) * 100.0;
            format!("{} -> {} ({change:+.0} %)", output::size(before), output::size(after))
        }
        None => output::size(after),
    }];
    if let Some(checks) = made["receipt"]["checks"].as_array() {
        let passed = checks.iter().filter(|check| check["passed"] == true).count();
        parts.push(format!("checked {passed} of {}", checks.len()));
    }
    if let Some(millis) = made["receipt"]["wall_ms"].as_u64() {
        parts.push(output::span(Duration::from_millis(millis)));
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_won_is_said_in_a_line() {
        let made = json!({"file": {"size_bytes": 834_000},
            "receipt": {"wall_ms": 11_020, "checks": [{"passed": true}, {"passed": true}]}});
        for (job, made, line) in [
            (json!({"input": {"size_bytes": 1_700_000}}), &made, "1.7 MB -> 834 kB (-51 %)  checked 2 of 2  11 s"),
            (
                json!({"inputs": [{"size_bytes": 400_000}, {"size_bytes": 1000}]}),
                &made,
                "401 kB -> 834 kB (+108 %)  checked 2 of 2  11 s",
            ),
            (json!({"input": null}), &json!({"file": {"size_bytes": 12}}), "12 B"),
        ] {
            assert_eq!(gain(&job, made), line);
        }
    }

    #[test]
    fn a_url_without_its_scheme_is_not_called_a_missing_file_alone() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        for (path, is_url) in [
            ("example.com/clip.mp4", true),
            ("localhost:3000/a", true),
            ("./a/b.mp4", false),
            ("../b.mp4", false),
            ("clip.mp4", false),
        ] {
            assert_eq!(unreadable(Path::new(path), &missing).to_string().contains("http://"), is_url, "{path}");
        }
    }
}
