//! What keeping a file means, whatever it is kept on.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reelhook_domain::id::{JobId, OutputId, UploadId};
use reelhook_files::{Content, Files, FilesError, Key};
use reelhook_testkit::system_ambient;
use tokio::sync::Notify;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn fresh() -> (Files, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Files::local(&folder.path().join("files"), system_ambient()).unwrap(), folder)
}

fn pieces(pieces: &[&'static str]) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + Unpin {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
    stream::iter(pieces)
}

async fn text(content: Content) -> String {
    let bytes: Vec<Bytes> = content.stream.try_collect().await.unwrap();
    String::from_utf8(bytes.concat()).unwrap()
}

fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| path.extension().is_none_or(|extension| extension != "lock"));
    found
}

#[tokio::test]
async fn what_was_streamed_in_is_read_back_whole_and_by_range() {
    let (files, _folder) = fresh();
    let key = Key::upload(UploadId::from_bits(1));
    let stored = files.put_stream(&key, pieces(&["a", "", "bc"]), 3).await.unwrap();
    assert_eq!((stored.size_bytes, stored.sha256.as_str()), (3, ABC));
    assert_eq!(files.size(&key).await.unwrap(), 3);

    for (range, expected) in [(None, "abc"), (Some(0..1), "a"), (Some(1..3), "bc"), (Some(2..100), "c")] {
        let content = files.get(&key, range.clone()).await.unwrap();
        assert_eq!(content.size_bytes, 3);
        assert_eq!(content.range.end - content.range.start, expected.len() as u64);
        assert_eq!(text(content).await, expected, "{range:?}");
    }
    for range in [3..4, 1..1, 9..10] {
        let refused = files.get(&key, Some(range)).await;
        assert!(matches!(refused, Err(FilesError::OutOfRange { size_bytes: 3 })));
    }
}

#[tokio::test]
async fn a_file_from_scratch_is_kept_with_its_hash_and_stays_readable_in_scratch() {
    let (files, _folder) = fresh();
    let made = files.scratch().join("made");
    std::fs::write(&made, "abc").unwrap();
    for output in 1..=2 {
        let key = Key::output(JobId::from_bits(1), OutputId::from_bits(output));
        let stored = files.put_file(&key, std::fs::File::open(&made).unwrap()).await.unwrap();
        assert_eq!((stored.size_bytes, stored.sha256.as_str()), (3, ABC));
        assert_eq!(text(files.get(&key, None).await.unwrap()).await, "abc");
    }
    assert!(made.exists());
}

