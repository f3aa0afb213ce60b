//! Start, memory and size of the server.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use super::Effort;
use super::page::{Figure, Section, Target, median};
use super::subject::{self, Subject};

const MB: f64 = 1e6;
/// How long the server rests before its memory is looked at: ffmpeg was asked what it can do by then.
const REST: Duration = Duration::from_secs(3);

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let program = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let (mut fresh, mut again, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let mut resident = 0;
    let times = effort.pick(3, 5);
    for time in 0..times {
        let mut version = subject::command(&program);
        version.arg("--version");
        bare.push(milliseconds(subject::run(version).await?.wall));
        let data = folder.path().join(format!("data-{time}"));
        let mut first = Subject::start(&data).await?;
        fresh.push(milliseconds(first.started_in));
        first.stop().await?;
        let mut second = Subject::start(&data).await?;
        again.push(milliseconds(second.started_in));
        if time + 1 == times {
            sleep(REST).await;
            resident = second.resident_bytes()?;
        }
        second.stop().await?;
    }
    let size = fs::metadata(&program)?.len();
    let (fresh, again, bare) = (median(fresh), median(again), median(bare));
    let figures = vec![
        start("Start to `/readyz`, folder that exists", again, bare),
        start("Start to `/readyz`, fresh folder", fresh, bare),
        room("Memory at rest (VmRSS)", resident as f64 / MB),
        room("Size of the program", size as f64 / MB),
    ];
    let method = vec![
        format!(
            "Start is from before the process exists to the first 200 of `/readyz` over HTTP, the median of {times}; a \
             fresh folder gets its database, master key and first API key in that time."
        ),
        format!(
            "Memory is read from `/proc/PID/status` after {} s without requests; MB are 10^6 bytes.",
            REST.as_secs()
        ),
    ];
    Ok(Section { title: "Server", figures, method })
}

fn start(name: &str, value: f64, bare: f64) -> Figure {
    Figure::new(name, value, "ms", "`reelhook --version` from start to end", bare).target(Target::Value(100.0))
}

fn room(name: &str, value: f64) -> Figure {
    Figure::new(name, value, "MB", "the target", 40.0).target(Target::Value(40.0))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
