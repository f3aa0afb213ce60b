//! Everything sealed, sealed anew.
//!
//! To add a table that keeps something sealed, name it in [`TABLES`]; a test looks for columns that are not.

use async_trait::async_trait;

use super::rows::column;
use super::sql::query;
use super::writer::Tx;
use super::{SEAL_OWNER, SEAL_TEXT, SqliteStore};
use crate::rotation::{Place, Resealed, Rotation};
use crate::{Result, StoreError};

/// A table that keeps something sealed. Each statement reads or writes in the order of the primary key, as bytes.
struct Table {
    /// Row, owner and sealed of what comes after `?1`.
    walk: &'static str,
    /// Sets what is sealed in row `?1` to `?2`, if it is `?3`.
    save: &'static str,
    /// Whether anything is not sealed under the key `?1`.
    left: &'static str,
}

macro_rules! table {
    ($table:literal, $row:literal, $owner:literal, $sealed:literal) => {
        Table {
            walk: concat!(
                "select cast(",
                $row,
                " as blob) as row, cast(",
                $owner,
                " as blob) as owner, ",
                $sealed,
                " as sealed from ",
                $table,
                " where ",
                $row,
                " > ?1 and ",
                $sealed,
                " is not null order by ",
                $row,
                " limit ?2"
            ),
            save: concat!("update ", $table, " set ", $sealed, " = ?2 where ", $row, " = ?1 and ", $sealed, " = ?3"),
            left: concat!("select exists (select 1 from ", $table, " where substr(", $sealed, ", 1, 4) <> ?1)"),
        }
    };
}

const TABLES: [Table; 6] = [
    table!("secrets", "id", "coalesce(endpoint, account)", "sealed"),
    table!("endpoints", "id", "id", "headers"),
    table!("endpoints", "id", "id", "tls"),
    table!("jobs", "id", "id", "fetch_headers"),
    table!("origins", "id", "id", "credentials"),
    table!("derived_keys", "cast(purpose as blob)", "purpose", "sealed"),
];

#[async_trait]
impl Rotation for SqliteStore {
    async fn derived_key(&self, purpose: &'static str, first: [u8; 32]) -> Result<[u8; 32]> {
        self.write(move |tx| derived_key(tx, purpose, first)).await
    }

    async fn keep_derived(&self, keys: Vec<(&'static str, Option<Vec<u8>>)>) -> Result<()> {
        self.write(move |tx| keys.iter().try_for_each(|(purpose, key)| keep_derived(tx, purpose, key.as_deref()))).await
    }

    async fn kept_derived(&self, purpose: &'static str) -> Result<Option<Vec<u8>>> {
        self.write(move |tx| kept_derived(tx, purpose)).await
    }

    async fn reseal(&self, from: Place, limit: u32) -> Result<Resealed> {
        self.write(move |tx| reseal(tx, from, limit)).await
    }

    async fn finish_resealing(&self) -> Result<()> {
        self.write(finish).await
    }
}

fn derived_key(tx: &mut Tx, purpose: &'static str, first: [u8; 32]) -> Result<[u8; 32]> {
    if let Some(known) = kept_derived(tx, purpose)? {
        return known.try_into().map_err(|_| StoreError::corrupt("derived key", &"it has not 32 bytes"));
    }
    keep_derived(tx, purpose, Some(&first))?;
    Ok(first)
}

fn kept_derived(tx: &mut Tx, purpose: &'static str) -> Result<Option<Vec<u8>>> {
    let known = query("select sealed from derived_keys where purpose = ?").bind(purpose);
    let Some(row) = known.first(tx)? else { return Ok(None) };
    let digits = tx.vault().open(purpose.as_bytes(), column(&row, "sealed")?)?;
    let bytes = read_hex(&digits).ok_or_else(|| StoreError::corrupt("derived key", &"it is not hexadecimal digits"))?;
    Ok(Some(bytes))
}

fn keep_derived(tx: &mut Tx, purpose: &'static str, key: Option<&[u8]>) -> Result<()> {
    // What it replaces shall not be found in pages that are free.
    tx.forget_for_good()?;
    query("delete from derived_keys where purpose = ?").bind(purpose).run(tx)?;
    let Some(key) = key else { return Ok(()) };
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let sealed = tx.vault().seal(purpose.as_bytes(), &digits);
    query("insert into derived_keys (purpose, sealed) values (?, ?)").bind(purpose).bind(sealed).run(tx)?;
    Ok(())
}

fn read_hex(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(pair).collect()
}

fn reseal(tx: &mut Tx, from: Place, limit: u32) -> Result<Resealed> {
    // What the old key sealed shall not be found in pages that are free: whoever has the old key could open it.
    tx.forget_for_good()?;
    let Place { table, row } = from;
    let Some(sealing) = TABLES.get(table) else { return Ok(Resealed { count: 0, next: None }) };
    let walked = query(sealing.walk).bind(row).bind(limit).all(tx)?;
    let mut count = 0;
    for row in &walked {
        let sealed: &[u8] = column(row, "sealed")?;
        if tx.vault().is_current(sealed) {
            continue;
        }
        let owner: &[u8] = column(row, "owner")?;
        let anew = tx.vault().seal(owner, &tx.vault().open(owner, sealed)?);
        let saved = query(sealing.save).bind(column::<Vec<u8>>(row, "row")?).bind(anew).bind(sealed.to_vec());
        if saved.run(tx)? != 1 {
            return Err(StoreError::LeaseLost);
        }
        count += 1;
    }
    let next = match walked.last().filter(|_| walked.len() >= limit as usize) {
        Some(last) => Some(Place { table, row: column(last, "row")? }),
        None if table + 1 < TABLES.len() => Some(Place { table: table + 1, row: Vec::new() }),
        None => None,
    };
    Ok(Resealed { count, next })
}

fn finish(tx: &mut Tx) -> Result<()> {
    let current = tx.vault().current_id().to_be_bytes().to_vec();
    for table in &TABLES {
        let left: bool = query(table.left).bind(current.clone()).one(tx)?.only()?;
        if left {
            return Err(StoreError::corrupt("secrets", &"some are not encrypted with the new master key yet"));
        }
    }
    let seal = tx.vault().seal(SEAL_OWNER, SEAL_TEXT);
    query("update keeper set seal = ?").bind(seal).run(tx)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of blobs that are not sealed: ids and hashes.
    const NOT_SEALED: [&str; 4] =
        ["idempotency.fingerprint", "published.fingerprint", "published.events", "api_keys.hash"];

    #[tokio::test]
    async fn every_column_that_keeps_something_sealed_is_walked() {
        let store = super::super::plans::store().await;
        let columns = query(
            "select tables.name || '.' || columns.name as name from pragma_table_list as tables, pragma_table_info(tables.name) as columns
            where tables.schema = 'main' and columns.type = 'BLOB' and tables.name not like 'sqlite%'",
        );
        let mut unknown = Vec::new();
        for row in columns.read_all(&store.1.readers).await.unwrap() {
            let name: String = row.column("name").unwrap();
            let (table, column) = name.split_once('.').unwrap();
            let is_walked =
                TABLES.iter().any(|known| known.save.starts_with(&format!("update {table} set {column} = ")));
            let names_a_row = column == "id"
                || ["account", "endpoint", "event", "job", "upload", "origin", "delivery", "only_endpoint"]
                    .contains(&column);
            if !is_walked && !names_a_row && name != "keeper.seal" && !NOT_SEALED.contains(&name.as_str()) {
                unknown.push(name);
            }
        }
        assert_eq!(unknown, Vec::<String>::new(), "sealed, and forgotten by a rotation?");
    }
}
