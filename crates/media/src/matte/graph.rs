//! A net as a list of steps, whatever file it came from: what [`super::tflite`] reads, [`super::onnx`] writes and
//! [`super::executor`] runs.
//!
//! All that flows is pictures, one at a time: height, width, channels. A graph that exists fits together: [`Graph::check`]
//! has computed the size of each value from those before it.

/// Height, width and channels of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl Shape {
    pub(super) const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// How many numbers that is. What the reader takes cannot overflow.
    pub(super) const fn len(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// A net with one picture in and one out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graph {
    /// The sizes of all values; the first is the input.
    pub(super) values: Vec<Shape>,
    pub(super) steps: Vec<Step>,
    /// Which value comes out.
    pub(super) output: usize,
}

/// A step: from values that are there to one that is new.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// What is done to each number at the end.
    pub(super) then: Activation,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A convolution over all channels.
    Convolution(Kernel),
    /// A convolution of each channel by itself.
    Depthwise(Kernel),
    /// A convolution turned round, whose blocks do not overlap: each pixel becomes a block of the kernel's size.
    Transposed(Kernel),
    /// The sum of two values.
    Add,
    /// The product of two values, of which the second may be one pixel.
    Multiply,
    /// The mean of all pixels.
    Mean,
    /// To another size, linear in between.
    Resize(Corners),
    /// Nothing but what comes at the end.
    Pass,
}

/// The numbers of a convolution.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Output channel, row, column, input channel; row, column, channel where each channel goes by itself.
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) stride: (usize, usize),
    /// Rows and columns that are added before and after: top, left, bottom, right.
    pub(super) pads: [usize; 4],
}

/// Which places of two sizes are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Corners {
    /// The outer edges of the corner pixels.
    HalfPixel,
    /// The middles of the corner pixels.
    Aligned,
    /// The upper left corner alone.
    Asymmetric,
}

/// What is done to each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Relu,
    /// To 0 to 6.
    Relu6,
    HardSwish,
    Logistic,
}

impl Graph {
    /// Computes all sizes and compares them with what was said; the error names the first step that does not fit.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut known = vec![false; self.values.len()];
        *known.first_mut().ok_or("it has no input")? = true;
        for (place, step) in self.steps.iter().enumerate() {
            let fault = |why: &str| format!("step {place} of the net does not fit: {why}");
            for &input in &step.inputs {
                if !known.get(input).copied().unwrap_or(false) {
                    return Err(fault("it takes a value that nothing has made"));
                }
            }
            let shape = self.shape_after(step).ok_or_else(|| fault("the sizes of what it takes do not go together"))?;
            if self.values.get(step.output) != Some(&shape) {
                return Err(fault("what it makes is not of the size that the file says"));
            }
            if std::mem::replace(&mut known[step.output], true) {
                return Err(fault("it makes a value that is there"));
            }
        }
        if known.get(self.output).copied().unwrap_or(false) {
            Ok(())
        } else {
            Err("nothing makes its output".to_owned())
        }
    }

    fn shape_after(&self, step: &Step) -> Option<Shape> {
        let first = self.values[*step.inputs.first()?];
        let second = step.inputs.get(1).map(|&input| self.values[input]);
        let wanted = if matches!(step.kind, Kind::Add | Kind::Multiply) { 2 } else { 1 };
        if step.inputs.len() != wanted {
            return None;
        }
        let told = self.values.get(step.output)?;
        match &step.kind {
            Kind::Convolution(kernel) => {
                kernel.fits(kernel.bias.len(), first.channels)?;
                let (height, width) = kernel.after(first)?;
                Some(Shape::new(height, width, kernel.bias.len()))
            }
            Kind::Depthwise(kernel) => {
                kernel.fits(1, first.channels)?;
                let (height, width) = kernel.after(first)?;
                (kernel.bias.len() == first.channels).then_some(Shape::new(height, width, first.channels))
            }
            Kind::Transposed(kernel) => {
                kernel.fits(kernel.bias.len(), first.channels)?;
                let blocks = kernel.stride == (kernel.height, kernel.width) && kernel.pads == [0; 4];
                let (height, width) = (first.height * kernel.height, first.width * kernel.width);
                blocks.then_some(Shape::new(height, width, kernel.bias.len()))
            }
            Kind::Add => (second? == first).then_some(first),
            Kind::Multiply => {
                let second = second?;
                (second == first || second == Shape::new(1, 1, first.channels)).then_some(first)
            }
            Kind::Mean => Some(Shape::new(1, 1, first.channels)),
            Kind::Resize(_) => Some(Shape { channels: first.channels, ..*told }),
            Kind::Pass => Some(first),
        }
    }
}

impl Kernel {
    fn fits(&self, outputs: usize, inputs: usize) -> Option<()> {
        let numbers = outputs.checked_mul(self.height)?.checked_mul(self.width)?.checked_mul(inputs)?;
        (numbers > 0 && numbers == self.weights.len() && self.stride.0 > 0 && self.stride.1 > 0).then_some(())
    }

    /// Height and width of what comes out.
    fn after(&self, before: Shape) -> Option<(usize, usize)> {
        let [top, left, bottom, right] = self.pads;
        let side = |side: usize, pads: usize, kernel: usize, stride: usize| {
            Some((side + pads).checked_sub(kernel)? / stride + 1)
        };
        let height = side(before.height, top + bottom, self.height, self.stride.0)?;
        Some((height, side(before.width, left + right, self.width, self.stride.1)?))
    }
}
