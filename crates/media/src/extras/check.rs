//! Measuring whether a product carries what was planned.

use serde::{Deserialize, Serialize};

use super::{Carried, Extras, Label, TrackKind};
use crate::verify::{Check, alike};

/// What a product has to hold beside its picture and its sound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtrasExpectation {
    /// The language of each of its sounds, in their order; `und` where it is not known.
    pub sounds: Vec<String>,
    /// The language of each of its subtitles, in their order.
    pub subtitles: Vec<String>,
    /// How many files are attached.
    pub attachments: usize,
    /// How many covers it has.
    pub covers: usize,
    /// How many chapters it has.
    pub chapters: usize,
    /// Its tags: only those of which the format gives back what was written.
    pub tags: Vec<(String, String)>,
}

/// Tags that every format gives back as they were; others it may write its own way (`3` as `3/0`).
const VERBATIM: &[&str] = &["title", "artist", "album"];

impl ExtrasExpectation {
    /// What a product has to hold that carries this; `sounds` is how many it has and in which place its first is.
    pub(crate) fn of(carried: &Carried, has_sound: bool, first: Option<u32>, chapters: usize) -> Option<Self> {
        if *carried == Carried::default() {
            return None;
        }
        let mut sounds: Vec<(u32, String)> =
            carried.of_kind(TrackKind::Audio).map(|track| (track.index, language(&track.label))).collect();
        if has_sound {
            sounds.push((first.unwrap_or(0), language(&carried.sound)));
        }
        sounds.sort_by_key(|(index, _)| *index);
        let verbatim = |(name, _): &&(String, String)| VERBATIM.contains(&name.as_str());
        Some(Self {
            sounds: sounds.into_iter().map(|(_, language)| language).collect(),
            subtitles: carried.of_kind(TrackKind::Subtitle).map(|track| language(&track.label)).collect(),
            attachments: carried.of_kind(TrackKind::Attachment).count(),
            covers: carried.of_kind(TrackKind::Cover).count(),
            chapters,
            tags: carried.tags.iter().filter(verbatim).cloned().collect(),
        })
    }
}

fn language(label: &Label) -> String {
    label.language.clone().unwrap_or_else(|| "und".to_owned())
}

/// All comparisons of what was planned with what a product holds. `labels` tells whether its format has languages.
pub(crate) fn checks(expect: &ExtrasExpectation, extras: &Extras, labels: bool) -> Vec<Check> {
    let languages = |kind| {
        let of = |track: &super::Track| if labels { language(&track.label) } else { "und".to_owned() };
        extras.of_kind(kind).map(of).collect::<Vec<_>>()
    };
    let words = |kind: &str, languages: &[String]| format!("{} {kind} ({})", languages.len(), languages.join(", "));
    let mut checks = Vec::new();
    let mut compare = |name: &str, expected: String, measured: String| {
        checks.push(alike(name, Some(expected), Some(measured)));
    };
    compare("sounds", words("sounds", &expect.sounds), words("sounds", &languages(TrackKind::Audio)));
    compare("subtitles", words("subtitles", &expect.subtitles), words("subtitles", &languages(TrackKind::Subtitle)));
    let count = |kind| extras.of_kind(kind).count().to_string();
    compare("attachments", expect.attachments.to_string(), count(TrackKind::Attachment));
    compare("covers", expect.covers.to_string(), count(TrackKind::Cover));
    compare("chapters", expect.chapters.to_string(), extras.chapters.len().to_string());
    let told = |tags: &[(String, String)]| {
        let wanted = expect.tags.iter().filter_map(|(name, _)| tags.iter().find(|(found, _)| found == name));
        wanted.map(|(name, value)| format!("{name} {value:?}")).collect::<Vec<_>>().join(", ")
    };
    compare("tags", told(&expect.tags), told(&extras.tags));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extras::{Chapter, Track};

    fn track(kind: TrackKind, language: &str) -> Track {
        Track {
            index: 0,
            kind,
            codec: "any".to_owned(),
            label: Label { language: Some(language.to_owned()), title: None },
            default: false,
            forced: false,
            start: 0.0,
            empty: false,
            sound: None,
            picture: None,
            file: None,
        }
    }

    fn failing(change: impl FnOnce(&mut Extras)) -> Vec<String> {
        let expect = ExtrasExpectation {
            sounds: vec!["eng".to_owned(), "deu".to_owned()],
            subtitles: vec!["fra".to_owned()],
            attachments: 0,
            covers: 1,
            chapters: 1,
            tags: vec![("title".to_owned(), "T".to_owned())],
        };
        let mut extras = Extras {
            tracks: vec![
                track(TrackKind::Audio, "eng"),
                track(TrackKind::Audio, "deu"),
                track(TrackKind::Subtitle, "fra"),
                track(TrackKind::Cover, "und"),
            ],
            tags: vec![("title".to_owned(), "T".to_owned()), ("genre".to_owned(), "G".to_owned())],
            other_tags: Vec::new(),
            chapters: vec![Chapter { start: 0.0, end: 1.0, title: String::new() }],
        };
        change(&mut extras);
        checks(&expect, &extras, true).into_iter().filter(|check| !check.passed).map(|check| check.name).collect()
    }

    #[test]
    fn a_track_a_language_or_a_tag_that_is_missing_is_named() {
        assert_eq!(failing(|_| {}), [""; 0]);
        assert_eq!(failing(|extras| drop(extras.tracks.remove(1))), ["sounds"]);
        assert_eq!(failing(|extras| extras.tracks[1].label.language = Some("eng".to_owned())), ["sounds"]);
        assert_eq!(failing(|extras| extras.tracks[2].kind = TrackKind::Data), ["subtitles"]);
        assert_eq!(failing(|extras| extras.tracks[3].kind = TrackKind::Video), ["covers"]);
        assert_eq!(failing(|extras| extras.chapters.clear()), ["chapters"]);
        assert_eq!(failing(|extras| extras.tags[0].1 = "t".to_owned()), ["tags"]);
        assert_eq!(failing(|extras| extras.tags.clear()), ["tags"]);
    }
}
