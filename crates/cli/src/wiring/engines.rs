//! One engine each: from settings to a task.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reelhook_api::{ByHandRates, Desk, Hosts, Limits, Measures, Parts, Probe, Problem, Services};
use reelhook_delivery::{Engine, LinkTo, Retention, RetentionSettings};
use reelhook_dialects::Link;
use reelhook_dialects::removebgvideo::request::Terms;
use reelhook_domain::recipe::{AUTO, CHROMA};
use reelhook_egress::is_shortage;
use reelhook_media::archive::ArchiveLimits;
use reelhook_media::image::ImageLimits;
use reelhook_media::{Launcher, MediaError, Readers, ToolSettings, Toolbox, matte};
use reelhook_worker::{FetchLimits, PlanError, Planner, Tools, Worker, WorkerSettings};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Meters, Open, Part, Shared};
use crate::settings::{RemoveBgVideoSettings, Settings};

const HOUR: u64 = 3600;

/// How long the search for tools rests when the machine lacks what it takes.
const SHORTAGE_REST: Duration = Duration::from_secs(2);

/// Which tools are used, and how: this program is its own launcher.
pub(crate) fn tool_settings(settings: &Settings) -> anyhow::Result<ToolSettings> {
    let media = &settings.media;
    let program = std::env::current_exe().context("this program cannot be found, to start it as a launcher")?;
    let defaults = ToolSettings::new(Launcher { program, args: vec!["sandbox-exec".into()] });
    Ok(ToolSettings {
        ffmpeg: (&media.ffmpeg).into(),
        ffprobe: (&media.ffprobe).into(),
        heif_convert: (&media.heif_convert).into(),
        sandbox: settings.sandbox(),
        threads: media.threads,
        compare: media.compare,
        stall: Duration::from_secs(media.stall_seconds),
        models: media.models.clone().unwrap_or_else(|| settings.data.join("models")),
        limits: reelhook_media::Limits {
            pixels: media.max_pixels,
            duration: Duration::from_secs(media.max_duration_seconds),
            frame_rate: media.max_frame_rate.into(),
            streams: media.max_streams,
            chapters: media.max_chapters,
            memory_bytes: if media.max_memory_bytes == 0 {
                defaults.limits.memory_bytes
            } else {
                media.max_memory_bytes
            },
            output_bytes: media.max_output_bytes,
            wall_cap: Duration::from_secs(media.max_wall_seconds),
            processes: media.max_processes,
            ..defaults.limits
        },
        ..defaults
    })
}

/// Answers HTTP.
pub(super) fn api(
    parts: &mut JoinSet<Part>,
    settings: &Settings,
    shared: &Shared,
    listeners: Vec<Open>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let desk = Desk::new(Parts {
        store: shared.store.clone(),
        files: shared.files.clone(),
        links: shared.links.clone(),
        link_to: link_to(settings, shared),
        policy: settings.policy(),
        egress: shared.egress.clone(),
        planner: planner(settings, shared, stop)?,
        prices: settings.price.clone(),
        ambient: shared.ambient.clone(),
        limits: Limits {
            body_bytes: settings.api.max_body_bytes,
            upload_bytes: settings.upload.max_bytes,
            upload_keep: Duration::from_secs(settings.upload.keep_hours * HOUR),
            links_keep: Duration::from_secs(settings.links.keep_days * 24 * HOUR),
            connections: shared.share.connections,
            connections_of_address: match settings.api.max_connections_per_address {
                0 => shared.share.connections.div_ceil(4),
                most => most,
            },
            streams_of_account: settings.api.max_streams_per_account,
            write_stall: Duration::from_secs(settings.api.write_stall_seconds),
            longest_wait: Duration::from_secs(settings.api.longest_wait_seconds),
            by_hand: ByHandRates {
                deliveries: settings.api.resends_per_minute,
                recoveries: settings.api.recoveries_per_minute,
                tests: settings.api.tests_per_minute,
            },
            keep_days: settings.retention.keep_days,
        },
        hosts: hosts(settings),
        services: services(settings, shared)?,
        measures: measures(shared),
        lookout: lookout(shared),
        tracer: shared.tracer.clone(),
    });
    for Open { face, listener, .. } in listeners {
        let serving = reelhook_api::serve(listener, desk.clone(), face, stop.clone());
        parts.spawn(async move { ("API", serving.await.map_err(Into::into)) });
    }
    Ok(())
}

/// Who may be called, where callers need no key.
fn hosts(settings: &Settings) -> Hosts {
    if settings.open.is_empty() {
        return Hosts::any();
    }
    let public = settings.public_url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
    Hosts::own(settings.api.allowed_hosts.iter().cloned().chain(public))
}

