//! What is told of the bytes of a file.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// A file that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// SHA-1 of its bytes, in lower-case hexadecimal: some services show it.
    pub sha1: String,
}

/// Takes digests of bytes that pass by.
#[derive(Clone, Default)]
pub struct Digests {
    size_bytes: u64,
    sha256: Sha256,
    sha1: Sha1,
}

impl Digests {
    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        self.sha1.update(bytes);
    }

    /// How many bytes passed by.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// What is told of all of them.
    pub fn stored(self) -> Stored {
        Stored {
            size_bytes: self.size_bytes,
            sha256: hex::encode(self.sha256.finalize()),
            sha1: hex::encode(self.sha1.finalize()),
        }
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digests").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}
