//! The playlists of a package, and its manifest with what was measured in place of what ffmpeg supposed. Pure.
//!
//! # Source
//! RFC 8216 with draft-pantos-hls-rfc8216bis (`AVERAGE-BANDWIDTH`, `CHANNELS`, playlist versions in section 8);
//! ISO/IEC 23009-1 (DASH), sections 5.3.1.2 and 5.3.5.2.

use reelhook_domain::recipe::SegmentFormat;

use super::listing::Listing;
use super::{PackageExpectation, TrackExpectation};

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

/// ffmpeg's manifest with the codecs and rates of the renditions and the length of the longest segment. That streams of
/// one set can be joined without a new header is not so, as each has a header of its own.
pub(super) fn manifest(raw: &str, tracks: &[Track<'_>]) -> String {
    let segments = tracks.iter().flat_map(|track| &track.listing.segments);
    let longest = segments.map(|segment| segment.seconds).fold(0.0, f64::max);
    let mut text = String::with_capacity(raw.len());
    for line in raw.lines() {
        let mut line = line.replace(" bitstreamSwitching=\"true\"", "");
        line = with_attribute(&line, "maxSegmentDuration", &format!("PT{:.3}S", longest + 0.0005));
        if line.trim_start().starts_with("<Representation ")
            && let Some(track) = number(&line).and_then(|number| tracks.get(number))
        {
            line = with_attribute(&line, "codecs", &track.codec);
            line = with_attribute(&line, "bandwidth", &track.listing.bandwidth().0.to_string());
        }
        text += &line;
        text.push('\n');
    }
    text
}

/// How many segments a manifest names in all; `None` where it is not as ffmpeg writes it.
pub(super) fn segments_named(manifest: &str) -> Option<usize> {
    let mut count = 0_usize;
    for line in manifest.lines().map(str::trim).filter(|line| line.starts_with("<S ")) {
        let repeated = super::listing::attribute(line, "r").map_or(Some(0), |text| text.parse().ok())?;
        count = count.checked_add(1)?.checked_add(repeated)?;
    }
    manifest.trim_end().ends_with("</MPD>").then_some(count)
}

/// The number of a representation.
fn number(line: &str) -> Option<usize> {
    super::listing::attribute(line, "id")?.parse().ok()
}

/// The line with another value of an attribute, where it has that attribute.
fn with_attribute(line: &str, key: &str, value: &str) -> String {
    let Some(old) = super::listing::attribute(line.trim_start(), key) else { return line.to_owned() };
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
