//! Small frames of a file, read by a run of ffmpeg of its own.

use std::ffi::OsString;
use std::path::Path;

use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::Format;

use super::distance::deviation;
use crate::beside::Compared;
use crate::error::MediaError;
use crate::plan::{Meaning, alpha_decoder, first_filters, is_rgb, narrowed, sdr_filters};
use crate::samples::{Samples, Tap};
use crate::spell::{on_file_time, seconds};
use crate::tools::Toolbox;

/// A small picture: red, green and blue, row after row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) rgb: Vec<u8>,
}

impl Frame {
    pub(super) fn brightness(&self) -> Vec<f64> {
        let luma =
            |pixel: &[u8]| 0.2126 * f64::from(pixel[0]) + 0.7152 * f64::from(pixel[1]) + 0.0722 * f64::from(pixel[2]);
        self.rgb.chunks_exact(3).map(luma).collect()
    }

    /// Whether there is anything to be seen: not where a film fades in from black.
    pub(super) fn shows_something(&self) -> bool {
        deviation(&self.brightness()) > 4.0
    }
}

/// What transparency is laid on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    Black,
    White,
}

/// Which frames are read: so many from a second on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shot {
    pub(super) second: f64,
    pub(super) frames: usize,
}

/// Containers in which a jump lands where it should, thanks to an index.
const INDEXED: &[&str] = &["mov", "matroska"];

/// A product whose picture is compared.
#[derive(Clone, Copy)]
pub(crate) struct Made<'a> {
    pub(crate) file: &'a Path,
    /// What was taken of it.
    pub(crate) samples: &'a Samples,
    pub(crate) video: &'a VideoInfo,
    pub(crate) demuxer: &'a str,
    /// Whether a jump lands where it should.
    pub(crate) jumps: bool,
}

impl<'a> Made<'a> {
    /// A product of that format; none where ffmpeg does not read it.
    pub(crate) fn of(format: Format, file: &'a Path, samples: &'a Samples, video: &'a VideoInfo) -> Option<Self> {
        let demuxer = match format {
            Format::Mp4 | Format::Mov => "mov",
            Format::Mkv | Format::Webm => "matroska",
            Format::Gif => "gif",
            Format::Jpg => "jpeg_pipe",
            Format::Png => "png_pipe",
            Format::Webp => "webp_pipe",
            _ => return None,
        };
        Some(Self { file, samples, video, demuxer, jumps: INDEXED.contains(&demuxer) })
    }
}

/// A file whose frames are read.
pub(super) struct Reader<'a> {
    toolbox: &'a Toolbox,
    file: &'a Path,
    samples: &'a Samples,
    demuxer: &'a str,
    demuxer_options: &'a [&'static str],
    /// Whether a jump lands where it should.
    jumps: bool,
    decoder: Option<&'static str>,
    /// Its stream; none for the first picture.
    index: Option<u32>,
    /// Filters that every frame passes first.
    first: Vec<String>,
    /// When its picture begins, in seconds.
    begins: f64,
    /// Filters that say what its numbers mean and bring them to standard range.
    colors: Vec<String>,
    /// Whether it is fitted into the size, with bars where its shape differs; else it is stretched.
    fitted: bool,
}

impl<'a> Reader<'a> {
    /// A reader of the source.
    pub(super) fn of_source(
        toolbox: &'a Toolbox,
        compared: Compared<'a>,
        video: &VideoInfo,
        product: &VideoInfo,
        still: bool,
        stretched: bool,
    ) -> Self {
        let source = compared.source;
        let mut colors: Vec<String> = Meaning::told(video).into_iter().collect();
        if video.color.is_hdr() && !product.color.is_hdr() {
            colors.extend(sdr_filters(toolbox.capabilities(), video));
        }
        // What says nothing of its colours is in those of sRGB.
        if still || is_rgb(product) {
            colors.extend(narrowed(toolbox.capabilities(), video));
        }
        Self {
            toolbox,
            file: compared.input,
            samples: compared.samples,
            demuxer: source.demuxer,
            demuxer_options: source.demuxer_options,
            jumps: INDEXED.contains(&source.demuxer),
            decoder: alpha_decoder(toolbox.capabilities(), video),
            index: source.video_index,
            first: first_filters(source),
            begins: source.video_start,
            colors,
            fitted: !stretched,
        }
    }

