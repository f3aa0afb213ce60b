//! What an account has set.

use async_trait::async_trait;
use futures::FutureExt;
use reelhook_domain::id::{AccountId, OriginId};
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;

use super::SqliteStore;
use super::rows::{self, json, key};
use super::writer::Tx;
use crate::wakes::Topic;
use crate::{DefaultWebhook, Result, Settings, StoreError};

#[async_trait]
impl Settings for SqliteStore {
    async fn default_webhook(&self, account: AccountId, dialect: Dialect) -> Result<Option<DefaultWebhook>> {
        let found = sqlx::query("select endpoint, events from default_webhooks where account = ? and dialect = ?");
        let found = found.bind(key(account)).bind(dialect.as_str());
        let Some(row) = found.fetch_optional(&self.readers).await? else { return Ok(None) };
        Ok(Some(DefaultWebhook { endpoint: rows::id(&row, "endpoint")?, events: rows::read(&row, "events")? }))
    }

    async fn set_default_webhook(
        &self,
        account: AccountId,
        dialect: Dialect,
        webhook: Option<DefaultWebhook>,
    ) -> Result<()> {
        self.write(move |tx| set_default_webhook(tx, account, dialect, webhook).boxed()).await
    }

    async fn default_origin(&self, account: AccountId, dialect: Dialect) -> Result<Option<OriginId>> {
        let found = sqlx::query("select origin from default_origins where account = ? and dialect = ?");
        let found = found.bind(key(account)).bind(dialect.as_str()).fetch_optional(&self.readers).await?;
        found.map(|row| rows::id(&row, "origin")).transpose()
    }

    async fn set_default_origin(&self, account: AccountId, dialect: Dialect, origin: Option<OriginId>) -> Result<()> {
        self.write(move |tx| set_default_origin(tx, account, dialect, origin).boxed()).await
    }

    async fn settings_changed_at(&self, account: AccountId, dialect: Dialect) -> Result<Timestamp> {
        let found = sqlx::query_scalar(
            "select coalesce(c.changed_at, a.created_at) from accounts a
             left join settings_changes c on c.account = a.id and c.dialect = ? where a.id = ?",
        );
        let found = found.bind(dialect.as_str()).bind(key(account)).fetch_optional(&self.readers).await?;
        found.map(Timestamp::from_millis).ok_or(StoreError::NotFound)
    }
}

async fn set_default_webhook(
    tx: &mut Tx,
    account: AccountId,
    dialect: Dialect,
    webhook: Option<DefaultWebhook>,
) -> Result<()> {
    let query = match webhook {
        None => sqlx::query("delete from default_webhooks where account = ? and dialect = ?")
            .bind(key(account))
            .bind(dialect.as_str()),
        Some(webhook) => sqlx::query(
            "insert or replace into default_webhooks (account, dialect, endpoint, events) values (?, ?, ?, ?)",
        )
        .bind(key(account))
        .bind(dialect.as_str())
        .bind(key(webhook.endpoint))
        .bind(json(&webhook.events)),
    };
    query.execute(tx.sql()).await?;
    note_change(tx, account, dialect).await?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(())
}

async fn set_default_origin(tx: &mut Tx, account: AccountId, dialect: Dialect, origin: Option<OriginId>) -> Result<()> {
    let query = match origin {
        None => sqlx::query("delete from default_origins where account = ? and dialect = ?")
            .bind(key(account))
            .bind(dialect.as_str()),
        Some(origin) => {
            sqlx::query("insert or replace into default_origins (account, dialect, origin) values (?, ?, ?)")
                .bind(key(account))
                .bind(dialect.as_str())
                .bind(key(origin))
        }
    };
    query.execute(tx.sql()).await?;
    note_change(tx, account, dialect).await
}

/// Notes that the account changed what it set for jobs of that dialect.
async fn note_change(tx: &mut Tx, account: AccountId, dialect: Dialect) -> Result<()> {
    let now = tx.now().as_millis();
    sqlx::query("insert or replace into settings_changes (account, dialect, changed_at) values (?, ?, ?)")
        .bind(key(account))
        .bind(dialect.as_str())
        .bind(now)
        .execute(tx.sql())
        .await?;
    Ok(())
}
