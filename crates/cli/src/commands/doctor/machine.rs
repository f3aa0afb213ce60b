//! Disk, clock, database, port.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Instant;

use reelhook_domain::time::Timestamp;
use tokio::net::TcpListener;

use super::Finding;
use crate::data_folder::DataFolder;
use crate::descriptors::{self, Share};
use crate::output::size;
use crate::settings::Settings;
use crate::{ambient, master_key};

/// Below this the server soon stops.
const LITTLE_ROOM: u64 = 1 << 30;
/// Below this one long video may be too much.
const SOME_ROOM: u64 = 10 << 30;
/// When this was written: a clock before it is wrong.
const BUILT: &str = "2026-01-01T00:00:00Z";

pub(super) async fn look(settings: &Settings) -> Vec<Finding> {
    vec![disk(&settings.data), descriptors(settings), clock(), database(&settings.data).await, port(settings).await]
}

/// The folder, or where it would be made.
fn disk(data: &Path) -> Finding {
    let there = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let Some(there) = there.ancestors().find(|folder| folder.is_dir()) else {
        return Finding::fail("disk", format!("{} leads nowhere", data.display()), "give another folder with --data");
    };
    let shown = there.display();
    if let Err(error) = tempfile::tempfile_in(there) {
        let advice = "let the server's user write there, or give another folder with --data";
        return Finding::fail("disk", format!("{shown} cannot be written to: {error}"), advice);
    }
    let free = match rustix::fs::statvfs(there) {
        Ok(about) => about.f_bavail.saturating_mul(about.f_frsize),
        Err(error) => return Finding::warn("disk", format!("the free space of {shown} is unknown: {error}"), ""),
    };
    let seen = format!("{shown} can be written to; {} free", size(free));
    match free {
        ..LITTLE_ROOM => Finding::fail("disk", seen, "free disk space: inputs, outputs and temporary files need it"),
        LITTLE_ROOM..SOME_ROOM => Finding::warn("disk", seen, "free disk space before long videos arrive"),
        SOME_ROOM.. => Finding::pass("disk", seen),
    }
}

fn descriptors(settings: &Settings) -> Finding {
    const NAME: &str = "open files";
    let share = Share::of(descriptors::raise(), settings);
    let Share { limit, needed, connections, in_flight, .. } = share;
    if !share.is_short() {
        return Finding::pass(NAME, format!("{limit} files may be open; the settings require {needed}"));
    }
    let seen = format!(
        "{limit} files may be open and the settings require {needed}: only {connections} connections and {in_flight} webhooks \
         are served at once"
    );
    Finding::warn(
        NAME,
        seen,
        "raise the limit: LimitNOFILE= in a unit of systemd, --ulimit nofile= of a container, or ulimit -n",
    )
}

fn clock() -> Finding {
    let now = ambient::system().now();
    let built: Timestamp = BUILT.parse().unwrap_or_default();
    if now < built {
        let advice = "set the clock; receivers refuse webhooks whose time is off by more than five minutes";
        return Finding::fail("clock", format!("the clock says {now}"), advice);
    }
    let first = Instant::now();
    let steady = (0..1000).map(|_| Instant::now()).try_fold(first, |last, next| (next >= last).then_some(next));
    match steady {
        Some(_) => Finding::pass("clock", format!("the clock says {now}")),
        None => Finding::fail("clock", "the steady clock runs backwards", "look at the machine's clock source"),
    }
}

async fn database(data: &Path) -> Finding {
    const NAME: &str = "database";
    let Some(folder) = DataFolder::at(data).ok().filter(DataFolder::has_database) else {
        return Finding::pass(NAME, "none yet; the first start creates it");
    };
    if !folder.master_key().exists() {
        let seen = format!("{} is missing; the secrets in the database cannot be decrypted", master_key::FILE);
        return Finding::fail(NAME, seen, "restore the file from a backup; without it the server does not start");
    }
    match folder.open(&ambient::system()).await {
        Ok((store, _)) => {
            store.close().await;
            if let Some(mode) = master_key::open_to_others(&folder.master_key()) {
                let seen =
                    format!("users other than its owner may read {} (mode {mode:o})", folder.master_key().display());
                return Finding::warn(NAME, seen, "run chmod 600 on it: it decrypts every secret in the database");
            }
            Finding::pass(NAME, format!("{} opens and is up to date", folder.database().display()))
        }
        Err(error) => Finding::fail(NAME, format!("{error:#}"), advice(&folder.database())),
    }
}

/// What to do about a database that does not open.
fn advice(database: &Path) -> &'static str {
    let folder = database.parent().unwrap_or(database);
    let is_writable = tempfile::tempfile_in(folder).is_ok() && OpenOptions::new().append(true).open(database).is_ok();
    if is_writable {
        "restore the folder from a backup, or use the version that created it"
    } else {
        "the server's user may not write there: give it the folder and all files in it (chown), or mount the disk for writing"
    }
}

async fn port(settings: &Settings) -> Finding {
    const NAME: &str = "port";
    let Some(address) = settings.listen.address() else {
        return Finding::pass(NAME, format!("the server listens on {}", settings.listen));
    };
    let Err(error) = TcpListener::bind(address).await else { return Finding::pass(NAME, format!("{address} is free")) };
    let is_ours = DataFolder::at(&settings.data)
        .is_ok_and(|folder| folder.path().join("reelhook.lock").exists() && folder.lock().is_err());
    if is_ours {
        return Finding::pass(NAME, format!("{address} is taken, and a server runs on this folder"));
    }
    Finding::warn(NAME, format!("{address} cannot be listened on: {error}"), "choose another port with --listen")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Verdict;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        assert_ne!(disk(&folder.path().join("a/b/c")).verdict, Verdict::Fail);
        assert_eq!(clock().verdict, Verdict::Pass);
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_not_to_be_restored() {
        // Not even root writes there.
        assert!(advice(Path::new("/proc/version")).contains("chown"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reelhook.db");
        std::fs::write(&file, "x").unwrap();
        assert!(advice(&file).contains("from a backup"));
    }
}
