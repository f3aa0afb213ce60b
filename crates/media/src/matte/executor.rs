//! Runs a net of [`super::graph`] on one thread, with the widest vectors that the processor has.
//!
//! Pixels lie side by side with their channels together, padded to a multiple of [`LANES`], so that every loop goes over
//! channels. A convolution is a product of matrices: four pixels by sixteen outputs at a time; one over more than one
//! pixel first copies the pixels that each output takes into a row. Functions of each number are applied before a number
//! is stored. What a value needs no longer is given to the next.
//!
//! It exists for speed: the general interpreter takes two to three times as long for the model of people, most of it in
//! convolutions of single channels and in resizing.

use rten_simd::ops::{BitOps as _, NumOps as _};
use rten_simd::{Isa, SimdOp};

use super::graph::{Activation, Corners, Graph, Kernel, Kind, Shape};
use super::model::{Answer, ModelError, Net, share};
use super::plane::Plane;

/// Channels are padded to a multiple of that.
const LANES: usize = 16;
/// Pixels of a product at a time.
const ROWS: usize = 4;

/// A net, ready to run.
#[derive(Debug)]
pub(super) struct Executor {
    shapes: Vec<Shape>,
    steps: Vec<Ready>,
    /// Which buffer each value is in.
    places: Vec<usize>,
    buffers: Vec<Vec<f32>>,
    output: usize,
    /// Pixels copied together, and what comes of them.
    gathered: Vec<f32>,
}

/// A step with its numbers in the order in which they are used.
#[derive(Debug)]
struct Ready {
    work: Work,
    inputs: Vec<usize>,
    output: usize,
    then: Activation,
}

#[derive(Debug)]
enum Work {
    Product { panels: Vec<f32>, bias: Vec<f32>, taps: usize, kernel: Option<Window> },
    Depthwise { weights: Vec<f32>, bias: Vec<f32>, window: Window },
    Transposed { panels: Vec<f32>, bias: Vec<f32>, block: (usize, usize) },
    Add,
    Multiply,
    Mean,
    Resize { rows: Vec<Between>, columns: Vec<Between> },
    Pass,
}

/// What a convolution takes for a pixel.
#[derive(Debug, Clone, Copy)]
struct Window {
    height: usize,
    width: usize,
    stride: (usize, usize),
    top: usize,
    left: usize,
}

/// Two places and how far from the first to the second.
type Between = (usize, usize, f32);

/// Numbers from one pixel to the next.
const fn padded(channels: usize) -> usize {
    if channels < 4 { channels } else { channels.next_multiple_of(LANES) }
}

const fn length(shape: Shape) -> usize {
    shape.height * shape.width * padded(shape.channels)
}

impl Executor {
    /// A graph that was checked.
    pub(super) fn new(graph: &Graph) -> Self {
        let mut steps: Vec<Ready> = Vec::new();
        // Which value stands for another, of which it is a function that its maker applies.
        let mut same: Vec<usize> = (0..graph.values.len()).collect();
        let uses = |value: usize| graph.steps.iter().filter(|step| step.inputs.contains(&value)).count();
        for step in &graph.steps {
            if matches!(step.kind, Kind::Pass)
                && uses(step.inputs[0]) == 1
                && step.inputs[0] != graph.output
                && let Some(maker) = steps.iter_mut().find(|maker| maker.output == same[step.inputs[0]])
                && maker.then == Activation::None
            {
                maker.then = step.then;
                same[step.output] = maker.output;
                continue;
            }
            let inputs: Vec<usize> = step.inputs.iter().map(|&input| same[input]).collect();
            let work = work(&step.kind, graph.values[step.inputs[0]], graph.values[step.output]);
            steps.push(Ready { work, inputs, output: step.output, then: step.then });
        }
        let output = same[graph.output];
        let (places, buffers) = shared(graph, &steps, output);
        Self { shapes: graph.values.clone(), steps, places, buffers, output, gathered: Vec::new() }
    }

