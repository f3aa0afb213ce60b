//! Keeping and reading files.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt as _};
use reelhook_domain::ambient::Ambient;
use reelhook_domain::id::{JobId, UploadId};
use reelhook_domain::time::Timestamp;
use rustix::fs::{AtFlags, CWD, linkat};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use crate::digests::{Digests, Stored};
use crate::draft::{Draft, publish};
use crate::error::FilesError;
use crate::key::{Key, job_prefix, uploads_prefix};
use crate::scratch::{Scratch, create_private};

/// What one read or write moves at a time.
pub(crate) const CHUNK: usize = 256 * 1024;

/// After how many bytes of a stream the free space is looked at again.
const LOOK_EVERY: u64 = 4 << 20;

/// Where inputs and results are kept. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    objects: LocalFileSystem,
    scratch: Scratch,
    ambient: Ambient,
    /// Free bytes that no file may take.
    reserve: AtomicU64,
}

/// The free space of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free.
    pub free: u64,
    /// Of these, bytes that files leave alone.
    pub reserve: u64,
    /// Bytes of the whole disk.
    pub disk: u64,
}

impl Room {
    /// Whether there is no room for files any more.
    pub const fn is_low(self) -> bool {
        self.free < self.reserve
    }

    /// Whether half of the reserve is gone too.
    pub const fn is_very_low(self) -> bool {
        self.free < self.reserve / 2
    }
}

/// A file, or a part of one, to be read.
pub struct Content {
    /// The size of the whole file.
    pub size_bytes: u64,
    /// Which bytes the stream gives.
    pub range: Range<u64>,
    /// The bytes.
    pub stream: BoxStream<'static, io::Result<Bytes>>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("size_bytes", &self.size_bytes)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

impl Files {
    /// Files in a local folder, which is made when there is none (for this user alone).
    ///
    /// # Errors
    /// [`FilesError::Storage`] when the folder cannot be made or written to.
    pub fn local(root: &Path, ambient: Ambient) -> Result<Self, FilesError> {
        for folder in [root.to_owned(), root.join("uploads"), root.join("jobs")] {
            create_private(&folder)?;
        }
        let root = root.canonicalize()?;
        let objects = LocalFileSystem::new_with_prefix(&root)?;
        let scratch = Scratch::take(&root.join("scratch"), &ambient)?;
        Ok(Self { inner: Arc::new(Inner { root, objects, scratch, ambient, reserve: AtomicU64::new(0) }) })
    }

    /// Keeps what a stream gives, at most `cap` bytes. What was under the key before is replaced.
    ///
    /// When this returns `Ok`, the file is on the disk.
    ///
    /// # Errors
    /// [`FilesError::TooLarge`], [`FilesError::Full`], [`FilesError::Broken`] when the stream failed, and
    /// [`FilesError::Storage`]. Nothing is visible then, and nothing is left.
    ///
    /// # Cancel safety
    /// Nothing is left of a put that was dropped.
    pub async fn put_stream<S>(&self, key: &Key, mut stream: S, cap: u64) -> Result<Stored, FilesError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        let place = self.place(key)?;
        self.check_room()?;
        let mut looked = 0;
        let mut draft = Draft::new(self.inner.scratch.fresh(&self.inner.ambient)?);
        let mut digests = Digests::default();
        while let Some(bytes) = stream.try_next().await.map_err(FilesError::Broken)? {
            digests.update(&bytes);
            if digests.size_bytes() > cap {
                return Err(FilesError::TooLarge { cap });
            }
            if digests.size_bytes() - looked > LOOK_EVERY {
                looked = digests.size_bytes();
                self.check_room()?;
            }
            draft.write(&bytes).await?;
        }
        draft.publish(place).await?;
        Ok(digests.stored())
    }

