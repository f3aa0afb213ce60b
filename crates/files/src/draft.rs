//! A file on its way to its place.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;
use tokio::task::JoinHandle;

use crate::error::FilesError;
use crate::files::{CHUNK, blocking};
use crate::scratch::create_private;

/// What a file may have for its space to grow with it. A larger one has the space of a whole piece at once, and no more.
const SMALL: usize = 16 * 1024;

/// The file with what was written so far, and the space of the last piece, for the next one.
type Written = (File, Vec<u8>);

/// A file that is being written: in pieces, each while the next is gathered. A small one is made in one go.
pub(crate) struct Draft {
    path: Arc<TempPath>,
    gathered: Vec<u8>,
    /// The file once there is one, as the piece before left it, and the space of that piece.
    writing: Option<JoinHandle<io::Result<Written>>>,
}

impl Draft {
    /// A file at a path that nobody uses.
    pub(crate) fn new(path: TempPath) -> Self {
        Self { path: Arc::new(path), gathered: Vec::new(), writing: None }
    }

    /// The next bytes.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), FilesError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.gathered.len()));
            if self.gathered.len() + now.len() > SMALL {
                self.gathered.reserve_exact(CHUNK - self.gathered.len());
            }
            self.gathered.extend_from_slice(now);
            bytes = later;
            if self.gathered.len() == CHUNK {
                self.write_gathered().await?;
            }
        }
        Ok(())
    }

    /// Begins to write what was gathered, once the piece before is written, whose space the next one is gathered in.
    async fn write_gathered(&mut self) -> io::Result<()> {
        let (file, space) = self.written().await?.unzip();
        let mut space = space.unwrap_or_default();
        space.clear();
        let (path, piece) = (Arc::clone(&self.path), std::mem::replace(&mut self.gathered, space));
        self.writing = Some(tokio::task::spawn_blocking(move || Ok((append(file, &path, &piece)?, piece))));
        Ok(())
    }

    /// Moves the file to its place, durable.
    pub(crate) async fn publish(mut self, place: PathBuf) -> Result<(), FilesError> {
        let file = self.written().await?.map(|(file, _)| file);
        let made = blocking(move || {
            let file = append(file, &self.path, &self.gathered)?;
            publish(&file, &self.path, &place)
        });
        Ok(made.await?)
    }

    /// Waits for the piece that is being written.
    async fn written(&mut self) -> io::Result<Option<Written>> {
        match self.writing.take() {
            Some(writing) => writing.await.map_err(io::Error::other)?.map(Some),
            None => Ok(None),
        }
    }
}

fn append(file: Option<File>, path: &Path, piece: &[u8]) -> io::Result<File> {
    let mut file = match file {
        Some(file) => file,
        None => File::create_new(path)?,
    };
    file.write_all(piece)?;
    Ok(file)
}

/// Moves a file of our scratch folder, opened, to its place in one step, and waits until that is on the disk.
///
/// The bytes are synced after the move: nobody was told of the file before, and a file system that keeps a journal then
/// has the bytes, the name and the folder in one entry of it, so that syncing the folders costs next to nothing.
pub(crate) fn publish(file: &File, temporary: &Path, place: &Path) -> io::Result<()> {
    let folder = place.parent().ok_or(io::ErrorKind::InvalidFilename)?;
    // The folders that get a new entry, from the innermost on.
    let mut changed = vec![folder];
    if let Err(error) = std::fs::rename(temporary, place) {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        let missing = folder.ancestors().take_while(|folder| !folder.exists());
        changed.extend(missing.filter_map(Path::parent));
        create_private(folder)?;
        std::fs::rename(temporary, place)?;
    }
    // All of them wait for the same entry.
    let synced = std::thread::scope(|scope| {
        let sync = |folder| move || File::open(folder)?.sync_all();
        let others: Vec<_> = changed.into_iter().map(|folder| scope.spawn(sync(folder))).collect();
        let failed = |_| io::Error::other("a folder could not be synced");
        others.into_iter().fold(file.sync_all(), |synced, other| synced.and(other.join().map_err(failed).flatten()))
    });
    if synced.is_err() {
        // As the caller is told.
        std::fs::remove_file(place).ok();
    }
    synced
}
