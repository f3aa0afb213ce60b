//! `reelhook keys`: API keys, directly in the database, also while the server runs; and the master key, while none does.

use std::process::ExitCode;

use anyhow::Context as _;
use reelhook_domain::id::KeyId;
use reelhook_store::{Accounts as _, ApiKey, StoreError};
use serde_json::{Value, json};

use super::accounts::Whose;
use crate::data_folder::Place;
use crate::exit::Exit;
use crate::{ambient, api_key, output};

mod rotate_master;

const EXAMPLES: &str = "\
Examples:
  export REELHOOK_KEY=$(reelhook keys create --data ./reelhook-data --name laptop)
  reelhook keys create --account shop --name checkout     for another account
  reelhook keys list --data ./reelhook-data
  reelhook keys revoke key_06c8pmt4vz3fk7qyq4q9w7m2hc --data ./reelhook-data
  reelhook keys rotate-master --data ./reelhook-data

A key is shown once, when it is created; only its hash is stored. The server may keep running, except for
rotate-master.";

/// Create, list and revoke API keys, and rotate the master key, directly in a data folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create a key; prints only the key on stdout
    Create {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        place: Place,
        /// A name for the list of keys
        #[arg(long, default_value = "cli", value_name = "NAME")]
        name: String,
    },
    /// List the keys, newest first
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key, effective at once
    Revoke {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        place: Place,
        /// The id of the key
        #[arg(value_name = "KEY_ID")]
        id: KeyId,
    },
    /// Replace the master key and re-encrypt all secrets; stop the server first
    RotateMaster {
        #[command(flatten)]
        place: Place,
        /// Keep existing links to results valid for this many days, but never past their own expiry. Without it they
        /// stop working, because anyone with the old key could have signed them
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
        keep_links: Option<u16>,
    },
}

/// Does it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ambient = ambient::system();
    let (whose, place) = match &args.verb {
        Verb::RotateMaster { place, keep_links } => {
            return rotate_master::run(&place.folder()?, &ambient, *keep_links, place.json).await;
        }
        Verb::Create { whose, place, .. } | Verb::List { whose, place } | Verb::Revoke { whose, place, .. } => {
            (whose, place)
        }
    };
    let json = place.json;
    let store = place.open(&ambient).await?;
    let account = whose.account(&*store).await?;
    match args.verb {
        Verb::Create { name, .. } => {
            let (text, kept) = api_key::create(&*store, &ambient, account.id, &name).await?;
            if json {
                let mut shown = show(&kept);
                shown["key"] = Value::String(text);
                output::json(&shown)?;
            } else {
                output::line(text)?;
            }
        }
        Verb::List { .. } => {
            let keys = store.list_keys(account.id).await?;
            if json {
                output::json(&json!({"keys": keys.iter().map(show).collect::<Vec<_>>()}))?;
            } else {
                list(&keys)?;
            }
        }
        Verb::RotateMaster { .. } => unreachable!("it was run above"),
        Verb::Revoke { id, .. } => {
            let key = match store.revoke_key(account.id, id).await {
                Err(StoreError::NotFound) => {
                    let (name, flag) = (&account.name, place.flag());
                    return Err(Exit::Usage.error(format_args!(
                        "the account {name} has no key {id}; `reelhook keys list --account {name} {flag}` lists its keys"
                    )));
                }
                other => other.context("the key cannot be revoked")?,
            };
            if json {
                output::json(&show(&key))?
            } else {
                output::line(format_args!("{} ({}) is revoked", key.id, key.name))?
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(key: &ApiKey) -> Value {
    json!({
        "id": key.id, "account": key.account, "name": key.name, "hint": key.hint, "created_at": key.created_at, "revoked_at": key.revoked_at,
    })
}

fn list(keys: &[ApiKey]) -> anyhow::Result<()> {
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["ID", "KEY", "NAME", "CREATED", "REVOKED"])];
    rows.extend(keys.iter().map(|key| {
        let revoked = key.revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        row([&key.id.to_string(), &format!("{}...", key.hint), &key.name, &key.created_at.to_string(), &revoked])
    }));
    output::table(&rows)
}
