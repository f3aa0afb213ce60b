//! Still pictures and animations, through every recipe that takes one.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::{AnimationDecoder as _, DynamicImage, GenericImageView as _};
use reelhook_domain::recipe::Level;
use reelhook_media::MediaError;
use reelhook_media::image::{Fit, ImageFormat, ImageLimits, Made, Wish, make, unclaimed};
use reelhook_testkit::{field, verdict};
use tempfile::TempDir;

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
        let made = make(input, &wish, &output, &self.limits, &unclaimed)?;
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
    made.plan
        .iter()
        .map(|line| format!("{} {}: {}", line.stream, line.action, line.reason))
        .collect::<Vec<_>>()
        .join("; ")
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
            let measured =
                if output.windows(4).any(|name| name == b"acTL") { played(&output) } else { (0, Vec::new()) };
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

/// The pixels of a PNG.
fn read(png: &[u8]) -> DynamicImage {
    image::load_from_memory(png).unwrap()
}

/// The mean difference of two pictures of one size, over white.
fn distance(a: &DynamicImage, b: &DynamicImage) -> f64 {
    if a.dimensions() != b.dimensions() {
        return f64::INFINITY;
    }
    let over_white = |pixel: image::Rgba<u8>| {
        let [red, green, blue, alpha] = pixel.0.map(f64::from);
        [red, green, blue].map(|channel| (channel * alpha + 255.0 * (255.0 - alpha)) / 255.0)
    };
    let off = |(a, b): (&image::Rgba<u8>, &image::Rgba<u8>)| {
        over_white(*a).iter().zip(over_white(*b)).map(|(a, b)| (a - b).abs()).sum::<f64>()
    };
    let (a, b) = (a.to_rgba8(), b.to_rgba8());
    a.pixels().zip(b.pixels()).map(off).sum::<f64>() / (a.width() * a.height() * 3) as f64
}

/// The chart that the AVIFs of the field show.
fn chart() -> DynamicImage {
    image::open(field("t_deflate.tif")).unwrap()
}

#[test]
fn an_avif_is_turned_and_mirrored_in_the_order_of_its_properties() {
    let room = Room::new();
    let file = std::fs::read(field("av_both.avif")).unwrap();
    let place = |needle: &[u8]| file.windows(needle.len()).position(|found| found == needle).unwrap();
    let (turn, mirror, order) = (place(b"irot") + 4, place(b"imir") + 4, place(&[0x83, 0x04, 0x85, 0x86]) + 2);
    let chart = chart();
    let turned = |picture: DynamicImage, quarters: u8| (0..quarters).fold(picture, |picture, _| picture.rotate270());
    let mirrored = |picture: DynamicImage, axis: u8| if axis == 0 { picture.flipv() } else { picture.fliph() };
    for quarters in 0..4 {
        for axis in 0..2 {
            for (words, pair) in
                [("irot, imir", [0x85, 0x86]), ("imir, irot", [0x86, 0x85]), ("irot", [0x85, 1]), ("imir", [1, 0x86])]
            {
                let mut file = file.clone();
                (file[turn], file[mirror]) = (quarters, axis);
                file[order..order + 2].copy_from_slice(&pair);
                let expected = match words {
                    "irot, imir" => mirrored(turned(chart.clone(), quarters), axis),
                    "imir, irot" => turned(mirrored(chart.clone(), axis), quarters),
                    "irot" => turned(chart.clone(), quarters),
                    _ => mirrored(chart.clone(), axis),
                };
                let (_, output) = room.make(&room.write(&file), medium(ImageFormat::Png)).unwrap();
                let off = distance(&read(&output), &expected);
                verdict(
                    "M30 AVIF turned and mirrored",
                    format!("irot {quarters}, imir {axis}, listed as {words}"),
                    "at most 4 from the chart, turned",
                    format!("{off:.1}"),
                    off < 4.0,
                );
            }
        }
    }
}

/// An item of an AVIF: its sort, its bytes and the places of its properties, counted from 1.
type Item = (&'static [u8; 4], Vec<u8>, Vec<u8>);

fn boxed(name: &[u8], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), name, content].concat()
}

