//! The sweep: removes uploads whose time is over, and what workers that died left half-made.

use std::sync::Arc;

use reelhook_files::Key;
use reelhook_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::journey::Means;

/// Most uploads that are taken at once.
const BATCH: u32 = 100;

/// Sweeps at once and then every so often, until `stop`.
pub(crate) async fn sweep(means: Arc<Means>, stop: CancellationToken) {
    loop {
        match means.files.sweep().await {
            Ok(0) => {}
            Ok(processes) => tracing::info!(processes, "removed what processes that died had left half-made"),
            Err(error) => tracing::warn!(%error, "what dead processes left was not removed"),
        }
        if let Err(error) = remove_expired(&means).await {
            tracing::warn!(%error, "expired uploads were not removed");
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
