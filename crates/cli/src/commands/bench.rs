//! `reelhook bench`: how fast this program is on this machine, each figure beside what it can be compared with.
//!
//! The server that is measured is this very program, in a process of its own, over a temporary folder. A number alone
//! says as much about the machine as about the program, so each stands beside a baseline measured in the same run.

use std::process::ExitCode;

use anyhow::Context as _;

use self::page::{Page, Section};
use crate::output;
use crate::signals::Signals;

mod delivery;
mod media;
mod page;
mod pictures;
mod receiver;
mod scenes;
mod server;
mod subject;

const EXAMPLES: &str = "\
Examples:
  reelhook bench                      all of it, as a page in Markdown
  reelhook bench delivery --json      one part, for a program to read
  reelhook bench --quick > page.md    fewer repetitions

It starts servers of its own in a temporary folder and talks to loopback only. Run it on a quiet machine.";

/// Measure this program on this machine; prints a page in Markdown
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    part: Part,
    /// Fewer repetitions: figures in a quarter of the time, with more noise
    #[arg(long)]
    quick: bool,
    /// Answer in JSON on stdout
    #[arg(long)]
    json: bool,
}

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Webhooks: events accepted and delivered a second
    Delivery,
    /// Start, memory and size of the server
    Server,
    /// Jobs: what the server adds to ffmpeg and ffprobe
    Media,
    /// The recipe image beside cjpeg, oxipng and vipsthumbnail, where they are installed
    Pictures,
    /// All of them
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
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let mut sections: Vec<Section> = Vec::new();
    for part in [Part::Server, Part::Media, Part::Pictures, Part::Delivery] {
        if args.part != Part::All && args.part != part {
            continue;
        }
        output::note(format_args!("measuring: {}", format!("{part:?}").to_lowercase()));
        let section = match part {
            Part::Server => server::measure(effort).await.context("server")?,
            Part::Media => media::measure(effort).await.context("media")?,
            Part::Pictures => pictures::measure(effort).await.context("pictures")?,
            Part::Delivery | Part::All => delivery::measure(effort).await.context("delivery")?,
        };
        sections.push(section);
    }
    let page = Page::new(sections);
    if args.json {
        output::json(&page)?
    } else {
        output::line(page.markdown().trim_end())?
    }
    Ok(ExitCode::SUCCESS)
}
