//! Why a file could not be kept or read.

use std::error::Error;
use std::io;

/// Why a file could not be kept or read, by what the caller does next. Nothing is visible of a file that was not kept.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is no file under that key.
    #[error("there is no such file")]
    NotFound,
    /// The file is larger than it may be.
    #[error("the file is larger than {cap} bytes")]
    TooLarge {
        /// The most bytes it may have.
        cap: u64,
    },
    /// The range asked for begins after the end of the file, or is empty.
    #[error("the range lies outside of the file of {size_bytes} bytes")]
    OutOfRange {
        /// The size of the whole file.
        size_bytes: u64,
    },
    /// The disk is full.
    #[error("there is no disk space left for the file")]
    Full,
    /// The sender's stream failed before its end.
    #[error("the sender stopped before the end of the file")]
    Broken(#[source] io::Error),
    /// The storage did not do its part.
    #[error("file storage: {0}")]
    Storage(#[source] Box<dyn Error + Send + Sync>),
}

/// Whether somewhere in the chain of causes is the operating system's "no room".
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl From<io::Error> for FilesError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            _ if is_full(&error) => Self::Full,
            _ => Self::Storage(Box::new(error)),
        }
    }
}

impl From<object_store::Error> for FilesError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            error if is_full(&error) => Self::Full,
            error => Self::Storage(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised_below_other_causes() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let error = object_store::Error::Generic { store: "local", source: Box::new(cause) };
        assert!(matches!(FilesError::from(error), FilesError::Full));
        let other = object_store::Error::Generic { store: "local", source: "boom".into() };
        assert!(matches!(FilesError::from(other), FilesError::Storage(_)));
    }
}
