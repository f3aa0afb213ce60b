//! Settings: defaults, then a TOML file, then `REELHOOK_*`, then flags; resolved once into plain structs.
//!
//! [`table`] names every setting once, with what it may be; the four layers are read against it, so a mistyped key, a
//! number out of range or a word that is none is refused wherever it was written, all of them at once, with the place.
//! [`reference`] prints the same table as the page `docs/settings.md`.

use std::net::SocketAddr;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::Serialized;
use reelhook_domain::job::Dialect;
use reelhook_domain::price::PriceTable;
use reelhook_domain::quota::Quotas;
use reelhook_egress::Policy;
use reelhook_media::archive::ArchiveLimits;
use reelhook_media::image::ImageLimits;
use reelhook_media::sandbox::SandboxMode;
use serde::{Deserialize, Serialize};
use url::Url;

mod allowance;
mod form;
mod layer;
mod listen_at;
mod pair;
pub(crate) mod reference;
mod service_listener;
mod table;

pub(crate) use allowance::Allowance;
pub(crate) use layer::Sources;
pub(crate) use listen_at::ListenAt;
pub(crate) use pair::Pair;
pub(crate) use service_listener::ServiceListener;

/// All settings of `serve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) listen: ListenAt,
    /// Who may connect to sockets in the file system, as the digits of `chmod`.
    pub(crate) socket_mode: String,
    /// The folder of everything that is kept.
    pub(crate) data: PathBuf,
    /// Plain HTTP and loopback are allowed.
    pub(crate) dev: bool,
    /// What callers put before `/v1`; where the server listens when absent.
    pub(crate) public_url: Option<Url>,
    /// What this process does.
    pub(crate) roles: Vec<Role>,
    /// Which log lines are written.
    pub(crate) log: String,
    /// How they are written.
    pub(crate) log_format: LogFormat,
    /// What is told of what happens.
    pub(crate) telemetry: TelemetrySettings,
    /// Working on jobs.
    pub(crate) worker: WorkerSettings,
    /// Downloading inputs.
    pub(crate) fetch: FetchSettings,
    /// Taking uploads.
    pub(crate) upload: UploadSettings,
    /// Processing media.
    pub(crate) media: MediaSettings,
    /// Making pictures smaller without ffmpeg.
    pub(crate) image: ImageSettings,
    /// Taking archives apart.
    pub(crate) archive: ArchiveSettings,
    /// The disk.
    pub(crate) disk: DiskSettings,
    /// What one account may have.
    pub(crate) quota: QuotaSettings,
    /// Delivering webhooks.
    pub(crate) delivery: DeliverySettings,
    /// How long deliveries and events are kept.
    pub(crate) retention: RetentionSettings,
    /// What may be reached.
    pub(crate) egress: EgressSettings,
    /// Links to results.
    pub(crate) links: LinksSettings,
    /// The HTTP API.
    pub(crate) api: ApiSettings,
    /// The services whose APIs are spoken.
    pub(crate) services: ServicesSettings,
    /// What encodings cost.
    pub(crate) price: PriceTable,
    /// Services that answer callers without a key.
    pub(crate) open: Vec<Dialect>,
    /// They do so on every address.
    pub(crate) open_to_network: bool,
    /// Clipzy's API.
    pub(crate) clipzy: ClipzySettings,
    /// RemoveBGVideo's API.
    pub(crate) removebgvideo: RemoveBgVideoSettings,
}

/// One of the things that a process can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Answers HTTP.
    Api,
    /// Works on jobs.
    Worker,
    /// Delivers webhooks.
    Delivery,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is told of what happens, besides logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TelemetrySettings {
    /// Where a collector takes traces.
    pub(crate) otlp_endpoint: Option<Url>,
    /// What it wants to see with each request.
    pub(crate) otlp_headers: Vec<Pair<String>>,
}

