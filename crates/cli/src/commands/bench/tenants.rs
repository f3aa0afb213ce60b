//! What one account at its worst costs another: in latency, and in what the other may have.
//!
//! # Theory of operation
//! One server, two accounts. The quiet one publishes an event each 10 ms and submits a small job now and then, alone and
//! beside the loud one, in turns. The loud one does all that its quotas let it, and goes on to ask for more: its queue is
//! full of jobs, its events go to receivers that are dead, slow, or read them as streams, of which it has as many as it
//! may, and it uploads without an end. The quotas are lower than the defaults, since those are meant for a larger machine
//! than one on which receiver and load run too; what they are is said with the figures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Effort;
use super::delivery::receiver::{Manner, Receiver};
use super::delivery::rig::{Rig, Tenant, latencies, percentile};
use super::page::{Figure, Section, Target, median};
use super::{media, pictures, scenes, subject};
use crate::client::{Api, Outbound};
use crate::{follow, output};

/// Between two events of the quiet account.
const PACE: Duration = Duration::from_millis(10);
/// Events of one turn.
const EVENTS: u32 = 2_000;
/// Between two jobs of the quiet account.
const JOB_PACE: Duration = Duration::from_millis(500);
/// How long the loud account has to fill what it may fill.
const FILL: Duration = Duration::from_secs(5);
/// How long the loud account waits after a refusal.
const REFUSED: Duration = Duration::from_millis(20);
/// How long it may take until nothing of the loud account is left to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the loud account may have.
const QUOTAS: [(&str, u64); 3] =
    [("queued_jobs", 200), ("event_deliveries_per_minute", 6_000), ("upload_bytes", 1 << 30)];
/// Streams of the loud account, the default of `api.max_streams_per_account`.
const STREAMS: usize = 256;
/// Events of one of its requests.
const BATCH: usize = 10;
/// Bytes of one of its uploads.
const UPLOAD: usize = 16 << 20;
const QUIET: &str = "bench.quiet";
const LOUD: [&str; 3] = ["bench.silent", "bench.slow", "bench.pulled"];

/// What the quiet account saw in one turn.
#[derive(Debug, Default)]
struct Seen {
    events: Vec<f64>,
    jobs: Vec<f64>,
}

/// The quiet account, and what it sends.
struct Quiet {
    tenant: Tenant,
    photo: Bytes,
}

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let turns = effort.pick(1, 3);
    let mut settings: Vec<_> = QUOTAS.iter().map(|(name, most)| format!("quota.{name}={most}")).collect();
    // All callers have one address here.
    settings.push("api.max_connections_per_address=4096".to_owned());
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let mut rig = Rig::start_with(&settings).await?;
    let [quiet, loud] = <[Tenant; 2]>::try_from(rig.tenants(2).await?).ok().context("two accounts were made")?;
    quiet.endpoint(&rig.receiver.listen(Manner::Answers)?, QUIET).await?;
    let quiet = Quiet { tenant: quiet, photo: photo(rig.folder.path()).await? };
    let loud = Arc::new(Loud::prepare(loud, rig.folder.path()).await?);
    output::note("tenants: the quiet account, not counted");
    turn(&mut rig, &quiet).await.context("the first turn, which is not counted")?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for number in 1..=turns {
        output::note(format_args!("tenants: turn {number} of {turns}, alone, then beside the loud account"));
        alone.push(turn(&mut rig, &quiet).await.context("alone")?);
        let mut noise = loud.begin().await?;
        sleep(FILL).await;
        beside.push(turn(&mut rig, &quiet).await.context("beside")?);
        noise.shutdown().await;
        loud.clear().await?;
    }
    rig.server.stop().await?;
    let figures = [("p50", 0.5), ("p99", 0.99)].map(|(name, part)| {
        // Of each turn its own, so that one bad moment of the disk is one turn's.
        let each = |turns: &[Seen]| median(turns.iter().map(|seen| percentile(&seen.events, part)).collect());
        let name = format!("Events of one account beside another at its worst, {name}");
        Figure::new(name, each(&beside), "ms", "alone", each(&alone)).target(Target::Ratio(1.2))
    });
    let jobs = |turns: &[Seen]| median(turns.iter().flat_map(|seen| seen.jobs.iter().copied()).collect());
    let mut figures = Vec::from(figures);
    figures.push(
        Figure::new(
            "Jobs of one account beside another at its worst, median",
            jobs(&beside),
            "ms",
            "alone",
            jobs(&alone),
        )
        .target(Target::Ratio(1.2)),
    );
    Ok(Section { title: "Tenants", figures, method: method(turns, &loud) })
}

