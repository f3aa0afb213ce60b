//! `thumbnail` of a picture: the frame that is shown at a second, upright, small, and made fast.
//!
//! Where [`make`](super::make()) looks long for the smallest file, this takes one fixed quality for each format and the
//! fastest way to it: the pixels are scaled as they are stored and only then turned, and a JPEG stays luma and chroma
//! from one end to the other.

use std::path::Path;
use std::time::{Duration, Instant};

use image::DynamicImage;
use reelhook_domain::failure::{JobFailure, Stage};
use reelhook_domain::media::VideoInfo;
use reelhook_domain::recipe::Thumbnail;

use super::budget::{self, Claim};
use super::decode::{self, Channels, Picture};
use super::encode::{self, Encoded, jpeg, png, webp};
use super::frames::Shown;
use super::guard::{Deadline, encoding};
use super::header::{self, Inspected, header};
use super::level::{Settings, settings};
use super::make::{broken, is_whole};
use super::{ImageFormat, ImageLimits, Level, Made, Origin, cut, fit};
use crate::error::MediaError;
use crate::plain;
use crate::plan::thumbnail_size;
use crate::spell::seconds;
use crate::step::StreamPlan;
use crate::verify::Check;

/// Quality of a JPEG: about what `-q:v 3` is to ffmpeg, which makes those of videos.
const JPEG_QUALITY: f32 = 88.0;
/// Quality of a WebP, the same as for those of videos.
const WEBP_QUALITY: f32 = 80.0;

/// Makes the thumbnail of the picture at `input`, measures it and writes it to `output`. Blocks.
///
/// The picture is a copy of `origin` where that is told, which is what the plan then speaks of.
///
/// # Errors
/// What [`inspect`](super::inspect) refuses, but for the number of frames: only those up to the one that is shown are
/// decoded. [`MediaError::Failed`] with `input_damaged`, with `beyond_end` where an animation is over by then, with
/// `timed_out`. Nothing is written then.
pub fn thumbnail(
    input: &Path,
    wish: &Thumbnail,
    origin: Option<Origin>,
    output: &Path,
    limits: &ImageLimits,
    claim: Claim<'_>,
) -> Result<Made, MediaError> {
    let limits = &ImageLimits { frames: u32::MAX, animation_pixels: u64::MAX, ..*limits };
    let bytes = header::read(input, limits)?;
    budget::claim(&cut::expected(&bytes, limits)?, limits, claim)?;
    let deadline = Deadline { began: Instant::now(), time: limits.time };
    let bytes = cut::whole(&bytes, limits)?;
    let found = header(&bytes, limits)?;
    let format = ImageFormat::of(wish.format).unwrap_or(ImageFormat::Jpeg);
    let work = Work { bytes: &bytes, wish, origin, format, found, limits, deadline };
    let (made, bytes) = work.make()?;
    deadline.check()?;
    plain::write(output, bytes)?;
    Ok(Made { wall: deadline.began.elapsed(), ..made })
}

/// One thumbnail at work.
struct Work<'a> {
    bytes: &'a [u8],
    wish: &'a Thumbnail,
    origin: Option<Origin>,
    format: ImageFormat,
    found: Inspected,
    limits: &'a ImageLimits,
    deadline: Deadline,
}