/// Asks the lanes of this process, where it delivers.
fn lookout(shared: &Shared) -> reelhook_api::Lookout {
    let lookout = Arc::clone(&shared.lookout);
    Arc::new(move |asked| {
        let lookout = Arc::clone(&lookout);
        Box::pin(async move { lookout.waits(asked).await })
    })
}

/// Reads what the engines of this process count.
fn measures(shared: &Shared) -> Measures {
    let Meters { worker, delivery } = shared.meters.clone();
    Arc::new(move || [worker.families(), delivery.families()].concat())
}

/// What only the services need of this machine.
fn services(settings: &Settings, shared: &Shared) -> anyhow::Result<Services> {
    let tools = tool_settings(settings)?;
    let folder = tools.models.clone();
    let RemoveBgVideoSettings { models, credits_per_minute } = settings.removebgvideo.clone();
    let terms = move || Terms {
        models: models.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect(),
        installed: installed(&folder),
        credits_per_minute: credits_per_minute.iter().map(|pair| (pair.name.clone(), pair.value)).collect(),
    };
    Ok(Services {
        removebgvideo: Arc::new(terms),
        probe: probe(tools, shared.files.scratch().to_owned()),
        open: settings.open.clone(),
        clipzy_upload_bytes: settings.clipzy.max_upload_bytes,
    })
}

/// The models that work: those that are built in, and those that are files.
fn installed(folder: &Path) -> Vec<String> {
    let files = matte::installed(folder).unwrap_or_else(|error| {
        tracing::warn!(%error, folder = %folder.display(), "the folder of models cannot be read");
        Vec::new()
    });
    [AUTO, CHROMA].map(str::to_owned).into_iter().chain(files).collect()
}

/// Looks at files with the tools of this machine, which are looked for once, when the first file comes.
fn probe(tools: ToolSettings, scratch: PathBuf) -> Probe {
    let found: Arc<OnceCell<Option<Toolbox>>> = Arc::default();
    Arc::new(move |path| {
        let (tools, scratch, found) = (tools.clone(), scratch.clone(), Arc::clone(&found));
        Box::pin(async move {
            let toolbox = found.get_or_init(|| async { Toolbox::detect(tools).await.ok() }).await;
            let Some(toolbox) = toolbox else { return Ok(None) };
            // What the tool may write to has nothing in it.
            let Ok(folder) = TempDir::with_prefix_in("look-", &scratch) else { return Ok(None) };
            match toolbox.probe(&path, folder.path()).await {
                Ok(source) => Ok(Some(source.info)),
                Err(error) => match error.failure() {
                    Some(failure) => Err(failure.clone()),
                    None => Ok(None),
                },
            }
        })
    })
}

/// Finds out what would become of jobs, with the tools of this machine, which are looked for once, when first asked.
fn planner(settings: &Settings, shared: &Shared, stop: &CancellationToken) -> anyhow::Result<reelhook_api::Planner> {
    let (tools, settings) = (tool_settings(settings)?, worker_settings(settings));
    let (shared, stop, found) = (shared.clone(), stop.clone(), Arc::<OnceCell<Planner>>::default());
    Ok(Arc::new(move |job, fetch_headers| {
        let (tools, settings) = (tools.clone(), settings.clone());
        let (shared, stop, found) = (shared.clone(), stop.clone(), Arc::clone(&found));
        Box::pin(async move {
            let begin = async || {
                let toolbox = find_tools(tools).await.unwrap_or_else(|error| {
                    tracing::error!(%error, "plans cannot be made");
                    None
                });
                let Shared { store, files, egress, readers, ambient, .. } = shared;
                Planner::new(store, files, egress, Tools { toolbox, readers }, ambient, settings, stop)
            };
            let planner = found.get_or_init(begin).await;
            planner.outline(&job, &fetch_headers).await.map_err(|error| match error {
                PlanError::Busy | PlanError::Short => Problem::unavailable("planning_busy", error.to_string()),
                PlanError::Stopping => Problem::unavailable("draining", error.to_string()),
                PlanError::Store(error) => error.into(),
            })
        })
    }))
}

/// Works on jobs, once it is known what the tools of this machine can do.
pub(super) fn worker(
    parts: &mut JoinSet<Part>,
    settings: &Settings,
    shared: &Shared,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (tools, settings) = (tool_settings(settings)?, worker_settings(settings));
    let Shared { store, files, egress, readers, ambient, meters, tracer, .. } = shared.clone();
    parts.spawn(async move {
        let found = tokio::select! {
            found = find_tools(tools) => found,
            () = stop.cancelled() => return ("worker", Ok(())),
        };
        match found {
            Ok(toolbox) => {
                let worker = Worker::new(store, files, egress, Tools { toolbox, readers }, ambient, settings);
                worker.metered(meters.worker).traced(tracer).run(stop).await;
            }
            Err(error) => return ("worker", Err(error)),
        }
        ("worker", Ok(()))
    });
    Ok(())
}

