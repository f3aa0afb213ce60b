//! What a file is, told from its first bytes; never from its name.
//!
//! ffmpeg left to itself guesses, and among its guesses are text formats that name other files: a playlist called
//! `clip.mp4` makes it read them. So the kind is decided here, ffmpeg is forced to it (`-f`), and what is not in this
//! table is not media.
//!
//! # Source
//! The signatures are those of the formats' own specifications; the demuxer names are ffmpeg's (`ffmpeg -demuxers`).

use crate::heif;
use crate::image::raw::raw;

/// How many bytes of the beginning are looked at.
pub(crate) const HEAD: usize = 64 * 1024;

/// A kind of file that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// ffmpeg's name of the demuxer that it is forced to.
    pub(crate) demuxer: &'static str,
    /// The word for it in [`MediaInfo::format`](reelhook_domain::media::MediaInfo::format).
    pub(crate) format: &'static str,
    /// Whether it is one picture.
    pub(crate) still: bool,
    /// Whether its length is measured (by an index or by time stamps) rather than guessed from its bit rate.
    pub(crate) measured: bool,
}

const fn media(demuxer: &'static str, format: &'static str) -> Kind {
    Kind { demuxer, format, still: false, measured: true }
}

const fn guessed(demuxer: &'static str, format: &'static str) -> Kind {
    Kind { demuxer, format, still: false, measured: false }
}

const fn still(demuxer: &'static str, format: &'static str) -> Kind {
    Kind { demuxer, format, still: true, measured: true }
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// Media that we take.
    Media(Kind),
    /// Something else, in words that follow "the input is".
    Other(&'static str),
    /// There are no bytes.
    Empty,
}

/// What is said of bytes that mean nothing to us.
pub(crate) const UNKNOWN: &str = "in an unknown format";

/// Tells the kind of a file from its `head`, the first [`HEAD`] bytes or the whole file where it is shorter.
pub(crate) fn sniff(head: &[u8]) -> Sniffed {
    if head.is_empty() {
        return Sniffed::Empty;
    }
    if let Some(what) = refused_binary(head) {
        return Sniffed::Other(what);
    }
    if let Some(kind) = container(head).or_else(|| picture(head)).or_else(|| audio(head)).or_else(|| stream(head)) {
        return Sniffed::Media(kind);
    }
    if let Some(what) = text(head) {
        return Sniffed::Other(what);
    }
    let cut = transport_within(head).or_else(|| frames_within(head));
    cut.map_or(Sniffed::Other(UNKNOWN), Sniffed::Media)
}

fn at(head: &[u8], offset: usize, signature: &[u8]) -> bool {
    head.get(offset..offset + signature.len()) == Some(signature)
}

fn contains(head: &[u8], needle: &[u8]) -> bool {
    head.windows(needle.len()).any(|window| window == needle)
}

fn container(head: &[u8]) -> Option<Kind> {
    match head.get(4..8) {
        Some(b"ftyp") if at(head, 8, b"qt  ") => return Some(media("mov", "mov")),
        // Pictures on a timeline, with an index like that of any video.
        Some(b"ftyp") if at(head, 8, b"avis") => return Some(media("mov", "avif")),
        Some(b"ftyp") => return Some(media("mov", "mp4")),
        // QuickTime from before there was `ftyp`.
        Some(b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot") => return Some(media("mov", "mov")),
        _ => {}
    }
    if head.starts_with(b"\x1A\x45\xDF\xA3") {
        let webm = contains(&head[..head.len().min(256)], b"webm");
        return Some(media("matroska", if webm { "webm" } else { "mkv" }));
    }
    if head.starts_with(b"RIFF") {
        return match head.get(8..12)? {
            b"AVI " => Some(media("avi", "avi")),
            b"WAVE" => Some(media("wav", "wav")),
            b"WEBP" => Some(still("webp_pipe", "webp")),
            _ => None,
        };
    }
    if (head.starts_with(b"RF64") || head.starts_with(b"BW64")) && at(head, 8, b"WAVE") {
        return Some(media("wav", "wav"));
    }
    let table: &[(&[u8], Kind)] = &[
        (b"OggS", media("ogg", "ogg")),
        (b"FLV\x01", guessed("flv", "flv")),
        (b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", media("asf", "asf")),
        (b"\x06\x0E\x2B\x34\x02\x05\x01\x01", media("mxf", "mxf")),
        (b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\0\0", media("w64", "w64")),
        (b"YUV4MPEG2 ", guessed("yuv4mpegpipe", "y4m")),
        (b"DKIF\0\0", guessed("ivf", "ivf")),
    ];
    table.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, kind)| *kind)
}

fn picture(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"\x89PNG\r\n\x1A\n") {
        // An animated PNG says so before its first picture.
        let before = head.windows(4).position(|chunk| chunk == b"IDAT").unwrap_or(head.len());
        let animated = contains(&head[..before], b"acTL");
        return Some(if animated { guessed("apng", "png") } else { still("png_pipe", "png") });
    }
    let table: &[(&[u8], Kind)] = &[
        (b"GIF87a", media("gif", "gif")),
        (b"GIF89a", media("gif", "gif")),
        (b"\xFF\xD8\xFF", still("jpeg_pipe", "jpg")),
        (b"II*\0", still("tiff_pipe", "tiff")),
        (b"MM\0*", still("tiff_pipe", "tiff")),
        // BigTIFF.
        (b"II+\0", still("tiff_pipe", "tiff")),
        (b"MM\0+", still("tiff_pipe", "tiff")),
    ];
    let found = table.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, kind)| *kind);
    // "BM" alone is too short to mean anything; the reserved words of a bitmap's header are zero.
    found.or_else(|| (head.starts_with(b"BM") && at(head, 6, &[0; 4])).then_some(still("bmp_pipe", "bmp")))
}

