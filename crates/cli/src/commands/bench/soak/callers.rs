//! Those who keep the server busy: each a loop that ends after its present round once it is asked to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use reelhook_egress::Response;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::{Api, Outbound};
use crate::commands::bench::delivery::load::{self, Post};
use crate::commands::bench::delivery::receiver::Manner;
use crate::commands::bench::delivery::rig::Rig;
use crate::commands::bench::subject;
use crate::follow;

/// Between two events.
const PACE: Duration = Duration::from_millis(20);
/// The types of every hundred events, and how many of them have each.
const KINDS: [(&str, u32); 5] = [(HEALTHY, 90), (SLOW, 6), (SILENT, 1), (CLOSED, 1), (PULLED, 2)];
const HEALTHY: &str = "soak.healthy";
const SLOW: &str = "soak.slow";
const SILENT: &str = "soak.silent";
const CLOSED: &str = "soak.closed";
const PULLED: &str = "soak.pulled";
/// Endpoints of healthy events.
const HEALTHY_ENDPOINTS: u32 = 2;
/// Callers that submit jobs.
const SUBMITTERS: usize = 2;
/// Lists that are read at once: more than the server has connections to its database.
const LOOKS: usize = 8;
/// How long a stream may go on after its key was revoked.
const GRACE: Duration = Duration::from_secs(15);
/// Between two rounds of those who do not wait for anything.
const ROUND: Duration = Duration::from_millis(250);

