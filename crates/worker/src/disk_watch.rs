//! The watch over the disk while jobs run: one for the whole worker.
//!
//! Every [`TICK`] it looks at the free space of the disk and at what each job has in its scratch folder. A job whose folder
//! is larger than a job's may be ends. When the space that is free comes down to the reserve, which is for the database,
//! the job that has the most on the disk ends, then the next, until there is room again: a job that takes little is not
//! ended for another's sake. Tools are killed by that, and their files removed.
//!
//! A file that a tool has unlinked and still writes to is not seen in its folder; the free space tells of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::id::JobId;
use tokio_util::sync::CancellationToken;

use crate::held::{Held, Holding};
use crate::journey::{Means, out_of_disk};

/// How often it looks. A fast disk takes some hundreds of megabytes in that time, and the reserve is larger.
const TICK: Duration = Duration::from_millis(250);
/// Most files of one folder that are counted; a folder with more is taken for what was counted.
const MOST_FILES: usize = 100_000;

/// Watches while jobs are held, until `stop`.
pub(crate) async fn watch(means: Arc<Means>, held: Arc<Held>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = held.wait() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => look(&means, &held).await,
        }
    }
}

async fn look(means: &Means, held: &Held) {
    let holdings = held.holdings();
    let measured = tokio::task::spawn_blocking(move || {
        let sized = holdings.into_iter().map(|holding| (holding.scratch.as_deref().map_or(0, size), holding));
        sized.collect::<Vec<_>>()
    });
    let Ok(measured) = measured.await else { return };
    let most = means.settings.scratch_bytes;
    for (bytes, holding) in &measured {
        if *bytes > most && !holding.is_ending {
            tracing::warn!(job.id = %holding.job, scratch_bytes = bytes, "a job exceeded its scratch space and ends");
            held.end(holding.job, too_much(*bytes, most));
        }
    }
    let Ok(room) = means.files.room() else { return };
    if room.is_low()
        && let Some(job) = next_to_end(&measured, room.is_very_low())
    {
        tracing::warn!(job.id = %job, free_bytes = room.free, reserve_bytes = room.reserve, "the disk is nearly full; a job ends");
        held.end(job, out_of_disk(Stage::Encoding));
    }
}

/// The job that ends to make room: the one that has the most on the disk. Where one is ending already, its files are going,
/// so there is none, unless there is no time to wait for that.
fn next_to_end(measured: &[(u64, Holding)], is_urgent: bool) -> Option<JobId> {
    if !is_urgent && measured.iter().any(|(_, holding)| holding.is_ending) {
        return None;
    }
    let open = measured.iter().filter(|(_, holding)| !holding.is_ending);
    open.max_by_key(|(bytes, holding)| (*bytes, holding.job)).map(|(_, holding)| holding.job)
}

fn too_much(bytes: u64, most: u64) -> JobFailure {
    let message = format!(
        "the job used {bytes} bytes of disk for temporary files; the limit is {most} (media.max_scratch_bytes)"
    );
    JobFailure::request(Stage::Encoding, "scratch_limit", message)
}

/// The bytes on the disk that are in a folder and below; links are not followed.
fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let (mut bytes, mut files) = (0_u64, 0_usize);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What is gone or cannot be read takes no room that could be told.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            files += 1;
            if files > MOST_FILES {
                return bytes;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes = bytes.saturating_add(metadata.blocks().saturating_mul(512));
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(job: u128, bytes: u64, is_ending: bool) -> (u64, Holding) {
        (bytes, Holding { job: JobId::from_bits(job), scratch: None, is_ending })
    }

    #[test]
    fn the_job_that_has_the_most_on_the_disk_ends_and_one_at_a_time() {
        let (little, much, more) = (holding(1, 10, false), holding(2, 5000, false), holding(3, 6000, false));
        let all = [little.clone(), much.clone(), more.clone()];
        assert_eq!(next_to_end(&all, false), Some(JobId::from_bits(3)));
        let ending = [little, much, (6000, Holding { is_ending: true, ..more.1 })];
        assert_eq!(next_to_end(&ending, false), None, "its files are going");
        assert_eq!(next_to_end(&ending, true), Some(JobId::from_bits(2)));
        assert_eq!(next_to_end(&[], true), None);
    }

    #[test]
    fn a_folder_counts_for_what_it_takes_on_the_disk_and_not_for_what_links_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), vec![7; 100_000]).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
        let sparse = std::fs::File::create(folder.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let counted = size(folder.path());
        assert!((100_000..1_000_000).contains(&counted), "{counted}");
    }
}
