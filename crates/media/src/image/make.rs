//! One picture from its bytes to a file that was measured.

use std::path::Path;
use std::time::{Duration, Instant};

use image_webp::WebPDecoder;
use reelhook_domain::failure::{JobFailure, Stage};

use super::animation::{Animation, Frame};
use super::budget::{self, Claim};
use super::cut::Loss;
use super::decode::{self, Channels, Picture};
use super::encode::{self, Encoded, gif, png, webp};
use super::guard::{Deadline, damaged, encoding};
use super::header::{self, Inspected, header, memory_bytes};
use super::kind::{Kind, kind};
use super::level::{LOWEST, Settings, settings};
use super::meaning::{Hdr, Meaning};
use super::seen::{self, Drawn, Sketch};
use super::strip::strip;
use super::{ImageFormat, ImageLimits, Made, Origin, Wish, chunks, cut, fit, jpeg};
use crate::error::MediaError;
use crate::plain;
use crate::plan::Damage;
use crate::step::StreamPlan;
use crate::verify::Check;

/// Makes the picture that is wished for from the one at `input`, measures it and writes it to `output`. Blocks.
///
/// # Errors
/// What [`inspect`](super::inspect) refuses; [`MediaError::Failed`] with `input_damaged`, with `target_too_small` where
/// no quality fits `max_bytes`, with `size_not_supported` where the format cannot hold the size, with `timed_out`.
/// Nothing is written then.
pub fn make(
    input: &Path,
    wish: &Wish,
    output: &Path,
    limits: &ImageLimits,
    claim: Claim<'_>,
) -> Result<Made, MediaError> {
    let bytes = header::read(input, limits)?;
    let source_bytes = bytes.len() as u64;
    budget::claim(&cut::expected(&bytes, limits)?, limits, claim)?;
    let deadline = Deadline { began: Instant::now(), time: limits.time };
    let began = Instant::now();
    let found = cut::look(&bytes, limits)?;
    if let (Some(loss), Damage::Strict) = (&found.loss, wish.damage) {
        let kind = kind(&bytes)?;
        return Err(damaged(kind, format!("its end is missing: {}", loss.words)));
    }
    let looked = began.elapsed();
    let mut work = Work::begin(&found.bytes, *wish, limits, deadline)?;
    (work.there, work.loss, work.decoding) = (found.pixels, found.loss, looked);
    let (made, bytes) = work.make()?;
    deadline.check()?;
    plain::write(output, bytes)?;
    let input_bytes = wish.origin.map_or(source_bytes, |origin| origin.size_bytes);
    Ok(Made { input_bytes, wall: deadline.began.elapsed(), ..made })
}

/// Gives pixels back beside the work: to the system, that is, which takes as long as all else that is left to do.
fn release(pixels: Option<Picture>) {
    // Where there is no thread to be had they are given back here.
    drop(std::thread::Builder::new().name("pixels".into()).spawn(move || drop(pixels)));
}

/// The lowest quality that is taken over from a source. Other encoders' tables look worse than they are, so that a picture
/// made again and again would end in grey.
const LEAST_QUALITY: f32 = 30.0;

/// One picture at work.
struct Work<'a> {
    bytes: &'a [u8],
    wish: Wish,
    limits: &'a ImageLimits,
    deadline: Deadline,
    found: Inspected,
    format: ImageFormat,
    size: (u32, u32),
    settings: Settings,
    /// Frames of the animation that was made last that differ from the one before: no other may be joined to it.
    distinct: u32,
    /// The pixels of a still whose end is missing, which cannot be read from its bytes.
    there: Option<Picture>,
    /// What the source shows, once it was decoded.
    sketch: Option<Sketch>,
    loss: Option<Loss>,
    decoding: Duration,
    encoding: Duration,
}

