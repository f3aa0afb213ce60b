//! AVIF: the container's properties, the AV1 picture, and its colours.
//!
//! The items come from `avif-parse`, the samples from rav1d. What the parser does not tell (how the picture is turned and
//! which colours it is in) is read here from the item's properties.
//!
//! # Source
//! Boxes: ISO/IEC 14496-12, 8.11 (`meta`, `pitm`, `iprp`), and 23008-12, 6.5 (`irot`, `imir`, `colr`). Matrices: ITU-T
//! H.273, 8.3.

use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};
use re_rav1d::dav1d::pixel::{MatrixCoefficients as Matrix, YUVRange};
use re_rav1d::dav1d::{Decoder, Error, Picture as Decoded, PixelLayout, PlanarImageComponent, Settings};

use super::decode::{Picture, pixels};
use super::guard::{damaged, rejected, unsupported};
use super::header::{Inspected, still};
use super::kind::Kind;
use super::{ImageLimits, color};
use crate::error::MediaError;

const KIND: Kind = Kind::Avif;

/// Properties of the picture that is shown.
#[derive(Debug, Default, Clone, PartialEq)]
struct Properties {
    profile: Option<Vec<u8>>,
    /// Primaries and transfer by their numbers in H.273.
    colors: Option<(u8, u8)>,
    /// Turns by 90 degrees against the clock.
    turns: u8,
    /// Axis of the mirror: 0 swaps top and bottom, 1 left and right.
    mirror: Option<u8>,
}

impl Properties {
    /// Turned first, then mirrored; as EXIF counts. Source: 23008-12, 6.5.10 and 6.5.12; EXIF 2.32, 4.6.4.
    const fn orientation(&self) -> u8 {
        match (self.turns & 3, self.mirror) {
            (0, None) => 1,
            (1, None) => 8,
            (2, None) => 3,
            (_, None) => 6,
            (0, Some(0)) | (2, Some(1)) => 4,
            (0 | 2, Some(_)) => 2,
            (1, Some(0)) | (3, Some(1)) => 7,
            (_, Some(_)) => 5,
        }
    }
}

/// The header alone.
pub(crate) fn header(bytes: &[u8]) -> Result<Inspected, MediaError> {
    let data = parse(bytes)?;
    let picture = data.primary_item_metadata().map_err(|error| damaged(KIND, error))?;
    let properties = properties(bytes).unwrap_or_default();
    let size = (picture.max_frame_width.get(), picture.max_frame_height.get());
    let profile = properties.profile.is_some();
    Ok(Inspected { alpha: data.alpha_item.is_some(), profile, ..still(KIND, size, properties.orientation()) })
}

/// Whether a brand says that there are frames. Source: AV1 Image File Format 1.1, section 6.3.
fn is_sequence(bytes: &[u8]) -> bool {
    child(bytes, b"ftyp").is_some_and(|brands| brands.chunks_exact(4).any(|brand| brand == b"avis"))
}

fn parse(bytes: &[u8]) -> Result<avif_parse::AvifData, MediaError> {
    if is_sequence(bytes) {
        let why = "(animated), of which the frames are not read; as GIF, WebP or a video it can be taken";
        return Err(rejected("unsupported_media", format!("the input is an AVIF image sequence {why}")));
    }
    avif_parse::read_avif(&mut &bytes[..]).map_err(|error| match error {
        avif_parse::Error::Unsupported(what) => unsupported(KIND, format!("of a sort ({what})")),
        other => damaged(KIND, other),
    })
}

/// The picture in sRGB unless it brings a profile; not turned yet.
pub(crate) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, MediaError> {
    let data = parse(bytes)?;
    let properties = properties(bytes).unwrap_or_default();
    let shown = av1(data.primary_item.to_vec(), limits)?;
    let (width, height) = (shown.width(), shown.height());
    let mut rgb = to_rgb(&shown)?;
    drop(shown);
    let mut picture = match data.alpha_item {
        None => Picture::plain(pixels(width, height, rgb, 3)?, properties.profile),
        Some(alpha) => {
            let alpha = av1(alpha.to_vec(), limits)?;
            if (alpha.width(), alpha.height()) != (width, height) {
                return Err(damaged(KIND, "its transparency is of another size"));
            }
            let rgba = with_alpha(&mut rgb, &luma(&alpha)?, data.premultiplied_alpha);
            Picture::plain(pixels(width, height, rgba, 4)?, properties.profile)
        }
    };
    if let (None, Some((primaries, transfer))) = (&picture.profile, properties.colors) {
        convert(&mut picture, primaries, transfer);
    }
    Ok(picture)
}

