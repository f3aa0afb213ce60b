//! The playlists of a package, and its manifest with what was measured in place of what ffmpeg supposed. Pure.
//!
//! # Source
//! RFC 8216 with draft-pantos-hls-rfc8216bis (`AVERAGE-BANDWIDTH`, `CHANNELS`, playlist versions in section 8);
//! ISO/IEC 23009-1 (DASH), sections 5.3.1.2 and 5.3.5.2.

use reelhook_domain::recipe::SegmentFormat;

use super::listing::{Listing, attribute};
use super::{PackageExpectation, TrackExpectation};
use crate::verify::VideoExpectation;

/// A rendition as it was made.
pub(super) struct Track<'a> {
    pub(super) expect: &'a TrackExpectation,
    pub(super) listing: Listing,
    /// What players call its codec.
    pub(super) codec: String,
}

const fn version(format: SegmentFormat) -> u8 {
    match format {
        SegmentFormat::Fmp4 => 7,
        SegmentFormat::Ts => 6,
    }
}

/// `master.m3u8`.
pub(super) fn master(package: &PackageExpectation, tracks: &[Track<'_>]) -> String {
    let head = version(package.segment_format);
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{head}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let sound = tracks.iter().find(|track| track.expect.audio.is_some());
    if let Some((track, audio)) = sound.and_then(|track| Some((track, track.expect.audio.as_ref()?))) {
        text += &format!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"{}\",\
             URI=\"{}\"\n",
            audio.channels,
            track.expect.playlist()
        );
    }
    for track in tracks {
        let Some(video) = &track.expect.video else { continue };
        let (peak, mean) = track.listing.bandwidth();
        let (sound_peak, sound_mean) = sound.map_or((0, 0), |sound| sound.listing.bandwidth());
        let codecs: Vec<_> = [Some(track), sound].into_iter().flatten().map(|track| &*track.codec).collect();
        let rate = track.expect.frame_rate.map(|rate| format!(",FRAME-RATE={rate:.3}")).unwrap_or_default();
        text += &format!(
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},RESOLUTION={}x{}{rate},CODECS=\"{}\"{}\n{}\n",
            peak + sound_peak,
            mean + sound_mean,
            video.width,
            video.height,
            codecs.join(","),
            if sound.is_some() { ",AUDIO=\"audio\"" } else { "" },
            track.expect.playlist(),
        );
    }
    text
}

/// The playlist of one rendition.
pub(super) fn playlist(package: &PackageExpectation, listing: &Listing) -> String {
    let longest = listing.segments.iter().map(|segment| segment.seconds).fold(1.0, f64::max).round();
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{}\n#EXT-X-TARGETDURATION:{longest}\n#EXT-X-MEDIA-SEQUENCE:1\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        version(package.segment_format)
    );
    if let Some(header) = &listing.header {
        text += &format!("#EXT-X-MAP:URI=\"{}\"\n", header.name);
    }
    for segment in &listing.segments {
        text += &format!("#EXTINF:{:.6},\n{}\n", segment.seconds, segment.name);
    }
    text + "#EXT-X-ENDLIST\n"
}

/// ffmpeg's manifest with the codecs and rates of the renditions and the length of the longest segment, and with one set
/// for all renditions of a codec, between which players may switch. That streams of one set can be joined without a new
/// header is not so, as each has a header of its own.
pub(super) fn manifest(raw: &str, tracks: &[Track<'_>], shape: (u32, u32)) -> String {
    let segments = tracks.iter().flat_map(|track| &track.listing.segments);
    let longest = segments.map(|segment| segment.seconds).fold(0.0, f64::max);
    let lines: Vec<String> = raw
        .lines()
        .map(|line| {
            let line = line.replace(" bitstreamSwitching=\"true\"", "");
            with_attribute(&line, "maxSegmentDuration", &format!("PT{:.3}S", longest + 0.0005))
        })
        .collect();
    let mut text = String::with_capacity(raw.len());
    let mut written: Vec<Option<&str>> = Vec::new();
    let mut rest = &lines[..];
    while let Some((line, behind)) = rest.split_first() {
        if !is_set(line) {
            // The sets come one after another, and each is written with all that belong to it where the first stands.
            text += line;
            text.push('\n');
            rest = behind;
            continue;
        }
        let all = sets(rest, tracks);
        if all.is_empty() {
            // Not as ffmpeg writes it; what measures the package says so.
            text += &rest.join("\n");
            text.push('\n');
            break;
        }
        let end = all.iter().map(|set| set.lines.len() + 2).sum();
        for set in &all {
            if !written.contains(&set.codec()) {
                let id = written.len();
                written.push(set.codec());
                let alike: Vec<_> = all.iter().filter(|other| other.codec() == set.codec()).collect();
                text += &joined(id, &alike, shape);
            }
        }
        rest = &rest[end..];
    }
    text
}

/// An adaptation set as ffmpeg writes it: one rendition.
struct Set<'a> {
    opening: &'a str,
    lines: &'a [String],
    track: &'a Track<'a>,
}

