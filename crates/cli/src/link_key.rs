//! The key that signs links to results: random, and kept sealed in the database.
//!
//! Installations of before have one that was derived from their first master key. It stays in use until the master key is
//! rotated, which replaces it.

use std::time::Duration;

use anyhow::Context as _;
use reelhook_domain::ambient::Ambient;
use reelhook_domain::time::Timestamp;
use reelhook_files::FormerKey;
use reelhook_store::Rotation;

use crate::master_key::MasterKey;

/// What the keys are kept as.
const CURRENT: &str = "links";
const FORMER: &str = "links.former";
/// The master key for which the current one was made: a rotation that is taken up again makes no further one.
const MADE_FOR: &str = "links.made_for";

const DAY: u64 = 24 * 3600;

/// Bytes of a former key: its own, and the time in milliseconds until which it opens links.
const FORMER_BYTES: usize = 40;

/// The key, made where there is none yet, and those before it that still open links.
pub(crate) async fn load(store: &impl Rotation, ambient: &Ambient) -> anyhow::Result<([u8; 32], Vec<FormerKey>)> {
    let current = store.derived_key(CURRENT, ambient.random()).await?;
    let former = store.kept_derived(FORMER).await?.unwrap_or_default();
    let mut former = former.chunks(FORMER_BYTES).map(read).collect::<anyhow::Result<Vec<FormerKey>>>()?;
    former.retain(|former| ambient.now() < former.until);
    Ok((current, former))
}

/// Replaces it, once for that master key. What was signed before goes on working for so many days, but for what an earlier
/// rotation ends sooner; without days all of it ends.
pub(crate) async fn rotate(
    store: &impl Rotation,
    master_key: &MasterKey,
    ambient: &Ambient,
    keep_days: Option<u16>,
) -> anyhow::Result<()> {
    let made_for = master_key.id().to_be_bytes().to_vec();
    if store.kept_derived(MADE_FOR).await?.as_ref() == Some(&made_for) {
        return Ok(());
    }
    let (current, mut former) = load(store, ambient).await?;
    let former = keep_days.map(|days| {
        former.push(FormerKey { key: current, until: ambient.now() + Duration::from_secs(u64::from(days) * DAY) });
        former.iter().flat_map(|former| [&former.key[..], &former.until.as_millis().to_be_bytes()].concat()).collect()
    });
    let new = ambient.random::<32>().to_vec();
    store.keep_derived(vec![(CURRENT, Some(new)), (FORMER, former), (MADE_FOR, Some(made_for))]).await?;
    Ok(())
}

fn read(bytes: &[u8]) -> anyhow::Result<FormerKey> {
    let read =
        bytes.split_first_chunk().and_then(|(key, until)| Some((*key, i64::from_be_bytes(until.try_into().ok()?))));
    let (key, until) = read.context("the former key of links is damaged")?;
    Ok(FormerKey { key, until: Timestamp::from_millis(until) })
}
