//! Thumbnails of pictures, read again and compared with the picture as it is shown.

use std::path::PathBuf;

use image::{DynamicImage, ImageFormat as Other};
use reelhook_domain::recipe::{Format, Size};
use reelhook_testkit::{field, verdict};
use tempfile::TempDir;

use super::super::samples::*;
use super::super::{Wish, make, unclaimed};
use super::*;

const FORMATS: [Format; 3] = [Format::Jpg, Format::Png, Format::Webp];

struct Room {
    folder: TempDir,
    limits: ImageLimits,
}

impl Room {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), limits: ImageLimits { threads: 1, ..ImageLimits::default() } }
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("in");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn make(&self, bytes: &[u8], wish: &Thumbnail) -> Result<(Made, Vec<u8>), MediaError> {
        let (input, output) = (self.write(bytes), self.folder.path().join("out"));
        let made = thumbnail(&input, wish, None, &output, &self.limits, &unclaimed)?;
        Ok((made, std::fs::read(output).unwrap()))
    }

    /// The picture as it is shown, and its profile.
    fn shown(&self, bytes: &[u8]) -> Picture {
        let found = header(bytes, &self.limits).unwrap();
        decode::decode(bytes, &found, Channels::Plain, &self.limits).unwrap()
    }
}

fn wish(format: Format) -> Thumbnail {
    Thumbnail { at_seconds: 0.0, format, size: Size::default() }
}

fn at(at_seconds: f64) -> Thumbnail {
    Thumbnail { at_seconds, ..wish(Format::Png) }
}

/// The file with another orientation in its Exif block, wherever that is.
fn turned(bytes: &[u8], orientation: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let big = bytes.windows(10).position(|at| at[..8] == [1, 0x12, 0, 3, 0, 0, 0, 1]);
    let little = bytes.windows(10).position(|at| at[..8] == [0x12, 1, 3, 0, 1, 0, 0, 0]);
    match (big, little) {
        (Some(at), _) => bytes[at + 9] = orientation,
        (None, Some(at)) => bytes[at + 8] = orientation,
        (None, None) => panic!("no orientation"),
    }
    if bytes.starts_with(b"\x89PNG") {
        let at = bytes.windows(4).position(|name| name == b"eXIf").unwrap();
        let length = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[at..at + 4 + length]);
        bytes[at + 4 + length..at + 8 + length].copy_from_slice(&crc.sum().to_be_bytes());
    }
    bytes
}

#[test]
fn a_photo_is_upright_whatever_its_orientation_and_its_format() {
    let room = Room::new();
    for name in ["or6.jpg", "or6.png", "or6.webp"] {
        let original = std::fs::read(field(name)).unwrap();
        for orientation in 1..=8 {
            let bytes = turned(&original, orientation);
            let shown = room.shown(&bytes).pixels;
            let (width, height) = if orientation >= 5 { (320, 240) } else { (240, 320) };
            assert_eq!((shown.width(), shown.height()), (width, height), "{name} {orientation}");
            for format in FORMATS {
                let (made, output) = room.make(&bytes, &wish(format)).unwrap();
                let result = room.shown(&output).pixels;
                let close = psnr(&shown, &result);
                let size = format!("{} x {}", result.width(), result.height());
                verdict(
                    "M1 thumbnail of a photo that is stored turned",
                    format!("{name} with orientation {orientation} to {format}"),
                    format!("{width} x {height}, over 28 dB to the upright picture"),
                    format!("{size}, {close:.1} dB"),
                    size == format!("{width} x {height}") && close > 28.0,
                );
                assert_eq!(made.plan[0].reason.contains("turned upright"), orientation != 1);
                let small = Thumbnail { size: Size { width: Some(100), ..Size::default() }, ..wish(format) };
                let (_, output) = room.make(&bytes, &small).unwrap();
                let result = room.shown(&output).pixels;
                assert_eq!((result.width(), result.height()), (100, if orientation >= 5 { 75 } else { 133 }));
                let small = super::fit::resize(shown.clone(), (result.width(), result.height())).unwrap();
                assert!(psnr(&small, &result) > 28.0, "{name} {orientation} {format}");
            }
        }
    }
}

#[test]
fn every_kind_of_picture_has_a_thumbnail_and_what_is_transparent_stays_so() {
    let room = Room::new();
    let photo = photo(96, 72);
    let plain = DynamicImage::ImageRgb8(photo.clone());
    let read = |name: &str| std::fs::read(field(name)).unwrap();
    let inputs = [
        ("MG14 thumbnail of AVIF", "avif", own(plain.clone(), ImageFormat::Avif, None)),
        ("MG14 thumbnail of an icon", "ico", other(&DynamicImage::ImageRgba8(plain.to_rgba8()), Other::Ico)),
        ("MG14 thumbnail of animated WebP", "webp", animated_webp(&walk(64, 5, true), 0, None)),
        ("M24 thumbnail of TIFF", "t_deflate.tif", read("t_deflate.tif")),
        ("M24 thumbnail of TIFF", "tiff", other(&plain, Other::Tiff)),
        ("thumbnail of a picture", "bmp", other(&plain, Other::Bmp)),
        ("thumbnail of a picture", "gif", animated_gif(&walk(64, 5, false), 0)),
        ("thumbnail of a picture", "16 bit png", png(&DynamicImage::ImageRgb16(plain.to_rgb16()))),
        ("thumbnail of a picture", "grey jpg", camera_grey(&photo)),
    ];
    for (kind, source, bytes) in inputs {
        let shown = room.shown(&bytes).pixels;
        for format in FORMATS {
            let (_, output) = room.make(&bytes, &wish(format)).unwrap_or_else(|error| panic!("{source}: {error}"));
            let result = room.shown(&output).pixels;
            // What is transparent is white in a JPEG, and black to this measure.
            let close = if format == Format::Jpg && shown.color().has_alpha() { 99.0 } else { psnr(&shown, &result) };
            verdict(kind, format!("{source} to {format}"), "over 26 dB", format!("{close:.1} dB"), close > 26.0);
        }
    }
    let bytes = png(&DynamicImage::ImageRgba8(drawing(64, 48)));
    for format in [Format::Png, Format::Webp] {
        let (_, output) = room.make(&bytes, &wish(format)).unwrap();
        assert_eq!(room.shown(&output).pixels.to_rgba8().get_pixel(0, 0).0[3], 0, "{format}");
    }
    let (made, output) = room.make(&bytes, &wish(Format::Jpg)).unwrap();
    assert!(room.shown(&output).pixels.to_rgb8().get_pixel(0, 0).0.iter().all(|&channel| channel > 245));
    assert!(made.plan[0].reason.contains("transparent pixels become white"), "{:?}", made.plan);
}

