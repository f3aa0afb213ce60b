//! `reelhook accounts erase`: an account, and everything that is kept of it.
//!
//! # Theory of operation
//! The lock of the data folder is held throughout: no server fans out or sends what is being erased. The files of jobs go
//! first, then everything in the database in one transaction, then the files of uploads.
//!
//! # The bad day
//! A command that died before the transaction is given again. After it only uploads can be left, which the server removes
//! by itself: nothing names them.

use anyhow::Context as _;
use reelhook_domain::ambient::Ambient;
use reelhook_files::{Files, Key};
use reelhook_store::{Account, Accounts as _, JobFilter, Jobs as _, Page, Retention as _};

use crate::data_folder::DataFolder;
use crate::exit::Exit;

/// Most jobs that are read at once.
const PAGE: u32 = 100;

/// Erases it; gives how many jobs it had.
pub(super) async fn erase(folder: &DataFolder, account: &str, ambient: &Ambient) -> anyhow::Result<(Account, u64)> {
    let _lock = folder.lock().context("an account can be erased only while the server is stopped")?;
    let (store, _) = folder.open(ambient).await?;
    let found = super::named(&*store, account).await?;
    if found.id == store.first_account().await?.id {
        return Err(Exit::Usage.error(format_args!(
            "{} is the first account, which every server has; to erase it, delete the data folder",
            found.name
        )));
    }
    let root = folder.files();
    let files = Files::local(&root, ambient.clone());
    let files = files.with_context(|| format!("the files in {} cannot be used", root.display()))?;
    let (mut jobs, mut before) = (0, None);
    loop {
        let page = store.list_jobs(found.id, &JobFilter::default(), Page { before, limit: PAGE }).await?;
        for job in &page {
            files.delete_job(job.id).await.with_context(|| format!("the files of {} were not deleted", job.id))?;
            jobs += 1;
        }
        match page.last() {
            Some(last) => before = Some(last.id.bits()),
            None => break,
        }
    }
    for upload in store.erase_account(found.id).await? {
        files.delete(&Key::upload(upload)).await.with_context(|| format!("the file of {upload} was not deleted"))?;
    }
    // What was overwritten shall not wait in the log.
    store.close().await;
    Ok((found, jobs))
}