/// Colours that are named by numbers, to sRGB. sRGB itself and what is unspecified stay as they are.
fn convert(picture: &mut Picture, primaries: u8, transfer: u8) {
    if matches!((primaries, transfer), (1 | 2, 1 | 2 | 6 | 13)) {
        return;
    }
    let (Ok(color_primaries), Ok(transfer_characteristics)) =
        (CicpColorPrimaries::try_from(primaries), TransferCharacteristics::try_from(transfer))
    else {
        return;
    };
    let matrix_coefficients = MatrixCoefficients::Identity;
    let cicp = CicpProfile { color_primaries, transfer_characteristics, matrix_coefficients, full_range: true };
    color::apply(&mut picture.pixels, &ColorProfile::new_from_cicp(cicp));
}

fn av1(data: Vec<u8>, limits: &ImageLimits) -> Result<Decoded, MediaError> {
    let wrong = |error: Error| damaged(KIND, error);
    let mut settings = Settings::new();
    settings.set_n_threads(u32::try_from(limits.threads.clamp(1, 16)).unwrap_or(1));
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(limits.pixels).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(wrong)?;
    match decoder.send_data(data, None, None, None) {
        Ok(()) | Err(Error::Again) => {}
        Err(error) => return Err(wrong(error)),
    }
    // A picture is one frame: it comes at once, or after what was left of the data went in.
    for _ in 0..16 {
        match decoder.get_picture() {
            Ok(picture) => return Ok(picture),
            Err(Error::Again) => match decoder.send_pending_data() {
                Ok(()) | Err(Error::Again) => {}
                Err(error) => return Err(wrong(error)),
            },
            Err(error) => return Err(wrong(error)),
        }
    }
    Err(damaged(KIND, "it ends before its picture does"))
}

/// One plane with its samples brought to 8 bits: row after row, no padding.
struct Samples {
    width: usize,
    bytes: Vec<u8>,
}

fn samples(
    picture: &Decoded,
    component: PlanarImageComponent,
    width: usize,
    height: usize,
) -> Result<Samples, MediaError> {
    let plane = picture.plane(component);
    let stride = picture.stride(component) as usize;
    let depth = picture.bits_per_component().map_or(8, |bits| bits.0);
    let mut bytes = Vec::with_capacity(width * height);
    for row in plane.chunks(stride.max(1)).take(height) {
        if depth == 8 {
            bytes.extend_from_slice(row.get(..width).unwrap_or_default());
        } else {
            let most = (1_u32 << depth) - 1;
            let scaled = row.chunks_exact(2).take(width).map(|pair| {
                let value = u32::from(u16::from_le_bytes([pair[0], pair[1]])).min(most);
                ((value * 255 + most / 2) / most) as u8
            });
            bytes.extend(scaled);
        }
    }
    if bytes.len() != width * height {
        return Err(damaged(KIND, "a plane is too small"));
    }
    Ok(Samples { width, bytes })
}

/// The luma plane over its full range: what transparency is stored as.
fn luma(picture: &Decoded) -> Result<Vec<u8>, MediaError> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut luma = samples(picture, PlanarImageComponent::Y, width, height)?.bytes;
    if picture.color_range() == YUVRange::Limited {
        luma.iter_mut().for_each(|sample| *sample = ((f32::from(*sample) - 16.0) * 255.0 / 219.0).round() as u8);
    }
    Ok(luma)
}

fn to_rgb(picture: &Decoded) -> Result<Vec<u8>, MediaError> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (wide, high) = match picture.pixel_layout() {
        PixelLayout::I400 => {
            return Ok(luma(picture)?.into_iter().flat_map(|grey| [grey; 3]).collect());
        }
        PixelLayout::I420 => (1, 1),
        PixelLayout::I422 => (1, 0),
        PixelLayout::I444 => (0, 0),
    };
    let y = samples(picture, PlanarImageComponent::Y, width, height)?;
    let (chroma_width, chroma_height) = ((width + wide) >> wide, (height + high) >> high);
    let u = samples(picture, PlanarImageComponent::U, chroma_width, chroma_height)?;
    let v = samples(picture, PlanarImageComponent::V, chroma_width, chroma_height)?;
    let mut rgb = Vec::with_capacity(width * height * 3);
    if picture.matrix_coefficients() == Matrix::Identity && (wide, high) == (0, 0) {
        for ((&green, &blue), &red) in y.bytes.iter().zip(&u.bytes).zip(&v.bytes) {
            rgb.extend([red, green, blue]);
        }
        return Ok(rgb);
    }
    let (red, blue) = match picture.matrix_coefficients() {
        Matrix::BT709 => (0.2126, 0.0722),
        Matrix::BT2020NonConstantLuminance | Matrix::BT2020ConstantLuminance => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let full = picture.color_range() == YUVRange::Full;
    let (black, luma_gain, chroma_gain) = if full { (0.0, 1.0, 1.0) } else { (16.0, 255.0 / 219.0, 255.0 / 224.0) };
    let green = 1.0 - red - blue;
    let from_v = 2.0 * (1.0 - red) * chroma_gain;
    let from_u = 2.0 * (1.0 - blue) * chroma_gain;
    let (green_v, green_u) = (from_v * red / green, from_u * blue / green);
    for (row, line) in y.bytes.chunks_exact(y.width).enumerate() {
        let start = (row >> high) * u.width;
        for (column, &luma) in line.iter().enumerate() {
            let at = start + (column >> wide);
            let luma = (f32::from(luma) - black) * luma_gain;
            let (u, v) = (f32::from(u.bytes[at]) - 128.0, f32::from(v.bytes[at]) - 128.0);
            let channels = [luma + from_v * v, luma - green_v * v - green_u * u, luma + from_u * u];
            // A cast from float saturates.
            rgb.extend(channels.map(|channel| (channel + 0.5) as u8));
        }
    }
    Ok(rgb)
}

