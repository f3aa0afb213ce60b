//! What an account has set.

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, OriginId};
use reelhook_domain::job::Dialect;
use reelhook_domain::time::Timestamp;

use super::SqliteStore;
use super::rows::{self, json, key};
use super::sql::query;
use super::writer::Tx;
use crate::wakes::Topic;
use crate::{DefaultWebhook, Result, Settings, StoreError};

#[async_trait]
impl Settings for SqliteStore {
    async fn default_webhook(&self, account: AccountId, dialect: Dialect) -> Result<Option<DefaultWebhook>> {
        let found = query("select endpoint, events from default_webhooks where account = ? and dialect = ?");
        let found = found.bind(key(account)).bind(dialect.as_str());
        let Some(row) = found.read_first(&self.readers).await? else { return Ok(None) };
        Ok(Some(DefaultWebhook { endpoint: rows::id(&row, "endpoint")?, events: rows::read(&row, "events")? }))
    }

    async fn set_default_webhook(
        &self,
        account: AccountId,
        dialect: Dialect,
        webhook: Option<DefaultWebhook>,
    ) -> Result<()> {
        self.write(move |tx| set_default_webhook(tx, account, dialect, webhook)).await
    }

    async fn default_origin(&self, account: AccountId, dialect: Dialect) -> Result<Option<OriginId>> {
        let found = query("select origin from default_origins where account = ? and dialect = ?");
        let found = found.bind(key(account)).bind(dialect.as_str()).read_first(&self.readers).await?;
        found.map(|row| rows::id(&row, "origin")).transpose()
    }

    async fn set_default_origin(&self, account: AccountId, dialect: Dialect, origin: Option<OriginId>) -> Result<()> {
        self.write(move |tx| set_default_origin(tx, account, dialect, origin)).await
    }

    async fn settings_changed_at(&self, account: AccountId, dialect: Dialect) -> Result<Timestamp> {
        let found = query(
            "select coalesce(c.changed_at, a.created_at) from accounts a
             left join settings_changes c on c.account = a.id and c.dialect = ? where a.id = ?",
        );
        let found = found.bind(dialect.as_str()).bind(key(account)).read_first(&self.readers).await?;
        Ok(Timestamp::from_millis(found.ok_or(StoreError::NotFound)?.only()?))
    }
}

fn set_default_webhook(
    tx: &mut Tx,
    account: AccountId,
    dialect: Dialect,
    webhook: Option<DefaultWebhook>,
) -> Result<()> {
    let query = match webhook {
        None => query("delete from default_webhooks where account = ? and dialect = ?")
            .bind(key(account))
            .bind(dialect.as_str()),
        Some(webhook) => {
            query("insert or replace into default_webhooks (account, dialect, endpoint, events) values (?, ?, ?, ?)")
                .bind(key(account))
                .bind(dialect.as_str())
                .bind(key(webhook.endpoint))
                .bind(json(&webhook.events))
        }
    };
    query.run(tx)?;
    note_change(tx, account, dialect)?;
    tx.wake(Topic::Endpoint);
    tx.wake(Topic::Delivery);
    Ok(())
}

fn set_default_origin(tx: &mut Tx, account: AccountId, dialect: Dialect, origin: Option<OriginId>) -> Result<()> {
    let query = match origin {
        None => query("delete from default_origins where account = ? and dialect = ?")
            .bind(key(account))
            .bind(dialect.as_str()),
        Some(origin) => query("insert or replace into default_origins (account, dialect, origin) values (?, ?, ?)")
            .bind(key(account))
            .bind(dialect.as_str())
            .bind(key(origin)),
    };
    query.run(tx)?;
    note_change(tx, account, dialect)
}

/// Notes that the account changed what it set for jobs of that dialect.
fn note_change(tx: &mut Tx, account: AccountId, dialect: Dialect) -> Result<()> {
    let now = tx.now().as_millis();
    query("insert or replace into settings_changes (account, dialect, changed_at) values (?, ?, ?)")
        .bind(key(account))
        .bind(dialect.as_str())
        .bind(now)
        .run(tx)?;
    Ok(())
}
