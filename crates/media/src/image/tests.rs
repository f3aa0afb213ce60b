//! Pictures end to end: made, written, read again, compared.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use image::{DynamicImage, GenericImageView as _, ImageFormat as Other, Rgba};
use mozjpeg::ColorSpace;
use tempfile::TempDir;

use super::animation::Animation;
use super::decode::{Channels, decode};
use super::header::header;
use super::samples::*;
use super::*;
use crate::error::MediaError;

const FORMATS: [ImageFormat; 5] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Webp, ImageFormat::Avif, ImageFormat::Gif];

/// A folder to work in.
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

    fn make(&self, bytes: &[u8], wish: Wish) -> Result<(Made, Vec<u8>), MediaError> {
        let (input, output) = (self.write(bytes), self.folder.path().join("out"));
        let made = make(&input, &wish, &output, &self.limits, &unclaimed)?;
        Ok((made, std::fs::read(output).unwrap()))
    }

    fn pixels(&self, bytes: &[u8]) -> DynamicImage {
        let found = header(bytes, &self.limits).unwrap();
        let decoded = decode(bytes, &found, Channels::Plain, &self.limits);
        decoded.unwrap_or_else(|error| panic!("{found:?}: {error}")).pixels
    }

    fn profile(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let found = header(bytes, &self.limits).unwrap();
        decode(bytes, &found, Channels::Plain, &self.limits).unwrap().profile
    }

    fn frames(&self, bytes: &[u8]) -> Vec<super::animation::Frame> {
        let found = header(bytes, &self.limits).unwrap();
        let mut animation = Animation::open(bytes, &found, &self.limits).unwrap();
        std::iter::from_fn(|| animation.next().unwrap()).collect()
    }
}

fn to(format: ImageFormat) -> Wish {
    Wish { format: Some(format), ..Wish::default() }
}

fn at(format: ImageFormat, level: Level) -> Wish {
    Wish { level, ..to(format) }
}

fn code(error: &MediaError) -> &str {
    &error.failure().expect("a failure").code
}

/// The same photograph in everything that we read.
fn inputs(size: u32) -> Vec<(&'static str, Vec<u8>)> {
    let photo = photo(size, size * 3 / 4);
    let plain = DynamicImage::ImageRgb8(photo.clone());
    vec![
        ("jpg", camera(&photo)),
        ("png", png(&plain)),
        ("webp", own(plain.clone(), ImageFormat::Webp, None)),
        ("avif", own(plain.clone(), ImageFormat::Avif, None)),
        ("gif", own(plain.clone(), ImageFormat::Gif, None)),
        ("bmp", other(&plain, Other::Bmp)),
        ("tiff", other(&plain, Other::Tiff)),
        ("ico", other(&DynamicImage::ImageRgba8(plain.to_rgba8()), Other::Ico)),
    ]
}

#[test]
fn every_kind_of_picture_becomes_every_format() {
    let room = Room::new();
    for (kind, bytes) in inputs(96) {
        let seen = inspect(&room.write(&bytes), &room.limits).unwrap();
        assert_eq!((seen.info().format.as_str(), seen.width, seen.height, seen.frames), (kind, 96, 72, 1));
        let source = room.pixels(&bytes);
        for format in FORMATS {
            let (made, output) = room.make(&bytes, to(format)).unwrap();
            assert_eq!(made.info.format, format.extension(), "{kind}");
            assert_eq!(made.output_bytes, output.len() as u64);
            let found = header(&output, &room.limits).unwrap_or_else(|error| panic!("{kind} {format:?}: {error}"));
            assert_eq!(found.format(), Some(format));
            let close = psnr(&source, &room.pixels(&output));
            assert!(close > 28.0, "{kind} to {}: {close:.1} dB", format.extension());
        }
        let (made, _) = room.make(&bytes, Wish::default()).unwrap();
        let expected = if FORMATS.iter().any(|format| format.extension() == kind) { kind } else { "png" };
        assert_eq!(made.info.format, expected);
    }
}

