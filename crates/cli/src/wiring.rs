//! The server put together, for `serve` and for `demo`.
//!
//! # Theory of operation
//! [`start`] opens what must be there (folder, lock, database, port) and fails loudly where it is not; what may be missing
//! for now (ffmpeg) is looked for in the background, so that the server answers at once. Leases that a server before this
//! one left are void: it held the lock, so it is dead.
//!
//! [`Server::run_until`] owns every task. When told to stop, all stop together: the API finishes requests under way, the
//! worker puts its jobs back, deliveries in flight end. What has not ended after [`DRAIN`] is dropped, which is as safe as
//! a crash. When one of them ends by itself, the others are stopped too: half a server is worse than none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use reelhook_api::Face;
use reelhook_delivery::Lookout;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::trace::Tracer;
use reelhook_egress::{Client, SystemResolver};
use reelhook_files::{Files, Links};
use reelhook_media::Readers;
use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{Accounts as _, Deliveries as _, Jobs as _, Store};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::api_key;
use crate::data_folder::{self, DataFolder, Lock};
use crate::descriptors::{self, Share};
use crate::link_key;
use crate::master_key;
use crate::otlp;
use crate::service_manager::{self, Given};
use crate::settings::{ListenAt, Role, Settings};

mod certificates;
mod engines;
mod listeners;

pub(crate) use engines::{readers, tool_settings};
use listeners::{Open, SocketFile};

/// How long what is under way may take to end: requests in flight have 20 s, and what became of them is then written.
const DRAIN: Duration = Duration::from_secs(25);

/// Most bytes that are kept free for the database where the settings do not say.
const MOST_RESERVE: u64 = 1 << 30;

/// How long the last traces may take to reach their collector.
const LAST_TRACES: Duration = Duration::from_secs(5);

/// A part of the server that runs until it is stopped.
type Part = (&'static str, anyhow::Result<()>);

/// A server that has started.
#[derive(Debug)]
pub(crate) struct Server {
    address: Option<SocketAddr>,
    listens: Vec<(Face, ListenAt)>,
    first_key: Option<String>,
    parts: JoinSet<Part>,
    stop: CancellationToken,
    store: Arc<SqliteStore>,
    exporting: Option<JoinHandle<()>>,
    _files: Vec<SocketFile>,
    _lock: Lock,
}

/// What the parts share.
#[derive(Debug, Clone)]
struct Shared {
    store: Arc<dyn Store>,
    files: Files,
    links: Links,
    egress: Client,
    /// The same with a client certificate, which only receivers of webhooks are shown.
    webhooks: Client,
    readers: Readers,
    ambient: Ambient,
    meters: Meters,
    lookout: Arc<Lookout>,
    tracer: Tracer,
    share: Share,
}

/// What the engines of this process count.
#[derive(Debug, Clone, Default)]
struct Meters {
    worker: Arc<reelhook_worker::Meter>,
    delivery: Arc<reelhook_delivery::Meter>,
}

/// Starts a server.
pub(crate) async fn start(settings: &Settings, given: Given, ambient: &Ambient) -> anyhow::Result<Server> {
    let folder = DataFolder::create(&settings.data)?;
    let lock = folder.lock()?;
    // Before the database: a port that is taken should not cost a first key.
    let mut listeners = listeners::open(settings, given).await?;
    let files = listeners.iter_mut().filter_map(|open| open.file.take()).collect();
    let listens: Vec<_> = listeners.iter().map(|open| (open.face, open.at.clone())).collect();
    let address = listens.iter().find_map(|(face, at)| at.address().filter(|_| *face == Face::All));
    let (store, master_key) = folder.open(ambient).await?;
    if master_key.is_rotating() {
        tracing::warn!(
            "a rotation of the master key broke off; stop the server and run `reelhook keys rotate-master {}` again",
            data_folder::flag(folder.path())
        );
    }
    if let Some(mode) = master_key::open_to_others(&folder.master_key()) {
        tracing::warn!(
            "users other than its owner may read {} (its mode is {mode:o}), which decrypts every secret; run chmod 600 on it",
            folder.master_key().display()
        );
    }
    let (links_key, former_links_key) = link_key::load(&*store, ambient).await?;
    store.set_quotas(settings.quotas());
    void_leases(&store).await?;
    let first_key = if store.has_keys().await? {
        None
    } else {
        let account = store.first_account().await?.id;
        Some(api_key::create(&*store, ambient, account, "first").await?.0)
    };

    let share = Share::of(descriptors::raise(), settings);
    if share.is_short() {
        tracing::warn!(
            limit = share.limit,
            needed = share.needed,
            connections = share.connections,
            in_flight = share.in_flight,
            "the limit of open files is below what the settings require; fewer connections are served. Raise the limit (LimitNOFILE, ulimit -n)"
        );
    }
    let (tracer, exporter) = otlp::open(&settings.telemetry)?;
    let egress = reelhook_egress::Settings {
        // As many as may be out: an event for many endpoints of one host must not open most of its connections anew.
        max_idle_per_host: share.in_flight,
        max_idle: share.idle,
        ..certificates::egress(settings)?
    };
    let webhooks = reelhook_egress::Settings { identity: certificates::identity(settings)?, ..egress.clone() };
    let shared = Shared {
        store: store.clone(),
        files: open_files(&folder, settings, ambient)?,
        links: Links::new(public_url(settings, address)?, links_key).with_former(former_links_key),
        egress: Client::new(egress, Arc::new(SystemResolver))?,
        webhooks: Client::new(webhooks, Arc::new(SystemResolver))?,
        readers: engines::readers(settings)?,
        ambient: ambient.clone(),
        meters: Meters::default(),
        lookout: Arc::default(),
        tracer,
        share,
    };
    let stop = CancellationToken::new();
    let mut parts = JoinSet::new();
    if !listeners.is_empty() {
        engines::api(&mut parts, settings, &shared, listeners, &stop)?;
    }
    if settings.has(Role::Worker) {
        engines::worker(&mut parts, settings, &shared, stop.clone())?;
    }
    if settings.has(Role::Delivery) {
        engines::delivery(&mut parts, settings, &shared, stop.clone());
    }
    // Ends once all parts have, for only they tell of spans.
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run()));
    let at = listens.first().map(|(_, at)| tracing::field::display(at.clone()));
    tracing::info!(address = at, data = %folder.path().display(), roles = ?settings.roles, "started");
    Ok(Server { address, listens, first_key, parts, stop, store, exporting, _files: files, _lock: lock })
}

