//! Buckets: S3 and those who speak its protocol, and Google Cloud Storage.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path as Location;
use object_store::{
    Attribute, Attributes, BackoffConfig, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::origin::{Credentials, Place};
use reelhook_egress::Client;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::error::OriginError;
use super::wire::{Streamed, Wire};
use super::{CHECK_NAME, Reading, gcs};

/// Up to this size a file is written with one request; larger ones in parts of at least this size.
///
/// # Source
/// Amazon S3: parts have 5 MiB to 5 GiB, an upload has at most 10,000. Cloudflare R2: all parts but the last have the
/// same size.
const PART: u64 = 8 << 20;
const MOST_PARTS: u64 = 9_000;
/// Parts on their way at once; so many are in memory.
const PARTS_AT_ONCE: usize = 3;
/// What a bucket of R2 is in.
const R2_REGION: &str = "auto";
/// How long leaving an upload may take.
const LEAVING: Duration = Duration::from_secs(30);

/// One bucket. Cannot be shown: the client within knows the credentials.
pub(super) struct Bucket {
    objects: Arc<dyn ObjectStore>,
}

/// How often, and after which pauses, a request is repeated that may go well a moment later.
pub(super) fn retry() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(120) }
}

impl Bucket {
    /// Only what its owner gave opens a bucket: where something is missing this fails, so that the client never goes
    /// looking for credentials of the machine it runs on.
    pub(super) fn open(place: &Place, credentials: Credentials, egress: Client) -> Result<Self, OriginError> {
        let wire = Wire::new(egress);
        let objects: Arc<dyn ObjectStore> = match (place, credentials) {
            (
                Place::S3 { bucket, region, endpoint },
                Credentials::Keys { access_key_id, secret_access_key, session_token },
            ) => {
                let builder = signed(access_key_id, secret_access_key, session_token);
                let builder = builder.with_bucket_name(bucket).with_region(region);
                let builder = match endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint.as_str()),
                    // Every request is signed over its bytes anyway, so a damaged one is refused. Amazon also keeps the
                    // checksum with the object; not every server that speaks its protocol knows these headers.
                    None => builder.with_checksum_algorithm(Checksum::SHA256),
                };
                Arc::new(builder.with_http_connector(wire).with_retry(retry()).build()?)
            }
            (Place::R2 { bucket, endpoint }, Credentials::Keys { access_key_id, secret_access_key, session_token }) => {
                let builder = signed(access_key_id, secret_access_key, session_token);
                let builder = builder.with_bucket_name(bucket).with_region(R2_REGION).with_endpoint(endpoint.as_str());
                Arc::new(builder.with_http_connector(wire).with_retry(retry()).build()?)
            }
            (Place::Gcs { bucket }, Credentials::ServiceAccount(key)) => gcs::bucket(bucket, &key, None, wire)?,
            _ => return Err(OriginError::Settings("the credentials are not of the kind that the provider takes")),
        };
        Ok(Self { objects })
    }

    pub(super) async fn read(
        &self,
        path: &ObjectPath,
        from: u64,
        version: Option<&str>,
    ) -> Result<Reading, OriginError> {
        let range = (from > 0).then_some(GetRange::Offset(from));
        let mut options = GetOptions { range, if_match: version.map(ToOwned::to_owned), ..GetOptions::default() };
        options.extensions.insert(Streamed);
        let found = self.objects.get_opts(&location(path)?, options).await?;
        // Not every server that speaks the protocol knows `If-Match`.
        if version.is_some_and(|version| found.meta.e_tag.as_deref().is_some_and(|there| there != version)) {
            return Err(OriginError::Changed);
        }
        Ok(Reading {
            size_bytes: Some(found.meta.size),
            start: found.range.start,
            version: found.meta.e_tag.clone(),
            stream: found.into_stream().map_err(OriginError::from).boxed(),
        })
    }

    pub(super) async fn write(&self, path: &ObjectPath, file: &Path, mime: &str) -> Result<u64, OriginError> {
        let mut file = File::open(file).await.map_err(OriginError::Local)?;
        let size = file.metadata().await.map_err(OriginError::Local)?.len();
        let location = location(path)?;
        if size <= PART {
            let bytes = read_exactly(&mut file, size).await?;
            self.put(&location, bytes, mime).await?;
        } else {
            self.put_parts(&location, file, size, mime).await?;
        }
        // Credentials that may only write cannot look; then the signature over the bytes has to do.
        match self.objects.head(&location).await.map_err(OriginError::from) {
            Ok(there) if there.size != size => Err(OriginError::Damaged { sent: size, there: there.size }),
            Ok(_) | Err(OriginError::Denied(_)) => Ok(size),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, location: &Location, bytes: Bytes, mime: &str) -> Result<(), OriginError> {
        let options = PutOptions { attributes: attributes(mime), ..PutOptions::default() };
        self.objects.put_opts(location, PutPayload::from_bytes(bytes), options).await?;
        Ok(())
    }

    async fn put_parts(&self, location: &Location, mut file: File, size: u64, mime: &str) -> Result<(), OriginError> {
        let options = PutMultipartOptions { attributes: attributes(mime), ..PutMultipartOptions::default() };
        let mut upload = Unfinished(Some(self.objects.put_multipart_opts(location, options).await?));
        let part_size = part_size(size);
        let mut on_their_way = FuturesUnordered::new();
        let mut left = size;
        while left > 0 {
            if on_their_way.len() == PARTS_AT_ONCE {
                on_their_way.try_next().await?;
            }
            let part = read_exactly(&mut file, left.min(part_size)).await?;
            left -= part.len() as u64;
            on_their_way.push(upload.parts().put_part(PutPayload::from_bytes(part)));
        }
        while on_their_way.try_next().await?.is_some() {}
        upload.parts().complete().await?;
        upload.0 = None;
        Ok(())
    }

    /// Whether objects can be read. With keys that may not list, a missing object is what shows it.
    pub(super) async fn check_read(&self, folder: Option<&ObjectPath>, probe: &ObjectPath) -> Result<(), OriginError> {
        let folder = folder.map(location).transpose()?;
        let first = self.objects.list(folder.as_ref()).try_next().await.map_err(OriginError::from);
        let object = match first {
            Ok(Some(found)) => found.location,
            Ok(None) => return Ok(()),
            Err(OriginError::Denied(_)) => location(probe)?,
            Err(error) => return Err(error),
        };
        let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
        match self.objects.get_opts(&object, options).await.map_err(OriginError::from) {
            // An empty object has no first byte.
            Ok(_) | Err(OriginError::NotFound | OriginError::Changed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether objects can be written: writes a small one, and removes it.
    pub(super) async fn check_write(&self, probe: &ObjectPath) -> Result<(), OriginError> {
        let location = location(probe)?;
        let words = Bytes::from_static(b"Written to see whether it can be. It may be removed.\n");
        self.put(&location, words, "text/plain").await?;
        if let Err(error) = self.objects.delete(&location).await.map_err(OriginError::from) {
            // Keys that may write and not delete are good enough for outputs, and a wise choice. The name is always the
            // same, so at most one such object stays.
            tracing::info!(
                error = &error as &dyn std::error::Error,
                "{CHECK_NAME} was written and could not be removed"
            );
        }
        Ok(())
    }
}

fn signed(access_key_id: String, secret_access_key: String, session_token: Option<String>) -> AmazonS3Builder {
    let builder = AmazonS3Builder::new().with_access_key_id(access_key_id).with_secret_access_key(secret_access_key);
    session_token.into_iter().fold(builder, AmazonS3Builder::with_token)
}

fn location(path: &ObjectPath) -> Result<Location, OriginError> {
    // `parse` takes the name as it is; `from` would encode characters, and so name another object.
    Location::parse(path.as_str()).map_err(|_| OriginError::Settings("the path is not one that buckets take"))
}

fn attributes(mime: &str) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, mime.to_owned())])
}

/// Equal parts, in whole MiB, few enough for one upload.
fn part_size(size: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    size.div_ceil(MOST_PARTS).next_multiple_of(MIB).max(PART)
}

async fn read_exactly(file: &mut (impl AsyncRead + Unpin), size: u64) -> Result<Bytes, OriginError> {
    let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or(usize::MAX));
    let mut rest = file.take(size);
    while (bytes.len() as u64) < size {
        if rest.read_buf(&mut bytes).await.map_err(OriginError::Local)? == 0 {
            return Err(OriginError::Local(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(bytes.freeze())
}

/// An upload in parts, which its server keeps, and bills, until it is completed or left.
struct Unfinished(Option<Box<dyn MultipartUpload>>);

impl Unfinished {
    fn parts(&mut self) -> &mut dyn MultipartUpload {
        self.0.as_deref_mut().expect("it is taken only once it is complete")
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(mut upload) = self.0.take() else { return };
        // On its own, since a drop cannot wait; bounded, and lost only when the process ends first.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let left = tokio::time::timeout(LEAVING, upload.abort()).await;
                tracing::debug!(left = matches!(left, Ok(Ok(()))), "an upload in parts was broken off");
            });
        }
    }
}
