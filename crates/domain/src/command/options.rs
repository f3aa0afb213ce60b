//! The options of the program: a list of names, where each may stand, and what it takes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::graph::Graph;
use super::value::{Kind, made_of};
use crate::recipe::Format;

/// One line an option: its name, where it may stand (`g` anywhere, `i` before an input, `o` before an output), what it
/// takes, and how it is spelled where that is not its name.
const OPTIONS: &str = include_str!("options.txt");

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// Nothing, and it is left out: we say it ourselves, or it is of no use here.
    NothingUnsaid,
    /// A word or a number, which is left out with it.
    Unsaid,
    /// A plain value.
    Value(Kind),
    /// The name of a codec.
    Codec,
    /// A graph without labels.
    Graph,
    /// A graph with labels.
    Complex,
    /// Which stream is taken.
    Map,
    /// From which input descriptions are taken.
    MapMetadata,
    /// `key=text`.
    Metadata,
    /// The name of a container, which is compared and left out: we say it ourselves.
    Container,
    /// Where key frames are.
    KeyFrames,
    /// Parameters of an encoder: `name=value:name=value`.
    Parameters,
    /// Filters of packets.
    PacketFilters,
}

/// An option on the list.
#[derive(Debug)]
pub(super) struct Entry {
    places: &'static str,
    pub(super) takes: Takes,
    /// Its name, with the stream that it is for where that is part of it: `c:v`.
    pub(super) spelled: &'static str,
}

impl Entry {
    /// Whether it may stand there: `g`, `i` or `o`.
    pub(super) fn stands(&self, place: char) -> bool {
        self.places.contains(place)
    }
}

static LIST: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| OPTIONS.lines().filter_map(entry).collect());

fn entry(line: &'static str) -> Option<(&'static str, Entry)> {
    let mut words = line.split(' ');
    let (name, places, takes) = (words.next()?, words.next()?, *words.next()?.as_bytes().first()?);
    let takes = match takes {
        b'-' => Takes::Nothing,
        b'x' => Takes::NothingUnsaid,
        b'X' => Takes::Unsaid,
        b'k' => Takes::Codec,
        b'v' => Takes::Graph,
        b'V' => Takes::Complex,
        b'm' => Takes::Map,
        b'S' => Takes::MapMetadata,
        b'M' => Takes::Metadata,
        b'F' => Takes::Container,
        b'K' => Takes::KeyFrames,
        b'P' => Takes::Parameters,
        b'B' => Takes::PacketFilters,
        letter => Takes::Value(Kind::of(letter)?),
    };
    Some((name, Entry { places, takes, spelled: words.next().unwrap_or(name) }))
}

/// The option of that name, without its dash.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    LIST.get(name)
}

/// Reads the streams that an option is for: `v`, `a:0`, `1`.
pub(super) fn streams(text: &str) -> Option<String> {
    let part = |part: &str| {
        let number = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        number || matches!(part, "v" | "V" | "a" | "s" | "d" | "t" | "g" | "c" | "p")
    };
    let parts: Vec<&str> = text.split(':').collect();
    (parts.len() <= 3 && parts.iter().all(|text| part(text))).then(|| parts.join(":"))
}

/// Encoders and decoders by their names and those of their formats.
const CODECS: &[&str] = &[
    "copy",
    "h264",
    "libx264",
    "hevc",
    "libx265",
    "vp8",
    "libvpx",
    "vp9",
    "libvpx-vp9",
    "av1",
    "libaom-av1",
    "libsvtav1",
    "libdav1d",
    "mpeg4",
    "mpeg2video",
    "mjpeg",
    "png",
    "gif",
    "libwebp",
    "libwebp_anim",
    "webp",
    "prores",
    "prores_ks",
    "prores_aw",
    "dnxhd",
    "ffv1",
    "huffyuv",
    "qtrle",
    "aac",
    "mp3",
    "libmp3lame",
    "libshine",
    "opus",
    "libopus",
    "vorbis",
    "libvorbis",
    "flac",
    "alac",
    "ac3",
    "eac3",
    "mp2",
    "pcm_u8",
    "pcm_s16le",
    "pcm_s24le",
    "pcm_s32le",
    "pcm_f32le",
    "pcm_s16be",
    "mov_text",
    "webvtt",
    "srt",
    "subrip",
    "ass",
];

const PACKET_FILTERS: &[&str] = &[
    "null",
    "aac_adtstoasc",
    "h264_mp4toannexb",
    "hevc_mp4toannexb",
    "extract_extradata",
    "dump_extra",
    "remove_extra",
    "vp9_superframe",
    "vp9_superframe_split",
    "av1_frame_merge",
    "av1_frame_split",
    "mov2textsub",
    "text2movsub",
    "mp3decomp",
    "opus_metadata",
    "pcm_rechunk",
];

