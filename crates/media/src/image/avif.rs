//! AVIF: the container's properties, the AV1 picture, and its colours.
//!
//! The items come from `avif-parse`, the samples from rav1d. What the parser does not tell (how the picture is turned,
//! which colours it is in, and of which tiles it is made) is read from the items themselves ([`super::items`]).
//!
//! # Source
//! Boxes: ISO/IEC 14496-12, 8.11 (`meta`, `pitm`, `iprp`), and 23008-12, 6.5 (`irot`, `imir`, `colr`). Matrices: ITU-T
//! H.273, 8.3.

use image::DynamicImage;
use re_rav1d::dav1d::pixel::{MatrixCoefficients as Matrix, YUVRange};
use re_rav1d::dav1d::{Decoder, Error, Picture as Decoded, PixelLayout, PlanarImageComponent, Settings};

use super::ImageLimits;
use super::decode::{Picture, pixels};
use super::grid::Grid;
use super::guard::{damaged, rejected, unsupported};
use super::header::{Inspected, still};
use super::items::{Items, child};
use super::kind::Kind;
use super::meaning::Meaning;
use super::profile::sane;
use crate::error::MediaError;

const KIND: Kind = Kind::Avif;

/// Properties of the picture that is shown.
#[derive(Debug, Default, Clone, PartialEq)]
struct Properties {
    profile: Option<Vec<u8>>,
    /// Primaries and transfer by their numbers in H.273.
    colors: Option<(u8, u8)>,
    /// How the picture is turned before it is shown.
    turned: Turned,
}

impl Properties {
    /// A profile goes before numbers. Range and matrix belong to the samples, which are RGB when this counts.
    fn meaning(&self) -> Meaning {
        let numbers = self.colors.filter(|_| self.profile.is_none());
        numbers
            .and_then(|(primaries, transfer)| Meaning::numbered(primaries, transfer, false, None))
            .unwrap_or_default()
    }
}

/// A picture that was swapped left and right or not, and then turned by quarters with the clock.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Turned {
    swapped: bool,
    quarters: u8,
}

impl Turned {
    /// `irot`: turned by `quarters` against the clock. Source: 23008-12, 6.5.10.
    const fn turn(self, quarters: u8) -> Self {
        Self { quarters: (self.quarters + 4 - (quarters & 3)) & 3, ..self }
    }

    /// `imir`: 0 swaps top and bottom, 1 left and right. Source: 23008-12, 6.5.12.
    const fn mirror(self, axis: u8) -> Self {
        // A swap after a turn is a swap before the turn the other way; top and bottom is left and right, turned by half.
        let half = if axis & 1 == 0 { 2 } else { 0 };
        Self { swapped: !self.swapped, quarters: (4 - self.quarters + half) & 3 }
    }

    /// As EXIF counts. Source: EXIF 2.32, 4.6.4.
    const fn orientation(self) -> u8 {
        match (self.swapped, self.quarters) {
            (false, 0) => 1,
            (true, 0) => 2,
            (false, 2) => 3,
            (true, 2) => 4,
            (true, 3) => 5,
            (false, 1) => 6,
            (true, _) => 7,
            (false, _) => 8,
        }
    }
}

/// What the properties of the picture say; they apply in the order in which they are listed.
fn properties(items: &Items<'_>, item: u32) -> Properties {
    let mut found = Properties::default();
    for (name, content) in items.properties(item) {
        match (name, content) {
            (b"irot", [quarters, ..]) => found.turned = found.turned.turn(*quarters),
            (b"imir", [axis, ..]) => found.turned = found.turned.mirror(*axis),
            (b"colr", [b'p', b'r', b'o', b'f', profile @ ..] | [b'r', b'I', b'C', b'C', profile @ ..]) => {
                found.profile = Some(profile.to_vec());
            }
            (b"colr", [b'n', b'c', b'l', b'x', _, primaries, _, transfer, ..]) => {
                found.colors = Some((*primaries, *transfer));
            }
            _ => {}
        }
    }
    found
}

/// The properties of the picture that is shown; a grid may leave it to its tiles to say which colours they are in.
fn shown(items: &Items<'_>, grid: Option<&Grid>) -> Properties {
    let mut found = properties(items, items.primary);
    if let (None, None, Some(&tile)) = (&found.profile, found.colors, grid.and_then(|grid| grid.tiles.first())) {
        let of_tile = properties(items, tile);
        (found.profile, found.colors) = (of_tile.profile, of_tile.colors);
    }
    found
}

/// The items, and the grid that the picture is, where it is one.
fn opened(bytes: &[u8]) -> Result<(Items<'_>, Option<Grid>), MediaError> {
    refuse_sequence(bytes)?;
    let items = Items::read(bytes).ok_or_else(|| damaged(KIND, "its items are invalid"))?;
    let is_grid = items.kind(items.primary) == Some(b"grid");
    let grid = is_grid.then(|| Grid::read(&items, items.primary, KIND)).transpose()?;
    Ok((items, grid))
}

