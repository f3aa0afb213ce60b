//! `reelhook keys rotate-master`: everything sealed, sealed anew under a new master key.
//!
//! # Theory of operation
//! The lock of the data folder is held from the first step to the last, so no server runs on it or starts: a server keeps
//! its keys in memory, and one that knew only the old key would seal with it what nobody could open afterwards.
//!
//! 1. The file gets a second line: the new key above the old one. From here on both open, and the new one seals.
//! 2. The key that signs links is replaced by a random one, once for each master key, because a person who had the old
//!    master key may have it. With `--keep-links` the former one is kept too, so that its links go on working.
//! 3. Everything that the old key sealed is sealed anew, a hundred secrets in each transaction.
//! 4. The database notes the new key as its own, once nothing is left of the old one.
//! 5. The file loses the old key.
//!
//! # The bad day
//! After a crash at any point the server starts and works: before 1 as if nothing had been, after it with both keys. Run
//! again, the command sees the two lines and goes on with them; it makes no third key.

use std::process::ExitCode;

use anyhow::Context as _;
use fail::fail_point;
use reelhook_domain::ambient::Ambient;
use reelhook_store::{Place, Rotation as _};
use serde_json::json;

use crate::data_folder::DataFolder;
use crate::link_key;
use crate::master_key::MasterKey;
use crate::output;

/// Most secrets in one transaction.
const STEP: u32 = 100;

pub(super) async fn run(
    folder: &DataFolder,
    ambient: &Ambient,
    keep_links: Option<u16>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "failpoints")]
    crate::crash::arm()?;
    let _lock = folder.lock().context("the master key can be rotated only while the server is stopped")?;
    let path = folder.master_key();
    let key = MasterKey::load(&path)?.with_context(|| format!("the master key {} is missing", path.display()))?;
    let resumed = key.is_rotating();
    let key = if resumed { key } else { begin(folder, key, ambient)? };

    let store = folder.open_with(&key, ambient).await?;
    link_key::rotate(&*store, &key, ambient, keep_links).await?;
    fail_point!("keys.links");
    let (mut place, mut count) = (Place::default(), 0);
    loop {
        let step = store.reseal(place, STEP).await.context("a secret cannot be re-encrypted")?;
        fail_point!("keys.resealing");
        count += u64::from(step.count);
        let Some(next) = step.next else { break };
        place = next;
    }
    store.finish_resealing().await?;
    fail_point!("keys.resealed");
    // Nothing of the old key may wait in the log.
    store.close().await;
    let key = key.alone();
    key.replace(folder.path())?;
    fail_point!("keys.rotated");

    if json {
        output::json(&json!({"master_key": key.id(), "sealed": count, "resumed": resumed}))?;
    } else {
        output::line(format_args!(
            "master key {} is active; secrets re-encrypted: {count}. Back up {} now.",
            key.id(),
            path.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts a new key beside the old one.
fn begin(folder: &DataFolder, old: MasterKey, ambient: &Ambient) -> anyhow::Result<MasterKey> {
    fail_point!("keys.before_new_key");
    let both = old.rotated(ambient);
    both.replace(folder.path())?;
    fail_point!("keys.both_keys");
    Ok(both)
}