/// Parameters of x264 and x265 that are numbers and words. Those that name files (statistics, quantisers, dumps,
/// analyses, tables, logs) are not among them.
const PARAMETERS: &[&str] = &[
    "keyint",
    "min-keyint",
    "no-scenecut",
    "scenecut",
    "open-gop",
    "no-open-gop",
    "bframes",
    "b-adapt",
    "b-bias",
    "b-pyramid",
    "ref",
    "no-deblock",
    "deblock",
    "slices",
    "interlaced",
    "tff",
    "bff",
    "qp",
    "crf",
    "crf-max",
    "crf-min",
    "bitrate",
    "vbv-maxrate",
    "vbv-bufsize",
    "vbv-init",
    "qpmin",
    "qpmax",
    "qpstep",
    "ratetol",
    "ipratio",
    "pbratio",
    "chroma-qp-offset",
    "aq-mode",
    "aq-strength",
    "qcomp",
    "cplxblur",
    "qblur",
    "partitions",
    "direct",
    "no-weightb",
    "weightb",
    "weightp",
    "me",
    "merange",
    "mvrange",
    "subme",
    "psy-rd",
    "psy-rdoq",
    "no-psy",
    "mixed-refs",
    "no-mixed-refs",
    "no-chroma-me",
    "8x8dct",
    "no-8x8dct",
    "trellis",
    "no-fast-pskip",
    "no-dct-decimate",
    "nr",
    "deadzone-inter",
    "deadzone-intra",
    "cabac",
    "no-cabac",
    "rc-lookahead",
    "mbtree",
    "no-mbtree",
    "sync-lookahead",
    "nal-hrd",
    "filler",
    "force-cfr",
    "colorprim",
    "colormatrix",
    "transfer",
    "range",
    "level",
    "level-idc",
    "profile",
    "tier",
    "high-tier",
    "aud",
    "annexb",
    "repeat-headers",
    "hdr10",
    "hdr10-opt",
    "max-cll",
    "chromaloc",
    "sar",
    "rd",
    "rdoq-level",
    "rect",
    "amp",
    "limit-refs",
    "limit-modes",
    "limit-tu",
    "max-merge",
    "tu-intra-depth",
    "tu-inter-depth",
    "ctu",
    "min-cu-size",
    "sao",
    "no-sao",
    "strong-intra-smoothing",
    "early-skip",
    "rskip",
    "cutree",
    "no-cutree",
    "lossless",
    "no-info",
    "info",
    "vfr-input",
    "fade-compensation",
];

/// Containers by their names, and the formats of ours that each goes with.
const CONTAINERS: &[(&str, &[Format])] = &[
    ("mp4", &[Format::Mp4, Format::Aac]),
    ("ipod", &[Format::Aac]),
    ("mov", &[Format::Mov]),
    ("webm", &[Format::Webm]),
    ("matroska", &[Format::Mkv]),
    ("gif", &[Format::Gif]),
    ("mp3", &[Format::Mp3]),
    ("adts", &[Format::Adts]),
    ("wav", &[Format::Wav]),
    ("flac", &[Format::Flac]),
    ("ogg", &[Format::Ogg, Format::Opus]),
    ("opus", &[Format::Opus]),
    ("mjpeg", &[Format::Jpg]),
    ("image2", &[Format::Jpg, Format::Png]),
    ("image2pipe", &[Format::Jpg, Format::Png]),
    ("webp", &[Format::Webp]),
];

/// Whether a container is on the list.
pub(super) fn is_container(name: &str) -> bool {
    CONTAINERS.iter().any(|(known, _)| *known == name)
}

/// Whether a container goes with a format.
pub(super) fn goes_with(name: &str, format: Format) -> bool {
    CONTAINERS.iter().any(|(known, formats)| *known == name && formats.contains(&format))
}

impl Takes {
    /// Reads a value and gives it as it is spelled.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the option's name.
    pub(super) fn read(self, text: &str) -> Result<String, String> {
        let among = |list: &[&'static str], what: &str| {
            let found = list.iter().find(|known| **known == text.trim());
            found.map(|known| (*known).to_owned()).ok_or_else(|| format!("takes {what}"))
        };
        match self {
            Self::Nothing | Self::NothingUnsaid => Ok(String::new()),
            Self::Unsaid => Kind::Word.read(text).ok_or_else(|| "takes a word or a number".to_owned()),
            Self::Value(kind) => kind.read(text).ok_or_else(|| format!("takes {}", kind.words())),
            Self::Codec => among(CODECS, "the name of an allowed codec, or copy"),
            Self::Container if is_container(text.trim()) => Ok(text.trim().to_owned()),
            Self::Container => Err("takes the name of a supported container".to_owned()),
            Self::Graph => match Graph::read(text)? {
                graph if graph.has_labels() => Err("takes no labels; use -filter_complex".to_owned()),
                graph => Ok(graph.spelled()),
            },
            Self::Complex => Graph::read(text).map(|graph| graph.spelled()),
            Self::Map => map(text).ok_or_else(|| "takes a stream such as 0:v:0, or a label such as [out]".to_owned()),
            Self::MapMetadata => map_metadata(text).ok_or_else(|| "takes the number of an input, or -1".to_owned()),
            Self::Metadata => metadata(text).ok_or_else(|| "takes key=text".to_owned()),
            Self::KeyFrames => key_frames(text).ok_or_else(|| "takes times, or expr: and an expression".to_owned()),
            Self::Parameters => {
                let read = text.split(':').map(parameter).collect::<Result<Vec<_>, _>>()?;
                Ok(read.join(":"))
            }
            Self::PacketFilters => {
                let filter = |name: &str| PACKET_FILTERS.iter().find(|known| **known == name.trim()).copied();
                let read = text.split(',').map(filter).collect::<Option<Vec<_>>>();
                read.map(|read| read.join(",")).ok_or_else(|| "takes filters of packets without options".to_owned())
            }
        }
    }
}