    /// What the net makes of a picture of its size: red, green and blue of each pixel in 0 to 1.
    pub(super) fn compute(&mut self, picture: impl Iterator<Item = f32>) -> Vec<f32> {
        for (value, number) in self.buffers[self.places[0]].iter_mut().zip(picture) {
            *value = number;
        }
        for step in &self.steps {
            let mut made = std::mem::take(&mut self.buffers[self.places[step.output]]);
            let value = |input: usize| {
                let shape = self.shapes[input];
                (&self.buffers[self.places[input]][..length(shape)], shape)
            };
            let shape = self.shapes[step.output];
            let run = Run {
                step,
                first: value(step.inputs[0]),
                second: step.inputs.get(1).map(|&input| value(input)),
                made: &mut made[..length(shape)],
                shape,
                gathered: &mut self.gathered,
            };
            run.dispatch();
            self.buffers[self.places[step.output]] = made;
        }
        let shape = self.shapes[self.output];
        let values = &self.buffers[self.places[self.output]][..length(shape)];
        values.chunks_exact(padded(shape.channels)).flat_map(|pixel| &pixel[..shape.channels]).copied().collect()
    }
}

impl Net for Executor {
    fn size(&self) -> (u32, u32) {
        (self.shapes[0].width as u32, self.shapes[0].height as u32)
    }

    fn run(&mut self, picture: &[u8]) -> Result<Answer, ModelError> {
        let mut values = self.compute(picture.iter().map(|&value| f32::from(value) / 255.0));
        values.iter_mut().for_each(|value| *value = share(*value));
        let Shape { width, height, .. } = self.shapes[self.output];
        Ok(Answer { matte: Plane { width, height, values }, foreground: None })
    }

    fn forget(&mut self) {}
}

/// Gives each value a buffer; those that are never needed at once share one.
fn shared(graph: &Graph, steps: &[Ready], output: usize) -> (Vec<usize>, Vec<Vec<f32>>) {
    let mut places = vec![0; graph.values.len()];
    let mut lengths = vec![length(graph.values[0])];
    let mut free: Vec<usize> = Vec::new();
    for (now, step) in steps.iter().enumerate() {
        let wanted = length(graph.values[step.output]);
        let place = match free.iter().position(|&place| lengths[place] >= wanted).or(free.len().checked_sub(1)) {
            Some(found) => free.remove(found),
            None => {
                lengths.push(0);
                lengths.len() - 1
            }
        };
        lengths[place] = lengths[place].max(wanted);
        places[step.output] = place;
        let mut over: Vec<usize> = step.inputs.iter().copied().filter(|&input| input != output).collect();
        over.retain(|input| !steps[now + 1..].iter().any(|later| later.inputs.contains(input)));
        over.dedup();
        free.extend(over.into_iter().map(|input| places[input]));
    }
    (places, lengths.into_iter().map(|length| vec![0.0; length]).collect())
}

fn work(kind: &Kind, from: Shape, to: Shape) -> Work {
    match kind {
        Kind::Convolution(kernel) => {
            let taps = kernel.height * kernel.width * from.channels;
            let is_point = kernel.height * kernel.width == 1 && kernel.stride == (1, 1) && kernel.pads == [0; 4];
            Work::Product {
                panels: panels(taps, kernel.bias.len(), |output, tap| kernel.weights[output * taps + tap]),
                bias: widened(&kernel.bias),
                taps,
                kernel: (!is_point).then(|| window(kernel)),
            }
        }
        Kind::Depthwise(kernel) => {
            let weights = kernel.weights.chunks_exact(from.channels).flat_map(widened).collect();
            Work::Depthwise { weights, bias: widened(&kernel.bias), window: window(kernel) }
        }
        Kind::Transposed(kernel) => {
            let (area, outputs, inputs) = (kernel.height * kernel.width, kernel.bias.len(), from.channels);
            // Output, place in the block, input becomes one output for each place and output.
            let weight = |column: usize, input: usize| {
                let (place, output) = (column / outputs, column % outputs);
                kernel.weights[(output * area + place) * inputs + input]
            };
            let bias: Vec<f32> = kernel.bias.repeat(area);
            let block = (kernel.height, kernel.width);
            Work::Transposed { panels: panels(inputs, area * outputs, weight), bias: widened(&bias), block }
        }
        Kind::Add => Work::Add,
        Kind::Multiply => Work::Multiply,
        Kind::Mean => Work::Mean,
        Kind::Resize(corners) => Work::Resize {
            rows: between(from.height, to.height, *corners),
            columns: between(from.width, to.width, *corners),
        },
        Kind::Pass => Work::Pass,
    }
}