impl<'a> Work<'a> {
    fn begin(bytes: &'a [u8], wish: Wish, limits: &'a ImageLimits, deadline: Deadline) -> Result<Self, MediaError> {
        let found = header(bytes, limits)?;
        let format = wish.format.or_else(|| own_format(&found, wish.origin)).unwrap_or(ImageFormat::Png);
        let size = wish.fit.map_or((found.width, found.height), |fit| fit.size(found.width, found.height));
        let most = format.longest_side();
        if size.0.max(size.1) > most {
            let message =
                format!("{} holds at most {most} pixels a side; this is {} x {}", format.extension(), size.0, size.1);
            return Err(MediaError::Failed(JobFailure::request(Stage::Planning, "size_not_supported", message)));
        }
        let mut settings = settings(wish.level);
        match found.kind {
            Kind::Jpeg => {
                let markers = jpeg::markers(bytes);
                settings.keep_chroma &= markers.full_chroma || markers.is_rgb;
                // More than the source had would only be bytes.
                settings.jpeg_quality =
                    settings.jpeg_quality.min(markers.quality.unwrap_or(100.0).round().max(LEAST_QUALITY));
            }
            Kind::Webp => settings.webp_lossless = is_lossless(bytes),
            Kind::Png | Kind::Gif | Kind::Bmp | Kind::Tiff | Kind::Ico | Kind::Avif => {}
        }
        settings.keep_chroma &= found.kind == Kind::Jpeg;
        let (decoding, encoding) = (Duration::ZERO, Duration::ZERO);
        let (distinct, there, sketch, loss) = (1, None, None, None);
        Ok(Self {
            bytes,
            wish,
            limits,
            deadline,
            found,
            format,
            size,
            settings,
            distinct,
            there,
            sketch,
            loss,
            decoding,
            encoding,
        })
    }

    fn make(mut self) -> Result<(Made, Vec<u8>), MediaError> {
        let mut source = None;
        let mut best = self.attempt(&mut source, 0)?;
        let bare = self.may_keep().then(|| strip(self.bytes, &self.found)).flatten();
        let bare = bare.filter(|bare| best.bytes.len() >= bare.len());
        let mut kept = bare.is_some();
        if let Some(bare) = bare {
            best.bytes = bare;
        }
        if let Some(most) = self.wish.max_bytes.filter(|&most| best.bytes.len() as u64 > most) {
            best = self.search(&mut source, most)?;
            kept = false;
        }
        release(source);
        let plan = vec![self.told(&best, kept)];
        let result = header(&best.bytes, self.limits).map_err(broken)?;
        let mut checks = self.checks(&result, &best.bytes);
        if self.limits.compare && !kept {
            checks.push(self.seen(&result, &best.bytes)?);
        }
        if let Some(Check { name, expected, measured, .. }) = checks.iter().find(|check| !check.passed) {
            let message = format!("the output's {name} is {measured}; it should be {expected}");
            return Err(MediaError::Failed(JobFailure::server(Stage::Verifying, "output_invalid", message)));
        }
        let made = Made {
            format: self.format,
            info: result.info(),
            kept,
            input_bytes: self.input_bytes(),
            output_bytes: best.bytes.len() as u64,
            lost: self.lost(),
            missing: self.loss.as_ref().map(|loss| loss.share),
            plan,
            checks,
            decoding: self.decoding,
            encoding: self.encoding,
            wall: Duration::ZERO,
        };
        Ok((made, best.bytes))
    }

    fn resized(&self) -> bool {
        self.size != (self.found.width, self.found.height)
    }

    /// Whether the input itself would do.
    fn may_keep(&self) -> bool {
        let may = self.wish.origin.is_none() && self.there.is_none();
        may && self.found.format() == Some(self.format) && !self.resized()
    }

    fn is_animated(&self) -> bool {
        self.found.is_reel() && (self.format.is_animated() || self.repacks())
    }

    /// Whether the input is a PNG whose pixels stay: it is packed again as it is, its frames too.
    fn repacks(&self) -> bool {
        self.found.kind == Kind::Png && self.may_keep() && self.found.orientation == 1
    }

    /// The result at a step below the level; `source` keeps the pixels for the next try.
    fn attempt(&mut self, source: &mut Option<Picture>, step: u32) -> Result<Encoded, MediaError> {
        let settings = self.settings.lowered(step);
        if self.is_animated() && !self.repacks() {
            return self.animate(&settings);
        }
        self.deadline.check()?;
        let is_reel = self.found.is_reel();
        // An exact PNG needs no pixels; one with a palette does, but is always a still.
        if self.repacks() && (is_reel || settings.png_palette_floor.is_none()) {
            return self.repack(&settings);
        }
        let picture = match source {
            Some(picture) => picture,
            None => source.insert(self.picture()?),
        };
        let began = Instant::now();
        let made = if self.repacks() {
            let reduced = encoding(|| png::reduced(picture, &settings, self.deadline))?;
            self.encoding += began.elapsed();
            let exact = self.repack(&if reduced.is_some() {
                Settings { png_preset: settings.png_preset.min(2), ..settings }
            } else {
                settings
            })?;
            return Ok(match reduced.filter(|reduced| reduced.bytes.len() < exact.bytes.len()) {
                Some(reduced) => reduced,
                None => exact,
            });
        } else {
            encode::still(picture, self.format, &settings, self.limits.threads, self.deadline)
        };
        self.encoding += began.elapsed();
        made
    }