async fn void_leases(store: &SqliteStore) -> anyhow::Result<()> {
    let jobs = store.void_job_leases().await?;
    let deliveries = store.void_delivery_leases().await?;
    if jobs + deliveries > 0 {
        tracing::info!(jobs, deliveries, "work that the last server left is continued");
    }
    Ok(())
}

fn open_files(folder: &DataFolder, settings: &Settings, ambient: &Ambient) -> anyhow::Result<Files> {
    let root = folder.files();
    let unusable = || format!("the files in {} cannot be used", root.display());
    let files = Files::local(&root, ambient.clone()).with_context(unusable)?;
    let disk = files.room().with_context(unusable)?.disk;
    files.set_reserve(settings.disk.reserve_bytes.unwrap_or(MOST_RESERVE.min(disk / 50)));
    Ok(files)
}

fn public_url(settings: &Settings, address: Option<SocketAddr>) -> anyhow::Result<Url> {
    match &settings.public_url {
        Some(url) => Ok(url.clone()),
        None => {
            let Some(mut address) = address.or(settings.listen.address()) else {
                tracing::warn!(
                    "public_url is not set and the server listens on a socket: links to results do not work"
                );
                return Ok(Url::parse("http://localhost")?);
            };
            if address.ip().is_unspecified() {
                tracing::warn!("public_url is not set: links to results lead to this machine's own loopback");
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            Ok(Url::parse(&format!("http://{address}"))?)
        }
    }
}

impl Server {
    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// All places where it listens, the main one first, and what is served there.
    pub(crate) fn listens(&self) -> &[(Face, ListenAt)] {
        &self.listens
    }

    /// The API key that was made, if there was none. Nobody can find it again.
    pub(crate) fn first_key(&self) -> Option<&str> {
        self.first_key.as_deref()
    }

    /// Runs until `stop`, then lets everything end well.
    pub(crate) async fn run_until(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        service_manager::ready();
        let beating = tokio::spawn(service_manager::beat(Arc::clone(&self.store) as Arc<dyn Store>));
        let early = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = self.parts.join_next() => judge(ended),
        };
        service_manager::stopping();
        self.stop.cancel();
        let drained = tokio::time::timeout(DRAIN, async {
            let mut result = Ok(());
            while let Some(ended) = self.parts.join_next().await {
                result = result.and(ended.context("a part of the server panicked").and_then(|(_, result)| result));
            }
            result
        });
        let ended = drained.await.unwrap_or_else(|_| {
            tracing::warn!("some work did not end in time and is dropped; it continues at the next start");
            Ok(())
        });
        self.parts.shutdown().await;
        if let Some(exporting) = self.exporting.take()
            && tokio::time::timeout(LAST_TRACES, exporting).await.is_err()
        {
            tracing::warn!("the collector did not accept the last traces in time; they are dropped");
        }
        beating.abort();
        self.store.close().await;
        tracing::info!("stopped");
        early.and(ended)
    }
}

/// What it means that a part ended though nobody stopped it.
fn judge(ended: Option<Result<Part, tokio::task::JoinError>>) -> anyhow::Result<()> {
    match ended {
        None => Err(anyhow!("no part of the server runs")),
        Some(Err(error)) => Err(error).context("a part of the server panicked"),
        Some(Ok((name, Ok(())))) => Err(anyhow!("the {name} ended by itself")),
        Some(Ok((name, Err(error)))) => Err(error.context(format!("the {name} ended"))),
    }
}