#[test]
fn each_level_is_smaller_than_the_one_before_and_stays_good() {
    let room = Room::new();
    let photo = DynamicImage::ImageRgb8(photo(320, 240));
    let small = DynamicImage::ImageRgb8(super::samples::photo(200, 150));
    let drawing = DynamicImage::ImageRgba8(drawing(400, 300));
    let cases = [
        (&photo, ImageFormat::Jpeg, [34.0, 32.0, 30.0]),
        (&photo, ImageFormat::Webp, [34.0, 32.0, 30.0]),
        (&small, ImageFormat::Avif, [34.0, 32.0, 30.0]),
        (&photo, ImageFormat::Gif, [30.0, 28.0, 25.0]),
        (&drawing, ImageFormat::Png, [80.0, 40.0, 34.0]),
        (&drawing, ImageFormat::Webp, [34.0, 32.0, 30.0]),
    ];
    for (source, format, floors) in cases {
        let bytes = png(source);
        let mut before = u64::MAX;
        for (level, floor) in [Level::Medium, Level::High, Level::Ultra].into_iter().zip(floors) {
            let (made, output) = room.make(&bytes, at(format, level)).unwrap();
            let close = psnr(source, &room.pixels(&output));
            println!("{} {level:?}: {} bytes, {close:.1} dB", format.extension(), made.output_bytes);
            assert!(close >= floor, "{} {level:?}: {close:.1} dB is below {floor}", format.extension());
            assert!(made.output_bytes <= before, "{} {level:?}", format.extension());
            before = made.output_bytes;
        }
        assert!(before < bytes.len() as u64);
    }
}

#[test]
fn medium_keeps_every_pixel_of_a_png_and_high_all_that_show() {
    let room = Room::new();
    let mut drawn = drawing(200, 150);
    for (x, _, pixel) in drawn.enumerate_pixels_mut().filter(|(x, ..)| *x < 40) {
        // What shows nothing has colours all the same.
        pixel.0 = [x as u8, 200, 7, 0];
    }
    let source = DynamicImage::ImageRgba8(drawn.clone());
    let (made, output) = room.make(&png(&source), at(ImageFormat::Png, Level::Medium)).unwrap();
    assert_eq!(room.pixels(&output).to_rgba8(), drawn, "{:?}", made.plan);
    assert!(made.plan[0].reason.contains("packed exactly"), "{:?}", made.plan);
    let (_, output) = room.make(&png(&source), at(ImageFormat::Png, Level::High)).unwrap();
    let made = room.pixels(&output).to_rgba8();
    assert!(drawn.pixels().zip(made.pixels()).all(|(before, after)| (before.0[3] == 0) == (after.0[3] == 0)));
}

#[test]
fn a_photograph_as_png_stays_exact_where_a_palette_would_show() {
    let room = Room::new();
    let mut source = photo(320, 240);
    for (x, y, pixel) in source.enumerate_pixels_mut() {
        // Every hue there is.
        pixel.0[0] = pixel.0[0].wrapping_add((x / 2) as u8);
        pixel.0[1] = pixel.0[1].wrapping_add(y as u8);
    }
    let source = DynamicImage::ImageRgb8(source);
    let (made, output) = room.make(&png(&source), at(ImageFormat::Png, Level::High)).unwrap();
    assert!(psnr(&source, &room.pixels(&output)) > 90.0, "{:?}", made.plan);
}

