//! A store, a clock, an engine, and what tests do with them.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reelhook_delivery::{Engine, Settings};
use reelhook_dialects::Link;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{Delivery, DeliveryState};
use reelhook_domain::endpoint::{DEFAULT_TIMEOUT, Endpoint, EndpointRole, EndpointState};
use reelhook_domain::event::EventFilter;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::{AccountId, EndpointId, EventId, JobId};
use reelhook_domain::job::{
    Dialect, InputFacts, InputSource, InputSpec, Job, JobSpec, JobWebhook, ONLY_INPUT, OnDamage, Priority, Signal,
};
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::EndpointTls;
use reelhook_egress::{Client, Policy, SystemResolver};
use reelhook_signature::{Headers, PublicKey, Secret, SigningKey, Trust, verify};
use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{
    Accounts, Deliveries, DeliveryFilter, DeliveryRecord, EndpointChange, Endpoints, Events, JobEnd, JobEndpoint, Jobs,
    Lease, MasterKey, NewEvent, Page, ProgressUpdate, SealedFor, SigningSecret, Store, Topic,
};
use reelhook_testkit::{MovedClock, Received, Receiver, ambient};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for any machine; only turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A store with one account, a clock, and perhaps an engine.
pub(crate) struct World {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) ambient: Ambient,
    pub(crate) clock: Arc<MovedClock>,
    pub(crate) account: AccountId,
    pub(crate) secret: Secret,
    pub(crate) public_key: PublicKey,
    settings: Settings,
    engine: Option<(CancellationToken, JoinHandle<()>)>,
    folder: tempfile::TempDir,
}

impl World {
    /// A world whose engine runs.
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    /// A world whose engine runs with those settings.
    pub(crate) async fn with(settings: Settings) -> Self {
        let mut world = Self::at_rest(settings).await;
        world.start_engine();
        world
    }

    /// A world without an engine.
    pub(crate) async fn at_rest(settings: Settings) -> Self {
        // Looks often, because the clock is moved by hand.
        let settings = Settings { poll: Duration::from_millis(20), ..settings };
        let folder = tempfile::tempdir().unwrap();
        let (ambient, clock) = ambient();
        let store = open(&folder.path().join("reelhook.db"), &ambient).await;
        let account = store.first_account().await.unwrap().id;
        let secret = Secret::generate([7; 32]);
        let signing_key = SigningKey::from_seed([9; 32]);
        let public_key = signing_key.public_key();
        let world = Self { store, ambient, clock, account, secret, public_key, settings, engine: None, folder };
        world.add_secret(SealedFor::Account(account), "hmac", world.secret.reveal(), Duration::ZERO).await;
        world.add_secret(SealedFor::Account(account), "ed25519", signing_key.reveal(), Duration::ZERO).await;
        world
    }

    pub(crate) async fn add_secret(&self, owner: SealedFor, scheme: &str, text: String, overlap: Duration) {
        let secret = SigningSecret {
            id: self.ambient.id(),
            owner,
            scheme: scheme.to_owned(),
            text,
            created_at: self.now(),
            until: None,
        };
        self.store.add_secret(secret, self.now() + overlap).await.unwrap();
    }

    pub(crate) fn start_engine(&mut self) {
        let stop = CancellationToken::new();
        let engine = self.engine();
        self.engine = Some((stop.clone(), tokio::spawn(engine.run(stop))));
    }