    /// Keeps an opened file that was made in [`Files::scratch`]. It stays where it is and must not be changed afterwards: on
    /// the same file system the key is another name of the same bytes.
    ///
    /// What is kept is the file that was opened, not what lies under its path by now. When this returns `Ok`, the file is
    /// on the disk.
    ///
    /// # Errors
    /// [`FilesError::Full`] and [`FilesError::Storage`], for what is not a regular file too.
    pub async fn put_file(&self, key: &Key, file: std::fs::File) -> Result<Stored, FilesError> {
        let temporary = self.inner.scratch.fresh(&self.inner.ambient)?;
        let place = self.place(key)?;
        let stored = blocking(move || {
            if !file.metadata()?.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "only a regular file is kept"));
            }
            let mut kept = match link(&file, &temporary) {
                Ok(()) => file,
                // Another file system, or one without hard links.
                Err(_) => copy(file, &temporary)?,
            };
            io::Seek::rewind(&mut kept)?;
            let stored = hash(&mut kept)?;
            publish(&kept, &temporary, &place)?;
            Ok(stored)
        });
        Ok(stored.await?)
    }

    /// Where the file of a key is in our folder.
    fn place(&self, key: &Key) -> Result<PathBuf, FilesError> {
        Ok(self.inner.objects.path_to_filesystem(&key.path())?)
    }

    /// Reads a file, or the part of it in `range`. A range that ends after the file ends with it.
    ///
    /// # Errors
    /// [`FilesError::NotFound`], [`FilesError::OutOfRange`] and [`FilesError::Storage`].
    pub async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Content, FilesError> {
        let size_bytes = self.size(key).await?;
        let range = match range {
            Some(range) if range.is_empty() || range.start >= size_bytes => {
                return Err(FilesError::OutOfRange { size_bytes });
            }
            Some(range) => range.start..range.end.min(size_bytes),
            None => 0..size_bytes,
        };
        let found = self.inner.objects.get_opts(&key.path(), GetOptions::default()).await?;
        let stream = match found.payload {
            // The library's own stream moves 8 KiB at a time, each through another thread.
            GetResultPayload::File(file, _) => read_part(file, range.clone()).await?,
            GetResultPayload::Stream(stream) => stream.map_err(io::Error::other).boxed(),
        };
        Ok(Content { size_bytes, range, stream })
    }

    /// The size of a file.
    ///
    /// # Errors
    /// [`FilesError::NotFound`] and [`FilesError::Storage`].
    pub async fn size(&self, key: &Key) -> Result<u64, FilesError> {
        Ok(self.inner.objects.head(&key.path()).await?.size)
    }

    /// A path at which programs can read the file: with a local folder the file itself, not to be changed; with a bucket
    /// a copy in `scratch`.
    ///
    /// # Errors
    /// [`FilesError::NotFound`], [`FilesError::Full`] and [`FilesError::Storage`].
    pub async fn local_path(&self, key: &Key, _scratch: &Path) -> Result<PathBuf, FilesError> {
        self.size(key).await?;
        self.place(key)
    }

    /// Removes a file; does nothing when there is none.
    ///
    /// # Errors
    /// [`FilesError::Storage`].
    pub async fn delete(&self, key: &Key) -> Result<(), FilesError> {
        match self.inner.objects.delete(&key.path()).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    /// The uploads whose bytes were written before that time.
    ///
    /// # Errors
    /// [`FilesError::Storage`].
    pub async fn uploads_before(&self, before: Timestamp) -> Result<Vec<UploadId>, FilesError> {
        let found = self.inner.objects.list(Some(&uploads_prefix()));
        let old = found.try_filter_map(|found| async move {
            let is_old = found.last_modified.timestamp_millis() < before.as_millis();
            Ok(found.location.filename().filter(|_| is_old).and_then(|name| name.parse::<UploadId>().ok()))
        });
        Ok(old.try_collect().await?)
    }

    /// Removes all that is kept of a job.
    ///
    /// # Errors
    /// [`FilesError::Storage`].
    pub async fn delete_job(&self, job: JobId) -> Result<(), FilesError> {
        let prefix = job_prefix(job);
        let found = self.inner.objects.list(Some(&prefix)).map_ok(|found| found.location).boxed();
        let removed: Result<Vec<_>, _> = self.inner.objects.delete_stream(found).try_collect().await;
        match removed {
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        let folder = self.inner.root.join(prefix.as_ref());
        match tokio::fs::remove_dir(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The folder for half-made things of this process, on the same file system as the files. Gone with the last clone of
    /// this, or swept after the process died.
    pub fn scratch(&self) -> &Path {
        self.inner.scratch.folder()
    }

    /// Removes what processes that died left half-made. Leaves alone what belongs to those that live, so it may run at
    /// any time. Answers of how many processes something was removed. `end` is called with the scratch folder of each before
    /// it is removed, to end what still works there.
    ///
    /// # Errors
    /// [`FilesError::Storage`].
    pub async fn sweep(&self, end: impl Fn(&Path) + Send + 'static) -> Result<usize, FilesError> {
        let inner = Arc::clone(&self.inner);
        Ok(blocking(move || inner.scratch.sweep(end)).await?)
    }

    /// From now on files leave that many bytes of the disk free, for the database. At first there is no reserve.
    pub fn set_reserve(&self, bytes: u64) {
        self.inner.reserve.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes there is room for, beside the reserve.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let Room { free, reserve, .. } = self.room()?;
        Ok(free.saturating_sub(reserve))
    }

    /// The free space of the disk, and how much of it is the reserve.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn room(&self) -> io::Result<Room> {
        let found = rustix::fs::statvfs(&self.inner.root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let reserve = self.inner.reserve.load(Ordering::Relaxed);
        Ok(Room { free: bytes(found.f_bavail), reserve, disk: bytes(found.f_blocks) })
    }

    /// Goes on where there is room.
    fn check_room(&self) -> Result<(), FilesError> {
        if self.room()?.is_low() { Err(FilesError::Full) } else { Ok(()) }
    }
}

pub(crate) async fn blocking<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Gives an opened file another name.
///
/// # Source
/// open(2), under `O_TMPFILE`: the link in `/proc` is followed to the file itself, whatever its path was.
fn link(file: &std::fs::File, name: &Path) -> io::Result<()> {
    let opened = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    Ok(linkat(CWD, opened, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// A copy of an opened file under a new name.
fn copy(mut file: std::fs::File, name: &Path) -> io::Result<std::fs::File> {
    io::Seek::rewind(&mut file)?;
    let mut copy = std::fs::File::options().read(true).write(true).create_new(true).open(name)?;
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

fn hash(file: &mut std::fs::File) -> io::Result<Stored> {
    let mut digests = Digests::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = io::Read::read(file, &mut buffer)?;
        if read == 0 {
            break;
        }
        digests.update(&buffer[..read]);
    }
    Ok(digests.stored())
}

async fn read_part(file: std::fs::File, range: Range<u64>) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
    let mut file = tokio::fs::File::from_std(file);
    tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(range.start)).await?;
    Ok(ReaderStream::with_capacity(file.take(range.end - range.start), CHUNK).boxed())
}