fn window(kernel: &Kernel) -> Window {
    let [top, left, ..] = kernel.pads;
    Window { height: kernel.height, width: kernel.width, stride: kernel.stride, top, left }
}

fn widened(numbers: &[f32]) -> Vec<f32> {
    let mut wide = numbers.to_vec();
    wide.resize(numbers.len().next_multiple_of(LANES), 0.0);
    wide
}

/// Weights for sixteen outputs together, one tap after the other.
fn panels(taps: usize, outputs: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut panels = Vec::with_capacity(taps * outputs.next_multiple_of(LANES));
    for first in (0..outputs).step_by(LANES) {
        for tap in 0..taps {
            panels
                .extend((first..first + LANES).map(|output| if output < outputs { weight(output, tap) } else { 0.0 }));
        }
    }
    panels
}

fn between(from: usize, to: usize, corners: Corners) -> Vec<Between> {
    let place = |at: usize| {
        let at = at as f32;
        let scale = from as f32 / to as f32;
        let place = match corners {
            Corners::HalfPixel => (at + 0.5) * scale - 0.5,
            Corners::Aligned if to > 1 => at * (from - 1) as f32 / (to - 1) as f32,
            Corners::Aligned => 0.0,
            Corners::Asymmetric => at * scale,
        };
        let place = place.clamp(0.0, (from - 1) as f32);
        (place as usize, (place as usize + 1).min(from - 1), place.fract())
    };
    (0..to).map(place).collect()
}

/// One step on its values.
struct Run<'a> {
    step: &'a Ready,
    first: (&'a [f32], Shape),
    second: Option<(&'a [f32], Shape)>,
    made: &'a mut [f32],
    shape: Shape,
    gathered: &'a mut Vec<f32>,
}

impl SimdOp for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { step, first: (first, from), second, made, shape, gathered } = self;
        let (stride, then) = (padded(shape.channels), step.then);
        let is_exact = then == Activation::Logistic;
        let early = if is_exact { Activation::None } else { then };
        match &step.work {
            Work::Product { panels, bias, taps, kernel: None } => {
                let input = Rows { values: first, stride: padded(from.channels), taps: *taps };
                product(isa, input, panels, bias, early, (made, stride));
            }
            Work::Product { panels, bias, taps, kernel: Some(window) } => {
                let row = shape.width * stride;
                for (y, made) in made.chunks_exact_mut(row).enumerate() {
                    gather(first, from, *window, (y, shape.width), gathered);
                    let input = Rows { values: gathered, stride: *taps, taps: *taps };
                    product(isa, input, panels, bias, early, (made, stride));
                }
            }
            Work::Depthwise { weights, bias, window } => {
                depthwise(isa, (first, from), (weights, bias, *window), early, (made, shape));
            }
            Work::Transposed { panels, bias, block } => {
                let columns = block.0 * block.1 * shape.channels;
                let wide = columns.next_multiple_of(LANES);
                gathered.resize(wide * from.width, 0.0);
                let row = from.width * padded(from.channels);
                for (y, input) in first.chunks_exact(row).enumerate() {
                    let input = Rows { values: input, stride: padded(from.channels), taps: from.channels };
                    product(isa, input, panels, bias, early, (gathered, wide));
                    scatter(gathered, wide, *block, y, (made, shape));
                }
            }
            Work::Add => {
                let second = second.map_or(first, |(values, _)| values);
                pairs(isa, first, second, made, early, false);
            }
            Work::Multiply => match second {
                Some((second, other)) if other.len() != from.len() => {
                    for (first, made) in first.chunks_exact(stride).zip(made.chunks_exact_mut(stride)) {
                        pairs(isa, first, second, made, early, true);
                    }
                }
                other => pairs(isa, first, other.map_or(first, |(values, _)| values), made, early, true),
            },
            Work::Mean => {
                made.fill(0.0);
                for pixel in first.chunks_exact(stride) {
                    made.iter_mut().zip(pixel).for_each(|(made, value)| *made += value);
                }
                let scale = 1.0 / (from.height * from.width) as f32;
                made.iter_mut().for_each(|made| *made *= scale);
                finish(isa, made, early);
            }
            Work::Resize { rows, columns } => {
                resize(first, from.width * stride, stride, (rows, columns), made);
                finish(isa, made, early);
            }
            Work::Pass => {
                made.copy_from_slice(first);
                finish(isa, made, early);
            }
        }
        if is_exact {
            made.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp()));
        }
    }
}

