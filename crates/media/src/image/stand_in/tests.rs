//! What stands in for pictures, read again and compared.

use std::path::PathBuf;

use image::ImageFormat as Other;
use reelhook_testkit::verdict;
use tempfile::TempDir;

use super::super::samples::*;
use super::super::{ImageFormat, unclaimed};
use super::*;

struct Room {
    folder: TempDir,
    limits: ImageLimits,
}

impl Room {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), limits: ImageLimits::default() }
    }

    fn stand_in(&self, bytes: &[u8]) -> (Inspected, Vec<u8>) {
        let (input, output): (PathBuf, PathBuf) = (self.folder.path().join("in"), self.folder.path().join("out"));
        std::fs::write(&input, bytes).unwrap();
        let found = stand_in(&input, &output, &self.limits, &unclaimed).unwrap().unwrap();
        let made = std::fs::read(&output).unwrap();
        std::fs::remove_file(output).unwrap();
        (found, made)
    }

    fn shown(&self, bytes: &[u8]) -> DynamicImage {
        let found = header(bytes, &self.limits).unwrap();
        decode::decode(bytes, &found, Channels::Plain, &self.limits).unwrap().pixels
    }
}

#[test]
fn a_still_is_an_upright_png_in_the_colours_of_srgb() {
    let room = Room::new();
    let plain = DynamicImage::ImageRgb8(photo(96, 72));
    let inputs = [
        ("jpg", with_orientation(&camera(&photo(96, 72)), 6)),
        ("avif", own(plain.clone(), ImageFormat::Avif, None)),
        ("webp", own(plain.clone(), ImageFormat::Webp, None)),
        ("tiff", other(&plain, Other::Tiff)),
        ("bmp", other(&plain, Other::Bmp)),
        ("ico", other(&DynamicImage::ImageRgba8(drawing(64, 48)), Other::Ico)),
        ("16 bit grey png", png(&DynamicImage::ImageLuma16(plain.to_luma16()))),
    ];
    for (kind, bytes) in inputs {
        let (_, made) = room.stand_in(&bytes);
        let (source, result) = (room.shown(&bytes), room.shown(&made));
        assert_eq!((made[24], made[25] == 2 || made[25] == 6), (8, true), "{kind}: bits and channels");
        assert_eq!(result.color().has_alpha(), source.color().has_alpha(), "{kind}");
        assert!(psnr(&source, &result) > 50.0, "{kind}");
    }
    let wide = own(plain.clone(), ImageFormat::Png, Some(wide_profile()));
    let (_, made) = room.stand_in(&wide);
    let mut expected = plain;
    color::to_srgb(&mut expected, &wide_profile());
    assert!(psnr(&expected, &room.shown(&made)) > 50.0);
    assert!(psnr(&room.shown(&wide), &room.shown(&made)) < 50.0);
}

#[test]
fn an_animation_keeps_its_frames_its_times_and_its_alpha() {
    let room = Room::new();
    for (kind, alpha) in [("opaque", false), ("transparent", true)] {
        let frames = walk(64, 5, alpha);
        let (found, made) = room.stand_in(&animated_webp(&frames, 3, None));
        assert_eq!(found.frames, 5);
        let again = header(&made, &room.limits).unwrap();
        let mut shown = Shown::open(&made, &again, &room.limits).unwrap();
        let mut seen = Vec::new();
        while let Some(frame) = shown.next().unwrap() {
            // The end of the last one comes in two short ones, as it is longer than the one before.
            let expected = &frames[seen.len().min(4)];
            assert!(psnr(&frame.pixels, &expected.pixels) > 50.0, "{kind} {}", seen.len());
            assert_eq!(frame.pixels.to_rgba8().get_pixel(63, 0).0[3], if alpha { 0 } else { 255 });
            seen.push(frame.length);
        }
        let (expected, seen) = (vec![70, 80, 90, 100, 70, 20, 20], seen);
        verdict(
            "MG10 animated WebP for tools",
            kind,
            format!("{expected:?} ms"),
            format!("{seen:?} ms"),
            seen == expected,
        );
    }
}

#[test]
fn a_gif_is_left_to_the_tool_unless_its_end_is_uneven() {
    let room = Room::new();
    let (input, output) = (room.folder.path().join("in"), room.folder.path().join("out"));
    let mut frames = walk(64, 4, false);
    for (last, stands) in [(100, false), (2000, true), (60, true), (30, false)] {
        frames.iter_mut().for_each(|frame| frame.delay = 100);
        frames[3].delay = last;
        std::fs::write(&input, animated_gif(&frames, 0)).unwrap();
        let found = stand_in(&input, &output, &room.limits, &unclaimed).unwrap();
        assert_eq!(found.map(|found| found.duration_ms), stands.then_some(Some(300 + u64::from(last))), "{last}");
        assert_eq!(output.exists(), stands);
        if stands {
            std::fs::remove_file(&output).unwrap();
        }
    }
    // One frame, and more frames than are held.
    std::fs::write(&input, animated_gif(&frames[..1], 0)).unwrap();
    assert_eq!(stand_in(&input, &output, &room.limits, &unclaimed).unwrap(), None);
    std::fs::write(&input, animated_gif(&frames, 0)).unwrap();
    let few = ImageLimits { frames: 2, ..ImageLimits::default() };
    assert_eq!(stand_in(&input, &output, &few, &unclaimed).unwrap(), None);
}

#[test]
fn times_are_exact_as_far_as_a_png_can_tell_them() {
    for (length, expected) in [(11, (11, 1000)), (65_535, (65_535, 1000)), (65_536, (66, 1)), (u32::MAX, (u16::MAX, 1))]
    {
        assert_eq!(seconds(length), expected, "{length}");
    }
}
