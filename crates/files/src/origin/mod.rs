//! Origins: buckets and servers that a caller lets us read or write.
//!
//! # Theory of operation
//! An origin is opened from what the store keeps of it and the credentials that the vault gave out, used, and dropped.
//! Every address in it was written by a caller, so everything goes through `egress`: a web server directly, a bucket
//! through `object_store` with `egress` as its transport (`wire`). All paths lie below the origin's base path; they were
//! checked when they were parsed.
//!
//! # The bad day
//! A request that may go well a moment later is repeated a few times with growing pauses; a read that breaks off goes on
//! by range, of the same version. A write that fails or is dropped leaves no object; an upload in parts is left, so that
//! its server keeps none of them. What a server says in place of success is kept as status and code, never as text.

mod bucket;
mod error;
mod gcs;
mod web;
mod wire;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use reelhook_domain::object_path::{BasePath, ObjectPath};
use reelhook_domain::origin::{Credentials, Origin, Permissions, Place, Validation};
use reelhook_domain::time::Timestamp;
use reelhook_egress::Client;

use bucket::Bucket;
pub use error::{Answer, OriginError};
use web::Web;

/// The object that checks write and remove, and look for.
const CHECK_NAME: &str = "reelhook-check";
/// How long each of the two checks may take.
const CHECK_TIME: Duration = Duration::from_secs(20);

/// An origin that can be read from and written to. Holds credentials: make one when it is needed, and drop it.
pub struct OpenOrigin {
    place: Place,
    base_path: BasePath,
    permissions: Permissions,
    inner: Inner,
}

enum Inner {
    Bucket(Bucket),
    Web(Web),
}

/// An object, or the rest of one, on its way here.
pub struct Reading {
    /// The size of the whole object, where the server says it; a bucket does.
    pub size_bytes: Option<u64>,
    /// Where the stream begins: where it was asked to, or 0 when the server would not begin there.
    pub start: u64,
    /// Names this version of the object, to go on with it after a break.
    pub version: Option<String>,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, OriginError>>,
}

/// An object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How it is named to people; see [`OpenOrigin::url`].
    pub url: String,
    /// Its size.
    pub size_bytes: u64,
}

impl OpenOrigin {
    /// Opens an origin. Nothing is asked of its server yet.
    ///
    /// # Errors
    /// [`OriginError::Settings`] when place and credentials do not go together, or a key cannot be read.
    pub fn open(origin: &Origin, credentials: Credentials, egress: &Client) -> Result<Self, OriginError> {
        let inner = match (&origin.place, &credentials) {
            (Place::Http { base_url }, Credentials::Headers(headers)) => {
                Inner::Web(Web::open(base_url.clone(), headers, egress.clone())?)
            }
            (place, _) => Inner::Bucket(Bucket::open(place, credentials, egress.clone())?),
        };
        let Origin { place, base_path, permissions, .. } = origin.clone();
        Ok(Self { place, base_path, permissions, inner })
    }

    /// Reads an object from byte `from` on. Give the version of what is there already when `from` is not 0: what comes
    /// is then of that version or fails with [`OriginError::Changed`], or begins anew ([`Reading::start`]).
    ///
    /// # Errors
    /// Whatever kept the beginning from arriving; what breaks off later fails in the stream.
    pub async fn read(&self, path: &ObjectPath, from: u64, version: Option<&str>) -> Result<Reading, OriginError> {
        if !self.permissions.read {
            return Err(OriginError::NotPermitted("read"));
        }
        let path = self.base_path.join(path)?;
        match &self.inner {
            Inner::Bucket(bucket) => bucket.read(&path, from, version).await,
            Inner::Web(web) => web.read(&path, from, version).await,
        }
    }

    /// Writes a file, in parts when it is large, in place of what was there. The bytes are covered by the signature of
    /// each request, and the size is looked at afterwards where the credentials may.
    ///
    /// # Errors
    /// Whatever kept it from being there whole. The object is then what it was before.
    ///
    /// # Cancel safety
    /// Nothing is visible of a write that was dropped, unless its last request was on its way.
    pub async fn write(&self, path: &ObjectPath, file: &Path, mime: &str) -> Result<Written, OriginError> {
        let bucket = self.writable()?;
        let path = self.base_path.join(path)?;
        let size_bytes = bucket.write(&path, file, mime).await?;
        Ok(Written { url: self.place.url_of(&path), size_bytes })
    }

    /// Whether it can be read.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_read(&self) -> Result<(), OriginError> {
        if !self.permissions.read {
            return Err(OriginError::NotPermitted("read"));
        }
        let probe = self.probe()?;
        in_time(async {
            match &self.inner {
                Inner::Bucket(bucket) => bucket.check_read(self.folder().as_ref(), &probe).await,
                Inner::Web(web) => web.check_read(&probe).await,
            }
        })
        .await
    }

    /// Whether it can be written to: writes a small object below the base path, and removes it.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_write(&self) -> Result<(), OriginError> {
        let bucket = self.writable()?;
        let probe = self.probe()?;
        in_time(bucket.check_write(&probe)).await
    }

    /// Checks what its owner permits, and says what came of it.
    pub async fn validate(&self, now: Timestamp) -> Validation {
        let (read, write) =
            tokio::join!(async { if self.permissions.read { Some(self.check_read().await) } else { None } }, async {
                if self.permissions.write { Some(self.check_write().await) } else { None }
            },);
        let said = |checked: &Option<Result<(), OriginError>>| {
            checked.as_ref().and_then(|checked| checked.as_ref().err()).map(ToString::to_string)
        };
        Validation {
            can_read: matches!(read, Some(Ok(()))),
            can_write: matches!(write, Some(Ok(()))),
            read_error: said(&read),
            write_error: said(&write),
            validated_at: now,
        }
    }

    /// How an object is named to people: `s3://bucket/key`, `r2://bucket/key`, `gs://bucket/key` or `https://...`.
    ///
    /// # Errors
    /// [`OriginError::Path`] when base path and path are too long together.
    pub fn url(&self, path: &ObjectPath) -> Result<String, OriginError> {
        Ok(self.place.url_of(&self.base_path.join(path)?))
    }

    /// Where a browser finds an object, if it may.
    ///
    /// # Errors
    /// [`OriginError::Path`] when base path and path are too long together.
    pub fn web_url(&self, path: &ObjectPath) -> Result<String, OriginError> {
        Ok(self.place.web_url_of(&self.base_path.join(path)?))
    }

    fn writable(&self) -> Result<&Bucket, OriginError> {
        match &self.inner {
            Inner::Bucket(bucket) if self.permissions.write => Ok(bucket),
            Inner::Bucket(_) | Inner::Web(_) => Err(OriginError::NotPermitted("write")),
        }
    }

    fn probe(&self) -> Result<ObjectPath, OriginError> {
        Ok(self.base_path.join(&CHECK_NAME.parse()?)?)
    }

    fn folder(&self) -> Option<ObjectPath> {
        self.base_path.as_str().trim_end_matches('/').parse().ok()
    }
}

async fn in_time(check: impl Future<Output = Result<(), OriginError>>) -> Result<(), OriginError> {
    let ended = tokio::time::timeout(CHECK_TIME, check).await;
    ended.unwrap_or(Err(OriginError::Slow(CHECK_TIME.as_secs())))
}

impl fmt::Debug for OpenOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOrigin").field("provider", &self.place.provider()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("size_bytes", &self.size_bytes)
            .field("start", &self.start)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