#[test]
fn the_orientation_is_applied_to_the_pixels_and_dropped() {
    let room = Room::new();
    let upright = camera(&quarters(96, 64));
    // Colours of the four corners, left to right and top to bottom, as EXIF 2.32 table 10 turns them.
    let (r, g, b, w) = ([255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]);
    let corners = [
        [r, g, b, w],
        [g, r, w, b],
        [w, b, g, r],
        [b, w, r, g],
        [r, b, g, w],
        [b, r, w, g],
        [w, g, b, r],
        [g, w, r, b],
    ];
    for (orientation, expected) in (1..=8).zip(corners) {
        let input = with_orientation(&upright, orientation);
        let size = if orientation >= 5 { (64, 96) } else { (96, 64) };
        let seen = inspect(&room.write(&input), &room.limits).unwrap();
        assert_eq!((seen.orientation, seen.width, seen.height), (orientation, size.0, size.1));
        for wish in [to(ImageFormat::Png), at(ImageFormat::Jpeg, Level::Medium), to(ImageFormat::Webp)] {
            let (made, output) = room.make(&input, wish).unwrap();
            assert!(!made.kept, "{:?}", made.plan);
            assert_eq!(header(&output, &room.limits).unwrap().orientation, 1);
            let pixels = room.pixels(&output);
            assert_eq!((pixels.width(), pixels.height()), size);
            let places = [(8, 8), (size.0 - 8, 8), (8, size.1 - 8), (size.0 - 8, size.1 - 8)];
            for ((x, y), expected) in places.into_iter().zip(expected) {
                let found = pixels.get_pixel(x, y).0;
                let near = found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) < 24);
                assert!(near, "orientation {orientation} at {x},{y}: {found:?}, not {expected:?}");
            }
        }
    }
}

#[test]
fn a_colour_profile_is_kept_or_applied() {
    let room = Room::new();
    let photo = image::RgbImage::from_fn(128, 96, |x, y| image::Rgb([200, (x + 20) as u8, (y + 40) as u8]));
    let photo = DynamicImage::ImageRgb8(photo);
    let input = png_with(&photo, Some(wide_profile()));
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Webp] {
        let (_, output) = room.make(&input, to(format)).unwrap();
        assert_eq!(room.profile(&output), Some(wide_profile()), "{}", format.extension());
        let (_, again) =
            room.make(&output, Wish { fit: Some(Fit { width: Some(80), height: None }), ..to(format) }).unwrap();
        assert_eq!(room.profile(&again), Some(wide_profile()), "{}", format.extension());
    }
    let mut srgb = photo.clone();
    assert!(color::to_srgb(&mut srgb, &wide_profile()));
    assert!(psnr(&photo, &srgb) < 32.0, "the profile would make no difference");
    for format in [ImageFormat::Avif, ImageFormat::Gif] {
        let (made, output) = room.make(&input, at(format, Level::Medium)).unwrap();
        assert_eq!(room.profile(&output), None);
        assert!(made.plan[0].reason.contains("sRGB"), "{:?}", made.plan);
        let (right, wrong) = (psnr(&srgb, &room.pixels(&output)), psnr(&photo, &room.pixels(&output)));
        assert!(right > wrong + 1.0, "{}: {right:.1} against {wrong:.1} dB", format.extension());
    }
}

#[test]
fn nothing_but_pixels_and_profile_is_carried_on() {
    let room = Room::new();
    let secret = b"Exif\0\0II*\0\x08\0\0\0\0\0 taken at 47.3769 N, 8.5417 E";
    let input = segment(&camera(&photo(120, 90)), 0xE1, secret);
    let input = segment(&input, 0xFE, b"taken by a friend");
    for format in FORMATS {
        let (made, output) = room.make(&input, to(format)).unwrap();
        assert!(!made.kept);
        let has = |needle: &[u8]| output.windows(needle.len()).any(|window| window == needle);
        assert!(!has(b"47.3769") && !has(b"friend"), "{}", format.extension());
    }
}

