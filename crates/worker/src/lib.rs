//! Claim, the journey of a job, heartbeat, sweep.
