//! What would become of a job: found out by looking at its inputs, without making it.

use serde_json::Value;

use crate::failure::JobFailure;
use crate::job::InputFacts;
use crate::price::Estimate;

/// What would become of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// What is known of its inputs, in its order; none where they could not be fetched.
    pub inputs: Vec<InputFacts>,
    /// One for each of its outputs, in its order.
    pub outputs: Vec<OutputOutline>,
    /// What it would take; none where nothing of it can be made, or where only the work itself tells.
    pub estimate: Option<Estimate>,
    /// Why it would not come to making anything.
    pub error: Option<JobFailure>,
}

/// What would become of an output.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputOutline {
    /// What was decided for each stream, with the reason: as [`Output::plan`](crate::job::Output::plan).
    pub plan: Value,
    /// Why it would not be made.
    pub error: Option<JobFailure>,
}
