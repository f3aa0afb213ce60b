//! The command line: which commands there are, and what many of them share.

use clap::{Parser, Subcommand};
use url::Url;

use crate::commands::{
    accounts, bench, credits, demo, doctor, jobs, keys, listen, models, secrets, selftest, serve, submit, trigger,
    verify,
};
use crate::{address, exit};

const EXAMPLES: &str = "\
First steps:
  reelhook demo                                  see it work, in a temporary folder
  reelhook serve --dev                           start a server; it prints your API key
  export REELHOOK_KEY=rh_...
  reelhook submit clip.mov --wait
  reelhook listen --forward-to localhost:3000/hook

`reelhook COMMAND --help` has examples for each command.

";

/// Where `serve` listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// A self-hosted media-job server: submit media over HTTP, get the result as a signed, retried webhook.
#[derive(Debug, Parser)]
#[command(name = "reelhook", version, after_help = format!("{EXAMPLES}{}", exit::HELP), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // What each is for stands at its arguments: a comment here would hide it.
    Serve(serve::Args),
    Demo(demo::Args),
    Submit(submit::Args),
    Jobs(jobs::Args),
    Listen(listen::Args),
    Verify(verify::Args),
    Trigger(trigger::Args),
    Accounts(accounts::Args),
    Keys(keys::Args),
    Credits(credits::Args),
    Secrets(secrets::Args),
    Models(models::Args),
    Doctor(doctor::Args),
    Selftest(selftest::Args),
    Bench(bench::Args),
    /// Print the reference of all settings in Markdown
    Settings,
}

/// Which server to talk to, and how to answer.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Connect {
    /// The server; the API key is sent there and nowhere else
    #[arg(long, env = "REELHOOK_URL", value_name = "URL", hide_env_values = true, default_value = DEFAULT_URL, value_parser = address::read, help_heading = "Server")]
    pub(crate) url: Url,
    /// The API key; `reelhook keys create` creates one
    #[arg(long, env = "REELHOOK_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Server")]
    pub(crate) key: Option<String>,
    /// Print JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_with_examples() {
        fn check(command: &mut clap::Command, path: &str) {
            let name = format!("help_{}", path.replace(' ', "_"));
            insta::assert_snapshot!(name, command.render_long_help().to_string());
            let names: Vec<_> = command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
            for name in names.into_iter().filter(|name| name != "help") {
                let child = command.find_subcommand_mut(&name).expect("it was just listed");
                check(child, &format!("{path} {name}"));
            }
        }
        // `build` fills in what is inherited, as a run does.
        let mut command = Cli::command().term_width(100);
        command.build();
        check(&mut command, "reelhook");
    }
}
