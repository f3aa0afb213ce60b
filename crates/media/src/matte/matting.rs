//! The frames of one clip, one after the other: RGB in, RGBA out.

use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use reelhook_domain::recipe::Refine;

use super::model::{Grey, Model, ModelError};
use super::report::{MatteReport, Seen, Tally};

/// Turns the frames of one clip into RGBA, in order.
#[derive(Debug)]
pub struct Matting {
    model: Model,
    size: (u32, u32),
    resizer: Resizer,
    tally: Tally,
}

impl Matting {
    /// Loads a model out of the folder of models, for frames of that width and height in pixels.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be used.
    pub fn load(folder: &Path, model: &str, _refine: Refine, size: (u32, u32)) -> Result<Self, ModelError> {
        let model = Model::load(folder, model)?;
        Ok(Self { model, size, resizer: Resizer::new(), tally: Tally::default() })
    }

    /// One frame: `rgb` has three bytes a pixel, `rgba` four. The colour is 0 where nothing near is subject.
    ///
    /// # Errors
    /// When the model fails, or a buffer is not of the frame's size.
    pub fn frame(&mut self, rgb: &[u8], rgba: &mut [u8]) -> Result<(), ModelError> {
        let pixels = self.size.0 as usize * self.size.1 as usize;
        if rgb.len() != pixels * 3 || rgba.len() != pixels * 4 {
            return Err(ModelError::Io(std::io::ErrorKind::InvalidInput.into()));
        }
        let small = self.resized(rgb, self.size, self.model.size(), PixelType::U8x3);
        let Grey { width, height, pixels: matte } = self.model.matte(&small)?;
        let alpha = self.resized(&matte, (width, height), self.size, PixelType::U8);
        for ((out, pixel), &alpha) in rgba.chunks_exact_mut(4).zip(rgb.chunks_exact(3)).zip(&alpha) {
            let pixel = if alpha == 0 { &[0; 3] } else { pixel };
            out[..3].copy_from_slice(pixel);
            out[3] = alpha;
        }
        let share = |part: &dyn Fn(u8) -> f64| alpha.iter().map(|&alpha| part(alpha)).sum::<f64>() / pixels as f64;
        self.tally.add(Seen {
            subject: share(&|alpha| f64::from(alpha) / 255.0),
            confidence: share(&|alpha| (f64::from(alpha) / 127.5 - 1.0).abs()),
            band: share(&|alpha| f64::from(u8::from((1..=254).contains(&alpha)))),
            cut: false,
        });
        Ok(())
    }

    /// What was seen so far.
    pub fn report(&self) -> MatteReport {
        self.tally.report()
    }

    fn resized(&mut self, bytes: &[u8], from: (u32, u32), to: (u32, u32), kind: PixelType) -> Vec<u8> {
        let source = ImageRef::new(from.0, from.1, bytes, kind).expect("it has that many bytes");
        let mut target = Image::new(to.0, to.1, kind);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        self.resizer.resize(&source, &mut target, &options).expect("both are of one kind");
        target.into_vec()
    }
}
