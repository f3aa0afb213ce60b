//! The frames of an animation, one at a time: only one is held.

use std::io::Cursor;

use image::codecs::{gif::GifDecoder, png::PngDecoder};
use image::{AnimationDecoder as _, DynamicImage, Frames, ImageDecoder as _};
use image_webp::{LoopCount, WebPDecoder};

use super::decode::pixels;
use super::guard::{damaged, decoding};
use super::header::{Inspected, bad, memory, memory_bytes};
use super::kind::Kind;
use super::meaning::Meaning;
use super::{ImageLimits, chunks, color};
use crate::error::MediaError;

/// One frame as it is shown: the whole canvas.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) pixels: DynamicImage,
    /// How long it is shown, in milliseconds.
    pub(crate) delay: u32,
}

/// A source of frames.
pub(crate) struct Animation<'a> {
    kind: Kind,
    source: Source<'a>,
    left: u32,
    /// How often it is played; 0 is for ever.
    pub(crate) plays: u16,
    /// The profile of its colours; GIF does not bring one that is used.
    pub(crate) profile: Option<Vec<u8>>,
    /// What the numbers mean where there is no profile.
    meaning: Meaning,
}

enum Source<'a> {
    Frames(Frames<'a>),
    Webp(Box<WebPDecoder<Cursor<&'a [u8]>>>),
}

impl<'a> Animation<'a> {
    /// Opens the animation that `found` was inspected as.
    pub(crate) fn open(bytes: &'a [u8], found: &Inspected, limits: &ImageLimits) -> Result<Self, MediaError> {
        let (kind, left) = (found.kind, found.frames);
        let limits = &limits.of(found);
        let wrong = |error: image::ImageError| bad(kind, &error);
        let at = |source, plays, profile: Option<Vec<u8>>| {
            let profile = profile.filter(|profile| color::fits(profile, false));
            Self { kind, source, left, plays, profile, meaning: Meaning::Plain }
        };
        decoding(kind, || match kind {
            Kind::Webp => {
                let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| damaged(kind, error))?;
                decoder.set_memory_limit(memory_bytes(limits));
                let plays = match decoder.loop_count() {
                    LoopCount::Forever => 0,
                    LoopCount::Times(times) => times.get(),
                };
                let profile = decoder.icc_profile().ok().flatten();
                Ok(at(Source::Webp(Box::new(decoder)), plays, profile))
            }
            Kind::Gif => {
                let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(wrong)?;
                decoder.set_limits(memory(limits)).map_err(wrong)?;
                Ok(at(Source::Frames(decoder.into_frames()), gif_plays(bytes), None))
            }
            _ => {
                let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), memory(limits)).map_err(wrong)?;
                // A colour is enough to learn the profile that all frames get.
                let meaning = found.meaning;
                let profile = match meaning {
                    Meaning::Plain if found.profile => decoder.icc_profile().ok().flatten(),
                    _ => meaning.settle(&mut DynamicImage::new_rgba8(1, 1)),
                };
                let frames = decoder.apng().map_err(wrong)?.into_frames();
                let plays = chunks::control(bytes).map_or(0, |control| control.plays);
                Ok(at(Source::Frames(frames), u16::try_from(plays).unwrap_or(u16::MAX), profile))
                    .map(|animation| Self { meaning, ..animation })
            }
        })
    }

    /// The next frame; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, MediaError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let (kind, source) = (self.kind, &mut self.source);
        decoding(kind, || match source {
            Source::Webp(decoder) => {
                let size = decoder.output_buffer_size().ok_or_else(|| damaged(kind, "it is too large"))?;
                let mut buffer = vec![0; size];
                let delay = decoder.read_frame(&mut buffer).map_err(|error| damaged(kind, error))?;
                let (width, height) = decoder.dimensions();
                let channels = if decoder.has_alpha() { 4 } else { 3 };
                let pixels = DynamicImage::ImageRgba8(pixels(width, height, buffer, channels)?.into_rgba8());
                Ok(Some(Frame { pixels, delay }))
            }
            Source::Frames(frames) => {
                let Some(frame) = frames.next() else {
                    return Err(damaged(kind, "it has fewer frames than its header says"));
                };
                let frame = frame.map_err(|error| bad(kind, &error))?;
                let (numerator, denominator) = frame.delay().numer_denom_ms();
                let delay = numerator.checked_div(denominator).unwrap_or(0);
                let mut pixels = DynamicImage::ImageRgba8(frame.into_buffer());
                self.meaning.settle(&mut pixels);
                Ok(Some(Frame { pixels, delay }))
            }
        })
    }
}

/// How often a GIF is played: its extension counts repetitions, so without it once. Source: the Netscape 2.0 extension.
fn gif_plays(bytes: &[u8]) -> u16 {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    let Ok(mut decoder) = options.read_info(Cursor::new(bytes)) else { return 0 };
    // The extension may come as late as before the first frame.
    let _ = decoder.next_frame_info();
    match decoder.repeat() {
        gif::Repeat::Infinite => 0,
        gif::Repeat::Finite(times) => times.saturating_add(1),
    }
}
