//! `reelhook secrets`: what signs the webhooks of services that have a scheme of their own.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::args::Connect;
use crate::client::Api;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  reelhook secrets create transcodely                     prints the secret, once
  reelhook secrets create removebgvideo --secret the-text-your-receivers-know
  reelhook secrets rotate transcodely --overlap-hours 24
  reelhook secrets list
  reelhook secrets revoke sec_06c8pmt4vz3fk7qyq4q9w7m2hc

During the overlap of a rotation, the new and the old secret take turns in signing the attempts of a
delivery, so a receiver that has either accepts it. Native webhooks have their own secrets: see
`POST /v1/settings/webhook/secret/rotate` and `POST /v1/endpoints/ID/rotate-secret`.";

/// Create, list, rotate and revoke the secrets that sign for services (transcodely, removebgvideo)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create the first secret of a service; prints only the secret on stdout
    Create {
        #[command(flatten)]
        new: New,
    },
    /// List the secrets, newest first
    List {
        #[command(flatten)]
        connect: Connect,
    },
    /// Replace the secret of a service; prints only the new secret on stdout
    Rotate {
        #[command(flatten)]
        new: New,
        /// How long the old secret keeps signing, 0 to 168
        #[arg(long, default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(0..=168))]
        overlap_hours: u64,
    },
    /// Revoke a secret, effective at once
    Revoke {
        /// The id of the secret
        #[arg(value_name = "SECRET_ID")]
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// The service: transcodely or removebgvideo
    #[arg(value_name = "SERVICE")]
    service: String,
    /// A secret that your receivers already have, instead of a new one
    #[arg(long, env = "REELHOOK_SERVICE_SECRET", hide_env_values = true, value_name = "TEXT")]
    secret: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Does it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Create { new } => {
            let body = json!({"service": new.service, "secret": new.secret});
            let made = Api::connect(&new.connect).await?.post(&["secrets"], &body).await?;
            print(&new.connect, &made)?;
        }
        Verb::Rotate { new, overlap_hours } => {
            let body = json!({"secret": new.secret, "overlap_seconds": overlap_hours * 3600});
            let made = Api::connect(&new.connect).await?.post(&["secrets", &new.service, "rotate"], &body).await?;
            print(&new.connect, &made)?;
        }
        Verb::List { connect } => {
            let answer = Api::connect(&connect).await?.get(&["secrets"], &[]).await?;
            if connect.json { output::json(&answer)? } else { list(&answer)? }
        }
        Verb::Revoke { id, connect } => {
            Api::connect(&connect).await?.delete(&["secrets", &id]).await?;
            if connect.json {
                output::json(&json!({"id": id}))?
            } else {
                output::line(format_args!("{id} is revoked"))?
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(connect: &Connect, made: &Value) -> anyhow::Result<()> {
    if connect.json { output::json(made) } else { output::line(made["secret"].as_str().unwrap_or_default()) }
}

fn list(answer: &Value) -> anyhow::Result<()> {
    let mut rows = vec![["ID", "SERVICE", "SECRET", "CREATED", "SIGNS UNTIL"].map(str::to_owned).to_vec()];
    for secret in answer["secrets"].as_array().into_iter().flatten() {
        let text = |name: &str| secret[name].as_str().unwrap_or("-").to_owned();
        let hint = format!("...{}", text("hint"));
        rows.push(vec![text("id"), text("service"), hint, text("created_at"), text("until")]);
    }
    output::table(&rows)
}