fn worker_settings(settings: &Settings) -> WorkerSettings {
    let defaults = WorkerSettings::default();
    WorkerSettings {
        slots: if settings.worker.slots == 0 { defaults.slots } else { settings.worker.slots },
        claims_before_giving_up: settings.worker.claims_before_giving_up,
        fetch: FetchLimits {
            bytes: settings.fetch.max_bytes,
            deadline: Duration::from_secs(settings.fetch.deadline_seconds),
            stall: Duration::from_secs(settings.fetch.stall_seconds),
            ..defaults.fetch
        },
        prices: settings.price.clone(),
        scratch_bytes: settings.media.max_scratch_bytes,
        ..defaults
    }
}

/// What reads strangers' pictures and archives.
pub(crate) fn readers(settings: &Settings) -> anyhow::Result<Readers> {
    let image = ImageLimits {
        pixels: settings.image.max_pixels,
        frames: settings.image.max_frames,
        animation_pixels: settings.image.max_animation_pixels,
        input_bytes: settings.image.max_bytes,
        memory_bytes: settings.image.memory_bytes,
        time: Duration::from_secs(settings.image.deadline_seconds),
        threads: settings.image.threads,
        ..ImageLimits::default()
    };
    let archive = ArchiveLimits {
        entries: settings.archive.max_members,
        bytes: settings.archive.max_bytes,
        ratio: settings.archive.max_ratio,
        depth: settings.archive.max_depth,
        ..ArchiveLimits::default()
    };
    Ok(Readers::new(tool_settings(settings)?, image, archive)?)
}

/// Without ffmpeg the server stays up and tells each caller so; without a sandbox that is required it does not.
async fn find_tools(tools: ToolSettings) -> anyhow::Result<Option<Toolbox>> {
    match Toolbox::detect(tools.clone()).await {
        Ok(toolbox) => {
            let found = toolbox.capabilities();
            tracing::info!(ffmpeg.version = %found.version, "ffmpeg is ready");
            for layer in found.layers.missing() {
                tracing::warn!(layer = &*layer, "the sandbox lacks a layer; `reelhook doctor` says what to do");
            }
            Ok(Some(toolbox))
        }
        Err(error @ MediaError::ToolMissing { .. }) => {
            tracing::error!(%error, "jobs will fail until ffmpeg is installed and the server is restarted");
            Ok(None)
        }
        Err(error @ MediaError::Sandbox { .. }) => Err(anyhow::Error::from(error).context(
            "ffmpeg does not run without its sandbox; `reelhook doctor` says what this machine lacks. To use the layers that the kernel has, set media.sandbox to auto",
        )),
        // What the machine lacks now it may have soon.
        Err(error) if is_shortage(&error) => {
            tracing::warn!(%error, "the tools cannot be checked yet; they are checked again");
            tokio::time::sleep(SHORTAGE_REST).await;
            Box::pin(find_tools(tools)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Delivers webhooks.
pub(super) fn delivery(parts: &mut JoinSet<Part>, settings: &Settings, shared: &Shared, stop: CancellationToken) {
    let link = link_to(settings, shared);
    let Shared { store, webhooks, ambient, meters, lookout, tracer, .. } = shared.clone();
    let keep = Duration::from_secs(u64::from(settings.retention.keep_days) * 24 * HOUR);
    let retention = RetentionSettings { keep, ..RetentionSettings::default() };
    let retention = Retention::new(Arc::clone(&store), ambient.clone(), retention);
    let settings = reelhook_delivery::Settings {
        in_flight: shared.share.in_flight,
        links_keep: Duration::from_secs(settings.links.keep_days * 24 * HOUR),
        ..reelhook_delivery::Settings::default()
    };
    let until = stop.clone();
    parts.spawn(async move {
        retention.run(until).await;
        ("retention", Ok(()))
    });
    let engine =
        Engine::new(store, webhooks, link, ambient, settings).metered(meters.delivery).watched(lookout).traced(tracer);
    parts.spawn(async move {
        engine.run(stop).await;
        ("delivery engine", Ok(()))
    });
}

/// Spells links that work for as long as the settings say from the moment they are made.
fn link_to(settings: &Settings, shared: &Shared) -> LinkTo {
    let keep = Duration::from_secs(settings.links.keep_days * 24 * HOUR);
    let Shared { links, ambient, .. } = shared.clone();
    Arc::new(move |link| {
        let expires = ambient.now() + keep;
        let url = match link {
            Link::Output { job, name } => links.output(job, name, expires),
            Link::File { job, output, path } => links.file(job, output, path, expires),
            Link::Dated { service, job, output, name } => links.dated(service.as_str(), job, output, name, expires),
            Link::Upload { upload, name } => links.upload(upload, name, expires),
        };
        url.into()
    })
}
