//! Origins: buckets and servers that a caller lets us read or write.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::choice;
use crate::id::{AccountId, OriginId};
use crate::object_path::{BasePath, NotAPath, ObjectPath, PathTemplate};
use crate::time::Timestamp;

choice! {
    /// Who keeps the objects of an origin, and so how it is spoken to.
    Provider {
        /// Any web server; read only.
        Http = "http",
        /// Amazon S3, or a server that speaks its protocol.
        S3 = "s3",
        /// Cloudflare R2, which speaks the protocol of S3.
        R2 = "r2",
        /// Google Cloud Storage.
        Gcs = "gcs",
    }
}

choice! {
    /// Whether an origin may be used.
    OriginStatus {
        /// It may.
        Active = "active",
        /// It did not do what it should when it was last checked. Jobs may still name it.
        Failed = "failed",
        /// Its owner took it away: no job may name it, and its credentials are gone.
        Archived = "archived",
    }
}

/// Checks the name of a bucket.
///
/// # Errors
/// What is allowed.
///
/// # Source
/// The union of "Bucket naming rules" of Amazon S3 and "Bucket names" of Google Cloud Storage; which of them a bucket keeps
/// is seen when it is used.
pub fn check_bucket(name: &str) -> Result<(), &'static str> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let outer = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let is_name = (3..=222).contains(&bytes.len())
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
        && !name.contains("..");
    if is_name { Ok(()) } else { Err("must be the name of a bucket: 3 to 222 of a-z, 0-9, '-', '_' and '.'") }
}

/// Checks the name of a region. It becomes part of the host that is asked.
///
/// # Errors
/// What is allowed.
pub fn check_region(name: &str) -> Result<(), &'static str> {
    let is_name = (2..=32).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_name { Ok(()) } else { Err("must be a region such as eu-central-1: 2 to 32 of a-z, 0-9 and '-'") }
}

/// What its owner lets us do in an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Read inputs.
    pub read: bool,
    /// Write outputs.
    pub write: bool,
}

/// Where an origin is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum Place {
    /// Below that URL, which has neither credentials nor a query.
    Http {
        /// Where paths begin.
        base_url: Url,
    },
    /// A bucket of S3.
    S3 {
        /// Its name.
        bucket: String,
        /// Its region, such as `eu-central-1`.
        region: String,
        /// The server, where it is not Amazon's.
        endpoint: Option<Url>,
    },
    /// A bucket of R2.
    R2 {
        /// Its name.
        bucket: String,
        /// The account's endpoint: `https://ACCOUNT.r2.cloudflarestorage.com`.
        endpoint: Url,
    },
    /// A bucket of Google Cloud Storage.
    Gcs {
        /// Its name.
        bucket: String,
    },
}

impl Place {
    /// Who keeps it.
    pub const fn provider(&self) -> Provider {
        match self {
            Self::Http { .. } => Provider::Http,
            Self::S3 { .. } => Provider::S3,
            Self::R2 { .. } => Provider::R2,
            Self::Gcs { .. } => Provider::Gcs,
        }
    }

    /// The bucket, where there is one.
    pub fn bucket(&self) -> Option<&str> {
        match self {
            Self::Http { .. } => None,
            Self::S3 { bucket, .. } | Self::R2 { bucket, .. } | Self::Gcs { bucket } => Some(bucket),
        }
    }

    /// How an object is named to people: `s3://bucket/key`, `r2://...`, `gs://...`, or its URL. The path is the whole
    /// one, base path included.
    pub fn url_of(&self, path: &ObjectPath) -> String {
        match self {
            Self::Http { base_url } => http_url(base_url, path).into(),
            Self::S3 { bucket, .. } => format!("s3://{bucket}/{path}"),
            Self::R2 { bucket, .. } => format!("r2://{bucket}/{path}"),
            Self::Gcs { bucket } => format!("gs://{bucket}/{path}"),
        }
    }
}

