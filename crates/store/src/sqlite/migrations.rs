//! The tables, brought up to date step by step.
//!
//! The file says which step it has come to (`user_version`), and a step is taken once. To change a table, add a step at
//! the end; a step that was released never changes.

use rusqlite::{Connection, OptionalExtension as _};

use crate::{Result, StoreError};

/// A step's number and its SQL.
macro_rules! steps {
    ($($number:literal $name:literal),* $(,)?) => {
        &[$(($number, include_str!(concat!("../../migrations/sqlite/", $name, ".sql")))),*]
    };
}

const STEPS: &[(i64, &str)] = steps! {
    1 "0001_first",
    2 "0002_origins",
    3 "0003_services",
    4 "0004_credits",
    6 "0006_settings_changes",
    7 "0007_default_origins",
    10 "0010_endpoints_version",
    11 "0011_published",
    12 "0012_recover",
    13 "0013_retention",
    14 "0014_derived_keys",
    20 "0020_tenants",
    27 "0027_temporary_endpoints",
    30 "0030_waits",
    31 "0031_lists",
    40 "0040_endpoint_tls",
};

/// Takes the steps that are left, within the transaction that is open.
///
/// # Errors
/// [`StoreError::Corrupt`] when a newer version has taken a step that is not known here.
pub(super) fn run(connection: &Connection) -> Result<()> {
    let taken = taken(connection)?;
    let newest = STEPS.last().map_or(0, |(number, _)| *number);
    if taken > newest {
        let why =
            format_args!("it was made by another version of Reelhook (step {taken}, and {newest} is the newest known)");
        return Err(StoreError::corrupt("schema", &why));
    }
    for (number, sql) in STEPS.iter().filter(|(number, _)| *number > taken) {
        connection.execute_batch(sql)?;
        connection.pragma_update(None, "user_version", number)?;
    }
    Ok(())
}

/// The newest step that was taken; before there were numbers, a table of their own listed them.
fn taken(connection: &Connection) -> Result<i64> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let list = "select 1 from sqlite_schema where name = '_sqlx_migrations'";
    if version > 0 || connection.query_row(list, [], |_| Ok(())).optional()?.is_none() {
        return Ok(version);
    }
    let listed =
        connection.query_row("select coalesce(max(version), 0) from _sqlx_migrations", [], |row| row.get(0))?;
    connection.execute_batch("drop table _sqlx_migrations")?;
    connection.pragma_update(None, "user_version", listed)?;
    Ok(listed)
}
