//! Event types as people type them: Reelhook's own, those of a caller, and typing errors, which are neither.

use reelhook_domain::event::EventType;
use reelhook_domain::nearest::{is_mistyped, nearest};

/// Whether the type is one that Reelhook raises.
fn is_known(kind: &str) -> bool {
    EventType::OURS.contains(&kind)
}

/// The first words of Reelhook's own types.
fn families() -> impl Iterator<Item = &'static str> {
    EventType::OURS.iter().filter_map(|kind| kind.split_once('.')).map(|(family, _)| family)
}

fn is_of_a_family(kind: &str) -> bool {
    let first = kind.split('.').next().unwrap_or_default();
    families().any(|family| family.eq_ignore_ascii_case(first))
}

/// Reelhook's type that was most likely meant.
fn meant(kind: &str) -> Option<&'static str> {
    if let Some(near) = EventType::OURS.iter().find(|known| is_mistyped(kind, known)) {
        return Some(near);
    }
    // `completed` alone, or `job.complete`.
    let last = kind.rsplit('.').next().unwrap_or_default();
    let of_last = |word: &str| EventType::OURS.iter().find(|known| known.ends_with(&format!(".{word}"))).copied();
    let words = EventType::OURS.iter().filter_map(|known| known.rsplit('.').next());
    if is_of_a_family(kind) {
        return nearest(kind, EventType::OURS.iter().copied());
    }
    (!kind.contains('.')).then(|| nearest(last, words).and_then(of_last)).flatten()
}

/// Refuses what is neither a type of Reelhook nor clearly a caller's own: `job.complete`, `jobs.completed`, `completed`.
pub(crate) fn check(kind: &EventType) -> Result<(), String> {
    let kind = kind.as_str();
    if is_known(kind) {
        return Ok(());
    }
    let meant = meant(kind);
    if meant.is_none() && !is_of_a_family(kind) {
        return Ok(());
    }
    let hint = meant.map_or_else(String::new, |known| format!(" Did you mean \"{known}\"?"));
    Err(format!(
        "unknown event type \"{kind}\".{hint} Reelhook's own types are {}. A type of your own has another first word and is \
         not one of these mistyped, such as invoice.paid",
        EventType::OURS.join(", ")
    ))
}

/// Refuses a filter that no event can match: a mistyped type of Reelhook, or a glob such as `jobs.*` beside `job.*`.
pub(crate) fn check_filter(pattern: &str) -> Result<(), String> {
    let Some(start) = pattern.strip_suffix('*') else {
        return pattern.parse().map_err(|error| format!("\"{pattern}\" {error}")).and_then(|kind| check(&kind));
    };
    let matches = |known: &&str| known.starts_with(start);
    if EventType::OURS.iter().any(matches) {
        return Ok(());
    }
    let first = start.split('.').next().unwrap_or_default();
    match families().find(|family| family.eq_ignore_ascii_case(first) || is_mistyped(first, family)) {
        Some(family) => Err(format!("no event matches \"{pattern}\". Did you mean \"{family}.*\"?")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_no_type_of_ones_own() {
        for (kind, meant) in [
            ("job.complete", "job.completed"),
            ("job.cancelled", "job.canceled"),
            ("job.done", ""),
            ("Job.completed", "job.completed"),
            ("jobs.completed", "job.completed"),
            ("job_completed", "job.completed"),
            ("jobcompleted", "job.completed"),
            ("completed", "job.completed"),
            ("complete", "job.completed"),
            ("webhook.tests", "webhook.test"),
            ("endpoint.disable", "endpoint.disabled"),
        ] {
            let refused = check(&kind.parse().unwrap()).unwrap_err();
            assert!(meant.is_empty() || refused.contains(&format!("Did you mean \"{meant}\"?")), "{kind}: {refused}");
        }
        for own in ["invoice.paid", "user.created", "video.completed", "order", "a.b", "jobsite.opened"] {
            assert_eq!(check(&own.parse().unwrap()), Ok(()), "{own}");
        }
        for &ours in EventType::OURS {
            assert_eq!(check(&EventType::ours(ours)), Ok(()), "{ours}");
        }
    }

    #[test]
    fn a_filter_that_matches_nothing_is_refused() {
        for pattern in ["*", "job.*", "job.c*", "j*", "invoice.*", "invoice.paid", "job.completed"] {
            assert_eq!(check_filter(pattern), Ok(()), "{pattern}");
        }
        for pattern in ["jobs.*", "job.x*", "Job.*", "endpoints.*", "job.complete", "job completed", ""] {
            assert!(check_filter(pattern).is_err(), "{pattern}");
        }
    }
}
