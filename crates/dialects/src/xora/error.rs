//! Refusals and failures in the words of Xora.

use reelhook_domain::failure::{Fault, JobFailure, Stage};
use reelhook_domain::job::JobState;
use serde_json::{Value, json};

use crate::Refusal;

/// Status and body.
pub fn of(refusal: &Refusal<'_>) -> (u16, Value) {
    let (status, code) = match refusal.status {
        401 | 403 => (401, "UNAUTHORIZED"),
        404 => (404, "NOT_FOUND"),
        _ if refusal.code == "unsupported_command" => (400, "UNSUPPORTED_COMMAND"),
        // The service has one code for what a caller got wrong, and one status for it; a few others keep theirs.
        status @ (405 | 413 | 415 | 429) => (status, "VALIDATION_ERROR"),
        status if status < 500 => (400, "VALIDATION_ERROR"),
        status => (status, "ENGINE_ERROR"),
    };
    let error = json!({"code": code, "message": refusal.detail, "retryable": status >= 500 || status == 429});
    (status, json!({"error": error}))
}

/// The stage of a job, by the service's word for the state that goes with it.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetching | Stage::Probing => "probing",
        Stage::Planning => "planning",
        Stage::Encoding => "transcoding",
        Stage::Verifying | Stage::Storing => "merging",
    }
}

/// Why a job did not end well, as its webhook and its GET say it.
pub(super) fn failure(state: &JobState) -> Option<Value> {
    let error = state.error()?;
    let code = code(error, matches!(state, JobState::Rejected { .. }));
    Some(json!({
        "code": code,
        "message": error.message,
        "stage": stage(error.stage),
        "retryable": error.retryable,
    }))
}

fn code(error: &JobFailure, rejected: bool) -> &'static str {
    match error.code.as_str() {
        "unsupported_command" => "UNSUPPORTED_COMMAND",
        "ffmpeg_missing" | "encoder_missing" | "sandbox_unavailable" => "CONFIG_ERROR",
        "gave_up" => "ENGINE_EMPTY_RESPONSE",
        "output_invalid" if error.fault == Fault::Server => "ENGINE_INVALID_RESPONSE",
        "server_failed" => "ENGINE_INVOCATION_ERROR",
        "out_of_disk" => "ENGINE_INVOKE_FAILED",
        "stalled" | "timed_out" => "ENGINE_ERROR",
        _ if rejected => "VALIDATION_ERROR",
        _ => "TRANSCODE_ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_of_a_job_has_a_failure_that_leads_to_it() {
        let server = |code| JobFailure::server(Stage::Encoding, code, "x");
        for (failure, expected) in [
            (server("encoder_failed"), "TRANSCODE_ERROR"),
            (JobFailure::input(Stage::Probing, "input_damaged", "x"), "TRANSCODE_ERROR"),
            (server("stalled"), "ENGINE_ERROR"),
            (server("server_failed"), "ENGINE_INVOCATION_ERROR"),
            (server("out_of_disk"), "ENGINE_INVOKE_FAILED"),
            (server("gave_up"), "ENGINE_EMPTY_RESPONSE"),
            (server("output_invalid"), "ENGINE_INVALID_RESPONSE"),
            (server("ffmpeg_missing"), "CONFIG_ERROR"),
            (JobFailure::request(Stage::Planning, "unsupported_command", "x"), "UNSUPPORTED_COMMAND"),
        ] {
            assert_eq!(code(&failure, false), expected, "{}", failure.code);
        }
        let unfit = JobFailure::input(Stage::Probing, "unsupported_media", "x");
        assert_eq!(code(&unfit, true), "VALIDATION_ERROR");
    }
}