#[test]
fn transparency_is_kept_where_it_can_be_and_white_where_it_cannot() {
    let room = Room::new();
    let source = DynamicImage::ImageRgba8(drawing(120, 90));
    let input = png(&source);
    for format in [ImageFormat::Png, ImageFormat::Webp, ImageFormat::Avif] {
        let (_, output) = room.make(&input, to(format)).unwrap();
        let pixels = room.pixels(&output).to_rgba8();
        assert_eq!(pixels.get_pixel(0, 0).0[3], 0, "{}", format.extension());
        assert!(pixels.get_pixel(60, 45).0[3] > 250);
        // AVIF's transparency is lossy: it rings at a sharp edge, there alone, and to both sides alike. A wrong range or
        // colours that were multiplied would be off everywhere.
        let (exact, most) = (drawing(120, 90), if format == ImageFormat::Avif { 64 } else { 0 });
        let pairs = || pixels.pixels().zip(exact.pixels()).map(|(a, b)| i32::from(a.0[3]) - i32::from(b.0[3]));
        let (count, off) = (pairs().count() as f64, pairs().map(f64::from));
        let worst = pairs().map(i32::abs).max();
        assert!(worst <= Some(most), "{}: {worst:?}", format.extension());
        let (bias, mean) = (off.clone().sum::<f64>() / count, off.map(f64::abs).sum::<f64>() / count);
        let far = pairs().filter(|off| off.abs() > 16).count() as f64 / count;
        let told = format!("{}: bias {bias:.3}, mean {mean:.3}, far off {far:.4}", format.extension());
        println!("{told}");
        assert!(bias.abs() < 0.5 && mean < 2.0 && far < 0.02, "{told}");
        let close = psnr(&source, &DynamicImage::ImageRgba8(pixels));
        assert!(close > 30.0, "{}: {close:.1} dB", format.extension());
        assert!(header(&output, &room.limits).unwrap().alpha);
    }
    let (_, output) = room.make(&input, to(ImageFormat::Jpeg)).unwrap();
    assert!(room.pixels(&output).get_pixel(0, 0).0.iter().all(|&channel| channel > 250));
}

#[test]
fn sixteen_bits_stay_in_png_and_become_eight_elsewhere() {
    let room = Room::new();
    let deep = DynamicImage::ImageRgb16(image::ImageBuffer::from_fn(120, 90, |x, y| {
        image::Rgb([(x * 500) as u16, (y * 700) as u16, (x * y * 5) as u16])
    }));
    let (_, output) = room.make(&png(&deep), at(ImageFormat::Png, Level::Medium)).unwrap();
    assert_eq!(room.pixels(&output), deep);
    for format in [ImageFormat::Jpeg, ImageFormat::Webp, ImageFormat::Avif] {
        let (_, output) = room.make(&png(&deep), to(format)).unwrap();
        assert!(psnr(&deep, &room.pixels(&output)) > 30.0, "{}", format.extension());
    }
}

#[test]
fn grey_progressive_and_ink_jpegs_are_read_right() {
    let room = Room::new();
    let photo = photo(160, 120);
    let grey = DynamicImage::ImageRgb8(photo.clone()).to_luma8();
    let input = jpeg(grey.as_raw(), (160, 120), ColorSpace::JCS_GRAYSCALE, 95.0, false);
    let (_, output) = room.make(&input, to(ImageFormat::Jpeg)).unwrap();
    assert_eq!(room.pixels(&output).color().channel_count(), 1);
    assert!(psnr(&DynamicImage::ImageLuma8(grey), &room.pixels(&output)) > 32.0);

    let input = jpeg(photo.as_raw(), (160, 120), ColorSpace::JCS_RGB, 95.0, true);
    let source = DynamicImage::ImageRgb8(photo.clone());
    let (_, output) = room.make(&input, to(ImageFormat::Png)).unwrap();
    assert!(psnr(&source, &room.pixels(&output)) > 30.0);

    // Inks without black: what is missing of the paper's white.
    let inks: Vec<u8> = photo.pixels().flat_map(|p| [255 - p.0[0], 255 - p.0[1], 255 - p.0[2], 0]).collect();
    let paper: Vec<u8> = inks.iter().map(|ink| 255 - ink).collect();
    let bare = jpeg(&inks, (160, 120), ColorSpace::JCS_CMYK, 95.0, false);
    let bare: Vec<u8> = without_adobe(&bare);
    let adobe = jpeg(&paper, (160, 120), ColorSpace::JCS_CMYK, 95.0, false);
    for input in [bare, adobe] {
        let (_, output) = room.make(&input, to(ImageFormat::Png)).unwrap();
        let close = psnr(&source, &room.pixels(&output));
        assert!(close > 30.0, "{close:.1} dB");
    }
}

/// The JPEG without its Adobe marker.
fn without_adobe(jpeg: &[u8]) -> Vec<u8> {
    let Some(at) = jpeg.windows(9).position(|bytes| bytes[..2] == [0xFF, 0xEE] && &bytes[4..] == b"Adobe") else {
        return jpeg.to_vec();
    };
    [&jpeg[..at], &jpeg[at + 16..]].concat()
}

