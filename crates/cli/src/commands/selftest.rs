//! `reelhook selftest`: whether this installation makes right what people send, and refuses what is meant to harm it.
//!
//! # Theory of operation
//! A whole server runs in a temporary folder with the tools and limits of this installation, and is talked to over its
//! HTTP API, so that what is tested is what a caller has. Each [`Case`] makes its input on the spot, submits it as a job of
//! one output, and says what is right. What was made is measured by [`Seen`], through ffmpeg, ffprobe or the bytes
//! themselves: never by what the server says of it.
//!
//! To add a case, add an entry to a table in `cases/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::case::{Case, Right};
use self::seen::Seen;
use self::workshop::Workshop;
use crate::client::{Api, Outbound};
use crate::exit::{self, Exit};
use crate::follow;
use crate::output::{self, Bars};
use crate::service_manager::Given;
use crate::settings::{LogFormat, Settings, Sources};
use crate::signals::{INTERRUPTED, Signals};
use crate::{ambient, logging, wiring};

mod case;
mod cases;
mod seen;
mod workshop;

const EXAMPLES: &str = "\
Examples:
  reelhook selftest
  reelhook selftest --only hostile
  reelhook selftest --config /etc/reelhook.toml --json
  reelhook selftest --only transparent --keep

It generates each input, sends it to a server in a temporary folder, and measures the
result with ffmpeg, ffprobe and by its bytes. Run it after an upgrade of Reelhook, ffmpeg or the
kernel. It takes less than a minute, and exits with 1 when a case does not hold.";

/// How long one case may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many cases are under way at once.
const AT_ONCE: usize = 4;

/// Check that this installation handles real inputs correctly and refuses hostile ones
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The TOML file with the server's settings, whose tools and limits are tested
    #[arg(long, env = "REELHOOK_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only cases of this group, or with this word in their name; may repeat
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Keep the folder with the inputs and the results
    #[arg(long)]
    keep: bool,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
}

/// How one case came out.
#[derive(Debug, Serialize)]
struct Finding {
    group: &'static str,
    name: &'static str,
    expected: String,
    got: String,
    /// What `got` was read from.
    check: &'static str,
    holds: bool,
}

/// Runs the cases and reports each.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    logging::start("off", LogFormat::Text)?;
    let cases: Vec<&'static Case> = cases::all().filter(|case| case.is_among(&args.only)).collect();
    if cases.is_empty() {
        let groups: Vec<_> = cases::GROUPS.iter().map(|(group, _)| *group).collect();
        return Err(Exit::Usage.error(format_args!(
            "no case has {} in its name; the groups are {}",
            args.only.join(" or "),
            groups.join(", ")
        )));
    }
    let mut signals = Signals::take()?;
    let folder = tempfile::Builder::new().prefix("reelhook-selftest-").tempdir();
    let folder = folder.context("a temporary folder cannot be created")?;
    let tested = test(&args, &cases, folder.path(), &mut signals).await;
    if args.keep {
        output::note(format_args!("Everything is kept in {}", folder.keep().display()));
    } else {
        folder.close().context("the temporary folder cannot be removed")?;
    }
    let Some(findings) = tested? else { return Ok(ExitCode::from(INTERRUPTED)) };
    report(&findings, args.json)
}

/// Starts a server and runs the cases on it; nothing where a signal came first.
async fn test(
    args: &Args,
    cases: &[&'static Case],
    folder: &Path,
    signals: &mut Signals,
) -> anyhow::Result<Option<Vec<Finding>>> {
    let settings = settings(args, folder)?;
    let workshop = Arc::new(Workshop::new(&settings, folder)?);
    let server = wiring::start(&settings, Given::default(), &ambient::system()).await?;
    let address = server.address().context("the server does not listen")?;
    let key = server.first_key().context("the server created no key")?;
    let api = Api::new(Url::parse(&format!("http://{address}"))?, key)?;
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(server.run_until(stop.clone()));
    let found = tokio::select! {
        found = find(&api, &workshop, cases) => Some(found),
        ended = &mut serving => return Err(ended?.err().unwrap_or_else(|| anyhow!("the server ended by itself"))),
        () = signals.next() => None,
    };
    stop.cancel();
    serving.await??;
    Ok(found)
}

/// Those of this installation where they say what it makes and takes, and our own for all else.
fn settings(args: &Args, folder: &Path) -> anyhow::Result<Settings> {
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let installed = Settings::resolve(Sources { file: args.config.clone(), env: env.collect(), flags: Vec::new() });
    let installed = installed.map_err(|error| Exit::Usage.error(exit::sentence(&error)))?;
    Ok(Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
        data: folder.join("data"),
        dev: true,
        worker: installed.worker,
        media: installed.media,
        image: installed.image,
        archive: installed.archive,
        ..Settings::default()
    })
}