impl Place {
    /// Where a browser finds an object, if it may: by https, or by whatever the bucket's own server speaks.
    ///
    /// # Source
    /// Amazon S3, "Virtual hosting of buckets": `BUCKET.s3.REGION.amazonaws.com`, and by path where a dot in the bucket's name
    /// would not fit the certificate. Google Cloud Storage, "Request endpoints": `storage.googleapis.com/BUCKET`.
    pub fn web_url_of(&self, path: &ObjectPath) -> String {
        let below = |host: String, bucket: Option<&str>| {
            let base = host.parse::<Url>();
            base.map_or_else(
                |_| self.url_of(path),
                |mut base| {
                    if let (Some(bucket), Ok(mut segments)) = (bucket, base.path_segments_mut()) {
                        segments.pop_if_empty().push(bucket);
                    }
                    http_url(&base, path).into()
                },
            )
        };
        match self {
            Self::Http { base_url } => http_url(base_url, path).into(),
            Self::S3 { bucket, endpoint: Some(endpoint), .. } | Self::R2 { bucket, endpoint } => {
                below(endpoint.to_string(), Some(bucket))
            }
            Self::S3 { bucket, region, endpoint: None } if bucket.contains('.') => {
                below(format!("https://s3.{region}.amazonaws.com"), Some(bucket))
            }
            Self::S3 { bucket, region, endpoint: None } => {
                below(format!("https://{bucket}.s3.{region}.amazonaws.com"), None)
            }
            Self::Gcs { bucket } => below("https://storage.googleapis.com".to_owned(), Some(bucket)),
        }
    }
}

/// The URL of a path below a base URL; what a segment may not hold is encoded.
pub fn http_url(base: &Url, path: &ObjectPath) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.segments());
    }
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// An origin as the store keeps it, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its id.
    pub id: OriginId,
    /// Whose it is.
    pub account: AccountId,
    /// A name for people.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// What we may do there.
    pub permissions: Permissions,
    /// The folder that all of its paths lie in.
    pub base_path: BasePath,
    /// How outputs are named there that bring no path of their own.
    pub path_template: PathTemplate,
    /// Whether it may be used.
    pub status: OriginStatus,
    /// What came of it when it was last checked.
    pub validation: Option<Validation>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Origin {
    /// The whole path of an object: the base path is always in front.
    ///
    /// # Errors
    /// [`NotAPath::TooLong`] when both together are.
    pub fn whole_path(&self, path: &ObjectPath) -> Result<ObjectPath, NotAPath> {
        self.base_path.join(path)
    }
}

/// What came of checking an origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Whether it could be read; false as well when it need not be.
    pub can_read: bool,
    /// Whether it could be written to; false as well when it need not be.
    pub can_write: bool,
    /// Why it could not be read, in its owner's voice.
    pub read_error: Option<String>,
    /// Why it could not be written to, in its owner's voice.
    pub write_error: Option<String>,
    /// When it was checked.
    pub validated_at: Timestamp,
}

impl Validation {
    /// Whether all that was tried could be done.
    pub const fn is_success(&self) -> bool {
        self.read_error.is_none() && self.write_error.is_none()
    }

    /// The status of an origin that was found so.
    pub const fn status(&self) -> OriginStatus {
        if self.is_success() { OriginStatus::Active } else { OriginStatus::Failed }
    }
}

