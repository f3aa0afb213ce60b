//! Reading what a report tells of further tracks, tags and chapters.

use std::collections::BTreeMap;

use super::{Chapter, Extras, KEPT, Label, Track, TrackKind};
use crate::report::{Container, Report, Stream};

/// Most characters of a tag or a title; what is longer is cut.
const LONGEST: usize = 500;
/// Most names of tags that are listed.
const MOST_NAMES: usize = 12;

/// Other names of tags that are kept.
const ALIASES: &[(&str, &str)] = &[
    ("tracknumber", "track"),
    ("discnumber", "disc"),
    ("albumartist", "album_artist"),
    ("year", "date"),
    ("com.apple.quicktime.title", "title"),
    ("com.apple.quicktime.artist", "artist"),
    ("com.apple.quicktime.album", "album"),
];
/// Tags that are the container's own and say nothing of the work.
const TECHNICAL: &[&str] = &[
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "language",
    "handler_name",
    "vendor_id",
    "alpha_mode",
    "rotate",
    "bps",
    "number_of_frames",
    "number_of_bytes",
    "encoder_settings",
];
/// Languages of two letters that are usual, with their three letters.
///
/// # Source
/// ISO 639-1 and ISO 639-2/T.
const LANGUAGES: &[(&str, &str)] = &[
    ("ar", "ara"),
    ("bg", "bul"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "fas"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("ko", "kor"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("nb", "nob"),
    ("nl", "nld"),
    ("no", "nor"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("th", "tha"),
    ("tr", "tur"),
    ("uk", "ukr"),
    ("vi", "vie"),
    ("zh", "zho"),
];

/// Languages that have two codes: the bibliographic one, and the terminological one that stands for both here.
///
/// # Source
/// ISO 639-2, 4.1.1; `sve` is QuickTime's.
const BIBLIOGRAPHIC: &[(&str, &str)] = &[
    ("alb", "sqi"),
    ("arm", "hye"),
    ("baq", "eus"),
    ("bur", "mya"),
    ("chi", "zho"),
    ("cze", "ces"),
    ("dut", "nld"),
    ("fre", "fra"),
    ("geo", "kat"),
    ("ger", "deu"),
    ("gre", "ell"),
    ("ice", "isl"),
    ("mac", "mkd"),
    ("may", "msa"),
    ("per", "fas"),
    ("rum", "ron"),
    ("slo", "slk"),
    ("sve", "swe"),
    ("tib", "bod"),
    ("wel", "cym"),
];

/// What a report tells beside picture and sound. `demuxer` is ffmpeg's name of what read it.
pub(crate) fn extras(report: &Report, demuxer: &str) -> Extras {
    let mut tags = Vec::new();
    let mut other_tags = Vec::new();
    read_tags(&report.format.tags, &mut tags, &mut other_tags);
    if demuxer == "ogg" {
        // Ogg has no tags of the whole: those of its streams are.
        for stream in &report.streams {
            read_tags(&stream.tags, &mut tags, &mut other_tags);
        }
    }
    tags.sort_by_key(|(name, _)| KEPT.iter().position(|kept| kept == name));
    other_tags.dedup();
    let chapters: Vec<Chapter> = report.chapters.iter().filter_map(chapter).collect();
    Extras {
        tracks: report.streams.iter().map(|stream| track(stream, &report.format)).collect(),
        tags,
        other_tags,
        chapters,
    }
}

fn chapter(told: &crate::report::ReportChapter) -> Option<Chapter> {
    let time = |text: &Option<String>| text.as_ref()?.parse().ok().filter(|time: &f64| time.is_finite());
    let (start, end) = (time(&told.start_time)?.max(0.0), time(&told.end_time)?);
    let title = told.tags.iter().find(|(name, _)| name.eq_ignore_ascii_case("title"));
    let title = title.and_then(|(_, value)| clean(value)).unwrap_or_default();
    (end > start).then_some(Chapter { start, end, title })
}

fn read_tags(told: &BTreeMap<String, String>, tags: &mut Vec<(String, String)>, others: &mut Vec<String>) {
    for (name, value) in told {
        let name = name.to_ascii_lowercase();
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(&*name, |(_, kept)| kept);
        if KEPT.contains(&name) {
            let known = tags.iter().any(|(known, _)| known == name);
            tags.extend(clean(value).filter(|_| !known).map(|value| (name.to_owned(), kept_value(name, value))));
        } else if !TECHNICAL.contains(&name) && !name.starts_with('_') && others.len() <= MOST_NAMES {
            let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
            others.push(name.chars().take(40).map(plain).collect());
        }
    }
}

/// A date without the time of day: when a work appeared, not when a recording was made.
fn kept_value(name: &str, value: String) -> String {
    if name == "date" { value.chars().take(10).collect() } else { value }
}

/// One line of text: control characters become spaces, what is too long is cut. `None` where nothing is left.
pub(crate) fn clean(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}') { ' ' } else { c };
    let line: String = text.chars().take(LONGEST).map(plain).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// A language as three letters; `None` where it is unknown or undetermined.
pub(crate) fn language(text: &str) -> Option<String> {
    let first = text.split(['-', '_']).next()?.to_ascii_lowercase();
    let known =
        LANGUAGES.iter().chain(BIBLIOGRAPHIC).find(|(other, _)| *other == first).map(|(_, three)| (*three).to_owned());
    let three = || (first.len() == 3 && first.bytes().all(|byte| byte.is_ascii_lowercase())).then(|| first.clone());
    known.or_else(three).filter(|language| language != "und")
}

fn track(stream: &Stream, container: &Container) -> Track {
    let kind = match stream.codec_type.as_deref() {
        Some("video") if stream.has("attached_pic") => TrackKind::Cover,
        Some("video") => TrackKind::Video,
        Some("audio") => TrackKind::Audio,
        Some("subtitle") => TrackKind::Subtitle,
        Some("attachment") => TrackKind::Attachment,
        _ => TrackKind::Data,
    };
    let tag = |wanted: &str| {
        let found = stream.tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| clean(value))
    };
    let is_sound = stream.is_audio();
    Track {
        index: stream.index,
        kind,
        codec: clean(&stream.codec()).unwrap_or_default(),
        label: Label { language: tag("language").and_then(|text| language(&text)), title: tag("title") },
        default: stream.is_default(),
        forced: stream.has("forced"),
        start: stream.begins_after(container),
        empty: stream.empty || (kind == TrackKind::Audio && !is_sound),
        sound: is_sound.then(|| stream.audio()),
        picture: (kind == TrackKind::Cover).then(|| stream.video()),
        file: tag("filename").zip(tag("mimetype")).filter(|_| kind == TrackKind::Attachment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_names_the_work_is_kept_and_places_never() {
        let report: Report = serde_json::from_value(json!({"format": {"tags": {
            "title": "A\nB\u{0}C ", "TRACKNUMBER": "3", "location": "+52.5/", "com.apple.quicktime.make": "Maker",
            "major_brand": "isom", "date": "2021-05-04T10:11:12Z", "artist": "  ", "album": "x".repeat(900),
            "odd\u{1b}name": "v"
        }}}))
        .unwrap();
        let Extras { tags, other_tags, .. } = extras(&report, "mov");
        let tag = |name: &str| tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (tag("title"), tag("track"), tag("date"), tag("artist")),
            (Some("A B C"), Some("3"), Some("2021-05-04"), None)
        );
        assert_eq!(tag("album").map(str::len), Some(LONGEST));
        assert_eq!(other_tags, ["com.apple.quicktime.make", "location", "odd_name"]);
    }

    #[test]
    fn languages_have_three_letters() {
        for (told, expected) in [
            ("fre", Some("fra")),
            ("de", Some("deu")),
            ("pt-BR", Some("por")),
            ("und", None),
            ("x\"y", None),
            ("", None),
        ] {
            assert_eq!(language(told).as_deref(), expected, "{told}");
        }
    }
}
