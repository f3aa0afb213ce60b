//! `reelhook credits`: what an account may still use, directly in the database, also while the server runs.
//!
//! There is no such route: whoever has an API key could grant themselves.

use std::process::ExitCode;

use reelhook_store::Credits as _;
use serde_json::json;

use super::accounts::Whose;
use crate::data_folder::Place;
use crate::{ambient, output};

const EXAMPLES: &str = "\
Examples:
  reelhook credits show --data ./reelhook-data
  reelhook credits grant 600 --data ./reelhook-data     ten minutes of video at 60 credits a minute
  reelhook credits grant -- -50                         take 50 back
  reelhook credits grant 600 --account shop             to another account
  reelhook credits lift                                 remove the limit

An account has no limit until credits are granted to it. Only removebgvideo uses credits; `reelhook settings`
lists its prices. The server may keep running.";

/// Grant, show and lift credits, directly in the database of a data folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add credits; prints the new balance
    Grant {
        /// How many; a negative number takes credits back
        #[arg(value_name = "CREDITS", allow_negative_numbers = true)]
        credits: i64,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        place: Place,
    },
    /// Show the balance
    Show {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        place: Place,
    },
    /// Remove the limit
    Lift {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        place: Place,
    },
}

/// Does it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ambient = ambient::system();
    let (Verb::Grant { whose, place, .. } | Verb::Show { whose, place } | Verb::Lift { whose, place }) = &args.verb;
    let json = place.json;
    let store = place.open(&ambient).await?;
    let account = whose.account(&*store).await?.id;
    match args.verb {
        Verb::Grant { credits, .. } => drop(store.grant_credits(account, credits).await?),
        Verb::Show { .. } => {}
        Verb::Lift { .. } => store.lift_credits(account).await?,
    }
    let balance = store.balance(account).await?;
    if json {
        output::json(&json!({"account": account, "credits": balance}))?;
    } else {
        output::line(balance.map_or_else(|| "no limit".to_owned(), |credits| credits.to_string()))?;
    }
    Ok(ExitCode::SUCCESS)
}
