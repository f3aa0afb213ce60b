//! An account erased whole, in one transaction: no server runs meanwhile, so nobody waits for it.

use reelhook_domain::id::{AccountId, UploadId};

use super::rows::{self, key};
use super::sql::query;
use super::writer::Tx;
use crate::{Result, StoreError};

const UPLOADS: &str = "delete from uploads where account = ? returning id";
/// In this order: what names another row goes before it.
const STATEMENTS: [&str; 18] = [
    "delete from attempts where delivery in (select id from deliveries where account = ?)",
    "delete from deliveries where account = ?",
    "delete from bodies where event in (select id from events where account = ?)",
    "delete from events where account = ?",
    "delete from idempotency where account = ?",
    "delete from published where account = ?",
    "delete from jobs where account = ?",
    "delete from tallies where account = ?",
    "delete from credit_charges where account = ?",
    "delete from credits where account = ?",
    "delete from settings_changes where account = ?",
    "delete from default_origins where account = ?",
    "delete from origins where account = ?",
    "delete from default_webhooks where account = ?",
    "delete from secrets where account = ?1 or endpoint in (select id from endpoints where account = ?1)",
    "delete from endpoints where account = ?",
    "delete from api_keys where account = ?",
    "delete from accounts where id = ?",
];

pub(super) fn erase(tx: &mut Tx, account: AccountId) -> Result<Vec<UploadId>> {
    let known = query("select 1 from accounts where id = ?").bind(key(account));
    known.first(tx)?.ok_or(StoreError::NotFound)?;
    // Nothing of it shall be found in pages that are free.
    tx.forget_for_good()?;
    let uploads = query(UPLOADS).bind(key(account)).all(tx)?;
    for statement in STATEMENTS {
        query(statement).bind(key(account)).run(tx)?;
    }
    uploads.iter().map(|row| rows::id(row, "id")).collect()
}
