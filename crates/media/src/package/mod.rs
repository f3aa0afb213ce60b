//! Packages: several renditions of one timeline, cut into segments that line up, with the playlists and the manifest
//! that name them.
//!
//! ffmpeg encodes everything in one run and cuts the segments ([`spell`]). What it writes beside them is read for what
//! it knows ([`listing`]) and written anew in our words ([`finish`], [`manifest`]): with names that say what is in them,
//! rates that were measured, and nothing that only live streams need. [`measure`] then joins the segments of each
//! rendition and holds the result against the plan.

mod finish;
mod listing;
mod manifest;
mod measure;
mod spell;

use std::path::PathBuf;

use reelhook_domain::recipe::{Format, PackageType, SegmentFormat};
use serde::{Deserialize, Serialize};

pub(crate) use self::finish::finish;
pub(crate) use self::measure::measure;
pub(crate) use self::spell::{muxer, numbered};
use crate::seen::SeenExpectation;
use crate::step::Encoder;
use crate::verify::{AudioExpectation, Frames, Span, VideoExpectation};

/// The playlist that names all others.
pub(crate) const MASTER: &str = "master.m3u8";
/// The manifest.
pub(crate) const MANIFEST: &str = "manifest.mpd";

/// How the pictures of a package are encoded and cut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packaging {
    pub(crate) renditions: Vec<Rendition>,
    /// How much earlier than a segment is long the muxer looks for a key frame, in seconds.
    pub(crate) early: f64,
}

/// How one picture of a package is encoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rendition {
    pub(crate) filters: Vec<String>,
    pub(crate) encoder: Encoder,
}

/// What a package has to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackageExpectation {
    /// Which players it is for.
    pub kind: PackageType,
    /// What its segments are made of.
    pub segment_format: SegmentFormat,
    /// Length of a segment, in seconds.
    pub segment_seconds: f64,
    /// The shape of its pictures, width to height, in whole numbers that have no common divisor.
    pub shape: (u32, u32),
    /// Its renditions in the order of their numbers; the sound, where there is one, comes last.
    pub tracks: Vec<TrackExpectation>,
}

/// What one rendition of a package has to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackExpectation {
    /// The name of its playlist, without the extension.
    pub name: String,
    /// Its picture; absent for the sound.
    pub video: Option<VideoExpectation>,
    /// Its sound; absent for pictures.
    pub audio: Option<AudioExpectation>,
    /// Frames a second of its picture.
    pub frame_rate: Option<f64>,
    /// Its length; absent where the source's own is a guess.
    pub duration: Option<Span>,
    /// Its number of frames; absent where it is not known beforehand.
    pub frames: Option<Frames>,
    /// How its picture relates to that of the source, where it is compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<SeenExpectation>,
}

/// A file that the main file of a package names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadePart {
    /// Its path relative to the main file.
    pub path: String,
    /// Where it is.
    pub file: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its media type.
    pub mime_type: String,
}

impl PackageExpectation {
    /// The format of the main file.
    pub(crate) const fn format(kind: PackageType) -> Format {
        match kind {
            PackageType::Hls | PackageType::Adaptive => Format::Hls,
            PackageType::Dash => Format::Dash,
        }
    }

    /// The name of the main file of a package in that format; `None` for what is no package.
    pub(crate) const fn main_file(format: Format) -> Option<&'static str> {
        match format {
            Format::Hls => Some(MASTER),
            Format::Dash => Some(MANIFEST),
            _ => None,
        }
    }

    fn has_playlists(&self) -> bool {
        self.kind != PackageType::Dash
    }

    fn has_manifest(&self) -> bool {
        self.kind != PackageType::Hls
    }
}

impl TrackExpectation {
    /// The name of the playlist that is kept.
    fn playlist(&self) -> String {
        format!("{}.m3u8", self.name)
    }

    /// The media type of its segments.
    fn mime_type(&self, format: SegmentFormat) -> &'static str {
        match (format, &self.video) {
            (SegmentFormat::Ts, _) => "video/mp2t",
            (SegmentFormat::Fmp4, Some(_)) => "video/mp4",
            (SegmentFormat::Fmp4, None) => "audio/mp4",
        }
    }
}

/// The name that ffmpeg gives the playlist of a rendition.
fn raw_playlist(number: usize) -> String {
    format!("media_{number}.m3u8")
}
