//! A large file on its way in: `reelhook submit` beside `cp`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reelhook_files::Digests;

use super::Effort;
use super::page::{Figure, Section, Target, median};
use super::subject::{self, Subject};

const MB: f64 = 1e6;
/// Bytes of the file.
const SIZE: usize = 1_000_000_000;
/// How much of them is made, written and hashed at a time.
const PIECE: usize = 1_000_000;
/// The least part of the throughput of `cp` that is enough.
const SHARE: f64 = 0.9;

pub(super) async fn measure(effort: Effort) -> anyhow::Result<Section> {
    let times = effort.pick(3, 5);
    let folder = tempfile::tempdir()?;
    let (file, copy) = (folder.path().join("large.bin"), folder.path().join("copy.bin"));
    let made = file.clone();
    let hashed = tokio::task::spawn_blocking(move || noise(&made)).await??;
    let mut server = Subject::start(&folder.path().join("data")).await?;
    let key = server.key.clone().context("the server made no key")?;
    let (mut ours, mut theirs, mut cpus, mut clients) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // The first of each is not counted.
    for time in 0..=times {
        let begun = Instant::now();
        let mut cp = subject::command(Path::new("cp"));
        cp.arg(&file).arg(&copy);
        subject::run(cp).await?;
        let copied = copy.clone();
        tokio::task::spawn_blocking(move || File::open(copied)?.sync_all()).await??;
        let by_cp = begun.elapsed();
        std::fs::remove_file(&copy)?;

        let cpu = server.cpu()?;
        let mut submit = subject::command(&std::env::current_exe()?);
        submit.arg("submit").arg(&file).args(["--recipe", "thumbnail", "--url", server.base.as_str(), "--key", &key]);
        let submit = subject::run(submit).await?;
        if time > 0 {
            theirs.push(rate(by_cp));
            ours.push(rate(submit.wall));
            clients.push(submit.cpu.as_secs_f64() * 1e3);
            cpus.push(server.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e3);
        }
    }
    server.stop().await?;
    let figures = vec![
        Figure::new("`reelhook submit` of 1 GB", median(ours), "MB a second", "`cp` and `fsync`", median(theirs))
            .target(Target::RatioFrom(SHARE)),
        Figure::alone("SHA-256 and SHA-1 of as much, by one thread in memory", rate(hashed), "MB a second"),
        Figure::alone("CPU of the server for it", median(cpus), "ms"),
        Figure::alone("CPU of the client for it", median(clients), "ms"),
    ];
    let method = vec![format!(
        "A file of 10^9 pseudo-random bytes, which is in memory as far as the kernel keeps it there, goes to the same disk: by \
         `cp` and an `fsync` of the copy, and by the whole command `reelhook submit`, from before its process exists to its \
         end; the upload is on the disk before it is answered. In turns, {times} times, the median. The job is refused, as \
         the file is not media; the server looks at it after the command has ended."
    )];
    Ok(Section { title: "Uploads", figures, method })
}

fn rate(took: Duration) -> f64 {
    SIZE as f64 / MB / took.as_secs_f64()
}

/// Writes the file; gives how long its digests took.
fn noise(path: &Path) -> anyhow::Result<Duration> {
    let mut file = BufWriter::with_capacity(PIECE, File::create_new(path)?);
    let (mut state, mut digests, mut hashed) = (0x9E37_79B9_7F4A_7C15_u64, Digests::default(), Duration::ZERO);
    let mut piece = vec![0; PIECE];
    for _ in 0..SIZE / PIECE {
        for word in piece.chunks_exact_mut(8) {
            // Marsaglia's xorshift with the shifts 13, 7 and 17.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let begun = Instant::now();
        digests.update(&piece);
        hashed += begun.elapsed();
        file.write_all(&piece)?;
    }
    file.into_inner()?.sync_all()?;
    Ok(hashed)
}