fn camera_grey(photo: &image::RgbImage) -> Vec<u8> {
    let grey = DynamicImage::ImageRgb8(photo.clone()).to_luma8();
    jpeg(grey.as_raw(), grey.dimensions(), mozjpeg::ColorSpace::JCS_GRAYSCALE, 95.0, false)
}

#[test]
fn the_profile_of_a_photo_is_kept_in_every_format() {
    let room = Room::new();
    let plain = DynamicImage::ImageRgb8(photo(96, 72));
    for source in [ImageFormat::Png, ImageFormat::Webp, ImageFormat::Jpeg] {
        let bytes = own(plain.clone(), source, Some(wide_profile()));
        for format in FORMATS {
            let (_, output) = room.make(&bytes, &wish(format)).unwrap();
            let kept = room.shown(&output).profile == Some(wide_profile());
            let told = if kept { "kept" } else { "lost" };
            let input = format!("{} with Display P3 to {format}", source.extension());
            verdict("M29 thumbnail of a photo with a profile", input, "kept", told, kept);
        }
    }
}

#[test]
fn an_animation_shows_the_frame_of_that_second() {
    let room = Room::new();
    let frames = walk(64, 6, false);
    // 70, 80, 90, 100, 110, 120 milliseconds: they begin at 0, 70, 150, 240, 340, 450, and 570 is the end.
    let begins = [0.0, 0.07, 0.15, 0.24, 0.34, 0.45];
    let webp = animated_webp(&frames, 0, None);
    let apng = {
        let (input, output) = (room.write(&webp), room.folder.path().join("a.png"));
        super::super::stand_in(&input, &output, &room.limits, &unclaimed).unwrap();
        std::fs::read(output).unwrap()
    };
    for (kind, bytes) in [("gif", animated_gif(&frames, 0)), ("webp", webp), ("apng", apng)] {
        for (number, frame) in frames.iter().enumerate() {
            for second in [begins[number], begins[number] + 0.06] {
                let (made, output) = room.make(&bytes, &at(second)).unwrap();
                let close = psnr(&frame.pixels, &room.shown(&output).pixels);
                assert!(close > 40.0, "{kind} at {second}: {close:.1} dB to frame {number}");
                // The last frame of one that stands in for another comes in pieces.
                let told = format!("{} of ", number + 1);
                let pieces = kind == "apng" && number == 5;
                assert!(pieces || made.plan[0].reason.contains(&told), "{told}: {:?}", made.plan);
            }
        }
        let last = |second| room.shown(&room.make(&bytes, &at(second)).unwrap().1).pixels;
        assert!(psnr(&last(0.57), &frames[5].pixels) > 40.0, "{kind}: the very end");
        let error = room.make(&bytes, &at(0.8)).unwrap_err();
        let failure = error.failure().unwrap();
        let said = "at_seconds is 0.8; the input is 0.570 seconds long";
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("beyond_end", said), "{kind}");
        let input = format!("{kind} of 6 uneven frames at 0.07, 0.45, 0.57 s");
        verdict("M1 thumbnail of an animation", input, "the frame shown then", "the frame shown then", true);
    }
    // A still is shown for as long as one likes.
    assert!(room.make(&png(&DynamicImage::ImageRgb8(photo(32, 32))), &at(5.0)).is_ok());
}

#[test]
fn more_frames_than_are_taken_elsewhere_do_not_matter() {
    let room = Room { limits: ImageLimits { frames: 2, ..ImageLimits::default() }, ..Room::new() };
    let bytes = animated_gif(&walk(64, 6, false), 0);
    assert!(
        make(&room.write(&bytes), &Wish::default(), &room.folder.path().join("o"), &room.limits, &unclaimed).is_err()
    );
    assert!(room.make(&bytes, &at(0.08)).is_ok());
}

#[test]
fn an_animation_that_is_stored_turned_is_shown_upright() {
    let room = Room::new();
    let frames = walk(64, 3, false);
    let still = animated_webp(&frames, 0, None);
    // A chunk at the end, and the flag for it in the header of the file.
    let exif = [&b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[6, 0, 0, 0, 0, 0, 0]].concat();
    let mut bytes = [&still[..], b"EXIF", &(exif.len() as u32).to_le_bytes(), &exif].concat();
    let size = (bytes.len() as u32 - 8).to_le_bytes();
    bytes[4..8].copy_from_slice(&size);
    bytes[20] |= 8;
    let (_, output) = room.make(&bytes, &at(0.07)).unwrap();
    let expected = frames[1].pixels.rotate90();
    let close = psnr(&expected, &room.shown(&output).pixels);
    verdict(
        "M1 thumbnail of an animation",
        "webp with orientation 6",
        "upright",
        format!("{close:.0} dB"),
        close > 40.0,
    );
}
