//! Every setting, once: its key, what it may be, and what it is for.

use figment::value::Value;

use super::form::{self, Form};

/// One setting. Its name in the environment follows from its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The key in the file: `worker.slots`.
    pub(crate) key: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// The flag of `reelhook serve`, where it has one besides `--set`.
    pub(crate) flag: Option<&'static str>,
    /// What it is for, in a sentence or two.
    pub(crate) doc: &'static str,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text of that form.
    Text(&'static Form),
    /// On or off.
    Switch,
    /// A whole number in that range.
    Whole(u64, u64),
    /// A number in that range.
    Number(f64, f64),
    /// So many numbers from 0 to 1000.
    Numbers(usize),
    /// One of those words.
    Word(&'static [&'static str]),
    /// Some of those words.
    Words(&'static [&'static str]),
    /// Texts of that form.
    Texts(&'static Form),
}

const fn plain(key: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting { key, kind, flag: None, doc }
}

const fn flagged(key: &'static str, kind: Kind, flag: &'static str, doc: &'static str) -> Setting {
    Setting { key, kind, flag: Some(flag), doc }
}

const GIGA: u64 = 1_000_000_000;
const PETABYTE: u64 = 1 << 50;
const MOST_THINGS: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600;
const MOST_MONEY: f64 = 1_000_000.0;
const MOST_FACTOR: f64 = 1000.0;