/// Working on jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerSettings {
    /// Jobs at once; 0 is half of the cores.
    pub(crate) slots: usize,
    /// Claims without an end before a job is given up.
    pub(crate) claims_before_giving_up: u32,
}

/// Downloading inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FetchSettings {
    /// Largest input.
    pub(crate) max_bytes: u64,
    /// From DNS to the last byte.
    pub(crate) deadline_seconds: u64,
    /// Longest gap between two bytes.
    pub(crate) stall_seconds: u64,
}

/// Taking uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadSettings {
    /// Largest upload.
    pub(crate) max_bytes: u64,
    /// How long an upload waits for its job.
    pub(crate) keep_hours: u64,
}

/// Processing media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MediaSettings {
    /// The program ffmpeg.
    pub(crate) ffmpeg: String,
    /// The program ffprobe.
    pub(crate) ffprobe: String,
    /// The program heif-convert.
    pub(crate) heif_convert: String,
    /// The folder of models that cut out subjects; `models` in the data folder when absent.
    pub(crate) models: Option<PathBuf>,
    /// Threads of one ffmpeg; 0 is one a core.
    pub(crate) threads: u32,
    /// Whether results are compared with their sources.
    pub(crate) compare: bool,
    /// What to do where the kernel lacks a layer of the sandbox. When absent, see [`Settings::sandbox`].
    pub(crate) sandbox: Option<SandboxMode>,
    /// Largest picture.
    pub(crate) max_pixels: u64,
    /// Longest input.
    pub(crate) max_duration_seconds: u64,
    /// Most frames a second.
    pub(crate) max_frame_rate: u32,
    /// Most streams of any kind.
    pub(crate) max_streams: u32,
    /// Most chapters.
    pub(crate) max_chapters: u32,
    /// Most memory of one run; 0 is a share of the machine's.
    pub(crate) max_memory_bytes: u64,
    /// Largest file of one run.
    pub(crate) max_output_bytes: u64,
    /// Longest run.
    pub(crate) max_wall_seconds: u64,
    /// Most processes and threads of one run.
    pub(crate) max_processes: u64,
    /// Most bytes of half-made files of one job.
    pub(crate) max_scratch_bytes: u64,
    /// How long ffmpeg may make no headway.
    pub(crate) stall_seconds: u64,
}

/// Making pictures smaller without ffmpeg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageSettings {
    /// Largest picture or frame.
    pub(crate) max_pixels: u64,
    /// Most frames of an animation.
    pub(crate) max_frames: u32,
    /// Most pixels of all its frames.
    pub(crate) max_animation_pixels: u64,
    /// Largest input.
    pub(crate) max_bytes: u64,
    /// Memory of all in work together; 0 is a quarter of the machine's.
    pub(crate) memory_bytes: u64,
    /// Time for one.
    pub(crate) deadline_seconds: u64,
    /// Threads of one; 0 is one a core.
    pub(crate) threads: usize,
}

/// Taking archives apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchiveSettings {
    /// Most members.
    pub(crate) max_members: usize,
    /// Most bytes of all of them.
    pub(crate) max_bytes: u64,
    /// Most bytes that come out for each that went in.
    pub(crate) max_ratio: u64,
    /// Most folders above one.
    pub(crate) max_depth: usize,
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskSettings {
    /// Bytes that are left for the database; a share of the disk when absent.
    pub(crate) reserve_bytes: Option<u64>,
}

/// How much one account may have of each thing; 0 sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuotaSettings {
    /// Endpoints that are registered, or of default webhooks.
    pub(crate) endpoints: u64,
    /// API keys that work.
    pub(crate) keys: u64,
    /// Origins.
    pub(crate) origins: u64,
    /// Secrets that sign.
    pub(crate) secrets: u64,
    /// Bytes of uploads.
    pub(crate) upload_bytes: u64,
    /// Jobs that wait.
    pub(crate) queued_jobs: u64,
    /// Deliveries of published events in a minute.
    pub(crate) event_deliveries_per_minute: u64,
}

