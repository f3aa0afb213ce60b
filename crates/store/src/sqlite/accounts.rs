//! Accounts and their API keys.

use async_trait::async_trait;
use reelhook_domain::id::{AccountId, AccountKind, KeyId};
use reelhook_domain::quota::{Quota, Quotas};

use super::rows::{self, key};
use super::sql::query;
use super::writer::Tx;
use super::{SqliteStore, quotas};
use crate::wakes::Topic;
use crate::{Account, Accounts, ApiKey, KeyHash, NewApiKey, Result, StoreError};

/// What the first account is called until somebody says otherwise.
const FIRST_NAME: &str = "default";

pub(super) const FIND_KEY: &str = "select * from api_keys where hash = ? and revoked_at is null";
const FIRST_ACCOUNT: &str = "select * from accounts order by id limit 1";

#[async_trait]
impl Accounts for SqliteStore {
    async fn first_account(&self) -> Result<Account> {
        if let Some(row) = query(FIRST_ACCOUNT).read_first(&self.readers).await? {
            return rows::account(&row);
        }
        self.write(first_account).await
    }

    async fn create_account(&self, name: &str) -> Result<Account> {
        let name = name.to_owned();
        self.write(|tx| create_account(tx, name)).await
    }

    async fn list_accounts(&self) -> Result<Vec<Account>> {
        let found = query("select * from accounts order by id").read_all(&self.readers).await?;
        found.iter().map(rows::account).collect()
    }

    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey> {
        self.write(|tx| create_key(tx, key)).await
    }

    async fn list_keys(&self, account: AccountId) -> Result<Vec<ApiKey>> {
        let found = query("select * from api_keys where account = ? order by id desc").bind(key(account));
        found.read_all(&self.readers).await?.iter().map(rows::api_key).collect()
    }

    async fn revoke_key(&self, account: AccountId, id: KeyId) -> Result<ApiKey> {
        self.write(move |tx| revoke_key(tx, account, id)).await
    }

    async fn find_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>> {
        let found = query(FIND_KEY).bind(hash.to_vec()).read_first(&self.readers).await?;
        found.as_ref().map(rows::api_key).transpose()
    }

    async fn has_keys(&self) -> Result<bool> {
        query("select exists (select 1 from api_keys)").read_one(&self.readers).await?.only()
    }

    fn set_quotas(&self, quotas: Quotas) {
        self.partners.limits.set(quotas);
    }

    fn quotas(&self) -> Quotas {
        self.partners.limits.get()
    }

    async fn quota_use(&self, account: AccountId, of: &[Quota]) -> Result<Vec<(Quota, u64)>> {
        let mut used = Vec::new();
        for &quota in of {
            let Some(counted) = quotas::counted(quota) else { continue };
            let row = query(counted).bind(key(account)).read_one(&self.readers).await?;
            used.push((quota, rows::count(&row, "present")?));
        }
        Ok(used)
    }

    fn check_quota(&self, quota: Quota, present: u64, more: u64) -> Result<()> {
        self.partners.limits.check(quota, present, more)
    }
}

fn first_account(tx: &mut Tx) -> Result<Account> {
    // Somebody else may have made it since we looked.
    if let Some(row) = query(FIRST_ACCOUNT).first(tx)? {
        return rows::account(&row);
    }
    insert(tx, tx.ambient().id(), FIRST_NAME.to_owned())
}

fn create_account(tx: &mut Tx, name: String) -> Result<Account> {
    let first = first_account(tx)?;
    let taken = query("select exists (select 1 from accounts where name = ?)").bind(name.clone());
    // One transaction writes at a time, so nobody takes the name in between.
    if taken.one(tx)?.only()? {
        return Err(StoreError::AlreadyExists);
    }
    // The first account is the one with the lowest id, also among those of one millisecond.
    let id = tx.ambient().id::<AccountKind>().bits().max(first.id.bits() + 1);
    insert(tx, AccountId::from_bits(id), name)
}

fn insert(tx: &mut Tx, id: AccountId, name: String) -> Result<Account> {
    let account = Account { id, name, created_at: tx.now() };
    query("insert into accounts (id, name, created_at) values (?, ?, ?)")
        .bind(key(account.id))
        .bind(account.name.clone())
        .bind(account.created_at.as_millis())
        .run(tx)?;
    Ok(account)
}

fn create_key(tx: &mut Tx, new: NewApiKey) -> Result<ApiKey> {
    let now = tx.now();
    quotas::check(tx, Quota::Keys, new.account, 1)?;
    query("insert into api_keys (id, account, name, hint, hash, created_at) values (?, ?, ?, ?, ?, ?)")
        .bind(key(new.id))
        .bind(key(new.account))
        .bind(new.name.clone())
        .bind(new.hint.clone())
        .bind(new.hash.to_vec())
        .bind(now.as_millis())
        .run(tx)?;
    let NewApiKey { id, account, name, hint, hash: _ } = new;
    Ok(ApiKey { id, account, name, hint, created_at: now, revoked_at: None })
}

fn revoke_key(tx: &mut Tx, account: AccountId, id: KeyId) -> Result<ApiKey> {
    let now = tx.now();
    let revoked =
        query("update api_keys set revoked_at = coalesce(revoked_at, ?) where id = ? and account = ? returning *");
    let row = revoked.bind(now.as_millis()).bind(key(id)).bind(key(account)).first(tx)?;
    tx.wake(Topic::Key);
    rows::api_key(&row.ok_or(StoreError::NotFound)?)
}
