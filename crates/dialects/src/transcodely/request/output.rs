//! One output of a request: a file for each entry of its `video[]`, or one package of all of them.

use reelhook_domain::choice;
use reelhook_domain::form::Form;
use reelhook_domain::object_path::PathTemplate;
use reelhook_domain::recipe::{
    Convert, DEFAULT_SEGMENT_SECONDS, Format, Package, PackageType, Quality, Recipe, Rendition, Resolution,
    SegmentFormat, Size, Subtitles, VideoCodec,
};
use serde_json::Value;

/// One file to make.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) recipe: Recipe,
    /// Where it goes in the output's origin, if its output says so.
    pub(super) template: Option<PathTemplate>,
    /// Of which output (or thumbnail) of the request.
    pub(super) from: usize,
    /// Of which entry of its `video[]`, where each is a file.
    pub(super) entry: Option<usize>,
    pub(super) is_thumbnail: bool,
}

choice! {
    /// What an output is.
    Type {
        /// MP4.
        Mp4 = "mp4",
        /// WebM.
        Webm = "webm",
        /// Matroska.
        Mkv = "mkv",
        /// QuickTime.
        Mov = "mov",
        /// HLS.
        Hls = "hls",
        /// DASH.
        Dash = "dash",
        /// Both over the same segments.
        Adaptive = "adaptive",
    }
}

choice! {
    /// How segments are cut.
    Alignment {
        /// At the same times in all renditions.
        Aligned = "aligned",
    }
}

choice! {
    /// What a playlist is.
    PlaylistType {
        /// Of a whole recording.
        Vod = "vod",
    }
}

choice! {
    /// How encoder settings are chosen.
    EncodingMode {
        /// By the tier.
        Fixed = "fixed",
    }
}

/// What an output becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    File(Format),
    Package(PackageType),
}

impl Type {
    const fn container(self) -> Container {
        match self {
            Self::Mp4 => Container::File(Format::Mp4),
            Self::Webm => Container::File(Format::Webm),
            Self::Mkv => Container::File(Format::Mkv),
            Self::Mov => Container::File(Format::Mov),
            Self::Hls => Container::Package(PackageType::Hls),
            Self::Dash => Container::Package(PackageType::Dash),
            Self::Adaptive => Container::Package(PackageType::Adaptive),
        }
    }

    /// The service's table of containers and codecs.
    const fn codecs(self) -> &'static [VideoCodec] {
        use VideoCodec::{Av1, H264, H265, Vp9};
        match self {
            Self::Mp4 => &[H264, H265, Av1],
            Self::Webm => &[Vp9, Av1],
            Self::Mov => &[H264, H265],
            Self::Mkv | Self::Hls | Self::Dash | Self::Adaptive => &[H264, H265, Vp9, Av1],
        }
    }
}