fn with_alpha(rgb: &mut [u8], alpha: &[u8], premultiplied: bool) -> Vec<u8> {
    let mut rgba = Vec::with_capacity(alpha.len() * 4);
    for (pixel, &alpha) in rgb.chunks_exact_mut(3).zip(alpha) {
        if premultiplied && alpha > 0 {
            pixel.iter_mut().for_each(|c| *c = (u16::from(*c) * 255 / u16::from(alpha)).min(255) as u8);
        }
        rgba.extend([pixel[0], pixel[1], pixel[2], alpha]);
    }
    rgba
}

/// The boxes inside `bytes`: name and content.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let name = bytes.get(4..8)?;
        let (head, size) = match size {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)).ok()?),
            size => (8, size),
        };
        let content = bytes.get(head..size)?;
        bytes = &bytes[size..];
        Some((name, content))
    })
}

fn child<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| *found == name).map(|(_, content)| content)
}

/// Whether it holds items of EXIF or XMP, or they cannot be told. Cutting them out would move all that is behind them.
pub(crate) fn tells_more(bytes: &[u8]) -> bool {
    let items = child(bytes, b"meta").and_then(|meta| child(meta.get(4..)?, b"iinf"));
    items.is_none_or(|items| items.windows(4).any(|name| name == b"Exif" || name == b"mime"))
}

fn properties(bytes: &[u8]) -> Option<Properties> {
    // Full boxes begin with a version and flags.
    let meta = child(bytes, b"meta")?.get(4..)?;
    let primary = child(meta, b"pitm")?;
    let item = match primary.first()? {
        0 => u32::from(u16::from_be_bytes(primary.get(4..6)?.try_into().ok()?)),
        _ => u32::from_be_bytes(primary.get(4..8)?.try_into().ok()?),
    };
    let iprp = child(meta, b"iprp")?;
    let all: Vec<_> = boxes(child(iprp, b"ipco")?).collect();
    let mut found = Properties::default();
    for index in associated(child(iprp, b"ipma")?, item)? {
        match index.checked_sub(1).and_then(|index| all.get(index)) {
            Some((b"irot", content)) => found.turns = content.first()? & 3,
            Some((b"imir", content)) => found.mirror = Some(content.first()? & 1),
            Some((b"colr", content)) => match content.get(..4)? {
                b"prof" | b"rICC" => found.profile = Some(content[4..].to_vec()),
                b"nclx" => found.colors = Some((*content.get(5)?, *content.get(7)?)),
                _ => {}
            },
            _ => {}
        }
    }
    Some(found)
}

/// The numbers of the properties of one item, counted from 1.
fn associated(ipma: &[u8], item: u32) -> Option<Vec<usize>> {
    let (long_ids, long_indices) = (*ipma.first()? > 0, ipma.get(3)? & 1 == 1);
    let count = u32::from_be_bytes(ipma.get(4..8)?.try_into().ok()?);
    let mut rest = ipma.get(8..)?.iter().copied();
    let mut number = |bytes: usize| (0..bytes).try_fold(0_u32, |number, _| Some(number << 8 | u32::from(rest.next()?)));
    for _ in 0..count {
        let id = number(if long_ids { 4 } else { 2 })?;
        let entries = number(1)?;
        let mut indices = Vec::new();
        for _ in 0..entries {
            let index = if long_indices { number(2)? & 0x7FFF } else { number(1)? & 0x7F };
            indices.push(index as usize);
        }
        if id == item {
            return Some(indices);
        }
    }
    None
}
