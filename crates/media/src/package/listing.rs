//! What ffmpeg says of the segments that it cut: a playlist for each rendition, and the names of the codecs.
//!
//! # Source
//! RFC 8216, sections 4.3.2.1 (`EXTINF`), 4.3.2.5 (`EXT-X-MAP`), 4.3.4.2 (`EXT-X-STREAM-INF`).

use std::io;
use std::path::Path;

use crate::plain;

/// The segments of a rendition.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Listing {
    /// The file with what decoders are told beforehand; none in transport streams.
    pub(super) header: Option<Segment>,
    pub(super) segments: Vec<Segment>,
}

/// One of the files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) seconds: f64,
    pub(super) size_bytes: u64,
}

impl Listing {
    /// What a playlist in `folder` says, with the sizes that the files have.
    ///
    /// # Errors
    /// `InvalidData` for a playlist that names nothing or what is not a plain name; what the file system says.
    pub(super) fn read(folder: &Path, playlist: &str) -> io::Result<Self> {
        let mut listing = Self::parse(&plain::read_text(&folder.join(playlist), plain::LIST)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{playlist} is not as expected")))?;
        for segment in listing.header.iter_mut().chain(&mut listing.segments) {
            segment.size_bytes = plain::size(&folder.join(&segment.name))?;
        }
        Ok(listing)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut listing = Self::default();
        let mut seconds = None;
        for line in text.lines().map(str::trim) {
            if let Some(length) = line.strip_prefix("#EXTINF:") {
                seconds = length.split(',').next()?.parse::<f64>().ok();
            } else if let Some(map) = line.strip_prefix("#EXT-X-MAP:") {
                listing.header = Some(Segment { name: name(attribute(map, "URI")?)?, ..Segment::default() });
            } else if !line.is_empty() && !line.starts_with('#') {
                listing.segments.push(Segment { name: name(line)?, seconds: seconds.take()?, size_bytes: 0 });
            }
        }
        let ends = text.lines().any(|line| line.trim() == "#EXT-X-ENDLIST");
        (ends && !listing.segments.is_empty()).then_some(listing)
    }

    /// All files, in the order in which they make one stream.
    pub(super) fn files(&self) -> impl Iterator<Item = &Segment> {
        self.header.iter().chain(&self.segments)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.segments.iter().map(|segment| segment.seconds).sum()
    }

    /// Bits a second of its fullest segment, and of all of it.
    pub(super) fn bandwidth(&self) -> (u64, u64) {
        let rate = |bytes: u64, seconds: f64| (bytes as f64 * 8.0 / seconds.max(0.001)).ceil() as u64;
        // The last segment may be one frame; nobody fills a buffer by it.
        let most = self.segments.len().saturating_sub(1).max(1);
        let peak = self.segments.iter().take(most).map(|segment| rate(segment.size_bytes, segment.seconds)).max();
        let mean = rate(self.segments.iter().map(|segment| segment.size_bytes).sum(), self.seconds());
        (peak.unwrap_or(0).max(mean), mean)
    }
}

/// A plain name of a file beside the playlist.
fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (text.chars().all(plain) && !text.starts_with('.')).then(|| text.to_owned())
}

/// The value of a quoted attribute.
pub(super) fn attribute<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let opening = format!("{key}=\"");
    let start = line.match_indices(&opening).map(|(at, _)| at);
    let mut start = start.filter(|&at| at == 0 || matches!(line.as_bytes()[at - 1], b',' | b' ' | b':'));
    line[start.next()? + opening.len()..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYLIST: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-MAP:URI=\"init-0.mp4\"\n#EXTINF:2.002000,\n\
        #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+0000\nseg-0-00001.m4s\n#EXTINF:1.001000,\nseg-0-00002.m4s\n\
        #EXT-X-ENDLIST\n";

    #[test]
    fn a_playlist_tells_its_files_and_their_lengths() {
        let listing = Listing::parse(PLAYLIST).unwrap();
        let names: Vec<_> = listing.files().map(|file| &*file.name).collect();
        assert_eq!(names, ["init-0.mp4", "seg-0-00001.m4s", "seg-0-00002.m4s"]);
        assert!((listing.seconds() - 3.003).abs() < 1e-9);
    }

    #[test]
    fn what_is_unfinished_or_names_other_places_is_no_listing() {
        assert_eq!(Listing::parse(PLAYLIST.trim_end_matches("#EXT-X-ENDLIST\n")), None);
        assert_eq!(Listing::parse(&PLAYLIST.replace("seg-0-00002", "../seg")), None);
        assert_eq!(Listing::parse(&PLAYLIST.replace("seg-0-00002", "file:seg")), None);
        assert_eq!(Listing::parse("#EXTM3U\n#EXT-X-ENDLIST\n"), None);
    }

    #[test]
    fn the_fullest_segment_is_the_peak_unless_it_is_the_short_end() {
        let segment = |seconds, size_bytes| Segment { name: "a".to_owned(), seconds, size_bytes };
        let listing = Listing { header: None, segments: vec![segment(2.0, 500), segment(2.0, 250), segment(0.1, 250)] };
        assert_eq!(listing.bandwidth(), (2000, 1952));
    }
}
