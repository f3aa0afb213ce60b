//! Inputs and results, kept over an object store: a local folder today, buckets when one machine is too small.
//!
//! # Theory of operation
//! A file is kept under a typed [`Key`]. Everything is first written to this process's own scratch folder, hashed on the
//! way, made durable, and only then moved to its key in one step; so a key either holds a whole file or nothing, at
//! every instant and after every kind of death.
//!
//! ```text
//! root/uploads/upl_...           what callers sent
//! root/jobs/job_.../input        what was downloaded for a job
//! root/jobs/job_.../out_...      what a job made
//! root/scratch/ID/               half-made things of one process
//! root/scratch/ID.lock           held, by a file lock, as long as that process lives
//! ```
//!
//! A process that died leaves its scratch folder behind, and the kernel lets go of its lock: that is how
//! [`Files::sweep`] tells the dead from the living, without asking for ages or process ids.
//!
//! Origins, which are buckets and servers of callers, are opened by [`OpenOrigin`]; their traffic goes through `egress`.
//!
//! Only this crate knows `object_store`.

mod digests;
mod draft;
mod error;
mod files;
mod key;
mod links;
mod origin;
mod scratch;

pub use digests::{Digests, Stored};
pub use error::FilesError;
pub use files::{Content, Files, Room};
pub use key::{Key, NotAKey};
pub use links::{FormerKey, Links};
pub use origin::{Answer, OpenOrigin, OriginError, Reading, Written};
