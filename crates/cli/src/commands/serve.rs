//! `reelhook serve`: the server.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use reelhook_api::Face;
use tokio_util::sync::CancellationToken;

use crate::exit::{self, Exit};
use crate::service_manager::Given;
use crate::settings::{ListenAt, Settings, Sources};
use crate::signals::Signals;
use crate::{ambient, data_folder, logging, output, wiring};

const EXAMPLES: &str = "\
Examples:
  reelhook serve --dev                                         on your own machine
  reelhook serve --listen 0.0.0.0:8080 --data /var/lib/reelhook \\
      --public-url https://media.example.com
  reelhook serve --config reelhook.toml --set worker.slots=4
  REELHOOK_WORKER_SLOTS=4 reelhook serve

The first start creates the data folder with the database, the master key and the first API key. The key
is printed once, on a terminal or with --dev; otherwise it is written to the file first-api-key in the
folder. Settings come from the defaults, the file, REELHOOK_* variables and flags; later ones win.
`reelhook settings` lists them. SIGTERM or Ctrl-C stops the server cleanly; a second one stops it at once.";

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
    /// The data folder: database, keys and files [default: ./reelhook-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Allow webhooks and downloads over plain HTTP and to loopback; the server then listens on loopback only
    #[arg(long)]
    dev: bool,
    /// A TOML file with settings
    #[arg(long, env = "REELHOOK_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The URL that callers use for this server, such as https://media.example.com
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// What this process runs: api, worker, delivery [default: all]
    #[arg(long, value_name = "ROLES")]
    roles: Option<String>,
    /// Services that need no API key, such as clipzy; the server then listens on loopback only [default: none]
    #[arg(long, value_name = "SERVICES")]
    open: Option<String>,
    /// Which log levels to write [default: info]
    #[arg(long, value_name = "LEVELS")]
    log: Option<String>,
    /// The log format: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Serve a service on its own address, such as xora=127.0.0.1:9001; may repeat
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
    let settings = Settings::resolve(sources).map_err(|error| Exit::Usage.error(exit::sentence(&error)))?;
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
    let key = server.first_key().map(|key| announce_key(key, server.address(), settings));
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
    let flag = data_folder::flag(&settings.data);
    let lines: Vec<String> = key.into_iter().chain(listens).collect();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = lines.iter().try_for_each(output::line) {
            tracing::warn!(%error, "the first lines could not be printed; `reelhook keys create {flag}` creates another key");
        }
    });
}

/// Tells the first key when standard output is a terminal. Otherwise the output goes into a log, which people read who may
/// not have the key; so the key is written to a file of its own.
fn announce_key(key: &str, address: Option<SocketAddr>, settings: &Settings) -> String {
    let another = format!("`reelhook keys create {}` creates another", data_folder::flag(&settings.data));
    if settings.dev || std::io::stdout().is_terminal() {
        let mut text = format!("Your first API key, shown this once ({another}):\n\n  {key}\n");
        if let Some(address) = address {
            let url = reachable(address);
            text.push_str(&format!(
                "\nTry it:  export REELHOOK_URL=http://{url} REELHOOK_KEY={key}\n         reelhook submit clip.mov --wait\n"
            ));
        }
        return text;
    }
    let path = settings.data.join(FIRST_KEY);
    let written = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
    if let Err(error) = written.and_then(|mut file| writeln!(file, "{key}")) {
        return format!("Your first API key could not be written to {} ({error}); {another}", path.display());
    }
    format!("Your first API key is in {}; remove the file once you have the key ({another})", path.display())
}

/// An address that this machine can call: one that stands for all of the machine's is called by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Why an address cannot be listened on, with what to do.
pub(crate) fn cannot_listen(at: &ListenAt, error: std::io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port with --listen",
        ErrorKind::PermissionDenied if at.address().is_none() => {
            "the user of the server may not write to that folder; give it the right, or choose another path"
        }
        ErrorKind::NotFound => "its folder is not there; create it, or choose another path",
        ErrorKind::PermissionDenied => "ports below 1024 need extra privileges; choose another with --listen",
        ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 means all of its addresses",
        _ => "choose another with --listen",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {at}: {advice}"))
}
