//! The engine: wires the four tasks and ends them in order.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use reelhook_domain::ambient::Ambient;
use reelhook_domain::seldom::Seldom;
use reelhook_domain::trace::Tracer;
use reelhook_egress::Client;
use reelhook_store::Store;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::dispatcher::Dispatcher;
use crate::due::Due;
use crate::fanout::{Fanning, Planner};
use crate::keyring::Keyring;
use crate::lookout::Lookout;
use crate::meter::Meter;
use crate::profiles::Profiles;
use crate::send::Sender;
use crate::settings::Settings;
use crate::settle::Settler;

/// Spells links.
pub type LinkTo = Arc<dyn Fn(reelhook_dialects::Link<'_>) -> String + Send + Sync>;

/// How many batches may be on their way to the lanes.
const BATCHES_ON_THE_WAY: usize = 16;

/// Delivers the events of one store to their endpoints.
pub struct Engine {
    store: Arc<dyn Store>,
    egress: Client,
    link: LinkTo,
    ambient: Ambient,
    settings: Settings,
    meter: Arc<Meter>,
    tracer: Tracer,
    lookout: Arc<Lookout>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over `store` that sends through `egress`, with links to outputs made by `link`.
    pub fn new(store: Arc<dyn Store>, egress: Client, link: LinkTo, ambient: Ambient, settings: Settings) -> Self {
        let (meter, tracer, lookout) = (Arc::default(), Tracer::default(), Arc::default());
        Self { store, egress, link, ambient, settings, meter, tracer, lookout }
    }

    /// Counts there what it does.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// Tells there of events and attempts.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Answers there what deliveries wait for.
    #[must_use]
    pub fn watched(self, lookout: Arc<Lookout>) -> Self {
        Self { lookout, ..self }
    }

    /// Delivers until told to stop; then claims nothing more, gives back what waits, lets requests in flight end within
    /// [`Settings::stop_within`], and writes what became of them.
    ///
    /// Also ends, with an error in the log, should one of its tasks end by itself: it is better started anew than half.
    ///
    /// # Cancel safety
    /// Dropping the future ends all tasks at once, as if the process had died: what was in flight is sent again.
    pub async fn run(self, stop: CancellationToken) {
        let stop = stop.child_token();
        let Self { store, egress, link, ambient, settings, meter, tracer, lookout } = self;
        meter.begin();
        let late = Arc::clone(&link);
        let keyring = Arc::new(Keyring::new(Arc::clone(&store), ambient.clone(), settings.keyring_ttl));
        let due = Arc::new(Notify::new());
        let written = Arc::new(AtomicU64::new(0));
        let (lanes, messages) = mpsc::channel(BATCHES_ON_THE_WAY);
        lookout.open(&lanes);
        let (endings, ended) = mpsc::channel(settings.settle_batch.max(1) * 4);
        let (looked, first_look) = oneshot::channel();

        let settler = Settler {
            store: Arc::clone(&store),
            ambient: ambient.clone(),
            batch: settings.settle_batch.max(1),
            soon: settings.poll,
            due: Arc::clone(&due),
            written: Arc::clone(&written),
            meter: Arc::clone(&meter),
            stop: stop.clone(),
        };
        let sender = Sender {
            keyring: Arc::clone(&keyring),
            profiles: Profiles::default(),
            egress,
            ambient: ambient.clone(),
            response_cap: settings.response_cap,
            meter: Arc::clone(&meter),
            tracer: tracer.clone(),
            short: Seldom::default(),
        };
        let dispatcher = Dispatcher::new(
            Arc::clone(&store),
            ambient.clone(),
            settings.clone(),
            Arc::new(sender),
            endings,
            Arc::clone(&due),
            Arc::clone(&written),
        );
        let planner = Planner {
            ambient: ambient.clone(),
            link,
            lease: settings.lease,
            lanes: lanes.clone(),
            written,
            parked: dispatcher.parked(),
            directory: Mutex::default(),
            meter,
            tracer,
            stop: stop.clone(),
        };
        let fanning = Fanning { store: Arc::clone(&store), settings: settings.clone(), planner: Arc::new(planner) };
        let claiming = Due { store, ambient, keyring, link: late, settings, lanes, due, stop: stop.clone() };

        let mut tasks = JoinSet::new();
        tasks.spawn(settler.run(ended));
        tasks.spawn(dispatcher.run(messages, stop.clone()));
        tasks.spawn(fanning.run(first_look));
        tasks.spawn(claiming.run(looked));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = &ended {
                error!(%error, "a task of the delivery engine failed; the engine stops");
            }
            // Whichever ends first, by order or by accident, takes the others with it.
            stop.cancel();
        }
    }
}
