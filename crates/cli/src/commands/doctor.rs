//! `reelhook doctor`: whether this machine has what the server needs, and what to do where it has not.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::output;
use crate::settings::Settings;

mod machine;
mod tools;

const EXAMPLES: &str = "\
Examples:
  reelhook doctor
  reelhook doctor --data /var/lib/reelhook --json

Each line is pass, warn or fail, with what to do about it. Exits with 1 when a check fails.";

/// Check whether this machine has what the server needs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The data folder of the server
    #[arg(long, env = "REELHOOK_DATA", hide_env_values = true, value_name = "DIR", default_value = "./reelhook-data")]
    data: PathBuf,
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
}

/// How one look came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Pass,
    Warn,
    Fail,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    /// What was seen.
    seen: String,
    /// What to do; empty where nothing needs doing.
    advice: String,
}

impl Finding {
    fn pass(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Pass, seen: seen.into(), advice: String::new() }
    }

    fn warn(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, seen: seen.into(), advice: advice.into() }
    }

    fn fail(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, seen: seen.into(), advice: advice.into() }
    }
}

/// Looks at everything.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = Settings { data: args.data, ..Settings::default() };
    let mut findings = tools::look(&settings).await;
    findings.extend(machine::look(&settings).await);
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    if args.json {
        output::json(&json!({"ok": !failed, "findings": findings}))?;
    } else {
        for finding in &findings {
            let verdict = match finding.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "WARN",
                Verdict::Fail => "FAIL",
            };
            output::line(format_args!("{verdict}  {:<10}  {}", finding.name, finding.seen))?;
            if !finding.advice.is_empty() {
                output::line(format_args!("                  {}", finding.advice))?;
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