    /// An engine over this world's store.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_over(&self.store)
    }

    /// An engine over another store of the same database.
    pub(crate) fn engine_over(&self, store: &Arc<SqliteStore>) -> Engine {
        let settings =
            reelhook_egress::Settings { policy: Policy::development(), ..reelhook_egress::Settings::default() };
        let egress = Client::new(settings, Arc::new(SystemResolver)).unwrap();
        let link = Arc::new(|link: Link<'_>| format!("https://files.example/{link:?}"));
        let store = Arc::clone(store) as Arc<dyn Store>;
        Engine::new(store, egress, link, self.ambient.clone(), self.settings.clone())
    }

    /// Stops the engine in order and waits until it ended.
    pub(crate) async fn stop_engine(&mut self) {
        let (stop, engine) = self.engine.take().expect("the engine runs");
        stop.cancel();
        tokio::time::timeout(PATIENCE, engine).await.expect("the engine stops").unwrap();
    }

    /// Ends the engine as `kill -9` would.
    pub(crate) async fn kill_engine(&mut self) {
        let (_, engine) = self.engine.take().expect("the engine runs");
        engine.abort();
        assert!(engine.await.is_err_and(|error| error.is_cancelled()));
        // The store lives on, where a process would have taken it along: what the engine asked of it last comes to its
        // end before anything else happens, lest a dead engine claims what the next one should.
        self.store.renew_deliveries(&[], Duration::ZERO).await.unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("reelhook.db")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    /// Moves the clock to that time, and has the engine look.
    pub(crate) fn move_to(&self, now: Timestamp) {
        self.clock.set(now);
        self.store.wakes().wake(Topic::Delivery);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.move_to(self.now() + by);
    }

    /// A registered endpoint that wants everything, as `change` makes it, with the world's secret.
    pub(crate) async fn endpoint_with(&self, url: url::Url, change: impl FnOnce(&mut Endpoint)) -> EndpointId {
        let (endpoint, secret) = self.prepared(url, change);
        let id = endpoint.id;
        self.store.create_endpoint(endpoint, secret).await.unwrap();
        id
    }

    /// An endpoint that asks for its events itself and is there while it is read.
    pub(crate) async fn temporary_endpoint(&self) -> EndpointId {
        let (endpoint, secret) = self.prepared("pull:one".parse().unwrap(), |endpoint| {
            endpoint.state = EndpointState::Disabled;
            endpoint.disabled_reason = Some("pull".to_owned());
        });
        let id = endpoint.id;
        self.store.create_temporary_endpoint(endpoint, secret).await.unwrap();
        id
    }

    fn prepared(&self, url: url::Url, change: impl FnOnce(&mut Endpoint)) -> (Endpoint, SigningSecret) {
        let mut endpoint = Endpoint {
            id: self.ambient.id(),
            account: self.account,
            role: EndpointRole::Registered,
            url,
            events: EventFilter::default(),
            dialect: Dialect::Native,
            description: String::new(),
            headers: Default::default(),
            retry: None,
            rate: None,
            timeout_ms: u32::try_from(DEFAULT_TIMEOUT.as_millis()).unwrap(),
            state: EndpointState::Enabled,
            disabled_reason: None,
            circuit: Circuit::default(),
            tls: EndpointTls::default(),
            failing: None,
            created_at: self.now(),
        };
        change(&mut endpoint);
        let secret = SigningSecret {
            id: self.ambient.id(),
            owner: SealedFor::Endpoint(endpoint.id),
            scheme: "hmac".to_owned(),
            text: self.secret.reveal(),
            created_at: self.now(),
            until: None,
        };
        (endpoint, secret)
    }

    pub(crate) async fn endpoint(&self, url: url::Url) -> EndpointId {
        self.endpoint_with(url, |_| {}).await
    }

    pub(crate) async fn read_endpoint(&self, id: EndpointId) -> Endpoint {
        self.store.endpoint(self.account, id).await.unwrap()
    }

    pub(crate) async fn set_state(&self, id: EndpointId, state: EndpointState) {
        let reason = (state == EndpointState::Disabled).then(|| "by_hand".to_owned());
        let change = EndpointChange { state: Some((state, reason)), ..EndpointChange::default() };
        self.store.change_endpoint(self.account, id, change).await.unwrap();
    }

    /// Publishes an event of that type whose data is `{"number": number}`.
    pub(crate) async fn publish(&self, kind: &str, number: usize) -> EventId {
        self.publish_only(kind, number, None).await
    }

    pub(crate) async fn publish_only(&self, kind: &str, number: usize, only: Option<EndpointId>) -> EventId {
        let id = self.ambient.id();
        let event = NewEvent {
            id,
            account: self.account,
            kind: kind.parse().unwrap(),
            data: json!({"number": number}).into(),
            only,
        };
        self.store.publish(vec![event]).await.unwrap();
        id
    }

    /// Publishes that many events at once, numbered from 0.
    pub(crate) async fn publish_many(&self, count: usize) {
        let event = |number| NewEvent {
            id: self.ambient.id(),
            account: self.account,
            kind: "thing.happened".parse().unwrap(),
            data: json!({"number": number}).into(),
            only: None,
        };
        self.store.publish((0..count).map(event).collect()).await.unwrap();
    }

    /// Submits a job: `job.created`.
    pub(crate) async fn submit(&self, webhook: Option<JobWebhook>) -> JobId {
        let spec = JobSpec {
            inputs: vec![InputSpec {
                name: ONLY_INPUT.to_owned(),
                source: InputSource::Url("https://media.example/in.mp4".parse().unwrap()),
            }],
            outputs: Vec::new(),
            webhook,
            metadata: Default::default(),
            priority: Priority::Standard,
            on_damage: OnDamage::Strict,
            dialect: Dialect::Native,
            confirm: false,
            destination: None,
            credit_rate: None,
            said: serde_json::Value::Null,
        };
        let id = self.ambient.id();
        self.store.submit(Job::new(id, self.account, spec, self.now()).into()).await.unwrap();
        id
    }

    /// Has a worker fail the oldest job: `job.failed`.
    pub(crate) async fn fail_job(&self) {
        let claimed = self.store.claim_jobs(1, Duration::from_secs(60)).await.unwrap().pop().expect("a job waits");
        self.fail_begun_job(claimed.lease).await;
    }

    /// Has a worker fail the job that it began: `job.failed`.
    pub(crate) async fn fail_begun_job(&self, lease: Lease) {
        let error = JobFailure::input(Stage::Probing, "unsupported", "no");
        let end = JobEnd { signal: Signal::Fail(error), inputs: Vec::new(), outputs: Vec::new(), cost: None };
        self.store.finish_job(lease, end).await.unwrap();
    }

    /// A job with a webhook of that dialect at the receiver, which its worker then fails.
    pub(crate) async fn failed_job_of(&self, dialect: Dialect, events: EventFilter, receiver: &Receiver) -> EndpointId {
        let endpoint = self.job_endpoint(dialect, receiver).await;
        self.submit(Some(JobWebhook { endpoint, events })).await;
        self.fail_job().await;
        endpoint
    }

    /// The endpoint of a job's own webhook of that dialect at the receiver.
    pub(crate) async fn job_endpoint(&self, dialect: Dialect, receiver: &Receiver) -> EndpointId {
        let wanted = JobEndpoint {
            account: self.account,
            role: EndpointRole::Job,
            url: receiver.url("/hook"),
            dialect,
            timeout_ms: u32::try_from(reelhook_dialects::timeout(dialect).as_millis()).unwrap(),
            headers: None,
            tls: None,
        };
        self.store.endpoint_for(wanted).await.unwrap().id
    }

    /// Walks through the retry table of the only delivery to an endpoint whose receiver takes nothing. Each attempt is due
    /// so many milliseconds after the one before, least to most, the first at once; after the last it is exhausted. Gives
    /// the delivery and when each attempt was made.
    pub(crate) async fn walk_retry_table(
        &self,
        endpoint: EndpointId,
        waits: impl IntoIterator<Item = RangeInclusive<u64>>,
    ) -> (DeliveryRecord, Vec<Timestamp>) {
        let mut waits = waits.into_iter();
        assert_eq!(waits.next(), Some(0..=0), "the first attempt is made at once");
        let mut times = vec![self.now()];
        for (count, wait) in (1u32..).zip(waits) {
            let record = self.wait_for_attempt(endpoint, count).await;
            let DeliveryState::Scheduled { due } = record.delivery.state else { panic!("{:?}", record.delivery) };
            let waits = due.since(self.now());
            let (least, most) = (Duration::from_millis(*wait.start()), Duration::from_millis(*wait.end()));
            assert!((least..=most).contains(&waits), "{waits:?} after attempt {count}, not {least:?} to {most:?}");
            self.move_to(due);
            times.push(due);
        }
        let record = self.wait_for_attempt(endpoint, u32::try_from(times.len()).unwrap()).await;
        assert_eq!(record.delivery.state, DeliveryState::Exhausted);
        (record, times)
    }

    /// The first attempt is not the last: the second is made when it is due, and is taken.
    pub(crate) async fn expect_second_attempt(&self, endpoint: EndpointId) {
        let record = self.wait_for_attempt(endpoint, 1).await;
        let DeliveryState::Scheduled { due } = record.delivery.state else { panic!("{:?}", record.delivery) };
        self.move_to(due);
        assert_eq!(self.wait_for_attempt(endpoint, 2).await.delivery.state, DeliveryState::Delivered);
    }

    /// Has a worker begin the oldest job.
    pub(crate) async fn start_job(&self) -> Lease {
        let claimed = self.store.claim_jobs(1, Duration::from_secs(60)).await.unwrap().pop().expect("a job waits");
        let input = InputFacts {
            name: "in.mp4".to_owned(),
            size_bytes: 1,
            sha256: "00".repeat(32),
            sha1: String::new(),
            media: None,
        };
        self.store.start_processing(&claimed.lease, vec![input], None).await.unwrap();
        claimed.lease
    }

    /// Has a worker report progress: `job.progress`.
    pub(crate) async fn report(&self, lease: &Lease, progress: u8) {
        let update = ProgressUpdate {
            job: lease.job,
            token: lease.token,
            stage: Stage::Encoding,
            progress,
            outputs: Vec::new(),
            announce: true,
        };
        self.store.record_progress(vec![update]).await.unwrap();
    }

    /// All deliveries to an endpoint, in order.
    pub(crate) async fn deliveries(&self, endpoint: EndpointId) -> Vec<Delivery> {
        let filter = DeliveryFilter { endpoint: Some(endpoint), ..DeliveryFilter::default() };
        let page = Page { before: None, limit: 100 };
        let mut found = self.store.list_deliveries(self.account, &filter, page).await.unwrap();
        found.reverse();
        found
    }

    /// Waits until the deliveries to an endpoint are as `wanted`, and gives them.
    pub(crate) async fn wait_until(&self, endpoint: EndpointId, wanted: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let mut settled = self.store.wakes().listen(Topic::Settled);
        let mut changed = self.store.wakes().listen(Topic::Delivery);
        let waiting = async {
            loop {
                let found = self.deliveries(endpoint).await;
                if wanted(&found) {
                    return found;
                }
                tokio::select! {
                    () = settled.wait() => {}
                    () = changed.wait() => {}
                    // A claim is no news to anybody, so there is no signal for it.
                    () = tokio::time::sleep(Duration::from_millis(10)) => {}
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("in vain: {:#?}", self.deliveries(endpoint).await),
        }
    }

    /// Waits until the only delivery to an endpoint came to its `count`th attempt and was settled.
    pub(crate) async fn wait_for_attempt(&self, endpoint: EndpointId, count: u32) -> DeliveryRecord {
        let settled = |found: &[Delivery]| {
            found.first().is_some_and(|delivery| delivery.attempts == count && delivery.state.name() != "sending")
        };
        let id = self.wait_until(endpoint, settled).await[0].id;
        self.store.delivery(self.account, id).await.unwrap()
    }

    /// Checks the signature of what came, with the secret and with the public key.
    pub(crate) fn verify(&self, received: &Received) {
        self.verify_as_of(received, self.now().as_seconds());
    }

    /// The same by a clock that shows so many Unix seconds.
    pub(crate) fn verify_as_of(&self, received: &Received, now: i64) {
        let headers = Headers::read(|name| received.headers.get(name).and_then(|value| value.to_str().ok()));
        let secrets = [self.secret.clone()];
        verify(headers, &received.body, now, Trust::secrets(&secrets)).expect("the secret signs");
        let keys = [self.public_key.clone()];
        verify(headers, &received.body, now, Trust::secrets(&[]).with_public_keys(&keys)).expect("the key pair signs");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((_, engine)) = self.engine.take() {
            engine.abort();
        }
    }
}

/// Waits that are exact.
pub(crate) fn exact(millis: &[u64]) -> impl Iterator<Item = RangeInclusive<u64>> {
    millis.iter().map(|&wait| wait..=wait)
}

/// Opens the store at `path`.
pub(crate) async fn open(path: &std::path::Path, ambient: &Ambient) -> Arc<SqliteStore> {
    SqliteStore::open(path, MasterKey::new(1, [7; 32]), ambient.clone()).await.unwrap()
}

/// The `number` of the event that came.
pub(crate) fn number(received: &Received) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
    body["data"]["number"].as_u64().unwrap()
}

/// The type of the event that came.
pub(crate) fn kind(received: &Received) -> String {
    let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
    body["type"].as_str().unwrap().to_owned()
}
