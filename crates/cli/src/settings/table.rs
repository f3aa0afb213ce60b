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
        "Address and port to listen on, or a socket such as `unix:/run/reelhook/api.sock`. Port 0 is any free port; \
         `:8080` is every address. A socket that systemd passes (`LISTEN_FDS`) replaces it.",
    ),
    plain(
        "socket_mode",
        Kind::Text(&form::MODE),
        "Permissions of the Unix sockets of `listen` and `services.listen`, as for `chmod`: with `660`, the user and \
         the group of the server may connect.",
    ),
    flagged(
        "data",
        Kind::Text(&form::PATH),
        "--data",
        "Data folder: database, files, master key. Created if it is missing.",
    ),
    flagged(
        "dev",
        Kind::Switch,
        "--dev",
        "Development mode, for your own machine only: webhooks and downloads may use plain HTTP and reach loopback. \
         The server listens on loopback only.",
    ),
    flagged(
        "public_url",
        Kind::Text(&form::BASE_URL),
        "--public-url",
        "URL that callers put before `/v1`, such as `https://media.example.com`. Links to results start with it. By \
         default the address that the server listens on.",
    ),
    flagged("roles", Kind::Words(&["api", "worker", "delivery"]), "--roles", "Roles of this process."),
    flagged(
        "log",
        Kind::Text(&form::LEVELS),
        "--log",
        "Log level, or levels by component such as `info,reelhook_worker=debug`. `RUST_LOG` is used if it is not set.",
    ),
    flagged("log_format", Kind::Word(&["text", "json"]), "--log-format", "Format of the log lines on stderr."),
    plain(
        "telemetry.otlp_endpoint",
        Kind::Text(&form::BASE_URL),
        "URL of a collector that accepts traces over OTLP/HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is \
         appended. Without it there are no traces.",
    ),
    plain(
        "telemetry.otlp_headers",
        Kind::Texts(&form::HEADER),
        "Headers for the collector, as `NAME=VALUE`, such as its API key.",
    ),
    plain(
        "worker.slots",
        Kind::Whole(0, 256),
        "Number of jobs that run at once; 0 is half of the cores, because an encoder uses several.",
    ),
    plain(
        "worker.claims_before_giving_up",
        Kind::Whole(1, 100),
        "Number of times that a job may start and be interrupted by a crash of the server before it is failed.",
    ),
    plain("fetch.max_bytes", Kind::Whole(1, PETABYTE), "Largest download of an input, in bytes."),
    plain("fetch.deadline_seconds", Kind::Whole(1, 7 * DAY), "Time for one download, from DNS to the last byte."),
    plain("fetch.stall_seconds", Kind::Whole(1, DAY), "Longest gap between two bytes of a download."),
    plain("upload.max_bytes", Kind::Whole(1, PETABYTE), "Largest upload, in bytes."),
    plain(
        "upload.keep_hours",
        Kind::Whole(1, 8760),
        "Time for which an upload is kept. An upload that a job reads is kept until the job has ended.",
    ),
    plain(
        "media.ffmpeg",
        Kind::Text(&form::PATH),
        "The program ffmpeg (5.1 to 9): a path, or a name to look up in `PATH`.",
    ),
    plain("media.ffprobe", Kind::Text(&form::PATH), "The program ffprobe: a path, or a name to look up in `PATH`."),
    plain(
        "media.heif_convert",
        Kind::Text(&form::PATH),
        "The program heif-convert (or heif-dec), which decodes HEIC: a path, or a name to look up in `PATH`. It is \
         optional; without it, HEIC is refused.",
    ),
    plain(
        "media.models",
        Kind::Text(&form::PATH),
        "Folder of the models of `remove_background`: `NAME.onnx`, and `NAME.toml` if the model needs it. By default \
         `models` in the folder `data`.",
    ),
    plain(
        "media.compare",
        Kind::Switch,
        "Whether the frames and the audio of each result are compared with its source before it is accepted.",
    ),
    plain("media.threads", Kind::Whole(0, 1024), "Threads of one ffmpeg; 0 is one per core."),
    plain(
        "media.sandbox",
        Kind::Word(&["auto", "require", "off"]),
        "Sandbox of ffmpeg: `auto` uses every layer that the kernel has, `require` refuses to run \
         ffmpeg if a layer is missing, `off` uses none. By default `require`, or `auto` with `dev`. `reelhook doctor` shows the layers.",
    ),
    plain(
        "media.max_pixels",
        Kind::Whole(1, 1 << 40),
        "Largest frame of an input that ffmpeg reads, width times height.",
    ),
    plain("media.max_duration_seconds", Kind::Whole(1, 30 * DAY), "Longest input."),
    plain("media.max_frame_rate", Kind::Whole(1, 100_000), "Largest frame rate of an input, in frames per second."),
    plain("media.max_streams", Kind::Whole(1, 10_000), "Largest number of streams of an input, of any kind."),
    plain("media.max_chapters", Kind::Whole(1, 1_000_000), "Largest number of chapters of an input."),
    plain(
        "media.max_memory_bytes",
        Kind::Whole(0, PETABYTE),
        "Memory limit of one run of ffmpeg, in bytes; 0 is half of the memory of the machine or its control group, \
         at least 1 GiB. A run over the limit fails its output with `over_memory`.",
    ),
    plain(
        "media.max_output_bytes",
        Kind::Whole(1, PETABYTE),
        "Largest file that ffmpeg may write, in bytes. A run over the limit fails its output with `over_limit`.",
    ),
    plain(
        "media.max_wall_seconds",
        Kind::Whole(1, 30 * DAY),
        "Longest run of ffmpeg, regardless of the length of its input. A run over the limit fails its output with \
         `timed_out`.",
    ),
    plain(
        "media.max_processes",
        Kind::Whole(16, 1 << 22),
        "Largest number of processes and threads of one run of ffmpeg. Unless the server's user is root, the kernel \
         counts all processes of that user when a tool starts another one. A run over the limit fails its output with \
         `over_processes`.",
    ),
    plain(
        "media.max_scratch_bytes",
        Kind::Whole(1, PETABYTE),
        "Disk space for the temporary files of one job, in bytes: its downloads, and the files that tools write for \
         all of its outputs. A job over the limit is ended.",
    ),
    plain(
        "media.stall_seconds",
        Kind::Whole(1, DAY),
        "Time without progress after which ffmpeg is ended and tried once more.",
    ),
    plain(
        "image.max_pixels",
        Kind::Whole(1, GIGA),
        "Largest image that is processed without ffmpeg, width times height; the limit also holds for each frame of \
         an animation. An image takes up to 8 bytes of memory per pixel.",
    ),
    plain("image.max_frames", Kind::Whole(1, 100_000), "Largest number of frames of an animated image."),
    plain(
        "image.max_animation_pixels",
        Kind::Whole(1, 1000 * GIGA),
        "Largest number of pixels of all frames of an animated image together.",
    ),
    plain("image.max_bytes", Kind::Whole(1, 4 * GIGA), "Largest image file, in bytes; it is held in memory."),
    plain(
        "image.memory_bytes",
        Kind::Whole(0, PETABYTE),
        "Memory for all images in work together, in bytes, at about 16 bytes per pixel. An image waits until enough \
         is free; an image that needs more than the limit is rejected. 0 is a quarter of the machine's memory.",
    ),
    plain(
        "image.deadline_seconds",
        Kind::Whole(1, DAY),
        "Time for one image: after it, the encoder stops looking for a better result and starts no further frame.",
    ),
    plain("image.threads", Kind::Whole(0, 1024), "Threads for the encoding of one AVIF image; 0 is one per core."),
    plain(
        "archive.max_members",
        Kind::Whole(1, 1_000_000),
        "Largest number of members of an archive, folders included.",
    ),
    plain(
        "archive.max_bytes",
        Kind::Whole(1, PETABYTE),
        "Largest size of all members of an archive together, in bytes.",
    ),
    plain(
        "archive.max_ratio",
        Kind::Whole(1, 1_000_000),
        "Largest ratio of the unpacked size of an archive to its own size; it applies once 64 MiB were unpacked.",
    ),
    plain("archive.max_depth", Kind::Whole(0, 1000), "Largest number of folders above a member of an archive."),
    plain(
        "disk.reserve_bytes",
        Kind::Whole(0, PETABYTE),
        "Bytes of the disk that are reserved for the database, so that it can record jobs and deliveries when the \
         disk is nearly full. Before the reserve is touched, uploads and jobs are refused, and running jobs are \
         ended. By default 1 GiB or 2 % of the disk, whichever is less.",
    ),
    plain(
        "quota.endpoints",
        Kind::Whole(0, MOST_THINGS),
        "Largest number of endpoints of an account: registered endpoints and default webhooks; 0 means no limit.",
    ),
    plain(
        "quota.keys",
        Kind::Whole(0, MOST_THINGS),
        "Largest number of active API keys of an account; 0 means no limit.",
    ),
    plain("quota.origins", Kind::Whole(0, MOST_THINGS), "Largest number of origins of an account; 0 means no limit."),
    plain(
        "quota.secrets",
        Kind::Whole(0, MOST_THINGS),
        "Largest number of signing secrets of an account, including those of its endpoints and the old secrets of \
         open rotations; 0 means no limit.",
    ),
    plain(
        "quota.upload_bytes",
        Kind::Whole(0, PETABYTE),
        "Largest size of all uploads of an account together, in bytes. An upload counts until it is removed, and for \
         at least 4096 bytes. 0 means no limit.",
    ),
    plain(
        "quota.queued_jobs",
        Kind::Whole(0, MOST_THINGS),
        "Largest number of waiting jobs of an account: queued jobs, drafts, and jobs that wait for confirmation; 0 means no limit.",
    ),
    plain(
        "quota.event_deliveries_per_minute",
        Kind::Whole(0, MOST_THINGS),
        "Largest number of deliveries per minute for the events that an account publishes. Each event counts once \
         for each endpoint whose filter matches it. 0 means no limit.",
    ),
    plain("delivery.in_flight", Kind::Whole(1, 65_536), "Number of webhook requests at once, over all endpoints."),
    plain(
        "delivery.client_certificate",
        Kind::Text(&form::PATH),
        "PEM file of a client certificate, followed by its chain, for receivers of webhooks that demand one. It is \
         read when the server starts.",
    ),
    plain(
        "delivery.client_key",
        Kind::Text(&form::PATH),
        "PEM file of the private key of `delivery.client_certificate`, without a passphrase.",
    ),
    plain(
        "retention.keep_days",
        Kind::Whole(1, 3650),
        "Retention of deliveries (with their attempts and the receivers' answers) and events (with their bodies) \
         after they ended. Held deliveries count from their creation. An account may set a shorter time.",
    ),
    plain("egress.allow_http", Kind::Switch, "Whether webhooks and downloads may use plain HTTP."),
    plain(
        "egress.allow",
        Kind::Texts(&form::ALLOWANCE),
        "Addresses that webhooks and downloads may reach although they are not public: blocks with ports, such as \
         `10.0.0.0/8:8000-9000`.",
    ),
    plain(
        "egress.extra_roots",
        Kind::Texts(&form::PATH),
        "PEM files of root certificates that webhooks and downloads trust besides the system's, such as the root of \
         a private authority. They are read when the server starts.",
    ),
    plain(
        "links.keep_days",
        Kind::Whole(1, 3650),
        "Time for which a link to a result works. Every response that shows the job has a new link.",
    ),
    plain(
        "api.max_body_bytes",
        Kind::Whole(1024, 1 << 30),
        "Largest JSON body of a request, in bytes; uploads have their own limit.",
    ),
    plain(
        "api.max_connections",
        Kind::Whole(1, 1 << 20),
        "Number of HTTP connections at once. If all are taken, the one that has been idle for longest is closed; \
         while all are busy, only `/healthz` and `/readyz` respond.",
    ),
    plain(
        "api.max_connections_per_address",
        Kind::Whole(0, 1 << 20),
        "Number of HTTP connections at once from one address (for IPv6, one /64 network); 0 is a quarter of \
         `api.max_connections`. Behind a proxy, all connections have its address.",
    ),
    plain(
        "api.max_streams_per_account",
        Kind::Whole(1, 1 << 20),
        "Number of event streams that an account may have open at once.",
    ),
    plain(
        "api.write_stall_seconds",
        Kind::Whole(1, DAY),
        "Time without a read after which the connection of a caller that does not read its response is closed.",
    ),
    plain(
        "api.longest_wait_seconds",
        Kind::Whole(1, 60),
        "Longest time that a pull with `wait` waits for an event. Behind a proxy, less than the time after which the \
         proxy gives up on a response.",
    ),
    plain(
        "api.allowed_hosts",
        Kind::Texts(&form::HOST),
        "Host names that requests may use while the server works without API keys (`open`), besides IP addresses, \
         localhost and the host of `public_url`. Pages of these hosts may call the server too.",
    ),
    plain(
        "api.resends_per_minute",
        Kind::Whole(1, 1_000_000),
        "Number of deliveries that an account may resend, replay or cancel per minute.",
    ),
    plain(
        "api.recoveries_per_minute",
        Kind::Whole(1, 1_000_000),
        "Number of recoveries of endpoints that an account may request per minute.",
    ),
    plain(
        "api.tests_per_minute",
        Kind::Whole(1, 1_000_000),
        "Number of endpoint tests that an account may request per minute.",
    ),
    plain("price.currency", Kind::Text(&form::CURRENCY), "Currency of estimates and costs: three letters of ISO 4217."),
    plain(
        "price.per_minute",
        Kind::Number(0.0, MOST_MONEY),
        "Price of one minute of 1080p H.264 at 30 frames per second in the standard tier. The cost of an output is \
         this price times its minutes, its frames per second / 30, and the factors below.",
    ),
    flagged(
        "services.listen",
        Kind::Texts(&form::SERVICE),
        "--service",
        "Services with a listener of their own, at its root, in addition to their path below the main listener: \
         `xora=127.0.0.1:9001`. For clients whose base URL cannot have a path.",
    ),
    plain("price.codecs", Kind::Numbers(4), "Price factors of h264, h265, vp9 and av1."),
    plain("price.sizes", Kind::Numbers(6), "Price factors of 480p, 720p, 1080p, 1440p, 2160p and 4320p."),
    plain("price.tiers", Kind::Numbers(3), "Price factors of the tiers economy, standard and premium."),
    flagged(
        "open",
        Kind::Words(&["clipzy"]),
        "--open",
        "Services that accept requests without an API key, for the first account. The server then listens on \
         loopback only, unless `open_to_network` is set. Clipzy's clients send no key.",
    ),
    plain(
        "open_to_network",
        Kind::Switch,
        "Whether the services of `open` are open on every address. Set it only behind a proxy that authenticates \
         callers.",
    ),
    plain("clipzy.max_upload_bytes", Kind::Whole(1, PETABYTE), "Largest upload with Clipzy's API, in bytes."),
    plain(
        "removebgvideo.models",
        Kind::Texts(&form::NAMED),
        "Models for the model names of RemoveBGVideo's API, as `NAME=MODEL` or `NAME=MODEL:REFINE`, where `REFINE` is `none`, `fast` or \
         `full`. `chroma` and `auto` are built in; other models are files. A name that is neither here nor an installed model is \
         refused.",
    ),
    plain(
        "removebgvideo.credits_per_minute",
        Kind::Texts(&form::CREDITS),
        "Credits for a minute of video with RemoveBGVideo's API, as `NAME=CREDITS`. A name that is not here costs as \
         much as `original`. Only accounts that were granted credits can run out of them.",
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