/// An AVIF of items, the first of which is shown; `references` are from, sort, to.
fn avif(items: &[Item], references: &[(u16, &[u8; 4], Vec<u16>)], properties: &[Vec<u8>]) -> Vec<u8> {
    let full = |name: &[u8], content: &[u8]| boxed(name, &[&[0; 4], content].concat());
    let kinds: Vec<u8> = (1_u16..)
        .zip(items)
        .flat_map(|(id, (kind, ..))| {
            boxed(b"infe", &[&[2, 0, 0, 0][..], &id.to_be_bytes(), &[0, 0], &kind[..], &[0]].concat())
        })
        .collect();
    let count = (items.len() as u16).to_be_bytes();
    let associations: Vec<u8> = (1_u16..)
        .zip(items)
        .flat_map(|(id, (_, _, of))| [&id.to_be_bytes()[..], &[of.len() as u8], of].concat())
        .collect();
    let references: Vec<u8> = references
        .iter()
        .flat_map(|(from, kind, to)| {
            let to: Vec<u8> = [&[to.len() as u16], &to[..]].concat().iter().flat_map(|id| id.to_be_bytes()).collect();
            boxed(&kind[..], &[&from.to_be_bytes()[..], &to].concat())
        })
        .collect();
    let head = |first: usize| {
        let mut at = first;
        // What describes the grid lies in a box of its own, as phones have it.
        let places: Vec<u8> = (1_u16..)
            .zip(items)
            .flat_map(|(id, (kind, bytes, _))| {
                let in_box = *kind == b"grid";
                let from = if in_box {
                    items[..usize::from(id) - 1].iter().filter(|item| item.0 == b"grid").map(|item| item.1.len()).sum()
                } else {
                    at
                };
                at += if in_box { 0 } else { bytes.len() };
                [
                    &id.to_be_bytes()[..],
                    &[0, u8::from(in_box), 0, 0, 0, 1],
                    &(from as u32).to_be_bytes(),
                    &(bytes.len() as u32).to_be_bytes(),
                ]
                .concat()
            })
            .collect();
        let idat: Vec<u8> = items.iter().filter(|item| item.0 == b"grid").flat_map(|item| item.1.clone()).collect();
        let ipma = full(b"ipma", &[&[0, 0], &count[..], &associations].concat());
        let meta = [
            full(b"hdlr", b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            full(b"pitm", &[0, 1]),
            boxed(b"iloc", &[&[1, 0, 0, 0, 0x44, 0], &count[..], &places].concat()),
            full(b"iinf", &[&count[..], &kinds].concat()),
            full(b"iref", &references),
            boxed(b"iprp", &[boxed(b"ipco", &properties.concat()), ipma].concat()),
            boxed(b"idat", &idat),
        ];
        [boxed(b"ftyp", b"avif\0\0\0\0avifmif1miaf"), full(b"meta", &meta.concat())].concat()
    };
    let first = head(0).len() + 8;
    let bytes: Vec<u8> = items.iter().filter(|item| item.0 != b"grid").flat_map(|item| item.1.clone()).collect();
    [head(first), boxed(b"mdat", &bytes)].concat()
}

fn extents(width: u32, height: u32) -> Vec<u8> {
    boxed(b"ispe", &[&[0; 4][..], &width.to_be_bytes(), &height.to_be_bytes()].concat())
}

/// The picture in tiles of 96 x 64 as AV1: colours and transparency.
fn tiles(picture: &image::RgbaImage, columns: u32, rows: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let encoder =
        ravif::Encoder::new().with_quality(90.0).with_alpha_quality(90.0).with_speed(9).with_num_threads(Some(1));
    let tile = |number: u32| {
        let (left, top) = (number % columns * 96, number / columns * 64);
        let pixel = |x: u32, y: u32| {
            picture.get_pixel((left + x).min(picture.width() - 1), (top + y).min(picture.height() - 1)).0
        };
        let pixels: Vec<ravif::RGBA8> =
            (0..64).flat_map(|y| (0..96).map(move |x| (x, y))).map(|(x, y)| pixel(x, y).into()).collect();
        let file = encoder.encode_rgba(ravif::Img::new(&pixels, 96, 64)).unwrap().avif_file;
        let parsed = avif_parse::read_avif(&mut &file[..]).unwrap();
        (parsed.primary_item.to_vec(), parsed.alpha_item.map(|alpha| alpha.to_vec()).unwrap_or_default())
    };
    (0..columns * rows).map(tile).collect()
}

/// A picture without two places alike, a part of it transparent in steps.
fn slope(width: u32, height: u32) -> image::RgbaImage {
    image::RgbaImage::from_fn(width, height, |x, y| {
        image::Rgba([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            120,
            if x < width / 3 { 255 } else { 255 - (y * 200 / height) as u8 },
        ])
    })
}

#[test]
fn an_avif_in_tiles_is_one_picture() {
    let room = Room::new();
    let check = |source: &str, file: &[u8], expected: &DynamicImage, most: f64| {
        let measured = match room.make(&room.write(file), medium(ImageFormat::Png)) {
            Ok((made, output)) => {
                let video = made.info.video.unwrap();
                format!("{} x {}, {:.1} from the source", video.width, video.height, distance(&read(&output), expected))
            }
            Err(error) => failure(&error),
        };
        let holds = measured.starts_with(&format!("{} x {}, ", expected.width(), expected.height()))
            && measured.split(' ').nth(3).and_then(|off| off.parse().ok()).is_some_and(|off: f64| off < most);
        verdict(
            "MG15 AVIF in tiles",
            source,
            format!("{} x {}, at most {most} from the source", expected.width(), expected.height()),
            measured,
            holds,
        );
    };
    check("av_grid.avif, 2 x 2 tiles", &std::fs::read(field("av_grid.avif")).unwrap(), &chart(), 4.0);

    let colors = boxed(b"colr", b"nclx\0\x01\0\x0D\0\x06\x80");
    let auxiliary = boxed(b"auxC", b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0");
    let grid = |columns: u8, rows: u8, width: u32, height: u32, is_long: bool| {
        let side = |side: u32| if is_long { side.to_be_bytes().to_vec() } else { (side as u16).to_be_bytes().to_vec() };
        [vec![0, u8::from(is_long), rows - 1, columns - 1], side(width), side(height)].concat()
    };
    // Cut at the right and at the bottom.
    let picture = slope(250, 110);
    let opaque = DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(picture.clone()).to_rgb8());
    let parts = tiles(&picture, 3, 2);
    let properties = [extents(250, 110), extents(96, 64), colors, auxiliary, boxed(b"irot", &[1])];
    let tile = |bytes: &[u8], of: &[u8]| -> Item { (b"av01", bytes.to_vec(), of.to_vec()) };
    let with_colors = |of: Vec<u8>, is_long: bool| {
        let mut items: Vec<Item> = vec![(b"grid", grid(3, 2, 250, 110, is_long), of)];
        items.extend(parts.iter().map(|(color, _)| tile(color, &[2, 3])));
        items
    };
    let of_colors: (u16, &[u8; 4], Vec<u16>) = (1, b"dimg", (2..8).collect());
    let file = avif(&with_colors(vec![1, 3], false), std::slice::from_ref(&of_colors), &properties);
    check("3 x 2 tiles, cut at two edges", &file, &opaque, 3.0);
    let file = avif(&with_colors(vec![1], true), std::slice::from_ref(&of_colors), &properties);
    check("3 x 2 tiles that alone name the colours, sides of 32 bits", &file, &opaque, 3.0);
    let file = avif(&with_colors(vec![1, 3, 5], false), std::slice::from_ref(&of_colors), &properties);
    check("3 x 2 tiles, turned", &file, &opaque.rotate270(), 3.0);

    let mut items = with_colors(vec![1, 3], false);
    items.push((b"grid", grid(3, 2, 250, 110, false), vec![1, 4]));
    items.extend(parts.iter().map(|(_, alpha)| tile(alpha, &[2])));
    let references = [of_colors.clone(), (8, b"dimg", (9..15).collect()), (8, b"auxl", vec![1])];
    check(
        "3 x 2 tiles, transparency in tiles",
        &avif(&items, &references, &properties),
        &DynamicImage::ImageRgba8(picture.clone()),
        3.0,
    );

    let mut items = with_colors(vec![1, 3], false);
    items.extend(parts.iter().map(|(_, alpha)| tile(alpha, &[2, 4])));
    let of_tiles = (2_u16..8).map(|tile| (tile + 6, b"auxl", vec![tile]));
    let references: Vec<(u16, &[u8; 4], Vec<u16>)> = std::iter::once(of_colors).chain(of_tiles).collect();
    check(
        "3 x 2 tiles, each with its transparency",
        &avif(&items, &references, &properties),
        &DynamicImage::ImageRgba8(picture),
        3.0,
    );
}

#[test]
fn tiles_that_would_take_too_much_are_refused_before_they_are_decoded() {
    let mut room = Room::new();
    let tile: Item = (b"av01", tiles(&slope(96, 64), 1, 1)[0].0.clone(), vec![2]);
    let grid = |columns: u8, rows: u8, width: u16, height: u16| -> Item {
        let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
        (b"grid", [vec![0, 0, rows - 1, columns - 1], sides].concat(), vec![1])
    };
    let file = |columns: u8, rows: u8, size: (u16, u16), tile_size: (u32, u32)| {
        let count = usize::from(columns) * usize::from(rows);
        let to = vec![2; count];
        avif(
            &[grid(columns, rows, size.0, size.1), tile.clone()],
            &[(1, b"dimg", to)],
            &[extents(96, 64), extents(tile_size.0, tile_size.1)],
        )
    };
    room.limits.pixels = 96 * 64 * 4;
    let cases = [
        (file(2, 2, (192, 128), (96, 64)), None),
        (file(5, 1, (480, 64), (96, 64)), Some("too_many_pixels")),
        // Many tiles, nearly all of which lie outside.
        (file(32, 32, (96, 64), (96, 64)), Some("too_many_pixels")),
        (file(255, 255, (96, 64), (1, 1)), Some("over_limit")),
        (file(2, 2, (192, 128), (96, 65)), Some("input_damaged")),
        (file(1, 1, (192, 128), (96, 64)), Some("input_damaged")),
    ];
    for (file, expected) in cases {
        let made = room.make(&room.write(&file), to(ImageFormat::Png));
        let code = made.err().map(|error| error.failure().unwrap().code.to_string());
        assert_eq!(code.as_deref(), expected);
    }
}

/// A picture as a viewer shows it: its profile applied.
fn seen(bytes: &[u8]) -> image::RgbImage {
    let (pixels, profile) = if bytes.starts_with(&[0xFF, 0xD8]) {
        let mut decoder = zune_jpeg::JpegDecoder::new(zune_jpeg::zune_core::bytestream::ZCursor::new(bytes));
        let rgb = decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        let (width, height) = (u32::from(info.width), u32::from(info.height));
        let pixels = match rgb.len() / (width * height) as usize {
            1 => DynamicImage::ImageLuma8(image::GrayImage::from_raw(width, height, rgb).unwrap()),
            _ => DynamicImage::ImageRgb8(image::RgbImage::from_raw(width, height, rgb).unwrap()),
        };
        (pixels, decoder.icc_profile())
    } else if bytes.starts_with(b"RIFF") {
        let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).unwrap();
        let mut buffer = vec![0; decoder.output_buffer_size().unwrap()];
        decoder.read_image(&mut buffer).unwrap();
        let (width, height) = decoder.dimensions();
        let pixels = if decoder.has_alpha() {
            DynamicImage::ImageRgba8(image::RgbaImage::from_raw(width, height, buffer).unwrap())
        } else {
            DynamicImage::ImageRgb8(image::RgbImage::from_raw(width, height, buffer).unwrap())
        };
        (pixels, decoder.icc_profile().unwrap())
    } else if bytes.get(4..8) == Some(b"ftyp") {
        let room = Room::new();
        let (_, png) = room.make(&room.write(bytes), medium(ImageFormat::Png)).unwrap();
        (read(&png), None)
    } else {
        use image::ImageDecoder as _;
        let profile =
            bytes.starts_with(b"\x89PNG").then(|| PngDecoder::new(Cursor::new(bytes)).unwrap().icc_profile().unwrap());
        (read(bytes), profile.flatten())
    };
    let mut rgb = pixels.to_rgb8();
    if let Some(profile) = profile {
        use moxcms::{ColorProfile, Layout, TransformOptions};
        let profile = ColorProfile::new_from_slice(&profile).unwrap();
        let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
        let transform = profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options).unwrap();
        let source = rgb.clone();
        transform.transform(&source, &mut rgb).unwrap();
    }
    rgb
}