fn map(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(label) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.');
        return made_of(label, plain).filter(|label| !label.is_empty()).map(|label| format!("[{label}]"));
    }
    let (minus, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (rest, optional) = rest.strip_suffix('?').map_or((rest, ""), |rest| (rest, "?"));
    let (input, stream) = rest.split_once(':').map_or((rest, None), |(input, stream)| (input, Some(stream)));
    let input = made_of(input, |byte| byte.is_ascii_digit()).filter(|input| (1..=2).contains(&input.len()))?;
    Some(match stream {
        Some(stream) => format!("{minus}{input}:{}{optional}", streams(stream)?),
        None => format!("{minus}{input}{optional}"),
    })
}

fn map_metadata(text: &str) -> Option<String> {
    if text == "-1" {
        return Some(text.to_owned());
    }
    let (input, rest) = text.split_once(':').map_or((text, None), |(input, rest)| (input, Some(rest)));
    let input = made_of(input, |byte| byte.is_ascii_digit()).filter(|input| (1..=2).contains(&input.len()))?;
    Some(match rest {
        Some(rest) => format!("{input}:{}", streams(rest)?),
        None => input,
    })
}

fn metadata(text: &str) -> Option<String> {
    let (key, value) = text.split_once('=')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let key = made_of(key, plain).filter(|key| (1..=64).contains(&key.len()) && !key.starts_with(['-', '.']))?;
    (value.len() <= 1000 && !value.chars().any(char::is_control)).then(|| format!("{key}={value}"))
}

fn key_frames(text: &str) -> Option<String> {
    if text == "source" {
        return Some(text.to_owned());
    }
    if let Some(expression) = text.strip_prefix("expr:") {
        return Kind::Expression.read(expression).map(|expression| format!("expr:{expression}"));
    }
    let times = text.split(',').map(|time| Kind::Time.read(time)).collect::<Option<Vec<_>>>()?;
    Some(times.join(","))
}

fn parameter(text: &str) -> Result<String, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let Some(name) = PARAMETERS.iter().find(|known| **known == name.trim()) else {
        let shown: String = name.chars().take(40).collect();
        return Err(format!("takes parameters of the encoder that are numbers and words; {shown:?} is not one"));
    };
    let Some(value) = value else { return Ok((*name).to_owned()) };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b',' | b'+');
    let read = made_of(value.trim(), inner).filter(|value| !value.is_empty() && !value.contains(".."));
    let read = read.ok_or_else(|| format!("takes a number or a word for {name}"))?;
    Ok(format!("{name}={read}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        assert_eq!(LIST.len(), OPTIONS.lines().count());
    }

    #[test]
    fn special_values_are_read_or_refused() {
        for (takes, text, spelled) in [
            (Takes::Map, "0:v:0?", Some("0:v:0?")),
            (Takes::Map, "[out]", Some("[out]")),
            (Takes::Map, "-0:a", Some("-0:a")),
            (Takes::Map, "/etc/passwd", None),
            (Takes::Map, "0:m:language:eng", None),
            (Takes::MapMetadata, "0:s:v", Some("0:s:v")),
            (Takes::MapMetadata, "file", None),
            (Takes::Metadata, "title=a/b: c", Some("title=a/b: c")),
            (Takes::Metadata, "-x=1", None),
            (Takes::KeyFrames, "expr:gte(t,n_forced*2)", Some("expr:gte(t,n_forced*2)")),
            (Takes::KeyFrames, "0,1.5,00:00:03", Some("0,1.5,00:00:03")),
            (Takes::KeyFrames, "chapters+/x", None),
            (Takes::Parameters, "keyint=60:no-scenecut", Some("keyint=60:no-scenecut")),
            (Takes::Parameters, "keyint=60:stats=/tmp/x", None),
            (Takes::Parameters, "csv=x", None),
            (Takes::PacketFilters, "h264_mp4toannexb", Some("h264_mp4toannexb")),
            (Takes::PacketFilters, "trace_headers", None),
            (Takes::Codec, "libx264", Some("libx264")),
            (Takes::Codec, "rawvideo/../x", None),
            (Takes::Container, "tee", None),
        ] {
            assert_eq!(takes.read(text).ok().as_deref(), spelled, "{takes:?} {text}");
        }
    }
}
