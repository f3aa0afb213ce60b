//! `reelhook bench`: how fast this program is on this machine, each figure beside what it can be compared with.
//!
//! The server that is measured is this very program, in a process of its own, over a temporary folder. A number alone
//! says as much about the machine as about the program, so each stands beside a baseline measured in the same run.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use self::delivery::Mode;
use self::page::Page;
use crate::exit::Exit;
use crate::output;
use crate::signals::Signals;

mod background;
mod delivery;
mod media;
mod page;
mod pictures;
mod scenes;
mod server;
mod soak;
mod subject;
mod tenants;
mod uploads;

const EXAMPLES: &str = "\
Examples:
  reelhook bench                                    everything, as a page in Markdown
  reelhook bench --quick --page page.md             fewer repetitions, written into a page
  reelhook bench delivery --json -                  one part, as JSON
  reelhook bench delivery --mode latency,isolation  some of its modes
  reelhook bench soak --minutes 60                  an hour of mixed load; exit code 1 for a leak

It starts its own servers in a temporary folder and uses loopback only. Run it on an idle machine.";

/// Benchmark this program on this machine; prints a page in Markdown
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    part: Part,
    /// Fewer repetitions: a quarter of the time, noisier figures
    #[arg(long)]
    quick: bool,
    /// Which modes of delivery to measure [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    mode: Vec<Mode>,
    /// How many due deliveries the mode backlog starts with [default: 1000000, or 50000 with --quick]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    backlog: Option<u32>,
    /// How long the part soak keeps the server busy after its warm-up [default: 20]
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(2..=10_080))]
    minutes: Option<u32>,
    /// The folder of models for the part background
    #[arg(long, env = "REELHOOK_MEDIA_MODELS", value_name = "DIR", default_value = "./reelhook-data/models")]
    models: PathBuf,
    /// Also write JSON to this file; `-` prints JSON on stdout instead of the page
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace the measured sections of this page and keep its others
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Webhooks: rates, latency, isolation, crashes; see --mode
    Delivery,
    /// Start, memory and size of the server
    Server,
    /// Jobs: what the server adds to ffmpeg and ffprobe
    Media,
    /// The recipe image beside cjpeg, oxipng and vipsthumbnail, where they are installed
    Pictures,
    /// remove_background with the model of people; see --models
    Background,
    /// `reelhook submit` of 1 GB beside `cp`
    Uploads,
    /// What one account at its worst costs another
    Tenants,
    /// Mixed load for many minutes: memory, descriptors, files and deliveries at its end; see --minutes
    Soak,
    /// All of them but soak
    All,
}

/// How thorough to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    Quick,
    Full,
}

impl Effort {
    /// One number or the other.
    const fn pick(self, quick: usize, full: usize) -> usize {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// Measures, and prints the page once all of it is known.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    Signals::take()?.unless(measure(&args)).await
}

async fn measure(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.mode.is_empty() && !matches!(args.part, Part::Delivery | Part::All) {
        return Err(Exit::Usage.error("--mode goes with the part delivery: `reelhook bench delivery --mode latency`"));
    }
    if args.minutes.is_some() && args.part != Part::Soak {
        return Err(Exit::Usage.error("--minutes goes with the part soak: `reelhook bench soak --minutes 60`"));
    }
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let mut page = Page::new();
    for part in [
        Part::Server,
        Part::Media,
        Part::Pictures,
        Part::Background,
        Part::Uploads,
        Part::Delivery,
        Part::Tenants,
        Part::Soak,
    ] {
        if args.part != part && (args.part != Part::All || part == Part::Soak) {
            continue;
        }
        output::note(format_args!("measuring: {}", format!("{part:?}").to_lowercase()));
        match part {
            Part::Server => page.add(server::measure(effort).await.context("server")?),
            Part::Media => page.add(media::measure(effort).await.context("media")?),
            Part::Pictures => page.add(pictures::measure(effort).await.context("pictures")?),
            Part::Background => page.add(background::measure(effort, &args.models).await.context("background")?),
            Part::Uploads => page.add(uploads::measure(effort).await.context("uploads")?),
            Part::Tenants => page.add(tenants::measure(effort).await.context("tenants")?),
            Part::Soak => page.add(soak::measure(args.minutes.unwrap_or(20)).await.context("soak")?),
            Part::Delivery | Part::All => {
                delivery::measure(effort, &args.mode, args.backlog, &mut page).await.context("delivery")?;
            }
        }
    }
    if let Some(path) = &args.page {
        page.write(path)?;
    }
    match args.json.as_deref() {
        Some(path) if path.as_os_str() == "-" => output::json(&page)?,
        Some(path) => {
            let mut text = serde_json::to_string_pretty(&page)?;
            text.push('\n');
            fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            output::line(page.markdown().trim_end())?;
        }
        None => output::line(page.markdown().trim_end())?,
    }
    // The other parts depend on the machine, so a missed figure is not a failure. A missed bound of the soak is one.
    Ok(if args.part == Part::Soak && page.has_missed() { Exit::Failed.into() } else { ExitCode::SUCCESS })
}
