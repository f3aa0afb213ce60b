//! Uploads: files that callers sent.

use std::collections::HashSet;

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, UploadId};
use reelhook_domain::quota::Quota;

use super::rows::{self, hexes, json, key, whole};
use super::sql::query;
use super::writer::Tx;
use super::{SqliteStore, quotas};
use crate::{Result, StoreError, Upload, Uploads};

#[async_trait]
impl Uploads for SqliteStore {
    async fn create_upload(&self, upload: Upload) -> Result<()> {
        self.write(|tx| create_upload(tx, upload)).await
    }

    async fn upload(&self, account: AccountId, id: UploadId) -> Result<Upload> {
        let found = query("select * from uploads where id = ? and account = ? and expires_at > ?");
        let found = found.bind(key(id)).bind(key(account)).bind(self.now().as_millis());
        rows::upload(&found.read_first(&self.readers).await?.ok_or(StoreError::NotFound)?)
    }

    async fn upload_by_id(&self, id: UploadId) -> Result<Upload> {
        let found = query("select * from uploads where id = ? and expires_at > ?");
        let found = found.bind(key(id)).bind(self.now().as_millis());
        rows::upload(&found.read_first(&self.readers).await?.ok_or(StoreError::NotFound)?)
    }

    async fn unknown_uploads(&self, ids: &[UploadId]) -> Result<Vec<UploadId>> {
        let known = query("select id from uploads where id in (select unhex(value) from json_each(?))");
        let known = known.bind(hexes(ids.iter().copied())).read_all(&self.readers).await?;
        let known = known.iter().map(|row| rows::id(row, "id")).collect::<Result<HashSet<UploadId>>>()?;
        Ok(ids.iter().copied().filter(|id| !known.contains(id)).collect())
    }

    async fn take_expired_uploads(&self, limit: u32) -> Result<Vec<Upload>> {
        self.write(move |tx| take_expired_uploads(tx, limit)).await
    }
}

pub(super) fn create_upload(tx: &mut Tx, upload: Upload) -> Result<()> {
    quotas::check(tx, Quota::UploadBytes, upload.account, upload.size_bytes.max(quotas::LEAST_UPLOAD))?;
    query(
        "insert into uploads (id, account, name, size_bytes, sha256, sha1, said, created_at, expires_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key(upload.id))
    .bind(key(upload.account))
    .bind(upload.name)
    .bind(whole(upload.size_bytes))
    .bind(upload.sha256)
    .bind(upload.sha1)
    .bind(json(&upload.said))
    .bind(upload.created_at.as_millis())
    .bind(upload.expires_at.as_millis())
    .run(tx)?;
    Ok(())
}

fn take_expired_uploads(tx: &mut Tx, limit: u32) -> Result<Vec<Upload>> {
    let now = tx.now();
    let taken = query(
        "delete from uploads where id in (
            select id from uploads
            where expires_at <= ? and not exists (
                select 1 from job_uploads join jobs on jobs.id = job_uploads.job where job_uploads.upload = uploads.id
                and jobs.state in ('draft', 'queued', 'probing', 'awaiting_confirmation', 'processing'))
            order by expires_at limit ?)
        returning *",
    );
    let taken = taken.bind(now.as_millis()).bind(limit).all(tx)?;
    taken.iter().map(rows::upload).collect()
}
