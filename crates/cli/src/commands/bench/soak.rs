//! Mixed load for many minutes, and what is left over of it: memory, descriptors, files, deliveries, jobs.
//!
//! # Theory of operation
//! The callers (`callers`) are busy for a minute that is not counted, then rest; then they are busy for as many minutes as
//! were asked for, and rest again. Memory is compared between the first and the last of those minutes, under the same load.
//! Descriptors are compared between the two rests, where a connection or a file that is still open has no reason to be.
//! Whether something was lost is asked of both sides: the receiver's count by number, and the server's own lists.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::delivery::rig::{PATIENCE, Rig};
use super::page::{Figure, Section, Target};
use crate::client::Api;
use crate::output;
use callers::Ground;

mod callers;

const MB: f64 = 1e6;
const MINUTE: Duration = Duration::from_secs(60);
/// How often memory is looked at, and the server in its rest.
const PACE: Duration = Duration::from_secs(1);
/// How long the server rests: longer than it keeps connections that nothing uses.
const REST: Duration = Duration::from_secs(45);
/// More memory than in the first minute that may be in use in the last.
const GROWTH: f64 = 1.1;
/// The states of jobs that have not ended.
const UNFINISHED: &str = "draft,queued,probing,awaiting_confirmation,processing";

/// Keeps a server busy for so many minutes and looks at what is left.
pub(super) async fn measure(minutes: u32) -> anyhow::Result<Section> {
    let mut rig = Rig::start().await?;
    let ground = Arc::new(Ground::prepare(&rig).await?);
    output::note("soak: a minute to warm up, then a rest");
    busy(&rig, &ground, 1, "warm-up").await?;
    let before = rest(&rig, &ground).await?;
    let memory = busy(&rig, &ground, minutes, &minutes.to_string()).await?;
    output::note("soak: the last rest");
    let after = rest(&rig, &ground).await?;
    for left in more(&before, &after) {
        output::note(format_args!("soak: open at the end and not before: {left}"));
    }
    let (first, last) = (memory.first().copied().unwrap_or(f64::NAN), memory.last().copied().unwrap_or(f64::NAN));
    let mut figures = vec![
        Figure::new("Memory (VmRSS), mean of the last minute", last, "MB", "of the first minute", first)
            .target(Target::Ratio(GROWTH)),
        Figure::new(
            "Descriptors at rest, after the load",
            after.len() as f64,
            "open",
            "before it",
            before.len() as f64,
        )
        .target(Target::Ratio(1.0)),
    ];
    figures.extend(left_over(&rig, &ground).await?);
    rig.server.stop().await?;
    Ok(Section { title: "Soak", figures, method: method(minutes, &ground) })
}

/// What must be nothing.
async fn left_over(rig: &Rig, ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let (api, tally) = (&rig.api, &ground.tally);
    let (mut undelivered, mut astray) = (0, 0);
    for endpoint in &ground.healthy {
        let all = count(api, "deliveries", &[("endpoint", endpoint)]).await?;
        undelivered += all - count(api, "deliveries", &[("endpoint", endpoint), ("state", "delivered")]).await?;
    }
    for (endpoint, accepted) in ground.dead() {
        let mut there = 0;
        for state in ["scheduled", "sending", "exhausted"] {
            there += count(api, "deliveries", &[("endpoint", endpoint), ("state", state)]).await?;
        }
        astray += accepted.abs_diff(there);
    }
    let lost = ground.expected().saturating_sub(rig.receiver.distinct());
    let log = fs::read_to_string(rig.data().with_extension("log"))?;
    let errors = log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).count();
    let none = |name: &str, value: usize, unit| Figure::alone(name, value as f64, unit).target(Target::Value(0.0));
    Ok(vec![
        none("Files in scratch", files(&rig.data().join("files/scratch"))?, "files"),
        none("Webhooks of accepted events that a healthy receiver did not get", lost, "webhooks"),
        none("Deliveries to healthy receivers that are not delivered", undelivered, "deliveries"),
        none("Deliveries to dead receivers that are neither scheduled nor exhausted", astray, "deliveries"),
        none("Jobs without an end", count(api, "jobs", &[("state", UNFINISHED)]).await?, "jobs"),
        none("Jobs that ended other than asked for", tally.failed.load(Ordering::Relaxed), "jobs"),
        none("Streams that outlived their key", tally.outlived.load(Ordering::Relaxed), "streams"),
        none("Errors in the server's log", errors, "lines"),
    ])
}

