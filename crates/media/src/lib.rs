//! Probe, plan, run, verify.
