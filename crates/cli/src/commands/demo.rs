//! `reelhook demo`: everything at once, for real, in a temporary folder.
//!
//! The same wiring as `serve`, a clip made by ffmpeg, a receiver that verifies signatures as a user would; then one job
//! with three outputs, followed over the same HTTP API that everybody uses. It ends with 0 only when all of that happened.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use reelhook_domain::ambient::Ambient;
use reelhook_domain::event::EventType;
use reelhook_signature::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::receiver::Receiver;
use super::submit::upload;
use super::{jobs, models};
use crate::client::Api;
use crate::download::{self, Existing};
use crate::follow::{self, JobBars};
use crate::output::{self, Bars};
use crate::service_manager::Given;
use crate::settings::{LogFormat, Settings};
use crate::signals::{INTERRUPTED, Signals};
use crate::{ambient, logging, wiring};

pub(super) mod clip;
mod receiver;
mod report;
mod sheet;

const EXAMPLES: &str = "\
Examples:
  reelhook demo
  reelhook demo --input holiday.mov --keep
  reelhook demo --background
  reelhook demo --background --input me.mp4 --sheet me.png

It starts a server on a free port, generates a clip, submits it as one job with three outputs,
receives the webhooks and verifies their signatures. Ctrl-C ends it and leaves nothing behind.

With --background the job cuts a person out of the clip, and the command leaves a contact sheet:
the clip, the person alone, the person on a colour. It needs the model of people, which
`reelhook models add human` installs.";

/// How long a webhook may take after its job has ended.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(30);

/// See it work: a real server, a real clip and real webhooks, in a temporary folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Your own clip instead of a generated one
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Cut a person out of the clip, and write a contact sheet
    #[arg(long)]
    background: bool,
    /// Where the contact sheet is written, a PNG; ./reelhook-background.png when absent
    #[arg(long, value_name = "FILE", requires = "background")]
    sheet: Option<PathBuf>,
    /// The folder of models for --background
    #[arg(long, env = "REELHOOK_MEDIA_MODELS", value_name = "DIR", default_value = "./reelhook-data/models")]
    models: PathBuf,
    /// Keep the folder with the database and the results
    #[arg(long)]
    keep: bool,
}

/// Shows it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    logging::start("warn", LogFormat::Text)?;
    let mut signals = Signals::take()?;
    let folder = tempfile::Builder::new().prefix("reelhook-demo-").tempdir();
    let folder = folder.context("a temporary folder cannot be created")?;
    let shown = show(&args, folder.path(), &mut signals).await;
    leave(folder, args.keep)?;
    shown
}

fn leave(folder: TempDir, keep: bool) -> anyhow::Result<()> {
    if keep {
        output::note(format_args!("Everything is kept in {}", folder.keep().display()));
        return Ok(());
    }
    folder.close().context("the temporary folder cannot be removed")
}

async fn show(args: &Args, folder: &Path, signals: &mut Signals) -> anyhow::Result<ExitCode> {
    let ambient = ambient::system();
    let mut settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
        data: folder.join("data"),
        dev: true,
        ..Settings::default()
    };
    if args.background {
        settings.media.models = Some(models::with_human(&args.models)?);
    }
    let making = async {
        match &args.input {
            Some(path) => Ok(path.clone()),
            None if args.background => clip::person(&settings, folder, 5).await,
            None => clip::test_picture(&settings, folder).await,
        }
    };
    let clip = tokio::select! {
        clip = making => clip?,
        () = signals.next() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let server = wiring::start(&settings, Given::default(), &ambient).await?;
    let address = server.address().context("the server does not listen")?;
    let key = server.first_key().context("the server created no key")?.to_owned();
    let base = Url::parse(&format!("http://{address}"))?;
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(server.run_until(stop.clone()));
    // Whichever comes first; then the server stops well in any case, and nothing of it is left.
    let walked = tokio::select! {
        walked = walk(args, &settings, (&base, &key), &clip, &ambient) => walked.map(|()| ExitCode::SUCCESS),
        ended = &mut serving => return Err(ended?.err().unwrap_or_else(|| anyhow!("the server ended by itself"))),
        () = signals.next() => Ok(ExitCode::from(INTERRUPTED)),
    };
    stop.cancel();
    serving.await??;
    walked
}

