//! The known word that an unknown one was most likely meant to be: for `did you mean`.

/// The one of `known` that is nearest to `word`; none where all are far from it.
///
/// Near is a word with few typing errors (a letter too many, too few, another, or two in the wrong order: one in words of
/// up to three letters, and one more for each four), or one that begins alike.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let scored = known.into_iter().filter_map(|candidate| Some((score(&word, candidate)?, candidate)));
    scored.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, candidate)| candidate)
}

/// Whether `word` is `known` with so few typing errors that nothing else can have been meant: one or two in at least four
/// letters for each.
pub fn is_mistyped(word: &str, known: &str) -> bool {
    typing_errors(&word.to_lowercase(), known).is_some_and(|errors| errors <= 2 && errors * 4 <= word.chars().count())
}

fn score(word: &str, known: &str) -> Option<f64> {
    let known = &known.to_lowercase();
    let likeness = strsim::jaro_winkler(word, known);
    match typing_errors(word, known) {
        // Before all that merely begin alike.
        Some(errors) => Some(2.0 - errors as f64 / 100.0 + likeness / 1000.0),
        None => (likeness > 0.8).then_some(likeness),
    }
}

fn typing_errors(word: &str, known: &str) -> Option<usize> {
    let length = word.chars().count();
    // Longer words are not worth the time, which grows with the square.
    if length > 200 || length.abs_diff(known.chars().count()) > length {
        return None;
    }
    let errors = strsim::damerau_levenshtein(word, known);
    (errors <= 1 + length / 4 && errors < length).then_some(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["codec", "crf", "format", "max_bytes", "quality", "width", "at_seconds", "secret_access_key"];
        for (word, expected) in [
            ("cfr", Some("crf")),
            ("CRF", Some("crf")),
            ("widht", Some("width")),
            ("maxbytes", Some("max_bytes")),
            ("fromat", Some("format")),
            ("secret", Some("secret_access_key")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"crf".repeat(10_000), known), None);
        assert_eq!(nearest("REELHOOK_WORKER_SLOT", ["REELHOOK_WORKER_SLOTS"]), Some("REELHOOK_WORKER_SLOTS"));
        assert!(is_mistyped("job_completed", "job.completed") && is_mistyped("jobs", "job"));
        assert!(!is_mistyped("user.created", "job.created") && !is_mistyped("jb", "job"));
    }
}
