//! A store, files, tools and a worker, fresh for each test.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::id::{AccountId, JobId};
use reelhook_domain::job::{
    Dialect, InputSource, InputSpec, Job, JobSpec, ONLY_INPUT, OnDamage, OutputFile, OutputSpec, Priority,
};
use reelhook_egress::{Client, Policy, SystemResolver};
use reelhook_files::{Files, Key};
use reelhook_media::archive::ArchiveLimits;
use reelhook_media::image::ImageLimits;
use reelhook_media::{Launcher, Readers, ToolSettings, Toolbox};
use reelhook_store::sqlite::SqliteStore;
use reelhook_store::{
    Accounts as _, Events as _, Jobs as _, MasterKey, Store as _, Submitted, Topic, Upload, Uploads as _,
};
use reelhook_testkit::system_ambient;
use reelhook_worker::{FetchLimits, Tools, Worker, WorkerSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Bench {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) files: Files,
    pub(crate) account: AccountId,
    pub(crate) ambient: Ambient,
    pub(crate) settings: WorkerSettings,
    pub(crate) policy: Policy,
    pub(crate) tools: Option<Toolbox>,
    pub(crate) image: ImageLimits,
    pub(crate) archive: ArchiveLimits,
    folder: tempfile::TempDir,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ambient = system_ambient();
        let key = MasterKey::new(1, [7; 32]);
        let store = SqliteStore::open(&folder.path().join("reelhook.db"), key, ambient.clone()).await.unwrap();
        let account = store.first_account().await.unwrap().id;
        let files = Files::local(&folder.path().join("files"), ambient.clone()).unwrap();
        let fetch = FetchLimits { pause: Duration::from_millis(1), ..FetchLimits::default() };
        let heartbeat = Duration::from_millis(50);
        let settings = WorkerSettings { slots: 1, heartbeat, fetch, ..WorkerSettings::default() };
        let tools = Some(Toolbox::detect(ToolSettings::new(launcher())).await.unwrap());
        let policy = Policy::development();
        let (image, archive) = (ImageLimits::default(), ArchiveLimits::default());
        Self { store, files, account, ambient, settings, policy, tools, image, archive, folder, running: None }
    }

    /// Makes the server one on which no decoder of HEIC is installed.
    pub(crate) async fn without_heif(&mut self) {
        let settings = ToolSettings { heif_convert: "no-such-program".into(), ..ToolSettings::new(launcher()) };
        self.tools = Some(Toolbox::detect(settings).await.unwrap());
    }

    /// Starts a worker with the settings as they are now.
    pub(crate) fn start(&mut self) {
        let settings = reelhook_egress::Settings { policy: self.policy.clone(), ..Default::default() };
        let egress = Client::new(settings, Arc::new(SystemResolver)).unwrap();
        let (files, toolbox) = (self.files.clone(), self.tools.clone());
        let (image, archive) = (self.image, self.archive.clone());
        let readers = Readers::new(ToolSettings::new(launcher()), image, archive).unwrap();
        let worker = Worker::new(
            Arc::clone(&self.store) as _,
            files,
            egress,
            Tools { toolbox, readers },
            self.ambient.clone(),
            self.settings.clone(),
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker.run(stop.clone()));
        self.running = Some((stop, task));
    }

    /// Stops the worker and waits until it is gone.
    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.cancel();
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    }

    /// Stops the worker and checks that it left nothing half-made.
    pub(crate) async fn stop_and_look(&mut self) {
        self.stop().await;
        let left: Vec<PathBuf> =
            std::fs::read_dir(self.files.scratch()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }

    pub(crate) async fn upload(&self, name: &str, bytes: Vec<u8>) -> InputSource {
        self.upload_until(name, bytes, Duration::from_secs(3600)).await
    }

    pub(crate) async fn upload_until(&self, name: &str, bytes: Vec<u8>, life: Duration) -> InputSource {
        let id = self.ambient.id();
        let stream = futures::stream::iter([Ok(Bytes::from(bytes))]);
        let stored = self.files.put_stream(&Key::upload(id), stream, u64::MAX).await.unwrap();
        let (account, name, created_at) = (self.account, name.to_owned(), self.ambient.now());
        let (expires_at, said) = (created_at + life, Value::Null);
        let reelhook_files::Stored { size_bytes, sha256, sha1 } = stored;
        self.store
            .create_upload(Upload { id, account, name, size_bytes, sha256, sha1, said, created_at, expires_at })
            .await
            .unwrap();
        InputSource::Upload(id)
    }

    /// Submits a job with these recipes, its outputs named `a`, `b`, ...
    pub(crate) async fn submit(&self, input: InputSource, recipes: &[Value]) -> JobId {
        self.submit_with(input, recipes, OnDamage::Strict).await
    }

    pub(crate) async fn submit_with(&self, input: InputSource, recipes: &[Value], on_damage: OnDamage) -> JobId {
        self.submit_spec(self.spec(input, recipes, on_damage)).await
    }

    /// Submits a job whose caller wants to be asked.
    pub(crate) async fn submit_asking(&self, input: InputSource, recipes: &[Value]) -> JobId {
        self.submit_spec(JobSpec { confirm: true, ..self.spec(input, recipes, OnDamage::Strict) }).await
    }

    pub(crate) fn spec(&self, input: InputSource, recipes: &[Value], on_damage: OnDamage) -> JobSpec {
        let outputs = recipes.iter().zip('a'..).map(|(recipe, name)| OutputSpec {
            id: self.ambient.id(),
            name: name.to_string(),
            recipe: serde_json::from_value(recipe.clone()).unwrap(),
        });
        JobSpec {
            inputs: vec![InputSpec { name: ONLY_INPUT.to_owned(), source: input }],
            outputs: outputs.collect(),
            webhook: None,
            metadata: BTreeMap::new(),
            priority: Priority::Standard,
            on_damage,
            dialect: Dialect::Native,
            confirm: false,
            destination: None,
            credit_rate: None,
            said: Value::Null,
        }
    }

    pub(crate) async fn submit_spec(&self, spec: JobSpec) -> JobId {
        let job = Job::new(self.ambient.id(), self.account, spec, self.ambient.now());
        match self.store.submit(job.into()).await.unwrap() {
            Submitted::New(job) => job.id,
            other => panic!("not kept: {other:?}"),
        }
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.store.job(self.account, id).await.unwrap()
    }

    /// Waits until the job is as wanted.
    pub(crate) async fn until(&self, id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let mut changed = self.store.wakes().listen(Topic::JobChanged);
        let waiting = async {
            loop {
                let job = self.job(id).await;
                if wanted(&job) {
                    return job;
                }
                changed.wait().await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(job) => job,
            Err(_) => panic!("it did not happen; the job is {:#?}", self.job(id).await),
        }
    }

    /// Waits until the job has ended.
    pub(crate) async fn ended(&self, id: JobId) -> Job {
        self.until(id, |job| job.state.is_terminal()).await
    }

    /// The types of the job's events, in order.
    pub(crate) async fn events(&self, id: JobId) -> Vec<String> {
        let events = self.store.job_events(self.account, id, 0).await.unwrap();
        events.into_iter().map(|event| event.kind.to_string()).collect()
    }

    /// The bytes of a file that was made.
    pub(crate) async fn bytes(&self, file: &OutputFile) -> Vec<u8> {
        let content = self.files.get(&file.key.parse().unwrap(), None).await.unwrap();
        let pieces: Vec<Bytes> = content.stream.try_collect().await.unwrap();
        pieces.concat()
    }
}

/// The example of this crate, which is built beside the tests.
fn launcher() -> Launcher {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/sandbox");
    assert!(program.exists(), "{} is not built: run `cargo build -p reelhook-worker --examples`", program.display());
    Launcher { program, args: Vec::new() }
}

pub(crate) fn thumbnail() -> Value {
    json!({"recipe": "thumbnail", "at_seconds": 0.5, "format": "jpg"})
}

pub(crate) fn extract_audio() -> Value {
    json!({"recipe": "extract_audio", "format": "mp3"})
}

pub(crate) fn compress() -> Value {
    json!({"recipe": "compress", "codec": "h264", "format": "mp4"})
}
