//! `reelhook accounts`: owners of jobs and keys that see nothing of each other, directly in the database, also while the
//! server runs; but to erase one it must not.
//!
//! There is no such route: a key acts for its account and for no other.

use std::process::ExitCode;

use anyhow::Context as _;
use reelhook_domain::nearest::nearest;
use reelhook_store::{Account, Accounts, StoreError};
use serde_json::{Value, json};

use crate::data_folder::Place;
use crate::exit::Exit;
use crate::{ambient, output};

mod erase;

const EXAMPLES: &str = "\
Examples:
  reelhook accounts create shop --data ./reelhook-data
  export REELHOOK_KEY=$(reelhook keys create --account shop --data ./reelhook-data)
  reelhook accounts list --data ./reelhook-data
  reelhook accounts erase shop --data ./reelhook-data       with the server stopped

Every server has one account, called default. Create another for each team or customer: the keys of an account
see only its own jobs, uploads, webhooks, secrets and credits. The server may keep running, except for erase.";

/// Most characters of a name.
const LONGEST_NAME: usize = 64;
/// How ids of accounts start; names do not, so that a text is one or the other.
const ID_PREFIX: &str = "acc_";

/// Create, list and erase accounts, directly in the database of a data folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create an account; prints only its id on stdout
    Create {
        /// A unique name: 1 to 64 letters, digits, '.', '_' or '-'
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the accounts, oldest first
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Delete an account with all its data and files, permanently; stop the server first
    Erase {
        /// The name or id of the account
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Whose things a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct Whose {
    /// The account, by name or id [default: the first one]; `reelhook accounts list` shows them
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

impl Whose {
    /// The account that is meant.
    pub(crate) async fn account(&self, store: &dyn Accounts) -> anyhow::Result<Account> {
        let Some(wanted) = &self.account else { return Ok(store.first_account().await?) };
        named(store, wanted).await
    }
}

/// The account of that name or id.
async fn named(store: &dyn Accounts, wanted: &str) -> anyhow::Result<Account> {
    let accounts = store.list_accounts().await?;
    let found = accounts.iter().find(|account| account.name == wanted || account.id.to_string() == wanted);
    let Some(found) = found else {
        let names: Vec<_> = accounts.iter().map(|account| account.name.as_str()).collect();
        let hint = nearest(wanted, names.iter().copied());
        let hint = hint.map_or_else(String::new, |name| format!(" Did you mean \"{name}\"?"));
        return Err(Exit::Usage.error(format_args!(
            "there is no account \"{wanted}\".{hint} The accounts are {}. `reelhook accounts create NAME` creates one",
            names.join(", ")
        )));
    };
    Ok(found.clone())
}

/// Does it.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ambient = ambient::system();
    match args.verb {
        Verb::Create { name, place } => {
            let account = match place.open(&ambient).await?.create_account(&name).await {
                Err(StoreError::AlreadyExists) => {
                    return Err(
                        Exit::Usage.error(format_args!("the account {name} already exists; choose another name"))
                    );
                }
                made => made.context("the account cannot be created")?,
            };
            if place.json {
                output::json(&show(&account))?;
            } else {
                output::line(account.id)?;
                let flag = place.flag();
                output::note(format_args!("create a key for it: reelhook keys create --account {name} {flag}"));
            }
        }
        Verb::Erase { account, place } => {
            let (account, jobs) = erase::erase(&place.folder()?, &account, &ambient).await?;
            if place.json {
                output::json(&json!({"erased": show(&account), "jobs": jobs}))?;
            } else {
                output::line(format_args!("{} ({}) is erased; jobs: {jobs}", account.id, account.name))?;
            }
        }
        Verb::List { place } => {
            let accounts = place.open(&ambient).await?.list_accounts().await?;
            if place.json {
                output::json(&json!({"accounts": accounts.iter().map(show).collect::<Vec<_>>()}))?;
            } else {
                let mut rows = vec![["ID", "NAME", "CREATED"].map(str::to_owned).to_vec()];
                rows.extend(
                    accounts
                        .into_iter()
                        .map(|Account { id, name, created_at }| vec![id.to_string(), name, created_at.to_string()]),
                );
                output::table(&rows)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(account: &Account) -> Value {
    json!({"id": account.id, "name": account.name, "created_at": account.created_at})
}

/// Reads a name.
fn name(text: &str) -> Result<String, String> {
    let is_taken = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(is_taken) {
        return Err(format!("a name has 1 to {LONGEST_NAME} letters (a to z), digits, '.', '_' or '-'"));
    }
    // A name that looks like an option could not be given to `--account`.
    if text.starts_with('-') || text.starts_with(ID_PREFIX) {
        return Err(format!("a name does not begin with '-' or '{ID_PREFIX}', which is how ids begin"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_no_id() {
        for taken in ["shop", "a", "Team-7", "acme.example", &"x".repeat(64)] {
            assert_eq!(name(taken).as_deref(), Ok(taken));
        }
        for refused in ["", "a b", "müller", "acc_06c8pmt4vz3fk7qyq4q9w7m2hc", "-x", "a/b", &"x".repeat(65)] {
            assert!(name(refused).is_err(), "{refused}");
        }
    }
}