fn audio(head: &[u8]) -> Option<Kind> {
    let table: &[(&[u8], Kind)] = &[
        (b"fLaC", media("flac", "flac")),
        (b"#!AMR", guessed("amr", "amr")),
        (b"caff\0\x01", media("caf", "caf")),
        (b"wvpk", media("wv", "wv")),
        (b".snd", media("au", "au")),
        (b"TTA1", media("tta", "tta")),
        (b"MAC ", media("ape", "ape")),
        (b"MPCK", media("mpc8", "mpc")),
        (b"MP+", media("mpc", "mpc")),
        (b"tBaK", media("tak", "tak")),
        (b"DSD ", media("dsf", "dsf")),
        (b"Creative Voice File\x1A", guessed("voc", "voc")),
        (b"DTSHDHDR", media("dtshd", "dts")),
        // The four ways to write the sync word: 16 and 14 bits of each word, either byte first.
        (b"\x7F\xFE\x80\x01", guessed("dts", "dts")),
        (b"\xFE\x7F\x01\x80", guessed("dts", "dts")),
        (b"\x1F\xFF\xE8\x00\x07", guessed("dts", "dts")),
        (b"\xFF\x1F\x00\xE8", guessed("dts", "dts")),
    ];
    if let Some((_, kind)) = table.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Some(*kind);
    }
    if head.starts_with(b"\x0B\x77") {
        // Ten and less is AC-3, more is E-AC-3.
        let version = head.get(5).map_or(8, |byte| byte >> 3);
        return Some(if version > 10 { guessed("eac3", "eac3") } else { guessed("ac3", "ac3") });
    }
    if head.starts_with(b"FORM") && (at(head, 8, b"AIFF") || at(head, 8, b"AIFC")) {
        return Some(media("aiff", "aiff"));
    }
    if head.starts_with(b"ID3") {
        // Four bytes of seven bits each: how long the tag is.
        let length = head.get(6..10)?.iter().fold(0, |length, &byte| length << 7 | usize::from(byte & 0x7F));
        return match head.get(10 + length..) {
            // A tag longer than the head (a big cover) nearly always belongs to an mp3.
            None | Some([]) => Some(guessed("mp3", "mp3")),
            Some(rest) if rest.starts_with(b"fLaC") => Some(media("flac", "flac")),
            Some(rest) => mpeg_audio(rest).or_else(|| frames_within(rest)).or_else(|| Some(guessed("mp3", "mp3"))),
        };
    }
    mpeg_audio(head)
}