    fn repack(&mut self, settings: &Settings) -> Result<Encoded, MediaError> {
        let began = Instant::now();
        let most = memory_bytes(&self.limits.of(&self.found));
        let made = encoding(|| png::repack(self.bytes, settings, most, self.deadline));
        self.encoding += began.elapsed();
        made
    }

    /// The pixels as the encoder gets them.
    fn picture(&mut self) -> Result<Picture, MediaError> {
        let began = Instant::now();
        let channels = if self.format == ImageFormat::Jpeg { Channels::Ycc } else { Channels::Plain };
        let decoded = match &self.there {
            Some(there) => Ok(there.clone()),
            None => decode::decode(self.bytes, &self.found, channels, self.limits),
        };
        self.decoding += began.elapsed();
        let mut picture = decoded?;
        self.deadline.check()?;
        let began = Instant::now();
        if self.limits.compare && self.sketch.is_none() {
            self.sketch = Some(Sketch::of(&picture, self.drawn()));
        }
        picture.pixels = fit::resize(picture.pixels, self.size)?;
        let picture = encode::prepare(picture, self.format);
        self.encoding += began.elapsed();
        Ok(picture)
    }

    fn animate(&mut self, settings: &Settings) -> Result<Encoded, MediaError> {
        let mut animation = Animation::open(self.bytes, &self.found, self.limits)?;
        let (plays, profile) = (animation.plays, animation.profile.take());
        // The frames of a profile that GIF cannot hold are converted one by one.
        let (written, applied) = match self.format {
            ImageFormat::Webp => (profile, None),
            _ => (None, profile),
        };
        let mut reel = match self.format {
            ImageFormat::Webp => Reel::Webp(webp::Reel::new(self.size, plays, written.as_deref(), settings)),
            _ => Reel::Gif(Box::new(gif::Reel::new(self.size, plays, settings)?)),
        };
        let mut before = None;
        self.distinct = 0;
        loop {
            self.deadline.check()?;
            let began = Instant::now();
            let next = animation.next();
            self.decoding += began.elapsed();
            let Some(Frame { pixels, delay }) = next? else { break };
            if (pixels.width(), pixels.height()) != (self.found.width, self.found.height) {
                return Err(damaged(self.found.kind, "a frame does not have the size in its header"));
            }
            let began = Instant::now();
            if self.limits.compare && self.sketch.is_none() {
                let profile = written.as_deref().or(applied.as_deref());
                self.sketch = Some(Sketch::of_frame(&pixels, profile, self.drawn()));
            }
            let mut pixels = fit::resize(pixels, self.size)?;
            if let Some(profile) = &applied {
                super::color::to_srgb(&mut pixels, profile);
            }
            if before.as_ref() != Some(&pixels) {
                self.distinct += 1;
                before = Some(pixels.clone());
            }
            encoding(|| reel.add(Frame { pixels, delay }))?;
            self.encoding += began.elapsed();
        }
        let began = Instant::now();
        let bytes = encoding(|| reel.finish())?;
        self.encoding += began.elapsed();
        let how = match self.format {
            ImageFormat::Webp if settings.webp_lossless => format!("near-lossless {}", settings.webp_near_lossless),
            ImageFormat::Webp => format!("quality {:.0}", settings.webp_quality),
            _ => gif::how(settings),
        };
        Ok(Encoded::new(bytes, format!("{} frames, {how}", self.found.frames)))
    }

    /// The best quality that fits into `most` bytes.
    fn search(&mut self, source: &mut Option<Picture>, most: u64) -> Result<Encoded, MediaError> {
        let fits = |made: &Encoded| made.bytes.len() as u64 <= most;
        let mut best = self.attempt(source, LOWEST)?;
        if !fits(&best) {
            let least = best.bytes.len();
            let message = format!(
                "the smallest result for this image as {} of {} x {} is {least} bytes; the requested limit is {most}",
                self.format.extension(),
                self.size.0,
                self.size.1,
            );
            return Err(MediaError::Failed(JobFailure::request(Stage::Encoding, "target_too_small", message)));
        }
        // `good` fits, `bad` does not.
        let (mut good, mut bad) = (LOWEST, 0);
        while good - bad > 1 && !self.deadline.is_late() {
            let middle = u32::midpoint(good, bad);
            let made = self.attempt(source, middle)?;
            if fits(&made) {
                (best, good) = (made, middle);
            } else {
                bad = middle;
            }
        }
        Ok(Encoded { how: format!("{}, to stay within {most} bytes", best.how), ..best })
    }