/// A PNG of one colour and its neighbours of the same kind, with chunks that say what it means.
fn flat(pixel: [u8; 3], chunks: &[Vec<u8>]) -> Vec<u8> {
    // Not one colour alone: palettes and small files would hide what is done.
    let pixels = image::RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb(if x > 60 { [(x * 3) as u8, (y * 5) as u8, 9] } else { pixel })
    });
    with_chunks(&encoded(&DynamicImage::ImageRgb8(pixels), image::ImageFormat::Png), chunks)
}

fn gama(gamma: f64) -> Vec<u8> {
    chunk(b"gAMA", &((gamma * 100_000.0).round() as u32).to_be_bytes())
}

fn chrm(numbers: [f64; 8]) -> Vec<u8> {
    let numbers: Vec<u8> =
        numbers.iter().flat_map(|number| ((number * 100_000.0).round() as u32).to_be_bytes()).collect();
    chunk(b"cHRM", &numbers)
}

const OF_SRGB: [f64; 8] = [0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06];
const OF_ADOBE: [f64; 8] = [0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06];
const OF_P3: [f64; 8] = [0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];

fn encoded_srgb(light: f64) -> f64 {
    let light = light.clamp(0.0, 1.0);
    255.0 * if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// Light of a number with a gamma, as a number of sRGB.
fn with_gamma(number: f64, gamma: f64) -> u8 {
    encoded_srgb((number / 255.0).powf(1.0 / gamma)).round() as u8
}

/// A PNG by its name, its pixel, the chunks that say what that means, and the colour in sRGB.
type ColorCase = (&'static str, [u8; 3], Vec<Vec<u8>>, [u8; 3]);

#[test]
fn the_colour_chunks_of_a_png_are_honoured_in_every_format() {
    let room = Room::new();
    let cicp = |numbers: [u8; 4]| chunk(b"cICP", &numbers);
    let srgb = chunk(b"sRGB", &[0]);
    let gamma_18 = |number: f64| with_gamma(number, 1.0 / 1.8);
    let cases: Vec<ColorCase> = vec![
        ("nothing said", [220, 160, 120], vec![], [220, 160, 120]),
        ("gAMA 1.0, grey", [128; 3], vec![gama(1.0)], [188; 3]),
        ("gAMA 1/1.8", [200, 100, 50], vec![gama(1.0 / 1.8)], [gamma_18(200.0), gamma_18(100.0), gamma_18(50.0)]),
        ("gAMA 1/2.2 is sRGB", [128, 90, 40], vec![gama(0.45455)], [128, 90, 40]),
        (
            "gAMA 1.0 and cHRM of sRGB",
            [128, 64, 32],
            vec![gama(1.0), chrm(OF_SRGB)],
            [188, with_gamma(64.0, 1.0), with_gamma(32.0, 1.0)],
        ),
        ("cHRM of P3", [220, 160, 120], vec![chrm(OF_P3)], [232, 158, 114]),
        ("gAMA 1/2.2 and cHRM of Adobe RGB", [150, 160, 120], vec![gama(0.45455), chrm(OF_ADOBE)], [146, 160, 118]),
        ("sRGB before gAMA", [128, 90, 40], vec![srgb.clone(), gama(1.0), chrm(OF_P3)], [128, 90, 40]),
        ("cICP P3", [220, 160, 120], vec![cicp([12, 13, 0, 1])], [232, 158, 114]),
        ("cICP P3 before sRGB and gAMA", [220, 160, 120], vec![cicp([12, 13, 0, 1]), srgb, gama(1.0)], [232, 158, 114]),
        ("cICP sRGB before gAMA", [128, 90, 40], vec![cicp([1, 13, 0, 1]), gama(1.0)], [128, 90, 40]),
        ("cICP BT.2020", [150, 160, 120], vec![cicp([9, 13, 0, 1])], [146, 161, 114]),
        ("cICP linear", [128; 3], vec![cicp([1, 8, 0, 1])], [188; 3]),
        ("cICP of unknown numbers leaves it to gAMA", [128; 3], vec![cicp([77, 13, 0, 1]), gama(1.0)], [188; 3]),
        ("cICP narrow range", [16, 126, 235], vec![cicp([1, 13, 0, 0])], [0, 128, 255]),
        ("cHRM that spans nothing", [128, 90, 40], vec![chrm([0.3; 8])], [128, 90, 40]),
    ];
    for (name, pixel, chunks, expected) in cases {
        let input = room.write(&flat(pixel, &chunks));
        let smaller = Some(Fit { width: Some(50), height: None });
        let wishes = [
            ("jpg", medium(ImageFormat::Jpeg)),
            ("webp", medium(ImageFormat::Webp)),
            ("avif", medium(ImageFormat::Avif)),
            ("gif", medium(ImageFormat::Gif)),
            ("png resized", Wish { fit: smaller, ..medium(ImageFormat::Png) }),
            ("jpg resized", Wish { fit: smaller, ..medium(ImageFormat::Jpeg) }),
        ];
        let mut off = Vec::new();
        for (format, wish) in wishes {
            let (made, output) = room.make(&input, wish).unwrap();
            let found = seen(&output).get_pixel(24, 20).0;
            if !found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) <= 4) {
                off.push(format!("{format}: {found:?} ({})", said(&made)));
            }
        }
        let measured = if off.is_empty() { format!("{expected:?} in all") } else { off.join("; ") };
        verdict(
            "M15 PNG colours by chunks",
            format!("{name}, {pixel:?}, to jpg, webp, avif, gif and smaller"),
            format!("{expected:?} in all"),
            measured,
            off.is_empty(),
        );
        // The same size: the chunks stay and so do the numbers, or what they mean.
        let (_, output) = room.make(&input, medium(ImageFormat::Png)).unwrap();
        for chunk in &chunks {
            assert!(output.windows(chunk.len()).any(|found| found == &chunk[..]), "{name}: a chunk is gone");
        }
        assert_eq!(read(&output).to_rgb8().get_pixel(24, 20).0, pixel, "{name}");
    }
}

