//! What this machine can do at all: a plain HTTP client and the same receiver, without a server between them.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::Url;

use super::load;
use crate::commands::bench::page::median;

/// Posts of 1 KiB a second by hyper's own client, each connection kept and sending its next once it was answered.
pub(super) async fn rate(url: &Url, count: u32, connections: u32) -> anyhow::Result<f64> {
    let address = *url.socket_addrs(|| None)?.first().context("the receiver has no address")?;
    let host = address.to_string();
    let mut drivers = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..connections {
        #[expect(clippy::disallowed_methods, reason = "the address is this benchmark's own")]
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
        drivers.spawn(driver);
        senders.push(sender);
    }
    let (body, taken) = (Bytes::from(load::payload()), Arc::new(AtomicU32::new(0)));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let (body, taken, host, path) = (body.clone(), taken.clone(), host.clone(), url.path().to_owned());
        tasks.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < count {
                let request = Request::post(path.as_str()).header(HOST, &host).header(CONTENT_TYPE, "application/json");
                sender.ready().await?;
                let answer = sender.send_request(request.body(Full::new(body.clone()))?).await?;
                ensure!(answer.status().is_success(), "the receiver answered {}", answer.status());
                answer.into_body().collect().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// How long one durable append of 4 KiB takes in that folder, the median of 100.
pub(super) fn sync(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = File::create(folder.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times)))
}

/// Milliseconds of durable writes of 48 KiB, about what an event takes, in that folder: one each `pace`, each over what
/// was written before, as in a log that is used again.
pub(super) async fn syncs(folder: &Path, count: u32, pace: Duration) -> anyhow::Result<Vec<f64>> {
    const SIZE: usize = 48 * 1024;
    const ROUND: u64 = 64;
    let path = folder.join("syncs");
    let write = move || {
        let file = File::create(&path)?;
        let bytes = [7; SIZE];
        for place in 0..ROUND {
            file.write_all_at(&bytes, place * SIZE as u64)?;
        }
        file.sync_all()?;
        let (begun, mut times) = (Instant::now(), Vec::new());
        for number in 0..count {
            std::thread::sleep((begun + pace * number).saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            file.write_all_at(&bytes, u64::from(number) % ROUND * SIZE as u64)?;
            file.sync_data()?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        std::fs::remove_file(&path)?;
        anyhow::Ok(times)
    };
    tokio::task::spawn_blocking(write).await?
}
