//! The sweep: removes uploads whose time is over, and what workers that died left half-made.

use std::sync::Arc;
use std::time::Duration;

use reelhook_files::Key;
use reelhook_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::journey::Means;

/// Most uploads that are taken at once.
const BATCH: u32 = 100;
/// How old bytes must be that nobody noted: far more than the instant between keeping and noting them.
const UNNOTED: Duration = Duration::from_secs(3600);

/// Sweeps at once and then every so often, until `stop`.
pub(crate) async fn sweep(means: Arc<Means>, stop: CancellationToken) {
    loop {
        match means.files.sweep(reelhook_media::end_left_by).await {
            Ok(0) => {}
            Ok(processes) => tracing::info!(processes, "removed temporary files of dead processes"),
            Err(error) => tracing::warn!(%error, "temporary files of dead processes were not removed"),
        }
        match means.store.lapse_confirmations(BATCH).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "canceled jobs whose estimates were not accepted in time"),
            Err(error) => tracing::warn!(%error, "jobs whose estimates were not accepted could not be canceled"),
        }
        if let Err(error) = remove_expired(&means).await {
            tracing::warn!(%error, "expired uploads were not removed");
        }
        if let Err(error) = remove_unknown(&means).await {
            tracing::warn!(error = &*error, "uploads that were never noted were not removed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(means.settings.sweep) => {}
        }
    }
}

async fn remove_expired(means: &Means) -> Result<(), StoreError> {
    loop {
        let uploads = means.store.take_expired_uploads(BATCH).await?;
        for upload in &uploads {
            // The upload is gone for its owner already; a file that stays only takes room, so the others go on.
            if let Err(error) = means.files.delete(&Key::upload(upload.id)).await {
                tracing::warn!(upload.id = %upload.id, %error, "the file of an expired upload was not removed");
            }
        }
        if uploads.len() < BATCH as usize {
            return Ok(());
        }
    }
}

/// Removes uploads whose bytes came, but which were never noted because the server died between the two.
async fn remove_unknown(means: &Means) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let old = means.files.uploads_before(means.ambient.now() - UNNOTED).await?;
    for ids in old.chunks(BATCH as usize) {
        for id in means.store.unknown_uploads(ids).await? {
            means.files.delete(&Key::upload(id)).await?;
            tracing::info!(upload.id = %id, "removed an upload that was never noted");
        }
    }
    Ok(())
}