#[test]
fn the_colour_chunks_of_grey_deep_and_transparent_pngs_are_honoured() {
    let room = Room::new();
    let grey = image::GrayImage::from_fn(64, 48, |x, _| image::Luma([if x > 60 { x as u8 } else { 128 }]));
    let grey_alpha = image::GrayAlphaImage::from_fn(64, 48, |x, _| image::LumaA([128, if x > 60 { 0 } else { 255 }]));
    let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_fn(64, 48, |x, y| {
        image::Rgb(if x > 60 { [x as u16 * 900, y as u16 * 900, 7] } else { [32_896, 16_448, 8_224] })
    });
    let clear =
        image::RgbaImage::from_fn(64, 48, |x, y| image::Rgba([128, 64, 32, if x > 60 { (y * 5) as u8 } else { 255 }]));
    let gamma = |number: f64| with_gamma(number, 1.0);
    let cases = [
        ("grey", DynamicImage::ImageLuma8(grey), [188; 3]),
        ("grey with transparency", DynamicImage::ImageLumaA8(grey_alpha), [188; 3]),
        ("16 bits", DynamicImage::ImageRgb16(deep), [188, gamma(64.0), gamma(32.0)]),
        ("transparency", DynamicImage::ImageRgba8(clear), [188, gamma(64.0), gamma(32.0)]),
    ];
    for (name, pixels, expected) in cases {
        let input = room.write(&with_chunks(&encoded(&pixels, image::ImageFormat::Png), &[gama(1.0)]));
        for format in [ImageFormat::Jpeg, ImageFormat::Webp, ImageFormat::Avif, ImageFormat::Gif, ImageFormat::Png] {
            let fit = (format == ImageFormat::Png).then_some(Fit { width: Some(50), height: None });
            let (made, output) = room.make(&input, Wish { fit, ..medium(format) }).unwrap();
            let found = seen(&output).get_pixel(24, 20).0;
            let near = found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) <= 4);
            verdict(
                "M15 PNG colours by chunks",
                format!("{name}, gAMA 1.0, to {}", format.extension()),
                format!("{expected:?}"),
                format!("{found:?}"),
                near,
            );
            assert!(said(&made).contains("gamma of 1.00"), "{}", said(&made));
            if let ("16 bits", ImageFormat::Png) = (name, format) {
                assert!(matches!(read(&output), DynamicImage::ImageRgb16(_)), "a deep picture became shallow");
            }
        }
    }
    // A palette, and a colour of it that is transparent.
    let mut drawing = image::RgbaImage::from_fn(200, 150, |x, y| {
        let shade = ((x * 37 + y * 91) % 251) as u8;
        image::Rgba([128, 64, shade / 4, 255])
    });
    (0..40).for_each(|x| drawing.put_pixel(x, 3, image::Rgba([0, 0, 0, 0])));
    let png = with_chunks(&encoded(&DynamicImage::ImageRgba8(drawing), image::ImageFormat::Png), &[gama(1.0)]);
    for level in [Level::High, Level::Ultra] {
        let (made, output) = room.make(&room.write(&png), Wish { level, ..to(ImageFormat::Png) }).unwrap();
        let keeps = output.windows(4).any(|name| name == b"gAMA");
        let expected = if keeps { 128 } else { 188 };
        let found = read(&output).to_rgb8().get_pixel(100, 75).0[0];
        assert!(found.abs_diff(expected) <= 3, "{found}, not {expected}: {}", said(&made));
    }
}

#[test]
fn the_p3_and_gamma_files_of_the_field_are_shown_right() {
    let room = Room::new();
    let source = image::open(field("cicp_p3.png")).unwrap().to_rgb8();
    let at = source
        .enumerate_pixels()
        .find(|(.., pixel)| pixel.0 == [220, 160, 120])
        .map(|(x, y, _)| (x + 8, y + 8))
        .unwrap();
    let grey = image::open(field("gama1.png")).unwrap().to_rgb8();
    let of_grey =
        grey.enumerate_pixels().find(|(.., pixel)| pixel.0 == [128; 3]).map(|(x, y, _)| (x + 8, y + 8)).unwrap();
    for format in [ImageFormat::Jpeg, ImageFormat::Webp, ImageFormat::Avif] {
        for (name, (x, y), expected) in [("cicp_p3.png", at, [232, 158, 114]), ("gama1.png", of_grey, [188; 3])] {
            let (made, output) = room.make(&field(name), to(format)).unwrap();
            let found = seen(&output).get_pixel(x, y).0;
            let near = found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) <= 4);
            verdict(
                "M15 PNG colours by chunks",
                format!("{name} to {}", format.extension()),
                format!("{expected:?}"),
                format!("{found:?} ({})", said(&made)),
                near,
            );
        }
    }
}

#[test]
fn high_dynamic_range_is_mapped_where_it_cannot_be_kept() {
    let room = Room::new();
    // Numbers of 16 bits for 203 nits: 0.5807 of PQ, 0.75 of HLG. Source: BT.2408-5, table 1.
    let deep = |number: f64| {
        let number = (number * 65_535.0) as u16;
        let pixel = move |x: u32, y: u32| if x > 60 { [x as u16 * 900, y as u16 * 900, 7] } else { [number; 3] };
        let pixels = image::ImageBuffer::<image::Rgb<u16>, Vec<u16>>::from_fn(64, 48, |x, y| image::Rgb(pixel(x, y)));
        encoded(&DynamicImage::ImageRgb16(pixels), image::ImageFormat::Png)
    };
    let cases = [
        ("PQ, white of 203 nits", deep(0.5807), 16, 232..=250),
        ("HLG, white of 203 nits", deep(0.75), 18, 232..=250),
        ("PQ, the brightest", deep(0.7518), 16, 252..=255),
        ("PQ, 18 % of white", deep(0.3989), 16, 110..=124),
        ("PQ, black", deep(0.0), 16, 0..=1),
    ];
    for (name, png, transfer, expected) in cases {
        let png = with_chunks(&png, &[chunk(b"cICP", &[9, transfer, 0, 1])]);
        for format in [ImageFormat::Jpeg, ImageFormat::Webp, ImageFormat::Avif] {
            let (made, output) = room.make(&room.write(&png), medium(format)).unwrap();
            let found = seen(&output).get_pixel(24, 20).0;
            assert!(said(&made).contains("high dynamic range"), "{}", said(&made));
            verdict(
                "M15 PNG of high dynamic range",
                format!("{name} to {}", format.extension()),
                format!("{expected:?}"),
                format!("{found:?}"),
                found.iter().all(|found| expected.contains(found)),
            );
        }
        let fit = Some(Fit { width: Some(50), height: None });
        let (made, output) = room.make(&room.write(&png), Wish { fit, ..to(ImageFormat::Png) }).unwrap();
        assert!(output.windows(8).any(|found| found == [b'c', b'I', b'C', b'P', 9, transfer, 0, 1]), "{}", said(&made));
        assert!(matches!(read(&output), DynamicImage::ImageRgb16(_)) && said(&made).contains("range kept"));
    }
}

/// A directory of a TIFF: tags with their numbers, shorts where they fit, and the bytes of its strip.
struct Sheet {
    tags: Vec<(u16, Vec<u32>)>,
    strip: Vec<u8>,
    /// A directory below it, as cameras have it.
    below: Option<Box<Self>>,
}

fn sheet(width: u32, height: u32, photometric: u32, bits: &[u32], strip: Vec<u8>) -> Sheet {
    let tags = vec![
        (256, vec![width]),
        (257, vec![height]),
        (258, bits.to_vec()),
        (259, vec![1]),
        (262, vec![photometric]),
        (277, vec![bits.len() as u32]),
        (278, vec![height]),
        (279, vec![strip.len() as u32]),
    ];
    Sheet { tags, strip, below: None }
}

impl Sheet {
    fn with(mut self, tag: u16, numbers: &[u32]) -> Self {
        self.tags.retain(|(there, _)| *there != tag);
        self.tags.push((tag, numbers.to_vec()));
        self
    }

    fn text(self, tag: u16, text: &str) -> Self {
        // Told apart by the tag when it is written.
        self.with(tag, &text.bytes().map(u32::from).collect::<Vec<_>>())
    }
}