fn method(turns: usize, loud: &Loud) -> Vec<String> {
    let quotas = QUOTAS.map(|(name, most)| format!("`quota.{name} = {most}`")).join(", ");
    vec![
        format!(
            "One server, two accounts, {turns} times in turns, the median of the turns. The quiet account publishes {EVENTS} \
             events, one each {} ms, to a receiver that answers, and submits a thumbnail of a photograph of 1920 x 1080 each \
             {} ms, for which it uploads the photograph again; `finished_at - created_at`. Nothing of it was refused.",
            PACE.as_millis(),
            JOB_PACE.as_millis(),
        ),
        "A job waits for a slot, of which there are half as many as cores; a job that runs is not interrupted for another \
         account's, so its wait is what the loud account's job has left. Its turn is the next one."
            .to_owned(),
        format!(
            "The loud account has {quotas}, and asks for more all the time: jobs that compress a video of 4 s, until its \
             queue is full; events in batches of {BATCH} from four callers to an endpoint that never answers, one that answers \
             after a second, and one that is read by {STREAMS} streams, as many as an account may have; uploads of {} MB, \
             two at a time. {} of its requests were accepted and {} refused.",
            UPLOAD >> 20,
            loud.count(true),
            loud.count(false),
        ),
    ]
}

/// One turn of the quiet account.
async fn turn(rig: &mut Rig, quiet: &Quiet) -> anyhow::Result<Seen> {
    let post = rig.post_as(&quiet.tenant, QUIET)?;
    let jobs = async {
        let (mut took, begun) = (Vec::new(), Instant::now());
        for number in 0.. {
            let at = begun + JOB_PACE * number;
            if at > begun + PACE * EVENTS {
                break;
            }
            tokio::time::sleep_until(at).await;
            took.push(quiet.job().await?);
        }
        anyhow::Ok(took)
    };
    let (events, jobs) = tokio::join!(rig.paced_posts(vec![post], EVENTS, PACE, EVENTS as usize), jobs);
    let (sent, arrivals) = events?;
    Ok(Seen { events: latencies(&sent, &arrivals), jobs: jobs? })
}

impl Quiet {
    /// Milliseconds of one job.
    async fn job(&self) -> anyhow::Result<f64> {
        let api = &self.tenant.api;
        let upload = upload(api, "photo.jpg", self.photo.clone()).await?;
        let job = json!({"input": {"upload": upload}, "outputs": [{"recipe": "thumbnail", "width": 640}]});
        let job = api.post(&["jobs"], &job).await?;
        let ended = follow::to_the_end(api, job["id"].as_str().context("a job has no id")?, |_| ()).await?;
        ensure!(ended["state"] == "completed", "a job of the quiet account is {}", ended["state"]);
        media::between(&ended)
    }
}

/// The account at its worst.
struct Loud {
    tenant: Tenant,
    receiver: Receiver,
    clip: PathBuf,
    accepted: std::sync::atomic::AtomicUsize,
    refused: std::sync::atomic::AtomicUsize,
}

impl Loud {
    async fn prepare(tenant: Tenant, folder: &Path) -> anyhow::Result<Self> {
        let clip = folder.join("clip.mp4");
        let mut ffmpeg = subject::command(Path::new("ffmpeg"));
        let line = "-nostdin -hide_banner -v error -f lavfi -i testsrc2=size=640x360:rate=30:duration=4 -c:v libx264 -preset \
                    ultrafast -pix_fmt yuv420p";
        ffmpeg.args(line.split_whitespace()).arg(&clip);
        subject::run(ffmpeg).await.context("ffmpeg made no clip")?;
        Ok(Self { tenant, receiver: Receiver::start()?, clip, accepted: 0.into(), refused: 0.into() })
    }

