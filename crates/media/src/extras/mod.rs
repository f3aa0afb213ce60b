//! What a source holds beside its picture and its sound: further tracks, covers, chapters and tags; and what of that a
//! product carries on.
//!
//! Everything that is text here comes from strangers. It is bounded and stripped of control characters once, where it
//! is read, and goes on a command line as single arguments only. Which tags are read at all is a list ([`KEPT`]):
//! places, devices and programs are not on it.

mod check;
mod read;
mod spell;

use reelhook_domain::media::{AudioInfo, VideoInfo};
use serde::{Deserialize, Serialize};

pub use self::check::ExtrasExpectation;
pub(crate) use self::check::checks;
pub(crate) use self::read::{extras, language};
pub(crate) use self::spell::{CHAPTERS, chapter_comments, chapter_file, of_stream, quicktime_word};

/// Tags that say what a work is, by ffmpeg's names for them.
pub(crate) const KEPT: &[&str] =
    &["title", "artist", "album", "album_artist", "track", "disc", "date", "genre", "composer"];

/// What a source holds beside its picture and its sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// All of its tracks, its picture and its sound among them, in its order.
    pub tracks: Vec<Track>,
    /// Its tags by name: title, artist, album, album_artist, track, disc, date, genre, composer.
    pub tags: Vec<(String, String)>,
    /// Names of tags that are not carried on.
    pub other_tags: Vec<String>,
    /// Its chapters in their order.
    pub chapters: Vec<Chapter>,
}

/// One track of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its place in the file.
    pub index: u32,
    /// What it holds.
    pub kind: TrackKind,
    /// Codec, by our word for it.
    pub codec: String,
    /// What it is called and in which language it is.
    pub label: Label,
    /// Whether a player would choose it among its like.
    pub default: bool,
    /// Whether it is shown where no subtitles are asked for.
    pub forced: bool,
    /// How long after the beginning of the file it begins, in seconds.
    pub start: f64,
    /// Whether it is declared and holds nothing.
    pub empty: bool,
    /// Its sound, where it is one.
    pub sound: Option<AudioInfo>,
    /// Its picture, where it is a cover.
    pub picture: Option<VideoInfo>,
    /// Name and media type of the file, where it is an attachment.
    pub file: Option<(String, String)>,
}

/// What a track holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles, as text or as pictures.
    Subtitle,
    /// A still picture that stands for the work.
    Cover,
    /// A file, such as a font.
    Attachment,
    /// Anything else.
    Data,
}

/// What a track is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// Language, three letters (ISO 639-2).
    pub language: Option<String>,
    /// Title.
    pub title: Option<String>,
}

/// A chapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// What it is called; may be empty.
    pub title: String,
}

/// What a product carries on beside its picture and its sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Carried {
    /// Further tracks in their order in the source; attachments come last.
    pub(crate) tracks: Vec<CarriedTrack>,
    /// What the first sound is called.
    pub(crate) sound: Label,
    /// Tags of the whole, and chapters where they are written as tags.
    pub(crate) tags: Vec<(String, String)>,
    /// Chapters, where the container has them.
    pub(crate) chapters: Vec<Chapter>,
}

/// A further track of a product.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CarriedTrack {
    pub(crate) index: u32,
    pub(crate) kind: TrackKind,
    /// How it is encoded or copied: pairs of an option and its value.
    pub(crate) options: Vec<String>,
    pub(crate) label: Label,
    /// How long after the beginning of the file it begins, in seconds.
    pub(crate) start: f64,
    pub(crate) file: Option<(String, String)>,
}

impl Extras {
    /// The tracks of one kind.
    pub(crate) fn of_kind(&self, kind: TrackKind) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// The track at that place.
    pub(crate) fn at(&self, index: Option<u32>) -> Option<&Track> {
        self.tracks.iter().find(|track| Some(track.index) == index)
    }
}

impl Track {
    /// `stream 3 (deu, subrip)`.
    pub(crate) fn words(&self) -> String {
        let codec = self.file.as_ref().map_or(&self.codec, |(_, media_type)| media_type);
        match &self.label.language {
            Some(language) => format!("stream {} ({language}, {codec})", self.index),
            None => format!("stream {} ({codec})", self.index),
        }
    }
}

impl CarriedTrack {
    /// Whether it is decoded and encoded.
    pub(crate) fn is_encoded(&self) -> bool {
        self.options.get(1).is_some_and(|encoder| encoder != "copy")
    }
}

impl Carried {
    /// The further tracks of one kind.
    pub(crate) fn of_kind(&self, kind: TrackKind) -> impl Iterator<Item = &CarriedTrack> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// Whether subtitles are read as text.
    pub(crate) fn converts_text(&self) -> bool {
        self.of_kind(TrackKind::Subtitle).any(CarriedTrack::is_encoded)
    }
}