/// What the job shall make.
fn outputs(background: bool) -> Value {
    if background {
        return json!([
            {"name": "alone", "recipe": "remove_background", "model": "human", "format": "webm"},
            {"name": "on-colour", "recipe": "remove_background", "model": "human", "format": "mp4",
                "background": {"type": "color", "color": "#2f6f8f"}},
        ]);
    }
    json!([
        {"name": "web", "recipe": "compress", "format": "mp4"},
        {"name": "hd", "recipe": "convert", "format": "webm", "resolution": "720p", "quality": "economy"},
        {"name": "still", "recipe": "thumbnail", "at_seconds": 1.0, "width": 640},
    ])
}

async fn walk(
    args: &Args,
    settings: &Settings,
    (base, key): (&Url, &str),
    clip: &Path,
    ambient: &Ambient,
) -> anyhow::Result<()> {
    output::line(format_args!("1. The server listens on {base} and created its first API key."))?;
    let api = &Api::new(base.clone(), key)?;
    let mut receiver = Receiver::start().await?;
    let events = [EventType::JOB_STARTED, EventType::JOB_COMPLETED];
    let endpoint = api.post(&["endpoints"], &json!({"url": receiver.url(), "events": events})).await?;
    let secret =
        Secret::parse(endpoint["secret"].as_str().unwrap_or_default()).context("the server returned no secret")?;
    output::line(format_args!(
        "2. A receiver listens on {} and is registered for {}.",
        receiver.url(),
        events.join(" and ")
    ))?;

    let bars = Bars::new();
    let upload = upload(api, clip, &bars).await?;
    let job = api.post(&["jobs"], &json!({"input": {"upload": upload}, "outputs": outputs(args.background)})).await?;
    let id = job["id"].as_str().context("the server returned no job id")?;
    let name = clip.file_name().unwrap_or_default().to_string_lossy();
    let making = if args.background { "two outputs with another background" } else { "three outputs from one decode" };
    output::line(format_args!("3. {name} is uploaded and {id} is accepted: {making}."))?;
    let mut shown = JobBars::new(bars);
    let ended = follow::to_the_end(api, id, |job| shown.show(job)).await?;
    shown.finish();
    if ended["state"] != "completed" {
        bail!("the job did not complete: {}", jobs::summary(&ended));
    }
    output::line("4. The job completed: every output was probed and measured first.")?;

    let mut awaited = events.to_vec();
    while !awaited.is_empty() {
        let webhook = timeout(WEBHOOK_PATIENCE, receiver.next()).await;
        let webhook = webhook.map_err(|_| anyhow!("{} did not arrive within 30 s", awaited.join(" and ")))??;
        let body = webhook.open(&secret, ambient)?;
        ensure!(body["data"]["id"] == id, "a webhook belongs to another job");
        // Deliveries are made at least once: one that came before is no news.
        let Some(place) = awaited.iter().position(|kind| body["type"] == *kind) else { continue };
        let kind = awaited.remove(place);
        let event = webhook.header("webhook-id");
        output::line(format_args!("5. The receiver got {kind} ({event}) with a valid signature."))?;
        if kind == EventType::JOB_COMPLETED {
            report::webhook(&webhook, &body)?;
        }
    }
    report::outputs(&ended)?;
    if args.background {
        let sheet = args.sheet.clone().unwrap_or_else(|| sheet::NAME.into());
        let saved = save(api, &ended, &settings.data).await?;
        let [alone, on_colour] = &*saved else { bail!("the job has {} outputs, not two", saved.len()) };
        let seconds = ended["input"]["media"]["duration_seconds"].as_f64().context("the clip has no length")?;
        sheet::draw(settings, [clip, alone, on_colour], seconds, &sheet).await?;
        report::cut_out(&ended)?;
        output::line(format_args!("Before and after are side by side in {}.", sheet.display()))?;
    }
    report::by_hand(args.input.as_deref(), args.background)
}

/// Saves the outputs of a job in a folder.
async fn save(api: &Api, job: &Value, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let id = job["id"].as_str().context("the server returned no job id")?;
    let mut saved = Vec::new();
    for output in job["outputs"].as_array().into_iter().flatten() {
        saved.push(download::save(api, id, output, folder, Existing::Replace, &Bars::new()).await?);
    }
    Ok(saved)
}
