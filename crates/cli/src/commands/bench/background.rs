//! Cutting people out: how long a frame takes, and whether the model's memory stays the same over a long clip.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Effort;
use super::media::{api, job, tool};
use super::page::{Figure, Section, Target, median};
use super::subject::{self, Subject};
use crate::commands::demo::clip;
use crate::commands::models;
use crate::settings::Settings;

const SECONDS: usize = 10;
/// Frames a second of the clip that the demo draws.
const RATE: usize = 25;
const MB: f64 = 1e6;
/// By how much the model's child may grow, in MB.
const GROWTH: f64 = 32.0;
/// When its memory is taken for what it needs.
const SETTLED: Duration = Duration::from_secs(10);

/// A format, the same encoder by hand, and the most milliseconds that a frame may take.
const FORMATS: [(&str, &str, f64); 3] = [
    ("mp4", "-c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p", 40.0),
    ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 7 -row-mt 1 -crf 20 -b:v 0 -pix_fmt yuva420p", 40.0),
    ("mov", "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le", 100.0),
];

pub(super) async fn measure(effort: Effort, models: &Path) -> anyhow::Result<Section> {
    let models = models::with_human(models)?;
    let (times, minutes) = (effort.pick(2, 3), effort.pick(1, 10));
    let folder = tempfile::tempdir()?;
    let tools = Settings::default();
    let clip = clip::person(&tools, folder.path(), SECONDS).await?;
    let setting = format!("media.models={}", models.display());
    let mut server = Subject::start_with(&folder.path().join("data"), &[&setting]).await?;
    let mut figures = Vec::new();
    for (format, encoder, most) in FORMATS {
        let outputs = outputs(format);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let ended = job(&api(&server)?, &clip, &outputs).await?;
            let wall = ended["outputs"][0]["receipt"]["wall_ms"].as_f64().context("a receipt lacks wall_ms")?;
            ours.push(wall / (SECONDS * RATE) as f64);
            let mut ffmpeg = tool(&tools.media.ffmpeg);
            ffmpeg.args("-nostdin -v error -y -i".split(' ')).arg(&clip).args(encoder.split(' '));
            ffmpeg.arg(folder.path().join("by-hand").with_extension(format));
            theirs.push(subject::run(ffmpeg).await?.wall.as_secs_f64() * 1e3 / (SECONDS * RATE) as f64);
        }
        let name = format!("A frame of 1280 x 720 cut out, to {format}");
        let figure = Figure::new(name, median(ours), "ms", "decoded and encoded without that", median(theirs));
        figures.push(figure.target(Target::Value(most)));
    }
    let long = looped(&tools, &clip, minutes * 60 / SECONDS).await?;
    let (settled, largest) = memory(&server, &long).await?;
    server.stop().await?;
    let name = format!("Memory of the model's child, at its largest in {minutes} min of 1280 x 720");
    figures.push(Figure::new(name, largest / MB, "MB", "after 10 s", settled / MB));
    figures.push(Figure::alone("by how much it grew", (largest - settled) / MB, "MB").target(Target::Value(GROWTH)));
    let method = vec![
        format!(
            "{SECONDS} s of a drawn person before a drawn room ({RATE} frames a second, with noise) go through \
             `remove_background` with the model `human`; the receipt's `wall_ms` for each frame, beside ffmpeg by hand with the \
             same encoder and without cutting out. In turns, {times} times, the median."
        ),
        format!(
            "Memory is what the child that runs the model has in RAM, looked at each second of a job of {minutes} min."
        ),
    ];
    Ok(Section { title: "Background removal", figures, method })
}

/// One output of the format; mp4 needs a colour behind the person.
fn outputs(format: &str) -> Value {
    let background = if format == "mp4" { json!({"type": "color", "color": "#2f6f8f"}) } else { Value::Null };
    json!([{"recipe": "remove_background", "model": "human", "format": format, "background": background}])
}

/// The clip, that many times.
async fn looped(tools: &Settings, clip: &Path, times: usize) -> anyhow::Result<PathBuf> {
    let long = clip.with_file_name("long.mp4");
    let mut ffmpeg = tool(&tools.media.ffmpeg);
    ffmpeg.args(["-nostdin", "-v", "error", "-stream_loop", &(times - 1).to_string(), "-i"]).arg(clip);
    ffmpeg.args(["-c", "copy"]).arg(&long);
    subject::run(ffmpeg).await?;
    Ok(long)
}

/// Bytes of the model's child in RAM: once it has what it needs, and at its largest after that.
async fn memory(server: &Subject, clip: &Path) -> anyhow::Result<(f64, f64)> {
    let outputs = outputs("mp4");
    let (mut settled, mut largest) = (None, 0);
    let watch = async {
        let mut seen = 0;
        loop {
            if let Some(bytes) = server.resident_bytes_of("--cutter")? {
                seen += 1;
                if seen >= SETTLED.as_secs() {
                    settled.get_or_insert(bytes);
                    largest = largest.max(bytes);
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let api = api(server)?;
    tokio::select! {
        ended = job(&api, clip, &outputs) => drop(ended?),
        failed = watch => return failed,
    }
    let settled = settled.context("the job was over before its memory could be looked at")?;
    Ok((settled as f64, largest as f64))
}