/// Refuses the fields of that name that are set: the service documents them, and they are not done here.
pub(super) fn refuse_undone(form: &mut Form, names: &[&'static str]) {
    for &name in names {
        if let Some(value) = form.value(name) {
            form.refuse(name, value, "is not supported by this server; leave it out");
        }
    }
}

pub(super) fn read(form: &mut Form, from: usize) -> Option<Vec<Wanted>> {
    let template = form.parsed::<PathTemplate>("path_template");
    refuse_undone(
        form,
        &["audio", "subtitle_tracks", "drm", "content_aware", "disable_audio", "watermark", "captions"],
    );
    form.choice::<EncodingMode>("encoding_mode");
    let segments = segments(form);
    let has_preset = form.has("preset");
    let wanted = if has_preset { preset(form) } else { inline(form) };
    form.ignore_rest();
    let (container, entries) = wanted?;
    let wanted = |name: String, recipe: Recipe, entry: Option<usize>| Wanted {
        name,
        recipe,
        template: template.clone(),
        from,
        entry,
        is_thumbnail: false,
    };
    match container {
        Container::Package(kind) => {
            let (segment_seconds, segment_format) = segments;
            let package = Package { kind, video: entries, segment_seconds, segment_format };
            if segment_format == SegmentFormat::Ts
                && (kind != PackageType::Hls || package.video.iter().any(|entry| entry.codec != VideoCodec::H264))
            {
                form.refuse(
                    "hls.segment_format",
                    "ts".into(),
                    "must be fmp4 unless type is hls and every codec is h264",
                );
            }
            Some(vec![wanted(kind.to_string(), Recipe::Package(package), None)])
        }
        Container::File(format) => Some(
            entries
                .into_iter()
                .enumerate()
                .map(|(index, entry)| {
                    let name = format!("{}_{}", entry.codec, size_name(&entry.size));
                    let Rendition { codec, size, frame_rate, bitrate_kbps, quality } = entry;
                    let convert = Convert {
                        format,
                        codec: Some(codec),
                        size,
                        frame_rate,
                        bitrate_kbps,
                        quality,
                        subtitles: Subtitles::default(),
                        subtitle_language: None,
                    };
                    wanted(name, Recipe::Convert(convert), (!has_preset).then_some(index))
                })
                .collect(),
        ),
    }
}

/// `1080p`, `1280x720`, or `source` where the size stays.
pub(crate) fn size_name(size: &Size) -> String {
    match (size.resolution, size.width, size.height) {
        (Some(resolution), ..) => resolution.to_string(),
        (None, Some(width), Some(height)) => format!("{width}x{height}"),
        (None, ..) => "source".to_owned(),
    }
}

fn inline(form: &mut Form) -> Option<(Container, Vec<Rendition>)> {
    let kind = form.choice::<Type>("type");
    let kind = form.require("type", kind);
    let entries = form.objects("video", 1..=20, |form, _| entry(form, kind));
    let entries = form.require("video", entries);
    Some((kind?.container(), entries?))
}

fn entry(form: &mut Form, kind: Option<Type>) -> Option<Rendition> {
    let codec = form.choice::<VideoCodec>("codec");
    let codec = form.require("codec", codec);
    if let (Some(kind), Some(codec)) = (kind, codec)
        && !kind.codecs().contains(&codec)
    {
        let allowed: Vec<_> = kind.codecs().iter().map(|codec| codec.as_str()).collect();
        form.refuse(
            "codec",
            codec.as_str().into(),
            format_args!("does not go with {kind}, which takes {}", allowed.join(", ")),
        );
    }
    let resolution = form.choice::<Resolution>("resolution");
    let width = form.integer32("width", 128..=7680);
    let height = form.integer32("height", 128..=4320);
    match (resolution, width.is_some(), height.is_some()) {
        (Some(_), true, _) | (Some(_), _, true) => {
            form.refuse_whole("takes either resolution or width and height, not both")
        }
        (None, true, false) | (None, false, true) => form.refuse_whole("needs width and height together"),
        (Some(_), false, false) | (None, false, false) | (None, true, true) => {}
    }
    let size = Size { resolution, width, height, enlarge: false };
    let frame_rate = form.number("framerate", 1.0..=240.0);
    let bitrate_kbps = form.integer32("bitrate", 100..=240_000);
    let quality = form.choice("quality").unwrap_or(Quality::Standard);
    refuse_undone(form, &["h264", "h265", "vp9", "av1", "hdr"]);
    form.ignore_rest();
    Some(Rendition { codec: codec?, size, frame_rate, bitrate_kbps, quality })
}

/// Takes the names of a system preset apart: `h264_1080p_standard`, `gaming_1080p_60_standard`.
fn preset(form: &mut Form) -> Option<(Container, Vec<Rendition>)> {
    let slug = form.text("preset", 64)?;
    for name in ["type", "video"] {
        if let Some(value) = form.value(name) {
            form.refuse(name, value, "must be left out when preset is given");
        }
    }
    let parsed = system_preset(&slug);
    if parsed.is_none() {
        let message = "is not a preset of this server: it has system presets only, named CODEC_RESOLUTION_TIER such as h264_1080p_standard";
        form.refuse("preset", slug.into(), message);
    }
    parsed
}

fn system_preset(slug: &str) -> Option<(Container, Vec<Rendition>)> {
    let words: Vec<_> = slug.split('_').collect();
    let (kind, resolution, frame_rate, tier) = match words[..] {
        [kind, resolution, tier] => (kind, resolution, None, tier),
        [kind, resolution, rate, tier] => (kind, resolution, Some(rate.parse::<u32>().ok()?), tier),
        _ => return None,
    };
    let codec = match kind {
        "web" | "film" | "gaming" => VideoCodec::H264,
        word => VideoCodec::from_word(word)?,
    };
    let resolution = match resolution {
        "4k" => Resolution::P2160,
        "8k" => Resolution::P4320,
        word => Resolution::from_word(word)?,
    };
    let frame_rate = frame_rate.filter(|rate| (1..=240).contains(rate)).map(f64::from);
    let format = if codec == VideoCodec::Vp9 { Format::Webm } else { Format::Mp4 };
    let size = Size { resolution: Some(resolution), ..Size::default() };
    let rendition = Rendition { codec, size, frame_rate, bitrate_kbps: None, quality: Quality::from_word(tier)? };
    Some((Container::File(format), vec![rendition]))
}

/// Takes what is said of segments and manifests, of which only the length and the form of segments can be chosen here.
fn segments(form: &mut Form) -> (u32, SegmentFormat) {
    let seconds = form.object("segments", |form| {
        let seconds = form.integer32("duration", 1..=30);
        form.choice::<Alignment>("gop_alignment");
        refuse_undone(form, &["gop_size"]);
        form.ignore_rest();
        Some(seconds)
    });
    let fixed_name = |form: &mut Form, name: &str| {
        let manifest = form.text("manifest", 256).filter(|manifest| manifest != name);
        if let Some(manifest) = manifest {
            form.refuse("manifest", Value::String(manifest), format_args!("must be {name}"));
        }
    };
    let segment_format = form.object("hls", |form| {
        fixed_name(form, "master.m3u8");
        let format = form.choice::<SegmentFormat>("segment_format");
        form.choice::<PlaylistType>("playlist_type");
        refuse_undone(form, &["variant_pattern"]);
        form.ignore_rest();
        Some(format)
    });
    form.object("dash", |form| {
        fixed_name(form, "manifest.mpd");
        form.ignore_rest();
        Some(())
    });
    (seconds.flatten().unwrap_or(DEFAULT_SEGMENT_SECONDS), segment_format.flatten().unwrap_or(SegmentFormat::Fmp4))
}
