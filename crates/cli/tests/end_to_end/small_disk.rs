//! A file system that is soon full.

use std::path::Path;
use std::process::Stdio;

/// A small file system of its own, which is unmounted when dropped.
pub(crate) struct SmallDisk {
    folder: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "mounting is no job")]
fn run(program: &str, arguments: &[&str]) -> std::io::Result<std::process::Output> {
    std::process::Command::new(program).args(arguments).stdin(Stdio::null()).output()
}

impl SmallDisk {
    /// Mounts one of that size, such as `24m`.
    pub(crate) fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let options = format!("size={size}");
        let path = folder.path().to_str().expect("the folder has a plain name");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", path]).expect("mount is in PATH");
        let said = String::from_utf8_lossy(&mounted.stderr);
        assert!(mounted.status.success(), "this test fills a file system of its own, for which it needs root: {said}");
        Self { folder }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server is killed just before; until it is gone, the file system is busy, so it is detached.
        let _ = run("umount", &["--lazy", &self.folder.path().to_string_lossy()]);
    }
}