/// All settings, in the order of the reference.
pub(crate) const SETTINGS: &[Setting] = &[
    flagged(
        "listen",
        Kind::Text(&form::LISTEN),
        "--listen",
        "Where to listen: an address and a port, of which 0 takes a free one, or a socket such as `unix:/run/reelhook/api.sock`. `:8080` is every address. A socket that systemd passes (`LISTEN_FDS`) takes its place.",
    ),
    plain(
        "socket_mode",
        Kind::Text(&form::MODE),
        "Who may connect to a socket of `listen` or `services.listen`, as `chmod` has it: `660` is the user and the group of the server.",
    ),
    flagged(
        "data",
        Kind::Text(&form::PATH),
        "--data",
        "Folder of everything that is kept: database, files, master key. Made when missing.",
    ),
    flagged(
        "dev",
        Kind::Switch,
        "--dev",
        "For your own machine only: webhooks and downloads may use plain HTTP and reach loopback; listens on loopback only.",
    ),
    flagged(
        "public_url",
        Kind::Text(&form::BASE_URL),
        "--public-url",
        "What callers put before `/v1`, such as `https://media.example.com`; links to results start with it. When absent, where the server listens.",
    ),
    flagged("roles", Kind::Words(&["api", "worker", "delivery"]), "--roles", "What this process does."),
    flagged(
        "log",
        Kind::Text(&form::LEVELS),
        "--log",
        "Which log lines are written: a level, or levels by part such as `info,reelhook_worker=debug`. `RUST_LOG` stands in for it.",
    ),
    flagged("log_format", Kind::Word(&["text", "json"]), "--log-format", "How log lines are written to stderr."),
    plain(
        "telemetry.otlp_endpoint",
        Kind::Text(&form::BASE_URL),
        "Where a collector takes traces over OTLP/HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is added. Without it nothing is traced.",
    ),
    plain(
        "telemetry.otlp_headers",
        Kind::Texts(&form::HEADER),
        "Headers for the collector, `NAME=VALUE`, such as its key.",
    ),
    plain(
        "worker.slots",
        Kind::Whole(0, 256),
        "Jobs that are worked on at once; 0 is half of the cores, for an encoder uses several.",
    ),
    plain(
        "worker.claims_before_giving_up",
        Kind::Whole(1, 100),
        "How often a job is begun without coming to an end, because the server died under it, before it is failed.",
    ),
    plain("fetch.max_bytes", Kind::Whole(1, PETABYTE), "Largest input that is downloaded, in bytes."),
    plain("fetch.deadline_seconds", Kind::Whole(1, 7 * DAY), "Time for one download, from DNS to the last byte."),
    plain("fetch.stall_seconds", Kind::Whole(1, DAY), "Longest gap between two bytes of a download."),
    plain("upload.max_bytes", Kind::Whole(1, PETABYTE), "Largest upload, in bytes."),
    plain(
        "upload.keep_hours",
        Kind::Whole(1, 8760),
        "How long an upload is kept; what a job reads is kept until it has ended.",
    ),
    plain(
        "media.ffmpeg",
        Kind::Text(&form::PATH),
        "The program ffmpeg (5.1 to 9): a path, or a name looked up in `PATH`.",
    ),
    plain("media.ffprobe", Kind::Text(&form::PATH), "The program ffprobe, likewise."),
    plain(
        "media.heif_convert",
        Kind::Text(&form::PATH),
        "The program heif-convert (or heif-dec), which decodes HEIC: a path, or a name looked up in `PATH`. It need not be there; then HEIC is refused.",
    ),
    plain(
        "media.models",
        Kind::Text(&form::PATH),
        "Folder of the models of `remove_background`: `NAME.onnx`, and `NAME.toml` where one needs it. Without it: `models` in the folder `data`.",
    ),
    plain(
        "media.compare",
        Kind::Switch,
        "Whether each result is compared with its source by what is seen and heard before it counts as made.",
    ),
    plain("media.threads", Kind::Whole(0, 1024), "Threads of one ffmpeg; 0 is one for each core."),
    plain(
        "media.sandbox",
        Kind::Word(&["auto", "require", "off"]),
        "The cage of ffmpeg: `auto` uses every layer the kernel has, `require` runs nothing where one is missing, `off` uses none. Without it: `require`, and `auto` with `dev`. `reelhook doctor` shows the layers.",
    ),
    plain(
        "media.max_pixels",
        Kind::Whole(1, 1 << 40),
        "Largest picture of an input that ffmpeg reads, width times height.",
    ),
    plain("media.max_duration_seconds", Kind::Whole(1, 30 * DAY), "Longest input."),
    plain("media.max_frame_rate", Kind::Whole(1, 100_000), "Most frames a second of an input."),
    plain("media.max_streams", Kind::Whole(1, 10_000), "Most streams of an input, of any kind."),
    plain("media.max_chapters", Kind::Whole(1, 1_000_000), "Most chapters of an input."),
    plain(
        "media.max_memory_bytes",
        Kind::Whole(0, PETABYTE),
        "Most memory of one run of ffmpeg, in bytes; 0 is half of what the machine or its control group has, at least 1 GiB. A run over it fails its output with `over_memory`.",
    ),
    plain(
        "media.max_output_bytes",
        Kind::Whole(1, PETABYTE),
        "Largest file that ffmpeg may write, in bytes. A run over it fails its output with `over_limit`.",
    ),
    plain(
        "media.max_wall_seconds",
        Kind::Whole(1, 30 * DAY),
        "Longest run of ffmpeg, however long its input is. A run over it fails its output with `timed_out`.",
    ),
    plain(
        "media.max_processes",
        Kind::Whole(16, 1 << 22),
        "Most processes and threads of one run of ffmpeg. The kernel also holds all that the server's user runs to it while a tool starts more, unless the user is root. A run over it fails its output with `over_processes`.",
    ),
    plain(
        "media.max_scratch_bytes",
        Kind::Whole(1, PETABYTE),
        "Most bytes of half-made files that one job may have on the disk at once: what it downloads, and what tools write for all of its outputs. A job that has more is ended.",
    ),
    plain(
        "media.stall_seconds",
        Kind::Whole(1, DAY),
        "How long ffmpeg may make no headway before it is ended and tried once more.",
    ),
    plain(
        "image.max_pixels",
        Kind::Whole(1, GIGA),
        "Largest picture that is made smaller without ffmpeg, width times height, each frame of an animation too. It takes up to 8 bytes of memory a pixel.",
    ),
    plain("image.max_frames", Kind::Whole(1, 100_000), "Most frames of an animated picture."),
    plain(
        "image.max_animation_pixels",
        Kind::Whole(1, 1000 * GIGA),
        "Most pixels of all frames of an animated picture together.",
    ),
    plain("image.max_bytes", Kind::Whole(1, 4 * GIGA), "Largest picture, in bytes; it is held in memory."),
    plain(
        "image.memory_bytes",
        Kind::Whole(0, PETABYTE),
        "Memory that all pictures in work take together, in bytes, at about 16 bytes a pixel: a picture waits for those before it, and one that needs more than all of it is rejected. 0 is a quarter of the machine's memory.",
    ),
    plain(
        "image.deadline_seconds",
        Kind::Whole(1, DAY),
        "Time for one picture: after it no better result is looked for and no further frame begun.",
    ),
    plain(
        "image.threads",
        Kind::Whole(0, 1024),
        "Threads that one AVIF picture is encoded with; 0 is one for each core.",
    ),
    plain("archive.max_members", Kind::Whole(1, 1_000_000), "Most members of an archive, folders included."),
    plain("archive.max_bytes", Kind::Whole(1, PETABYTE), "Most bytes of all members of an archive together."),
    plain(
        "archive.max_ratio",
        Kind::Whole(1, 1_000_000),
        "Most bytes that come out of an archive for each byte of it, once more than 64 MiB came out.",
    ),
    plain("archive.max_depth", Kind::Whole(0, 1000), "Most folders above a member of an archive."),
    plain(
        "disk.reserve_bytes",
        Kind::Whole(0, PETABYTE),
        "Bytes of the disk that are kept free for the database, so that jobs and deliveries can be told of when it is nearly full. Uploads and jobs are refused, and running jobs are ended, before they take it. When absent, 1 GiB or 2 % of the disk, whichever is less.",
    ),
    plain(
        "quota.endpoints",
        Kind::Whole(0, MOST_THINGS),
        "Most endpoints of an account: those that it registered and those of its default webhooks; 0 is no limit.",
    ),
    plain("quota.keys", Kind::Whole(0, MOST_THINGS), "Most API keys of an account that work; 0 is no limit."),
    plain("quota.origins", Kind::Whole(0, MOST_THINGS), "Most origins of an account; 0 is no limit."),
    plain(
        "quota.secrets",
        Kind::Whole(0, MOST_THINGS),
        "Most secrets of an account that sign, those of its endpoints and of rotations that are not over included; 0 is no limit.",
    ),
    plain(
        "quota.upload_bytes",
        Kind::Whole(0, PETABYTE),
        "Most bytes that the uploads of an account take until they are removed, whether a job read them or not; each counts for 4096 bytes at least. 0 is no limit.",
    ),
    plain(
        "quota.queued_jobs",
        Kind::Whole(0, MOST_THINGS),
        "Most jobs of an account that wait: queued, drafts, and those that ask for confirmation; 0 is no limit.",
    ),
    plain(
        "quota.event_deliveries_per_minute",
        Kind::Whole(0, MOST_THINGS),
        "Most deliveries that the events make that an account publishes in a minute, one for each event and each endpoint that wants it; 0 is no limit.",
    ),
    plain("delivery.in_flight", Kind::Whole(1, 65_536), "Webhook requests at once, over all endpoints."),
    plain(
        "delivery.client_certificate",
        Kind::Text(&form::PATH),
        "PEM file of the certificate, followed by its chain, that is shown to receivers of webhooks that demand a client certificate. It is read when the server starts.",
    ),
    plain("delivery.client_key", Kind::Text(&form::PATH), "PEM file of its private key, without a passphrase."),
    plain(
        "retention.keep_days",
        Kind::Whole(1, 3650),
        "How long deliveries, with their attempts and what receivers answered, and events, with their bodies, are kept after they ended. An account may want less. Held deliveries count from when they were made.",
    ),
    plain("egress.allow_http", Kind::Switch, "Whether webhooks and downloads may use plain HTTP."),
    plain(
        "egress.allow",
        Kind::Texts(&form::ALLOWANCE),
        "Addresses that webhooks and downloads may reach though they are not public: blocks with ports, such as `10.0.0.0/8:8000-9000`.",
    ),
    plain(
        "egress.extra_roots",
        Kind::Texts(&form::PATH),
        "PEM files of certificates that webhooks and downloads trust besides the system's, such as the root of a private authority. They are read when the server starts.",
    ),
    plain(
        "links.keep_days",
        Kind::Whole(1, 3650),
        "How long a link to a result works; a fresh one is shown whenever the job is asked for.",
    ),
    plain(
        "api.max_body_bytes",
        Kind::Whole(1024, 1 << 30),
        "Largest JSON body of a request, in bytes; uploads have their own limit.",
    ),
    plain(
        "api.max_connections",
        Kind::Whole(1, 1 << 20),
        "HTTP connections at once. Where all are taken, the one that has been idle for longest is closed for the next; while all are busy, only `/healthz` and `/readyz` are answered.",
    ),
    plain(
        "api.max_connections_per_address",
        Kind::Whole(0, 1 << 20),
        "HTTP connections at once from one address (of IPv6, one /64 network); 0 is a quarter of `api.max_connections`. Behind a proxy, all come from its address.",
    ),
    plain(
        "api.max_streams_per_account",
        Kind::Whole(1, 1 << 20),
        "Streams of events that an account may have open at once.",
    ),
    plain(
        "api.write_stall_seconds",
        Kind::Whole(1, DAY),
        "How long a caller may read nothing of an answer before the connection is closed.",
    ),
    plain(
        "api.allowed_hosts",
        Kind::Texts(&form::HOST),
        "Names by which the server may be called while it answers without a key (`open`), beside addresses, localhost and the host of `public_url`; pages of these may call it too.",
    ),
    plain(
        "api.resends_per_minute",
        Kind::Whole(1, 1_000_000),
        "Deliveries that an account may resend, replay or cancel in a minute.",
    ),
    plain(
        "api.recoveries_per_minute",
        Kind::Whole(1, 1_000_000),
        "How often an account may ask in a minute that an endpoint is sent again what it missed.",
    ),
    plain("api.tests_per_minute", Kind::Whole(1, 1_000_000), "How often an account may test an endpoint in a minute."),
    plain("price.currency", Kind::Text(&form::CURRENCY), "What estimates and costs are in: three letters of ISO 4217."),
    plain(
        "price.per_minute",
        Kind::Number(0.0, MOST_MONEY),
        "One minute of 1080p H.264 at 30 frames a second in the standard tier. What an output costs is this times its minutes, its frames a second / 30, and the factors below.",
    ),
    flagged(
        "services.listen",
        Kind::Texts(&form::SERVICE),
        "--service",
        "Services that are served at the root of a listener of their own, besides their path below the main one: \
        `xora=127.0.0.1:9001`. For clients whose base URL has no room for a path.",
    ),
    plain("price.codecs", Kind::Numbers(4), "Factors of h264, h265, vp9 and av1."),
    plain("price.sizes", Kind::Numbers(6), "Factors of 480p, 720p, 1080p, 1440p, 2160p and 4320p."),
    plain("price.tiers", Kind::Numbers(3), "Factors of the tiers economy, standard and premium."),
    flagged(
        "open",
        Kind::Words(&["clipzy"]),
        "--open",
        "Services that answer callers without a key, as the first account; on loopback only, unless `open_to_network` is set. Clipzy's clients send none.",
    ),
    plain(
        "open_to_network",
        Kind::Switch,
        "Whether what is opened by `open` is open on every address. Only behind a proxy that asks who callers are.",
    ),
    plain("clipzy.max_upload_bytes", Kind::Whole(1, PETABYTE), "Largest upload by Clipzy's API, in bytes."),
    plain(
        "removebgvideo.models",
        Kind::Texts(&form::NAMED),
        "What RemoveBGVideo's names of models stand for: `NAME=MODEL`, or `NAME=MODEL:REFINE` with how its matte is refined (`none`, `fast`, `full`). `chroma` and `auto` are built in; other models are files. A name that is not here, and is not an installed model, is refused.",
    ),
    plain(
        "removebgvideo.credits_per_minute",
        Kind::Texts(&form::CREDITS),
        "Credits for a minute of video by RemoveBGVideo's API: `NAME=CREDITS`. A name that is not here costs as `original` does. Only accounts that were granted credits run out of them.",
    ),
];

