//! Saving outputs: whole or not at all, under names that cannot leave the folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::client::Api;
use crate::output::Bars;

/// What to do with a file of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Leave it, and fail.
    Keep,
    /// Replace it.
    Replace,
}

/// Saves one completed output of a job in `folder` after its size and SHA-256 were checked. Answers where.
pub(crate) async fn save(
    api: &Api,
    job: &str,
    output: &Value,
    folder: &Path,
    existing: Existing,
    bars: &Bars,
) -> anyhow::Result<PathBuf> {
    let name = output["name"].as_str().context("the server returned an output without a name")?;
    let file = &output["file"];
    let path = folder.join(safe_name(file["name"].as_str().unwrap_or(name)));
    if existing == Existing::Keep && path.exists() {
        bail!("{} already exists; --force replaces it", path.display());
    }
    let size = file["size_bytes"].as_u64().unwrap_or(0);
    let mut response = api.open_output(job, name).await?;
    let mut temporary = tempfile::Builder::new().prefix(".reelhook-").tempfile_in(folder)?;
    let bar = bars.bytes(name, size);
    let mut hash = Sha256::new();
    while let Some(piece) = response.body.next().await {
        let piece = piece.with_context(|| format!("the download of {name} broke off"))?;
        hash.update(&piece);
        temporary.write_all(&piece).with_context(|| format!("cannot write in {}", folder.display()))?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    let sha256 = hex::encode(hash.finalize());
    ensure!(
        file["sha256"] == *sha256,
        "the download of {name} is damaged: its SHA-256 is {sha256}, not the one that the server reports"
    );
    keep(temporary, &path, existing)?;
    Ok(path)
}

fn keep(temporary: tempfile::NamedTempFile, path: &Path, existing: Existing) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // Temporary files are for their owner alone; a result is as any other file.
    temporary.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    let kept = match existing {
        Existing::Keep => temporary.persist_noclobber(path),
        Existing::Replace => temporary.persist(path),
    };
    kept.with_context(|| format!("{} cannot be saved", path.display()))?;
    Ok(())
}

/// The name of a file that stays in its folder and shows in a listing, whatever `name` says.
pub(crate) fn safe_name(name: &str) -> String {
    const LONGEST: usize = 200;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_odd = |letter: char| letter.is_control() || matches!(letter, ':' | '*' | '?' | '"' | '<' | '>' | '|');
    let plain: String = last.chars().map(|letter| if is_odd(letter) { '_' } else { letter }).collect();
    let plain = plain.trim().trim_start_matches(['.', '-']).trim_end_matches('.');
    let mut end = plain.len().min(LONGEST);
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 { "output".to_owned() } else { plain[..end].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_folder_or_hides() {
        for (name, safe) in [
            ("web.mp4", "web.mp4"),
            ("über größe.mp4", "über größe.mp4"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\x.exe", "x.exe"),
            ("/", "output"),
            ("..", "output"),
            ("", "output"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a\nb\0c:d", "a_b_c_d"),
            ("trailing. ", "trailing"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        assert_eq!(safe_name(&"ж".repeat(300)).len(), 200);
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.mp4");
        std::fs::write(&path, "old").unwrap();
        let new = || tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        assert!(keep(new(), &path, Existing::Keep).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        keep(new(), &path, Existing::Replace).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
