//! `reelhook jobs`: list, show, watch, cancel and retry.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::args::Connect;
use crate::client::Api;
use crate::follow::{self, JobBars};
use crate::output::{self, Bars};
use crate::signals::Signals;

const EXAMPLES: &str = "\
Examples:
  reelhook jobs list --state failed --limit 5
  reelhook jobs list --metadata order=1234 --recipe compress
  reelhook jobs get job_06c8pmt4vz3fk7qyq4q9w7m2hc
  reelhook jobs watch job_06c8pmt4vz3fk7qyq4q9w7m2hc      exits with 0 if it completed
  reelhook jobs list --json | jq -r '.jobs[].id'";

/// List, show, watch, cancel and retry jobs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List jobs, newest first
    List {
        /// Only jobs in this state, such as failed
        #[arg(long)]
        state: Option<String>,
        /// Only jobs with an output of this recipe, such as compress
        #[arg(long)]
        recipe: Option<String>,
        /// Only jobs with an error of this code, of the job or of an output
        #[arg(long, value_name = "CODE")]
        error: Option<String>,
        /// Only jobs with this metadata, such as order=1234; several must all be there
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        metadata: Vec<(String, String)>,
        /// Only jobs whose first input has a name that begins so
        #[arg(long, value_name = "BEGINNING")]
        name: Option<String>,
        /// Only jobs whose id begins so, such as job_06c8
        #[arg(long, value_name = "BEGINNING")]
        id: Option<String>,
        /// Only jobs made at or after this time, such as 2026-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only jobs made before this time
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// How many jobs to list, 1 to 100
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// The cursor that the previous page printed
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show a job
    Get(One),
    /// Follow a job until it ends
    Watch(One),
    /// Cancel a job
    Cancel(One),
    /// Retry the failed outputs of a job
    Retry(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The id of the job
    #[arg(value_name = "JOB_ID")]
    id: String,
    #[command(flatten)]
    connect: Connect,
}

/// Does it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::List { state, recipe, error, metadata, name, id, since, until, limit, cursor, connect } => {
            let limit = limit.to_string();
            let mut query = vec![("limit", limit.as_str())];
            let named = [
                ("state", &state),
                ("recipe", &recipe),
                ("error", &error),
                ("name", &name),
                ("id", &id),
                ("since", &since),
                ("until", &until),
                ("cursor", &cursor),
            ];
            query.extend(named.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
            let metadata: Vec<_> =
                metadata.iter().map(|(name, value)| (format!("metadata.{name}"), value.as_str())).collect();
            query.extend(metadata.iter().map(|(name, value)| (name.as_str(), *value)));
            let answer = Api::connect(&connect).await?.get(&["jobs"], &query).await?;
            if connect.json {
                output::json(&answer)?
            } else {
                list(&answer)?
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Get(One { id, connect }) => {
            let job = Api::connect(&connect).await?.get(&["jobs", &id], &[]).await?;
            if connect.json {
                output::json(&job)?
            } else {
                show(&job)?
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Watch(One { id, connect }) => {
            let api = Api::connect(&connect).await?;
            Signals::take()?.unless(watch(&api, &id, connect.json)).await
        }
        Verb::Cancel(one) => change(&one, "cancel").await,
        Verb::Retry(one) => change(&one, "retry").await,
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE, such as order=1234")?;
    Ok((name.to_owned(), value.to_owned()))
}

async fn change(one: &One, verb: &str) -> anyhow::Result<ExitCode> {
    let job = Api::connect(&one.connect).await?.post(&["jobs", &one.id, verb], &json!({})).await?;
    if one.connect.json {
        output::json(&job)?
    } else {
        output::line(summary(&job))?
    }
    Ok(ExitCode::SUCCESS)
}

async fn watch(api: &Api, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let mut bars = JobBars::new(Bars::new());
    let job = follow::to_the_end(api, id, |job| bars.show(job)).await?;
    bars.finish();
    if json {
        output::json(&job)?
    } else {
        show(&job)?
    }
    Ok(exit_code(&job))
}

/// 0 when the job completed, 1 when it ended in any other way.
pub(crate) fn exit_code(job: &Value) -> ExitCode {
    if job["state"] == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The job in one line, with what went wrong.
pub(crate) fn summary(job: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut line = format!("{} {}", text(&job["id"]), text(&job["state"]));
    if job["error"].is_object() {
        line += &format!(": {}: {}", text(&job["error"]["code"]), text(&job["error"]["message"]));
    }
    line
}

fn list(answer: &Value) -> anyhow::Result<()> {
    let mut rows = vec![["ID", "STATE", "%", "INPUT", "OUTPUTS", "CREATED"].map(str::to_owned).to_vec()];
    for job in answer["jobs"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let names = job["outputs"].as_array().into_iter().flatten().map(|output| text(&output["name"]));
        rows.push(vec![
            text(&job["id"]),
            text(&job["state"]),
            job["progress"].to_string(),
            text(&job["input"]["name"]),
            names.collect::<Vec<_>>().join(","),
            text(&job["created_at"]),
        ]);
    }
    output::table(&rows)?;
    if let Some(cursor) = answer["next_cursor"].as_str() {
        output::note(format_args!("More jobs follow: --cursor {cursor}"));
    }
    Ok(())
}

fn show(job: &Value) -> anyhow::Result<()> {
    output::line(summary(job))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if job["input"].is_object() {
        let size = job["input"]["size_bytes"].as_u64().map(output::size).unwrap_or_default();
        output::line(format_args!("  input  {}  {size}", text(&job["input"]["name"])))?;
    }
    for made in job["outputs"].as_array().into_iter().flatten() {
        let result = match (&made["file"], &made["error"]) {
            (file, _) if file.is_object() => {
                format!("{}  {}", file["size_bytes"].as_u64().map(output::size).unwrap_or_default(), text(&file["url"]))
            }
            (_, error) if error.is_object() => format!("{}: {}", text(&error["code"]), text(&error["message"])),
            _ => format!("{} %", made["progress"]),
        };
        output::line(format_args!(
            "  output {} ({})  {}  {result}",
            text(&made["name"]),
            text(&made["recipe"]),
            text(&made["state"])
        ))?;
    }
    for sent in job["deliveries"].as_array().into_iter().flatten() {
        let line =
            format!("  webhook {}  {}  attempts: {}", text(&sent["event"]), text(&sent["state"]), sent["attempts"]);
        output::line(line)?;
    }
    if job["waiting"].is_object() {
        output::line(format_args!("  waiting for: {}", text(&job["waiting"]["reason"])))?;
    }
    Ok(())
}