impl Setting {
    /// Its name in the environment: `REELHOOK_WORKER_SLOTS`.
    pub(crate) fn env(&self) -> String {
        format!("REELHOOK_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// What it may be, in words.
    pub(crate) fn allowed(&self) -> String {
        match self.kind {
            Kind::Text(form) => form.allowed(),
            Kind::Switch => "true or false".to_owned(),
            Kind::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Number(least, most) => format!("a number from {least} to {most}"),
            Kind::Numbers(count) => format!("a list of {count} numbers from 0 to {MOST_FACTOR}"),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Words(words) => format!("a list of {}", words.join(", ")),
            Kind::Texts(form) => format!("a list, each of which is {}", form.allowed()),
        }
    }

    /// Whether it may be that.
    pub(crate) fn allows(&self, value: &Value) -> bool {
        let is_word = |value: &Value, words: &[&str]| value.as_str().is_some_and(|word| words.contains(&word));
        match self.kind {
            Kind::Text(form) => value.as_str().is_some_and(form.is),
            Kind::Switch => value.to_bool().is_some(),
            Kind::Whole(least, most) => value
                .to_i128()
                .or_else(|| value.to_u128().and_then(|number| i128::try_from(number).ok()))
                .is_some_and(|number| (i128::from(least)..=i128::from(most)).contains(&number)),
            Kind::Number(least, most) => is_number(value, least, most),
            Kind::Numbers(count) => value.as_array().is_some_and(|values| {
                values.len() == count && values.iter().all(|value| is_number(value, 0.0, MOST_FACTOR))
            }),
            Kind::Word(words) => is_word(value, words),
            Kind::Words(words) => {
                value.as_array().is_some_and(|values| values.iter().all(|value| is_word(value, words)))
            }
            Kind::Texts(form) => {
                value.as_array().is_some_and(|values| values.iter().all(|value| value.as_str().is_some_and(form.is)))
            }
        }
    }

    /// That value as an error may show it: of a list, the first item that is not allowed.
    pub(crate) fn shown(&self, value: &Value) -> String {
        let spelled = |value: &Value| serde_json::to_string(value).unwrap_or_default();
        let formed = |form: &Form, value: &Value| value.as_str().map_or_else(|| spelled(value), form.shown);
        match (self.kind, value.as_array()) {
            (Kind::Text(form), _) => formed(form, value),
            (Kind::Texts(form), Some(values)) => {
                let wrong = values.iter().find(|value| !value.as_str().is_some_and(form.is));
                wrong.map_or_else(|| spelled(value), |wrong| formed(form, wrong))
            }
            // Of something else no more is shown than its kind, for it may be a secret.
            (Kind::Texts(_), None) => "not a list".to_owned(),
            _ => spelled(value),
        }
    }

    /// What a text of the environment or of a flag says; the text itself where it says nothing allowed.
    pub(crate) fn read(&self, text: &str) -> Value {
        match self.kind {
            Kind::Text(_) | Kind::Word(_) => Value::from(text),
            Kind::Switch => match text {
                "true" | "1" => Value::from(true),
                "false" | "0" => Value::from(false),
                _ => Value::from(text),
            },
            Kind::Whole(..) => text.replace('_', "").parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
            Kind::Number(..) => text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from),
            Kind::Numbers(_) => {
                let number = |text: &str| text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from);
                Value::from(text.split(',').map(|part| number(part.trim())).collect::<Vec<_>>())
            }
            Kind::Words(_) | Kind::Texts(_) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::from(parts.map(Value::from).collect::<Vec<_>>())
            }
        }
    }
}

fn is_number(value: &Value, least: f64, most: f64) -> bool {
    let whole = || value.to_i128().or_else(|| i128::try_from(value.to_u128()?).ok()).map(|number| number as f64);
    value
        .to_num()
        .and_then(|number| number.to_f64())
        .or_else(whole)
        .is_some_and(|number| (least..=most).contains(&number))
}

/// The setting of that key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