/// Delivering webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliverySettings {
    /// Requests at once, over all endpoints.
    pub(crate) in_flight: usize,
    /// PEM file of the certificate that receivers are shown.
    pub(crate) client_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub(crate) client_key: Option<PathBuf>,
}

/// How long deliveries and events are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetentionSettings {
    /// Days after they ended.
    pub(crate) keep_days: u32,
}

/// What may be reached by webhooks and downloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EgressSettings {
    /// Plain http too.
    pub(crate) allow_http: bool,
    /// Addresses and ports that are reached though they are not public.
    pub(crate) allow: Vec<Allowance>,
    /// PEM files of certificates to trust besides the system's.
    pub(crate) extra_roots: Vec<PathBuf>,
}

/// Links to results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinksSettings {
    /// How long a link works.
    pub(crate) keep_days: u64,
}

/// The services whose APIs are spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServicesSettings {
    /// Services that have a listener of their own, besides their path below the main one.
    pub(crate) listen: Vec<ServiceListener>,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApiSettings {
    /// Largest JSON body.
    pub(crate) max_body_bytes: usize,
    /// Connections at once.
    pub(crate) max_connections: usize,
    /// The same from one address; 0 is a quarter of all.
    pub(crate) max_connections_per_address: usize,
    /// Streams of events that an account has open.
    pub(crate) max_streams_per_account: usize,
    /// How long a caller may read nothing of an answer.
    pub(crate) write_stall_seconds: u64,
    /// How long a request waits for an event at most.
    pub(crate) longest_wait_seconds: u64,
    /// Hosts that callers may name beside addresses, loopback and `public_url`, while no key is asked for.
    pub(crate) allowed_hosts: Vec<String>,
    /// Deliveries that an account may resend, replay or cancel in a minute.
    pub(crate) resends_per_minute: u32,
    /// Endpoints that an account may recover in a minute.
    pub(crate) recoveries_per_minute: u32,
    /// Endpoints that an account may test in a minute.
    pub(crate) tests_per_minute: u32,
}

/// Clipzy's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClipzySettings {
    /// Largest upload.
    pub(crate) max_upload_bytes: u64,
}

/// RemoveBGVideo's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoveBgVideoSettings {
    /// Its names of models, each with the installed one that it stands for.
    pub(crate) models: Vec<Pair<String>>,
    /// Credits for a minute, by the name that a caller says.
    pub(crate) credits_per_minute: Vec<Pair<u32>>,
}

