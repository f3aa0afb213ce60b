//! The frames of one clip, one after the other: RGB in, RGBA out.
//!
//! ```text
//! frame --grid--> cut? --looks--> mask on the grid --steady--> --tidy--> --edges--> alpha --colours--> RGBA
//! ```
//!
//! With [`Refine::None`] it is the net's own mask in the frame's size, [`Refine::Fast`] leaves out what looks at other
//! frames and at colours, [`Refine::Full`] does all. A model whose card says that it makes mattes keeps its edges.

use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use reelhook_domain::recipe::Refine;

use super::card::{Card, Kind, Looks};
use super::colors;
use super::executor::Executor;
use super::grid::{Grid, Small};
use super::guided::{Edges, State};
use super::look::{self, Part, Tracker};
use super::model::{self, Answer, Model, ModelError, Net};
use super::onnx;
use super::plane::Plane;
use super::report::{MatteReport, Seen, Tally};
use super::steady::Steady;
use super::tflite;

/// Every how many frames a tracked subject is looked for in the whole frame.
const WHOLE_LOOK: u64 = 8;

/// Turns the frames of one clip into RGBA, in order.
#[derive(Debug)]
pub struct Matting {
    nets: Nets,
    kind: Kind,
    looks: Looks,
    refine: Refine,
    size: (u32, u32),
    grid: Grid,
    tracker: Tracker,
    steady: Steady,
    frames: u64,
    tally: Tally,
}

impl Matting {
    /// Loads a model out of the folder of models, for frames of that width and height in pixels.
    ///
    /// # Errors
    /// When the model is not installed or cannot be used.
    pub fn load(folder: &Path, model: &str, refine: Refine, size: (u32, u32)) -> Result<Self, ModelError> {
        let card = model::card(folder, model)?;
        let whole = card.whole_sha256.is_some().then(|| net(folder, model, &card, "whole.")).transpose()?;
        let near = net(folder, model, &card, "")?;
        Ok(Self::with(Nets { near, whole, resizer: Resizer::new() }, (card.kind, card.looks), refine, size))
    }

    fn with(nets: Nets, (kind, looks): (Kind, Looks), refine: Refine, size: (u32, u32)) -> Self {
        Self {
            nets,
            kind,
            looks,
            refine,
            size,
            grid: Grid::of(size),
            tracker: Tracker::default(),
            steady: Steady::default(),
            frames: 0,
            tally: Tally::default(),
        }
    }

    /// One frame: `rgb` has three bytes a pixel, `rgba` four. The colour is 0 where nothing near is subject.
    ///
    /// # Errors
    /// When the model fails, or a buffer is not of the frame's size.
    pub fn frame(&mut self, rgb: &[u8], rgba: &mut [u8]) -> Result<(), ModelError> {
        let pixels = self.size.0 as usize * self.size.1 as usize;
        if pixels == 0 || rgb.len() != pixels * 3 || rgba.len() != pixels * 4 {
            return Err(ModelError::Io(std::io::ErrorKind::InvalidInput.into()));
        }
        let (confidence, cut) = match (self.refine, self.kind) {
            (Refine::None, _) => (self.plain(rgb, rgba)?, false),
            (Refine::Fast | Refine::Full, Kind::Matte) => self.soft(rgb, rgba)?,
            (Refine::Fast | Refine::Full, Kind::Mask) => self.refined(rgb, rgba)?,
        };
        colors::flatten(rgba, self.size.0 as usize);
        let (mut sum, mut band) = (0_u64, 0_u64);
        for pixel in rgba.as_chunks::<4>().0 {
            sum += u64::from(pixel[3]);
            band += u64::from((1..=254).contains(&pixel[3]));
        }
        let (subject, band) = (sum as f64 / (255 * pixels) as f64, band as f64 / pixels as f64);
        self.tally.add(Seen { subject, confidence, band, cut });
        self.frames += 1;
        Ok(())
    }

    /// What was seen so far.
    pub fn report(&self) -> MatteReport {
        self.tally.report()
    }

    /// The net's mask as it comes.
    fn plain(&mut self, rgb: &[u8], rgba: &mut [u8]) -> Result<f64, ModelError> {
        let answer = self.nets.near(rgb, self.size, Part::WHOLE)?;
        let matte = answer.matte.resized(self.size.0 as usize, self.size.1 as usize);
        laid(rgb, &matte, rgba);
        Ok(confidence(&answer.matte))
    }

