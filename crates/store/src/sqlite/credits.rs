//! Credits: balances, and what jobs took from them.

use async_trait::async_trait;
use reelhook_domain::id::AccountId;
use reelhook_domain::job::{Dialect, Job, JobState};
use reelhook_domain::time::Timestamp;
use serde_json::Value;

use super::SqliteStore;
use super::rows::{self, column, count, key, whole};
use super::sql::{Row, query};
use super::writer::Tx;
use crate::{Charge, Credits, JobUse, Result};

const CHARGES: &str = "
    select charge.*, jobs.spec -> '$.said' as said from credit_charges as charge left join jobs on jobs.id = charge.job
    where charge.account = ?1 and charge.dialect = ?2 order by charge.at desc, charge.job desc limit ?3";
const JOB_USE: &str = "
    select
        (select count(*) from jobs where account = ?1 and created_at >= ?3 and spec ->> '$.dialect' = ?2) as jobs,
        (select count(*) from jobs where account = ?1 and created_at >= ?3 and spec ->> '$.dialect' = ?2
            and state = 'completed') as completed,
        (select coalesce(sum(credits), 0) from credit_charges
            where account = ?1 and dialect = ?2 and at >= ?3) as credits";

#[async_trait]
impl Credits for SqliteStore {
    async fn balance(&self, account: AccountId) -> Result<Option<i64>> {
        let found = query("select balance from credits where account = ?").bind(key(account));
        found.read_first(&self.readers).await?.map(|row| row.only()).transpose()
    }

    async fn grant_credits(&self, account: AccountId, credits: i64) -> Result<i64> {
        self.write(move |tx| grant(tx, account, credits)).await
    }

    async fn lift_credits(&self, account: AccountId) -> Result<()> {
        self.write(move |tx| lift(tx, account)).await
    }

    async fn charges(&self, account: AccountId, dialect: Dialect, limit: u32) -> Result<Vec<Charge>> {
        let found = query(CHARGES).bind(key(account)).bind(dialect.as_str()).bind(limit);
        found.read_all(&self.readers).await?.iter().map(read).collect()
    }

    async fn job_use(&self, account: AccountId, dialect: Dialect, since: Timestamp) -> Result<JobUse> {
        let used = query(JOB_USE).bind(key(account)).bind(dialect.as_str()).bind(since.as_millis());
        let row = used.read_one(&self.readers).await?;
        Ok(JobUse {
            jobs: count(&row, "jobs")?,
            completed: count(&row, "completed")?,
            credits: count(&row, "credits")?,
        })
    }
}

fn read(row: &Row) -> Result<Charge> {
    Ok(Charge {
        job: rows::id(row, "job")?,
        credits: count(row, "credits")?,
        duration_ms: count(row, "duration_ms")?,
        said: column::<Option<&str>>(row, "said")?.map_or(Ok(Value::Null), |text| rows::parse(text, "said"))?,
        at: rows::time(row, "at")?,
    })
}

fn grant(tx: &mut Tx, account: AccountId, credits: i64) -> Result<i64> {
    // Sums are capped where SQLite would turn them into floating point.
    let granted = query(
        "insert into credits (account, balance) values (?1, ?2)
        on conflict (account) do update set balance = max(-4000000000000000, min(4000000000000000, balance + ?2))
        returning balance",
    );
    const MOST: i64 = 4_000_000_000_000_000;
    granted.bind(key(account)).bind(credits.clamp(-MOST, MOST)).one(tx)?.only()
}

fn lift(tx: &mut Tx, account: AccountId) -> Result<()> {
    query("delete from credits where account = ?").bind(key(account)).run(tx)?;
    Ok(())
}

/// Notes what a job took that made something, and takes it from the balance; changes nothing the second time.
pub(super) fn charge(tx: &mut Tx, job: &Job) -> Result<()> {
    let made = matches!(job.state, JobState::Completed | JobState::Partial { .. });
    let Some(credits) = job.credits().filter(|_| made) else { return Ok(()) };
    let seconds = job.input().and_then(|input| input.media.as_ref()?.duration_seconds).unwrap_or(0.0);
    let now = tx.now();
    let noted = query(
        "insert into credit_charges (job, account, dialect, credits, duration_ms, at) values (?, ?, ?, ?, ?, ?)
        on conflict (job) do nothing",
    )
    .bind(key(job.id))
    .bind(key(job.account))
    .bind(job.spec.dialect.as_str())
    .bind(whole(credits))
    .bind((seconds * 1000.0).round() as i64)
    .bind(now.as_millis())
    .run(tx)?;
    if noted == 1 {
        let taken = query("update credits set balance = balance - ? where account = ?");
        taken.bind(whole(credits)).bind(key(job.account)).run(tx)?;
    }
    Ok(())
}