    /// How large the input is, or what it is a copy of.
    fn input_bytes(&self) -> u64 {
        self.wish.origin.map_or(self.bytes.len() as u64, |origin| origin.size_bytes)
    }

    fn told(&self, made: &Encoded, kept: bool) -> StreamPlan {
        let from = self.input_bytes();
        if kept {
            let without = if made.bytes.len() as u64 == from { "" } else { ", without its metadata" };
            let reason = format!(
                "the result ({}) was not smaller than the source ({from} bytes); the source is kept as it is{without}",
                made.how
            );
            return StreamPlan::new("image", "keep", reason);
        }
        let (format, to) = (self.format.extension(), made.bytes.len());
        let mut words = vec![match self.wish.origin.map_or(self.found.kind.word(), |origin| origin.format.word()) {
            same if same == format => format!("{format}: {}", made.how),
            other => format!("{other} to {format}: {}", made.how),
        }];
        if self.resized() {
            let (found, size) = (&self.found, self.size);
            words.push(format!("{} x {} fitted to {} x {}", found.width, found.height, size.0, size.1));
        }
        if self.found.orientation != 1 {
            words.push("turned upright".to_owned());
        }
        if self.found.profile && matches!(self.format, ImageFormat::Avif | ImageFormat::Gif) {
            words.push("colours converted to sRGB".to_owned());
        }
        if self.is_animated() && self.repacks() {
            words.push(format!("all {} frames", self.found.frames));
        }
        let carries_profile = !matches!(self.format, ImageFormat::Avif | ImageFormat::Gif);
        if !made.repacked
            && let Some(told) = self.meaning_told(carries_profile)
        {
            words.push(told);
        }
        words.extend(self.lost());
        words.extend(self.loss.as_ref().map(|loss| format!("the source is damaged; {} missing", loss.words)));
        words.push(format!("{from} to {to} bytes"));
        StreamPlan::new("image", "encode", words.join("; "))
    }

    fn checks(&self, result: &Inspected, bytes: &[u8]) -> Vec<Check> {
        let word = |found: &Inspected| found.kind.word();
        let size = |(width, height): (u32, u32)| format!("{width} x {height}");
        let format = self.format.extension();
        let shown = (result.width, result.height);
        let whole = is_whole(self.format, bytes);
        let mut checks = vec![
            Check::new("format", word(result) == format, format, word(result)),
            Check::new("video", shown == self.size, size(self.size), size(shown)),
            Check::new("size", whole, "whole", if whole { "whole" } else { "cut short" }),
        ];
        checks.push(self.frames(result, bytes));
        if let Some(most) = self.wish.max_bytes {
            let length = bytes.len() as u64;
            checks.push(Check::new("max_bytes", length <= most, format!("at most {most}"), length.to_string()));
        }
        checks
    }
}

impl Work<'_> {
    /// What of the source is not in the result.
    fn lost(&self) -> Option<String> {
        let all = self.found.frames;
        let many = all > 1 && !self.is_animated();
        many.then(|| match self.found.kind {
            Kind::Tiff => format!("the first of {all} pages"),
            Kind::Ico => format!("the largest of {all} pictures"),
            _ => format!("the first of {all} frames"),
        })
    }

    /// How the source is drawn to be compared.
    fn drawn(&self) -> Drawn {
        let size = (self.found.width, self.found.height);
        Drawn { size, solid: self.format == ImageFormat::Gif, side: seen::canvas(self.size) }
    }

    /// Compares what the result shows with what its source does.
    fn seen(&mut self, result: &Inspected, bytes: &[u8]) -> Result<Check, MediaError> {
        let began = Instant::now();
        let drawn = self.drawn();
        let source = match self.sketch.take() {
            Some(sketch) => sketch,
            None => seen::of_source(self.bytes, &self.found, self.limits, drawn)?,
        };
        let shown = Sketch::of_result(bytes, result, self.limits, drawn).map_err(broken)?;
        self.decoding += began.elapsed();
        let (distance, most) =
            (source.distance(&shown), seen::bound(self.format, self.size, self.wish.max_bytes.is_some()));
        let near = if distance > most / 2.0 { ", more than half of the bound" } else { "" };
        let expected = format!("at most {most:.1} of 255 from the source");
        Ok(Check::new("seen", distance <= most, expected, format!("{distance:.2}{near}")))
    }

    /// What became of colours that are named by numbers.
    fn meaning_told(&self, carries_profile: bool) -> Option<String> {
        match self.found.meaning {
            Meaning::Hdr(Hdr { tags: Some(_), .. }) if self.format == ImageFormat::Png => {
                Some("high dynamic range kept".to_owned())
            }
            meaning => meaning.told(carries_profile),
        }
    }

    /// A PNG that is packed again has the very frames of its source; of others, only frames that show the same are joined.
    fn frames(&self, result: &Inspected, bytes: &[u8]) -> Check {
        let (least, most) = match (self.is_animated(), self.repacks()) {
            (false, _) => (1, 1),
            (true, true) => (self.found.frames, self.found.frames),
            (true, false) => (self.distinct, self.found.frames),
        };
        // The header of a PNG may count frames that are not there.
        let there = |bytes: &[u8]| u32::try_from(chunks::delays(bytes).count()).unwrap_or(u32::MAX);
        let lost = self.repacks() && there(bytes) != there(self.bytes);
        let frames = if lost { there(bytes) } else { result.frames };
        let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
        Check::new("frames", !lost && (least..=most).contains(&frames), expected, frames.to_string())
    }
}