/// The transparency of a grid: a grid of its own, or a plane for each tile.
fn alpha_of(items: &Items<'_>, grid: &Grid) -> Result<Option<Grid>, MediaError> {
    let Some(alpha) = items.alpha(items.primary) else {
        let tiles: Option<Vec<u32>> = grid.tiles.iter().map(|&tile| items.alpha(tile)).collect();
        return Ok(tiles.and_then(|tiles| grid.with_tiles(tiles)));
    };
    match items.kind(alpha) {
        Some(b"grid") => Grid::read(items, alpha, KIND).map(Some),
        _ => Err(unsupported(KIND, "in tiles with another kind of transparency")),
    }
}

/// The header alone.
pub(crate) fn header(bytes: &[u8], limits: &ImageLimits) -> Result<Inspected, MediaError> {
    let (items, grid) = opened(bytes)?;
    let found = shown(&items, grid.as_ref());
    let (size, alpha) = match &grid {
        Some(grid) => {
            grid.within(limits)?;
            let alpha = alpha_of(&items, grid)?;
            alpha.as_ref().map_or(Ok(()), |alpha| alpha.within(limits))?;
            (grid.size, alpha.is_some())
        }
        None => {
            let data = parse(bytes)?;
            let picture = data.primary_item_metadata().map_err(|error| damaged(KIND, error))?;
            ((picture.max_frame_width.get(), picture.max_frame_height.get()), data.alpha_item.is_some())
        }
    };
    sane("a colour profile", found.profile.as_ref().map_or(0, |profile| profile.len() as u64))?;
    let (profile, meaning) = (found.profile.is_some(), found.meaning());
    Ok(Inspected { alpha, profile, meaning, ..still(KIND, size, found.turned.orientation()) })
}

/// Whether a brand says that there are frames. Source: AV1 Image File Format 1.1, section 6.3.
fn is_sequence(bytes: &[u8]) -> bool {
    child(bytes, b"ftyp").is_some_and(|brands| brands.chunks_exact(4).any(|brand| brand == b"avis"))
}

fn refuse_sequence(bytes: &[u8]) -> Result<(), MediaError> {
    if is_sequence(bytes) {
        let why = "(animated), whose frames are not supported; convert it to GIF, WebP or a video";
        return Err(rejected("unsupported_media", format!("the input is an AVIF image sequence {why}")));
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> Result<avif_parse::AvifData, MediaError> {
    avif_parse::read_avif(&mut &bytes[..]).map_err(|error| match error {
        avif_parse::Error::Unsupported(what) => unsupported(KIND, format!("of an unusual kind ({what})")),
        other => damaged(KIND, other),
    })
}

/// The picture, not turned yet.
pub(crate) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, MediaError> {
    let (items, grid) = opened(bytes)?;
    let found = shown(&items, grid.as_ref());
    let pixels = match &grid {
        Some(grid) => tiles(&items, grid, limits)?,
        None => whole(&parse(bytes)?, limits)?,
    };
    let meaning = found.meaning();
    Ok(Picture { meaning, ..Picture::plain(pixels, found.profile) })
}

fn whole(data: &avif_parse::AvifData, limits: &ImageLimits) -> Result<DynamicImage, MediaError> {
    let shown = av1(data.primary_item.to_vec(), limits)?;
    let (width, height) = (shown.width(), shown.height());
    let mut rgb = to_rgb(&shown)?;
    drop(shown);
    let Some(alpha) = &data.alpha_item else { return pixels(width, height, rgb, 3) };
    let alpha = av1(alpha.to_vec(), limits)?;
    if (alpha.width(), alpha.height()) != (width, height) {
        return Err(damaged(KIND, "its transparency has another size"));
    }
    pixels(width, height, with_alpha(&mut rgb, &luma(&alpha)?, data.premultiplied_alpha), 4)
}

fn tiles(items: &Items<'_>, grid: &Grid, limits: &ImageLimits) -> Result<DynamicImage, MediaError> {
    let tile = |item: u32| {
        let bytes = items.bytes(item).filter(|_| items.kind(item) == Some(b"av01"));
        av1(bytes.ok_or_else(|| damaged(KIND, "a tile is missing"))?, limits)
    };
    let (width, height) = grid.size;
    let mut rgb = grid.join(KIND, 3, |item| {
        let tile = tile(item)?;
        Ok(((tile.width(), tile.height()), to_rgb(&tile)?))
    })?;
    let Some(alpha) = alpha_of(items, grid)? else { return pixels(width, height, rgb, 3) };
    if alpha.size != grid.size {
        return Err(damaged(KIND, "its transparency has another size"));
    }
    let plane = alpha.join(KIND, 1, |item| {
        let tile = tile(item)?;
        Ok(((tile.width(), tile.height()), luma(&tile)?))
    })?;
    let premultiplied = !items.made_of(items.primary, b"prem").is_empty();
    pixels(width, height, with_alpha(&mut rgb, &plane, premultiplied), 4)
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
    Err(damaged(KIND, "it ends before its image does"))
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

/// Whether it holds items of EXIF or XMP, or they cannot be told. Cutting them out would move all that is behind them.
pub(crate) fn tells_more(bytes: &[u8]) -> bool {
    let items = child(bytes, b"meta").and_then(|meta| child(meta.get(4..)?, b"iinf"));
    items.is_none_or(|items| items.windows(4).any(|name| name == b"Exif" || name == b"mime"))
}
