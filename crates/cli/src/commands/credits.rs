//! `reelhook credits`: what an account may still use, directly in the database, also while the server runs.
//!
//! There is no such route: whoever has an API key could grant themselves.

use std::path::PathBuf;
use std::process::ExitCode;

use reelhook_store::{Accounts as _, Credits as _};
use serde_json::json;

use crate::data_folder::DataFolder;
use crate::{ambient, output};

const EXAMPLES: &str = "\
Examples:
  reelhook credits show --data ./reelhook-data
  reelhook credits grant 600 --data ./reelhook-data     ten minutes of video at 60 credits a minute
  reelhook credits grant -- -50                         take some back
  reelhook credits lift                                 no limit again

An account has no limit until credits are granted. Only services that count in credits take them
(removebgvideo); `reelhook settings` lists their prices. The server need not be stopped.";

/// Grant, show and lift credits, directly in the database of a data folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add credits; prints what there is then
    Grant {
        /// How many; fewer than none takes some back
        #[arg(value_name = "CREDITS", allow_negative_numbers = true)]
        credits: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Show what is left
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// End the limit
    Lift {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The data folder of the server
    #[arg(long, env = "REELHOOK_DATA", hide_env_values = true, value_name = "DIR", default_value = "./reelhook-data")]
    data: PathBuf,
    /// Answer in JSON on stdout
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ambient = ambient::system();
    let place = match &args.verb {
        Verb::Grant { place, .. } | Verb::Show { place } | Verb::Lift { place } => place,
    };
    let json = place.json;
    let (store, _) = DataFolder::at(&place.data)?.open(&ambient).await?;
    let account = store.first_account().await?.id;
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