impl Default for Settings {
    fn default() -> Self {
        let (image, archive) = (ImageLimits::default(), ArchiveLimits::default());
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)).into(),
            socket_mode: "660".to_owned(),
            data: PathBuf::from("./reelhook-data"),
            dev: false,
            public_url: None,
            roles: vec![Role::Api, Role::Worker, Role::Delivery],
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            telemetry: TelemetrySettings { otlp_endpoint: None, otlp_headers: Vec::new() },
            worker: WorkerSettings { slots: 0, claims_before_giving_up: 5 },
            fetch: FetchSettings { max_bytes: 10 << 30, deadline_seconds: 3600, stall_seconds: 30 },
            upload: UploadSettings { max_bytes: 10 << 30, keep_hours: 24 },
            media: MediaSettings {
                ffmpeg: "ffmpeg".to_owned(),
                ffprobe: "ffprobe".to_owned(),
                heif_convert: "heif-convert".to_owned(),
                models: None,
                threads: 0,
                compare: true,
                sandbox: None,
                max_pixels: 7680 * 4320,
                max_duration_seconds: 12 * 3600,
                max_frame_rate: 1000,
                max_streams: 64,
                max_chapters: 10_000,
                max_memory_bytes: 0,
                max_output_bytes: 10 << 30,
                max_wall_seconds: 6 * 3600,
                max_processes: 4096,
                max_scratch_bytes: 50 << 30,
                stall_seconds: 60,
            },
            image: ImageSettings {
                max_pixels: image.pixels,
                max_frames: image.frames,
                max_animation_pixels: image.animation_pixels,
                max_bytes: image.input_bytes,
                memory_bytes: image.memory_bytes,
                deadline_seconds: image.time.as_secs(),
                threads: image.threads,
            },
            archive: ArchiveSettings {
                max_members: archive.entries,
                max_bytes: archive.bytes,
                max_ratio: archive.ratio,
                max_depth: archive.depth,
            },
            disk: DiskSettings { reserve_bytes: None },
            quota: QuotaSettings {
                endpoints: 1000,
                keys: 100,
                origins: 1000,
                secrets: 5000,
                upload_bytes: 256 << 30,
                queued_jobs: 50_000,
                event_deliveries_per_minute: 600_000,
            },
            delivery: DeliverySettings { in_flight: 512, client_certificate: None, client_key: None },
            retention: RetentionSettings { keep_days: 30 },
            egress: EgressSettings { allow_http: false, allow: Vec::new(), extra_roots: Vec::new() },
            links: LinksSettings { keep_days: 30 },
            api: ApiSettings {
                max_body_bytes: 1 << 20,
                max_connections: 4096,
                max_connections_per_address: 0,
                max_streams_per_account: 256,
                write_stall_seconds: 60,
                longest_wait_seconds: 60,
                allowed_hosts: Vec::new(),
                resends_per_minute: 600,
                recoveries_per_minute: 10,
                tests_per_minute: 60,
            },
            services: ServicesSettings { listen: Vec::new() },
            price: PriceTable::default(),
            open: Vec::new(),
            open_to_network: false,
            clipzy: ClipzySettings { max_upload_bytes: 1000 * 1000 * 1000 },
            removebgvideo: RemoveBgVideoSettings {
                models: [("original", "auto"), ("light", "human:fast"), ("human", "human")]
                    .map(|(name, model)| Pair::new(name, model.to_owned()))
                    .to_vec(),
                credits_per_minute: [("original", 60), ("light", 45), ("pro", 180), ("human", 45)]
                    .map(|(name, credits)| Pair::new(name, credits))
                    .to_vec(),
            },
        }
    }
}