    /// A matte that has its edges: only its colours are seen to, where the net does not bring them.
    fn soft(&mut self, rgb: &[u8], rgba: &mut [u8]) -> Result<(f64, bool), ModelError> {
        let picture = self.grid.shrink(rgb);
        let cut = self.steady.is_cut(&picture.luma);
        if cut {
            self.nets.near.forget();
        }
        let part = if self.looks == Looks::Tracked { self.part(rgb, cut)? } else { Some(Part::WHOLE) };
        let Some(part) = part else {
            laid(
                rgb,
                &Plane::new(self.grid.width, self.grid.height).resized(self.size.0 as usize, self.size.1 as usize),
                rgba,
            );
            return Ok((1.0, cut));
        };
        let answer = self.nets.near(rgb, self.size, part)?;
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        laid(rgb, &spread(&answer.matte, part, (width, height), (width, height)), rgba);
        let small = spread(&answer.matte, part, (width, height), (self.grid.width, self.grid.height));
        self.tracker.seen(Part::of(&small));
        if let Some(foreground) = &answer.foreground {
            let planes = foreground.each_ref().map(|plane| spread(plane, part, (width, height), (width, height)));
            for (place, pixel) in rgba.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                if (1..=254).contains(&pixel[3]) {
                    for channel in 0..3 {
                        pixel[channel] = (model::share(planes[channel].values[place]) * 255.0 + 0.5) as u8;
                    }
                }
            }
        } else if self.refine == Refine::Full {
            let states: Vec<State> = small
                .values
                .iter()
                .map(|&alpha| if (0.002..0.998).contains(&alpha) { State::Band } else { State::Clear })
                .collect();
            colors::decontaminate(self.grid, &picture, &small, &states, rgba);
        }
        Ok((confidence(&answer.matte), cut))
    }

    /// All that makes a mask a matte.
    fn refined(&mut self, rgb: &[u8], rgba: &mut [u8]) -> Result<(f64, bool), ModelError> {
        let picture = self.grid.shrink(rgb);
        let cut = self.steady.is_cut(&picture.luma);
        if cut {
            self.nets.near.forget();
        }
        let (mut matte, confidence) = self.mask(rgb, cut)?;
        if self.refine == Refine::Full {
            self.steady.smooth(&picture.luma, &mut matte);
        }
        look::tidy(&mut matte);
        let edges = Edges::of(self.grid, &picture, &matte);
        edges.apply(rgb, rgba);
        if self.refine == Refine::Full {
            self.colored(&picture, &edges, rgba);
        }
        Ok((confidence, cut))
    }

    fn colored(&self, picture: &Small, edges: &Edges, rgba: &mut [u8]) {
        colors::decontaminate(self.grid, picture, &edges.small, edges.states(), rgba);
    }

    /// The mask on the grid, and how sure the net is of it.
    fn mask(&mut self, rgb: &[u8], cut: bool) -> Result<(Plane, f64), ModelError> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let part = if self.looks == Looks::Tracked { self.part(rgb, cut)? } else { Some(Part::WHOLE) };
        let Some(part) = part else {
            return Ok((Plane::new(self.grid.width, self.grid.height), 1.0));
        };
        let answer = self.nets.near(rgb, self.size, part)?;
        let matte = spread(&answer.matte, part, (width, height), (self.grid.width, self.grid.height));
        self.tracker.seen(Part::of(&matte));
        Ok((matte, confidence(&answer.matte)))
    }

    /// The part of the frame to look at; `None` if the frame has no subject.
    fn part(&mut self, rgb: &[u8], cut: bool) -> Result<Option<Part>, ModelError> {
        if cut || self.frames.is_multiple_of(WHOLE_LOOK) || self.tracker.part().is_none() {
            let found = self.nets.whole(rgb, self.size)?;
            self.tracker.found(found, cut);
        }
        Ok(self.tracker.part())
    }
}

/// A net of a model: by the executor of our own where the file that it was made of is there, else by the interpreter.
fn net(folder: &Path, name: &str, card: &Card, which: &str) -> Result<Box<dyn Net>, ModelError> {
    let sha256 = if which.is_empty() { &card.sha256 } else { &card.whole_sha256 };
    let own = folder.join(format!("{name}.{which}tflite"));
    // Without optimisation it takes a hundred times as long, while the interpreter is optimised in every build.
    if !cfg!(debug_assertions)
        && let Some(sha256) = sha256
        && card.is_plain()
        && own.is_file()
    {
        let bytes = model::file(folder, name, &format!("{which}tflite"), None)?;
        let broken = |why| ModelError::Broken { name: name.to_owned(), why };
        let graph = tflite::read(&bytes).map_err(broken)?;
        // What was added is known by the ONNX file that this one becomes.
        if !model::is_of(&onnx::write(&graph), sha256) {
            return Err(broken(format!("{name}.{which}tflite is not the file that was installed")));
        }
        return Ok(Box::new(Executor::new(&graph)));
    }
    let bytes = model::file(folder, name, &format!("{which}onnx"), sha256.as_deref())?;
    Ok(Box::new(Model::of(name, bytes, card.clone())?))
}