#[test]
fn an_animation_keeps_its_frames_their_pixels_and_their_times() {
    let room = Room::new();
    for alpha in [false, true] {
        let frames = walk(64, 7, alpha);
        let inputs = [animated_gif(&frames, 3), animated_webp(&frames, 3, None)];
        for input in &inputs {
            let seen = inspect(&room.write(input), &room.limits).unwrap();
            assert_eq!((seen.frames, seen.duration_ms), (7, Some(700)));
            for format in [ImageFormat::Gif, ImageFormat::Webp] {
                let (made, output) = room.make(input, at(format, Level::Medium)).unwrap();
                let video = made.info.video.as_ref().unwrap();
                assert_eq!((video.frames, made.info.duration_seconds), (Some(7), Some(0.7)));
                let found = header(&output, &room.limits).unwrap();
                assert_eq!(Animation::open(&output, &found, &room.limits).unwrap().plays, 3);
                let shown = room.frames(&output);
                for (number, (shown, frame)) in shown.iter().zip(&frames).enumerate() {
                    assert_eq!(shown.delay, frame.delay, "frame {number}");
                    let close = psnr(&shown.pixels, &frame.pixels);
                    assert!(close > 34.0, "frame {number} of {}: {close:.1} dB", format.extension());
                }
                assert_eq!(shown.len(), frames.len());
            }
            let (made, output) = room.make(input, to(ImageFormat::Png)).unwrap();
            assert!(made.plan[0].reason.contains("the first of 7 frames"));
            assert_eq!(room.pixels(&output).get_pixel(2, 2), Rgba([250, 0, 10, 255]));
        }
    }
}

#[test]
fn an_animation_is_resized_frame_by_frame() {
    let room = Room::new();
    let wish = Wish { fit: Some(Fit { width: Some(32), height: Some(100) }), ..Wish::default() };
    for input in [animated_gif(&walk(64, 5, false), 0), animated_webp(&walk(64, 5, true), 0, Some(&wide_profile()))] {
        let (made, output) = room.make(&input, wish).unwrap();
        let video = made.info.video.unwrap();
        assert_eq!((video.width, video.height, video.frames), (32, 32, Some(5)));
        assert!(room.frames(&output).iter().all(|frame| frame.pixels.width() == 32));
        assert_eq!(header(&input, &room.limits).unwrap().profile, header(&output, &room.limits).unwrap().profile);
    }
}

#[test]
fn a_picture_is_fitted_and_never_enlarged() {
    let room = Room::new();
    let input = camera(&photo(300, 200));
    let cases = [((Some(150), None), (150, 100)), ((None, Some(50)), (75, 50)), ((Some(9000), Some(9000)), (300, 200))];
    for ((width, height), expected) in cases {
        let wish = Wish { fit: Some(Fit { width, height }), ..to(ImageFormat::Webp) };
        let (made, _) = room.make(&input, wish).unwrap();
        let video = made.info.video.unwrap();
        assert_eq!((video.width, video.height), expected);
    }
}

#[test]
fn what_would_not_become_smaller_is_kept_and_said_to_be() {
    let room = Room::new();
    for format in FORMATS {
        let mut bytes = camera(&photo(80, 60));
        // Made again and again, the last result is the better one to keep.
        let mut kept = false;
        for _ in 0..12 {
            let (made, output) = room
                .make(&bytes, at(format, Level::Ultra))
                .unwrap_or_else(|error| panic!("{}: {error:?}", format.extension()));
            if made.info.format == header(&bytes, &room.limits).unwrap().info().format {
                assert!(output.len() <= bytes.len(), "{}", format.extension());
            }
            if made.kept {
                assert_eq!(output, bytes);
                assert_eq!(made.plan[0].action, "keep");
                kept = true;
                break;
            }
            bytes = output;
        }
        assert!(kept, "{} never settles", format.extension());
    }
}

