//! Refusals in the words of Compressor.

use serde_json::{Value, json};

use crate::Refusal;

/// Status and body.
pub fn of(refusal: &Refusal<'_>) -> (u16, Value) {
    (refusal.status, json!({"error": refusal.detail}))
}