/// A TIFF of pages, in either order of bytes.
fn tiff(pages: &[Sheet], is_little: bool) -> Vec<u8> {
    let short = |number: u32| if is_little { (number as u16).to_le_bytes() } else { (number as u16).to_be_bytes() };
    let long = |number: u32| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
    let mut file = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
    file.extend(long(8));
    type Write<'a> = &'a dyn Fn(&mut Vec<u8>, &Sheet, bool, &dyn Fn(&mut Vec<u8>, &Sheet) -> u32);
    let write: Write<'_> = &|file, sheet, is_last, below| {
        let mut tags = sheet.tags.clone();
        let strips = tags.iter().find(|(tag, _)| *tag == 279).map_or(1, |(_, lengths)| lengths.len());
        tags.push((273, vec![0; strips]));
        if sheet.below.is_some() {
            tags.push((330, vec![0]));
        }
        tags.sort();
        let at = file.len();
        file.extend(short(tags.len() as u32));
        let (mut entries, mut values) = (Vec::new(), Vec::new());
        let behind = at + 2 + tags.len() * 12 + 4;
        let mut patches = Vec::new();
        for (tag, numbers) in &tags {
            let is_text = matches!(tag, 271 | 272 | 50706);
            let is_long = numbers.iter().any(|&number| number > 65_535) || matches!(tag, 273 | 330);
            let (kind, bytes): (u32, Vec<u8>) = match (is_text, is_long) {
                (true, _) => (if *tag == 50706 { 1 } else { 2 }, numbers.iter().map(|&number| number as u8).collect()),
                (_, true) => (4, numbers.iter().flat_map(|&number| long(number)).collect()),
                _ => (3, numbers.iter().flat_map(|&number| short(number)).collect()),
            };
            entries.extend([&short(u32::from(*tag))[..], &short(kind), &long(numbers.len() as u32)].concat());
            if *tag == 273 || *tag == 330 {
                let inline = at + 2 + entries.len();
                patches.push((*tag, if bytes.len() <= 4 { inline } else { behind + values.len() }));
            }
            if bytes.len() <= 4 {
                let mut inline = bytes;
                inline.resize(4, 0);
                entries.extend(inline);
            } else {
                entries.extend(long((behind + values.len()) as u32));
                values.extend(bytes);
            }
        }
        file.extend(entries);
        let next = file.len();
        file.extend(long(0));
        file.extend(values);
        for (tag, place) in patches {
            if let (330, Some(sheet)) = (tag, &sheet.below) {
                let from = below(file, sheet);
                file[place..place + 4].copy_from_slice(&long(from));
                continue;
            }
            let from = file.len();
            file.extend_from_slice(&sheet.strip);
            for strip in 0..strips {
                let from = long((from + strip * sheet.strip.len() / strips) as u32);
                file[place + strip * 4..place + strip * 4 + 4].copy_from_slice(&from);
            }
        }
        if !is_last {
            let end = long(file.len() as u32);
            file[next..next + 4].copy_from_slice(&end);
        }
    };
    let nothing_below = |_: &mut Vec<u8>, _: &Sheet| 0;
    let below = |file: &mut Vec<u8>, sheet: &Sheet| {
        let at = file.len() as u32;
        write(file, sheet, true, &nothing_below);
        at
    };
    for (number, page) in pages.iter().enumerate() {
        write(&mut file, page, number + 1 == pages.len(), &below);
    }
    file
}

/// A sheet of 40 x 30 in one colour.
fn plain_sheet() -> Sheet {
    sheet(40, 30, 2, &[8, 8, 8], [200, 100, 50].repeat(1200))
}

#[test]
fn of_a_tiff_of_several_pages_the_plan_says_so() {
    let room = Room::new();
    let three = std::fs::read(field("t_multi.tif")).unwrap();
    let copy = || plain_sheet().with(254, &[1]);
    let cases = [
        ("t_multi.tif, 3 pages", three, 3),
        ("2 pages, the other order of bytes", tiff(&[plain_sheet(), plain_sheet()], false), 2),
        ("1 page with a smaller copy behind it", tiff(&[plain_sheet(), copy()], true), 1),
        ("a smaller copy, then 2 pages", tiff(&[copy(), plain_sheet(), plain_sheet()], true), 2),
        ("40 pages", tiff(&(0..40).map(|_| plain_sheet()).collect::<Vec<_>>(), true), 40),
        ("1 page", tiff(&[plain_sheet()], true), 1),
    ];
    for (name, file, pages) in cases {
        for format in [None, Some(ImageFormat::Jpeg), Some(ImageFormat::Gif), Some(ImageFormat::Webp)] {
            let (made, output) = room.make(&room.write(&file), Wish { format, ..Wish::default() }).unwrap();
            let words = format!("the first of {pages} pages");
            let expected = (pages > 1).then(|| words.clone());
            let frames = made.info.video.as_ref().unwrap().frames;
            verdict(
                "M16 TIFF of several pages",
                format!("{name}, to {}", made.format.extension()),
                format!("{expected:?}, a still"),
                format!("{:?} ({})", made.lost, said(&made)),
                made.lost == expected
                    && said(&made).contains(&words) == (pages > 1)
                    && frames == Some(1)
                    && !output.is_empty(),
            );
        }
        let seen = reelhook_media::image::inspect(&room.write(&file), &room.limits).unwrap();
        assert_eq!(seen.info().video.unwrap().frames, Some(pages));
    }
    // A chain that comes back to itself ends.
    let mut looped = tiff(&[plain_sheet(), plain_sheet()], true);
    let last = 4 + 8 + 2 + 9 * 12;
    let second = u32::from_le_bytes(looped[last - 4..last].try_into().unwrap()) as usize;
    let end = second + 2 + 9 * 12;
    looped[end..end + 4].copy_from_slice(&8_u32.to_le_bytes());
    let (made, _) = room.make(&room.write(&looped), Wish::default()).unwrap();
    assert_eq!(made.lost.as_deref(), Some("the first of 2 pages"));
}