    fn count(&self, accepted: bool) -> usize {
        let count = if accepted { &self.accepted } else { &self.refused };
        count.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Notes an answer, and waits a moment after a refusal.
    async fn note<T>(&self, answer: anyhow::Result<T>) {
        let count = if answer.is_ok() { &self.accepted } else { &self.refused };
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if answer.is_err() {
            sleep(REFUSED).await;
        }
    }

    /// Begins with all of it at once; it ends when what is given is dropped.
    async fn begin(self: &Arc<Self>) -> anyhow::Result<JoinSet<()>> {
        let api = &self.tenant.api;
        self.tenant.endpoint(&self.receiver.listen(Manner::Silent)?, LOUD[0]).await?;
        self.tenant.endpoint(&self.receiver.listen(Manner::Slow)?, LOUD[1]).await?;
        let pulled = api.post(&["endpoints"], &json!({"pull": true, "events": [LOUD[2]]})).await?;
        let pulled = pulled["id"].as_str().context("an endpoint has no id")?.to_owned();
        let source = upload(api, "clip.mp4", std::fs::read(&self.clip)?.into()).await?;
        let job = json!({"input": {"upload": source}, "outputs": [{"recipe": "compress"}]});
        let events: Vec<_> = (0..BATCH)
            .map(|event| json!({"type": LOUD[event % LOUD.len()], "payload": {"x": "x".repeat(1000)}}))
            .collect();
        let events = json!({"events": events});
        let bytes = Bytes::from(vec![b'x'; UPLOAD]);

        let mut all = JoinSet::new();
        for _ in 0..STREAMS {
            let mut stream = api.open_stream(&["endpoints", &pulled, "events"], "").await?;
            all.spawn(async move { while let Some(Ok(_)) = stream.body.next().await {} });
        }
        let loud = self.clone();
        all.spawn(async move {
            loop {
                loud.note(loud.tenant.api.post(&["jobs"], &job).await).await;
            }
        });
        for _ in 0..4 {
            let (loud, events) = (self.clone(), events.clone());
            all.spawn(async move {
                loop {
                    loud.note(loud.tenant.api.post(&["events"], &events).await).await;
                }
            });
        }
        for _ in 0..2 {
            let (loud, bytes) = (self.clone(), bytes.clone());
            all.spawn(async move {
                loop {
                    loud.note(upload(&loud.tenant.api, "large.bin", bytes.clone()).await).await;
                }
            });
        }
        Ok(all)
    }

    /// Ends all that is left of it, so that the other account is alone again.
    async fn clear(&self) -> anyhow::Result<()> {
        let api = &self.tenant.api;
        let begun = Instant::now();
        let endpoints = api.get(&["endpoints"], &[("limit", "100")]).await?;
        for endpoint in endpoints["endpoints"].as_array().into_iter().flatten() {
            api.delete(&["endpoints", endpoint["id"].as_str().unwrap_or_default()]).await?;
        }
        loop {
            let jobs = api.get(&["jobs"], &[("state", "queued,probing,processing"), ("limit", "100")]).await?;
            let jobs = jobs["jobs"].as_array().context("the list is missing")?.clone();
            if jobs.is_empty() {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "jobs of the loud account do not end");
            for job in jobs {
                // It may have ended meanwhile.
                let _ = api.post(&["jobs", job["id"].as_str().unwrap_or_default(), "cancel"], &json!({})).await;
            }
        }
    }
}

/// Uploads bytes; gives the id of the upload.
async fn upload(api: &Api, name: &str, bytes: Bytes) -> anyhow::Result<Value> {
    let length = Some(bytes.len() as u64);
    let stream = futures::stream::iter([Ok(bytes)]).boxed();
    Ok(api.upload(Outbound { name: name.to_owned(), length, stream }).await?["id"].clone())
}

/// A photograph, as the quiet account uploads it.
async fn photo(folder: &Path) -> anyhow::Result<Bytes> {
    let (size, path) = ((1920, 1080), folder.join("photo.jpg"));
    pictures::write(&scenes::photo(7, size), size, &["-q:v", "2"], &path).await?;
    Ok(std::fs::read(path)?.into())
}