impl<'a> Set<'a> {
    /// Players switch between pictures of one codec; the sound is a set of its own.
    fn codec(&self) -> Option<&'a str> {
        self.track.expect.video.as_ref().map(|video| video.codec.as_str())
    }
}

fn is_set(line: &str) -> bool {
    line.trim_start().starts_with("<AdaptationSet ")
}

/// The sets that follow one another from the first line on.
fn sets<'a>(mut lines: &'a [String], tracks: &'a [Track<'a>]) -> Vec<Set<'a>> {
    let mut sets = Vec::new();
    while let Some((opening, behind)) = lines.split_first().filter(|(line, _)| is_set(line)) {
        let Some(end) = behind.iter().position(|line| line.trim() == "</AdaptationSet>") else { break };
        let number = behind[..end].iter().find_map(|line| number(line.trim_start()));
        let Some(track) = number.and_then(|number| tracks.get(number)) else { break };
        sets.push(Set { opening, lines: &behind[..end], track });
        lines = &behind[end + 1..];
    }
    sets
}

/// Renditions of one codec as one set.
fn joined(id: usize, sets: &[&Set<'_>], (width, height): (u32, u32)) -> String {
    let Some(first) = sets.first() else { return String::new() };
    let mut opening = with_attribute(first.opening, "id", &id.to_string());
    let most = |side: fn(&VideoExpectation) -> u32| {
        sets.iter().filter_map(|set| set.track.expect.video.as_ref()).map(side).max().unwrap_or(0).to_string()
    };
    opening = with_attribute(&opening, "maxWidth", &most(|video| video.width));
    opening = with_attribute(&opening, "maxHeight", &most(|video| video.height));
    opening = with_attribute(&opening, "par", &format!("{width}:{height}"));
    let rates: Vec<_> = sets.iter().filter_map(|set| attribute(set.opening.trim_start(), "frameRate")).collect();
    if rates.iter().any(|rate| *rate != rates[0]) {
        // What they do not share each says by itself.
        opening = opening.replacen(&format!(" frameRate=\"{}\"", rates[0]), "", 1);
    }
    let mut text = format!("{opening}\n");
    for set in sets {
        let own = attribute(set.opening.trim_start(), "frameRate").filter(|_| !opening.contains(" frameRate="));
        for line in set.lines {
            let mut line = line.clone();
            if line.trim_start().starts_with("<Representation ") {
                line = with_attribute(&line, "codecs", &set.track.codec);
                line = with_attribute(&line, "bandwidth", &set.track.listing.bandwidth().0.to_string());
                if let Some(rate) = own {
                    line = line.replacen(" mimeType=", &format!(" frameRate=\"{rate}\" mimeType="), 1);
                }
            }
            text += &line;
            text.push('\n');
        }
    }
    let indent = &first.opening[..first.opening.len() - first.opening.trim_start().len()];
    text + indent + "</AdaptationSet>\n"
}

/// How many segments a manifest names in all; `None` where it is not as ffmpeg writes it.
pub(super) fn segments_named(manifest: &str) -> Option<usize> {
    let mut count = 0_usize;
    for line in manifest.lines().map(str::trim).filter(|line| line.starts_with("<S ")) {
        let repeated = attribute(line, "r").map_or(Some(0), |text| text.parse().ok())?;
        count = count.checked_add(1)?.checked_add(repeated)?;
    }
    manifest.trim_end().ends_with("</MPD>").then_some(count)
}

/// The number of a representation.
fn number(line: &str) -> Option<usize> {
    let opening = Some(line).filter(|line| line.starts_with("<Representation "))?;
    attribute(opening, "id")?.parse().ok()
}

/// The line with another value of an attribute, where it has that attribute.
fn with_attribute(line: &str, key: &str, value: &str) -> String {
    let Some(old) = attribute(line.trim_start(), key) else { return line.to_owned() };
    line.replacen(&format!("{key}=\"{old}\""), &format!("{key}=\"{value}\""), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segments_of_a_manifest_are_counted_with_their_repetitions() {
        let text =
            "<MPD>\n<SegmentTimeline>\n<S t=\"0\" d=\"60\" r=\"2\" />\n<S d=\"30\" />\n</SegmentTimeline>\n</MPD>\n";
        assert_eq!(segments_named(text), Some(4));
        assert_eq!(segments_named(text.trim_end_matches("</MPD>\n")), None);
    }
}