/// What opens an origin. Sealed wherever it rests; serialised for the vault and for nobody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// Extra headers of every request to a web server; may be none.
    Headers(BTreeMap<String, String>),
    /// A key pair of S3 or R2.
    Keys {
        /// Names the pair.
        access_key_id: String,
        /// Signs with it.
        secret_access_key: String,
        /// Of a pair that was lent for a time.
        session_token: Option<String>,
    },
    /// The JSON key of a service account of Google Cloud.
    ServiceAccount(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Headers(_) => "Headers(..)",
            Self::Keys { .. } => "Keys(..)",
            Self::ServiceAccount(_) => "ServiceAccount(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_their_provider_names_them() {
        let path: ObjectPath = "a b/c#d?e%f.mp4".parse().unwrap();
        let endpoint: Url = "https://0123.r2.cloudflarestorage.com".parse().unwrap();
        let bucket = || "media".to_owned();
        let s3 = Place::S3 { bucket: bucket(), region: "eu-central-1".to_owned(), endpoint: None };
        assert_eq!(s3.url_of(&path), "s3://media/a b/c#d?e%f.mp4");
        assert_eq!(Place::R2 { bucket: bucket(), endpoint }.url_of(&path), "r2://media/a b/c#d?e%f.mp4");
        assert_eq!(Place::Gcs { bucket: bucket() }.url_of(&path), "gs://media/a b/c#d?e%f.mp4");
        for base in ["https://example.com/in", "https://example.com/in/"] {
            let place = Place::Http { base_url: base.parse().unwrap() };
            assert_eq!(place.url_of(&path), "https://example.com/in/a%20b/c%23d%3Fe%25f.mp4");
        }
    }

    #[test]
    fn objects_have_an_address_for_browsers() {
        let path: ObjectPath = "a b/c#d.jpeg".parse().unwrap();
        let s3 = |bucket: &str, endpoint: Option<&str>| Place::S3 {
            bucket: bucket.to_owned(),
            region: "eu-central-1".to_owned(),
            endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
        };
        let r2 = Place::R2 {
            bucket: "media".to_owned(),
            endpoint: "https://0123.r2.cloudflarestorage.com".parse().unwrap(),
        };
        for (place, expected) in [
            (s3("media", None), "https://media.s3.eu-central-1.amazonaws.com/a%20b/c%23d.jpeg"),
            (s3("my.media", None), "https://s3.eu-central-1.amazonaws.com/my.media/a%20b/c%23d.jpeg"),
            (s3("media", Some("http://127.0.0.1:9000")), "http://127.0.0.1:9000/media/a%20b/c%23d.jpeg"),
            (r2, "https://0123.r2.cloudflarestorage.com/media/a%20b/c%23d.jpeg"),
            (Place::Gcs { bucket: "media".to_owned() }, "https://storage.googleapis.com/media/a%20b/c%23d.jpeg"),
        ] {
            assert_eq!(place.web_url_of(&path), expected);
        }
    }

    #[test]
    fn no_path_leads_out_of_a_base_url() {
        // The URL standard takes an encoded dot for a dot; a path that spells one so must not become it.
        let path: ObjectPath = "%2e%2e/%2E%2e/secret".parse().unwrap();
        let url = http_url(&"https://example.com/in/".parse().unwrap(), &path);
        assert_eq!(url.as_str(), "https://example.com/in/%252e%252e/%252E%252e/secret");
    }

    #[test]
    fn names_that_would_change_the_host_or_the_path_are_refused() {
        for name in ["media", "my-bucket.v2", "a_b", "123"] {
            assert_eq!(check_bucket(name), Ok(()), "{name}");
        }
        for name in ["", "ab", "..", "a..b", "a/b", "a b", "Media", "-media", "media.", "a@b", "a?b", "../x"] {
            assert!(check_bucket(name).is_err(), "{name}");
        }
        for name in ["eu-central-1", "auto", "us-east-1"] {
            assert_eq!(check_region(name), Ok(()), "{name}");
        }
        for name in ["", "x.evil.example/", "a@b", "EU", "a#", "a:1"] {
            assert!(check_region(name).is_err(), "{name}");
        }
    }

    #[test]
    fn credentials_do_not_show_themselves() {
        let keys = Credentials::Keys {
            access_key_id: "AKIAEXAMPLE".to_owned(),
            secret_access_key: "in-the-clear".to_owned(),
            session_token: Some("token-in-the-clear".to_owned()),
        };
        let headers = Credentials::Headers([("authorization".to_owned(), "in-the-clear".to_owned())].into());
        for credentials in [keys, headers, Credentials::ServiceAccount("in-the-clear".to_owned())] {
            let shown = format!("{credentials:?} {credentials:#?}");
            assert!(!shown.contains("clear") && !shown.contains("AKIA"), "{shown}");
        }
    }

    #[test]
    fn an_origin_that_failed_a_check_says_so() {
        let well = Validation {
            can_read: true,
            can_write: false,
            read_error: None,
            write_error: None,
            validated_at: Timestamp::from_millis(0),
        };
        assert_eq!(well.status(), OriginStatus::Active);
        let badly = Validation { write_error: Some("denied".to_owned()), ..well };
        assert_eq!(badly.status(), OriginStatus::Failed);
    }
}
