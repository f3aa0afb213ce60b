//! What the tools on this machine can do, asked once at start.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sandbox::Layers;

/// What ffmpeg and the sandbox on this machine can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// ffmpeg's version as it says it, such as `5.1.9-0+deb12u1`.
    pub version: String,
    /// Names of the encoders it was built with.
    pub encoders: BTreeSet<String>,
    /// Names of the decoders it was built with.
    #[serde(default)]
    pub decoders: BTreeSet<String>,
    /// Names of the containers it writes.
    pub muxers: BTreeSet<String>,
    /// Names of its filters.
    pub filters: BTreeSet<String>,
    /// Version of the program that decodes HEIC, such as `1.15.1`; absent where there is none.
    #[serde(default)]
    pub heif: Option<String>,
    /// The layers of the sandbox that take hold here.
    pub layers: Layers,
    /// Threads that one tool may use; 0 leaves it to the tool.
    pub threads: u32,
}

impl Capabilities {
    /// Whether an encoder is there.
    pub fn encodes(&self, encoder: &str) -> bool {
        self.encoders.contains(encoder)
    }

    /// Whether a decoder is there.
    pub fn decodes(&self, decoder: &str) -> bool {
        self.decoders.contains(decoder)
    }

    /// Whether a filter is there.
    pub fn filters(&self, filter: &str) -> bool {
        self.filters.contains(filter)
    }

    /// The first of `encoders` that is there.
    pub(crate) fn first_of<'a>(&self, encoders: &[&'a str]) -> Option<&'a str> {
        encoders.iter().find(|encoder| self.encodes(encoder)).copied()
    }

    /// Whether high dynamic range can be mapped to standard.
    pub fn tone_maps(&self) -> bool {
        self.filters("zscale") && self.filters("tonemap")
    }
}

/// A version of ffmpeg, as far as it orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32);

/// The oldest that has what plans use (`-fps_mode`).
pub(crate) const OLDEST: Version = Version(5, 1);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The version in the first line of `-version`: the text and, where it is a release, the number.
pub(crate) fn version(said: &str) -> Option<(String, Option<Version>)> {
    let text = said.lines().next()?.strip_prefix("ffmpeg version ")?.split_whitespace().next()?;
    // Builds from the repository are called `N-109421-g...`: newer than any release when they were made.
    let digits = text.trim_start_matches('n');
    let mut parts = digits.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let number = match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some(Version(major, minor)),
        (Some(Ok(major)), _) => Some(Version(major, 0)),
        _ => None,
    };
    Some((text.to_owned(), number))
}

/// The version in what libheif's decoder says of itself: `heif-convert  libheif version: 1.15.1`.
pub(crate) fn heif_version(said: &str) -> Option<String> {
    let (_, version) = said.split_once("libheif version: ")?;
    version.split_whitespace().next().map(str::to_owned)
}

/// The names in a table such as `-encoders` prints: a legend, then rows of flags, name and description.
pub(crate) fn names(said: &str) -> BTreeSet<String> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (flags, name) = (words.next()?, words.next()?);
        let is_flags = flags.len() <= 8 && flags.chars().all(|c| c == '.' || c == '|' || c.is_ascii_uppercase());
        (is_flags && name != "=").then(|| name.to_owned())
    };
    said.lines().filter_map(row).flat_map(|name| name.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_and_of_builds_are_told() {
        let of = |line: &str| version(line).unwrap().1;
        assert_eq!(of("ffmpeg version 5.1.9-0+deb12u1 Copyright (c)"), Some(Version(5, 1)));
        assert_eq!(of("ffmpeg version n7.0 Copyright"), Some(Version(7, 0)));
        assert_eq!(of("ffmpeg version 8 Copyright"), Some(Version(8, 0)));
        assert_eq!(of("ffmpeg version N-109421-gabc Copyright"), None);
        assert!(Version(4, 4) < OLDEST && Version(6, 0) > OLDEST);
    }

    #[test]
    fn the_decoder_of_heic_says_its_version() {
        let of = |said: &str| heif_version(said);
        assert_eq!(of(" heif-convert  libheif version: 1.15.1\n---\nUsage"), Some("1.15.1".to_owned()));
        assert_eq!(of(" heif-dec  libheif version: 1.19.8 (2025)\n"), Some("1.19.8".to_owned()));
        assert_eq!(of("convert: no such option"), None);
    }

    #[test]
    fn names_are_read_from_all_three_tables() {
        let encoders = "Encoders:\n V..... = Video\n ------\n V....D libx264              H.264\n A..... aac  AAC\n";
        assert_eq!(names(encoders).into_iter().collect::<Vec<_>>(), ["aac", "libx264"]);
        let muxers = "File formats:\n D. = Demuxing supported\n .E = Muxing supported\n --\n  E mp4             MP4\n";
        assert_eq!(names(muxers).into_iter().collect::<Vec<_>>(), ["mp4"]);
        let filters = "Filters:\n  T.. = Timeline support\n ... setsar            V->V       Set\n .SC zscale V->V x\n";
        assert_eq!(names(filters).into_iter().collect::<Vec<_>>(), ["setsar", "zscale"]);
    }
}