impl Settings {
    /// Reads the layers, the later ones over the earlier.
    pub(crate) fn resolve(sources: Sources) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        for layer in sources.read()? {
            figment = figment.merge(layer);
        }
        let settings: Self = figment.extract()?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.dev || self.listen.is_local(),
            "--dev opens this machine's own services to every caller that may submit a job, so it listens on loopback only; \
             {} is not loopback: use --listen {} or remove --dev",
            self.listen,
            self.listen.on_loopback()
        );
        if let Some(open) = self.services.listen.iter().find(|at| self.dev && !at.at.is_local()) {
            anyhow::bail!("--dev listens on loopback only; services.listen has {open}: use 127.0.0.1, or remove --dev");
        }
        anyhow::ensure!(
            self.open.is_empty()
                || self.open_to_network
                || (self.listen.is_local() && self.services.listen.iter().all(|at| at.at.is_local())),
            "--open lets every caller submit jobs without an API key, so it listens on loopback only; {} is \
             not loopback: use --listen {}, remove --open, or set open_to_network if a proxy in front authenticates callers",
            self.listen,
            self.listen.on_loopback()
        );
        anyhow::ensure!(!self.roles.is_empty(), "roles is empty; name at least one of api, worker, delivery");
        match (&self.delivery.client_certificate, &self.delivery.client_key) {
            (Some(_), None) => {
                anyhow::bail!("delivery.client_certificate needs its private key: set delivery.client_key")
            }
            (None, Some(_)) => {
                anyhow::bail!("delivery.client_key needs its certificate: set delivery.client_certificate")
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        Ok(())
    }

    /// The most that one account may have.
    pub(crate) fn quotas(&self) -> Quotas {
        let limit = |number: u64| (number > 0).then_some(number);
        Quotas {
            endpoints: limit(self.quota.endpoints),
            keys: limit(self.quota.keys),
            origins: limit(self.quota.origins),
            secrets: limit(self.quota.secrets),
            upload_bytes: limit(self.quota.upload_bytes),
            queued_jobs: limit(self.quota.queued_jobs),
            event_deliveries_per_minute: limit(self.quota.event_deliveries_per_minute),
        }
    }

    /// Where webhooks and downloads may go.
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = if self.dev { Policy::development() } else { Policy::public() };
        if self.egress.allow_http {
            policy = policy.allow_http();
        }
        self.egress.allow.iter().fold(policy, |policy, allowance| policy.allow(allowance.net, allowance.ports.clone()))
    }

    /// Whether tools run in the sandbox: with all layers or not at all, unless this is for the operator's own machine.
    pub(crate) fn sandbox(&self) -> SandboxMode {
        self.media.sandbox.unwrap_or(if self.dev { SandboxMode::Auto } else { SandboxMode::Require })
    }

    /// The permissions of sockets in the file system.
    pub(crate) fn socket_mode(&self) -> u32 {
        u32::from_str_radix(&self.socket_mode, 8).unwrap_or(0o660)
    }

    /// Whether this process has that role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &str, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reelhook.toml");
        std::fs::write(&path, file).unwrap();
        let sources = Sources {
            file: Some(path),
            env: env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            flags: flags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        };
        let folder = folder.path().display().to_string();
        Settings::resolve(sources).map_err(|error| format!("{error:#}").replace(&folder, "FOLDER"))
    }

    #[test]
    fn later_layers_win() {
        let file = "listen = '127.0.0.1:1'\ndata = 'file'\n[worker]\nslots = 1\n[delivery]\nin_flight = 7";
        let env =
            [("REELHOOK_DATA", "env"), ("REELHOOK_WORKER_SLOTS", "3"), ("PATH", "/bin"), ("REELHOOK_KEY", "rh_x")];
        let settings = resolve(file, &env, &[("data", "flag")]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:1");
        assert_eq!(settings.data, PathBuf::from("flag"));
        assert_eq!((settings.worker.slots, settings.delivery.in_flight), (3, 7));
        assert_eq!(settings.fetch, Settings::default().fetch);
    }

    #[test]
    fn lists_are_separated_by_commas_and_words_are_checked() {
        let env = [("REELHOOK_ROLES", "api, worker"), ("REELHOOK_EGRESS_ALLOW", "10.0.0.0/8:8000-9000,fd00::/8:443")];
        let settings = resolve("[media]\nsandbox = 'require'", &env, &[]).unwrap();
        assert_eq!(settings.roles, [Role::Api, Role::Worker]);
        assert_eq!(settings.egress.allow.len(), 2);
        assert_eq!(settings.media.sandbox, Some(SandboxMode::Require));
        assert!(settings.policy().judge_url(&"https://10.1.2.3:8443/".parse().unwrap()).is_ok());
        assert!(settings.policy().judge_url(&"https://10.1.2.3:443/".parse().unwrap()).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_all_at_once_with_its_place() {
        let file = "lisen = '127.0.0.1:1'\n[worker]\nslots = 0\n[delivery]\nin_fligth = 3\n[media]\nsandbox = 'maybe'";
        let env = [("REELHOOK_WORKER_SLOT", "2"), ("REELHOOK_DEV", "perhaps")];
        let flags = [("egress.alow_http", "true"), ("upload.keep_hours", "soon")];
        insta::assert_snapshot!(resolve(file, &env, &flags).unwrap_err());
    }

    #[test]
    fn a_wrong_value_is_told_with_its_key_and_what_is_allowed_in_every_layer() {
        for (key, value, shown, allowed) in [
            ("listen", "example.com:80", "\"example.com:80\"", "an address and a port such as 127.0.0.1:8080"),
            ("public_url", "media.example.com", "\"media.example.com\"", "an http or https URL"),
            ("public_url", "https://a.b/?x=1", "\"https://a.b/?x=1\"", "without a user, a password, a query"),
            ("public_url", "https://a.b/#x", "\"https://a.b/#x\"", "or a fragment"),
            ("public_url", "https://me:hidden@a.b", "\"https://...@a.b\"", "without a user"),
            ("telemetry.otlp_endpoint", "ftp://a.b", "\"ftp://a.b\"", "an http or https URL"),
            ("telemetry.otlp_headers", "authorization: hidden", "\"...=...\"", "the name of a header"),
            ("worker.slots", "many", "\"many\"", "a whole number from 0 to 256"),
            ("dev", "perhaps", "\"perhaps\"", "true or false"),
            ("price.per_minute", "free", "\"free\"", "a number from 0"),
            ("price.currency", "euro", "\"euro\"", "three capital letters"),
            ("egress.allow", "10.0.0.0/8", "\"10.0.0.0/8\"", "a block of addresses"),
            ("services.listen", "zora=127.0.0.1:1", "\"zora=127.0.0.1:1\"", "services are compressor"),
            ("api.allowed_hosts", "http://a.b", "\"http://a.b\"", "the name of a host"),
            ("removebgvideo.credits_per_minute", "pro=many", "\"pro=many\"", "a whole number"),
            ("log", "info,=", "\"info,=\"", "a level (error, warn"),
            ("log_format", "xml", "\"xml\"", "one of text, json"),
            ("data", "", "\"\"", "a path that is not empty"),
            ("socket_mode", "999", "\"999\"", "permissions as chmod"),
        ] {
            let setting = table::find(key).unwrap();
            let is_list = matches!(setting.kind, table::Kind::Texts(_));
            let spelled = if is_list { format!("[{value:?}]") } else { format!("{value:?}") };
            let file = format!("{key} = {spelled}");
            let errors = [
                resolve(&file, &[], &[]).unwrap_err(),
                resolve("", &[(&setting.env(), value)], &[]).unwrap_err(),
                resolve("", &[], &[(key, value)]).unwrap_err(),
            ];
            for (error, place) in errors.iter().zip(["in FOLDER/reelhook.toml", "in REELHOOK_", "on the command line"])
            {
                let expected = format!("{key} is {shown} {place}");
                assert!(error.contains(&expected) && error.contains(allowed), "{expected}: {error}");
                assert!(!error.contains("hidden"), "{error}");
            }
        }
        let error = resolve("listen = 8080\nlog = true\n[telemetry]\notlp_headers = 'a=hidden'", &[], &[]).unwrap_err();
        for expected in ["listen is 8080 in", "log is true in", "telemetry.otlp_headers is not a list in"] {
            assert!(error.contains(expected) && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn a_port_is_listened_on_however_its_address_is_spelled() {
        for (text, spelled) in
            [("localhost:8080", "127.0.0.1:8080"), (":8080", "0.0.0.0:8080"), ("unix:/a/b", "unix:/a/b")]
        {
            assert_eq!(resolve("", &[], &[("listen", text)]).unwrap().listen.to_string(), spelled);
        }
        let error = resolve("dev = true\nlisten = ':9000'", &[], &[]).unwrap_err();
        assert!(error.contains("use --listen 127.0.0.1:9000"), "{error}");
        assert!(resolve("dev = true\nlisten = 'unix:/a/b'", &[], &[]).is_ok());
    }

    #[test]
    fn variables_of_others_stop_nothing_and_typos_are_told() {
        let env: Vec<(String, String)> = [
            ("REELHOOK_SERVICE_HOST", "10.0.0.1"),
            ("REELHOOK_SERVICE_PORT", "8080"),
            ("REELHOOK_SERVICE_PORT_HTTP", "8080"),
            ("REELHOOK_PORT", "tcp://10.0.0.1:8080"),
            ("REELHOOK_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("REELHOOK_PORT_8080_TCP_PROTO", "tcp"),
            ("REELHOOK_PORT_8080_TCP_PORT", "8080"),
            ("REELHOOK_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("REELHOOK_WORKER_SERVICE_HOST", "10.0.0.1"),
            ("REELHOOK_WORKER_PORT_9090_UDP_ADDR", "10.0.0.1"),
            ("REELHOOK_WORKER_SLOT", "2"),
            ("REELHOOK_TEAM", "video"),
            ("REELHOOK_KEY", "rh_x"),
            ("PATH", "/bin"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let sources = Sources { env, ..Sources::default() };
        let told = sources.strays();
        assert_eq!(
            told,
            [
                "REELHOOK_WORKER_SLOT is not a setting and is ignored; did you mean REELHOOK_WORKER_SLOTS?",
                "REELHOOK_TEAM is not a setting and is ignored"
            ]
        );
        assert_eq!(Settings::resolve(sources).unwrap(), Settings::default());
    }

    #[test]
    fn prices_are_numbers_of_the_right_count() {
        let env = [("REELHOOK_PRICE_TIERS", "0.5, 1, 3"), ("REELHOOK_PRICE_PER_MINUTE", "1")];
        let price = resolve("[price]\ncurrency = 'USD'\ncodecs = [1, 2.5, 3, 4]", &env, &[]).unwrap().price;
        assert_eq!((price.currency.as_str(), price.per_minute), ("USD", 1.0));
        assert_eq!((price.codecs, price.tiers), ([1.0, 2.5, 3.0, 4.0], [0.5, 1.0, 3.0]));
        assert_eq!(price.sizes, PriceTable::default().sizes);
        let error = resolve("[price]\ncodecs = [1, 2]\nper_minute = -1", &[], &[("price.tiers", "1,2,x")]).unwrap_err();
        for expected in ["a list of 4 numbers", "per_minute is", "a list of 3 numbers"] {
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn dev_listens_on_loopback_only() {
        assert!(
            resolve("dev = true", &[], &[])
                .unwrap()
                .policy()
                .judge_url(&"http://localhost:3000".parse().unwrap())
                .is_ok()
        );
        assert!(resolve("dev = true\nlisten = '[::1]:8080'", &[], &[]).is_ok());
        let error = resolve("dev = true\nlisten = '0.0.0.0:9000'", &[], &[]).unwrap_err();
        assert!(error.contains("use --listen 127.0.0.1:9000"), "{error}");
    }

    #[test]
    fn services_have_listeners_of_their_own_and_on_loopback_in_dev() {
        let env = [("REELHOOK_SERVICES_LISTEN", "xora=127.0.0.1:9001, compressor=0.0.0.0:9002")];
        let settings = resolve("", &env, &[]).unwrap();
        assert_eq!(settings.services.listen.len(), 2);
        let error = resolve("dev = true", &env, &[]).unwrap_err();
        assert!(error.contains("compressor=0.0.0.0:9002"), "{error}");
        let error = resolve("[services]\nlisten = ['zora=127.0.0.1:1']", &[], &[]).unwrap_err();
        assert!(error.contains("services are compressor"), "{error}");
    }

    #[test]
    fn a_file_that_is_missing_or_no_toml_is_named() {
        assert!(resolve("listen =", &[], &[]).unwrap_err().contains("reelhook.toml"));
        let sources = Sources { file: Some("/nowhere/reelhook.toml".into()), ..Sources::default() };
        let error = format!("{:#}", Settings::resolve(sources).unwrap_err());
        assert!(error.contains("/nowhere/reelhook.toml"), "{error}");
    }
}