#[test]
fn camera_raw_is_refused_by_its_name_and_a_scan_is_not() {
    let room = Room::new();
    let preview = || plain_sheet().with(254, &[1]).text(271, "NIKON CORPORATION");
    let sensor = |compression: u32| sheet(40, 30, 32803, &[8], vec![0; 1200]).with(259, &[compression]);
    let below = |sheet: Sheet, below: Sheet| Sheet { below: Some(Box::new(below)), ..sheet };
    let signed = |signature: &[u8]| [signature, &[0; 4000]].concat();
    let dng = |file: &str| std::fs::read(field(file)).unwrap();
    let late = {
        // Pixels first and the directory behind them, as some write it.
        let mut file = tiff(&[plain_sheet().text(50706, "\u{1}\u{4}\0\0")], true);
        let directory = file.split_off(8);
        let shift = 200_000_u32;
        file[4..8].copy_from_slice(&(8 + shift).to_le_bytes());
        file.resize(8 + shift as usize, 7);
        file.extend(directory);
        file
    };
    let cases = [
        ("fake.dng", dng("fake.dng"), Some("DNG")),
        ("DNG whose directory is at the end", late, Some("DNG")),
        ("a preview of Nikon and a sensor below it", tiff(&[below(preview(), sensor(34713))], false), Some("NEF")),
        ("a preview of Sony", tiff(&[below(preview().text(271, "SONY"), sensor(32767))], true), Some("ARW")),
        ("a sensor of Pentax", tiff(&[sensor(65535).text(271, "PENTAX")], false), Some("PEF")),
        (
            "a sensor of Samsung behind a picture",
            tiff(&[plain_sheet().text(271, "SAMSUNG"), sensor(32770)], true),
            Some("SRW"),
        ),
        ("a preview of Hasselblad", tiff(&[below(preview().text(271, "Hasselblad"), sensor(1))], false), Some("3FR")),
        ("CR2", signed(b"II*\0\x10\0\0\0CR\x02\0"), Some("CR2")),
        ("CR3", signed(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"), Some("CR3")),
        ("ORF", signed(b"IIRO\x08\0\0\0"), Some("ORF")),
        ("RW2", signed(b"IIU\0\x18\0\0\0"), Some("RW2")),
        ("RAF", signed(b"FUJIFILMCCD-RAW 0201FF383501"), Some("RAF")),
        ("X3F", signed(b"FOVb\0\0\x02\0"), Some("X3F")),
        ("MRW", signed(b"\0MRM\0\0\0\0"), Some("MRW")),
        (
            "a scan with maker and model",
            tiff(&[plain_sheet().text(271, "EPSON").text(272, "Perfection V600")], true),
            None,
        ),
        (
            "a finished picture of a camera",
            tiff(&[plain_sheet().text(271, "NIKON CORPORATION").text(272, "NIKON D850")], false),
            None,
        ),
        (
            "a scan with a smaller copy below it",
            tiff(&[below(plain_sheet().text(271, "Canon"), plain_sheet().with(254, &[1]))], true),
            None,
        ),
        ("a smaller copy first, and nothing below", tiff(&[plain_sheet().with(254, &[1]), plain_sheet()], true), None),
    ];
    for (name, file, raw) in cases {
        let measured = match room.make(&room.write(&file), Wish::default()) {
            Ok(_) => "taken".to_owned(),
            Err(error) => failure(&error),
        };
        let expected = raw.map_or("taken".to_owned(), |raw| format!("unsupported_media: the input is a camera RAW image ({raw}), which is not supported; convert it to TIFF or JPEG first"));
        verdict("M11 camera RAW", name, &expected, &measured, measured == expected);
    }
}

#[test]
fn tiffs_in_any_colours_are_read() {
    let room = Room::new();
    let check = |source: &str, file: &[u8], at: (u32, u32), expected: [u8; 4], near: u8| {
        let measured = match room.make(&room.write(file), medium(ImageFormat::Png)) {
            Ok((_, output)) => format!("{:?}", read(&output).to_rgba8().get_pixel(at.0, at.1).0),
            Err(error) => failure(&error),
        };
        let found: Vec<u8> =
            measured.trim_matches(['[', ']']).split(", ").filter_map(|channel| channel.parse().ok()).collect();
        let holds =
            found.len() == 4 && found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= near);
        verdict("MG9 TIFF in any colours", source, format!("{expected:?}"), measured, holds);
    };
    let (made, output) = room.make(&field("t_pal.tif"), medium(ImageFormat::Png)).unwrap();
    let off = distance(&read(&output), &chart());
    verdict(
        "MG9 TIFF in any colours",
        "t_pal.tif, a palette",
        "at most 20 from the chart",
        format!("{off:.1} ({})", said(&made)),
        off < 20.0,
    );
    let (_, output) = room.make(&field("t_big.tif"), medium(ImageFormat::Png)).unwrap();
    let found = read(&output).dimensions();
    verdict(
        "MG9 TIFF in any colours",
        "t_big.tif, BigTIFF",
        "100 x 75",
        format!("{} x {}", found.0, found.1),
        found == (100, 75),
    );

    let fill = |pixel: &[u8]| pixel.repeat(1200);
    let words = |pixel: &[u16]| pixel.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>().repeat(1200);
    let map: Vec<u32> = [0, 65_535, 0, 51_400, 0, 0, 65_535, 25_700, 0, 65_535, 0, 12_850].to_vec();
    check(
        "a palette of 2 bits",
        &tiff(&[sheet(40, 30, 3, &[2], vec![0b1110_0111; 300]).with(320, &map)], true),
        (0, 3),
        [200, 100, 50, 255],
        1,
    );
    let map: Vec<u32> =
        (0..3).flat_map(|row| (0..256).map(move |index| if index == 9 { [200, 100, 50][row] } else { 0 })).collect();
    check(
        "a palette that fills 8 bits of 16",
        &tiff(&[sheet(40, 30, 3, &[8], fill(&[9])).with(320, &map)], false),
        (7, 7),
        [200, 100, 50, 255],
        1,
    );
    check("grey of 4 bits", &tiff(&[sheet(40, 30, 1, &[4], vec![0x99; 600])], true), (5, 5), [153, 153, 153, 255], 1);
    check(
        "grey of 8 bits, white is 0",
        &tiff(&[sheet(40, 30, 0, &[8], fill(&[55]))], true),
        (5, 5),
        [200, 200, 200, 255],
        0,
    );
    check(
        "grey with transparency",
        &tiff(&[sheet(40, 30, 1, &[8, 8], fill(&[100, 128])).with(338, &[2])], true),
        (5, 5),
        [100, 100, 100, 128],
        0,
    );
    check(
        "grey with a sample that means nothing",
        &tiff(&[sheet(40, 30, 1, &[8, 8], fill(&[100, 128])).with(338, &[0])], true),
        (5, 5),
        [100, 100, 100, 255],
        0,
    );
    check(
        "colours multiplied by their transparency",
        &tiff(&[sheet(40, 30, 2, &[8; 4], fill(&[100, 50, 25, 128])).with(338, &[1])], true),
        (5, 5),
        [199, 99, 49, 128],
        1,
    );
    check("inks", &tiff(&[sheet(40, 30, 5, &[8; 4], fill(&[55, 155, 205, 0]))], true), (5, 5), [200, 100, 50, 255], 1);
    check(
        "inks of 16 bits",
        &tiff(&[sheet(40, 30, 5, &[16; 4], words(&[14_135, 39_835, 52_685, 0]))], true),
        (5, 5),
        [200, 100, 50, 255],
        2,
    );
    check("inks in planes", &tiff(&[planes(&[55, 155, 205, 0], 5)], true), (5, 5), [200, 100, 50, 255], 1);
    check("colours in planes", &tiff(&[planes(&[200, 100, 50], 2)], true), (5, 5), [200, 100, 50, 255], 1);
    // Luma 124, chroma 86 and 182: 200, 100, 49.
    check(
        "luma and chroma",
        &tiff(&[sheet(40, 30, 6, &[8; 3], fill(&[124, 86, 182])).with(530, &[1, 1])], true),
        (5, 5),
        [200, 100, 50, 255],
        2,
    );
    let blocks = [124, 124, 124, 124, 86, 182].repeat(300);
    check(
        "luma and chroma of 2 x 2 pixels",
        &tiff(&[sheet(40, 30, 6, &[8; 3], blocks).with(530, &[2, 2])], true),
        (39, 29),
        [200, 100, 50, 255],
        2,
    );
    let blocks = [124, 124, 86, 182].repeat(600);
    check(
        "luma and chroma of 2 x 1 pixels",
        &tiff(&[sheet(40, 30, 6, &[8; 3], blocks).with(530, &[2, 1])], false),
        (39, 29),
        [200, 100, 50, 255],
        2,
    );
    // Lab of (200, 100, 50): 52.9, 35.4, 45.9 with the white of profiles.
    let lab = lab_of([200, 100, 50]);
    let signed = [(lab[0] * 2.55).round() as u8, lab[1].round() as i8 as u8, lab[2].round() as i8 as u8];
    check("CIE Lab", &tiff(&[sheet(40, 30, 8, &[8; 3], fill(&signed))], true), (5, 5), [200, 100, 50, 255], 4);
    let moved = [(lab[0] * 2.55).round() as u8, (lab[1] + 128.0).round() as u8, (lab[2] + 128.0).round() as u8];
    check("Lab of profiles", &tiff(&[sheet(40, 30, 9, &[8; 3], fill(&moved))], true), (5, 5), [200, 100, 50, 255], 4);
    check(
        "a smaller copy before the page",
        &tiff(&[sheet(20, 15, 2, &[8; 3], [9, 9, 9].repeat(300)).with(254, &[1]), plain_sheet()], true),
        (39, 29),
        [200, 100, 50, 255],
        0,
    );

    let error = room.make(&room.write(&tiff(&[plain_sheet().with(259, &[6])], true)), Wish::default()).unwrap_err();
    assert!(
        failure(&error).starts_with("unsupported_media: the input is tiff with JPEG compression"),
        "{}",
        failure(&error)
    );
}

/// A sheet of 40 x 30 whose samples lie plane after plane.
fn planes(pixel: &[u8], photometric: u32) -> Sheet {
    let strip: Vec<u8> = pixel.iter().flat_map(|&sample| [sample; 1200]).collect();
    sheet(40, 30, photometric, &vec![8; pixel.len()], strip).with(284, &[2]).with(279, &vec![1200; pixel.len()])
}

fn lab_of(pixel: [u8; 3]) -> [f64; 3] {
    let linear = pixel.map(|channel| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    // sRGB to the connection space of profiles, by Bradford.
    let matrix = [[0.436_07, 0.385_15, 0.143_07], [0.222_49, 0.716_89, 0.060_61], [0.013_92, 0.097_08, 0.714_10]];
    let white = [0.9642, 1.0, 0.8249];
    let root = |row: usize| {
        let share = matrix[row].iter().zip(linear).map(|(share, light)| share * light).sum::<f64>() / white[row];
        if share > 216.0 / 24_389.0 { share.cbrt() } else { share * 841.0 / 108.0 + 4.0 / 29.0 }
    };
    [116.0 * root(1) - 16.0, 500.0 * (root(0) - root(1)), 200.0 * (root(1) - root(2))]
}

/// An icon (or a cursor, with a hot spot far out) of pictures with their sides.
fn icon(pictures: &[(u8, u8, Vec<u8>)], is_cursor: bool) -> Vec<u8> {
    let mut file = vec![0, 0, if is_cursor { 2 } else { 1 }, 0, pictures.len() as u8, 0];
    let mut at = 6 + 16 * pictures.len();
    for (width, height, bytes) in pictures {
        file.extend([*width, *height, 0, 0]);
        file.extend(if is_cursor { [44, 1, 44, 1] } else { [1, 0, 32, 0] });
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend((at as u32).to_le_bytes());
        at += bytes.len();
    }
    pictures.iter().for_each(|(.., bytes)| file.extend_from_slice(bytes));
    file
}

/// The inside of a bitmap of 16 x 16 in one colour, the mask hiding the upper half.
fn bitmap(bits: u16) -> Vec<u8> {
    let mut bytes = 40_u32.to_le_bytes().to_vec();
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(32_u32.to_le_bytes());
    bytes.extend([1, 0]);
    bytes.extend(bits.to_le_bytes());
    bytes.extend([0; 24]);
    if bits <= 8 {
        let colors = 1_usize << bits;
        bytes.extend([[0, 0, 0, 0], [50, 100, 200, 0]].iter().cycle().take(colors).flatten());
    }
    let row: Vec<u8> = match bits {
        1 => vec![0xFF; 4],
        4 => vec![0x11; 8],
        8 => vec![1; 16],
        24 => [50, 100, 200].repeat(16),
        // Transparency that is nowhere set.
        _ => [50, 100, 200, 0].repeat(16),
    };
    bytes.extend(row.repeat(16));
    // From the bottom up: shown, then hidden.
    bytes.extend([0, 0, 0, 0].repeat(8));
    bytes.extend([0xFF, 0xFF, 0, 0].repeat(8));
    bytes
}

#[test]
fn icons_and_cursors_are_read_whatever_is_in_them() {
    let room = Room::new();
    let png = |pixels: DynamicImage| encoded(&pixels, image::ImageFormat::Png);
    let rgb =
        |width, height| DynamicImage::ImageRgb8(image::RgbImage::from_pixel(width, height, image::Rgb([200, 100, 50])));
    let deep = DynamicImage::ImageRgb16(image::ImageBuffer::from_pixel(24, 24, image::Rgb([51_400, 25_700, 12_850])));
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(24, 24, image::Luma([99])));
    let small = || (8, 8, png(DynamicImage::ImageRgba8(image::RgbaImage::new(8, 8))));
    let paletted = {
        // What no encoder here writes: a palette in the PNG of an entry.
        let row = [&[0_u8][..], &[1; 24]].concat().repeat(24);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &row).unwrap();
        let header = [&24_u32.to_be_bytes()[..], &24_u32.to_be_bytes(), &[8, 3, 0, 0, 0]].concat();
        let parts = [
            chunk(b"IHDR", &header),
            chunk(b"PLTE", &[0, 0, 0, 200, 100, 50]),
            chunk(b"IDAT", &packed.finish().unwrap()),
            chunk(b"IEND", b""),
        ];
        [b"\x89PNG\r\n\x1A\n".to_vec(), parts.concat()].concat()
    };
    let color = [200, 100, 50, 255];
    let cases = [
        ("multi.ico", std::fs::read(field("multi.ico")).unwrap(), (32, 24), None, 2),
        ("PNG without transparency", icon(&[small(), (24, 24, png(rgb(24, 24)))], false), (24, 24), Some(color), 2),
        ("PNG of 16 bits", icon(&[(24, 24, png(deep)), small()], false), (24, 24), Some(color), 2),
        ("grey PNG", icon(&[(24, 24, png(grey))], false), (24, 24), Some([99, 99, 99, 255]), 1),
        ("PNG with a palette", icon(&[(24, 24, paletted)], false), (24, 24), Some(color), 1),
        ("PNG larger than its entry says", icon(&[(0, 0, png(rgb(512, 512)))], false), (512, 512), Some(color), 1),
        ("a cursor of a PNG", icon(&[(24, 24, png(rgb(24, 24)))], true), (24, 24), Some(color), 1),
        ("a cursor of a bitmap", icon(&[(16, 16, bitmap(24))], true), (16, 16), Some(color), 1),
        ("bitmap of 1 bit", icon(&[(16, 16, bitmap(1))], false), (16, 16), Some(color), 1),
        ("bitmap of 4 bits", icon(&[(16, 16, bitmap(4))], false), (16, 16), Some(color), 1),
        ("bitmap of 8 bits", icon(&[(16, 16, bitmap(8))], false), (16, 16), Some(color), 1),
        ("bitmap of 24 bits", icon(&[(16, 16, bitmap(24))], false), (16, 16), Some(color), 1),
        ("bitmap of 32 bits without transparency", icon(&[(16, 16, bitmap(32))], false), (16, 16), Some(color), 1),
    ];
    for (name, file, size, pixel, count) in cases {
        let (measured, holds) = match room.make(&room.write(&file), medium(ImageFormat::Png)) {
            Ok((made, output)) => {
                let pixels = read(&output).to_rgba8();
                let found = pixels.get_pixel(size.0 / 2, pixels.height() - 3).0;
                let lost = (count > 1).then(|| format!("the largest of {count} pictures"));
                let hidden = !name.contains("bitmap") || pixels.get_pixel(3, 3).0[3] == 0;
                let holds = pixels.dimensions() == size
                    && pixel.is_none_or(|pixel| pixel == found)
                    && hidden
                    && made.lost == lost;
                (format!("{:?}, {found:?}, {:?}", pixels.dimensions(), made.lost), holds)
            }
            Err(error) => (failure(&error), false),
        };
        verdict("M26 icons and cursors", name, format!("{size:?}, {pixel:?}, {count} in it"), measured, holds);
    }
}