#[test]
fn a_cap_on_bytes_is_kept_or_refused() {
    let room = Room::new();
    let input = png(&DynamicImage::ImageRgb8(photo(160, 120)));
    for (format, most) in [
        (ImageFormat::Jpeg, 1_500),
        (ImageFormat::Webp, 1_000),
        (ImageFormat::Avif, 700),
        (ImageFormat::Gif, 12_000),
        (ImageFormat::Png, 10_500),
    ] {
        let wish = Wish { max_bytes: Some(most), ..to(format) };
        let (made, output) = room.make(&input, wish).unwrap();
        assert!(output.len() as u64 <= most, "{}: {} bytes", format.extension(), output.len());
        assert!(output.len() as u64 > most / 3, "{}: {} bytes of {most}", format.extension(), output.len());
        assert!(made.plan[0].reason.contains("to stay within"), "{:?}", made.plan);
        let error = room.make(&input, Wish { max_bytes: Some(60), ..to(format) }).unwrap_err();
        assert_eq!(code(&error), "target_too_small");
    }
    let error = room.make(&input, Wish { max_bytes: Some(60), ..to(ImageFormat::Jpeg) }).unwrap_err();
    assert!(error.failure().unwrap().message.contains("the requested limit is 60"));
}

/// Headers that claim 30000 x 30000 pixels with next to nothing behind them.
fn giants() -> Vec<(&'static str, Vec<u8>)> {
    let tiny = photo(16, 16);
    let plain = DynamicImage::ImageRgb8(tiny.clone());
    let side = 30_000_u32;
    let put = |mut bytes: Vec<u8>, at: usize, new: &[u8]| {
        bytes[at..at + new.len()].copy_from_slice(new);
        bytes
    };
    let (big, little) = (side.to_be_bytes(), side.to_le_bytes());
    let mut png = put(put(png(&plain), 16, &big), 20, &big);
    let sum = crc(&png[12..29]).to_be_bytes();
    png = put(png, 29, &sum);
    let jpeg = camera(&tiny);
    let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    let jpeg = put(put(jpeg, frame + 5, &big[2..]), frame + 7, &big[2..]);
    let gif = own(plain.clone(), ImageFormat::Gif, None);
    let gif = put(put(gif, 6, &little[..2]), 8, &little[..2]);
    let bmp = other(&plain, Other::Bmp);
    let bmp = put(put(bmp, 18, &little), 22, &little);
    let webp = animated_webp(&walk(16, 2, true), 0, None);
    // Sides are stored less one and cannot be as large as in other formats.
    let webp = put(put(webp, 24, &16_000_u32.to_le_bytes()[..3]), 27, &16_000_u32.to_le_bytes()[..3]);
    vec![("png", png), ("jpg", jpeg), ("gif", gif), ("bmp", bmp), ("webp", webp)]
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, bit: u32| if (crc ^ bit) & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc, |crc, n| step(crc, u32::from(byte >> n & 1))))
}

#[test]
fn a_picture_of_900_million_pixels_is_refused_by_its_header() {
    let room = Room::new();
    for (kind, bytes) in giants() {
        let error = inspect(&room.write(&bytes), &room.limits).unwrap_err();
        assert!(matches!(error, MediaError::Rejected(_)), "{kind}: {error}");
        assert_eq!(code(&error), "too_many_pixels", "{kind}");
        assert!(error.failure().unwrap().message.contains("the limit is 100000000"), "{kind}: {error}");
        assert_eq!(code(&room.make(&bytes, Wish::default()).unwrap_err()), "too_many_pixels", "{kind}");
    }
    let error = header(&giants()[0].1, &room.limits).unwrap_err();
    assert!(error.failure().unwrap().message.contains("30000 x 30000"));
}

#[test]
fn limits_on_frames_and_bytes_are_kept() {
    let mut room = Room::new();
    let gif = animated_gif(&walk(64, 7, false), 0);
    room.limits.frames = 6;
    assert_eq!(code(&room.make(&gif, Wish::default()).unwrap_err()), "over_limit");
    room.limits.frames = 7;
    room.limits.pixels = 64 * 64;
    room.limits.animation_pixels = 64 * 64 * 7 - 1;
    assert_eq!(code(&room.make(&gif, Wish::default()).unwrap_err()), "too_many_pixels");
    room.limits.animation_pixels += 1;
    room.make(&gif, Wish::default()).unwrap();
    room.limits.input_bytes = gif.len() as u64 - 1;
    assert_eq!(code(&room.make(&gif, Wish::default()).unwrap_err()), "over_limit");
    room.limits = ImageLimits { time: Duration::ZERO, ..ImageLimits::default() };
    assert_eq!(code(&room.make(&gif, Wish::default()).unwrap_err()), "timed_out");
}

