//! Claim, the journey of a job, heartbeat, sweep.
//!
//! # Theory of operation
//! A worker claims queued jobs up to its number of slots and walks each one through its journey: fetch, probe, plan, run,
//! verify, keep, finish. The journey only goes forward and ends in exactly one write, [`Jobs::finish_job`], which stores
//! the end of the job together with the event that tells of it. The worker knows no webhook.
//!
//! A job that is submitted to this very process while a slot is free is not looked for in the queue: the door
//! (`worker.rs`) hands it in with the transaction that writes it.
//!
//! The claim is a [`Lease`] that its journey owns and gives away with the last call. Beside the journeys runs one
//! heartbeat for all of them: it prolongs the leases, writes progress, and learns which leases are lost because the
//! caller canceled the job or another worker has it. A lost lease cancels the journey, which ends the encoder.
//!
//! # The bad day
//! * The process is killed: leases run out (or are voided when the server starts again), the job goes back to the queue
//!   and is done from the start; what was half made lies in a scratch folder that the next start sweeps. A job that does
//!   this again and again is given up after a number of claims, for then it is the job that kills.
//! * The process is told to stop: running journeys end at once, and their jobs are put back into the queue uncounted.
//! * The store cannot be reached: nobody may believe in a lease that was not prolonged in time, so journeys end when
//!   theirs would have run out. The job is claimed again by whoever can.
//! * The disk is full, the origin is slow, the media is damaged: values, not errors; the job ends with a
//!   [`JobFailure`](reelhook_domain::failure::JobFailure) that says so.
//!
//! [`Jobs::finish_job`]: reelhook_store::Jobs::finish_job
//! [`Lease`]: reelhook_store::Lease

mod disk_watch;
mod heartbeat;
mod held;
mod journey;
mod meter;
mod planner;
mod progress;
mod settings;
mod stage_clock;
mod sweep;
mod worker;

pub use meter::Meter;
pub use planner::{MOST_PLANS, PlanError, Planner};
pub use settings::{FetchLimits, Tools, WorkerSettings};
pub use worker::Worker;