/// MPEG audio layers 1 to 3, or AAC in ADTS: eleven set bits, then the layer, which is zero for AAC.
fn mpeg_audio(head: &[u8]) -> Option<Kind> {
    let &[first, second, third, ..] = head else { return None };
    if first != 0xFF || second & 0xE0 != 0xE0 {
        return None;
    }
    if second & 0xF6 == 0xF0 {
        return Some(guessed("aac", "aac"));
    }
    let (version, layer, rate) = (second >> 3 & 3, second >> 1 & 3, third >> 2 & 3);
    if version == 1 || layer == 0 || rate == 3 || third >> 4 == 15 {
        return None;
    }
    // The first frame of a well-made file tells the number of frames.
    let first_frame = &head[..head.len().min(512)];
    let counted = [&b"Xing"[..], b"Info", b"VBRI"].iter().any(|word| contains(first_frame, word));
    Some(if counted { media("mp3", "mp3") } else { guessed("mp3", "mp3") })
}

/// How many frames in a row are no accident.
const IN_A_ROW: usize = 3;

/// MPEG audio or AAC behind zeros, junk or a frame that was cut: the first place where some frames follow each other.
fn frames_within(head: &[u8]) -> Option<Kind> {
    let in_a_row = |start: usize| {
        let mut at = start;
        (0..IN_A_ROW).all(|_| {
            let rest = head.get(at..).unwrap_or_default();
            let alike = rest.get(1).zip(head.get(start + 1)).is_some_and(|(one, first)| one & 0xFE == first & 0xFE);
            let length = frame_length(rest).filter(|_| alike);
            at += length.unwrap_or(0);
            length.is_some()
        })
    };
    let start = (0..head.len()).find(|&start| head[start] == 0xFF && in_a_row(start))?;
    // A number of frames would be looked for at the beginning only.
    mpeg_audio(&head[start..]).map(|kind| Kind { measured: false, ..kind })
}