/// Something like a photograph, with no two rows alike.
fn photo(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let wave = 40.0 * (u * 37.0 + v * 11.0).sin() + 30.0 * (v * 53.0 - u * 7.0).cos();
        let grain = f64::from((x * 7919 + y * 104_729) % 23);
        image::Rgb(
            [110.0 + 100.0 * u, 90.0 + 120.0 * v, 140.0 - 60.0 * u]
                .map(|base| (base + wave + grain).clamp(0.0, 255.0) as u8),
        )
    })
}

fn jpeg(pixels: &image::RgbImage, progressive: bool, exif: Option<u8>) -> Vec<u8> {
    let mut compress = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    if !progressive {
        compress.set_fastest_defaults();
    }
    compress.set_size(pixels.width() as usize, pixels.height() as usize);
    compress.set_quality(90.0);
    compress.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    let mut started = compress.start_compress(Vec::new()).unwrap();
    if let Some(orientation) = exif {
        let block =
            [b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation, 0, 0, 0, 0, 0, 0][..]].concat();
        started.write_marker(mozjpeg::Marker::APP(1), &block);
    }
    started.write_scanlines(pixels.as_raw()).unwrap();
    started.finish().unwrap()
}

/// A PNG in seven passes.
fn interlaced(pixels: &image::RgbImage) -> Vec<u8> {
    let passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let mut raw = Vec::new();
    for (left, top, right, down) in passes {
        for y in (top..pixels.height()).step_by(down) {
            raw.push(0);
            (left..pixels.width()).step_by(right).for_each(|x| raw.extend(pixels.get_pixel(x, y).0));
        }
    }
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &raw).unwrap();
    let header = [&pixels.width().to_be_bytes()[..], &pixels.height().to_be_bytes(), &[8, 2, 0, 0, 1]].concat();
    let parts = [chunk(b"IHDR", &header), chunk(b"IDAT", &packed.finish().unwrap()), chunk(b"IEND", b"")];
    [b"\x89PNG\r\n\x1A\n".to_vec(), parts.concat()].concat()
}