/// What jobs ask for: the clip, and the recipe with its parameters.
const JOBS: [(&str, &str); 8] = [
    ("clip.mp4", r#"{"recipe": "thumbnail", "width": 160}"#),
    ("photo.jpg", r#"{"recipe": "image", "format": "webp"}"#),
    ("clip.mp4", r#"{"recipe": "compress", "crf": 32}"#),
    ("sound.m4a", r#"{"recipe": "waveform"}"#),
    ("clip.mp4", r#"{"recipe": "extract_audio", "format": "mp3"}"#),
    ("clip.mp4", r#"{"recipe": "sprite", "interval_seconds": 1, "width": 80}"#),
    ("sound.m4a", r#"{"recipe": "normalize_audio"}"#),
    ("clip.mp4", r#"{"recipe": "preview", "duration_seconds": 1, "segments": 2}"#),
];
/// How many recipes there are.
pub(super) const RECIPES: usize = JOBS.len();

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Events that were accepted.
    pub(super) events: AtomicUsize,
    /// Jobs that ended.
    pub(super) jobs: AtomicUsize,
    /// Jobs that did not end as asked for.
    pub(super) failed: AtomicUsize,
    /// Uploads whose caller left.
    pub(super) broken_off: AtomicUsize,
    /// Keys that were revoked.
    pub(super) revoked: AtomicUsize,
    /// Streams that were open when their key was revoked.
    pub(super) streams: AtomicUsize,
    /// Streams of which some part came after [`GRACE`] was over.
    pub(super) outlived: AtomicUsize,
}

impl Tally {
    /// For a line of progress.
    pub(super) fn in_words(&self) -> String {
        let [events, jobs, broken_off, revoked] =
            [&self.events, &self.jobs, &self.broken_off, &self.revoked].map(|count| count.load(Ordering::Relaxed));
        format!("{events} events, {jobs} jobs, {broken_off} uploads broken off, {revoked} keys revoked")
    }
}

/// What all callers share.
#[derive(Debug)]
pub(super) struct Ground {
    base: Url,
    key: String,
    /// A hundred, one for each event in turn.
    posts: Vec<Post>,
    clips: Vec<(&'static str, Bytes)>,
    /// The endpoints whose receivers answer.
    pub(super) healthy: Vec<String>,
    silent: String,
    closed: String,
    next: AtomicU32,
    pub(super) tally: Tally,
}

impl Ground {
    /// Registers the endpoints and makes the clips.
    pub(super) async fn prepare(rig: &Rig) -> anyhow::Result<Self> {
        let listen = |manner, path: u32| Ok::<_, anyhow::Error>(rig.receiver.listen(manner)?.join(&path.to_string())?);
        let mut healthy = Vec::new();
        for path in 1..=HEALTHY_ENDPOINTS {
            healthy.push(rig.endpoint(&listen(Manner::Answers, path)?, HEALTHY).await?);
        }
        healthy.push(rig.endpoint(&listen(Manner::Slow, HEALTHY_ENDPOINTS + 1)?, SLOW).await?);
        healthy.push(rig.endpoint(&listen(Manner::Answers, 0)?, "job.*").await?);
        // Given up soon, so that those that are exhausted make room for those that come.
        let silent = json!({"url": listen(Manner::Silent, 0)?, "events": [SILENT], "timeout_seconds": 1,
            "retry_seconds": [0, 1, 2]});
        let silent = rig.api.post(&["endpoints"], &silent).await?;
        let closed = rig.endpoint(&closed_port()?, CLOSED).await?;
        let mut posts = Vec::new();
        for (kind, count) in KINDS {
            posts.extend(std::iter::repeat_n(rig.post(&[kind])?, count as usize));
        }
        Ok(Self {
            base: rig.server.base.clone(),
            key: rig.key.clone(),
            posts,
            clips: clips(rig.folder.path()).await?,
            healthy,
            silent: silent["id"].as_str().context("an endpoint has no id")?.to_owned(),
            closed,
            next: AtomicU32::new(0),
            tally: Tally::default(),
        })
    }

    /// How many webhooks of accepted events come, each event once for each endpoint that answers.
    pub(super) fn expected(&self) -> usize {
        self.accepted(HEALTHY) * HEALTHY_ENDPOINTS as usize + self.accepted(SLOW)
    }

    /// The endpoints whose receivers are dead, with how many events were accepted for each.
    pub(super) fn dead(&self) -> [(&str, usize); 2] {
        [(&*self.silent, self.accepted(SILENT)), (&*self.closed, self.accepted(CLOSED))]
    }

    fn accepted(&self, kind: &str) -> usize {
        let of_a_hundred = KINDS.iter().find(|(name, _)| *name == kind).map_or(0, |(_, count)| *count as usize);
        self.tally.events.load(Ordering::Relaxed) / 100 * of_a_hundred
    }

    fn api(&self) -> anyhow::Result<Api> {
        Api::new(self.base.clone(), &self.key)
    }
}

/// Starts all callers.
pub(super) fn start(ground: &Arc<Ground>, stop: &CancellationToken) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut callers = JoinSet::new();
    callers.spawn(publish(ground.clone(), stop.clone()));
    for first in 0..SUBMITTERS {
        callers.spawn(submit(ground.clone(), ground.api()?, first, stop.clone()));
    }
    callers.spawn(break_off(ground.clone(), stop.clone()));
    callers.spawn(revoke(ground.clone(), ground.api()?, stop.clone()));
    callers.spawn(look(ground.api()?, stop.clone()));
    Ok(callers)
}

/// Publishes events of all kinds, a few hundred at a time.
async fn publish(ground: Arc<Ground>, stop: CancellationToken) -> anyhow::Result<()> {
    let count = ground.posts.len() as u32;
    while !stop.is_cancelled() {
        let first = ground.next.fetch_add(count, Ordering::Relaxed);
        let sent = load::open(ground.posts.clone(), first, count, PACE).await?;
        ensure!(sent.len() == ground.posts.len(), "{} of {count} events were accepted", sent.len());
        ground.tally.events.fetch_add(sent.len(), Ordering::Relaxed);
    }
    Ok(())
}

/// Uploads, submits, follows; then fetches or erases some of it.
async fn submit(ground: Arc<Ground>, api: Api, first: usize, stop: CancellationToken) -> anyhow::Result<()> {
    let mut round = first * JOBS.len() / SUBMITTERS;
    while !stop.is_cancelled() {
        let (clip, output) = JOBS[round % JOBS.len()];
        let output: Value = serde_json::from_str(output)?;
        let bytes = ground.clips.iter().find(|(name, _)| *name == clip).map(|(_, bytes)| bytes.clone());
        let bytes = bytes.context("there is such a clip")?;
        let length = Some(bytes.len() as u64);
        let stream = futures::stream::iter([Ok(bytes)]).boxed();
        let upload = api.upload(Outbound { name: clip.to_owned(), length, stream }).await?;
        let job = api.post(&["jobs"], &json!({"input": {"upload": upload["id"]}, "outputs": [output]})).await?;
        let id = job["id"].as_str().context("a job has no id")?;
        let is_canceled = round % 10 == 9;
        if is_canceled {
            // It may have ended already, which is refused.
            let _ = api.post(&["jobs", id, "cancel"], &json!({})).await;
        }
        let ended = follow::to_the_end(&api, id, |_| ()).await?;
        let state = ended["state"].as_str().unwrap_or_default();
        if state != "completed" && !(is_canceled && state == "canceled") {
            ground.tally.failed.fetch_add(1, Ordering::Relaxed);
            crate::output::note(format_args!("soak: {id} is {state}: {}", ended["error"]));
        }
        ground.tally.jobs.fetch_add(1, Ordering::Relaxed);
        if round.is_multiple_of(3) && state == "completed" {
            let name = ended["outputs"][0]["name"].as_str().context("an output has no name")?;
            drain(api.open_output(id, name).await?).await?;
        }
        if round.is_multiple_of(2) {
            api.delete(&["jobs", id]).await?;
        }
        round += 1;
    }
    Ok(())
}

/// Begins uploads and leaves in the middle, each time after another part.
async fn break_off(ground: Arc<Ground>, stop: CancellationToken) -> anyhow::Result<()> {
    let address = *ground.base.socket_addrs(|| None)?.first().context("the server has no address")?;
    let piece = vec![b'x'; 64 * 1024];
    for round in 0_usize.. {
        if stop.is_cancelled() {
            break;
        }
        let (path, headers, begin) = match round % 3 {
            0 => ("/v1/uploads?name=left.mp4", "content-length: 16777216", ""),
            1 => ("/v1/uploads?name=left.mp4", "transfer-encoding: chunked", "1000000\r\n"),
            _ => (
                "/compressor/1.0/upload",
                "content-type: multipart/form-data; boundary=cut\r\ncontent-length: 16777216",
                "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"left.jpg\"\r\n\r\n",
            ),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n{headers}\r\n\r\n{begin}",
            ground.key
        );
        #[expect(clippy::disallowed_methods, reason = "the address is this benchmark's own")]
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        for _ in 0..round * 7 % 61 {
            // What the server refuses meanwhile is broken off as well.
            if stream.write_all(&piece).await.is_err() {
                break;
            }
        }
        drop(stream);
        ground.tally.broken_off.fetch_add(1, Ordering::Relaxed);
        sleep(ROUND).await;
    }
    Ok(())
}

/// Creates keys, opens streams with them, and revokes them.
async fn revoke(ground: Arc<Ground>, api: Api, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let endpoint = api.post(&["endpoints"], &json!({"pull": true, "events": [PULLED]})).await?;
        let endpoint = endpoint["id"].as_str().context("an endpoint has no id")?;
        let made = api.post(&["keys"], &json!({"name": "soak"})).await?;
        let theirs = Api::new(ground.base.clone(), made["key"].as_str().context("a key has no text")?)?;
        let path = ["endpoints", endpoint, "events"];
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(theirs.open_stream(&path, "").await?);
        }
        // The first of them has something to read, and is left by its caller in the middle.
        let mut left = open.remove(0);
        let _ = timeout(GRACE, left.body.next()).await;
        drop(left);
        api.delete(&["keys", made["id"].as_str().context("a key has no id")?]).await?;
        ground.tally.revoked.fetch_add(1, Ordering::Relaxed);
        for stream in open {
            ground.tally.streams.fetch_add(1, Ordering::Relaxed);
            // That it breaks is an end as well.
            if timeout(GRACE, drain(stream)).await.is_err() {
                ground.tally.outlived.fetch_add(1, Ordering::Relaxed);
            }
        }
        api.delete(&["endpoints", endpoint]).await?;
        sleep(ROUND).await;
    }
    Ok(())
}

/// Reads lists and metrics, several at once.
async fn look(api: Api, stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let lists = ["jobs", "deliveries", "endpoints", "keys"].into_iter().cycle().take(LOOKS);
        for list in futures::future::join_all(lists.map(|list| read(&api, list))).await {
            list?;
        }
        sleep(ROUND).await;
    }
    Ok(())
}

async fn read(api: &Api, list: &str) -> anyhow::Result<()> {
    api.get(&[list], &[]).await.map(drop)
}

/// Reads an answer to its end.
async fn drain(mut response: Response) -> anyhow::Result<()> {
    while let Some(piece) = response.body.next().await {
        piece?;
    }
    Ok(())
}

/// A port of loopback where nothing listens.
fn closed_port() -> anyhow::Result<Url> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("there is no free port")?;
    Ok(Url::parse(&format!("http://{}/", listener.local_addr()?))?)
}

/// The clips that jobs read.
async fn clips(folder: &Path) -> anyhow::Result<Vec<(&'static str, Bytes)>> {
    let mut clips = Vec::new();
    for (name, line) in [
        (
            "clip.mp4",
            "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i sine=440:d=2 -c:v libx264 -preset ultrafast -pix_fmt \
             yuv420p -c:a aac -movflags +faststart",
        ),
        ("sound.m4a", "-f lavfi -i sine=440:d=2 -c:a aac"),
        ("photo.jpg", "-f lavfi -i testsrc2=s=640x360:d=1 -frames:v 1 -q:v 3"),
    ] {
        let path = folder.join(name);
        let mut ffmpeg = subject::command(Path::new("ffmpeg"));
        ffmpeg.args("-nostdin -hide_banner -v error".split(' ')).args(line.split_whitespace()).arg(&path);
        subject::run(ffmpeg).await.context("ffmpeg made no clip")?;
        clips.push((name, Bytes::from(std::fs::read(path)?)));
    }
    Ok(clips)
}
