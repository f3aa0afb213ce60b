//! Rotating the master key: everything sealed is sealed anew, a little at a time.
//!
//! # Theory of operation
//! A sealed secret names the key that sealed it. While a rotation is under way the vault knows two keys: it opens what
//! either sealed, and seals with the new one. A walk over everything sealed seals anew what the old key sealed; whatever
//! part of it was done before a crash is passed over by the next walk. Only when nothing of the old key is left does the
//! database name the new key as its own ([`Rotation::finish_resealing`]), and only then may the old one be forgotten.

use async_trait::async_trait;

use crate::Result;

/// How far a walk over everything sealed is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Which table, in the order they are walked.
    pub(crate) table: usize,
    /// The last row that was looked at.
    pub(crate) row: Vec<u8>,
}

/// One step of that walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// How many secrets were sealed anew.
    pub count: u32,
    /// Where the next step begins; none after the last.
    pub next: Option<Place>,
}

/// Rotating the master key, and keys that outlive it.
#[async_trait]
pub trait Rotation: Send + Sync {
    /// The key for that purpose: `first` when there is none yet, which is then kept, sealed.
    async fn derived_key(&self, purpose: &'static str, first: [u8; 32]) -> Result<[u8; 32]>;

    /// Keeps bytes, sealed, for each of these purposes, in place of what was kept for it; none removes that. All or nothing.
    async fn keep_derived(&self, keys: Vec<(&'static str, Option<Vec<u8>>)>) -> Result<()>;

    /// What is kept for that purpose.
    async fn kept_derived(&self, purpose: &'static str) -> Result<Option<Vec<u8>>>;

    /// Looks at `limit` secrets and seals anew those that are not under the current key.
    async fn reseal(&self, from: Place, limit: u32) -> Result<Resealed>;

    /// Makes the current key the one of the database. `Corrupt` when something is still sealed under another.
    async fn finish_resealing(&self) -> Result<()>;
}