#[tokio::test]
async fn what_was_opened_is_kept_whatever_its_path_leads_to_by_then() {
    let (files, folder) = fresh();
    let (made, secret) = (files.scratch().join("made"), folder.path().join("secret"));
    std::fs::write(&made, "abc").unwrap();
    std::fs::write(&secret, "the secret").unwrap();
    let opened = std::fs::File::open(&made).unwrap();
    let aside = files.scratch().join("aside");
    std::fs::rename(&made, &aside).unwrap();
    std::os::unix::fs::symlink(&secret, &made).unwrap();
    let key = Key::output(JobId::from_bits(1), OutputId::from_bits(1));
    assert_eq!(files.put_file(&key, opened).await.unwrap().sha256, ABC);
    assert_eq!(text(files.get(&key, None).await.unwrap()).await, "abc");
    assert!(files.local_path(&key, files.scratch()).await.unwrap().symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn only_a_regular_file_is_kept() {
    let (files, _folder) = fresh();
    let key = Key::input(JobId::from_bits(1));
    for other in [std::path::Path::new("/dev/zero"), files.scratch()] {
        let opened = std::fs::File::open(other).unwrap();
        assert!(matches!(files.put_file(&key, opened).await, Err(FilesError::Storage(_))), "{}", other.display());
    }
    assert!(matches!(files.size(&key).await, Err(FilesError::NotFound)));
}

#[tokio::test]
async fn what_is_too_large_leaves_nothing() {
    let (files, folder) = fresh();
    let key = Key::upload(UploadId::from_bits(1));
    let refused = files.put_stream(&key, pieces(&["ab", "cd"]), 3).await;
    assert!(matches!(refused, Err(FilesError::TooLarge { cap: 3 })));
    assert!(matches!(files.get(&key, None).await, Err(FilesError::NotFound)));
    assert_eq!(everything_below(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_sender_that_fails_leaves_nothing() {
    let (files, folder) = fresh();
    let key = Key::upload(UploadId::from_bits(1));
    let failing = pieces(&["ab"]).chain(stream::iter([Err(io::Error::from(io::ErrorKind::ConnectionReset))]));
    let refused = files.put_stream(&key, failing, 100).await;
    assert!(matches!(refused, Err(FilesError::Broken(_))));
    assert!(matches!(files.size(&key).await, Err(FilesError::NotFound)));
    assert_eq!(everything_below(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing_and_keeps_what_was_there() {
    let (files, folder) = fresh();
    let key = Key::upload(UploadId::from_bits(1));
    files.put_stream(&key, pieces(&["old"]), 100).await.unwrap();
    let taken = Notify::new();
    let endless = pieces(&["new"]).chain(stream::once(async {
        taken.notify_one();
        std::future::pending().await
    }));
    tokio::select! {
        _ = files.put_stream(&key, endless.boxed(), 100) => panic!("the stream never ends"),
        () = taken.notified() => {}
    }
    assert_eq!(text(files.get(&key, None).await.unwrap()).await, "old");
    assert_eq!(everything_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_second_put_replaces_the_first() {
    let (files, folder) = fresh();
    let key = Key::input(JobId::from_bits(1));
    files.put_stream(&key, pieces(&["first"]), 100).await.unwrap();
    files.put_stream(&key, pieces(&["second"]), 100).await.unwrap();
    assert_eq!(text(files.get(&key, None).await.unwrap()).await, "second");
    assert_eq!(everything_below(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_local_path_is_the_file_itself() {
    let (files, _folder) = fresh();
    let key = Key::upload(UploadId::from_bits(1));
    assert!(matches!(files.local_path(&key, files.scratch()).await, Err(FilesError::NotFound)));
    files.put_stream(&key, pieces(&["abc"]), 100).await.unwrap();
    let path = files.local_path(&key, files.scratch()).await.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "abc");
    assert_eq!(everything_below(files.scratch()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn deleting_a_job_removes_its_files_and_no_others() {
    let (files, _folder) = fresh();
    let (gone, kept) = (JobId::from_bits(1), JobId::from_bits(2));
    for job in [gone, kept] {
        files.put_stream(&Key::input(job), pieces(&["in"]), 100).await.unwrap();
        files.put_stream(&Key::output(job, OutputId::from_bits(9)), pieces(&["out"]), 100).await.unwrap();
    }
    files.delete_job(gone).await.unwrap();
    files.delete_job(gone).await.unwrap();
    assert!(matches!(files.size(&Key::input(gone)).await, Err(FilesError::NotFound)));
    assert_eq!(files.size(&Key::output(kept, OutputId::from_bits(9))).await.unwrap(), 3);

    files.delete(&Key::input(kept)).await.unwrap();
    files.delete(&Key::input(kept)).await.unwrap();
    assert!(matches!(files.size(&Key::input(kept)).await, Err(FilesError::NotFound)));
}

#[tokio::test]
async fn a_sweep_removes_what_the_dead_left_and_spares_the_living() {
    let (files, folder) = fresh();
    let scratch = folder.path().join("files/scratch");
    // What a killed process leaves: a folder, and a lock that nobody holds.
    std::fs::create_dir(scratch.join("dead")).unwrap();
    std::fs::write(scratch.join("dead/half"), "ab").unwrap();
    std::fs::write(scratch.join("dead.lock"), "").unwrap();
    std::fs::write(files.scratch().join("mine"), "abc").unwrap();
    let neighbour = Files::local(&folder.path().join("files"), system_ambient()).unwrap();
    std::fs::write(neighbour.scratch().join("theirs"), "abc").unwrap();

    assert_eq!(files.sweep(|_| {}).await.unwrap(), 1);
    assert!(!scratch.join("dead").exists() && !scratch.join("dead.lock").exists());
    assert!(files.scratch().join("mine").exists() && neighbour.scratch().join("theirs").exists());
    assert_eq!(files.sweep(|_| {}).await.unwrap(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn folders_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (files, folder) = fresh();
    for path in [folder.path().join("files"), folder.path().join("files/uploads"), files.scratch().to_owned()] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    assert!(files.free_bytes().unwrap() > 0);
}

#[tokio::test]
async fn uploads_are_found_by_when_their_bytes_were_written() {
    let (files, _folder) = fresh();
    let id = UploadId::from_bits(7);
    files.put_stream(&Key::upload(id), pieces(&["abc"]), 3).await.unwrap();
    files.put_stream(&Key::input(JobId::from_bits(8)), pieces(&["abc"]), 3).await.unwrap();
    let now = system_ambient().now();
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(files.uploads_before(now + hour).await.unwrap(), [id]);
    assert!(files.uploads_before(now - hour).await.unwrap().is_empty());
}
