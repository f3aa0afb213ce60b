//! How a job ends, decided from how its outputs ended. Pure.

use reelhook_domain::failure::JobFailure;
use reelhook_domain::job::Signal;

/// The signal that ends a job of whose outputs each was made or failed, in the caller's order. `damage` is what was wrong
/// with an input that was used all the same.
pub(super) fn signal(outputs: &[Option<JobFailure>], damage: Option<JobFailure>) -> Signal {
    let first = outputs.iter().flatten().next().cloned();
    let made = outputs.iter().any(Option::is_none);
    match (first.or(damage), made) {
        (None, _) => Signal::Complete,
        (Some(error), true) => Signal::CompletePartly(error),
        (Some(error), false) => Signal::Fail(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reelhook_domain::failure::Stage;

    fn failure(code: &str) -> JobFailure {
        JobFailure::input(Stage::Encoding, code, "x")
    }

    #[test]
    fn the_worst_and_first_output_decides() {
        let (a, b, lost) = (failure("a"), failure("b"), failure("input_truncated"));
        assert_eq!(signal(&[None, None], None), Signal::Complete);
        assert_eq!(signal(&[None, Some(a.clone()), Some(b.clone())], None), Signal::CompletePartly(a.clone()));
        assert_eq!(signal(&[Some(b.clone()), Some(a.clone())], None), Signal::Fail(b));
        assert_eq!(signal(&[None], Some(lost.clone())), Signal::CompletePartly(lost.clone()));
        assert_eq!(signal(&[Some(a.clone())], Some(lost)), Signal::Fail(a));
    }
}