fn salvaged() -> Wish {
    Wish { damage: reelhook_media::Damage::Salvage, ..medium(ImageFormat::Png) }
}

#[test]
fn a_picture_that_lacks_only_its_last_marker_is_whole() {
    let room = Room::new();
    let source = photo(150, 110);
    let png = encoded(&DynamicImage::ImageRgb8(source.clone()), image::ImageFormat::Png);
    let gif = std::fs::read(field("anim.png"))
        .map(|png| room.make(&room.write(&png), to(ImageFormat::Gif)).unwrap().1)
        .unwrap();
    let cut = |bytes: Vec<u8>, by: usize| bytes[..bytes.len() - by].to_vec();
    let cases = [
        ("jpg_noeoi.jpg", std::fs::read(field("jpg_noeoi.jpg")).unwrap()),
        ("baseline JPEG", cut(jpeg(&source, false, None), 2)),
        ("baseline JPEG with half of its end marker", cut(jpeg(&source, false, None), 1)),
        ("progressive JPEG", cut(jpeg(&source, true, None), 2)),
        ("turned JPEG", cut(jpeg(&source, false, Some(6)), 2)),
        ("PNG without IEND", cut(png.clone(), 12)),
        ("PNG with half of IEND", cut(png, 7)),
        ("interlaced PNG without IEND", cut(interlaced(&source), 12)),
        ("GIF without its trailer", cut(gif, 1)),
    ];
    for (name, bytes) in cases {
        for format in [None, Some(ImageFormat::Png), Some(ImageFormat::Webp)] {
            let made = room.make(&room.write(&bytes), Wish { format, level: Level::Medium, ..Wish::default() });
            let (measured, holds) = match &made {
                Ok((made, output)) => {
                    let fits = output.len() <= bytes.len() + 12 || made.info.format != "jpg";
                    (said(made), made.missing.is_none() && fits && !output.is_empty())
                }
                Err(error) => (failure(error), false),
            };
            verdict(
                "M17 pictures without their end",
                format!("{name}, strict, to {format:?}"),
                "taken as whole",
                measured,
                holds,
            );
        }
    }
}

#[test]
fn of_a_picture_that_is_cut_what_is_there_is_used_and_measured() {
    let room = Room::new();
    let source = photo(320, 240);
    let plain = DynamicImage::ImageRgb8(source.clone());
    let webp = room.make(&room.write(&encoded(&plain, image::ImageFormat::Png)), medium(ImageFormat::Webp)).unwrap().1;
    let gif = room.make(&room.write(&encoded(&plain, image::ImageFormat::Png)), medium(ImageFormat::Gif)).unwrap().1;
    let deep = DynamicImage::ImageRgb16(plain.to_rgb16());
    let clear = DynamicImage::ImageRgba8(plain.to_rgba8());
    let cases = [
        ("baseline JPEG", jpeg(&source, false, None), 0.25..=0.55),
        ("turned JPEG", jpeg(&source, false, Some(6)), 0.25..=0.55),
        ("progressive JPEG", jpeg(&source, true, None), 0.05..=0.9),
        ("PNG", encoded(&plain, image::ImageFormat::Png), 0.25..=0.55),
        ("PNG of 16 bits", encoded(&deep, image::ImageFormat::Png), 0.25..=0.55),
        ("PNG with transparency", encoded(&clear, image::ImageFormat::Png), 0.25..=0.55),
        ("interlaced PNG", interlaced(&source), 0.25..=0.55),
        ("GIF", gif, 0.2..=0.6),
        ("WebP", webp, 0.2..=0.7),
    ];
    for (name, whole, missing) in cases {
        let bytes = &whole[..whole.len() * 6 / 10];
        let input = room.write(bytes);
        let error = room.make(&input, medium(ImageFormat::Png)).expect_err("a cut picture is not taken silently");
        assert!(
            failure(&error).contains("input_damaged") && failure(&error).contains("its end is missing"),
            "{name}: {}",
            failure(&error)
        );
        let shown = room.make(&room.write(&whole), medium(ImageFormat::Png)).map(|(_, output)| read(&output)).unwrap();
        let (measured, holds) = match room.make(&room.write(bytes), salvaged()) {
            Ok((made, output)) => {
                let part = read(&output);
                // The part of the picture that is there in both: of turned pictures the right, else the top.
                let (width, height) = part.dimensions();
                let place = if name.starts_with("turned") { (width - 60, 0, 60, height) } else { (0, 0, width, 60) };
                let crop = |pixels: &DynamicImage| pixels.crop_imm(place.0, place.1, place.2, place.3);
                let off = distance(&crop(&part), &crop(&shown));
                let share = made.missing.unwrap_or(0.0);
                let near = if name.starts_with("progressive") || name.starts_with("interlaced") { 25.0 } else { 3.0 };
                let told = said(&made).contains("the source is damaged");
                (
                    format!("{share:.2} missing, {off:.1} off ({})", said(&made)),
                    missing.contains(&share) && off < near && told && part.dimensions() == shown.dimensions(),
                )
            }
            Err(error) => (failure(&error), false),
        };
        verdict(
            "M17 pictures without their end",
            format!("{name} cut to 60 %, salvage"),
            format!("{missing:?} of it missing, the rest right"),
            measured,
            holds,
        );
        // Nothing but a header is nothing.
        let least = room.make(&room.write(&whole[..60]), salvaged());
        assert!(
            least.is_err_and(|error| error.failure().is_some_and(|failure| failure.code == "input_damaged")),
            "{name}"
        );
    }
}

#[test]
fn of_an_animation_that_is_cut_the_whole_frames_are_kept() {
    let room = Room::new();
    let png = std::fs::read(field("ff.png")).unwrap();
    let into = |format| room.make(&room.write(&png), to(format)).unwrap().1;
    for (name, whole) in [("GIF", into(ImageFormat::Gif)), ("WebP", into(ImageFormat::Webp)), ("PNG", png.clone())] {
        let bytes = &whole[..whole.len() * 7 / 10];
        let error = room.make(&room.write(bytes), Wish::default()).expect_err("a cut animation is not taken silently");
        assert!(failure(&error).contains("input_damaged"), "{name}: {}", failure(&error));
        let made = room.make(&room.write(bytes), Wish { damage: reelhook_media::Damage::Salvage, ..Wish::default() });
        let (measured, holds) = match made {
            Ok((made, output)) => {
                let frames = played(&output).1.len();
                (
                    format!("{frames} frames, {:?} missing ({})", made.missing, said(&made)),
                    (3..10).contains(&frames) && made.missing.is_some_and(|share| share > 0.0 && share < 1.0),
                )
            }
            Err(error) => (failure(&error), false),
        };
        verdict(
            "M17 pictures without their end",
            format!("animated {name} cut to 70 %, salvage"),
            "3 to 9 of 10 frames",
            measured,
            holds,
        );
    }
}