#[test]
fn what_is_cut_short_fails_and_costs_nothing_else() {
    let room = Room::new();
    for (kind, bytes) in inputs(120) {
        for share in [5, 30, 60, 90] {
            let cut = &bytes[..bytes.len() * share / 100];
            let Err(error) = room.make(cut, to(ImageFormat::Png)) else {
                panic!("{kind} cut to {share} % was taken");
            };
            let failure = error.failure().expect("a failure of the input");
            assert_eq!(failure.fault, reelhook_domain::failure::Fault::Input, "{kind} at {share} %: {failure:?}");
        }
    }
    for bytes in [animated_gif(&walk(64, 7, true), 0), animated_webp(&walk(64, 7, true), 0, None)] {
        assert!(room.make(&bytes[..bytes.len() * 2 / 3], Wish::default()).is_err());
    }
}

#[test]
fn what_is_no_picture_is_refused_by_its_name() {
    let room = Room::new();
    let cases: [(&[u8], &str); 4] = [
        (b"", "empty_file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_media"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2", "unsupported_media"),
        (b"PK\x03\x04", "unsupported_media"),
    ];
    for (bytes, expected) in cases {
        let error = room.make(bytes, Wish::default()).unwrap_err();
        assert!(matches!(error, MediaError::Rejected(_)));
        assert_eq!(code(&error), expected);
    }
}

#[test]
fn an_animated_avif_is_refused_and_not_shown_as_its_first_frame() {
    let room = Room::new();
    let (_, still) = room.make(&camera(&photo(64, 64)), to(ImageFormat::Avif)).unwrap();
    // The brand of sequences as the major one, and beside that of stills.
    let brands = (8..still.len()).step_by(4).take_while(|&at| at < usize::from(still[3]));
    for at in brands.filter(|&at| at != 12) {
        let mut animated = still.clone();
        animated[at..at + 4].copy_from_slice(b"avis");
        let error = room.make(&animated, Wish::default()).unwrap_err();
        assert!(matches!(error, MediaError::Rejected(_)), "{error}");
        assert_eq!(code(&error), "unsupported_media");
        assert!(error.failure().unwrap().message.contains("image sequence"), "{error}");
    }
}

#[test]
fn a_panic_of_a_codec_is_a_failure() {
    let error = guard::decoding::<()>(kind::Kind::Tiff, || std::panic::resume_unwind(Box::new("codec"))).unwrap_err();
    assert_eq!(code(&error), "input_damaged");
    let error = guard::encoding::<()>(|| std::panic::resume_unwind(Box::new("codec"))).unwrap_err();
    assert_eq!(code(&error), "encoding_failed");
}

#[test]
fn scrambled_pictures_end_in_a_value_and_soon() {
    let room = Room { limits: ImageLimits { pixels: 1 << 20, ..Room::new().limits }, ..Room::new() };
    let mut state = 7_u64;
    let mut dice = move |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % most
    };
    let mut samples = inputs(48);
    samples.push(("gif", animated_gif(&walk(32, 4, true), 0)));
    samples.push(("webp", animated_webp(&walk(32, 4, true), 0, None)));
    for (kind, bytes) in samples {
        for _ in 0..60 {
            let mut bytes = bytes.clone();
            for _ in 0..=dice(6) {
                let at = dice(bytes.len());
                bytes[at] = dice(256) as u8;
            }
            let began = Instant::now();
            if let Err(error) = room.make(&bytes, Wish { level: Level::Medium, ..to(ImageFormat::Png) }) {
                assert!(error.failure().is_some(), "{kind}: {error}");
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{kind}");
        }
    }
}

/// What the comparing check measures: pictures at all levels, in all formats and two sizes.
#[test]
fn lossy_codecs_stay_far_below_the_bound() {
    let room = Room::new();
    let screen = image::RgbImage::from_fn(320, 200, |x, y| {
        let letter = (x / 3 * 7 + y / 5 * 13) % 11 < 3 && y % 10 < 7;
        image::Rgb(if letter {
            [20, 20, 20]
        } else if y < 30 {
            [40, 90, 200]
        } else {
            [245; 3]
        })
    });
    let noise = image::RgbImage::from_fn(400, 300, |x, y| {
        let mut state = x.wrapping_mul(7919) ^ y.wrapping_mul(104_729);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb(state.wrapping_mul(2_654_435_761).to_be_bytes()[..3].try_into().unwrap())
    });
    let sources = [
        ("photo", DynamicImage::ImageRgb8(photo(400, 300))),
        ("drawing", DynamicImage::ImageRgba8(drawing(300, 200))),
        ("screen", DynamicImage::ImageRgb8(screen)),
        ("noise", DynamicImage::ImageRgb8(noise)),
    ];
    for format in FORMATS {
        let mut worst = 0.0_f64;
        for (name, source) in &sources {
            for level in [Level::Medium, Level::Ultra] {
                for fit in [None, Some(Fit { width: Some(150), height: None })] {
                    let (made, _) = room.make(&png(source), Wish { fit, ..at(format, level) }).unwrap();
                    let check = made.checks.iter().find(|check| check.name == "seen").unwrap();
                    let distance: f64 = check.measured.split(',').next().unwrap().parse().unwrap();
                    println!("{} {name} {level:?} {fit:?}: {distance}", format.extension());
                    worst = worst.max(distance);
                }
            }
        }
        assert!(worst < seen::bound(format, (320, 240), false) / 2.0, "{}: {worst}", format.extension());
    }
}

#[test]
fn a_result_that_shows_something_else_does_not_pass() {
    use super::seen::{Drawn, Sketch, bound};
    let sketch = |pixels: &DynamicImage| {
        let drawn = Drawn { size: (pixels.width(), pixels.height()), solid: false, side: 32 };
        Sketch::of(&super::decode::Picture::plain(pixels.clone(), None), drawn)
    };
    let swapped = |pixels: &DynamicImage| {
        let mut rgb = pixels.to_rgb8();
        rgb.pixels_mut().for_each(|pixel| pixel.0.swap(0, 2));
        DynamicImage::ImageRgb8(rgb)
    };
    for source in [DynamicImage::ImageRgb8(photo(400, 300)), DynamicImage::ImageRgb8(quarters(300, 200))] {
        let (width, height) = (source.width(), source.height());
        let mistakes = [
            ("turned by a quarter", source.rotate90()),
            ("upside down", source.rotate180()),
            ("mirrored", source.fliph()),
            ("squashed", source.resize_exact(width / 2, height, image::imageops::FilterType::Triangle)),
            ("cut", source.crop_imm(0, 0, width / 2, height)),
            ("red for blue", swapped(&source)),
            ("black", DynamicImage::new_rgb8(width, height)),
        ];
        for (name, mistake) in mistakes {
            let distance = sketch(&source).distance(&sketch(&mistake));
            println!("{name}: {distance:.1}");
            assert!(distance > bound(ImageFormat::Gif, (320, 240), false), "{name}: {distance:.1}");
        }
        let same = sketch(&source).distance(&sketch(&source.resize_exact(
            width / 2,
            height / 2,
            image::imageops::FilterType::Lanczos3,
        )));
        assert!(same < 2.0, "{same}");
    }
}

#[test]
fn the_comparison_can_be_switched_off() {
    let mut room = Room::new();
    let bytes = camera(&photo(120, 90));
    let has = |made: &Made| made.checks.iter().any(|check| check.name == "seen" && check.passed);
    let wish = to(ImageFormat::Webp);
    assert!(has(&room.make(&bytes, wish).unwrap().0));
    room.limits.compare = false;
    assert!(!has(&room.make(&bytes, wish).unwrap().0));
}
