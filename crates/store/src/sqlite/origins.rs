//! Origins and what opens them.

use async_trait::async_trait;
use reelhook_domain::form::Choice;
use reelhook_domain::id::{AccountId, OriginId};
use reelhook_domain::origin::{Credentials, Origin, OriginStatus, Permissions};
use reelhook_domain::quota::Quota;

use super::rows::{self, column, id, key, read, time};
use super::sql::{Row, query};
use super::writer::Tx;
use super::{SqliteStore, quotas};
use crate::{OriginChange, Origins, Page, Result, StoreError};

const ONE: &str = "select * from origins where id = ? and account = ?";

#[async_trait]
impl Origins for SqliteStore {
    async fn create_origin(&self, origin: Origin, credentials: Credentials) -> Result<()> {
        self.write(move |tx| create(tx, origin, &credentials)).await
    }

    async fn origin(&self, account: AccountId, id: OriginId) -> Result<Origin> {
        let found = query(ONE).bind(key(id)).bind(key(account)).read_first(&self.readers).await?;
        origin(&found.ok_or(StoreError::NotFound)?)
    }

    async fn origin_credentials(&self, account: AccountId, id: OriginId) -> Result<Credentials> {
        let found = query(ONE).bind(key(id)).bind(key(account)).read_first(&self.readers).await?;
        let row = found.ok_or(StoreError::NotFound)?;
        let sealed = column::<Option<&[u8]>>(&row, "credentials")?.ok_or(StoreError::NotFound)?;
        let opened = self.vault.open(&id.to_bytes(), sealed)?;
        // The parser's words could repeat what it read.
        serde_json::from_str(&opened).map_err(|_| StoreError::corrupt("credentials", &"they are not what was sealed"))
    }

    async fn list_origins(&self, account: AccountId, page: Page) -> Result<Vec<Origin>> {
        let found = query(
            "select * from origins where account = ? and status <> 'archived' and (?2 is null or id < ?2)
            order by id desc limit ?3",
        );
        let before = page.before.map(|bits| bits.to_be_bytes().to_vec());
        let found = found.bind(key(account)).bind(before).bind(page.limit);
        found.read_all(&self.readers).await?.iter().map(origin).collect()
    }

    async fn change_origin(&self, account: AccountId, id: OriginId, change: OriginChange) -> Result<Origin> {
        self.write(move |tx| change_origin(tx, account, id, change)).await
    }
}

fn create(tx: &mut Tx, origin: Origin, credentials: &Credentials) -> Result<()> {
    quotas::check(tx, Quota::Origins, origin.account, 1)?;
    let sealed = tx.vault().seal(&origin.id.to_bytes(), &rows::json(credentials));
    query(
        "insert into origins (id, account, name, place, may_read, may_write, base_path, path_template, status, validation,
            credentials, created_at, updated_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key(origin.id))
    .bind(key(origin.account))
    .bind(origin.name)
    .bind(rows::json(&origin.place))
    .bind(origin.permissions.read)
    .bind(origin.permissions.write)
    .bind(origin.base_path.as_str())
    .bind(origin.path_template.as_str())
    .bind(origin.status.as_str())
    .bind(origin.validation.as_ref().map(rows::json))
    .bind(sealed)
    .bind(origin.created_at.as_millis())
    .bind(origin.updated_at.as_millis())
    .run(tx)?;
    Ok(())
}

fn change_origin(tx: &mut Tx, account: AccountId, id: OriginId, change: OriginChange) -> Result<Origin> {
    let now = tx.now().as_millis();
    let update = match change {
        OriginChange::Said(origin, credentials) => {
            let sealed = tx.vault().seal(&id.to_bytes(), &rows::json(&credentials));
            query(
                "update origins set name = ?, place = ?, may_read = ?, may_write = ?, base_path = ?, path_template = ?,
                    status = ?, validation = ?, credentials = ?, updated_at = ?
                where id = ? and account = ? and status <> 'archived' returning *",
            )
            .bind(origin.name)
            .bind(rows::json(&origin.place))
            .bind(origin.permissions.read)
            .bind(origin.permissions.write)
            .bind(origin.base_path.as_str().to_owned())
            .bind(origin.path_template.as_str().to_owned())
            .bind(origin.status.as_str())
            .bind(origin.validation.as_ref().map(rows::json))
            .bind(sealed)
        }
        OriginChange::Validated(validation) => query(
            "update origins set status = ?, validation = ?, updated_at = ?
            where id = ? and account = ? and status <> 'archived' returning *",
        )
        .bind(validation.status().as_str())
        .bind(rows::json(&validation)),
        OriginChange::Archived => query(
            "update origins set status = ?, credentials = null, updated_at = ?
            where id = ? and account = ? and status <> 'archived' returning *",
        )
        .bind(OriginStatus::Archived.as_str()),
    };
    let changed = update.bind(now).bind(key(id)).bind(key(account)).first(tx)?;
    origin(&changed.ok_or(StoreError::NotFound)?)
}

fn origin(row: &Row) -> Result<Origin> {
    let (base_path, template) = (column::<&str>(row, "base_path")?, column::<&str>(row, "path_template")?);
    let status = column::<&str>(row, "status")?;
    let known = OriginStatus::ALL.iter().copied().find(|known| known.word() == status);
    let validation = column::<Option<&str>>(row, "validation")?;
    let validation = validation.map(serde_json::from_str).transpose();
    Ok(Origin {
        id: id(row, "id")?,
        account: id(row, "account")?,
        name: column(row, "name")?,
        place: read(row, "place")?,
        permissions: Permissions { read: column(row, "may_read")?, write: column(row, "may_write")? },
        base_path: base_path.parse().map_err(|error| StoreError::corrupt("base path", &error))?,
        path_template: template.parse().map_err(|error| StoreError::corrupt("path template", &error))?,
        status: known.ok_or_else(|| StoreError::corrupt("status", &format_args!("{status:?} is not known")))?,
        validation: validation.map_err(|error| StoreError::corrupt("validation", &error))?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
