//! A fresh store with a moved clock, and things to put into it.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reelhook_domain::ambient::{Ambient, Clock, Dice};
use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::{Attempt, AttemptTimings, Outcome};
use reelhook_domain::endpoint::{Endpoint, EndpointRole, EndpointState};
use reelhook_domain::event::{Event, EventFilter, EventType};
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::{AccountId, EndpointId, Id, Kind, OutputKind};
use reelhook_domain::job::{Dialect, InputFacts, Job, OutputFile, OutputState, Priority, Signal};
use reelhook_domain::media::MediaInfo;
use reelhook_domain::retry::Verdict;
use reelhook_domain::time::Timestamp;
use reelhook_domain::tls::{CertificateFacts, ClientCertificate, EndpointTls, TrustedRoots};
use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{
    Body, ClaimedDelivery, ClaimedJob, FanOut, JobEnd, MasterKey, NewDelivery, NewEvent, OutputEnd, Page, SealedFor,
    Settlement, SigningSecret, Start, Store, StoreError, Submitted,
};
use serde_json::json;

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const START: i64 = 1_780_000_000_000;
pub(crate) const ALL: Page = Page { before: None, limit: 100 };

struct MovedClock(AtomicI64);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Random enough to be unique, from the seeds that the standard library takes for its maps.
struct TestDice;

impl Dice for TestDice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let roll = std::hash::RandomState::new().build_hasher().finish().to_le_bytes();
            chunk.copy_from_slice(&roll[..chunk.len()]);
        }
    }
}

/// A fresh store and all that belongs to it.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ambient: Ambient,
    pub(crate) account: AccountId,
    clock: Arc<MovedClock>,
    _folder: Option<tempfile::TempDir>,
}

pub(crate) fn master_key() -> MasterKey {
    MasterKey::new(1, [7; 32])
}

fn ambient() -> (Ambient, Arc<MovedClock>) {
    let clock = Arc::new(MovedClock(AtomicI64::new(START)));
    (Ambient::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(TestDice)), clock)
}

/// A world over an SQLite file of its own.
pub(crate) async fn sqlite() -> World {
    let folder = tempfile::tempdir().unwrap();
    let (world, _) = sqlite_at(&folder.path().join("reelhook.db")).await;
    World { _folder: Some(folder), ..world }
}

/// A world over that SQLite file, and the store as its own type.
pub(crate) async fn sqlite_at(path: &Path) -> (World, Arc<SqliteStore>) {
    let (ambient, clock) = ambient();
    let store = SqliteStore::open(path, master_key(), ambient.clone()).await.unwrap();
    let account = reelhook_store::Accounts::first_account(&*store).await.unwrap().id;
    let world = World { store: Arc::clone(&store) as Arc<dyn Store>, ambient, account, clock, _folder: None };
    (world, store)
}

/// Whether that is what another account, or somebody with a made-up id, is told.
pub(crate) fn is_not_found<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

pub(crate) fn is_lease_lost<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::LeaseLost))
}

