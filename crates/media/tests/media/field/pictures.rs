//! Still pictures and animations, through every recipe that takes one.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::{AnimationDecoder as _, DynamicImage, GenericImageView as _};
use reelhook_domain::recipe::Level;
use reelhook_media::MediaError;
use reelhook_media::image::{Fit, ImageFormat, ImageLimits, Made, Wish, make};
use reelhook_testkit::{field, verdict};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A folder to work in.
struct Room {
    folder: TempDir,
    limits: ImageLimits,
}

impl Room {
    fn new() -> Self {
        let limits = ImageLimits { threads: 1, ..ImageLimits::default() };
        Self { folder: TempDir::new().unwrap(), limits }
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("in");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn make(&self, input: &Path, wish: Wish) -> Result<(Made, Vec<u8>), MediaError> {
        let output = self.folder.path().join("out");
        let made = make(input, &wish, &output, &self.limits, &CancellationToken::new())?;
        Ok((made, std::fs::read(output).unwrap()))
    }
}

fn to(format: ImageFormat) -> Wish {
    Wish { format: Some(format), ..Wish::default() }
}

fn medium(format: ImageFormat) -> Wish {
    Wish { level: Level::Medium, ..to(format) }
}

/// What a plan says.
fn said(made: &Made) -> String {
    made.plan.iter().map(|line| format!("{} {}: {}", line.stream, line.action, line.reason)).collect::<Vec<_>>().join("; ")
}

fn failure(error: &MediaError) -> String {
    let failure = error.failure().expect("a failure of the input");
    format!("{}: {}", failure.code, failure.message)
}

/// How often an animation is played (0 is for ever), and how long each of its frames is shown.
fn played(bytes: &[u8]) -> (u32, Vec<u32>) {
    let delays = |frames: image::Frames<'_>| {
        let delay = |frame: image::Frame| frame.delay().numer_denom_ms().0 / frame.delay().numer_denom_ms().1;
        frames.map(|frame| delay(frame.unwrap())).collect()
    };
    if bytes.starts_with(b"GIF8") {
        let mut options = gif::DecodeOptions::new();
        options.skip_frame_decoding(true);
        let mut decoder = options.read_info(Cursor::new(bytes)).unwrap();
        let _ = decoder.next_frame_info();
        let plays = match decoder.repeat() {
            gif::Repeat::Infinite => 0,
            gif::Repeat::Finite(again) => u32::from(again) + 1,
        };
        return (plays, delays(GifDecoder::new(Cursor::new(bytes)).unwrap().into_frames()));
    }
    if bytes.starts_with(b"RIFF") {
        let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).unwrap();
        let plays = match decoder.loop_count() {
            image_webp::LoopCount::Forever => 0,
            image_webp::LoopCount::Times(times) => u32::from(times.get()),
        };
        let mut buffer = vec![0; decoder.output_buffer_size().unwrap()];
        let frames = decoder.num_frames();
        return (plays, (0..frames).map(|_| decoder.read_frame(&mut buffer).unwrap()).collect());
    }
    let at = bytes.windows(4).position(|name| name == b"acTL").expect("an animated PNG");
    let plays = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
    (plays, delays(PngDecoder::new(Cursor::new(bytes)).unwrap().apng().unwrap().into_frames()))
}

/// The sum of a chunk of a PNG.
fn crc(bytes: &[u8]) -> u32 {
    let shifted = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), shifted))
}

fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let named = [name, content].concat();
    [&(content.len() as u32).to_be_bytes(), &named[..], &crc(&named).to_be_bytes()].concat()
}

/// The PNG with more chunks behind its header.
fn with_chunks(png: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&png[..33], &chunks.concat(), &png[33..]].concat()
}

fn encoded(pixels: &DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The animated PNG with another number of plays.
fn with_plays(png: &[u8], plays: u32) -> Vec<u8> {
    let at = png.windows(4).position(|name| name == b"acTL").unwrap();
    let frames = &png[at + 4..at + 8];
    let control = chunk(b"acTL", &[frames, &plays.to_be_bytes()].concat());
    [&png[..at - 4], &control, &png[at + 16..]].concat()
}

/// The animated PNG with its first frame shown only where nothing plays: no frame control before the picture.
fn with_hidden_first(png: &[u8], frames: u32) -> Vec<u8> {
    let at = png.windows(4).position(|name| name == b"acTL").unwrap();
    let plays = &png[at + 8..at + 12];
    let control = chunk(b"acTL", &[&(frames - 1).to_be_bytes(), plays].concat());
    let first = png.windows(4).position(|name| name == b"fcTL").unwrap();
    let mut made = [&png[..at - 4], &control, &png[at + 16..first - 4]].concat();
    // What numbers the chunks of the animation counts from 0 again.
    let mut rest = &png[first + 34..];
    let mut number = 0_u32;
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (name, content) = (&rest[4..8], &rest[8..8 + length]);
        if name == b"fcTL" || name == b"fdAT" {
            made.extend(chunk(name, &[&number.to_be_bytes(), &content[4..]].concat()));
            number += 1;
        } else {
            made.extend_from_slice(&rest[..length + 12]);
        }
        rest = &rest[length + 12..];
    }
    made
}

#[test]
fn an_animated_png_that_stays_one_keeps_its_frames_and_its_plays() {
    let room = Room::new();
    let read = |name: &str| std::fs::read(field(name)).unwrap();
    let cases = [
        ("ff.png", read("ff.png")),
        ("anim.png", read("anim.png")),
        ("anim.png for ever", with_plays(&read("anim.png"), 0)),
        ("ff.png with a first picture that is not played", with_hidden_first(&read("ff.png"), 10)),
    ];
    for (name, bytes) in cases {
        let expected = played(&bytes);
        for level in [Level::Medium, Level::High, Level::Ultra] {
            let (made, output) = room.make(&room.write(&bytes), Wish { level, ..Wish::default() }).unwrap();
            let frames = expected.1.len();
            assert_eq!(made.info.video.as_ref().unwrap().frames, Some(frames as u64));
            assert!(made.kept || said(&made).contains(&format!("all {frames} frames")), "{}", said(&made));
            let measured = if output.windows(4).any(|name| name == b"acTL") { played(&output) } else { (0, Vec::new()) };
            verdict(
                "M2 animated PNG kept as PNG",
                format!("{name}, {level:?}"),
                format!("{frames} frames, {} plays", expected.0),
                format!("{} frames, {} plays", measured.1.len(), measured.0),
                expected == measured,
            );
        }
    }
}

#[test]
fn an_animated_png_becomes_an_animation_that_is_played_as_often() {
    let room = Room::new();
    let bytes = std::fs::read(field("anim.png")).unwrap();
    for (plays, expected) in [(0, 0), (1, 1), (2, 2), (70_000, 65_535)] {
        for format in [ImageFormat::Gif, ImageFormat::Webp] {
            let (_, output) = room.make(&room.write(&with_plays(&bytes, plays)), to(format)).unwrap();
            let measured = played(&output);
            verdict(
                "M2 animated PNG to GIF and WebP",
                format!("{plays} plays to {}", format.extension()),
                format!("5 frames, {expected} plays"),
                format!("{} frames, {} plays", measured.1.len(), measured.0),
                measured == (expected, played(&bytes).1),
            );
        }
    }
}