    /// A reader of a product.
    pub(super) fn of_product(toolbox: &'a Toolbox, made: Made<'a>, still: bool) -> Self {
        Self {
            toolbox,
            file: made.file,
            samples: made.samples,
            demuxer: made.demuxer,
            demuxer_options: &[],
            jumps: made.jumps,
            decoder: alpha_decoder(toolbox.capabilities(), made.video),
            index: None,
            first: Vec::new(),
            begins: 0.0,
            colors: Meaning::told(made.video).into_iter().filter(|_| !still).collect(),
            fitted: false,
        }
    }

    /// Reads frames, brought to that size and laid on the ground. Fewer where there are not so many.
    pub(super) async fn frames(
        &self,
        shot: Shot,
        size: (u32, u32),
        ground: Ground,
        scratch: &Path,
    ) -> Result<Vec<Frame>, MediaError> {
        let taken = self.samples.take(self.toolbox, self.file, &[self.tap(shot, size)], scratch).await?;
        let frames = taken.iter().flat_map(|bytes| bytes.chunks_exact(size.0 as usize * size.1 as usize * 4));
        Ok(frames.map(|rgba| Frame { width: size.0 as usize, rgb: laid(rgba, ground) }).collect())
    }

    /// How frames are decoded: to red, green, blue and alpha.
    pub(super) fn tap(&self, shot: Shot, (width, height): (u32, u32)) -> Tap {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let mut input = words(&["-threads", "1"]);
        if let Some(decoder) = self.decoder {
            input.extend(words(&["-c:v", decoder]));
        }
        let jumps = shot.second > 0.0 && self.jumps;
        if jumps {
            input.extend(words(&["-ss", &seconds(shot.second)]));
        }
        input.extend(words(self.demuxer_options));
        input.extend(words(&["-f", self.demuxer]));
        let mut filters = self.first.clone();
        if shot.second > 0.0 && !jumps {
            let (begins, from) = (seconds(self.begins), seconds(shot.second));
            filters.push(format!("{},select=gte(t\\,{from})", on_file_time("setpts", &begins)));
        }
        filters.push(format!("trim=end_frame={}", shot.frames));
        filters.extend(self.colors.iter().cloned());
        let exact = "flags=area+accurate_rnd+full_chroma_int+full_chroma_inp";
        if self.fitted {
            let shape = f64::from(width) / f64::from(height);
            // Shapes that differ by what rounding to whole pixels does are the same.
            let same = format!("lt(abs(dar/{}-1)\\,0.04)", seconds(shape));
            let wide = format!("if({same}\\,{width}\\,max(1\\,min({width}\\,round({height}*dar))))");
            let high = format!("if({same}\\,{height}\\,max(1\\,min({height}\\,round({width}/dar))))");
            filters.push(format!("scale=w={wide}:h={high}:{exact},format=rgba,setsar=1"));
            filters.push(format!("pad={width}:{height}:-1:-1:color=black"));
        } else {
            filters.push(format!("scale={width}:{height}:{exact},format=rgba"));
        }
        Tap {
            input,
            stream: self.index.map_or_else(|| "v:0".to_owned(), |index| index.to_string()),
            filters: filters.join(","),
            output: &["-fps_mode", "passthrough", "-c:v", "rawvideo", "-f", "rawvideo"],
        }
    }
}

fn laid(rgba: &[u8], ground: Ground) -> Vec<u8> {
    let below = if ground == Ground::White { 255 } else { 0 };
    let mix = |color: u8, alpha: u8| {
        ((u32::from(color) * u32::from(alpha) + below * u32::from(255 - alpha) + 127) / 255) as u8
    };
    rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]].map(|color| mix(color, pixel[3]))).collect()
}