impl World {
    /// Another process on the same file, with the same clock.
    pub(crate) async fn second(&self, path: &Path) -> Self {
        let store = SqliteStore::open(path, master_key(), self.ambient.clone()).await.unwrap();
        Self {
            store,
            ambient: self.ambient.clone(),
            account: self.account,
            clock: Arc::clone(&self.clock),
            _folder: None,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    pub(crate) fn id<K: Kind>(&self) -> Id<K> {
        self.ambient.id()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn put_back(&self, time: Duration) {
        self.clock.0.fetch_sub(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// A job with that many outputs, not submitted.
    pub(crate) fn job(&self, outputs: usize) -> Job {
        let output = |number| json!({"id": self.id::<OutputKind>(), "name": format!("out{number}"), "recipe": "web_ready", "crf": 23});
        let outputs: Vec<_> = (0..outputs).map(output).collect();
        let spec = serde_json::from_value(json!({
            "inputs": [{"name": "input", "source": {"url": "https://example.com/clip.mp4"}}], "outputs": outputs, "webhook": null, "metadata": {"order": "7"},
            "priority": "standard", "on_damage": "strict", "dialect": "native",
        }));
        Job::new(self.id(), self.account, spec.unwrap(), self.now())
    }

    pub(crate) async fn submit(&self, job: Job) -> Job {
        match self.store.submit(job.into()).await.unwrap() {
            Submitted::New(job) => job,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn submit_with(&self, priority: Priority) -> Job {
        let mut job = self.job(1);
        job.spec.priority = priority;
        self.submit(job).await
    }

    /// Claims the one job that can be.
    pub(crate) async fn claim(&self) -> ClaimedJob {
        let mut claimed = self.store.claim_jobs(10, LEASE).await.unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    /// A job that is being processed.
    pub(crate) async fn processing(&self, outputs: usize) -> ClaimedJob {
        self.submit(self.job(outputs)).await;
        let claimed = self.claim().await;
        self.store.start_processing(&claimed.lease, vec![facts()], None).await.unwrap();
        claimed
    }

    pub(crate) async fn kinds_of(&self, job: &Job) -> Vec<String> {
        let events = self.store.job_events(self.account, job.id, 0).await.unwrap();
        events.iter().map(|event| event.kind.to_string()).collect()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            id: self.id(),
            account: self.account,
            role: EndpointRole::Registered,
            url: "https://example.com/hook".parse().unwrap(),
            events: EventFilter::default(),
            dialect: Dialect::Native,
            description: "the shop".to_owned(),
            headers: [("x-token".to_owned(), "header-in-the-clear".to_owned())].into(),
            retry: None,
            rate: None,
            timeout_ms: 15_000,
            state: EndpointState::Enabled,
            disabled_reason: None,
            circuit: Circuit::default(),
            tls: self.tls("first"),
            failing: None,
            created_at: self.now(),
        }
    }

    /// Private roots, and a client certificate that is named so.
    pub(crate) fn tls(&self, name: &str) -> EndpointTls {
        let facts = CertificateFacts {
            subject: format!("CN={name}"),
            fingerprint: "ab".repeat(32),
            expires_at: self.now() + LEASE,
        };
        let roots = TrustedRoots { pem: "roots".to_owned(), facts: vec![facts.clone()] };
        let key = format!("key-in-the-clear of {name}");
        let client = ClientCertificate { pem: "chain".to_owned(), key, facts };
        EndpointTls { roots: Some(roots), client: Some(client) }
    }

    pub(crate) fn secret(&self, owner: SealedFor, text: &str) -> SigningSecret {
        let (id, created_at) = (self.id(), self.now());
        SigningSecret { id, owner, scheme: "hmac".to_owned(), text: text.to_owned(), created_at, until: None }
    }

    /// An endpoint that is registered.
    pub(crate) async fn registered(&self) -> Endpoint {
        let endpoint = self.endpoint();
        let secret = self.secret(SealedFor::Endpoint(endpoint.id), "whsec_first");
        self.store.create_endpoint(endpoint.clone(), secret).await.unwrap();
        endpoint
    }

    pub(crate) fn event(&self) -> NewEvent {
        let kind: EventType = "invoice.paid".parse().unwrap();
        NewEvent { id: self.id(), account: self.account, kind, data: json!({"invoice": 7}).into(), only: None }
    }

    /// Publishes that many events and prepares a delivery of each to each of those endpoints.
    pub(crate) async fn batch(&self, events: usize, endpoints: &[EndpointId]) -> FanOut {
        let events: Vec<_> = (0..events).map(|_| self.event()).collect();
        self.store.publish(events.clone()).await.unwrap();
        let after = self.store.outbox(1).await.unwrap().after;
        let known = |id| Event {
            id,
            sequence: 0,
            account: self.account,
            kind: "invoice.paid".parse().unwrap(),
            at: self.now(),
            job: None,
            data: json!({}).into(),
        };
        let pairs = events.iter().flat_map(|event| endpoints.iter().map(|&endpoint| (known(event.id), endpoint)));
        let deliveries = pairs.map(|(event, endpoint)| self.new_delivery(&event, endpoint)).collect();
        FanOut { after, up_to: self.store.last_sequence().await.unwrap(), deliveries }
    }

    /// A delivery of that event to that endpoint, to be sent at once.
    pub(crate) fn new_delivery(&self, event: &Event, endpoint: EndpointId) -> NewDelivery {
        NewDelivery {
            id: self.id(),
            account: self.account,
            event: event.id,
            event_type: event.kind.as_str().to_owned(),
            job: event.job,
            endpoint,
            dialect: Dialect::Native,
            body: Body::Own(format!("{{\"event\":\"{}\"}}", event.id).into()),
            start: Start::Claimed,
        }
    }

    /// Publishes that many events and fans them out to that endpoint.
    pub(crate) async fn sent(&self, events: usize, endpoint: EndpointId) -> Vec<ClaimedDelivery> {
        let batch = self.batch(events, &[endpoint]).await;
        self.store.fan_out(batch, LEASE).await.unwrap()
    }

    pub(crate) fn attempt(&self, number: u32, status: u16) -> Attempt {
        Attempt {
            id: self.id(),
            number,
            at: self.now(),
            outcome: Outcome::Status { status, retry_after_ms: None },
            address: Some("192.0.2.1:443".to_owned()),
            timings_ms: AttemptTimings { dns: 0.5, connect: 1.25, tls: 2.0, first_byte: 3.0, total: 7.0 },
            response_headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            response_body: "odd \u{0} \"answer\" ж".to_owned(),
        }
    }

    /// The end of an attempt that leads to that verdict.
    pub(crate) fn settlement(&self, claimed: &ClaimedDelivery, verdict: Verdict) -> Settlement {
        let status = if verdict == Verdict::Delivered { 200 } else { 500 };
        Settlement {
            delivery: claimed.delivery.id,
            token: claimed.token,
            attempt: Some(self.attempt(claimed.delivery.attempts + 1, status)),
            verdict,
            endpoint: claimed.delivery.endpoint,
            circuit: Circuit::default(),
            failing: None,
            disable: None,
        }
    }

    pub(crate) fn retry_in(&self, seconds: u64) -> Verdict {
        Verdict::Retry { at: self.now() + Duration::from_secs(seconds), reason: "backoff" }
    }

    pub(crate) async fn settle(&self, claimed: &ClaimedDelivery, verdict: Verdict) {
        let lost = self.store.settle(vec![self.settlement(claimed, verdict)]).await.unwrap();
        assert!(lost.is_empty());
    }

    pub(crate) async fn state_of(&self, claimed: &ClaimedDelivery) -> &'static str {
        self.store.delivery(self.account, claimed.delivery.id).await.unwrap().delivery.state.name()
    }
}

pub(crate) fn media() -> MediaInfo {
    serde_json::from_value(json!({"format": "mp4", "duration_seconds": 2.5, "video": null, "audio": null})).unwrap()
}

pub(crate) fn facts() -> InputFacts {
    InputFacts {
        name: "clip.mp4".to_owned(),
        size_bytes: 1 << 40,
        sha256: "ab".repeat(32),
        sha1: "cd".repeat(20),
        media: Some(media()),
    }
}

pub(crate) fn failure() -> JobFailure {
    JobFailure::input(Stage::Encoding, "input_truncated", "the file ends early")
}

/// The end of a job whose outputs ended like that, in their order.
pub(crate) fn end(job: &Job, signal: Signal, states: &[OutputState]) -> JobEnd {
    let outputs = job.outputs.iter().zip(states).map(|(output, &state)| OutputEnd {
        id: output.spec.id,
        state,
        file: (state == OutputState::Completed).then(|| OutputFile {
            name: "out.jpg".to_owned(),
            key: "results/out.jpg".to_owned(),
            size_bytes: 9,
            sha256: "cd".repeat(32),
            mime_type: "image/jpeg".to_owned(),
            media: media(),
            sha1: "ef".repeat(20),
            parts: Vec::new(),
            destination_url: None,
        }),
        plan: json!([{"stream": "video", "action": "encode"}]),
        receipt: json!({"checks": 3}),
        error: (state == OutputState::Failed).then(failure),
    });
    JobEnd { signal, inputs: Vec::new(), outputs: outputs.collect(), cost: None }
}
