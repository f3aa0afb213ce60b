//! Origins against servers that speak their protocols, on loopback.

#![allow(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

mod s3;
mod s3_server;
mod web;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use futures::TryStreamExt as _;
use reelhook_domain::id::Id;
use reelhook_domain::object_path::ObjectPath;
use reelhook_domain::origin::{Credentials, Origin, OriginStatus, Permissions, Place};
use reelhook_domain::time::Timestamp;
use reelhook_egress::{Client, Policy, Settings, SystemResolver};
use reelhook_files::Reading;

/// A client under that policy.
fn egress(policy: Policy) -> Client {
    Client::new(Settings { policy, ..Settings::default() }, Arc::new(SystemResolver)).unwrap()
}

/// An origin at that place that may do everything, below `base/`.
fn origin(place: Place) -> Origin {
    Origin {
        id: Id::from_bits(1),
        account: Id::from_bits(2),
        name: "mine".to_owned(),
        place,
        permissions: Permissions { read: true, write: true },
        base_path: "base/".parse().unwrap(),
        path_template: "{job_id}/{output_id}".parse().unwrap(),
        status: OriginStatus::Active,
        validation: None,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

fn path(text: &str) -> ObjectPath {
    text.parse().unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> Credentials {
    let pairs: BTreeMap<_, _> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Credentials::Headers(pairs)
}

/// Bytes of which no two parts are alike.
fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn all(reading: Reading) -> Vec<u8> {
    let pieces: Vec<_> = reading.stream.try_collect().await.unwrap();
    pieces.concat()
}