/// Length of the frame of MPEG audio or ADTS that begins there, in bytes.
///
/// # Source
/// ISO/IEC 11172-3, 2.4.2.3; ISO/IEC 13818-3 for the lower rates; ISO/IEC 13818-7, 6.2 (ADTS).
fn frame_length(head: &[u8]) -> Option<usize> {
    let kind = mpeg_audio(head)?;
    if kind.demuxer == "aac" {
        let &[_, _, _, a, b, c, ..] = head else { return None };
        let length = (usize::from(a & 3) << 11) | (usize::from(b) << 3) | usize::from(c >> 5);
        return (length > 7).then_some(length);
    }
    let &[_, second, third, ..] = head else { return None };
    let (version, layer) = (second >> 3 & 3, 4 - (second >> 1 & 3));
    let first_version = version == 3;
    let step: [u16; 14] = match (first_version, layer) {
        (true, 1) => [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        (true, 2) => [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        (true, _) => [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        (false, 1) => [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        (false, _) => [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    };
    let kbps = usize::from(*step.get(usize::from(third >> 4).checked_sub(1)?)?);
    let halved = match version {
        3 => 1,
        2 => 2,
        _ => 4,
    };
    let rate = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? / halved;
    let padding = usize::from(third >> 1 & 1);
    Some(match layer {
        1 => (12_000 * kbps / rate + padding) * 4,
        3 if !first_version => 72_000 * kbps / rate + padding,
        _ => 144_000 * kbps / rate + padding,
    })
}

/// MPEG transport and program streams, bare video, and DV.
fn stream(head: &[u8]) -> Option<Kind> {
    if let Some(kind) = transport(head, 0).or_else(|| transport(head, 4)) {
        return Some(kind);
    }
    if head.starts_with(&[0x1F, 0x07, 0x00]) && matches!(head.get(3), Some(0x3F | 0xBF)) {
        return Some(media("dv", "dv"));
    }
    let start = [&[0, 0, 1][..], &[0, 0, 0, 1]].into_iter().find(|code| head.starts_with(code))?;
    match head.get(start.len())? {
        0xBA => Some(guessed("mpeg", "mpeg")),
        0xB3 => Some(guessed("mpegvideo", "mpeg")),
        0xB0 => Some(guessed("m4v", "m4v")),
        _ => bare_video(head, start.len()),
    }
}

/// H.264 or H.265 as it comes out of an encoder: units that begin with a start code, among the first of them the one that
/// tells what the picture is.
///
/// # Source
/// ITU-T H.264 and H.265, Annex B and table 7-1 of each.
fn bare_video(head: &[u8], first: usize) -> Option<Kind> {
    let unit = head.get(first..first + 2)?;
    let begins = |is: fn(&[u8]) -> bool| {
        let start = &head[..head.len().min(4096)];
        start.windows(5).any(|window| window.starts_with(&[0, 0, 1]) && is(&window[3..]))
    };
    match *unit {
        [0x40 | 0x42 | 0x44 | 0x46 | 0x4E, 0x01] if begins(|unit| unit == [0x42, 0x01]) => {
            Some(guessed("hevc", "h265"))
        }
        [0x06 | 0x09 | 0x27 | 0x47 | 0x67, _] if begins(|unit| matches!(unit[0], 0x27 | 0x47 | 0x67)) => {
            Some(guessed("h264", "h264"))
        }
        _ => None,
    }
}

/// A transport stream whose first packet begins there. A packet has 188 bytes; camcorders put four bytes of time before
/// each, broadcasters sixteen of correction behind it.
fn transport(head: &[u8], first: usize) -> Option<Kind> {
    let synced = |packet: usize| (0..5).all(|n| at(head, first + n * packet, &[0x47]));
    [188, 192, 204].into_iter().any(synced).then_some(media("mpegts", "mpegts"))
}

/// Where a transport stream was cut anywhere, it begins within this.
const CUT_PACKETS: usize = 2048;

/// A transport stream behind junk or a packet that was cut.
fn transport_within(head: &[u8]) -> Option<Kind> {
    (1..CUT_PACKETS.min(head.len())).find_map(|first| transport(head, first))
}

fn refused_binary(head: &[u8]) -> Option<&'static str> {
    if let Some(what) = raw(head) {
        return Some(what);
    }
    if at(head, 4, b"ftyp") {
        if heif::names_heif(head) {
            return Some("a HEIF image, which is not supported");
        }
        return at(head, 8, b"avif").then_some("an AVIF image, which is not supported");
    }
    if head.starts_with(b"RIFF") && at(head, 8, b"WEBP") && at(head, 12, b"VP8X") && head.get(20)? & 2 != 0 {
        return Some("an animated WebP, which is not supported");
    }
    let table: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a zip archive, not media"),
        (b"\x1F\x8B", "gzip data, not media"),
        (b"\x28\xB5\x2F\xFD", "zstd data, not media"),
        (b"BZh", "bzip2 data, not media"),
        (b"\xFD7zXZ\0", "xz data, not media"),
        (b"7z\xBC\xAF\x27\x1C", "a 7-zip archive, which is not supported"),
        (b"Rar!\x1A\x07", "a RAR archive, which is not supported"),
        (b"MSCF\0\0\0\0", "a cabinet archive, which is not supported"),
        (b"!<arch>\n", "an ar archive, which is not supported"),
        (b"xar!", "a xar archive, which is not supported"),
        (b"\x1F\x9D", "compressed data (.Z), not media"),
        (b"LZIP", "lzip data, not media"),
        (b"%PDF", "a PDF document, not media"),
        (b"\x7FELF", "a program, not media"),
        (b"MZ", "a program, not media"),
    ];
    table.iter().find(|(signature, _)| head.starts_with(signature)).map(|(_, what)| *what)
}

/// The text formats that come instead of media, some of them to make a server read what it should not.
fn text(head: &[u8]) -> Option<&'static str> {
    let start = &head[..head.len().min(4096)];
    let bare = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    let lower = bare.to_ascii_lowercase();
    let begins = |word: &str| lower.starts_with(word.as_bytes());
    let has = |word: &str| contains(&lower, word.as_bytes());
    let table = [
        (begins("#extm3u"), "a playlist (m3u8), not media"),
        (begins("[playlist]") || begins("rtsptext"), "a playlist, not media"),
        (begins("ffconcat"), "a concat script, not media"),
        (begins("file '") || begins("file \"") || begins("file "), "a concat script, not media"),
        (begins("v=0") && (has("\no=") || has("\nm=")), "a session description (SDP), not media"),
        (has("<mpd"), "a DASH manifest, not media"),
        (has("<smoothstreamingmedia"), "a streaming manifest, not media"),
        (has("<svg"), "an SVG drawing, which is not supported"),
        (begins("<!doctype html") || has("<html"), "an HTML page, not media"),
        (begins("<?xml") || begins("<"), "an XML document, not media"),
        (begins("webvtt"), "a subtitle file, not media"),
        (begins("{") || begins("["), "a JSON document, not media"),
    ];
    if let Some((_, what)) = table.iter().find(|(found, _)| *found) {
        return Some(what);
    }
    let printable = start.iter().all(|&byte| byte >= 0x20 && byte != 0x7F || byte.is_ascii_whitespace());
    printable.then_some("a text, not media")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demuxer(head: &[u8]) -> &'static str {
        match sniff(head) {
            Sniffed::Media(kind) => kind.demuxer,
            Sniffed::Other(what) => what,
            Sniffed::Empty => "empty",
        }
    }

    #[test]
    fn media_is_known_by_its_signature() {
        let mut transport = vec![0; 188 * 5];
        (0..5).for_each(|packet| transport[packet * 188] = 0x47);
        let cases: &[(&[u8], &str)] = &[
            (b"\0\0\0\x20ftypisom\0\0\x02\0", "mov"),
            (b"\0\0\0\x20ftypqt  \0\0\x02\0", "mov"),
            (b"\0\0\0\x20ftypavis\0\0\0\0avifavis", "mov"),
            (b"\0\0\0\x14ftypisom\0\0\0\0heic", "mov"),
            (b"\x1A\x45\xDF\xA3\x9F\x42\x82\x84webm", "matroska"),
            (b"RIFF\0\0\0\0AVI LIST", "avi"),
            (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
            (b"OggS\0\x02", "ogg"),
            (b"\xFF\xF1\x50\x80\x02", "aac"),
            (b"\xFF\xFB\x90\x64\x00", "mp3"),
            (b"ID3\x04\0\0\0\0\0\x02??\xFF\xFB\x90\x64", "mp3"),
            (b"fLaC\0\0\0\x22", "flac"),
            (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR", "png_pipe"),
            (b"GIF89a\x01\0", "gif"),
            (b"\xFF\xD8\xFF\xE0", "jpeg_pipe"),
            (&transport, "mpegts"),
            (b"\0\0\x01\xBA\x44", "mpeg"),
            (&[&b"\xAA\xBB"[..], &transport].concat(), "mpegts"),
            (b"\0\0\0\x01\x67\x64\0\x1F", "h264"),
            (b"\0\0\0\x01\x09\xF0\0\0\0\x01\x67\x64\0\x1F", "h264"),
            (b"\0\0\0\x01\x40\x01\x0C\x01\0\0\0\x01\x42\x01\x01", "hevc"),
            (b"\x1F\x07\0\x3F\xFF", "dv"),
            (b".snd\0\0\0\x18", "au"),
            (b"TTA1\x01\0", "tta"),
            (b"\x7F\xFE\x80\x01\xFC", "dts"),
            (b"\x0B\x77\0\0\x14\x40", "ac3"),
            (b"\x0B\x77\x01\xBF\x14\x80", "eac3"),
            (b"MAC \x96\x0F", "ape"),
        ];
        for (head, expected) in cases {
            assert_eq!(demuxer(head), *expected, "{head:?}");
        }
    }

    #[test]
    fn frames_are_found_behind_what_is_not_sound() {
        // 128 kbit/s at 44100 Hz: 417 bytes.
        let mut frame = b"\xFF\xFB\x90\x64".to_vec();
        frame.resize(417, 0x02);
        let frames = frame.repeat(4);
        for lead in [&[0; 1000][..], b"\xFF\xFB\x01\x01", &frame[100..], b"\x01\x02\xFF\xFB\x90\x64\xFF"] {
            assert_eq!(demuxer(&[lead, &frames].concat()), "mp3", "{lead:?}");
        }
        let mut padded = b"ID3\x04\0\0\0\0\0\x02??".to_vec();
        padded.resize(3000, 0);
        assert_eq!(demuxer(&[padded, frames.clone()].concat()), "mp3");
        // Once is an accident, and a text is one whatever stands behind it.
        assert_eq!(demuxer(&[&[0; 1000][..], &frame, &[0; 1000]].concat()), "in an unknown format");
        let hostile = [b"#EXTM3U\n/etc/passwd\n", &frames[..]].concat();
        assert_eq!(demuxer(&hostile), "a playlist (m3u8), not media");
        let mut adts = vec![0xFF, 0xF1, 0x50, 0x80, 0x08, 0x1F, 0xFC];
        adts.resize(64, 0x02);
        assert_eq!(demuxer(&[&[0; 10][..], &adts.repeat(4)].concat()), "aac");
    }

    #[test]
    fn what_is_not_media_is_named() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "empty"),
            (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "a playlist (m3u8), not media"),
            (b"\xEF\xBB\xBF\n #EXTM3U\n", "a playlist (m3u8), not media"),
            (b"ffconcat version 1.0\nfile /etc/passwd\n", "a concat script, not media"),
            (b"\0\0\0\x14ftypheim\0\0\0\0mif1", "a HEIF image, which is not supported"),
            (b"\0\0\0\x14ftypavif\0\0\0\0mif1", "an AVIF image, which is not supported"),
            (b"<?xml version='1.0'?>\n<svg xmlns='...'/>", "an SVG drawing, which is not supported"),
            (b"<!-- x --><MPD></MPD>", "a DASH manifest, not media"),
            (b"<!DOCTYPE html><p>404", "an HTML page, not media"),
            (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "a session description (SDP), not media"),
            (b"root:x:0:0:root:/root:/bin/bash\n", "a text, not media"),
            (b"\x00\x01\x02\x03", "in an unknown format"),
        ];
        for (head, expected) in cases {
            assert_eq!(demuxer(head), *expected, "{}", String::from_utf8_lossy(head));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in proptest::collection::vec(proptest::num::u8::ANY, 0..2048)) {
            let _ = sniff(&head);
            let _ = sniff(&[b"ID3\x04\0\0", &head[..]].concat());
            let _ = sniff(&[b"RIFF\0\0\0\0WEBPVP8X", &head[..]].concat());
            let _ = sniff(&[b"\0\xFF\xFB\x90\x64", &head[..]].concat());
            let _ = sniff(&[b"\0\0\0\x01\x67", &head[..]].concat());
        }
    }
}