/// Rows of a product: pixels, or what was gathered for each.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
    taps: usize,
}

#[inline(always)]
fn product<I: Isa>(isa: I, input: Rows<'_>, panels: &[f32], bias: &[f32], then: Activation, made: (&mut [f32], usize)) {
    match LANES / isa.f32().len() {
        1 => product_of::<I, 1>(isa, input, panels, bias, then, made),
        2 => product_of::<I, 2>(isa, input, panels, bias, then, made),
        _ => product_of::<I, 4>(isa, input, panels, bias, then, made),
    }
}

/// `N` vectors are sixteen outputs.
#[inline(always)]
fn product_of<I: Isa, const N: usize>(
    isa: I,
    input: Rows<'_>,
    panels: &[f32],
    bias: &[f32],
    then: Activation,
    (made, stride): (&mut [f32], usize),
) {
    let ops = isa.f32();
    let lanes = LANES / N;
    let Rows { values, stride: from, taps } = input;
    let pixels = made.chunks_mut(stride * ROWS).zip(values.chunks(from * ROWS));
    for (made, rows) in pixels {
        let count = made.len() / stride;
        // The last pixels are fewer; the last of them fills up.
        let row = |place: usize| &rows[place.min(count - 1) * from..][..taps];
        let rows: [&[f32]; ROWS] = [row(0), row(1), row(2), row(3)];
        for (block, (panel, bias)) in panels.chunks_exact(taps * LANES).zip(bias.as_chunks::<LANES>().0).enumerate() {
            let start: [I::F32; N] = std::array::from_fn(|vector| ops.load(&bias[vector * lanes..]));
            let mut sums = [start; ROWS];
            let panel = panel.as_chunks::<LANES>().0;
            for tap in 0..taps.min(panel.len()) {
                let weights: [I::F32; N] = std::array::from_fn(|vector| ops.load(&panel[tap][vector * lanes..]));
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    let value = ops.splat(row[tap]);
                    for (sum, weights) in sums.iter_mut().zip(&weights) {
                        *sum = ops.mul_add(value, *weights, *sum);
                    }
                }
            }
            for (sums, made) in sums.iter().zip(made.chunks_exact_mut(stride)) {
                for (vector, sum) in sums.iter().enumerate() {
                    let value = applied(isa, *sum, then);
                    let made = &mut made[(block * LANES + vector * lanes).min(stride)..];
                    if made.len() >= lanes {
                        ops.store(value, made);
                    } else {
                        let mut all = [0.0; LANES];
                        ops.store(value, &mut all);
                        made.copy_from_slice(&all[..made.len()]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn applied<I: Isa>(isa: I, value: I::F32, then: Activation) -> I::F32 {
    let ops = isa.f32();
    match then {
        Activation::None | Activation::Logistic => value,
        Activation::Relu => ops.max(value, ops.zero()),
        Activation::Relu6 => ops.min(ops.max(value, ops.zero()), ops.splat(6.0)),
        Activation::HardSwish => {
            let gate = ops.min(ops.max(ops.add(value, ops.splat(3.0)), ops.zero()), ops.splat(6.0));
            ops.mul(ops.mul(value, gate), ops.splat(1.0 / 6.0))
        }
    }
}

/// The pixels that each output of a row takes, with their real channels; 0 outside of the picture.
#[inline(always)]
fn gather(values: &[f32], from: Shape, window: Window, (y, width): (usize, usize), gathered: &mut Vec<f32>) {
    gathered.clear();
    let stride = padded(from.channels);
    for x in 0..width {
        for row in 0..window.height {
            let at = (y * window.stride.0 + row).checked_sub(window.top).filter(|at| *at < from.height);
            for column in 0..window.width {
                let across = (x * window.stride.1 + column).checked_sub(window.left).filter(|at| *at < from.width);
                match (at, across) {
                    (Some(at), Some(across)) => {
                        let pixel = &values[(at * from.width + across) * stride..][..from.channels];
                        gathered.extend_from_slice(pixel);
                    }
                    _ => gathered.extend(std::iter::repeat_n(0.0, from.channels)),
                }
            }
        }
    }
}

#[inline(always)]
fn depthwise<I: Isa>(
    isa: I,
    (values, from): (&[f32], Shape),
    (weights, bias, window): (&[f32], &[f32], Window),
    then: Activation,
    (made, shape): (&mut [f32], Shape),
) {
    let ops = isa.f32();
    let (lanes, stride) = (ops.len(), padded(from.channels));
    let wide = bias.len();
    let mut rest = [0.0; LANES];
    for (place, made) in made.chunks_exact_mut(stride).enumerate() {
        let (top, left) = (place / shape.width * window.stride.0, place % shape.width * window.stride.1);
        // Rows and columns of the window that are within the picture.
        let rows = window.top.saturating_sub(top)..window.height.min(from.height + window.top - top);
        let columns = window.left.saturating_sub(left)..window.width.min(from.width + window.left - left);
        for first in (0..stride).step_by(lanes) {
            let mut sum = ops.load(&bias[first..]);
            for row in rows.clone() {
                let line = (top + row - window.top) * from.width + left;
                for column in columns.clone() {
                    let at = (line + column - window.left) * stride + first;
                    let weight = ops.load(&weights[(row * window.width + column) * wide + first..]);
                    let value = if let Some(whole) = values.get(at..at + lanes).filter(|_| stride >= LANES) {
                        ops.load(whole)
                    } else {
                        rest[..stride].copy_from_slice(&values[at..at + stride]);
                        ops.load(&rest)
                    };
                    sum = ops.mul_add(value, weight, sum);
                }
            }
            let value = applied(isa, sum, then);
            if stride >= LANES {
                ops.store(value, &mut made[first..]);
            } else {
                let mut all = [0.0; LANES];
                ops.store(value, &mut all);
                made.copy_from_slice(&all[..stride]);
            }
        }
    }
}

/// Brings the blocks of a row to their places.
#[inline(always)]
fn scatter(blocks: &[f32], wide: usize, (height, width): (usize, usize), y: usize, (made, shape): (&mut [f32], Shape)) {
    let stride = padded(shape.channels);
    for (x, block) in blocks.chunks_exact(wide).enumerate() {
        for row in 0..height {
            for column in 0..width {
                let from = (row * width + column) * shape.channels;
                let to = ((y * height + row) * shape.width + x * width + column) * stride;
                made[to..to + shape.channels].copy_from_slice(&block[from..from + shape.channels]);
            }
        }
    }
}

/// Sums or products of two rows of numbers.
#[inline(always)]
fn pairs<I: Isa>(isa: I, first: &[f32], second: &[f32], made: &mut [f32], then: Activation, multiply: bool) {
    let numbers = made.iter_mut().zip(first).zip(second);
    if multiply {
        numbers.for_each(|((made, first), second)| *made = first * second);
    } else {
        numbers.for_each(|((made, first), second)| *made = first + second);
    }
    finish(isa, made, then);
}

#[inline(always)]
fn finish<I: Isa>(isa: I, made: &mut [f32], then: Activation) {
    if then == Activation::None {
        return;
    }
    let ops = isa.f32();
    let lanes = ops.len();
    let mut chunks = made.chunks_exact_mut(lanes);
    for chunk in &mut chunks {
        let value = applied(isa, ops.load(chunk), then);
        ops.store(value, chunk);
    }
    let rest = chunks.into_remainder();
    let mut all = [0.0; LANES];
    all[..rest.len()].copy_from_slice(rest);
    let value = applied(isa, ops.load(&all), then);
    ops.store(value, &mut all);
    rest.copy_from_slice(&all[..rest.len()]);
}

#[inline(always)]
fn resize(values: &[f32], row: usize, stride: usize, (rows, columns): (&[Between], &[Between]), made: &mut [f32]) {
    let mut mixed = vec![0.0; row];
    for (made, &(upper, lower, share)) in made.chunks_exact_mut(columns.len() * stride).zip(rows) {
        let (upper, lower) = (&values[upper * row..][..row], &values[lower * row..][..row]);
        for ((mixed, upper), lower) in mixed.iter_mut().zip(upper).zip(lower) {
            *mixed = upper + (lower - upper) * share;
        }
        for (made, &(left, right, share)) in made.chunks_exact_mut(stride).zip(columns) {
            let (left, right) = (&mixed[left * stride..][..stride], &mixed[right * stride..][..stride]);
            for ((made, left), right) in made.iter_mut().zip(left).zip(right) {
                *made = left + (right - left) * share;
            }
        }
    }
}