enum Reel {
    Gif(Box<gif::Reel>),
    Webp(webp::Reel),
}

impl Reel {
    fn add(&mut self, frame: Frame) -> Result<(), MediaError> {
        match self {
            Self::Gif(reel) => reel.add(frame),
            Self::Webp(reel) => reel.add(frame),
        }
    }

    fn finish(self) -> Result<Vec<u8>, MediaError> {
        match self {
            Self::Gif(reel) => reel.finish(),
            Self::Webp(reel) => Ok(reel.finish()),
        }
    }
}

/// The format that the result has where none was asked for: the input's own; for a photo in a format that is not written
/// here, what photos are sent as.
fn own_format(found: &Inspected, origin: Option<Origin>) -> Option<ImageFormat> {
    match origin {
        None => found.format(),
        Some(_) if found.alpha => Some(ImageFormat::Png),
        Some(_) => Some(ImageFormat::Jpeg),
    }
}

fn is_lossless(bytes: &[u8]) -> bool {
    WebPDecoder::new(std::io::Cursor::new(bytes)).is_ok_and(|mut decoder| !decoder.is_lossy())
}

/// Whether the file has its end.
pub(super) fn is_whole(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => bytes.ends_with(&[0xFF, 0xD9]),
        ImageFormat::Png => bytes.ends_with(b"IEND\xAE\x42\x60\x82"),
        ImageFormat::Gif => bytes.ends_with(&[0x3B]),
        ImageFormat::Webp => bytes
            .get(4..8)
            .is_some_and(|size| u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize + 8 == bytes.len()),
        // Its header was read with all that it points to.
        ImageFormat::Avif => true,
    }
}

pub(super) fn broken(error: MediaError) -> MediaError {
    match error {
        MediaError::Rejected(failure) | MediaError::Failed(failure) => {
            let message = format!("the output is not usable: {}", failure.message);
            MediaError::Failed(JobFailure::server(Stage::Verifying, "output_invalid", message))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of an animation, or its control, taken out of the result.
    #[test]
    fn a_result_without_its_animation_does_not_pass() {
        let bytes = std::fs::read(reelhook_testkit::field("ff.png")).unwrap();
        let limits = ImageLimits::default();
        let deadline = Deadline { began: Instant::now(), time: limits.time };
        let work = Work::begin(&bytes, Wish::default(), &limits, deadline).unwrap();
        let without = |name: &[u8]| {
            let chunk = |found: &[u8], content: &[u8]| {
                [&(content.len() as u32).to_be_bytes(), found, content, &[0; 4]].concat()
            };
            let kept = chunks::chunks(&bytes).filter(|(found, _)| *found != name);
            kept.fold(bytes[..8].to_vec(), |made, (found, content)| [made, chunk(found, content)].concat())
        };
        let passed = |result: &[u8], frames: u32| {
            let result_header = Inspected { frames, ..header(&bytes, &limits).unwrap() };
            work.frames(&result_header, result).passed
        };
        assert!(passed(&bytes, 10));
        assert!(!passed(&without(b"acTL"), 1), "a result that stands still passed");
        assert!(!passed(&without(b"fcTL"), 10), "a result without the frames that it counts passed");
    }
}
