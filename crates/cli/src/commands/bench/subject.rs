//! The server that is measured: this program in a process of its own, and what the kernel says of processes.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reelhook_egress::Request;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::client;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a server that is not ready is asked again.
const PACE: Duration = Duration::from_millis(1);
/// proc_pid_stat(5) counts in ticks; Linux shows 100 a second to programs on every architecture.
const TICKS_A_SECOND: f64 = 100.0;

/// A running server.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    /// Held open: a server whose stdout is gone complains.
    _said: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub(super) base: Url,
    /// The key it made at its first start.
    pub(super) key: Option<String>,
    /// From before the process was there to the first 200 of `/readyz`.
    pub(super) started_in: Duration,
}

impl Subject {
    /// Starts a server on `data`; its log goes beside that folder.
    pub(super) async fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[]).await
    }

    /// The same with settings, each as `--set` takes it.
    pub(super) async fn start_with(data: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let log = data.with_extension("log");
        let started = Self::ready(data, settings, File::create(&log)?).await;
        started.with_context(|| format!("the server said: {}", fs::read_to_string(&log).unwrap_or_default().trim()))
    }

    async fn ready(data: &Path, settings: &[&str], log: File) -> anyhow::Result<Self> {
        let mut command = command(&std::env::current_exe()?);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--log", "warn", "--data"]).arg(data);
        command.args(settings.iter().flat_map(|setting| ["--set", *setting]));
        // What is measured is what the server can do, not what one account may.
        for quota in ["endpoints", "secrets", "queued_jobs", "event_deliveries_per_minute"] {
            let is_set = |setting: &&str| setting.starts_with(&format!("quota.{quota}="));
            if !settings.iter().any(is_set) {
                command.args(["--set", &format!("quota.{quota}=0")]);
            }
        }
        command.stdout(Stdio::piped()).stderr(log);
        let begun = Instant::now();
        let mut child = command.spawn().context("this program cannot be started again")?;
        let mut said = BufReader::new(child.stdout.take().context("a pipe was asked for")?).lines();
        let (base, key) = timeout(PATIENCE, announced(&mut said)).await.context("the server does not listen")??;
        let http = client::unrestricted()?;
        let ready = base.join("readyz")?;
        while !http.send(Request::get(ready.clone())).await.is_ok_and(|answer| answer.status.is_success()) {
            ensure!(begun.elapsed() < PATIENCE, "the server is not ready after {} s", PATIENCE.as_secs());
            sleep(PACE).await;
        }
        Ok(Self { child, _said: said, base, key, started_in: begun.elapsed() })
    }

    /// Its memory that is in RAM, in bytes.
    pub(super) fn resident_bytes(&self) -> anyhow::Result<u64> {
        Ok(1024 * field(&format!("/proc/{}/status", self.id()?), "VmRSS:")?)
    }

    /// The same of its child on whose command line `word` is, if there is one.
    pub(super) fn resident_bytes_of(&self, word: &str) -> anyhow::Result<Option<u64>> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()?))? {
            let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace() {
                let is_meant =
                    fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains(word));
                // One that ends meanwhile has none.
                if let Some(kilobytes) = field(&format!("/proc/{child}/status"), "VmRSS:").ok().filter(|_| is_meant) {
                    return Ok(Some(1024 * kilobytes));
                }
            }
        }
        Ok(None)
    }

    /// The most of its memory that ever was in RAM, in bytes.
    pub(super) fn peak_bytes(&self) -> anyhow::Result<u64> {
        Ok(1024 * field(&format!("/proc/{}/status", self.id()?), "VmHWM:")?)
    }

    /// What it has open: files, sockets, pipes and what else has a descriptor.
    pub(super) fn descriptors(&self) -> anyhow::Result<Vec<String>> {
        let mut open = Vec::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.id()?))? {
            // One that was closed meanwhile is not open.
            if let Ok(what) = fs::read_link(entry?.path()) {
                open.push(what.display().to_string());
            }
        }
        Ok(open)
    }

    /// How often one of its threads waited for something that then came.
    pub(super) fn wakes(&self) -> anyhow::Result<u64> {
        let mut wakes = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()?))? {
            wakes += field(&thread?.path().join("status").display().to_string(), "voluntary_ctxt_switches:")?;
        }
        Ok(wakes)
    }

    /// The CPU time of the server itself until now, without that of its children.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        ticks(&format!("/proc/{}/stat", self.id()?), 11)
    }

    /// The CPU time of all tools that it ran until now.
    pub(super) fn tools_cpu(&self) -> anyhow::Result<Duration> {
        ticks(&format!("/proc/{}/stat", self.id()?), 13)
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// Ends it as a power cut would, and waits until it has.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.start_kill()?;
        timeout(PATIENCE, self.child.wait()).await.context("the server does not end")??;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.id()?).ok().and_then(Pid::from_raw).context("the server has no process id")?;
        kill_process(id, Signal::TERM)?;
        let ended = timeout(PATIENCE, self.child.wait()).await.context("the server does not stop")??;
        ensure!(ended.success(), "the server ended with {ended}");
        Ok(())
    }
}

/// A number in a file of names and values.
fn field(path: &str, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("the kernel shows no {name}"))?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name} is not a number"))
}

/// The address and the first key, from what the server prints.
async fn announced(said: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<(Url, Option<String>)> {
    let mut key = None;
    while let Some(line) = said.next_line().await? {
        let line = line.trim();
        if line.starts_with("rh_") {
            key = Some(line.to_owned());
        }
        if let Some(address) = line.strip_prefix("Reelhook listens on ") {
            return Ok((Url::parse(address)?, key));
        }
    }
    bail!("the server ended before it listened")
}

/// A program to measure: silent, gone when it is dropped, not moved by settings of our caller.
pub(super) fn command(program: &Path) -> Command {
    // Not through `media::run::process`, whose cost is part of what is measured.
    #[expect(clippy::disallowed_methods, reason = "reads only files that this benchmark made")]
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REELHOOK_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// What a program took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    pub(super) wall: Duration,
    /// To a hundredth of a second.
    pub(super) cpu: Duration,
}

/// Runs a program to its end. No other child of this process may end meanwhile, as children are counted together.
pub(super) async fn run(mut command: Command) -> anyhow::Result<Took> {
    let (before, begun) = (children_cpu()?, Instant::now());
    command.stderr(Stdio::piped());
    let ended = command.spawn()?.wait_with_output().await?;
    let wall = begun.elapsed();
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{:?} ended with {}: {}", command.as_std(), ended.status, said.trim());
    Ok(Took { wall, cpu: children_cpu()?.saturating_sub(before) })
}

/// The CPU time of all children that have ended.
fn children_cpu() -> anyhow::Result<Duration> {
    ticks("/proc/self/stat", 13)
}

/// The CPU time of this process and of all its children that have ended.
pub(super) fn all_cpu() -> anyhow::Result<Duration> {
    Ok(ticks("/proc/self/stat", 11)? + children_cpu()?)
}

/// Two fields of proc_pid_stat(5), user and system time, counted from the one after the name.
fn ticks(path: &str, first: usize) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(path)?;
    let (_, fields) = stat.rsplit_once(')').context("the kernel shows no CPU time")?;
    let times = fields.split_whitespace().skip(first).take(2).filter_map(|field| field.parse::<u64>().ok());
    Ok(Duration::from_secs_f64(times.sum::<u64>() as f64 / TICKS_A_SECOND))
}