fn method(minutes: u32, ground: &Ground) -> Vec<String> {
    let tally = &ground.tally;
    let all = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::Relaxed);
    vec![
        format!(
            "A minute that is not counted, a rest of {} s once all work is done, {minutes} minutes of load, and another \
             rest. Memory is read from `/proc/PID/status` each second and compared between the first and the last of those \
             minutes. Descriptors are what `/proc/PID/fd` lists: the fewest in each of the two rests.",
            REST.as_secs()
        ),
        format!(
            "All in all: {} events in {} webhooks to healthy and slow receivers (one answers after a second), and as many \
             as one in a hundred each to one that accepts connections and never answers and to a port that is closed; {} \
             jobs of {} recipes over clips of 2 s, a tenth of them canceled, a third fetched, half erased; {} uploads \
             broken off in the middle; {} keys created and revoked while {} streams of theirs were open, and others \
             that their caller left.",
            all(&tally.events),
            ground.expected(),
            all(&tally.jobs),
            callers::RECIPES,
            all(&tally.broken_off),
            all(&tally.revoked),
            all(&tally.streams),
        ),
    ]
}

/// Keeps all callers busy for so many minutes; gives the megabytes of memory in the mean of each.
async fn busy(rig: &Rig, ground: &Arc<Ground>, minutes: u32, of: &str) -> anyhow::Result<Vec<f64>> {
    let stop = CancellationToken::new();
    let mut callers = callers::start(ground, &stop)?;
    let begun = Instant::now();
    let mut means = Vec::new();
    for minute in 1..=minutes {
        let mut samples = Vec::new();
        while begun.elapsed() < MINUTE * minute {
            tokio::select! {
                () = sleep(PACE) => samples.push(rig.server.resident_bytes()? as f64 / MB),
                Some(ended) = callers.join_next() => {
                    ended??;
                    bail!("a caller of the soak ended by itself");
                }
            }
        }
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        means.push(mean);
        let open = rig.server.descriptors()?.len();
        output::note(format_args!(
            "soak: minute {minute} of {of}: {mean:.1} MB, {open} descriptors, {}",
            ground.tally.in_words()
        ));
    }
    stop.cancel();
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(means)
}

/// Waits until all work is done, as long as it may take, and gives what was open when there was least within a rest.
async fn rest(rig: &Rig, ground: &Ground) -> anyhow::Result<Vec<String>> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE
        && (rig.receiver.distinct() < ground.expected() || count(&rig.api, "jobs", &[("state", UNFINISHED)]).await? > 0)
    {
        sleep(PACE).await;
    }
    let begun = Instant::now();
    let mut least = rig.server.descriptors()?;
    while begun.elapsed() < REST {
        sleep(PACE).await;
        let open = rig.server.descriptors()?;
        if open.len() < least.len() {
            least = open;
        }
    }
    Ok(least)
}

/// How many there are of what a list of the API gives, all pages together.
async fn count(api: &Api, list: &str, filter: &[(&str, &str)]) -> anyhow::Result<usize> {
    let (mut all, mut cursor) = (0, None);
    loop {
        let mut query = filter.to_vec();
        query.push(("limit", "100"));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = api.get(&[list], &query).await?;
        all += page[list].as_array().context("the list is missing")?.len();
        match &page["next_cursor"] {
            Value::String(next) => cursor = Some(next.clone()),
            _ => return Ok(all),
        }
    }
}

/// How many files are in folders of this one, at any depth. What lies in it itself are the locks of processes.
fn files(folder: &Path) -> anyhow::Result<usize> {
    let (mut folders, mut files) = (Vec::new(), 0);
    for entry in fs::read_dir(folder)? {
        folders.extend(Some(entry?.path()).filter(|path| path.is_dir()));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
            }
        }
    }
    Ok(files)
}

/// What is open after and was not before, each as often as it is more.
fn more<'a>(before: &[String], after: &'a [String]) -> Vec<&'a str> {
    // A socket has another number each time.
    let kind = |open: &'a str| open.split(":[").next().unwrap_or(open);
    let mut had: Vec<&str> = before.iter().map(|open| open.split(":[").next().unwrap_or(open)).collect();
    let mut new = Vec::new();
    for open in after.iter().map(|open| kind(open)) {
        match had.iter().position(|had| *had == open) {
            Some(at) => {
                had.swap_remove(at);
            }
            None => new.push(open),
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_by_its_kind() {
        let open = |all: &[&str]| all.iter().map(|open| (*open).to_owned()).collect::<Vec<_>>();
        let before = open(&["socket:[1]", "/data/reelhook.db", "pipe:[4]"]);
        let after = open(&["socket:[7]", "socket:[8]", "/data/reelhook.db", "/data/files/x"]);
        assert_eq!(more(&before, &after), ["socket", "/data/files/x"]);
        assert!(more(&after, &after).is_empty());
    }

    #[test]
    fn files_are_counted_at_any_depth_and_locks_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("1f/job/out")).unwrap();
        fs::write(folder.path().join("1f.lock"), "").unwrap();
        assert_eq!(files(folder.path()).unwrap(), 0);
        fs::write(folder.path().join("1f/half"), "x").unwrap();
        fs::write(folder.path().join("1f/job/out/half"), "x").unwrap();
        assert_eq!(files(folder.path()).unwrap(), 2);
    }
}