async fn find(api: &Api, workshop: &Arc<Workshop>, cases: &[&'static Case]) -> Vec<Finding> {
    let bar = Bars::new().percent("selftest");
    let under_way = futures::stream::iter(cases.iter().copied()).map(|case| async move {
        let got = match timeout(PATIENCE, got(api, workshop, case)).await {
            Ok(Ok(got)) => got,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("no end within {} s", PATIENCE.as_secs()),
        };
        let got = got.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = case.expected();
        Finding { group: case.group, name: case.name, holds: got == expected, expected, got, check: case.check() }
    });
    let mut findings = Vec::new();
    let mut ending = std::pin::pin!(under_way.buffered(AT_ONCE));
    while let Some(finding) = ending.next().await {
        bar.set_message(finding.name);
        findings.push(finding);
        bar.set_position((100 * findings.len() / cases.len()) as u64);
    }
    bar.finish_and_clear();
    findings
}

/// What comes of a case, in the words in which it says what is right.
async fn got(api: &Api, workshop: &Arc<Workshop>, case: &'static Case) -> anyhow::Result<String> {
    let recipe: Value = serde_json::from_str(case.recipe).context("the recipe of the case is not JSON")?;
    let maker = Arc::clone(workshop);
    let bytes = tokio::task::spawn_blocking(move || maker.make(case)).await?.context("the input was not made")?;
    let length = Some(bytes.len() as u64);
    let stream = futures::stream::once(async move { Ok(bytes.into()) }).boxed();
    let upload = api.upload(Outbound { name: case.file.to_owned(), length, stream }).await?;
    let job = api.post(&["jobs"], &json!({"input": {"upload": upload["id"]}, "outputs": [recipe]})).await?;
    let id = job["id"].as_str().context("the server returned no job")?;
    let job = follow::to_the_end(api, id, |_| {}).await?;
    let made = &job["outputs"][0];
    let error = [&job["error"], &made["error"]].into_iter().find(|error| error.is_object());
    match (&case.right, error) {
        (Right::Refused { says, .. }, Some(error)) => {
            let (code, message) = (text(&error["code"]), text(&error["message"]));
            let is_named = made["file"].is_null() && message.to_lowercase().contains(&says.to_lowercase());
            Ok(if is_named { code.to_owned() } else { format!("{code}: {message}") })
        }
        (Right::Refused { .. }, None) => Ok(format!("{}: {}", text(&job["state"]), text(&made["file"]["name"]))),
        (Right::Made { .. }, Some(error)) => Ok(format!("{}: {}", text(&error["code"]), text(&error["message"]))),
        (Right::Made { got, .. }, None) => {
            let (got, seen) = (*got, Seen::fetch(workshop, made).await?);
            tokio::task::spawn_blocking(move || got(&seen)).await?
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn report(findings: &[Finding], as_json: bool) -> anyhow::Result<ExitCode> {
    let failed = findings.iter().filter(|finding| !finding.holds).count();
    if as_json {
        output::json(&json!({"ok": failed == 0, "cases": findings}))?;
    } else {
        let mut rows = vec![["", "GROUP", "CASE", "EXPECTED", "GOT", "CHECKED BY"].map(str::to_owned).to_vec()];
        for finding in findings {
            let verdict = if finding.holds { "holds" } else { "WRONG" };
            let got = if finding.holds { "the same" } else { &finding.got };
            let row = [verdict, finding.group, finding.name, &finding.expected, got, finding.check];
            rows.push(row.map(str::to_owned).to_vec());
        }
        output::table(&rows)?;
        output::line(format_args!("\n{} of {} cases hold.", findings.len() - failed, findings.len()))?;
    }
    Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