/// The nets, and what brings pictures to their sizes.
#[derive(Debug)]
struct Nets {
    near: Box<dyn Net>,
    /// A second one for whole frames.
    whole: Option<Box<dyn Net>>,
    resizer: Resizer,
}

impl Nets {
    fn near(&mut self, rgb: &[u8], size: (u32, u32), part: Part) -> Result<Answer, ModelError> {
        let picture = cropped(&mut self.resizer, rgb, size, part, self.near.size());
        self.near.run(&picture)
    }

    /// Where all nets together find a subject in the whole frame.
    fn whole(&mut self, rgb: &[u8], size: (u32, u32)) -> Result<Option<Part>, ModelError> {
        let mut found = Part::of(&self.near(rgb, size, Part::WHOLE)?.matte);
        if let Some(net) = &mut self.whole {
            let picture = cropped(&mut self.resizer, rgb, size, Part::WHOLE, net.size());
            let other = Part::of(&net.run(&picture)?.matte);
            found = match (found, other) {
                (Some(one), Some(other)) => Some(one.union(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(found)
    }
}

/// A part of a frame in a size.
fn cropped(resizer: &mut Resizer, rgb: &[u8], size: (u32, u32), part: Part, to: (u32, u32)) -> Vec<u8> {
    let [left, top, width, height] = part.pixels((size.0 as usize, size.1 as usize)).map(|side| side as f64);
    let source = ImageRef::new(size.0, size.1, rgb, PixelType::U8x3).expect("a frame has that many bytes");
    let mut target = Image::new(to.0, to.1, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    let options = options.crop(left, top, width, height);
    resizer.resize(&source, &mut target, &options).expect("both are of one kind, and the part is within the frame");
    target.into_vec()
}

/// What a net says of a part of a frame, on as many cells as the whole frame is to have.
fn spread(matte: &Plane, part: Part, frame: (usize, usize), cells: (usize, usize)) -> Plane {
    let [left, top, width, height] = part.pixels(frame);
    if (left, top, width, height) == (0, 0, frame.0, frame.1) {
        return matte.resized(cells.0, cells.1);
    }
    let scale = (frame.0 as f32 / cells.0 as f32, frame.1 as f32 / cells.1 as f32);
    // As large as the part is in cells, so that no pixel of the net's is passed over.
    let side = |pixels: usize, scale: f32| ((pixels as f32 / scale).round() as usize).max(1);
    let small = matte.resized(side(width, scale.0), side(height, scale.1));
    let mut made = Plane::new(cells.0, cells.1);
    let (ratio_x, ratio_y) = (small.width as f32 / width as f32, small.height as f32 / height as f32);
    for y in 0..cells.1 {
        let in_part = (y as f32 + 0.5) * scale.1 - top as f32;
        if in_part < 0.0 || in_part > height as f32 {
            continue;
        }
        for x in 0..cells.0 {
            let across = (x as f32 + 0.5) * scale.0 - left as f32;
            if across >= 0.0 && across <= width as f32 {
                made.values[y * cells.0 + x] = small.at(across * ratio_x - 0.5, in_part * ratio_y - 0.5);
            }
        }
    }
    made
}

/// Colours as they are, with that alpha.
fn laid(rgb: &[u8], matte: &Plane, rgba: &mut [u8]) {
    let pixels = rgba.as_chunks_mut::<4>().0.iter_mut().zip(rgb.as_chunks::<3>().0).zip(&matte.values);
    for ((out, &[red, green, blue]), &alpha) in pixels {
        *out = [red, green, blue, (model::share(alpha) * 255.0 + 0.5) as u8];
    }
}

/// 1 where each pixel is all subject or all background, 0 where each is half.
fn confidence(matte: &Plane) -> f64 {
    let sum: f64 = matte.values.iter().map(|&value| f64::from((2.0 * value - 1.0).abs())).sum();
    sum / matte.values.len() as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// What is red is subject.
    #[derive(Debug)]
    struct Red {
        size: (u32, u32),
        runs: Arc<AtomicUsize>,
    }

    impl Net for Red {
        fn size(&self) -> (u32, u32) {
            self.size
        }

        fn run(&mut self, picture: &[u8]) -> Result<Answer, ModelError> {
            self.runs.fetch_add(1, Ordering::Relaxed);
            let (width, height) = (self.size.0 as usize, self.size.1 as usize);
            let values = picture.as_chunks::<3>().0.iter().map(|pixel| f32::from(pixel[0]) / 255.0).collect();
            Ok(Answer { matte: Plane { width, height, values }, foreground: None })
        }

        fn forget(&mut self) {}
    }

    fn matting(looks: Looks, refine: Refine, size: (u32, u32)) -> (Matting, Arc<AtomicUsize>) {
        let runs = Arc::new(AtomicUsize::new(0));
        let net = |size| Box::new(Red { size, runs: Arc::clone(&runs) }) as Box<dyn Net>;
        let nets = Nets { near: net((32, 32)), whole: Some(net((40, 24))), resizer: Resizer::new() };
        (Matting::with(nets, (Kind::Mask, looks), refine, size), Arc::clone(&runs))
    }

    /// A red box (left, top, right, bottom) before blue.
    fn frame(size: (u32, u32), [left, top, right, bottom]: [u32; 4]) -> Vec<u8> {
        let pixel = |place: u32| {
            let (x, y) = (place % size.0, place / size.0);
            if (left..right).contains(&x) && (top..bottom).contains(&y) { [255, 10, 10] } else { [0, 30, 200] }
        };
        (0..size.0 * size.1).flat_map(pixel).collect()
    }

    fn alpha(rgba: &[u8], size: (u32, u32), x: u32, y: u32) -> u8 {
        rgba[((y * size.0 + x) * 4 + 3) as usize]
    }

    #[test]
    fn every_size_of_frame_works() {
        for size in [(1, 1), (2, 2), (2, 300), (301, 3), (176, 144), (405, 720), (1283, 719)] {
            for refine in [Refine::None, Refine::Fast, Refine::Full] {
                for looks in [Looks::Whole, Looks::Tracked] {
                    let (mut matting, _) = matting(looks, refine, size);
                    let mut rgba = vec![7; (size.0 * size.1 * 4) as usize];
                    for number in 0..2 {
                        matting.frame(&frame(size, [0, 0, size.0, size.1]), &mut rgba).unwrap();
                        assert!(
                            rgba.as_chunks::<4>().0.iter().all(|pixel| *pixel == [255, 10, 10, 255]),
                            "{size:?} {number}"
                        );
                    }
                    assert_eq!(matting.report().mean_subject, 1.0);
                }
            }
        }
        let (mut matting, _) = matting(Looks::Whole, Refine::Full, (4, 4));
        assert!(matting.frame(&[0; 47], &mut [0; 64]).is_err() && matting.frame(&[0; 48], &mut [0; 63]).is_err());
    }

    #[test]
    fn a_subject_is_followed_lost_and_found_with_few_looks() {
        let size = (640, 360);
        let (mut matting, runs) = matting(Looks::Tracked, Refine::Full, size);
        let mut rgba = vec![0; 640 * 360 * 4];
        let boxes: Vec<[u32; 4]> = (0..16).map(|number| [100 + number * 8, 80, 220 + number * 8, 300]).collect();
        for place in &boxes {
            matting.frame(&frame(size, *place), &mut rgba).unwrap();
            let [left, top, right, bottom] = *place;
            let inside = [(left + 14, top + 14), (right - 14, bottom - 14)].map(|(x, y)| alpha(&rgba, size, x, y));
            let outside = [left - 10, right + 10].map(|x| alpha(&rgba, size, x, top + 50));
            assert!(inside.iter().all(|alpha| *alpha > 250) && outside == [0; 2], "{place:?}: {inside:?} {outside:?}");
        }
        // Twice two looks at the whole frame, and one at the box for each.
        assert_eq!(runs.swap(0, Ordering::Relaxed), 16 + 4);
        matting.frame(&frame(size, [0; 4]), &mut rgba).unwrap();
        assert!(rgba.iter().all(|byte| *byte == 0), "nothing is left of who has gone");
        matting.frame(&frame(size, [400, 40, 600, 360]), &mut rgba).unwrap();
        assert!(alpha(&rgba, size, 500, 200) > 250 && alpha(&rgba, size, 150, 200) == 0);
        let report = matting.report();
        assert_eq!(report.frames, 18);
        assert!((report.without_subject - 1.0 / 18.0).abs() < 1e-9, "{report:?}");
    }

    #[test]
    fn alpha_does_not_depend_on_where_the_box_of_a_look_is() {
        // The same subject at the edge of the frame and in its middle.
        let size = (640, 360);
        for place in [[0, 100, 120, 360], [260, 50, 380, 310], [520, 0, 640, 260]] {
            let (mut matting, _) = matting(Looks::Tracked, Refine::Fast, size);
            let mut rgba = vec![0; 640 * 360 * 4];
            (0..3).for_each(|_| matting.frame(&frame(size, place), &mut rgba).unwrap());
            let [left, top, right, bottom] = place;
            let mut off = 0;
            for y in 0..360 {
                for x in 0..640 {
                    let exact = u8::from((left..right).contains(&x) && (top..bottom).contains(&y)) * 255;
                    off += u32::from(alpha(&rgba, size, x, y).abs_diff(exact)) / 255;
                }
            }
            assert!(off < 200, "{place:?}: {off} pixels are wrong");
        }
    }
}
