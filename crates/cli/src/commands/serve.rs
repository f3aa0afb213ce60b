//! `reelhook serve`: the server.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use reelhook_api::Face;
use tokio_util::sync::CancellationToken;

use crate::service_manager::Given;
use crate::settings::{ListenAt, Settings, Sources};
use crate::signals::Signals;
use crate::{ambient, logging, output, wiring};

const EXAMPLES: &str = "\
Examples:
  reelhook serve --dev                                         on your own machine
  reelhook serve --listen 0.0.0.0:8080 --data /var/lib/reelhook \\
      --public-url https://media.example.com
  reelhook serve --config reelhook.toml --set worker.slots=4
  REELHOOK_WORKER_SLOTS=4 reelhook serve

The first start makes the data folder with the database, the master key and the first API key, which
is printed once on a terminal and with --dev, and otherwise written to the file first-api-key there. Defaults, the file, REELHOOK_* of the environment, flags: the later wins.
`reelhook settings` lists all settings. SIGTERM or Ctrl-C lets work end well; a second one does not.";

/// The file of the first API key, in the data folder.
pub(crate) const FIRST_KEY: &str = "first-api-key";

const DEV_BANNER: &str = "\
************************************************************************
*  --dev: webhooks and downloads may use plain HTTP and reach this     *
*  machine's own services. For your own machine only.                  *
************************************************************************";

/// Run the server: HTTP API, job worker and webhook delivery in one process over one folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Folder of everything that is kept [default: ./reelhook-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Allow plain HTTP and loopback for webhooks and downloads; listens on loopback only
    #[arg(long)]
    dev: bool,
    /// A TOML file with settings
    #[arg(long, env = "REELHOOK_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What callers put before /v1, such as https://media.example.com
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// What this process does: api, worker, delivery [default: all]
    #[arg(long, value_name = "ROLES")]
    roles: Option<String>,
    /// Services that answer callers without a key, such as clipzy; listens on loopback only [default: none]
    #[arg(long, value_name = "SERVICES")]
    open: Option<String>,
    /// Which log lines are written [default: info]
    #[arg(long, value_name = "LEVELS")]
    log: Option<String>,
    /// How log lines are written: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A service at the root of a listener of its own, such as xora=127.0.0.1:9001; may repeat
    #[arg(long = "service", value_name = "SERVICE=ADDRESS:PORT")]
    services: Vec<String>,
    /// Any setting; may repeat
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = read_setting)]
    settings: Vec<(String, String)>,
}

fn read_setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "must be KEY=VALUE".to_owned())
}

impl Args {
    fn sources(self) -> Sources {
        let mut env: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        // The variable that everybody knows stands in for ours.
        if std::env::var_os("REELHOOK_LOG").is_none() {
            env.extend(std::env::var("RUST_LOG").ok().map(|levels| ("REELHOOK_LOG".to_owned(), levels)));
        }
        let given = [
            ("listen", self.listen),
            ("data", self.data),
            ("dev", self.dev.then(|| "true".to_owned())),
            ("public_url", self.public_url),
            ("roles", self.roles),
            ("open", self.open),
            ("log", self.log),
            ("log_format", self.log_format),
            ("services.listen", (!self.services.is_empty()).then(|| self.services.join(","))),
        ];
        let given = given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Sources { file: self.config, env, flags: given.chain(self.settings).collect() }
    }
}

/// Serves until a signal comes, or something that must run no longer does.
pub(crate) async fn run(args: Args, given: Given) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "failpoints")]
    crate::crash::arm()?;
    let sources = args.sources();
    let strays = sources.strays();
    let settings = Settings::resolve(sources)?;
    logging::start(&settings.log, settings.log_format)?;
    for stray in strays {
        tracing::warn!("{stray}");
    }
    let signals = Signals::take()?;
    if settings.dev {
        output::note(DEV_BANNER);
    }
    let server = wiring::start(&settings, given, &ambient::system()).await?;
    announce(&server, &settings);
    let stop = CancellationToken::new();
    let listening = tokio::spawn(signals.stop_then_exit(stop.clone()));
    let ended = server.run_until(stop).await;
    listening.abort();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Prints where the server listens, and its first key, on a thread that may wait for the reader of stdout.
fn announce(server: &wiring::Server, settings: &Settings) {
    let key = server.first_key().map(|key| announce_key(key, settings));
    let listens = server.listens().iter().map(|(face, at)| {
        let url = match at {
            ListenAt::Address(address) => format!("http://{address}"),
            ListenAt::Socket(_) => at.to_string(),
        };
        match face {
            Face::All => format!("Reelhook listens on {url}"),
            Face::Service(service) => format!("Reelhook speaks {service} on {url}"),
        }
    });
    let lines: Vec<String> = key.into_iter().chain(listens).collect();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = lines.iter().try_for_each(output::line) {
            tracing::warn!(%error, "the first lines could not be printed; `reelhook keys create` makes another key");
        }
    });
}

/// Tells the first key when standard output is a terminal. Otherwise the output goes into a log, which people read who may
/// not have the key; so the key is written to a file of its own.
fn announce_key(key: &str, settings: &Settings) -> String {
    if settings.dev || std::io::stdout().is_terminal() {
        return format!(
            "Your first API key, shown this once (`reelhook keys create` makes more):\n\n  {key}\n\n\
             Try it:  export REELHOOK_KEY={key}\n         reelhook submit clip.mov --recipe compress --wait\n"
        );
    }
    let path = settings.data.join(FIRST_KEY);
    let written = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
    if let Err(error) = written.and_then(|mut file| writeln!(file, "{key}")) {
        return format!(
            "Your first API key could not be written to {} ({error}); `reelhook keys create` makes another",
            path.display()
        );
    }
    format!(
        "Your first API key is in {}; remove the file once you have the key (`reelhook keys create` makes more)",
        path.display()
    )
}

/// Why an address cannot be listened on, with what to do.
pub(crate) fn cannot_listen(at: &ListenAt, error: std::io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port with --listen",
        ErrorKind::PermissionDenied if at.address().is_none() => {
            "the user of the server may not write to that folder; give it the right, or choose another path"
        }
        ErrorKind::NotFound => "its folder is not there; create it, or choose another path",
        ErrorKind::PermissionDenied => "ports below 1024 need rights of their own; choose another with --listen",
        ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 stands for all it has",
        _ => "choose another with --listen",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {at}: {advice}"))
}