impl Work<'_> {
    fn make(&self) -> Result<(Made, Vec<u8>), MediaError> {
        let began = Instant::now();
        let (picture, shown) = self.frame()?;
        let decoding = began.elapsed();
        self.deadline.check()?;
        let began = Instant::now();
        let size = self.size();
        let small = self.small(picture, size)?;
        let made = self.encode(&small)?;
        let encoding = began.elapsed();
        let result = header(&made.bytes, self.limits).map_err(broken)?;
        let checks = self.checks(&result, size, &made.bytes)?;
        let made_of = Made {
            format: self.format,
            info: result.info(),
            kept: false,
            input_bytes: self.input_bytes(),
            output_bytes: made.bytes.len() as u64,
            plan: vec![self.told(&made, size, &shown)],
            checks,
            decoding,
            encoding,
            wall: Duration::ZERO,
            lost: None,
            missing: None,
        };
        Ok((made_of, made.bytes))
    }

    /// The picture as it is stored, and which frame of how many it is in words.
    fn frame(&self) -> Result<(Picture, String), MediaError> {
        if !self.found.is_reel() {
            let ycc = self.format == ImageFormat::Jpeg;
            let channels = if ycc { Channels::Ycc } else { Channels::Plain };
            let stored = self.found.stored();
            return Ok((decode::decode(self.bytes, &stored, channels, self.limits)?, "the picture".to_owned()));
        }
        let asked = self.wish.at_seconds;
        let mut shown = Shown::open(self.bytes, &self.found, self.limits)?;
        let mut last = None;
        while let Some(frame) = shown.next()? {
            self.deadline.check()?;
            let is_it = frame.end() > asked;
            last = Some(frame);
            if is_it {
                break;
            }
        }
        let Some(last) = last else { return Err(super::guard::damaged(self.found.kind, "it has no frame")) };
        // As for videos: the last one is shown at the very end, and for as long as a frame takes after it.
        let end = last.end();
        if asked > end + end / f64::from(self.found.frames) {
            let message = format!("at_seconds is {asked}; the input is {end:.3} seconds long");
            return Err(MediaError::Failed(JobFailure::request(Stage::Planning, "beyond_end", message)));
        }
        let told = format!("the frame shown at {} s, {} of {}", seconds(asked), last.number, self.found.frames);
        Ok((Picture::plain(last.pixels, shown.profile()), told))
    }

    /// Width and height of the result.
    fn size(&self) -> (u32, u32) {
        let info = self.found.info();
        info.video.map_or((self.found.width, self.found.height), |video: VideoInfo| thumbnail_size(&video, self.wish))
    }

    /// The picture in its size, upright, in eight bits, with what the format does not hold applied.
    fn small(&self, mut picture: Picture, (width, height): (u32, u32)) -> Result<Picture, MediaError> {
        let stored = if self.found.orientation >= 5 { (height, width) } else { (width, height) };
        picture.pixels = fit::resize(picture.pixels, stored)?;
        picture.pixels.apply_orientation(self.found.turned());
        picture.pixels = encode::eight_bits(picture.pixels);
        Ok(encode::prepare(picture, self.format))
    }

    fn encode(&self, picture: &Picture) -> Result<Encoded, MediaError> {
        encoding(|| match self.format {
            ImageFormat::Png => png::fast(picture),
            ImageFormat::Webp => webp::encode(picture, &self.settings()),
            _ => jpeg::fast(picture, JPEG_QUALITY, self.deadline),
        })
    }

    const fn settings(&self) -> Settings {
        Settings { webp_quality: WEBP_QUALITY, ..settings(Level::High) }
    }

    fn input_bytes(&self) -> u64 {
        self.origin.map_or(self.bytes.len() as u64, |origin| origin.size_bytes)
    }

    fn told(&self, made: &Encoded, size: (u32, u32), shown: &str) -> StreamPlan {
        let (format, from) =
            (self.format.extension(), self.origin.map_or(self.found.kind.word(), |from| from.format.word()));
        let mut words = vec![if from == format {
            format!("{format}: {}", made.how)
        } else {
            format!("{from} to {format}: {}", made.how)
        }];
        words.push(shown.to_owned());
        if size != (self.found.width, self.found.height) {
            let (found, (width, height)) = (&self.found, size);
            words.push(format!("{} x {} fitted to {width} x {height}", found.width, found.height));
        }
        if self.found.orientation != 1 {
            words.push("turned upright".to_owned());
        }
        if self.found.alpha && self.format == ImageFormat::Jpeg {
            words.push("transparent pixels become white: jpg has no alpha".to_owned());
        }
        StreamPlan::new("image", "encode", words.join("; "))
    }

    fn checks(&self, result: &Inspected, size: (u32, u32), bytes: &[u8]) -> Result<Vec<Check>, MediaError> {
        let words = |(width, height): (u32, u32)| format!("{width} x {height}");
        let (format, word, shown) = (self.format.extension(), result.kind.word(), (result.width, result.height));
        let whole = is_whole(self.format, bytes);
        let checks = vec![
            Check::new("format", word == format, format, word),
            Check::new("video", shown == size && result.orientation == 1, words(size), words(shown)),
            Check::new("size", whole, "whole", if whole { "whole" } else { "cut short" }),
            Check::new("frames", result.frames == 1, "1", result.frames.to_string()),
        ];
        if let Some(Check { name, expected, measured, .. }) = checks.iter().find(|check| !check.passed) {
            let message = format!("the output's {name} is {measured}; it should be {expected}");
            return Err(MediaError::Failed(JobFailure::server(Stage::Verifying, "output_invalid", message)));
        }
        Ok(checks)
    }
}

impl Inspected {
    /// The same as it is stored: not turned.
    pub(crate) fn stored(&self) -> Self {
        let (width, height) = if self.orientation >= 5 { (self.height, self.width) } else { (self.width, self.height) };
        Self { width, height, orientation: 1, ..self.clone() }
    }
}

/// Turns pixels upright.
pub(crate) fn upright(mut pixels: DynamicImage, found: &Inspected) -> DynamicImage {
    pixels.apply_orientation(found.turned());
    pixels
}

#[cfg(test)]
mod tests;
